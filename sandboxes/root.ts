// Where sandboxes, their snapshots and the broker's files lie on the host.
import { createHash } from 'node:crypto';
import { join } from 'node:path';

/**
 * Where sandboxes live. A daemon that is root runs each of them as a uid of its own, which could not walk into root's
 * private data folder.
 */
export const rootOf = (home: string, uid: number): string =>
  uid === 0
    ? join('/var/lib/steward', createHash('sha256').update(home).digest('hex').slice(0, 12))
    : join(home, 'sandboxes');
