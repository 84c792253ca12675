// Is it well? Answers from progress timestamps, never from flags somebody forgot to clear.
import type { Boots } from './boots.ts';
import type { Calls } from './brain/calls.ts';
import type { Config } from './config.ts';
import type { Cursors } from './cursors.ts';
import type { Db } from './db.ts';
import { type HandsReport, handsView } from './hands.ts';
import type { Outbox } from './outbox.ts';
import type { Sessions } from './sessions.ts';
import type { Channel, ChannelHealth, Id, JsonObject, Millis, ModelOutcome } from './types.ts';
import type { Usage } from './usage.ts';

export const VERSION = '0.1.0';

/** A write probe older than this is made anew when somebody asks. */
const PROBE_MS: Millis = 5_000;
/** An outbox row that waits longer than this is a finding. */
const OUTBOX_LATE_MS: Millis = 120_000;
/** The scheduler looks at the clock each second; one that did not for so long is stuck. */
const TICK_LATE_MS: Millis = 15_000;
/** Loop delay above this is shown; measured each second. */
const LAG_MS: Millis = 250;

export interface Check {
  name: string;
  ok: boolean;
  detail: string;
  age_ms: number | null;
  /** A failing critical check means: not ready. The others mean: up, but something is wrong. */
  critical: boolean;
}

export interface ModelHealth {
  observed(outcome: ModelOutcome): void;
  state(): { state: 'ok' | 'unreachable' | 'unknown'; detail: string; lastSuccessAt: Millis | null };
}

export function createModelHealth(now: () => Millis): ModelHealth {
  let lastSuccessAt: Millis | null = null;
  let lastFailure: { at: Millis; message: string } | null = null;
  return {
    observed(outcome) {
      if (outcome.kind === 'done') lastSuccessAt = now();
      else if (outcome.failure !== 'aborted') lastFailure = { at: now(), message: outcome.message };
    },
    state() {
      if (lastFailure && lastFailure.at > (lastSuccessAt ?? 0))
        return { state: 'unreachable', detail: lastFailure.message, lastSuccessAt };
      if (lastSuccessAt) return { state: 'ok', detail: '', lastSuccessAt };
      return { state: 'unknown', detail: 'No request was made yet.', lastSuccessAt };
    },
  };
}

/** How searching memory by meaning does. Off unless the owner chose a provider; search by words needs none of it. */
export interface EmbeddingsReport {
  provider: string;
  model: string | null;
  state: 'off' | 'building' | 'ok' | 'failing';
  detail: string;
  /** Null before the first answer of the model. */
  dimension: number | null;
  /** Held in memory. */
  vectors: number;
  /** At most so many are still to be made. */
  waiting: number;
  /** Counted by the provider, since ever. They have no price here and are not in the budget. */
  tokens: number;
  lastSuccessAt: Millis | null;
}

export interface MemoryReport {
  embeddings: EmbeddingsReport;
}

export interface HealthDeps {
  db: Db;
  boots: Boots;
  cursors: Cursors;
  sessions: Sessions;
  outbox: Outbox;
  usage: Usage;
  calls: Calls;
  model: ModelHealth;
  config(): Config;
  hands(): HandsReport;
  memory?(): MemoryReport;
  /** Milliseconds since the scheduler last got on; null before it began. */
  tickAge?(): Millis | null;
  warnings(): readonly string[];
  channels(): readonly Channel[];
  models(): readonly string[];
  pendingApprovals(): number;
  /** Null while none could be made. */
  mainSessionId(): Id | null;
  now(): Millis;
  ready(): boolean;
  lanes(): number;
}

export interface Health {
  check(): { ready: boolean; checks: Check[] };
  status(): JsonObject;
  /** Prometheus text. */
  metrics(): string;
  stop(): void;
}

function handsCheck(hands: HandsReport, age: (at: Millis | null) => number | null): Check {
  const open = Object.entries(hands.limits).filter(([, { means }]) => means === null);
  const limits = Object.entries(hands.limits)
    .filter(([, { means }]) => means !== null)
    .map(([name, { means }]) => `${name} by ${means}`);
  const parts = [
    `${hands.driver}: ${hands.state === 'on' ? `isolation by ${hands.isolation}` : hands.state === 'off' ? 'hands are off' : 'being tried'}`,
    ...(hands.state === 'on' ? [hands.egressLocked ? 'no way out but the broker' : 'the way out is open'] : []),
    ...limits,
    ...(hands.state === 'on' && open.length > 0 ? [`no limit on ${open.map(([name]) => name).join(', ')}`] : []),
    ...hands.findings.filter(({ level }) => level === 'error').map(({ text, fix }) => `${text} ${fix}`),
  ];
  const ok = hands.state !== 'off' && hands.isolation !== 'none' && hands.broker.state !== 'failing';
  return { name: 'hands', ok, detail: parts.join('; '), age_ms: age(hands.probedAt), critical: false };
}

function tickCheck(age: Millis | null): Check {
  const ok = age === null || age < TICK_LATE_MS;
  const detail = ok
    ? 'looks each second'
    : `did not look at the clock for ${Math.round(age / 1_000)} s; restart Steward`;
  return { name: 'scheduler', ok, detail, age_ms: age === null ? null : Math.round(age), critical: true };
}

function embeddingsCheck(found: EmbeddingsReport, age: (at: Millis | null) => number | null): Check[] {
  if (found.state === 'off') return [];
  const detail = [`${found.provider} ${found.model}`, found.detail].filter(Boolean).join(': ');
  return [
    { name: 'embeddings', ok: found.state !== 'failing', detail, age_ms: age(found.lastSuccessAt), critical: false },
  ];
}

export function createHealth(deps: HealthDeps): Health {
  const { db, now } = deps;
  let wroteAt: Millis | null = null;
  let writeError = '';
  let lag = 0;
  let beat = performance.now();
  const timer = setInterval(() => {
    const at = performance.now();
    lag = Math.max(0, at - beat - 1_000);
    beat = at;
  }, 1_000);
  timer.unref();

  const probeWrite = () => {
    if (wroteAt !== null && now() - wroteAt < PROBE_MS) return;
    try {
      db.tx(() => deps.cursors.set('health.write', now()));
      wroteAt = now();
      writeError = '';
    } catch (error) {
      writeError = (error as Error).message;
    }
  };
  const age = (at: Millis | null) => (at === null ? null : Math.max(0, now() - at));

  const channelCheck = (health: ChannelHealth): Check => ({
    name: `channel ${health.name}`,
    ok: health.state !== 'failing',
    detail: health.detail,
    age_ms: age(health.lastSuccessAt),
    critical: false,
  });

  const health: Health = {
    check() {
      probeWrite();
      const model = deps.model.state();
      const outbox = deps.outbox.counts();
      const late = age(outbox.oldestPendingAt);
      const checks: Check[] = [
        {
          name: 'process',
          ok: deps.ready(),
          detail: deps.ready() ? 'started' : 'starting or stopping',
          age_ms: age(deps.boots.startedAt),
          critical: true,
        },
        {
          name: 'database',
          ok: writeError === '',
          detail: writeError || 'takes writes',
          age_ms: age(wroteAt),
          critical: true,
        },
        {
          name: 'event loop',
          ok: lag < LAG_MS,
          detail: `last delay ${Math.round(lag)} ms`,
          age_ms: null,
          critical: false,
        },
        {
          name: 'model',
          ok: model.state !== 'unreachable',
          detail: model.detail,
          age_ms: age(model.lastSuccessAt),
          critical: false,
        },
        {
          name: 'outbox',
          ok: (late ?? 0) < OUTBOX_LATE_MS,
          detail: `${outbox.pending} waiting, ${outbox.dead} given up this week`,
          age_ms: late,
          critical: false,
        },
        ...(deps.tickAge ? [tickCheck(deps.tickAge())] : []),
        handsCheck(deps.hands(), age),
        ...(deps.memory ? embeddingsCheck(deps.memory().embeddings, age) : []),
        ...deps.channels().map((channel) => channelCheck(channel.health(now()))),
      ];
      return { ready: checks.every((check) => check.ok || !check.critical), checks };
    },
    status() {
      const config = deps.config();
      const { ready, checks } = health.check();
      const model = deps.model.state();
      const outbox = deps.outbox.counts();
      const today = deps.usage.today();
      const safe = deps.boots.safeMode();
      const notices: { level: string; text: string }[] = deps.warnings().map((text) => ({ level: 'warn', text }));
      for (const check of checks)
        if (!check.ok)
          notices.push({ level: check.critical ? 'error' : 'warn', text: `${check.name}: ${check.detail}` });
      const doubts = deps.calls.inDoubt();
      if (doubts > 0)
        notices.push({
          level: 'warn',
          text: `${doubts} tool call(s) ended in doubt: see the timeline of their sessions.`,
        });
      if (today.unpriced_requests > 0)
        notices.push({
          level: 'warn',
          text: `${today.unpriced_requests} request(s) today went to a model whose price is not known; the budget cannot count them.`,
        });
      const sessions = deps.sessions.counts();
      const models = deps.models();
      return {
        version: VERSION,
        ready,
        started_at: new Date(deps.boots.startedAt).toISOString(),
        pid: process.pid,
        safe_mode: safe ? { since: new Date(safe.since).toISOString(), why: safe.why } : null,
        model: {
          configured: [...models],
          provider: models.includes('offline') ? 'offline' : 'anthropic',
          state: model.state,
          detail: model.detail,
          last_success_at: model.lastSuccessAt === null ? null : new Date(model.lastSuccessAt).toISOString(),
        },
        channels: deps.channels().map((channel) => {
          const { name, state, detail, lastSuccessAt } = channel.health(now());
          return {
            name,
            state,
            detail,
            last_success_at: lastSuccessAt === null ? null : new Date(lastSuccessAt).toISOString(),
          };
        }),
        hands: handsView(deps.hands()),
        main_session_id: deps.mainSessionId(),
        sessions: { ...sessions, active: deps.lanes() },
        approvals_pending: deps.pendingApprovals(),
        outbox: {
          pending: outbox.pending,
          oldest_pending_at: outbox.oldestPendingAt === null ? null : new Date(outbox.oldestPendingAt).toISOString(),
          dead: outbox.dead,
        },
        budget: {
          day_limit_usd: config.budgetDayUsd,
          day_spent_usd: today.cost_usd ?? 0,
          unpriced_requests: today.unpriced_requests,
        },
        disk: { state: db.diskFullSince() === null ? 'ok' : 'full' },
        notices,
      };
    },
    metrics() {
      const { ready, checks } = health.check();
      const outbox = deps.outbox.counts();
      const sessions = deps.sessions.counts();
      const today = deps.usage.today();
      const gauges: [string, string, number][] = [
        ['ready', '1 when every critical check passes', ready ? 1 : 0],
        ['sessions_running', 'sessions a run works on', sessions.running],
        ['sessions_waiting', 'sessions that wait for the model', sessions.rescheduling],
        ['outbox_pending', 'messages not sent yet', outbox.pending],
        ['outbox_dead', 'messages given up this week', outbox.dead],
        ['cost_usd_today', 'cost of model requests today', today.cost_usd ?? 0],
        ['event_loop_lag_ms', 'last measured delay of the event loop', Math.round(lag)],
        ['resident_memory_bytes', 'resident memory', process.memoryUsage.rss()],
      ];
      const lines = gauges.flatMap(([name, help, value]) => [
        `# HELP steward_${name} ${help}`,
        `# TYPE steward_${name} gauge`,
        `steward_${name} ${value}`,
      ]);
      lines.push('# HELP steward_check_ok 1 when a check passes', '# TYPE steward_check_ok gauge');
      for (const check of checks)
        lines.push(`steward_check_ok{name=${JSON.stringify(check.name)}} ${check.ok ? 1 : 0}`);
      return `${lines.join('\n')}\n`;
    },
    stop: () => clearInterval(timer),
  };
  return health;
}
