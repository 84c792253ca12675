// The liveness monitor put together: signs from log, sandbox and broker, the judge, the ladder, and the log it writes to.
import type { Clock } from '../../core/clock.ts';
import type { Events } from '../../core/events.ts';
import type { Log } from '../../core/log.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Millis } from '../../core/types.ts';
import type { Egress } from '../egress.ts';
import type { Patience, Run } from './judge.ts';
import { recall } from './ladder.ts';
import { createSigns } from './signs.ts';
import { type Actions, createWatch, type Watch } from './watch.ts';

export type { Run } from './judge.ts';
export type { Actions, Watch as Monitor } from './watch.ts';

export interface MonitorDeps {
  clock: Clock;
  log: Log;
  events: Pick<Events, 'append' | 'list' | 'since'>;
  sessions: Pick<Sessions, 'get'>;
  egress: Pick<Egress, 'openRequests'>;
  /** Those whose harness is at work now. Asked at every tick. */
  runs(): readonly Run[];
  actions: Actions;
  patience?: Patience;
  tickMs?: Millis;
}

/** Of a task's past, what the ladder has to know. */
const REMEMBERED = 500;

export function createMonitor(deps: MonitorDeps): Watch {
  const { clock, log, events, sessions, egress, runs, actions } = deps;
  const patience = deps.patience === undefined ? {} : { patience: deps.patience };
  return createWatch({
    clock,
    log,
    runs,
    actions,
    ...patience,
    ...(deps.tickMs !== undefined && { tickMs: deps.tickMs }),
    signs: createSigns({ clock, events, sessions, egress, ...patience }),
    tell: ({ taskId, sessionId }, said) =>
      void events.append(sessionId, [{ type: 'task.liveness', payload: { task_id: taskId, ...said } }]),
    recall({ sessionId }) {
      const types = ['task.liveness', 'task.status'];
      return recall(events.list({ sessionId, types, order: 'desc', limit: REMEMBERED }).reverse());
    },
  });
}
