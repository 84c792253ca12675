// What to do after a failed model request. Pure; the numbers are in milliseconds.
import type { Millis, ModelFailure } from '../types.ts';

export type AfterFailure =
  | { kind: 'retry'; delayMs: Millis; model: number }
  /** The model is away: the message is kept, the person is told once, the session is tried again later. */
  | { kind: 'hold'; delayMs: Millis }
  | { kind: 'give_up' };

export interface Attempts {
  failure: ModelFailure;
  retryAfterMs: Millis | null;
  /** Index of the model that just failed, and how many there are. */
  model: number;
  models: number;
  /** Failed requests of this run, and the time since its first one. */
  failures: number;
  elapsedMs: Millis;
  /** Times this session was put on hold in a row. */
  holds: number;
}

/** Retries within one run end here; what still fails is held. */
export const CUMULATIVE_DEADLINE_MS = 60_000;
const UNREACHABLE_DEADLINE_MS = 6_000;
const BASE_MS = 500;
const MAX_EMPTY = 3;
const HOLD_BASE_MS = 5_000;
const HOLD_CAP_MS = 60_000;
const REFUSED_HOLD_MS = 5 * 60_000;
/** A server that asks for more patience than this is asked again anyway. */
const RETRY_AFTER_CAP_MS = 60 * 60_000;

const hold = (holds: number, retryAfterMs: Millis): AfterFailure => ({
  kind: 'hold',
  delayMs: Math.max(
    Math.min(HOLD_BASE_MS * 2 ** Math.min(holds, 10), HOLD_CAP_MS),
    Math.min(retryAfterMs, RETRY_AFTER_CAP_MS),
  ),
});

/** `jitter` is a number in [0, 1). */
export function afterFailure(attempts: Attempts, jitter: number): AfterFailure {
  const { failure, model, models, failures, elapsedMs } = attempts;
  const next = (model + 1) % models;
  const cycle = Math.floor((failures - 1) / models);
  const backoff = BASE_MS * 2 ** Math.min(cycle, 6) * (0.75 + jitter / 2);
  switch (failure) {
    case 'aborted':
    case 'invalid':
      return { kind: 'give_up' };
    case 'empty':
      return failures >= MAX_EMPTY ? { kind: 'give_up' } : { kind: 'retry', delayMs: 0, model };
    case 'refused':
      // Another model of the list may still take it; a person has to mend the rest.
      return failures < models
        ? { kind: 'retry', delayMs: 0, model: next }
        : { kind: 'hold', delayMs: REFUSED_HOLD_MS };
    case 'overloaded':
    case 'rate_limited':
    case 'stalled':
    case 'cut':
    case 'unreachable': {
      if (failures % models !== 0) return { kind: 'retry', delayMs: 0, model: next };
      const retryAfterMs = attempts.retryAfterMs ?? 0;
      const delayMs = Math.max(backoff, retryAfterMs);
      const deadline = failure === 'unreachable' ? UNREACHABLE_DEADLINE_MS : CUMULATIVE_DEADLINE_MS;
      return elapsedMs + delayMs > deadline
        ? hold(attempts.holds, retryAfterMs)
        : { kind: 'retry', delayMs, model: next };
    }
  }
}
