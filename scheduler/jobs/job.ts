// What a built-in job is to the scheduler: it is given the time and a way to be stopped, and says what it did.
import type { Millis } from '../../core/types.ts';

export interface JobContext {
  now: Millis;
  /** When it ran last; null: never. */
  since: Millis | null;
  /** Somebody began it by hand and wants to hear how it went; maintenance that went well is otherwise silent. */
  asked: boolean;
  signal: AbortSignal;
}

export interface JobResult {
  /** Markdown, delivered to the owner as it is; null when there is nothing to say. */
  text: string | null;
}

/** Throws StewardError; the run then failed for the reason it gives. */
export type Job = (context: JobContext) => Promise<JobResult>;
