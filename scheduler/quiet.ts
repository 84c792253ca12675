// Quiet hours: whether the wall clock shows a time inside a span, and the instant at which that ends. Pure.
import type { QuietHours } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';
import { type Almanac, createAlmanac } from './almanac.ts';

const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;

/** Problems as sentences; none for a span that can be used. */
export function checkQuiet(quiet: QuietHours): string[] {
  const problems = (['from', 'to'] as const)
    .filter((end) => minuteOf(quiet[end]) === null)
    .map((end) => `Quiet hours: "${quiet[end]}" is not a time of day; write it as 22:00.`);
  if (problems.length === 0 && quiet.from === quiet.to) {
    problems.push(`Quiet hours from ${quiet.from} to ${quiet.to} would last all day; pause the schedule instead.`);
  }
  return problems;
}

/**
 * The first instant from `now` on at which the clock of the zone shows a time outside the span; null: it does already.
 * The span includes `from` and not `to`. Where clocks change it is what the clock shows that counts, minute by minute.
 * A span that `checkQuiet` refuses is never quiet.
 */
export function quietUntil(
  quiet: QuietHours,
  timeZone: string,
  now: Millis,
  almanac: Almanac = createAlmanac(),
): Millis | null {
  const from = minuteOf(quiet.from);
  const to = minuteOf(quiet.to);
  if (from === null || to === null || from === to) return null;
  const inside = (wall: Millis) => {
    const minute = Math.floor((((wall % DAY) + DAY) % DAY) / MINUTE);
    return from < to ? minute >= from && minute < to : minute >= from || minute < to;
  };
  let t = now;
  for (;;) {
    const { until, offset } = almanac.stretchAt(timeZone, t);
    const wall = t + offset;
    if (!inside(wall)) return t === now ? null : t;
    const midnight = Math.floor(wall / DAY) * DAY;
    const today = midnight + to * MINUTE;
    t = Math.min(until, (today > wall ? today : today + DAY) - offset);
  }
}

function minuteOf(text: string): number | null {
  const match = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  return match ? Number(match[1]) * 60 + Number(match[2]) : null;
}
