// The outer loop of tasks in this process: real rows, real sandboxes, a small agent that does what its messages say, and a delivery a test can hold up.
import { rmSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { contentOf, isToolUse } from '../../core/brain/context.ts';
import { executeCall, resultEvent } from '../../core/brain/execute.ts';
import { nextStep, openCalls } from '../../core/brain/step.ts';
import { systemClock } from '../../core/clock.ts';
import { StewardError } from '../../core/errors.ts';
import { createLog } from '../../core/log.ts';
import type { Task, TaskDraft, TaskState } from '../../core/tasks.ts';
import { textResult } from '../../core/tools/tool.ts';
import type { Id, JsonObject, Origin } from '../../core/types.ts';
import { createAudit } from '../../sandboxes/audit.ts';
import { createBwrap } from '../../sandboxes/drivers/bwrap.ts';
import type { Egress } from '../../sandboxes/egress.ts';
import { createHands } from '../../sandboxes/hands.ts';
import { createLedger } from '../../sandboxes/ledger.ts';
import { createMirrors, MIRROR_PLACE } from '../../sandboxes/mirrors.ts';
import { openRoot } from '../../sandboxes/root.ts';
import { createSnapshots } from '../../sandboxes/snapshots.ts';
import type { Deliver, Delivered } from '../../sandboxes/tasks/delivery.ts';
import { createTasks } from '../../sandboxes/tasks/index.ts';
import type { QueueLimits } from '../../sandboxes/tasks/queue.ts';
import { branchHead, measure } from '../../sandboxes/tasks/workspace.ts';
import { openTestRecord } from './record.ts';

export const OWNER = { trust: 'owner', by: 'web:console', sessionId: null, here: null } as const;
const BY: Origin = {
  sender: { channel: 'web', userId: 'owner' },
  address: { channel: 'web', chat: 'x' },
  role: 'owner',
};

/** Nothing leaves, and nobody asks to. */
const closed = (seen: string[]): Egress => ({
  prepare: async () => ({ env: {}, mounts: [], listen: null }),
  grant: async (_, hosts) => void (hosts.length > 0 && seen.push(`grant ${hosts.join(',')}`)),
  withdraw: async (_, hosts) => void (hosts.length > 0 && seen.push(`withdraw ${hosts.join(',')}`)),
  doors: async () => {},
  attribute() {},
  openRequests: () => 0,
  close: async () => {},
  stop: async () => {},
});

export function openTasksRoom(options: { queue?: QueueLimits } = {}) {
  const record = openTestRecord();
  const root = openRoot(record.home, process.getuid!());
  const log = createLog({ level: 'silent', redact: (text) => text });
  // Pauses between tries are made short.
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 30), signal),
  };
  const newId = () => record.newId('ckpt');
  const snapshots = createSnapshots({ root, driver: 'bwrap', now: clock.now, newId });
  const driver = createBwrap({ root, now: clock.now, log, snapshots });
  const ledger = createLedger(record.db, clock.now);
  const audit = createAudit(record.db);
  const mirrors = createMirrors({ root });
  const egress: string[] = [];
  const hands = createHands({
    ...{ ...record, ledger, audit, driver, clock, log, egress: closed(egress), redact: (text: string) => text },
    async extras(session) {
      const task = tasks.api.get(session.metadata.task_id ?? '');
      const mirror = task && (await mirrors.existing(task.repository));
      return { mounts: mirror ? [{ from: mirror, to: MIRROR_PLACE }] : [], env: {} };
    },
  });

  /** What the other end has, and what it says to the next tries. */
  const remote = { has: new Map<string, string>(), tries: 0, says: [] as StewardError[] };
  const as = (digest: string): Delivered => ({ pushed: true, pullRequest: null, patch: `${digest}.patch` });
  const deliver: Deliver = {
    async prepare(task, { sandbox }, signal) {
      const head = (await branchHead(sandbox, task.branch, signal))!;
      return {
        head,
        digest: `digest-${head}`,
        findings: [],
        ...(await measure(sandbox, task.baseCommit!, head, signal)),
      };
    },
    look: async (task, { digest }) => (remote.has.get(task.branch) === digest ? as(digest) : null),
    async deliver(task, { digest }) {
      remote.tries += 1;
      const refusal = remote.says.shift();
      if (refusal) throw refusal;
      remote.has.set(task.branch, digest);
      return as(digest);
    },
    keep: async () => 'kept.patch',
  };

  /** Lines `$ command` of a message are carried out, one call each; `fails` ends the turn with an error. */
  const agent = async (sessionId: Id): Promise<void> => {
    const { events, sessions, runs } = record;
    const run = runs.claim(sessionId, 'native', null);
    const by = { runId: run.id, generation: run.generation };
    const stopped = () => events.queued(sessionId).some(({ type }) => type === 'user.interrupt');
    const idle = (reason: JsonObject & { type: 'end_turn' | 'retries_exhausted' }) => {
      events.append(
        sessionId,
        [{ type: 'session.status_idle', payload: { stop_reason: reason, stop_details: null } }],
        by,
      );
      sessions.setStatus(sessionId, 'idle', reason as never, null);
    };
    const inputs = events.queued(sessionId);
    if (inputs.length > 0 || nextStep(events.slice(sessionId, 0)).kind !== 'idle')
      record.db.tx(() => {
        events.append(sessionId, [{ type: 'session.status_running' }], by);
        sessions.setStatus(sessionId, 'running', null, null);
        events.process(
          sessionId,
          inputs.map(({ id }) => id),
          by,
        );
      });
    else return;
    for (const call of openCalls(events.slice(sessionId, 0))) {
      const step = nextStep(events.slice(sessionId, 0));
      const signal = new AbortController().signal;
      const session = sessions.need(sessionId);
      const tool = (name: string) => tasks.tools.find(({ definition }) => definition.name === name) ?? null;
      if (step.kind === 'execute')
        await executeCall({ ...record, clock, crash() {}, tool }, { call, session, replyTo: [], run, signal });
      else if (step.kind === 'refuse')
        events.append(sessionId, [resultEvent(call, textResult('The owner said no.', true))], by);
    }
    for (const input of inputs.filter(({ type }) => type === 'user.message')) {
      const text = contentOf(input)
        .map((block) => (block.type === 'text' ? block.text : ''))
        .join('\n');
      for (const [, command] of text.matchAll(/^ *\$ (.+)$/gm)) {
        if (stopped()) break;
        const payload = { name: 'bash', input: { command: command! }, evaluated_permission: 'allow' };
        const [call] = events.append(sessionId, [{ type: 'agent.tool_use', payload }], by);
        events.append(sessionId, [{ type: 'span.tool_start', payload: { tool_use_id: call!.id } }], by);
        const signal = new AbortController().signal;
        const context = { callId: call!.id, session: sessions.need(sessionId), replyTo: [], signal };
        const result = await hands.use(context, { hosts: [] }, async ({ sandbox }) => {
          const { code } = await sandbox.exec(['bash', '-c', command!]).result;
          return textResult(`exit ${code}`, code !== 0);
        });
        events.append(sessionId, [resultEvent(call!, result)], by);
        hands.hooks.asking(sessions.need(sessionId));
      }
      const fails = text.includes('fails');
      events.append(sessionId, [{ type: 'span.model_request_end', payload: { is_error: fails, cost_usd: 0.01 } }], by);
      if (fails)
        events.append(
          sessionId,
          [{ type: 'session.error', payload: { error: { message: 'The model is confused.' } } }],
          by,
        );
      if (fails) return idle({ type: 'retries_exhausted' });
    }
    const queued = events.queued(sessionId);
    if (stopped()) {
      const ids = queued.map(({ id }) => id);
      events.process(sessionId, ids.slice(0, queued.findIndex(({ type }) => type === 'user.interrupt') + 1), by);
    }
    if (openCalls(events.slice(sessionId, 0)).length === 0) idle({ type: 'end_turn' });
  };
  const lanes = new Map<Id, Promise<void>>();
  const wake = (id: Id) => {
    const tail = (lanes.get(id) ?? Promise.resolve()).then(() => agent(id)).catch((error) => void problems.push(error));
    lanes.set(id, tail);
  };
  const problems: unknown[] = [];
  const changes: string[] = [];

  const tasks = createTasks({
    ...{ ...record, clock, log, crash() {}, hands, ledger, audit, mirrors, deliver, wake, interrupt: wake },
    redact: (text) => text.replaceAll('hunter2', '[redacted]'),
    onChange: (task, from) => void changes.push(`${from}→${task.state}`),
    ...(options.queue && { queue: options.queue }),
  });
  onTestFinished(async () => {
    await tasks.stop();
    await Promise.allSettled(lanes.values());
    await hands.stop();
    rmSync(root, { recursive: true, force: true });
    if (problems.length > 0) throw problems[0];
  });
  tasks.start();

  const room = {
    ...{ record, tasks, hands, ledger, remote, egress, changes },
    api: tasks.api,
    create: (draft: Partial<TaskDraft> & { repository: string; instruction: string }) =>
      tasks.api.create(draft, OWNER).task,
    async reached(id: Id, ...states: TaskState[]): Promise<Task> {
      const end = performance.now() + 20_000;
      for (;;) {
        const task = tasks.api.need(id);
        if (states.includes(task.state) && (task.endedAt === null || task.result !== null)) return task;
        if (performance.now() > end)
          throw new Error(`Not ${states.join(' or ')} but ${task.state}: ${task.reason}, ${task.paused}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    /** The question that is open. */
    question: (id: Id) =>
      record.events
        .list({ sessionId: tasks.api.need(id).sessionId, types: ['agent.tool_use'], limit: 500 })
        .filter((event) => isToolUse(event) && event.payload.name === 'task_deliver')
        .at(-1)!,
    async answer(id: Id, result: 'allow' | 'deny', reason?: string): Promise<void> {
      await room.reached(id, 'awaiting_approval');
      room.confirm(id, result, reason);
    },
    confirm(id: Id, result: 'allow' | 'deny', reason?: string): void {
      const toolUseId = room.question(id).id;
      record.intake.confirm({ toolUseId, result, by: BY, ...(reason !== undefined && { reason }) });
      wake(tasks.api.need(id).sessionId);
    },
    refusal: (code: 'unavailable' | 'conflict' | 'forbidden', retryable: boolean) =>
      new StewardError(code, 'The other end says no.', { op: 'deliver a task', retryable }),
    types: (id: Id, type: string) =>
      record.events.list({ sessionId: tasks.api.need(id).sessionId, types: [type], limit: 500 }),
  };
  return room;
}
