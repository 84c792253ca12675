// What carries a session's turn on in place of our own loop over the Messages API: the contract of a harness.

import type { Turn } from './brain/commit.ts';
import type { Ended } from './brain/endings.ts';

/** The turn rests (`outcome`), was cut short by a signal (`partialText`), or goes on (null). */
export type Requested = Ended | { partialText: string } | null;

export interface Harness {
  /** As in `STEWARD_HARNESS` and `session.metadata.harness`. */
  readonly name: string;
  /** Costs nothing: no budget stops it. */
  readonly free?: boolean;
  /**
   * One step of a turn in which the log wants an answer: what was said since the last one is in `turn.slice`. Appends to the
   * log under the turn's fence, and returns as `request` in core/brain/request.ts does. Throws only when the record fails.
   * `signal.reason` is `interrupt` or `shutdown`.
   */
  request(turn: Turn, signal: AbortSignal): Promise<Requested>;
}

/** What `steward doctor` says of the program of a harness, and how it is brought onto this machine. */
export interface HarnessProgram {
  name: string;
  version: string;
  folder: string;
  state: 'installed' | 'missing' | 'damaged' | 'unavailable';
  /** A few words. */
  detail: string;
}
export interface HarnessPrograms {
  list(): Promise<HarnessProgram[]>;
  /** The pinned version; one that is whole is left as it is. Throws StewardError. */
  install(name: string, say?: (line: string) => void): Promise<HarnessProgram>;
}
