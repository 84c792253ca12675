// Explains in words what became of a schedule on a day, from its rows. Pure.
import type { Schedule, ScheduleRun, Slot } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';
import { formatLocal } from './local.ts';

const STATES: Record<ScheduleRun['state'], string> = {
  waiting: 'waits',
  running: 'is at work',
  succeeded: 'ran',
  failed: 'failed',
  skipped: 'was skipped',
  missed: 'was missed',
  cancelled: 'was cancelled',
};
const TRIGGERS: Record<ScheduleRun['trigger'], string> = {
  schedule: '',
  catch_up: ' (made up for later)',
  manual: ' (by hand)',
  webhook: ' (by a webhook)',
};

const clock = (at: Millis, timeZone: string) => formatLocal(at, timeZone).split(' ')[2]!;

export function runLine(run: ScheduleRun, timeZone: string): string {
  const when = `${clock(run.slot.at, timeZone)}${run.state === 'missed' ? '' : TRIGGERS[run.trigger]}`;
  const began =
    run.startedAt !== null && run.startedAt - run.slot.at > 60_000 ? `, begun ${clock(run.startedAt, timeZone)}` : '';
  const took =
    run.startedAt !== null && run.endedAt !== null
      ? `, took ${Math.round((run.endedAt - run.startedAt) / 1_000)} s`
      : '';
  const missed = run.missedBefore > 0 ? `, for ${run.missedBefore} missed before` : '';
  const cost = run.costUsd === null ? '' : `, $${run.costUsd.toFixed(4)}`;
  const reason = run.reason ? `: ${run.reason}` : '.';
  return `${when} ${STATES[run.state]}${began}${took}${missed}${cost}${reason}`;
}

export interface Day {
  day: string;
  from: Millis;
  to: Millis;
  now: Millis;
  runs: readonly ScheduleRun[];
  /** By its rule as it is today. */
  slots: readonly Slot[];
}

export function explain(schedule: Schedule, { day, from, to, now, runs, slots }: Day): string {
  const { timeZone } = schedule.rule;
  const lines = runs.map((run) => runLine(run, timeZone));
  const known = new Set(runs.map(({ slot }) => slot.key));
  const open = slots.filter(({ key }) => !known.has(key));
  const future = open.filter(({ at }) => at > now);
  if (lines.length === 0 || open.some(({ at }) => at <= now)) lines.push(...standing(schedule, { from, to, now, day }));
  if (future.length > 0 && schedule.state === 'active')
    lines.push(
      `Still to come: ${future
        .slice(0, 10)
        .map(({ at }) => clock(at, timeZone))
        .join(', ')}.`,
    );
  if (lines.length === 0) lines.push('By its rule it had nothing to do that day.');
  return `${schedule.name} on ${day} (${timeZone}):\n${lines.map((line) => `- ${line}`).join('\n')}`;
}

/** Why there is no row for what may have been due. */
function standing(schedule: Schedule, { from, to, now, day }: Pick<Day, 'from' | 'to' | 'now' | 'day'>): string[] {
  const { timeZone } = schedule.rule;
  if (schedule.createdAt >= to) return [`It was made only on ${formatLocal(schedule.createdAt, timeZone)}.`];
  if (schedule.archivedAt !== null && schedule.archivedAt < to)
    return [`It was archived on ${formatLocal(schedule.archivedAt, timeZone)}.`];
  if (schedule.endsAt !== null && schedule.endsAt < from)
    return [`It ended on ${formatLocal(schedule.endsAt, timeZone)}.`];
  if (schedule.paused)
    return [
      schedule.paused.kind === 'manual'
        ? `It is paused since ${formatLocal(schedule.updatedAt, timeZone)}.`
        : `It paused itself on ${formatLocal(schedule.updatedAt, timeZone)}: ${schedule.paused.why}`,
    ];
  if (schedule.state === 'ended') return ['It has ended: no slot was left.'];
  if (from > now) return schedule.next ? [] : [`${day} is still to come.`];
  return ['By its rule it had nothing to do then, or it was changed since.'];
}
