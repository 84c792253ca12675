// Jitter: how much later a schedule acts on its slots, the same each time, so that many do not begin in one moment. Pure.
import { createHash } from 'node:crypto';
import type { Schedule, Slot } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';

type Jittered = Pick<Schedule, 'id' | 'jitterMs'>;

/** Between 0 and `jitterMs`, by the id. */
export function jitterOf({ id, jitterMs }: Jittered): Millis {
  if (jitterMs <= 0) return 0;
  const chance = createHash('sha256').update(id).digest().readUInt32BE(0) / 2 ** 32;
  return Math.floor(chance * (jitterMs + 1));
}

export const dueAt = (schedule: Jittered, slot: Slot): Millis => slot.at + jitterOf(schedule);
