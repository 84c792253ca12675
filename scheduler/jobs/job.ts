// What a built-in job is to the scheduler: it is given the time and a way to be stopped, and says what it did.
import type { Millis } from '../../core/types.ts';

export interface JobContext {
  now: Millis;
  /** When it began the last time that it succeeded; null: never. */
  since: Millis | null;
  signal: AbortSignal;
}

export interface JobResult {
  /** Markdown for the owner; null when there is nothing to say. */
  text: string | null;
}

/** Throws StewardError; the run then failed for the reason it gives. */
export type Job = (context: JobContext) => Promise<JobResult>;
