// A clock that moves only when told to.
import type { Clock } from '../../core/clock.ts';

export interface ManualClock extends Clock {
  /** Moves time on and ends the sleeps that are due, in their order. */
  advance(ms: number): Promise<void>;
  sleeping(): number;
}

export function createManualClock(start = Date.UTC(2026, 10, 20, 8)): ManualClock {
  let at = start;
  const sleeps = new Set<{ until: number; wake(): void }>();
  return {
    now: () => at,
    elapsed: () => at - start,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const sleep = {
          until: at + ms,
          wake() {
            sleeps.delete(sleep);
            signal?.removeEventListener('abort', sleep.wake);
            resolve();
          },
        };
        sleeps.add(sleep);
        signal?.addEventListener('abort', sleep.wake, { once: true });
      }),
    async advance(ms) {
      at += ms;
      const due = [...sleeps].filter((sleep) => sleep.until <= at).sort((a, b) => a.until - b.until);
      for (const sleep of due) sleep.wake();
      // What was woken gets to run up to its next wait.
      await new Promise(setImmediate);
    },
    sleeping: () => sleeps.size,
  };
}
