// A household for chaos: a Steward that can die, a model, a Telegram and a world on loopback, and what they saw.
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FailpointName } from '../../core/failpoint.ts';
import { type MessagesApi, startMessagesApi } from '../fakes/messages-api.ts';
import { type FakeTelegram, startTelegram } from '../fakes/telegram.ts';
import { brain } from './brain.ts';
import { type Effects, startEffects } from './effects.ts';
import { makeHome, type StewardProcess, startSteward } from './process.ts';

const KEY = 'sk-chaos-00000000000';
/** Lives are short here and begin by the hundred: what Node compiled once need not be compiled again. A killed life saves nothing. */
const COMPILED = fileURLToPath(new URL('../../node_modules/.cache/steward-chaos', import.meta.url));
export const OWNER = 42;

export interface WireEvent {
  id: string;
  type: string;
  seq: number;
  position: number | null;
  processed_at: string | null;
  content?: { type: string; text?: string }[];
  [key: string]: unknown;
}

export interface WireSession {
  id: string;
  status: string;
  main: boolean;
  trust: string;
}

export interface Status {
  safe_mode: { why: string } | null;
  main_session_id: string;
  sessions: { running: number; rescheduling: number; active: number };
  approvals_pending: number;
  outbox: { pending: number; dead: number };
}

export interface Rig {
  home: string;
  steward: StewardProcess;
  model: MessagesApi;
  telegram: FakeTelegram;
  effects: Effects;
  /** One request; throws for anything but 2xx. */
  api<T = Record<string, unknown>>(
    path: string,
    method?: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<T>;
  /** The process dies at the n-th passage of this place from now on, once. */
  arm(point: FailpointName, nth?: number): void;
  armed(): boolean;
  disarm(): void;
  /** Starts the process again over the same data folder; once more when it dies on the way as ordered. */
  restart(): Promise<void>;
  status(): Promise<Status>;
  sessions(): Promise<WireSession[]>;
  events(sessionId: string): Promise<WireEvent[]>;
  /** Lets the person of this chat in. */
  pair(chat: number, role: 'owner' | 'guest'): Promise<void>;
  close(): Promise<void>;
}

export interface RigOptions {
  env?: Record<string, string>;
  /** A variant of known-bad.ts that the process is made of. */
  knownBad?: string;
  /** Where every passage of a failpoint is noted. */
  passagesFile?: string;
  effectAnswersAfterMs?: number;
}

/** Waits for a fact, not for a time. A look that throws counts as not yet. */
export async function until<T>(what: string, look: () => T | Promise<T>, ms = 20_000): Promise<NonNullable<T>> {
  const end = performance.now() + ms;
  let last: unknown;
  for (;;) {
    try {
      const value = await look();
      if (value) return value as NonNullable<T>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`Waited ${ms} ms in vain for ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const home = makeHome();
  const crashFile = join(home, 'crash-at');
  const [model, telegram, effects] = await Promise.all([
    startMessagesApi({ key: KEY, handler: brain, keep: 100 }),
    startTelegram(),
    startEffects(),
  ]);
  effects.delay(options.effectAnswersAfterMs ?? 0);
  const env = {
    ANTHROPIC_API_KEY: KEY,
    ANTHROPIC_BASE_URL: model.url,
    TELEGRAM_BOT_TOKEN: telegram.token,
    TELEGRAM_API_ROOT: telegram.url,
    STEWARD_LOG_LEVEL: 'info',
    STEWARD_BUDGET_DAY_USD: '100000',
    EFFECTS_URL: effects.url,
    CRASH_FILE: crashFile,
    NODE_COMPILE_CACHE: COMPILED,
    ...(options.passagesFile && { PASSAGES_FILE: options.passagesFile }),
    ...(options.knownBad && { KNOWN_BAD: options.knownBad }),
    ...options.env,
  };
  const loader = options.knownBad ? ['--import', './test/fixtures/known-bad.ts'] : [];
  const start = () =>
    startSteward({ home, env, args: [...loader, 'test/fixtures/steward-with-effects.ts'], timeoutMs: 30_000 });
  if (!existsSync(COMPILED)) await (await start()).kill('SIGTERM');
  const rig: Rig = {
    home,
    steward: await start(),
    model,
    telegram,
    effects,
    async api<T>(path: string, method = 'GET', body?: unknown, headers: Record<string, string> = {}) {
      const response = await fetch(`${rig.steward.url}${path}`, {
        method,
        headers: { 'x-api-key': rig.steward.token, 'content-type': 'application/json', ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return JSON.parse(text) as T;
    },
    arm: (point, nth = 1) => writeFileSync(crashFile, `${point}:${nth}`),
    armed: () => existsSync(crashFile),
    disarm: () => rmSync(crashFile, { force: true }),
    async restart() {
      const ordered = rig.armed();
      try {
        rig.steward = await start();
      } catch (error) {
        if (!ordered || rig.armed()) throw error;
        rig.steward = await start();
      }
    },
    status: () => rig.api<Status>('/api/status'),
    sessions: () => pages<WireSession>(rig, '/v1/sessions?limit=100&order=asc'),
    events: (id) => pages<WireEvent>(rig, `/v1/sessions/${id}/events?limit=1000`),
    async pair(chat, role) {
      telegram.say(chat, 'hello');
      const pairing = await until('the pairing', async () => {
        const { data } = await rig.api<{ data: { code: string; user_id: string }[] }>('/api/pairings');
        return data.find((entry) => entry.user_id === String(chat));
      });
      await rig.api(`/api/pairings/${pairing.code}/approve`, 'POST', { role });
    },
    async close() {
      await rig.steward.kill();
      await Promise.all([model.close(), telegram.close(), effects.close()]);
      rmSync(home, { recursive: true, force: true });
    },
  };
  // The tools of the suites may act without asking; approvals have a test of their own.
  await allowTools(rig, true);
  return rig;
}

/** New sessions take the agent as it is then. */
export async function allowTools(rig: Rig, always: boolean): Promise<void> {
  const { version } = await rig.api<{ version: number }>('/v1/agents/agent_steward');
  const policy = { permission_policy: { type: 'always_allow' } };
  await rig.api('/v1/agents/agent_steward', 'POST', {
    version,
    tools: [{ type: 'agent_toolset_20260401', ...(always && { default_config: policy }) }],
  });
}

async function pages<T>(rig: Rig, path: string): Promise<T[]> {
  const all: T[] = [];
  for (let page: string | null = ''; page !== null; ) {
    const cursor: string = page ? `&page=${encodeURIComponent(page)}` : '';
    const part: { data: T[]; next_page: string | null } = await rig.api(`${path}${cursor}`);
    all.push(...part.data);
    page = part.next_page;
  }
  return all;
}
