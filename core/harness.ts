// What carries a session's turn on in place of our own loop over the Messages API: the contract of a harness.

import type { Turn } from './brain/commit.ts';
import type { Ended } from './brain/endings.ts';

/** The turn rests (`outcome`), was cut short by a signal (`partialText`), or goes on (null). */
export type Requested = Ended | { partialText: string } | null;

export interface Harness {
  /** As in `STEWARD_HARNESS` and `session.metadata.harness`. */
  readonly name: string;
  /**
   * One step of a turn in which the log wants an answer: what was said since the last one is in `turn.slice`. Appends to the
   * log under the turn's fence, and returns as `request` in core/brain/request.ts does. Throws only when the record fails.
   * `signal.reason` is `interrupt` or `shutdown`.
   */
  request(turn: Turn, signal: AbortSignal): Promise<Requested>;
}
