// The table of contents: starts Steward in numbered steps, stops it by the same steps backwards. The only file that sees every room.
import { uptime } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createChannels } from '../channels/index.ts';
import { createMemory } from '../memory/index.ts';
import { createSandboxes } from '../sandboxes/index.ts';
import { createScheduler } from '../scheduler/index.ts';
import { createScheduleTools } from '../scheduler/tools/index.ts';
import { startAlarms } from './alarms.ts';
import { runAnnouncement } from './announcements.ts';
import { backupBeforeNight, createBackups } from './backup.ts';
import { createConsult } from './brain/consult.ts';
import { createLanes } from './brain/lanes.ts';
import { createNative } from './brain/native.ts';
import { checkBudget } from './budget.ts';
import { type Clock, systemClock } from './clock.ts';
import { type Config, loadConfig, secretsOf } from './config.ts';
import { createDelivery } from './delivery.ts';
import { describeError, exitCodeOf } from './errors.ts';
import { type Failpoint, noFailpoint } from './failpoint.ts';
import { forgetSession } from './forget.ts';
import type { HarnessPrograms } from './harness.ts';
import { createHealth, createModelHealth } from './health.ts';
import { makeHome } from './home.ts';
import { createIntake } from './intake.ts';
import { takeLock } from './lock.ts';
import { createLog, type Log, redactor } from './log.ts';
import type { EvaluateMemory } from './memory-evaluation.ts';
import { createModels } from './models/index.ts';
import { openRecord } from './record.ts';
import type { Schedule, ScheduleRun } from './schedules.ts';
import { createSettings } from './settings-live.ts';
import type { TasksApi } from './tasks.ts';
import { createScheduledTasks } from './tasks-scheduled.ts';
import { createTaskTeller } from './tasks-tell.ts';
import { readToken } from './token.ts';
import { createGuard } from './tools/guard.ts';
import { createTools } from './tools/index.ts';
import type { Tool } from './tools/tool.ts';
import { toolsOf } from './tools/toolset.ts';
import type { Address, Id, Progress } from './types.ts';
import { startWalKeeper } from './wal.ts';

/** Longest wait for runs at work when Steward is told to stop; PM2 kills after 15 s. */
const GRACE_MS = 10_000;

export interface BootOptions {
  env: NodeJS.ProcessEnv;
  clock?: Clock;
  log?: Log;
  /** Tools beside the built-in ones; how tests bring effects of every class. */
  extraTools?: readonly Tool[];
  crash?: Failpoint;
}

export interface Steward {
  url(): string;
  config: Config;
  tasks: TasksApi;
  stop(): Promise<void>;
}

export async function boot(options: BootOptions): Promise<Steward> {
  const clock = options.clock ?? systemClock;
  const crash = options.crash ?? noFailpoint;
  const now = clock.now;

  // 1. Configuration: everything wrong is said at once, and nothing is touched.
  const settings = createSettings(options.env, loadConfig(options.env));
  const config = settings.config();

  // 2. The data folder is ours alone.
  process.umask(0o077);
  makeHome(config.home);
  const lock = takeLock(config.home);
  const token = readToken(config.home);
  let vaultSecrets: () => readonly string[] = () => [];
  const redact = redactor(() => [...secretsOf(settings.config()), token, ...vaultSecrets()]);
  const log = options.log ?? createLog({ level: config.logLevel, redact });

  // 3. The record.
  const record = openRecord(config.home, {
    clock,
    timeZone: config.timeZone,
    safeModeAfter: config.safeModeAfter,
    vaultKey: config.vaultKey,
    split: (name, markdown) => channels.split(name, markdown),
    wakeDelivery: () => delivery.wake(),
  });
  const { db, sessions, boots, runs } = record;
  vaultSecrets = () => [...record.vault.secrets(), ...record.hookSecrets()];
  const backups = createBackups({ db, home: config.home, now });
  const swept = db.tx(() => runs.sweep());
  const awake = () => boots.safeMode() === null && !stopping;
  let stopping = false;
  let ready = false;

  // 4. Intake and outbox: what comes in, what goes out.
  const wake = (sessionId: Id) => void (awake() && lanes.wake(sessionId));
  const intake = createIntake({
    ...record,
    now,
    crash,
    wake,
    interrupt: (id) => void (awake() && lanes.interrupt(id)),
  });
  const delivery = createDelivery({ ...record, clock, log, crash, channel: (name) => channels.get(name) });

  // 5. Hands: made by the first call that needs them; and the tasks that work with them.
  const sandboxes = await createSandboxes({
    ...record,
    ...{ config, clock, log, redact, crash, wake },
    onTask: createTaskTeller(record),
    interrupt: (id) => void (awake() && lanes.interrupt(id)),
  });

  // 6. Memory: what outlasts a conversation, found again. It asks the models that the brain asks.
  let models = createModels({ ...modelOptions(config), now });
  const modelHealth = createModelHealth(now);
  const thinking = {
    ...{ clock, crash, random: Math.random, observed: modelHealth.observed },
    models: () => models.list,
    budget: (model: string) => {
      const { budgetDayUsd: limitUsd, timeZone } = settings.config();
      return checkBudget({ model, today: record.usage.today(), limitUsd, timeZone }, now());
    },
  };
  const memory = createMemory({
    ...record,
    ...{ clock, log, timeZone: config.timeZone, settings: config },
    consult: createConsult({ ...record, ...thinking }),
    backup: () => backupBeforeNight(backups, { now, log }),
    mainSession: () => intake.mainSession().id,
  });

  // 7. The brain: tools, one lane per session.
  const guard = createGuard(config.fetchAllow);
  const channelNames = () => channels.list().map((channel) => channel.name);
  const tools = [
    ...createTools({ ...record, guard, filesDir: join(config.home, 'files'), channels: channelNames }),
    ...sandboxes.tools,
    ...memory.tools,
    ...createScheduleTools({ schedules: () => scheduler.api, timeZone: () => settings.config().timeZone, now }),
    ...(options.extraTools ?? []),
  ];
  const toolset = toolsOf(tools, record.agents);
  const native = createNative({
    ...record,
    ...toolset,
    hooks: sandboxes.hooks,
    memory: memory.brain,
    ...thinking,
    log,
    timeZone: config.timeZone,
    contextTokens: config.contextTokens,
    quarantineAfter: config.quarantineAfter,
    harnesses: sandboxes.harnesses,
    harness: () => settings.config().harness,
    namedModel: (name) => models.named(name),
    progress: (to: readonly Address[], sessionId: Id, progress: Progress) => {
      for (const address of to) channels.get(address.channel)?.progress(address, sessionId, progress);
    },
  });
  const lanes = createLanes({ carry: native.carry, clock, log });

  // 8. Time: what is to happen when nobody says anything.
  const announceRun = (run: ScheduleRun, schedule: Schedule) => {
    const said = runAnnouncement(run, schedule);
    if (said === null) return;
    // A run that never began has no session: the main conversation hears if its word does not arrive.
    const sessionId = run.sessionId ?? intake.mainSession().id;
    record.webhooks.announce(said.kind, said.data, { key: run.id, sessionId });
  };
  const scheduler = createScheduler({
    ...record,
    ...{ clock, log, crash, timeZone: config.timeZone, awake: () => ready && awake(), wake },
    interrupt: (id) => void (awake() && lanes.interrupt(id)),
    onEnded: announceRun,
    createTask: createScheduledTasks({ tasks: sandboxes.tasks, events: record.events }),
    // Another clock than the system's has another idea of how long the machine is up.
    uptime: () => (options.clock ? null : uptime() * 1_000),
    built: {
      ...{ home: config.home, backups, guard, memory: memory.api, consolidate: memory.api.consolidate },
      hands: sandboxes.api,
      mainSession: () => intake.mainSession().id,
      sweepSignIns: () => channels.sweep(),
      channels: () => channels.list().map((channel) => channel.health(now())),
      budgetDayUsd: () => settings.config().budgetDayUsd,
      timeZone: () => settings.config().timeZone,
    },
  });

  // 9. Channels: the ways in and out.
  const resume = () => {
    delivery.start();
    for (const id of sessions.toWake(now())) wake(id);
    sandboxes.resume();
  };
  const leaveSafeMode = () => {
    if (boots.safeMode() === null) return;
    boots.leaveSafeMode();
    log.warn({}, 'safe mode ended');
    resume();
  };
  const health = createHealth({
    ...record,
    model: modelHealth,
    config: settings.config,
    hands: sandboxes.report,
    memory: () => ({ embeddings: memory.embeddings() }),
    tickAge: scheduler.age,
    warnings: settings.warnings,
    channels: () => channels.list(),
    models: () => models.list.map((model) => model.name),
    pendingApprovals: () => record.approvals.pending().length,
    mainSessionId: () => {
      try {
        return intake.mainSession().id;
      } catch {
        return null;
      }
    },
    now,
    ready: () => ready,
    lanes: lanes.active,
  });
  const forget = (id: Id) => {
    db.tx(() => {
      forgetSession(record, id);
      memory.sessionDeleted(id);
      sandboxes.sessionDeleted(id);
    });
    sandboxes.forget(id).catch((error) => log.error({ error, session: id }, 'the files of a deleted session remain'));
  };
  const channels = createChannels({
    ...record,
    clock,
    log,
    intake,
    health,
    token,
    redact,
    settings,
    assets: fileURLToPath(new URL('../channels/console/dist', import.meta.url)),
    hands: sandboxes.api,
    backups,
    memory: memory.api,
    memoryStores: memory.stores,
    schedules: scheduler.api,
    tasks: sandboxes.tasks,
    forgetSession: forget,
    leaveSafeMode,
    reached: delivery.hurry,
  });
  settings.onChange(async (changed) => {
    models = createModels({ ...modelOptions(settings.config()), now });
    await channels.reconfigure(changed);
    await memory.reconfigure(settings.config());
    await sandboxes.reconfigure(settings.config());
    delivery.wake();
    for (const id of sessions.toWake(Number.MAX_SAFE_INTEGER)) wake(id);
  });

  const stop = async () => {
    if (stopping) return;
    stopping = true;
    ready = false;
    alarms.stop();
    wal.stop();
    await channels.stopIntake();
    await scheduler.stop();
    await sandboxes.stopTasks();
    await lanes.stop(GRACE_MS);
    await delivery.stop();
    await backups.stop();
    await memory.stop();
    await sandboxes.stop();
    await channels.stop();
    health.stop();
    try {
      db.tx(() => boots.end());
    } catch (error) {
      // A full disk must not keep Steward from ending; this life then counts as one that crashed.
      log.error({ error }, 'the end of this life could not be noted');
    }
    db.close();
    lock.release();
    log.info({}, 'stopped');
  };

  // 10. Go: what was cut off goes on, what waited is sent.
  const wal = startWalKeeper({ db, bus: record.bus, log });
  const alarms = startAlarms({ record, intake, log, now, wake, leaveSafeMode, forgetSession: forget });
  try {
    await channels.start();
  } catch (error) {
    await stop();
    throw error;
  }
  void sandboxes.start();
  memory.start();
  const safe = boots.safeMode();
  if (safe) log.error({ why: safe.why }, 'safe mode: only the console and status answer; leave it in the console');
  else resume();
  ready = true;
  db.tx(() => boots.ready());
  scheduler.start();
  log.info(
    { url: channels.url(), models: models.list.map((model) => model.name), interrupted_runs: swept.length },
    'ready',
  );
  return { url: channels.url, config, tasks: sandboxes.tasks, stop };
}

const modelOptions = (config: Config) => ({
  models: [...config.models],
  apiKey: config.anthropicApiKey ?? undefined,
  authToken: config.anthropicAuthToken ?? undefined,
  baseURL: config.anthropicBaseUrl ?? undefined,
});

/** For `steward eval`: measures memory in folders of its own, without a Steward. */
export const loadEvaluation = async (): Promise<EvaluateMemory> => (await import('../memory/eval/index.ts')).evaluate;

/** For `steward doctor`: the programs of harnesses, without a Steward. */
export const loadPrograms = async (config: Config, env: NodeJS.ProcessEnv): Promise<HarnessPrograms> =>
  (await import('../sandboxes/harnesses/programs.ts')).programsOf(config.home, env);

/** Runs until a signal ends it. Exits 75 and 78 as the contract says; PM2 hears `ready` and passes SIGINT. */
export async function main(options: Omit<BootOptions, 'env'> = {}): Promise<void> {
  let steward: Steward | null = null;
  let ending = false;
  const end = async (code: number) => {
    if (ending) return;
    ending = true;
    await steward?.stop();
    process.exit(code);
  };
  process.on('SIGTERM', () => void end(0));
  process.on('SIGINT', () => void end(0));
  process.on('uncaughtException', (error) => {
    // A state nobody foresaw: end at once and let the record, which is whole, begin a new life.
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  });
  try {
    steward = await boot({ ...options, env: process.env });
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    process.exit(exitCodeOf(error));
  }
  process.send?.('ready');
}
