// What people and the model read about a run: when it was due, when it began, what it makes up for. Pure.
import type { Schedule, ScheduleRun } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';
import { jitterOf } from './jitter.ts';
import { formatLocal } from './local.ts';
import { ON_TIME } from './misfire.ts';

const SHORT = 500;

/** The beginning of a text, at most 500 characters. */
export function shorten(text: string): string {
  const chars = [...text.trim()];
  return chars.length > SHORT ? `${chars.slice(0, SHORT - 1).join('')}…` : chars.join('');
}

type Timed = Pick<Schedule, 'id' | 'jitterMs' | 'rule'>;
type Due = Pick<ScheduleRun, 'slot' | 'trigger' | 'missedBefore'>;

/** `07:30` for the same day, `Mon 2026-12-07 07:30` for another one. */
export function dueClock(at: Millis, now: Millis, timeZone: string): { due: string; now: string } {
  const read = (moment: Millis) => formatLocal(moment, timeZone).split(' ') as [string, string, string];
  const [weekday, day, time] = read(at);
  const [, today, clock] = read(now);
  return { due: day === today ? time : `${weekday} ${day} ${time}`, now: clock };
}

export function isLate(schedule: Timed, run: Due, now: Millis): boolean {
  if (run.trigger === 'manual' || run.trigger === 'webhook') return false;
  return now - run.slot.at - jitterOf(schedule) > ON_TIME || run.missedBefore > 0;
}

/** `scheduled 07:30, now 08:10, 1 missed`; null for a run on time. */
export function lateLabel(schedule: Timed, run: Due, now: Millis, verb = 'scheduled'): string | null {
  if (!isLate(schedule, run, now)) return null;
  const clock = dueClock(run.slot.at, now, schedule.rule.timeZone);
  const missed = run.missedBefore > 0 ? `, ${run.missedBefore} missed` : '';
  return `${verb} ${clock.due}, now ${clock.now}${missed}`;
}

/** What the model reads below the words of a late run. */
export function lateNote(schedule: Timed, run: Due, now: Millis): string | null {
  if (!isLate(schedule, run, now)) return null;
  const { timeZone } = schedule.rule;
  const missed =
    run.missedBefore > 0
      ? ` ${run.missedBefore === 1 ? 'One earlier run was' : `${run.missedBefore} earlier runs were`} missed; this one stands for all of them.`
      : '';
  return `[This run is late: it was scheduled for ${formatLocal(run.slot.at, timeZone)} and begins at ${formatLocal(now, timeZone)}.${missed}]`;
}
