// A uid of its own for each live sandbox of a root daemon, so that the kernel keeps their files apart.
import { StewardError } from '../../../core/errors.ts';

export interface Uids {
  /** The lowest free one. Throws `unavailable` when all are at work. */
  take(): number;
  /** Whether `take` would give one. */
  free(): boolean;
  /** Marks one as used: a leftover of an earlier life still has it. */
  reserve(uid: number): void;
  /** Only after every process with it has gone. */
  release(uid: number): void;
}

export function createUids(pool: { first: number; count: number }): Uids {
  const used = new Set<number>();
  const lowest = (): number | null => {
    for (let uid = pool.first; uid < pool.first + pool.count; uid++) if (!used.has(uid)) return uid;
    return null;
  };
  return {
    free: () => lowest() !== null,
    take() {
      const uid = lowest();
      if (uid !== null) {
        used.add(uid);
        return uid;
      }
      throw new StewardError('unavailable', `All ${pool.count} users for sandboxes are taken.`, {
        op: 'start a sandbox',
        hint: 'End a sandbox first.',
        retryable: true,
      });
    },
    reserve: (uid) => void used.add(uid),
    release: (uid) => void used.delete(uid),
  };
}
