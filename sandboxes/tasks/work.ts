// The outer loop, the same for every harness: carries each task from where its row says it stands to the next step, as often as it takes.
import type { Clock } from '../../core/clock.ts';
import { describeError, StewardError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { RecordOf } from '../../core/record.ts';
import type { CommandReport, TaskState } from '../../core/tasks.ts';
import type { Id, JsonObject, Millis, Session } from '../../core/types.ts';
import type { Hands } from '../hands.ts';
import { type AskDeps, approvedBy, askFor, deliveredOf, endOfCall } from './ask.ts';
import { passed, runLine } from './commands.ts';
import type { Deliver, Delivered } from './delivery.ts';
import type { Finish } from './finish.ts';
import { again, denied, failedRound, firstMessage, joined, lines } from './instruction.ts';
import { exceeded, usedIn } from './limits.ts';
import { pick, type QueueLimits } from './queue.ts';
import { commandEvent, lineLimit, type Ready } from './ready.ts';
import { messageKey, restOf } from './rest.ts';
import type { Change, Rows, TaskRow } from './rows.ts';
import type { Speak } from './speak.ts';
import { isAtWork, isEnd } from './states.ts';
import { commit, tidy } from './workspace.ts';

/** Times the agent may mend what the checks found. */
export const MAX_ROUNDS = 3;
/** Tries of a step that failed for a reason that may pass, with growing pauses. */
const TRIES = 3;
/** These carry out the lines of a message as they stand: they are told nothing else, and cannot mend what the checks found. */
const RUN_LINES: ReadonlySet<string> = new Set(['script']);
/** How long a delivery is tried again before it is handed off. */
const DELIVER_MS: Millis = 24 * 3_600_000;
const TICK_MS: Millis = 10_000;
/** For steps at work when Steward stops. */
const GRACE_MS: Millis = 5_000;

export interface WorkDeps extends AskDeps, Pick<RecordOf, 'bus'> {
  clock: Clock;
  log: Log;
  rows: Rows;
  hands: Hands;
  ready: Ready;
  finish: Finish;
  speak: Speak;
  deliver: Deliver;
  queue: QueueLimits;
  /** The configured one, for tasks that name none. */
  harness(): string;
  redact(text: string): string;
  wake(sessionId: Id): void;
  bill(id: Id): void;
}

export interface Work {
  /** Something may have changed for this task. Never throws. */
  poke(id: Id): void;
  /** Looks whether tasks that wait may begin. */
  next(): void;
  /** What is at work on it is told to let go; resolves when it has. The row says what comes after. */
  letGo(id: Id): Promise<void>;
  /** Goes on with everything that has not ended. May be called again. */
  start(): void;
  stop(): Promise<void>;
}

/** `again`: look at the row once more; `rest`: until somebody pokes. */
type Next = 'again' | 'rest';

interface Lane {
  again: boolean;
  abort: AbortController;
  ended: Promise<void>;
}

export function createWork(deps: WorkDeps): Work {
  const { db, events, sessions, rows, hands, ready, finish, speak, clock, log } = deps;
  const lanes = new Map<Id, Lane>();
  /** Failures of a step in a row, by task and state. */
  const failures = new Map<string, number>();
  const runsLines = (task: TaskRow): boolean => RUN_LINES.has(task.harness ?? deps.harness());
  let started = false;
  let stopping = false;
  let timer: NodeJS.Timeout | null = null;

  /** A step, unless the task was stopped, paused or moved meanwhile. */
  const conclude = (
    task: TaskRow,
    signal: AbortSignal,
    to: TaskState,
    reason: string | null,
    change: Change = {},
    also: (now: TaskRow) => Change = () => ({}),
  ): Next => {
    db.tx(() => {
      const now = rows.need(task.id);
      if (signal.aborted || now.state !== task.state || now.paused !== null) return;
      rows.step(task.id, to, reason, { ...change, ...also(now) });
    });
    return 'again';
  };

  const toWorking = (task: TaskRow, signal: AbortSignal, words: string | null, change: Change = {}): Next =>
    // Words that came meanwhile are not lost.
    conclude(task, signal, 'working', null, change, (now) => ({
      messages: now.messages + 1,
      words: joined(words, now.words),
    }));

  /** The workspace with its setup; null when setup failed, which ends the task. */
  const prepare = async (task: TaskRow, session: Session, signal: AbortSignal): Promise<TaskRow | null> => {
    const { fresh, base } = await ready.workspace(task, session, signal);
    let now = task;
    if (fresh || task.baseCommit === null) now = rows.put(task.id, { baseCommit: base, prepared: false });
    if (now.prepared) return now;
    const failed = await ready.setup(now, session, signal);
    signal.throwIfAborted();
    if (failed) {
      await finish.end(now, 'failed', `Setup: ${describe(failed)}`);
      return null;
    }
    return rows.put(task.id, { prepared: true });
  };

  const steps: Partial<Record<TaskState, (task: TaskRow, session: Session, signal: AbortSignal) => Promise<Next>>> = {
    async provisioning(task, session, signal) {
      await ready.mirror(task, signal);
      const { fresh, base } = await ready.workspace(task, session, signal);
      return conclude(task, signal, 'setup', null, { baseCommit: base, prepared: task.prepared && !fresh });
    },

    async setup(task, session, signal) {
      const now = await prepare(task, session, signal);
      return now ? toWorking(now, signal, null, { attempts: 1, rounds: 0 }) : 'again';
    },

    async working(task, session, signal) {
      const began = events.byDedupe(messageKey(task));
      if (!began) {
        const now = await prepare(task, session, signal);
        signal.throwIfAborted();
        if (!now) return 'again';
        const whole = runsLines(now) ? lines : firstMessage;
        const text = task.messages === 1 || task.words === null ? whole(now, task.words) : task.words;
        db.tx(() => {
          speak.say(now, text, messageKey(now));
          rows.put(task.id, { words: null });
        });
        return 'rest';
      }
      const queued = events.queued(session.id).length;
      const after = began.position === null ? [] : events.slice(session.id, began.position);
      const rest = restOf({ session, queued, began, after });
      switch (rest.kind) {
        case 'open':
          if (session.status === 'idle') deps.wake(session.id);
          return 'rest';
        case 'waits':
          if (task.reason !== rest.why) rows.put(task.id, { reason: rest.why });
          return 'rest';
        case 'stopped':
          rows.put(task.id, { paused: 'The agent was stopped.' }, pausedEvent(task, 'The agent was stopped.'));
          return 'rest';
        case 'failed':
          return retry(task, signal, rest.why);
        case 'done':
          // What is looked at from here on has to outlive whatever happens to the sandbox.
          await hands.save(session.id);
          return lost(task, signal) ?? conclude(task, signal, 'verifying', null);
      }
    },

    async verifying(task, session, signal) {
      // Somebody spoke to the agent in its conversation: it works again, on what is to be looked at here.
      const busy = () => sessions.need(session.id).status !== 'idle' || events.queued(session.id).length > 0;
      if (busy()) return conclude(task, signal, 'working', null);
      const now = await prepare(task, session, signal);
      if (!now) return 'again';
      const gone = lost(now, signal);
      if (gone) return await gone;
      const base = now.baseCommit!;
      const round = now.rounds + 1;
      const message = now.rounds === 0 ? now.title : `${now.title} (round ${round})`;
      const work = <T>(does: (sandbox: Parameters<typeof commit>[0]) => Promise<T>, reads = false) =>
        hands.work(session, { by: task.id, reads, hosts: reads ? [] : now.hosts }, ({ sandbox }) => does(sandbox));
      let head: string;
      try {
        head = await work((sandbox) => commit(sandbox, { branch: now.branch, base, message }, signal));
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof StewardError && error.code === 'conflict')) throw error;
        return mend(now, signal, { command: 'git commit', code: 1, limited: null, tookMs: 0, output: error.message });
      }
      signal.throwIfAborted();
      if (head !== now.head)
        rows.put(task.id, { head }, { type: 'task.commit', payload: { task_id: task.id, head, base } });
      await hands.save(session.id);
      const reports: CommandReport[] = [];
      for (const line of now.verify) {
        const report = await work((sandbox) =>
          runLine(sandbox, line, { timeoutMs: lineLimit(now), signal, redact: deps.redact }),
        );
        signal.throwIfAborted();
        rows.put(task.id, {}, commandEvent(now, 'verify', report));
        reports.push(report);
        if (!passed(report)) break;
      }
      if (busy()) return conclude(now, signal, 'working', null);
      if (reports.length > 0) await work((sandbox) => tidy(sandbox, signal));
      const failed = reports.find((report) => !passed(report));
      if (failed) return mend(now, signal, failed);
      // Said while the checks ran: there is more to do.
      if (rows.need(task.id).words !== null) return toWorking(now, signal, null);
      if (head === base) {
        await finish.end({ ...now, head }, 'done', 'Nothing was changed.');
        return 'again';
      }
      const prepared = await work((sandbox) => deps.deliver.prepare({ ...now, head }, { sandbox }, signal), true);
      await hands.save(session.id);
      return conclude(now, signal, 'awaiting_approval', null, { head: prepared.head }, (current) => {
        const { findings, ...numbers } = prepared;
        const payload: JsonObject = { task_id: task.id, ...numbers, findings: findings.map((one) => ({ ...one })) };
        events.append(session.id, [{ type: 'task.prepared', payload }]);
        return { callId: askFor(deps, current, prepared, reports) };
      });
    },

    async awaiting_approval(task, _session, signal) {
      const approval = task.callId === null ? null : deps.approvals.get(task.callId);
      switch (approval?.verdict) {
        case null:
          return 'rest';
        case 'allow':
          return conclude(task, signal, 'delivering', null);
        case 'deny':
          if (approval.reason) {
            const words = runsLines(task) ? approval.reason : denied(approval.reason);
            return toWorking(task, signal, words, { rounds: 0 });
          }
          await finish.end(task, 'handed_off', 'The delivery was not approved.');
          return 'again';
        case 'expired':
          await finish.end(task, 'handed_off', 'Nobody approved the delivery within a day.');
          return 'again';
        default:
          // Taken back by a stop in its conversation: asked anew when the owner lets it go on.
          rows.put(
            task.id,
            { paused: 'The approval was taken back.' },
            pausedEvent(task, 'The approval was taken back.'),
          );
          return 'rest';
      }
    },

    async delivering(task, session, signal) {
      const call = events.get(task.callId!)!;
      const result = endOfCall(events.slice(session.id, call.position ?? 0), call.id);
      if (!result) {
        deps.wake(session.id);
        return 'rest';
      }
      // Its turn comes to rest by itself.
      if (sessions.need(session.id).status === 'running') return 'rest';
      let delivered: Delivered | null = deliveredOf(result);
      if (!delivered)
        try {
          // Approved once is approved: what failed for a reason that may pass is tried again, and looked for first.
          delivered = await deps.deliver.deliver(task, approvedBy(call), signal);
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof StewardError && error.code === 'conflict')
            return conclude(task, signal, 'verifying', describeError(error));
          const over = clock.now() - task.since > DELIVER_MS;
          if (!(error instanceof StewardError && error.retryable) || over) {
            await finish.end(task, 'handed_off', `It could not be delivered: ${describeError(error)}`);
            return 'again';
          }
          rows.put(task.id, { reason: `Not delivered yet: ${error.message}` });
          await clock.sleep(pause(count(task)), signal);
          return 'again';
        }
      await finish.end(task, 'done', null, delivered);
      return 'again';
    },
  };

  /** Back to the agent when changes it made are gone without its knowing. */
  const lost = (task: TaskRow, signal: AbortSignal): Promise<Next> | null => {
    // What came before the last message was told with it.
    const told = events.byDedupe(messageKey(task))?.position ?? 0;
    const undone = hands.undone(task.sessionId).filter(({ id }) => (events.get(id)?.position ?? 0) > told);
    if (undone.length === 0) return null;
    const names = undone.slice(-5).map(({ id, name }) => `${name} ${id}`);
    const why = `The sandbox was lost, and with it the changes of ${names.join(', ')}.`;
    if (task.state === 'working' || task.attempts >= task.limits.attempts) return retry(task, signal, why);
    return Promise.resolve(toWorking(task, signal, again(why), { attempts: task.attempts + 1 }));
  };

  const mend = async (task: TaskRow, signal: AbortSignal, report: CommandReport): Promise<Next> => {
    const rounds = task.rounds + 1;
    if (runsLines(task)) {
      await finish.end(task, 'handed_off', `The checks fail: ${describe(report)}`);
      return 'again';
    }
    if (rounds > MAX_ROUNDS) {
      await finish.end(task, 'handed_off', `The checks still fail after ${MAX_ROUNDS} rounds: ${describe(report)}`);
      return 'again';
    }
    return toWorking(task, signal, failedRound(report, rounds, MAX_ROUNDS), { rounds });
  };

  /** Another attempt of the agent, or the end of them. */
  const retry = async (task: TaskRow, signal: AbortSignal, why: string): Promise<Next> => {
    if (task.attempts >= task.limits.attempts || runsLines(task)) {
      const times = task.attempts === 1 ? 'The attempt' : `All ${task.attempts} attempts`;
      await finish.end(task, 'handed_off', `${times} failed: ${why}`);
      return 'again';
    }
    db.tx(() => {
      const now = rows.need(task.id);
      if (signal.aborted || now.state !== task.state || now.messages !== task.messages) return;
      rows.put(
        task.id,
        { attempts: now.attempts + 1, messages: now.messages + 1, words: joined(again(why), now.words) },
        { type: 'task.attempt', payload: { task_id: task.id, attempt: now.attempts + 1, why } },
      );
    });
    return 'again';
  };

  const count = (task: TaskRow): number => {
    const key = `${task.id} ${task.state} ${task.messages}`;
    const times = (failures.get(key) ?? 0) + 1;
    failures.set(key, times);
    return times;
  };
  const pause = (times: number): Millis => Math.min(1_000 * 2 ** Math.min(times, 9), 10 * 60_000);

  /** What a step could not do: again after a pause, or the end with the reason for people. */
  const failed = async (task: TaskRow, error: unknown, signal: AbortSignal): Promise<Next> => {
    const retryable = error instanceof StewardError && error.retryable;
    if (!(error instanceof StewardError)) log.error({ error, task: task.id }, 'a step of a task failed');
    const times = retryable ? count(task) : TRIES;
    if (times < TRIES) {
      log.warn({ error, task: task.id, state: task.state }, 'a step of a task is tried again');
      await clock.sleep(pause(times), signal);
      return 'again';
    }
    const early = task.state === 'provisioning' || task.state === 'setup';
    const why =
      error instanceof StewardError
        ? describeError(error)
        : 'Something failed inside Steward. The log says what (steward logs).';
    await finish.end(rows.need(task.id), early ? 'failed' : 'handed_off', why);
    return 'again';
  };

  const over = (task: TaskRow): string | null => {
    if (!isAtWork(task.state) || task.state === 'delivering') return null;
    const types = ['task.status', 'span.model_request_end'];
    const log = events.list({ sessionId: task.sessionId, types, limit: 100_000 });
    return exceeded(task.limits, usedIn(log, task.activeMs));
  };

  const step = async (id: Id, signal: AbortSignal): Promise<Next> => {
    deps.bill(id);
    const task = rows.get(id);
    if (!task) return 'rest';
    if (isEnd(task.state)) {
      if (task.result === null) await finish.windUp(task);
      next();
      return 'rest';
    }
    if (task.paused !== null || task.state === 'queued') return 'rest';
    const session = sessions.get(task.sessionId);
    if (!session || session.status === 'terminated' || session.archivedAt !== null) {
      await finish.end(task, 'cancelled', 'Its conversation was ended or deleted.');
      return 'again';
    }
    try {
      const spent = over(task);
      if (spent !== null) {
        await finish.end(task, 'handed_off', spent);
        return 'again';
      }
      return await steps[task.state]!(task, session, signal);
    } catch (error) {
      // Told to let go: the row says what is next.
      if (signal.aborted) return 'rest';
      return await failed(task, error, signal);
    }
  };

  const run = async (id: Id, lane: Lane): Promise<void> => {
    while (lane.again && !stopping) {
      lane.again = false;
      lane.abort = new AbortController();
      try {
        if ((await step(id, lane.abort.signal)) === 'again') lane.again = true;
      } catch (error) {
        if (stopping) return;
        // The record fails, or there is a mistake in here: not again at once.
        log.error({ error, task: id }, 'a task could not be carried on; it is tried again');
        await clock.sleep(30_000, lane.abort.signal);
        lane.again = true;
      }
    }
  };

  const poke = (id: Id): void => {
    if (!started || stopping) return;
    const lane = lanes.get(id);
    if (lane) {
      lane.again = true;
      return;
    }
    const fresh: Lane = { again: true, abort: new AbortController(), ended: Promise.resolve() };
    lanes.set(id, fresh);
    fresh.ended = run(id, fresh).finally(() => {
      lanes.delete(id);
      if (fresh.again) poke(id);
    });
  };

  const next = (): void => {
    if (!started || stopping) return;
    const open = rows.open().filter(({ state }) => !isEnd(state));
    for (const id of pick(open, deps.queue)) {
      const { startedAt } = rows.need(id);
      rows.step(id, 'provisioning', null, { startedAt: startedAt ?? clock.now() });
      poke(id);
    }
  };

  const tick = (): void => {
    for (const task of rows.open()) {
      if (!isAtWork(task.state) || task.paused !== null) continue;
      deps.bill(task.id);
      const spent = over(rows.need(task.id));
      if (spent === null) continue;
      // What is at work on it ends, and its lane finds it over its limit.
      lanes.get(task.id)?.abort.abort();
      poke(task.id);
    }
  };

  return {
    poke,
    next,
    async letGo(id) {
      const lane = lanes.get(id);
      if (!lane) return;
      lane.abort.abort();
      await lane.ended;
    },
    start() {
      started = true;
      timer ??= setInterval(() => {
        try {
          tick();
          next();
        } catch (error) {
          log.error({ error }, 'the limits of tasks could not be looked at');
        }
      }, TICK_MS).unref();
      for (const { id } of rows.open()) poke(id);
      next();
    },
    async stop() {
      stopping = true;
      if (timer) clearInterval(timer);
      for (const lane of lanes.values()) lane.abort.abort();
      const ended = Promise.allSettled([...lanes.values()].map((lane) => lane.ended));
      // What is kept of an ending task is kept again in the next life.
      await Promise.race([ended, clock.sleep(GRACE_MS)]);
    },
  };
}

export const pausedEvent = (task: TaskRow, why: string) => ({
  type: 'task.paused',
  payload: { task_id: task.id, why },
});

const describe = ({ command, code, limited }: CommandReport): string => {
  const line = command.split('\n', 1)[0]!.slice(0, 120);
  if (limited === 'time') return `\`${line}\` did not end in time.`;
  if (limited === 'output') return `\`${line}\` wrote too much.`;
  return code === null ? `\`${line}\` was killed.` : `\`${line}\` ended with code ${code}.`;
};
