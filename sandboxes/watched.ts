// The tasks at work as the monitor sees them, and what it may do with them.
import type { Events } from '../core/events.ts';
import type { Sessions } from '../core/sessions.ts';
import type { Id } from '../core/types.ts';
import type { Sandbox } from './driver.ts';
import type { Actions, Run } from './monitor/index.ts';
import type { TaskControl } from './tasks/control.ts';
import { usedIn } from './tasks/limits.ts';

export interface WatchedDeps {
  control: TaskControl;
  events: Pick<Events, 'list'>;
  sessions: Pick<Sessions, 'get'>;
  sandboxOf(sessionId: Id): Sandbox | null;
  /** The configured one, for tasks that name none. */
  harness(): string;
}

/** Those whose agent has the word: what setup and checks may take, the outer loop sees to itself. */
export const runsOf = ({ control, events, sessions, sandboxOf, harness }: WatchedDeps): Run[] =>
  control
    .atWork()
    .filter(({ state, sessionId }) => state === 'working' && sessions.get(sessionId)?.status === 'running')
    .map((task) => ({
      taskId: task.id,
      sessionId: task.sessionId,
      sandbox: sandboxOf(task.sessionId),
      startedAt: task.since,
      limits: task.limits,
      attempts: task.attempts,
      harness: task.harness ?? harness(),
      used: usedIn(
        events.list({
          sessionId: task.sessionId,
          types: ['task.status', 'span.model_request_end'],
          limit: 100_000,
        }),
        task.activeMs,
      ),
    }));

export const actionsOn = ({ control }: Pick<WatchedDeps, 'control'>): Actions => ({
  note: async ({ taskId }, text) => control.note(taskId, text),
  nudge: async ({ taskId }, words) => control.nudge(taskId, words),
  interrupt: async ({ taskId }, why) => control.interrupt(taskId, why),
  restart: ({ taskId }, why) => control.restart(taskId, why),
  handOff: ({ taskId }, why) => control.handOff(taskId, why),
});
