// When a rule is due: its slots, in order, each with the key that makes it one row for ever. Pure; zones and expressions through an almanac.
import type { Rule, Slot } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';
import { type Almanac, createAlmanac } from './almanac.ts';
import type { CronTimes } from './cron.ts';
import { FARTHEST } from './wall.ts';

const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;

/**
 * The slots of a rule with `from <= at < to`, at most `limit`, ascending, no instant and no key twice.
 *
 * Where clocks change: a cron expression that names times of day fires once for each time. A time that is skipped fires at
 * the first instant after the gap (several skipped times are one slot there, as is a time that falls on that instant
 * itself); of a time that comes twice the first is meant. An expression with `*` first in its minute or hour follows the
 * running clock: twice in a repeated hour, not at all in a skipped one.
 */
export function slots(
  rule: Rule,
  from: Millis,
  to: Millis,
  limit = Number.POSITIVE_INFINITY,
  almanac: Almanac = createAlmanac(),
): Slot[] {
  const found: Slot[] = [];
  let after = from - 1;
  while (found.length < limit) {
    const slot = nextSlot(rule, after, almanac);
    if (!slot || slot.at >= to) break;
    found.push(slot);
    after = slot.at;
  }
  return found;
}

/** The first slot strictly after an instant; null: there is none any more. Throws a RangeError for a rule `checkRule` refuses. */
export function nextSlot(rule: Rule, after: Millis, almanac: Almanac = createAlmanac()): Slot | null {
  switch (rule.kind) {
    case 'manual':
      return null;
    case 'once':
      return rule.at > after ? byInstant(rule.at) : null;
    case 'interval': {
      const passed = Math.floor((after - rule.anchor) / rule.every);
      return byInstant(rule.anchor + Math.max(0, passed + 1) * rule.every);
    }
    case 'cron':
      return nextCron(almanac.cron(rule.expression), rule.timeZone, after, almanac);
  }
}

function nextCron(times: CronTimes, timeZone: string, after: Millis, almanac: Almanac): Slot | null {
  let t = Math.floor(after) + 1;
  for (;;) {
    const { from, until, offset, before } = almanac.stretchAt(timeZone, t);
    if (!times.elapsed && offset > before && from >= t) {
      const skipped = nextWall(times, from + before);
      if (skipped !== null && skipped < from + offset) return byWall(from, offset);
    }
    // Of a repeated stretch only what was not shown before counts for times of day.
    const shown = times.elapsed ? Number.NEGATIVE_INFINITY : from + before;
    const wall = nextWall(times, Math.max(t + offset, shown));
    if (wall === null) return null;
    if (wall - offset < until) return times.elapsed ? byInstant(wall - offset) : byWall(wall - offset, offset);
    // Far ahead no stretch need be looked at, unless a clock set back shows again what lies behind it now.
    t = times.elapsed ? until : Math.max(until, wall - FARTHEST);
  }
}

/** The first matching time on a wall clock, at or after `wall`; both as if they were UTC. */
function nextWall(times: CronTimes, wall: Millis): Millis | null {
  const start = Math.ceil(wall / MINUTE);
  const today = Math.floor(start / 1440);
  let day = times.dayFrom(today);
  if (day === today) {
    const minute = firstFrom(times.minutes, start - today * 1440);
    if (minute !== undefined) return day * DAY + minute * MINUTE;
    day = times.dayFrom(today + 1);
  }
  return day === null ? null : day * DAY + times.minutes[0]! * MINUTE;
}

function firstFrom(sorted: readonly number[], least: number): number | undefined {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < least) low = middle + 1;
    else high = middle;
  }
  return sorted[low];
}

function byInstant(at: Millis): Slot {
  return { at, key: new Date(at).toISOString().replace('.000Z', 'Z') };
}

function byWall(at: Millis, offset: Millis): Slot {
  return { at, key: new Date(at + offset).toISOString().slice(0, 16) };
}
