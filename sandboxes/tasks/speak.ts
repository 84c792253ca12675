// Speaking to the agent of a task: messages with what it may do, and stopping it.

import type { RecordOf } from '../../core/record.ts';
import type { Mandate } from '../../core/schedules.ts';
import type { Id, LogEvent, Origin } from '../../core/types.ts';
import type { TaskRow } from './rows.ts';

export interface Speak {
  /** Queues words for the agent and wakes it once they are committed; the same `dedupe` is said once. */
  say(task: TaskRow, text: string, dedupe: string): LogEvent;
  /** The run at work stops at the next safe place. */
  interrupt(task: TaskRow): void;
  /** Resolves when no run works on the session; false when one still does after `ms`. */
  rested(sessionId: Id, ms: number): Promise<boolean>;
}

/** What a turn of this task may do without asking, and which model it asks. */
const mandateOf = (task: TaskRow): Mandate => ({
  ...{ scheduleId: task.id, runId: task.id, name: task.title, unattended: false, label: null, budgetUsd: null },
  grants: { hosts: task.hosts, tools: [], recipients: [] },
  model: task.model,
});

export function createSpeak(
  deps: Pick<RecordOf, 'db' | 'bus' | 'events' | 'sessions'> & {
    wake(sessionId: Id): void;
    interrupt(sessionId: Id): void;
  },
): Speak {
  const { db, events, sessions } = deps;
  // The console reads the log; a chat hears of a task by its card and its end, not word by word.
  const originOf = (task: TaskRow): Origin => ({
    sender: { channel: 'steward', userId: `task:${task.id}`, name: 'Steward' },
    address: { channel: 'web', chat: task.sessionId },
    role: 'system',
    mandate: mandateOf(task),
  });
  return {
    say: (task, text, dedupe) =>
      db.tx(() => {
        const known = events.byDedupe(dedupe);
        if (known) return known;
        const payload = { content: [{ type: 'text', text: text.toWellFormed() }] };
        const [event] = events.append(task.sessionId, [
          { type: 'user.message', payload, queued: true, dedupe, origin: originOf(task) },
        ]);
        db.afterCommit(() => deps.wake(task.sessionId));
        return event!;
      }),
    interrupt(task) {
      if (sessions.get(task.sessionId)?.status === 'idle' && events.queued(task.sessionId).length === 0) return;
      events.append(task.sessionId, [{ type: 'user.interrupt', queued: true, origin: originOf(task) }]);
      db.afterCommit(() => deps.interrupt(task.sessionId));
    },
    rested(sessionId, ms) {
      const atRest = () =>
        sessions.get(sessionId)?.status !== 'running' &&
        !events.queued(sessionId).some(({ type }) => type === 'user.interrupt');
      if (atRest()) return Promise.resolve(true);
      return new Promise((resolve) => {
        const finish = (value: boolean) => {
          clearTimeout(timer);
          stop();
          resolve(value);
        };
        const timer = setTimeout(() => finish(atRest()), ms);
        const stop = deps.bus.subscribe(sessionId, (notice) => {
          if (notice.kind === 'event' && atRest()) finish(true);
        });
      });
    },
  };
}
