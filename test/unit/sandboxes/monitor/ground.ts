// Where the monitor is tried in earnest: real sandboxes, a real record, the broker in its process, and runs that are watched.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../../core/clock.ts';
import { createLog } from '../../../../core/log.ts';
import type { Millis } from '../../../../core/types.ts';
import { DEFAULT_LIMITS, type Sandbox } from '../../../../sandboxes/driver.ts';
import { createBwrap } from '../../../../sandboxes/drivers/bwrap.ts';
import { createMonitor, type Run } from '../../../../sandboxes/monitor/index.ts';
import type { Patience, VerdictKind } from '../../../../sandboxes/monitor/judge.ts';
import { openTestRecord } from '../../../helpers/record.ts';
import { OFFLINE, startRig } from '../broker/rig.ts';

/** Hours in seconds: what is borne for minutes is borne for as many half seconds here. */
export const HURRIED: Patience = {
  freshMs: 400,
  softMs: 1_500,
  spinMs: 6_500,
  talkMs: 3_000,
  busyMs: 14_000,
  requestMs: 8_000,
  modelMs: 8_000,
  blockedMs: 3_000,
  emptyMs: 1_000,
  unanswered: 3,
  idleCores: 0.02,
};
export const TICK_MS: Millis = 250;

export interface Watched {
  run: Run;
  /** Each change as it was told, with its time since the run began. */
  told: { at: Millis; verdict: VerdictKind; did: string | null; why: string }[];
}

export interface Program {
  /** In the sandbox; null: nothing is started. */
  argv: readonly string[] | null;
  harness?: string;
  stdin?: 'open';
  /** Beside it, in the log. */
  log?(say: (type: string, payload: Record<string, unknown>) => string): void;
  /** Once it runs. */
  started?(sandbox: Sandbox): Promise<void>;
}

export async function openGround(options: { restarts: boolean; patience?: Patience }) {
  const root = mkdtempSync(join(tmpdir(), 'mon-'));
  chmodSync(root, 0o711);
  const record = openTestRecord({ clock: { ...systemClock, advance: async () => {}, sleeping: () => 0 } });
  const uids = { first: 2_400_000 + (process.pid % 10_000) * 80, count: 80 };
  const nothing = async () => {
    throw new Error('no snapshots here');
  };
  const snapshots = { save: nothing, restore: nothing, prune: async () => {}, forget: async () => {} };
  const driver = createBwrap({ root, uids, now: Date.now, snapshots });
  const hole = createServer(() => {});
  await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve));
  const { port } = hole.address() as AddressInfo;
  const rig = await startRig({ options: { reach: ['web.test'], names: { 'web.test': [['127.0.0.1']] } } });
  const policy = { ...OFFLINE, allow: [{ host: 'web.test', ports: [port] }] };

  const watched = new Map<string, Watched>();
  const begun = new Map<string, { at: Millis; program: Program }>();
  const atWork = new Map<string, Run>();
  let made = 0;

  const launch = async (run: Omit<Run, 'sandbox'>, program: Program): Promise<Run> => {
    const id = `sbx_mon${process.pid}x${made++}`;
    const sandbox = await driver.create({
      id,
      labels: {},
      workspace: { type: 'empty' },
      env: {},
      mounts: [],
      limits: { ...DEFAULT_LIMITS, memoryMb: 256, diskMb: 100, wallMs: 120_000 },
      profile: 'strict',
      listen: (socketPath) => rig.broker.open(id, socketPath, policy),
    });
    if (program.argv) {
      const execution = sandbox.exec(program.argv, program.stdin ? { stdin: program.stdin } : {});
      void (async () => {
        for await (const _ of execution);
      })().catch(() => {});
      execution.result.catch(() => {});
    }
    await program.started?.(sandbox);
    return { ...run, sandbox };
  };

  const begin = async (name: string, program: Program): Promise<Watched> => {
    const sessionId = record.newSession();
    const run = await launch(
      {
        taskId: `task_${name}`,
        sessionId,
        startedAt: Date.now(),
        limits: { wallMs: 3_600_000, turns: 100, costUsd: null, attempts: 3 },
        attempts: 1,
        harness: program.harness ?? 'claude-code',
        used: { activeMs: 0, turns: 0, costUsd: 0 },
      },
      program,
    );
    program.log?.((type, payload) => record.events.append(sessionId, [{ type, payload: payload as never }])[0]!.id);
    const one: Watched = { run, told: [] };
    watched.set(run.taskId, one);
    begun.set(run.taskId, { at: Date.now(), program });
    atWork.set(run.taskId, run);
    return one;
  };

  const end = async (taskId: string): Promise<void> => {
    const run = atWork.get(taskId);
    atWork.delete(taskId);
    await run?.sandbox?.kill('the case is over');
  };

  const monitor = createMonitor({
    clock: systemClock,
    log: createLog({ level: 'silent', redact: (text) => text }),
    sessions: record.sessions,
    events: {
      ...record.events,
      append(sessionId, events) {
        const stored = record.events.append(sessionId, events);
        for (const { payload } of stored) {
          const { task_id, verdict, did, why } = payload as never as Watched['told'][number] & { task_id: string };
          watched.get(task_id)?.told.push({ at: Date.now() - begun.get(task_id)!.at, verdict, did, why });
        }
        return stored;
      },
    },
    egress: rig.broker,
    runs: () => [...atWork.values()],
    patience: options.patience ?? HURRIED,
    tickMs: TICK_MS,
    actions: {
      note: async () => {},
      nudge: async () => {},
      interrupt: async () => {},
      async restart(run) {
        await end(run.taskId);
        if (!options.restarts) return;
        const again = await launch({ ...run, attempts: run.attempts + 1 }, begun.get(run.taskId)!.program);
        watched.get(run.taskId)!.run = again;
        atWork.set(run.taskId, again);
      },
      handOff: (run) => end(run.taskId),
    },
  });
  monitor.start();

  return {
    begin,
    end,
    monitor,
    record,
    atWork,
    /** Of a server that takes requests and never answers. */
    holeUrl: `http://web.test:${port}/`,
    async close() {
      await monitor.stop();
      await Promise.all([...atWork.keys()].map(end));
      await driver.stop();
      hole.closeAllConnections();
      hole.close();
      await rig.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
