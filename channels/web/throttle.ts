// Wrong credentials are counted: beyond a number in five minutes they are told to wait. Right ones still pass.
import type { Millis } from '../../core/types.ts';

const MAX_FAILURES = 20;
const FAILURE_WINDOW_MS: Millis = 5 * 60_000;

export interface Throttle {
  throttled(): boolean;
  noteFailure(): void;
}

export function createThrottle(now: () => Millis): Throttle {
  const failures: Millis[] = [];
  return {
    throttled() {
      while (failures.length > 0 && failures[0]! < now() - FAILURE_WINDOW_MS) failures.shift();
      return failures.length >= MAX_FAILURES;
    },
    noteFailure() {
      failures.push(now());
      if (failures.length > MAX_FAILURES) failures.shift();
    },
  };
}
