// May a run begin now? It begins, waits for something, is passed over, or takes the place of an earlier one. Pure.
import type { Schedule, ScheduleRun } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
/** So long `idleOnly` waits for everybody to be done, and so long a prompt waits for the conversation it is for. */
const IDLE_PATIENCE: Millis = 60 * MINUTE;
const BUSY_PATIENCE: Millis = 10 * MINUTE;
/** More runs of one schedule do not queue up. */
export const LONGEST_QUEUE = 10;

export interface GateFacts {
  run: Pick<ScheduleRun, 'trigger' | 'createdAt'>;
  schedule: Pick<Schedule, 'state' | 'overlap' | 'catchUp' | 'idleOnly' | 'starts'>;
  /** Quiet hours last until then; null: it is not quiet. */
  quietUntil: Millis | null;
  /** Earlier runs of the same schedule that have not ended. */
  earlier: number;
  /** Some conversation is at work. */
  active: boolean;
  /** The conversation it speaks in is at work. */
  busy: boolean;
  /** A catch-up of any schedule began a moment ago and is at work. */
  catchingUp: boolean;
}

export type Gate =
  | { kind: 'begin'; replaces: boolean }
  /** `until` null: until an earlier run has ended. */
  | { kind: 'wait'; until: Millis | null; why: string }
  | { kind: 'skip'; why: string };

const wait = (why: string, until: Millis | null): Gate => ({ kind: 'wait', until, why });
const skip = (why: string): Gate => ({ kind: 'skip', why });

export function mayBegin(facts: GateFacts, now: Millis): Gate {
  const { run, schedule } = facts;
  const asked = run.trigger === 'manual' || run.trigger === 'webhook';
  if (schedule.state === 'archived') return skip('The schedule was archived before it began.');
  if (schedule.state === 'paused' && !asked) return skip('The schedule was paused before it began.');

  // Runs that make up for each other's slots are not in each other's way: they follow one another.
  const overlap = schedule.catchUp === 'all' && run.trigger === 'catch_up' ? 'queue' : schedule.overlap;
  if (facts.earlier > 0 && overlap === 'skip') return skip('An earlier run of this schedule had not ended yet.');
  if (facts.earlier > LONGEST_QUEUE) return skip(`${LONGEST_QUEUE} runs of this schedule wait already.`);
  if (facts.earlier > 0 && overlap === 'queue') return wait('It waits for an earlier run of this schedule.', null);

  if (facts.quietUntil !== null && run.trigger !== 'manual') return wait('Quiet hours.', facts.quietUntil);
  const waited = now - run.createdAt;
  if (schedule.idleOnly && run.trigger !== 'manual' && facts.active && waited < IDLE_PATIENCE)
    return wait('It waits until no conversation is at work.', now + 15 * SECOND);
  // A message takes no time; anything else is begun one after the other when much is to be made up for.
  if (run.trigger === 'catch_up' && schedule.starts.kind !== 'message' && facts.catchingUp)
    return wait('Missed runs are made up for one after the other.', now + 15 * SECOND);
  if (facts.busy && waited < BUSY_PATIENCE) return wait('The conversation it speaks in is at work.', now + 2 * SECOND);
  return { kind: 'begin', replaces: facts.earlier > 0 };
}
