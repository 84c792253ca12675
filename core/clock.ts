// Time as a parameter: everything that waits or stamps takes a Clock.
import type { Millis } from './types.ts';

export interface Clock {
  /** Wall clock, epoch milliseconds. */
  now(): Millis;
  /** Monotonic milliseconds, for durations. */
  elapsed(): Millis;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  sleep(ms: Millis, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
    }),
};
