// Tells a clock that was set from a machine that slept, by comparing two looks at the clocks. Pure.
import type { Millis } from '../core/types.ts';

export interface Reading {
  wall: Millis;
  /** Stands still while a Linux machine sleeps, never jumps. */
  monotonic: Millis;
  /** Time since boot, sleep included (`os.uptime()`); null: unknown. */
  uptime?: Millis | null;
}

export type ClockChange =
  | { kind: 'none' }
  /** The wall clock was set: forward when positive. */
  | { kind: 'jump'; byMs: Millis }
  /** The machine slept, or the process was held, for so long; the wall clock is right. */
  | { kind: 'slept'; forMs: Millis };

export const THRESHOLD: Millis = 5_000;

/**
 * What happened between two looks that should lie `every` apart.
 * Without `uptime` a wall clock that ran ahead of the monotonic one may have been set or may have slept: it is called sleep,
 * by far the commoner, and what follows is the same (slots that passed are made up for by the rules).
 */
export function watchClock(last: Reading, current: Reading, every: Millis): ClockChange {
  const wall = current.wall - last.wall;
  const monotonic = current.monotonic - last.monotonic;
  const known = typeof last.uptime === 'number' && typeof current.uptime === 'number';
  if (known) {
    const lived = current.uptime! - last.uptime!;
    if (Math.abs(wall - lived) > THRESHOLD) return { kind: 'jump', byMs: wall - lived };
    return lived - every > THRESHOLD ? { kind: 'slept', forMs: lived - every } : { kind: 'none' };
  }
  const ahead = wall - monotonic;
  if (ahead < -THRESHOLD) return { kind: 'jump', byMs: ahead };
  const lost = ahead > THRESHOLD ? ahead : monotonic - every;
  return lost > THRESHOLD ? { kind: 'slept', forMs: lost } : { kind: 'none' };
}
