// The room of hands: picks the driver, and puts broker, ledger, tools and views together.
import { join } from 'node:path';
import { CONFIGURED_MODEL } from '../core/agents.ts';
import type { Clock } from '../core/clock.ts';
import type { Config } from '../core/config.ts';
import { StewardError } from '../core/errors.ts';
import type { Failpoint } from '../core/failpoint.ts';
import type { BrainHooks, HandsApi, HandsReport } from '../core/hands.ts';
import type { Harness } from '../core/harness.ts';
import type { Log } from '../core/log.ts';
import type { RecordOf } from '../core/record.ts';
import type { Task, TaskState, TasksApi } from '../core/tasks.ts';
import type { Tool } from '../core/tools/tool.ts';
import type { Id, Millis, Session } from '../core/types.ts';
import { createHandsApi, reportView } from './api.ts';
import { createAudit } from './audit.ts';
import { createBroker, type Upstreams } from './broker/supervisor.ts';
import { createDeliver } from './deliver/index.ts';
import type { SandboxDriver } from './driver.ts';
import { createEgress } from './egress.ts';
import { createExposer } from './expose.ts';
import { createHands, type Extras } from './hands.ts';
import { createHarnesses } from './harnesses/index.ts';
import { createPrograms } from './harnesses/programs.ts';
import { needsProgram } from './harnesses/run-program.ts';
import { createLedger } from './ledger.ts';
import { createMirrors, MIRROR_PLACE } from './mirrors.ts';
import { createMonitor } from './monitor/index.ts';
import { openRoot } from './root.ts';
import { createSingle } from './single.ts';
import { createSnapshots } from './snapshots.ts';
import { createTasks } from './tasks/index.ts';
import { createTaskTools } from './tasks/tools/index.ts';
import { createHandsTools } from './tools/index.ts';
import { actionsOn, runsOf } from './watched.ts';

export interface Sandboxes {
  tools: Tool[];
  /** What carries a session on in place of our own loop. */
  harnesses: Harness[];
  hooks: BrainHooks;
  api: HandsApi;
  tasks: TasksApi;
  report(): HandsReport;
  /** Tries a sandbox and clears away leftovers, beside everything else. Never throws. */
  start(): Promise<void>;
  /** Tasks go on from where they stand; not in safe mode. */
  resume(): void;
  /** Within the transaction that deletes a session. */
  sessionDeleted(sessionId: Id): void;
  forget(sessionId: Id): Promise<void>;
  /** Nothing new begins; what is at work on tasks lets go. */
  stopTasks(): Promise<void>;
  stop(): Promise<void>;
  /** After settings changed: keys and addresses of model servers count from the next request on. */
  reconfigure(config: Config): Promise<void>;
}

export async function createSandboxes(
  deps: RecordOf & {
    config: Config;
    clock: Clock;
    log: Log;
    crash: Failpoint;
    redact(text: string): string;
    wake(sessionId: Id): void;
    interrupt(sessionId: Id): void;
    /** Within the transaction of each step of a task. */
    onTask?(task: Task, from: TaskState | null): void;
  },
): Promise<Sandboxes> {
  const { clock, log, newId } = deps;
  let { config } = deps;
  const { now } = clock;
  const root = openRoot(config.home, process.getuid?.() ?? 1);
  const store = (name: string) => createSnapshots({ root, driver: name, now, newId: () => newId('ckpt') });
  // The list of drivers; only the one that is chosen is loaded.
  const drivers: Record<Config['sandbox'], () => Promise<SandboxDriver>> = {
    bwrap: async () => (await import('./drivers/bwrap.ts')).createBwrap({ root, now, log, snapshots: store('bwrap') }),
    docker: async () =>
      (await import('./drivers/docker.ts')).createDocker({
        root,
        now,
        log,
        home: config.home,
        image: config.sandboxImage,
        ...(config.sandboxRuntime && { runtime: config.sandboxRuntime }),
      }),
    none: async () => (await import('./drivers/none.ts')).createNone({ root, now, snapshots: store('none') }),
  };
  const driver = await drivers[config.sandbox]();
  const ledger = createLedger(deps.db, now);
  const audit = createAudit(deps.db);
  const exposer = createExposer();
  let probedAt: Millis | null = null;

  const broker = createBroker({
    now,
    log,
    caDir: join(root, 'broker'),
    options: { reach: config.fetchAllow },
    onAudit(entry) {
      const row = ledger.get(entry.sandbox);
      if (!row) return;
      const { sandbox: sandboxId, ...rest } = entry;
      const seen = { ...rest, sandboxId, sessionId: row.sessionId };
      try {
        audit.record([seen]);
      } catch (error) {
        log.error({ error }, 'a request of a sandbox could not be recorded');
      }
      hands.observe(seen);
    },
  });
  const egress = createEgress(broker, deps.vault, (error) => log.error({ error }, 'the broker did not take the keys'));
  const mirrors = createMirrors({ root });
  const programs = createPrograms(root, { env: process.env });
  /** Every sandbox sees the programs there are; a task's also the mirror of its repository. */
  const extras = async (session: Session): Promise<Extras> => {
    const task = session.metadata.task_id ? tasks.api.get(session.metadata.task_id) : null;
    const mirror = task && (await mirrors.existing(task.repository));
    const shelf = await programs.shelf();
    return { mounts: mirror ? [...shelf, { from: mirror, to: MIRROR_PLACE }] : [...shelf], env: {} };
  };
  const hands = createHands({ ...deps, ledger, audit, driver, egress, extras });
  const deliver = createDeliver({
    home: config.home,
    ...{ mirrors, vault: deps.vault, fetch, env: process.env },
    github: { token: config.githubToken, apiUrl: config.githubApiUrl },
  });
  const tasks = createTasks({
    ...deps,
    ...{ hands, ledger, audit, mirrors, deliver, fetchFor: deliver.fetchFor },
    harnesses: () => ['native', ...harnesses.map(({ name }) => name)],
    harness: () => config.harness,
    dropped: (taskId: Id) =>
      void deliver
        .forget(taskId)
        .catch((error) => log.error({ error, task: taskId }, 'what was kept of a deleted task remains')),
    ...(deps.onTask && { onChange: deps.onTask }),
  });
  await broker.setUpstreams(upstreamsOf(config));
  const harnesses = createHarnesses({
    ...deps,
    hands,
    programs,
    modelFor(session, { door }) {
      const own = session.metadata.model ?? null;
      if (own !== null || door !== 'anthropic') return own;
      const agents = deps.agents.need(session.agentId, session.agentVersion).spec.model.id;
      const named = agents === CONFIGURED_MODEL ? config.models[0]! : agents;
      return named === 'offline' ? null : named;
    },
    missing({ name, program, door }) {
      if (program !== null && !programs.installed(program)) return needsProgram(name);
      if (door === null || upstreamsOf(config)[door]) return null;
      return new StewardError('unavailable', `The harness ${name} has no model server to talk to.`, {
        op: 'start a harness',
        hint: `Set ${door === 'openai' ? 'OPENAI_API_KEY' : 'ANTHROPIC_API_KEY'}, in the console under Settings or in .env.`,
      });
    },
  });
  const watched = {
    ...{ control: tasks.control, events: deps.events, sessions: deps.sessions, harness: () => config.harness },
    sandboxOf: (sessionId: Id) => hands.alive().find((one) => one.sessionId === sessionId)?.sandbox ?? null,
  };
  const monitor = createMonitor({
    ...{ clock, log, events: deps.events, sessions: deps.sessions, egress },
    ...{ runs: () => runsOf(watched), actions: actionsOn(watched) },
  });
  const single = createSingle({ ...deps, driver, egress, ledger, probe: hands.ready });

  const report = (): HandsReport =>
    reportView({
      driver: driver.name,
      probe: hands.report(),
      probedAt,
      broker: broker.health(),
      alive: hands.alive().length,
    });
  return {
    tools: [...createHandsTools(hands), ...tasks.tools, ...createTaskTools({ tasks: () => tasks.api, now })],
    tasks: tasks.api,
    resume() {
      tasks.start();
      monitor.start();
    },
    sessionDeleted: tasks.forget,
    async stopTasks() {
      await monitor.stop();
      await tasks.stop();
    },
    harnesses,
    hooks: hands.hooks,
    report,
    api: createHandsApi({ hands, ledger, audit, exposer, report, single }),
    async start() {
      await hands.start();
      probedAt = now();
    },
    forget: (sessionId) => hands.forget(sessionId),
    async reconfigure(next) {
      config = next;
      await broker.setUpstreams(upstreamsOf(config));
    },
    async stop() {
      await exposer.stop();
      await hands.stop();
    },
  };
}

/** Pure. The model servers of the settings; the keys go no further than the broker. */
function upstreamsOf(config: Config): Pick<Upstreams, 'anthropic' | 'openai'> {
  const { anthropicApiKey, anthropicAuthToken, anthropicBaseUrl, openaiApiKey, openaiBaseUrl } = config;
  const anthropicHeaders: Record<string, string> | null = anthropicApiKey
    ? { 'x-api-key': anthropicApiKey }
    : anthropicAuthToken
      ? { authorization: `Bearer ${anthropicAuthToken}` }
      : null;
  const openaiHeaders: Record<string, string> = openaiApiKey ? { authorization: `Bearer ${openaiApiKey}` } : {};
  return {
    ...((anthropicHeaders || anthropicBaseUrl) && {
      anthropic: {
        baseURL: (anthropicBaseUrl ?? 'https://api.anthropic.com').replace(/\/v1$/, ''),
        headers: anthropicHeaders ?? {},
      },
    }),
    ...((openaiApiKey || openaiBaseUrl) && {
      openai: {
        baseURL: openaiBaseUrl ?? 'https://api.openai.com/v1',
        headers: openaiHeaders,
      },
    }),
  };
}
