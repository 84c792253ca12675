// The one error type of the project: what failed, why, and what to do next.

export type ErrorCode =
  | 'bad_config'
  | 'conflict'
  | 'database_newer'
  | 'disk_full'
  | 'forbidden'
  | 'internal'
  | 'invalid'
  | 'not_found'
  | 'other_instance'
  | 'port_taken'
  | 'rate_limited'
  | 'read_only'
  | 'sandbox_lost'
  | 'stale_run'
  | 'too_large'
  | 'unauthenticated'
  | 'unavailable';

export interface ErrorDetails {
  /** What was being done, in the words of the person who asked for it: "open the database". */
  op: string;
  /** What to do next, one sentence. */
  hint?: string;
  /** True when the same call may succeed later without anyone changing anything. */
  retryable?: boolean;
  cause?: unknown;
}

export class StewardError extends Error {
  readonly code: ErrorCode;
  readonly op: string;
  readonly hint: string | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails) {
    super(message, { cause: details.cause });
    this.name = 'StewardError';
    this.code = code;
    this.op = details.op;
    this.hint = details.hint;
    this.retryable = details.retryable ?? false;
  }
}

/** Process exit codes of the contract with the outside (sysexits.h gives 75 and 78). */
export const EXIT = { ok: 0, failed: 1, usage: 2, otherInstance: 75, badConfig: 78 } as const;

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof StewardError)) return EXIT.failed;
  if (error.code === 'bad_config') return EXIT.badConfig;
  if (error.code === 'other_instance') return EXIT.otherInstance;
  return EXIT.failed;
}

/** One or two lines for a person: what failed, why, what to do. Never a stack. */
export function describeError(error: unknown): string {
  if (error instanceof StewardError) return error.hint ? `${error.message}\n${error.hint}` : error.message;
  return error instanceof Error ? error.message : String(error);
}
