// Where sandboxes, their snapshots and the broker's files lie on the host.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** For a daemon that is root: it runs each sandbox as a uid of its own, which could not walk into root's private data folder. */
const SHARED = '/var/lib/steward';

export const rootOf = (home: string, uid: number, shared = SHARED): string =>
  uid === 0 ? join(shared, createHash('sha256').update(home).digest('hex').slice(0, 12)) : join(home, 'sandboxes');

/**
 * As `rootOf`, with the way there open: whoever is first to make something below it would leave the shared folder closed to every
 * other uid (our umask is 077). Never throws: a disk that is full or read-only is for the probe to tell.
 */
export function openRoot(home: string, uid: number, shared = SHARED): string {
  if (uid === 0)
    try {
      mkdirSync(shared, { recursive: true });
      chmodSync(shared, 0o711);
    } catch {
      // The probe starts a sandbox there and says what is in its way.
    }
  return rootOf(home, uid, shared);
}
