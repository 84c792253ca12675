// How work that nobody waits for lets everybody else go first: between two pieces of it, and for longer while something is said.
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Bus } from '../core/bus.ts';
import type { Millis } from '../core/types.ts';

/** While events come in, the next piece waits for a pause of so long in them, and no longer than so many of those. */
const PAUSE_MS: Millis = 40;
const MOST_PAUSES = 25;

export interface Pace {
  /** To be awaited between two pieces of a few milliseconds. */
  breathe(): Promise<void>;
  stop(): void;
}

const rest = (ms: Millis): Promise<void> => setTimeout(ms, undefined, { ref: false });

/** `pause` waits so long; the timer's own when left out. */
export function createPace(bus: Bus, pause: (ms: Millis) => Promise<void> = rest): Pace {
  let stirred = false;
  let stopped = false;
  const unsubscribe = bus.subscribe(null, () => {
    stirred = true;
  });
  return {
    async breathe() {
      await setImmediate();
      for (let pauses = 0; stirred && !stopped && pauses < MOST_PAUSES; pauses++) {
        stirred = false;
        await pause(PAUSE_MS);
      }
    },
    stop() {
      stopped = true;
      unsubscribe();
    },
  };
}
