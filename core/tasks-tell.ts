// Who hears of a task on its way: programs by webhook of every step, the chat it came from when work begins and how it ended.
import { taskAnnouncement } from './announcements.ts';
import type { RecordOf } from './record.ts';
import type { Task, TaskState } from './tasks.ts';
import { isOver, resultText, stateText } from './tasks-text.ts';

/**
 * Call within the transaction of each step, and of the result of one that ended. `from`: the state before; the same one when
 * something else changed. What was told is not told again: each has a key. The approval of a delivery has cards of its own.
 */
export const createTaskTeller =
  ({ outbox, webhooks }: Pick<RecordOf, 'outbox' | 'webhooks'>) =>
  (task: Task, from: TaskState | null): void => {
    const over = isOver(task);
    // The end is told with its result, which may come later than the step.
    if (over ? task.result === null : from === task.state) return;
    const key = `${task.id}:${task.state}:${task.since}`;
    const { kind, data } = taskAnnouncement(task);
    webhooks.announce(kind, data, { key, sessionId: task.sessionId });
    const { target } = task;
    const begins = task.state === 'working' && from === 'setup' && task.attempts <= 1 && task.rounds === 0;
    if (target === null || target.channel === 'web' || !(over || begins)) return;
    const markdown = over ? resultText(task) : `Task “${task.title}” ${stateText(task)} [${task.id}]`;
    outbox.enqueue({
      ...{ sessionId: task.sessionId, eventId: null, key: `task:${key}`, to: target },
      body: { kind: 'text', markdown },
    });
  };
