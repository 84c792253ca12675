// Checks a rule where it comes in, and says what is wrong with it in sentences. What passes here the rest trusts.
import { StewardError } from '../core/errors.ts';
import type { Rule } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';
import { type CronTimes, readCron } from './cron.ts';
import { isZone, nearestZones } from './zones.ts';

const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;
/** Longer than any life of a machine; what is above is a mistake of units. */
const LONGEST_INTERVAL: Millis = 3660 * DAY;
/** The last instant taken: the end of the year 9999. */
const LAST_INSTANT: Millis = 253_402_300_799_999;

/** One sentence per problem; none for a rule that can be scheduled at `now`. */
export function problemsOf(rule: Rule, now: Millis): string[] {
  return [...problemsOfZone(rule.timeZone), ...problemsOfTime(rule, now)];
}

/** Throws StewardError `invalid` with every problem. */
export function checkRule(rule: Rule, now: Millis): void {
  const problems = problemsOf(rule, now);
  if (problems.length === 0) return;
  throw new StewardError('invalid', problems.join(' '), { op: 'check when the schedule is due' });
}

/**
 * The shortest time between two of its slots, for limits: on a day without a change of clocks.
 * `Infinity` for what has at most one slot of its own.
 */
export function minimumGap(rule: Rule): Millis {
  switch (rule.kind) {
    case 'once':
    case 'manual':
      return Number.POSITIVE_INFINITY;
    case 'interval':
      return rule.every;
    case 'cron': {
      const read = readCron(rule.expression);
      if (!read.ok) throw new RangeError(read.problems.join(' '));
      return gapOf(read.times);
    }
  }
}

function gapOf({ minutes, dayFrom }: CronTimes): Millis {
  let gap = Number.POSITIVE_INFINITY;
  for (let index = 1; index < minutes.length; index += 1) {
    gap = Math.min(gap, (minutes[index]! - minutes[index - 1]!) * MINUTE);
  }
  // From the last time of a day to the first of the next day: four years, or eighty days, show what can follow what.
  const overnight = minutes[0]! * MINUTE - minutes.at(-1)! * MINUTE;
  const first = 20_454; // 2026-01-01
  let day = dayFrom(first);
  for (let seen = 0; day !== null && seen < 80 && day < first + 1461; seen += 1) {
    const next = dayFrom(day + 1);
    if (next === null) break;
    gap = Math.min(gap, (next - day) * DAY + overnight);
    if (next === day + 1) break;
    day = next;
  }
  return gap;
}

function problemsOfZone(timeZone: string): string[] {
  if (isZone(timeZone)) return [];
  if (/^(?:utc|gmt)?\s*[+-]\s*\d/i.test(timeZone)) {
    return [`"${timeZone.slice(0, 64)}" is an offset, which knows no summer time: name a zone like Europe/Berlin.`];
  }
  const near = nearestZones(timeZone);
  const instead = near.length > 0 ? `did you mean ${near.join(', or ')}?` : 'write one like Europe/Berlin.';
  return [`"${timeZone.slice(0, 64)}" is not a time zone: ${instead}`];
}

function problemsOfTime(rule: Rule, now: Millis): string[] {
  switch (rule.kind) {
    case 'manual':
      return [];
    case 'cron': {
      const read = readCron(rule.expression);
      return read.ok ? [] : read.problems;
    }
    case 'once': {
      if (!isInstant(rule.at)) return ['The time of a single run must be a whole number of milliseconds since 1970.'];
      return rule.at < now ? [`${new Date(rule.at).toISOString()} has passed already.`] : [];
    }
    case 'interval': {
      const problems: string[] = [];
      if (!Number.isInteger(rule.every)) problems.push('An interval must be a whole number of milliseconds.');
      else if (rule.every < MINUTE) problems.push('An interval must be at least a minute.');
      else if (rule.every > LONGEST_INTERVAL) problems.push('An interval must be at most ten years.');
      if (!isInstant(rule.anchor)) {
        problems.push('The beginning of an interval must be a whole number of milliseconds since 1970.');
      }
      return problems;
    }
  }
}

function isInstant(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= LAST_INSTANT;
}
