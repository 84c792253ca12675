// The views and orders that the HTTP API offers of hands.
import { StewardError } from '../core/errors.ts';
import type { HandsApi, HandsReport, SingleCommand, SingleResult } from '../core/hands.ts';
import type { Id, JsonObject, Millis } from '../core/types.ts';
import type { Audit } from './audit.ts';
import type { LimitName, ProbeReport, Sandbox } from './driver.ts';
import type { Exposer } from './expose.ts';
import type { Hands } from './hands.ts';
import type { Checkpoint, Ledger, SandboxRow } from './ledger.ts';

const time = (at: Millis | null) => (at === null ? null : new Date(at).toISOString());

const rowView = (row: SandboxRow): JsonObject => ({
  id: row.id,
  type: 'sandbox',
  session_id: row.sessionId,
  driver: row.driver,
  state: row.state,
  reason: row.reason,
  restored_from: row.restoredFrom,
  created_at: time(row.createdAt),
  ended_at: time(row.endedAt),
});

const checkpointView = (checkpoint: Checkpoint): JsonObject => ({
  id: checkpoint.id,
  type: 'checkpoint',
  session_id: checkpoint.sessionId,
  sandbox_id: checkpoint.sandboxId,
  position: checkpoint.position,
  label: checkpoint.label,
  processes: checkpoint.processes.map(({ pid, argv, ports }) => ({ pid, argv, ports })),
  created_at: time(checkpoint.createdAt),
});

/** Pure. What people see of a probe; before the first one is done, that it is not. */
export function reportView(input: {
  driver: string;
  probe: ProbeReport | null;
  probedAt: Millis | null;
  broker: { state: string; detail: string };
  alive: number;
}): HandsReport {
  const { probe } = input;
  const names: LimitName[] = ['memory', 'cpu', 'pids', 'disk', 'wall'];
  return {
    driver: input.driver,
    state: probe === null ? 'starting' : probe.ok ? 'on' : 'off',
    isolation: probe?.isolation ?? 'unknown',
    egressLocked: probe?.egressLocked ?? false,
    limits: Object.fromEntries(names.map((name) => [name, { means: probe?.limits[name] ?? null }])),
    findings: probe?.findings ?? [],
    detail: probe?.detail ?? 'A sandbox is being tried.',
    broker: input.broker,
    probedAt: input.probedAt,
    alive: input.alive,
  };
}

export function createHandsApi(deps: {
  hands: Hands;
  ledger: Ledger;
  audit: Audit;
  exposer: Exposer;
  report(): HandsReport;
  single(request: SingleCommand): Promise<SingleResult>;
}): HandsApi {
  const { hands, ledger } = deps;
  const alive = (id: Id): Sandbox => {
    const found = hands.find(id);
    if (found) return found.sandbox;
    const row = ledger.get(id);
    throw new StewardError(
      'not_found',
      row ? `The sandbox ${id} is gone: ${row.reason ?? row.state}.` : `There is no sandbox ${id}.`,
      {
        op: 'find a sandbox',
        hint: 'GET /api/sandboxes lists them.',
      },
    );
  };
  const live = async (sandbox: Sandbox): Promise<JsonObject> => {
    const [stats, processes] = await Promise.all([
      sandbox.stats().catch(() => null),
      sandbox.processes().catch(() => []),
    ]);
    return {
      stats: stats && {
        cpu_ms: Math.round(stats.cpuMicros / 1_000),
        rss_bytes: stats.rssBytes,
        pids: stats.pids,
        disk_bytes: stats.diskBytes,
        last_output_at: time(stats.lastOutputAt),
        state: stats.state,
      },
      processes: processes.map(({ pid, parent, argv, ports, startedAt }) => ({
        pid,
        parent,
        argv,
        ports,
        started_at: time(startedAt),
      })),
    };
  };
  return {
    report: deps.report,
    sweep: async () => ({ removed: await hands.clear() }),
    single: deps.single,
    async list(options) {
      return ledger.list(options).map(rowView);
    },
    async get(id) {
      const row = ledger.get(id);
      if (!row) alive(id);
      const found = hands.find(id);
      return { ...rowView(row!), ...(found ? await live(found.sandbox) : { stats: null, processes: [] }) };
    },
    async kill(id) {
      alive(id);
      await hands.putAway(hands.find(id)!.sessionId, 'the owner ended it', { force: true });
    },
    async expose(id, port) {
      const sandbox = alive(id);
      const socket = await sandbox.dial(port).catch((error: unknown) => {
        throw new StewardError('not_found', `Nothing answers on port ${port} of this sandbox.`, {
          op: 'show a port',
          hint: 'Start the server first; GET /api/sandboxes/{id} lists its ports.',
          cause: error,
        });
      });
      socket.destroy();
      return deps.exposer.expose(sandbox, port);
    },
    egress: (options) =>
      deps.audit.list(options).map((entry) => ({
        at: time(entry.at),
        sandbox_id: entry.sandboxId,
        session_id: entry.sessionId,
        tool_use_id: entry.callId,
        method: entry.method,
        host: entry.host,
        port: entry.port,
        path: entry.path,
        verdict: entry.verdict,
        why: entry.why,
        status: entry.status,
        bytes_out: entry.bytesOut,
        bytes_in: entry.bytesIn,
        took_ms: entry.tookMs,
      })),
    checkpoints: (sessionId) => ledger.checkpoints(sessionId).map(checkpointView),
    restore: async (sessionId, checkpointId) => checkpointView(await hands.restore(sessionId, checkpointId)),
    label(sessionId, checkpointId, label) {
      const checkpoint = ledger.need(sessionId, checkpointId);
      ledger.label(checkpoint.id, label);
      return checkpointView({ ...checkpoint, label });
    },
  };
}
