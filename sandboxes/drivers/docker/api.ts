// A small client of the Docker Engine API over its unix socket, for Docker and Podman alike; errors say what to do.
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { z } from 'zod';
import { StewardError } from '../../../core/errors.ts';
import type { Millis } from '../../../core/types.ts';
import {
  type ContainerRow,
  type ContainerState,
  type ContainerStats,
  createdAnswer,
  type EngineInfo,
  imageAnswer,
  infoAnswer,
  inspectAnswer,
  listAnswer,
  statsAnswer,
  type VersionAnswer,
  versionAnswer,
} from './api-answers.ts';
import { missingImage, refused, unreachable } from './api-errors.ts';
import { demultiplex } from './stream.ts';

/** The newest version this was written for, and the oldest that has all it needs. */
const NEWEST = '1.47';
const OLDEST = '1.40';
/** The daemon answers in milliseconds, under load in seconds. */
const PATIENCE_MS: Millis = 60_000;
const MOST_BYTES = 32 * 1024 * 1024;

export type EngineVersion = { engine: 'Docker' | 'Podman'; version: string; api: string; arch: string };

export interface Image {
  id: string;
  arch: string | null;
  /** Its own variables: PATH, where a language lives. */
  env: Record<string, string>;
}

/** Containers are named by id or name. Errors: unavailable, forbidden, not_found, conflict, invalid. */
export interface Api {
  readonly socketPath: string;
  version(): Promise<EngineVersion>;
  info(): Promise<EngineInfo>;
  image(name: string): Promise<Image>;
  create(name: string, body: object): Promise<string>;
  start(container: string): Promise<void>;
  /** Before `start`, so that nothing of the output is missed. */
  attach(container: string, onStderr: (data: Buffer) => void): Promise<Duplex>;
  inspect(container: string): Promise<ContainerState>;
  /** Also those that do not run. */
  list(labels: readonly string[]): Promise<ContainerRow[]>;
  pause(container: string): Promise<void>;
  resume(container: string): Promise<void>;
  stats(container: string): Promise<ContainerStats>;
  /** By force, with its unnamed volumes; resolves when it is gone. One that is not there is no error. */
  remove(container: string): Promise<void>;
}

interface Call {
  /** In the words of the person: "start a container". */
  op: string;
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  query?: Record<string, string>;
  body?: object;
  /** Statuses that are answers, not errors, beyond 2xx. */
  fine?: readonly number[];
}

export function createApi(deps: { socketPath: string; patienceMs?: Millis }): Api {
  const { socketPath, patienceMs = PATIENCE_MS } = deps;
  let known: Promise<EngineVersion> | null = null;

  const send = (call: Call, prefix: string, headers: Record<string, string>): ClientRequest => {
    const query = call.query ? `?${new URLSearchParams(call.query)}` : '';
    const path = `${prefix}${call.path}${query}`;
    const body = call.body === undefined ? null : JSON.stringify(call.body);
    const type = body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    // A connection each: one that was kept may belong to a daemon that has gone.
    const sent = request({
      ...{ socketPath, method: call.method, path, agent: false },
      headers: { host: 'docker', ...type, ...headers },
    });
    sent.setTimeout(patienceMs, () => sent.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
    sent.end(body ?? undefined);
    return sent;
  };

  const ask = async (call: Call, prefix: string): Promise<unknown> => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = send(call, prefix, {});
      sent.on('response', resolve);
      sent.on('error', (error) => reject(unreachable(error, call.op, socketPath)));
    });
    const text = await bodyOf(answer).catch((error) => {
      throw unreachable(error, call.op, socketPath);
    });
    const status = answer.statusCode ?? 0;
    if ((status < 200 || status > 299) && !call.fine?.includes(status)) throw refused(status, text, call.op);
    return text === '' ? null : parsed(text, call.op);
  };

  const version = (): Promise<EngineVersion> => {
    known ??= ask({ op: 'ask Docker for its version', method: 'GET', path: '/version' }, '').then((answer) =>
      negotiated(read(versionAnswer, answer, 'ask Docker for its version')),
    );
    // A daemon that is down now may be up, or another one, at the next call.
    known.catch(() => {
      known = null;
    });
    return known;
  };

  const call = async (what: Call): Promise<unknown> => ask(what, `/v${(await version()).api}`);
  const get = async <T>(schema: z.ZodType<T>, op: string, path: string, query?: Record<string, string>): Promise<T> =>
    read(schema, await call({ op, method: 'GET', path, ...(query && { query }) }), op);
  const at = (container: string, rest = '') => `/containers/${encodeURIComponent(container)}${rest}`;

  return {
    socketPath,
    version,
    async info() {
      return get(infoAnswer, 'ask Docker about itself', '/info');
    },
    async image(name) {
      const op = `look for the image ${name}`;
      try {
        const answer = await get(imageAnswer, op, `/images/${name}/json`);
        const env = (answer.Config?.Env ?? []).map((line) => line.split(/=(.*)/s, 2) as [string, string]);
        return { id: answer.Id, arch: answer.Architecture || null, env: Object.fromEntries(env) };
      } catch (error) {
        if (!(error instanceof StewardError && error.code === 'not_found')) throw error;
        throw missingImage(name, (await version()).engine, op, error);
      }
    },
    async create(name, body) {
      const op = 'create a container';
      try {
        const answer = await call({ op, method: 'POST', path: '/containers/create', query: { name }, body });
        return read(createdAnswer, answer, op).Id;
      } catch (error) {
        if (!(error instanceof StewardError && error.code === 'not_found')) throw error;
        const image = String((body as { Image?: unknown }).Image);
        throw missingImage(image, (await version()).engine, op, error);
      }
    },
    async start(container) {
      await call({ op: 'start a container', method: 'POST', path: at(container, '/start'), fine: [304] });
    },
    async attach(container, onStderr) {
      const op = 'attach to a container';
      const query = { stream: '1', stdin: '1', stdout: '1', stderr: '1' };
      const prefix = `/v${(await version()).api}`;
      return await new Promise<Duplex>((resolve, reject) => {
        const what: Call = { op, method: 'POST', path: at(container, '/attach'), query };
        const sent = send(what, prefix, { connection: 'Upgrade', upgrade: 'tcp' });
        sent.on('upgrade', (_answer, socket, head) => {
          // From here on silence is nothing unusual.
          (socket as Socket).setTimeout(0);
          resolve(demultiplex(socket, head, onStderr));
        });
        sent.on('response', (answer) => {
          bodyOf(answer).then(
            (text) => reject(refused(answer.statusCode ?? 0, text, op)),
            (error) => reject(unreachable(error, op, socketPath)),
          );
        });
        sent.on('error', (error) => reject(unreachable(error, op, socketPath)));
      });
    },
    async inspect(container) {
      return get(inspectAnswer, 'inspect a container', at(container, '/json'));
    },
    async list(labels) {
      const query = { all: '1', filters: JSON.stringify({ label: labels }) };
      return get(listAnswer, 'list the containers', '/containers/json', query);
    },
    async pause(container) {
      await call({ op: 'pause a container', method: 'POST', path: at(container, '/pause') });
    },
    async resume(container) {
      await call({ op: 'continue a container', method: 'POST', path: at(container, '/unpause') });
    },
    async stats(container) {
      const query = { stream: 'false', 'one-shot': 'true' };
      return get(statsAnswer, 'measure a container', at(container, '/stats'), query);
    },
    async remove(container) {
      const op = 'remove a container';
      try {
        await call({ op, method: 'DELETE', path: at(container), query: { force: '1', v: '1' }, fine: [404] });
      } catch (error) {
        // Somebody removes it already.
        if (!(error instanceof StewardError && error.code === 'conflict')) throw error;
        const query = { condition: 'removed' };
        await call({ op, method: 'POST', path: at(container, '/wait'), query, fine: [404] });
      }
      const look: Call = { op, method: 'GET', path: at(container, '/json') };
      const there = await call(look).catch((error: unknown) => {
        if (error instanceof StewardError && error.code === 'not_found') return null;
        throw error;
      });
      if (there) throw new StewardError('unavailable', 'Docker removed a container and still has it.', { op });
    },
  };
}

async function bodyOf(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MOST_BYTES) throw new Error('the answer is too long');
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8').trim();
}

function parsed(text: string, op: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreadable(op, cause);
  }
}

function read<T>(schema: z.ZodType<T>, answer: unknown, op: string): T {
  const { data, error } = schema.safeParse(answer);
  if (error) throw unreadable(op, error);
  return data;
}

const unreadable = (op: string, cause: unknown): StewardError =>
  new StewardError('unavailable', 'The answer of Docker could not be read.', {
    op,
    hint: 'Update Docker or Podman, and Steward.',
    cause,
  });

const atLeast = (version: string, other: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map(Number);
  return major !== otherMajor ? major > otherMajor : minor >= otherMinor;
};

/** The newest version both sides speak. */
function negotiated(answer: VersionAnswer): EngineVersion {
  const op = 'speak with Docker';
  const podman = answer.Components?.some(({ Name }) => Name.includes('Podman')) ?? false;
  const engine = podman ? 'Podman' : 'Docker';
  if (!atLeast(answer.ApiVersion, OLDEST))
    throw new StewardError('unavailable', `${engine} ${answer.Version} is too old (API ${answer.ApiVersion}).`, {
      op,
      hint: `Update ${engine}: API ${OLDEST} or newer is needed.`,
    });
  if (answer.MinAPIVersion && !atLeast(NEWEST, answer.MinAPIVersion))
    throw new StewardError('unavailable', `${engine} ${answer.Version} no longer speaks API ${NEWEST}.`, {
      op,
      hint: 'Update Steward.',
    });
  const api = atLeast(answer.ApiVersion, NEWEST) ? NEWEST : answer.ApiVersion;
  return { engine, version: answer.Version, api, arch: answer.Arch };
}
