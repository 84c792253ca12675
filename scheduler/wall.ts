// From a time on the wall of a zone to the instant it means, and back.
import type { Millis } from '../core/types.ts';
import type { Almanac } from './almanac.ts';

/** Wall time and its instant are never further apart, not even where a zone crossed the date line (Apia 2011: a day). */
export const FARTHEST: Millis = 40 * 3_600_000;

/** A time on a clock, as if it were UTC. */
export type Wall = Millis;

export function wallOf(instant: Millis, timeZone: string, almanac: Almanac): Wall {
  return instant + almanac.stretchAt(timeZone, instant).offset;
}

/** Of a time that comes twice the first; of one that is skipped the first instant after the gap. */
export function instantOf(wall: Wall, timeZone: string, almanac: Almanac): Millis {
  let t = wall - FARTHEST;
  for (;;) {
    const { from, until, offset } = almanac.stretchAt(timeZone, t);
    if (wall - offset < until) return Math.max(from, wall - offset);
    t = until;
  }
}
