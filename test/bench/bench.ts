// What every measurement works with: how thorough to be, homes to work in, a model that answers at once, a process, a client.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Handler, type MessagesApi, startMessagesApi } from '../fakes/messages-api.ts';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import type { Row } from './report.ts';
import { type Seeded, seed } from './seed.ts';

export interface Bench {
  quick: boolean;
  /** The count of a full run, or a tenth of it. */
  count(full: number): number;
  /** An empty folder of its own, gone at the end. */
  emptyHome(): string;
  /** The record with a long past; made once a run and shared, so it grows by what the measurements add. */
  seeded(): Seeded;
  /** A model that says a short sentence at once, or what `handler` says. */
  model(handler?: Handler): Promise<MessagesApi>;
  /** A Steward over `home` whose model is the given server; without one it is the offline responder. */
  start(home: string, model: { url: string } | null, env?: Record<string, string>): Promise<StewardProcess>;
  /** Ends with the measurement, also when that fails. */
  own(close: () => Promise<void>): void;
  say(text: string): void;
}

export type Measure = (bench: Bench) => Promise<Row[]>;

export interface Workplace extends Bench {
  /** Ends every process and server that a measurement left behind, as one that failed does. */
  tidy(): Promise<void>;
  close(): void;
}

export function openWorkplace(quick: boolean, say: (text: string) => void): Workplace {
  const folder = mkdtempSync(join(tmpdir(), 'steward-bench-'));
  let homes = 0;
  let made: Seeded | null = null;
  const open: (() => Promise<void>)[] = [];
  const emptyHome = () => {
    const home = join(folder, `home-${++homes}`);
    mkdirSync(home, { mode: 0o700 });
    return home;
  };
  return {
    quick,
    count: (full) => (quick ? Math.ceil(full / 10) : full),
    emptyHome,
    seeded() {
      if (made) return made;
      const from = performance.now();
      made = seed(emptyHome(), { sessions: quick ? 100 : 1_000, eventsEach: 1_000, special: quick ? 5 : 20 });
      say(`seeded ${made.events.toLocaleString('en')} events in ${Math.round((performance.now() - from) / 1_000)} s`);
      return made;
    },
    async model(handler) {
      const model = await startMessagesApi({ key: KEY, handler: handler ?? (() => 'Noted.') });
      open.push(model.close);
      return model;
    },
    async start(home, model, env = {}) {
      const steward = await startSteward({
        home,
        timeoutMs: 60_000,
        env: {
          // A crash loop is what some measurements are.
          STEWARD_SAFE_MODE_AFTER: '0',
          STEWARD_QUARANTINE_AFTER: '0',
          STEWARD_BUDGET_DAY_USD: '1000000',
          ...(model && { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: model.url, STEWARD_MODEL: MODEL }),
          ...env,
        },
      });
      open.push(steward.stop);
      return steward;
    },
    own: (close) => void open.push(close),
    say,
    async tidy() {
      // Programs before the servers they talk to.
      for (const end of open.splice(0).reverse()) await end();
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export const KEY = 'sk-bench-0000000000';
export const MODEL = 'claude-sonnet-5-5';

export interface Client {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  /** A message to a session; resolves with the milliseconds from the first byte sent to the last byte of its 200. */
  say(sessionId: string, text: string): Promise<number>;
  newSession(): Promise<string>;
  /** Resolves once no run is at work. */
  rest(): Promise<void>;
  close(): void;
}

/** One connection kept alive, as a program would use it. Rejects on anything but 200. */
export function connect(steward: StewardProcess): Client {
  const agent = new Agent({ keepAlive: true });
  let keys = 0;
  const call = (
    method: string,
    path: string,
    body: unknown,
    key = `bench-${process.pid}-${performance.now()}-${++keys}`,
  ): Promise<{ text: string; ms: number }> =>
    new Promise((resolve, reject) => {
      const sent = body === undefined ? '' : JSON.stringify(body);
      const from = performance.now();
      const asked = request(`${steward.url}${path}`, {
        method,
        agent,
        headers: {
          'x-api-key': steward.token,
          'idempotency-key': key,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(sent),
        },
      });
      asked.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => {
          const ms = performance.now() - from;
          if (response.statusCode === 200) resolve({ text, ms });
          else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        });
      });
      asked.on('error', (error: NodeJS.ErrnoException) => {
        // An idle connection was closed in the moment it was used again: Node's documentation says to ask once more.
        if (asked.reusedSocket && error.code === 'ECONNRESET') resolve(call(method, path, body, key));
        else reject(error);
      });
      asked.end(sent);
    });
  const client: Client = {
    get: async <T>(path: string) => JSON.parse((await call('GET', path, undefined)).text) as T,
    post: async <T>(path: string, body: unknown) => JSON.parse((await call('POST', path, body)).text) as T,
    async say(sessionId, text) {
      const events = [{ type: 'user.message', content: [{ type: 'text', text }] }];
      return (await call('POST', `/v1/sessions/${sessionId}/events`, { events })).ms;
    },
    async newSession() {
      const made = await client.post<{ id: string }>('/v1/sessions', {
        agent: 'agent_steward',
        environment_id: 'env_steward',
      });
      return made.id;
    },
    async rest() {
      await until('the runs to end', async () => {
        const { sessions } = await client.get<{ sessions: { active: number } }>('/api/status');
        return sessions.active === 0;
      });
    },
    close: () => agent.destroy(),
  };
  return client;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `look` answers something; `what` names it when it takes longer than `ms`. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  ms = 60_000,
): Promise<Exclude<T, null | false | undefined>> {
  const end = performance.now() + ms;
  for (;;) {
    const seen = await look();
    if (seen) return seen as Exclude<T, null | false | undefined>;
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await pause(5);
  }
}
