// The running process over HTTP, as every command sees it; what goes wrong on the way is said in words.
import { join } from 'node:path';
import type { z } from 'zod';
import type { Config } from '../config.ts';
import { StewardError } from '../errors.ts';
import { readFileIfAny } from '../files.ts';
import { apiError } from './shapes.ts';
import { readServerEvents, type ServerEvent } from './sse.ts';

export interface Client {
  readonly url: string;
  get<T>(path: string, shape: z.ZodType<T>): Promise<T>;
  send<T>(
    method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body: unknown,
    shape: z.ZodType<T>,
    key?: string,
    /** For work that takes longer than an answer usually does. Milliseconds. */
    timeoutMs?: number,
  ): Promise<T>;
  /** The body as it comes, in pieces; for what is too long to be held. Ends or throws when the connection breaks. */
  text(path: string): AsyncGenerator<string>;
  /** One connection; ends or throws when it breaks. Resuming is the caller's. */
  stream(path: string, signal: AbortSignal): AsyncGenerator<ServerEvent>;
}

/** A server that says nothing at all for this long is not coming back; streams have pings every 15 s. Milliseconds. */
const requestTimeout = 30_000;

/** Every call throws a StewardError: `unavailable` when nobody answers, else what the server said. */
export function createClient(config: Config, deps: { fetch: typeof fetch }): Client {
  const url = baseUrl(config);

  async function request(path: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
    const token = readToken(config.home);
    const headers = new Headers(init.headers);
    if (token) headers.set('x-api-key', token);
    let response: Response;
    try {
      response = await deps.fetch(`${url}${path}`, { ...init, headers, redirect: 'error' });
    } catch (error) {
      throw unreachable(error, url);
    }
    if (response.ok) return response;
    throw await refusal(response, url, config.home, token !== null);
  }

  async function json<T>(path: string, init: RequestInit, shape: z.ZodType<T>, timeoutMs = requestTimeout): Promise<T> {
    const response = await request(path, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    const body: unknown = await response.json().catch(() => undefined);
    const result = shape.safeParse(body);
    if (!result.success) throw stranger(url, result.error);
    return result.data;
  }

  return {
    url,
    get: (path, shape) => json(path, {}, shape),
    send: (method, path, body, shape, key, timeoutMs) =>
      json(
        path,
        {
          method,
          headers: { 'content-type': 'application/json', ...(key ? { 'idempotency-key': key } : {}) },
          body: body === undefined ? undefined : JSON.stringify(body),
        },
        shape,
        timeoutMs,
      ),
    async *text(path) {
      const response = await request(path, { signal: new AbortController().signal });
      try {
        yield* response.body!.pipeThrough(new TextDecoderStream());
      } catch (error) {
        throw unreachable(error, url);
      }
    },
    async *stream(path, signal) {
      const response = await request(path, { headers: { accept: 'text/event-stream' }, signal });
      try {
        yield* readServerEvents(response.body!);
      } catch (error) {
        throw unreachable(error, url);
      }
    },
  };
}

function readToken(home: string): string | null {
  try {
    return readFileIfAny(join(home, 'token'))?.trim() || null;
  } catch (error) {
    throw new StewardError('unauthenticated', `The token in ${home} cannot be read.`, {
      op: 'sign in',
      hint: 'Run this as the user Steward runs as.',
      cause: error,
    });
  }
}

/** An address that listens everywhere is reached here. */
export function baseUrl(config: Config): string {
  const host = config.host === '0.0.0.0' ? '127.0.0.1' : config.host === '::' ? '::1' : config.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${config.port}`;
}

export function isUnavailable(error: unknown): boolean {
  return error instanceof StewardError && error.code === 'unavailable';
}

/** True when nothing listens at all, as opposed to something that does not answer. */
export function isNotRunning(error: unknown): boolean {
  return isUnavailable(error) && wasRefused((error as StewardError).cause);
}

function wasRefused(error: unknown): boolean {
  return (error as { cause?: { code?: string } } | undefined)?.cause?.code === 'ECONNREFUSED';
}

function unreachable(error: unknown, url: string): StewardError {
  const refused = wasRefused(error);
  const message = refused
    ? 'Steward is not running. Start it with npm start.'
    : `Steward did not answer at ${url} (${describeCause(error)}).`;
  return new StewardError('unavailable', message, {
    op: 'reach Steward',
    hint: refused ? undefined : 'steward doctor looks for the reason.',
    retryable: true,
    cause: error,
  });
}

function describeCause(error: unknown): string {
  const cause = (error as { cause?: unknown }).cause ?? error;
  return cause instanceof Error ? cause.message : String(cause);
}

function stranger(url: string, cause?: unknown): StewardError {
  return new StewardError('conflict', `Something other than this Steward answers at ${url}.`, {
    op: 'talk to Steward',
    hint: 'Choose another STEWARD_PORT, or stop the other program.',
    cause,
  });
}

async function refusal(response: Response, url: string, home: string, hadToken: boolean): Promise<StewardError> {
  const body = apiError.safeParse(await response.json().catch(() => undefined));
  if (!body.success) return stranger(url);
  if (response.status === 401)
    return new StewardError(
      'unauthenticated',
      hadToken ? `Steward at ${url} does not accept the token in ${home}.` : `There is no token in ${home}.`,
      { op: 'sign in', hint: 'Is STEWARD_HOME the folder the running Steward uses, and are you its user?' },
    );
  const { message, hint } = body.data.error;
  const code = response.status === 404 ? 'not_found' : response.status === 409 ? 'conflict' : 'invalid';
  return new StewardError(response.status >= 500 ? 'internal' : code, message, { op: 'talk to Steward', hint });
}
