// A stage for the commands: a terminal whose words are kept, and a loopback server that speaks just enough of the API.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { runCommand } from '../../../../core/cli/program.ts';
import type { Terminal } from '../../../../core/cli/terminal.ts';

export interface Call {
  method: string;
  path: string;
  body: unknown;
  key: string | undefined;
}

type Answer = (call: Call, response: ServerResponse, request: IncomingMessage) => unknown;

export interface Stage {
  home: string;
  calls: Call[];
  /** By "METHOD /path" without the query. A returned value is sent as JSON; undefined means the route has answered. */
  routes: Record<string, Answer>;
  port(): number;
  env(more?: Record<string, string>): Record<string, string>;
  /** Closes the port and every connection; `up` takes the same port again. */
  down(): Promise<void>;
  up(): Promise<void>;
  end(): Promise<void>;
}

export const token = 'the-token-of-this-home';

export const status = {
  version: '1.2.3',
  ready: true,
  started_at: '2026-11-20T08:00:00.000Z',
  pid: process.pid,
  safe_mode: null,
  model: { configured: ['offline'], provider: 'offline', state: 'ok', detail: '', last_success_at: null },
  channels: [{ name: 'telegram', state: 'off', detail: 'no token', last_success_at: null }],
  hands: {
    driver: 'bwrap',
    state: 'on',
    isolation: 'namespaces',
    egress_locked: true,
    limits: { memory: 'cgroup v2', cpu: null },
    findings: [] as { level: string; text: string; fix: string }[],
    detail: 'bubblewrap 0.11.0',
    broker: { state: 'ok', detail: '' },
    alive: 1,
  },
  main_session_id: 'sesn_main',
  sessions: { running: 0, rescheduling: 0, total: 3 },
  approvals_pending: 0,
  outbox: { pending: 0, oldest_pending_at: null, dead: 0 },
  budget: { day_limit_usd: 10, day_spent_usd: 0.25, unpriced_requests: 0 },
  disk: { state: 'ok' },
  notices: [],
};

export async function openStage(): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), 'steward-cli-'));
  writeFileSync(join(home, 'token'), `${token}\n`, { mode: 0o600 });
  let server: Server | null = null;
  let port = 0;
  const stage: Stage = {
    home,
    calls: [],
    routes: { 'GET /api/status': () => status },
    port: () => port,
    env: (more = {}) => ({ STEWARD_HOME: home, STEWARD_PORT: String(port), PATH: process.env.PATH ?? '', ...more }),
    down: () =>
      new Promise((resolve) => {
        server?.close(() => resolve());
        server?.closeAllConnections();
      }),
    up: () =>
      new Promise((resolve) => {
        const fresh = createServer((request, response) => void answer(stage, request, response));
        server = fresh;
        fresh.listen(port, '127.0.0.1', () => {
          port = (fresh.address() as AddressInfo).port;
          resolve();
        });
      }),
    async end() {
      await stage.down();
      rmSync(home, { recursive: true, force: true });
    },
  };
  await stage.up();
  return stage;
}

async function answer(stage: Stage, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? '';
  const raw = await text(request);
  const call: Call = {
    method: request.method ?? '',
    path,
    body: raw ? JSON.parse(raw) : undefined,
    key: request.headers['idempotency-key'] as string | undefined,
  };
  stage.calls.push(call);
  if (request.headers['x-api-key'] !== token) return fail(response, 401, 'The API token is wrong.');
  const route = stage.routes[`${call.method} ${path.split('?')[0]}`];
  if (!route) return fail(response, 404, `There is nothing at ${call.method} ${path}.`);
  const value = await route(call, response, request);
  if (value !== undefined) response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
}

export function fail(response: ServerResponse, code: number, message: string, hint?: string): void {
  response.statusCode = code;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ type: 'error', error: { type: 'api_error', message, hint }, request_id: 'req_1' }));
}

export interface Heard {
  code: number;
  out: string;
  err: string;
}

export interface Person {
  /** What they type before anything is asked; absent: their input ends at once. */
  types?: string;
  /** Answers when this text appears on stderr; each is used once, in order. */
  replies?: [when: string, answer: string][];
  /** Sits at a terminal, as opposed to a pipe. */
  present?: boolean;
  fetch?: typeof fetch;
}

/** Runs one command line as this person would. */
export async function command(env: Record<string, string>, args: string[], person: Person = {}): Promise<Heard> {
  const stdin = Object.assign(new PassThrough(), { isTTY: person.present === true });
  const stdout = Object.assign(new PassThrough(), { isTTY: person.present === true });
  const stderr = Object.assign(new PassThrough(), { isTTY: false });
  const heard: Heard = { code: -1, out: '', err: '' };
  const replies = [...(person.replies ?? [])];
  stdout.on('data', (chunk: Buffer) => {
    heard.out += chunk.toString();
  });
  stderr.on('data', (chunk: Buffer) => {
    heard.err += chunk.toString();
    const [next] = replies;
    if (next && heard.err.includes(next[0])) {
      replies.shift();
      stdin.write(next[1]);
    }
  });
  if (person.types !== undefined) stdin.write(person.types);
  if (!person.present) stdin.end();
  const terminal: Terminal = { env, stdin, stdout, stderr, fetch: person.fetch ?? fetch, now: () => Date.now() };
  heard.code = await runCommand(args, terminal, '1.2.3');
  return heard;
}

/** One session whose log is this list; streams replay it and stay open for more. */
export function serveSession(stage: Stage, id: string, events: Record<string, unknown>[]) {
  const open = new Set<ServerResponse>();
  const send = (response: ServerResponse, at: number, event: Record<string, unknown>) =>
    response.write(`event: ${event.type}\nid: ${at}\ndata: ${JSON.stringify(event)}\n\n`);
  const log = events.map((event, index) => ({ at: index + 1, event }));
  stage.routes[`GET /v1/sessions/${id}`] = () => ({
    id,
    type: 'session',
    status: 'idle',
    last_seq: log.at(-1)?.at ?? 0,
  });
  stage.routes[`GET /v1/sessions/${id}/events/stream`] = (call, response) => {
    const after = Number(new URLSearchParams(call.path.split('?')[1]).get('after_seq'));
    response.setHeader('content-type', 'text/event-stream');
    response.write('event: ping\ndata: {}\n\n');
    for (const { at, event } of log) if (at > after) send(response, at, event);
    open.add(response);
    response.on('close', () => open.delete(response));
  };
  return {
    push(...more: Record<string, unknown>[]) {
      for (const event of more) {
        const at = log.length + 1;
        log.push({ at, event });
        for (const response of open) send(response, at, event);
      }
    },
    preview(data: Record<string, unknown>) {
      for (const response of open) response.write(`event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    /** Resolves once somebody streams. */
    async watched() {
      while (open.size === 0) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}
