// The two errors the broker's side in the daemon throws.
import { StewardError } from '../../core/errors.ts';

/** What was asked for cannot be. */
export const invalid = (why: string): StewardError =>
  new StewardError('invalid', why, { op: 'configure the egress broker' });

export const unavailable = (why: string): StewardError =>
  new StewardError('unavailable', `The way out of the sandboxes is closed: ${why}`, {
    op: 'use the egress broker',
    retryable: true,
  });
