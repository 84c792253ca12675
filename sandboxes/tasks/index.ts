// Code tasks: puts rows, outer loop, deliveries and API together, and says what a task's sandbox gets beside the usual.
import type { Clock } from '../../core/clock.ts';
import type { Failpoint } from '../../core/failpoint.ts';
import type { Log } from '../../core/log.ts';
import type { RecordOf } from '../../core/record.ts';
import type { Task, TaskState, TasksApi } from '../../core/tasks.ts';
import type { Tool } from '../../core/tools/tool.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { Audit } from '../audit.ts';
import type { Hands } from '../hands.ts';
import type { Ledger } from '../ledger.ts';
import type { Mirrors, Repository } from '../mirrors.ts';
import type { Isolate } from '../snapshots.ts';
import { createTasksApi } from './api.ts';
import { createControl, type TaskControl } from './control.ts';
import type { Deliver } from './delivery.ts';
import { createFinish } from './finish.ts';
import { DEFAULT_QUEUE, type QueueLimits } from './queue.ts';
import { createReady } from './ready.ts';
import { MOVES } from './rest.ts';
import { createRows } from './rows.ts';
import { createSpeak } from './speak.ts';
import { isAtWork, isEnd } from './states.ts';
import { createDeliverTool } from './tool.ts';
import { createWork } from './work.ts';

export interface Tasks {
  api: TasksApi;
  control: TaskControl;
  tools: Tool[];
  /** Begins, or goes on with, everything that has not ended. May be called again. */
  start(): void;
  stop(): Promise<void>;
  /** Within the transaction that deletes a session. */
  forget(sessionId: Id): void;
}

/** Longer than between two looks at the clock: the machine slept, and nobody worked. */
const LONGEST_SPAN: Millis = 30_000;
/** How often the row notes that something came. */
const PROGRESS_MS: Millis = 5_000;

export interface TasksDeps extends RecordOf {
  clock: Clock;
  log: Log;
  crash: Failpoint;
  hands: Hands;
  ledger: Ledger;
  audit: Audit;
  mirrors: Mirrors;
  deliver: Deliver;
  redact(text: string): string;
  wake(sessionId: Id): void;
  interrupt(sessionId: Id): void;
  fetchFor?(repository: Repository): Isolate | undefined;
  /** Names of the harnesses a task may choose. */
  harnesses?(): readonly string[];
  /** The configured one. */
  harness?(): string;
  /** Drops what was kept on the host for a task whose conversation is deleted. */
  dropped?(taskId: Id): void;
  /** Within the transaction of each step, and of the result of one that was stopped. `from` is null for a new task. */
  onChange?(task: Task, from: TaskState | null): void;
  queue?: QueueLimits;
}

export function createTasks(deps: TasksDeps): Tasks {
  const { db, events, sessions, clock } = deps;
  const { now } = clock;
  const { onChange } = deps;
  const rows = createRows({ db, events, now, crash: deps.crash, ...(onChange && { onChange }) });
  const speak = createSpeak(deps);
  const ready = createReady({ ...deps, rows });

  /** Since when each task's time runs; none while nobody works on it. */
  const running = new Map<Id, Millis>();
  const bill = (id: Id): void => {
    const task = rows.get(id);
    const since = running.get(id);
    running.delete(id);
    if (!task) return;
    const works =
      isAtWork(task.state) &&
      task.paused === null &&
      (task.state !== 'working' || sessions.get(task.sessionId)?.status === 'running');
    const at = now();
    if (works) running.set(id, at);
    const spent = since === undefined ? 0 : Math.max(0, Math.min(at - since, LONGEST_SPAN));
    if (spent > 0) rows.put(id, { activeMs: task.activeMs + spent });
  };

  const finish = createFinish({ ...deps, rows, speak, bill });
  const work = createWork({
    ...{ ...deps, rows, ready, finish, speak, bill },
    queue: deps.queue ?? DEFAULT_QUEUE,
    harness: deps.harness ?? (() => 'native'),
  });
  const api = createTasksApi({ ...deps, rows, work, speak, harnesses: deps.harnesses ?? (() => ['native']) });

  const noted = new Map<Id, Millis>();
  const deaf = deps.bus.subscribe(null, (notice) => {
    if (notice.kind !== 'event' || notice.event.type.startsWith('task.')) return;
    const { sessionId, type } = notice.event;
    try {
      if (sessions.get(sessionId)?.kind === 'chat') return;
      const task = rows.bySession(sessionId);
      if (!task || (isEnd(task.state) && task.result !== null)) return;
      if (now() - (noted.get(task.id) ?? 0) > PROGRESS_MS) {
        noted.set(task.id, now());
        rows.progress(task.id);
      }
      if (MOVES.has(type)) work.poke(task.id);
    } catch (error) {
      deps.log.error({ error, session: sessionId }, 'a task hears of what happened at its next look');
    }
  });

  return {
    api,
    control: createControl({ ...deps, rows, work, speak, finish }),
    tools: [createDeliverTool({ rows, deliver: deps.deliver, crash: deps.crash })],
    start: work.start,
    async stop() {
      deaf();
      await work.stop();
    },
    forget(sessionId) {
      const task = rows.bySession(sessionId);
      if (!task) return;
      rows.forget(sessionId);
      db.afterCommit(() => {
        void work.letGo(task.id);
        deps.dropped?.(task.id);
      });
    },
  };
}
