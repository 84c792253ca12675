// The nightly backup: what core/backup.ts makes, told in one line.
import { type Backups, freshBackup } from '../../core/backup.ts';
import type { Job } from './job.ts';

const mb = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MB`;

export function createBackupJob(deps: { backups: Pick<Backups, 'make' | 'list'> }): Job {
  return async ({ now }) => {
    // Memory has one made before it puts itself in order, half an hour earlier.
    const fresh = freshBackup(deps.backups, now);
    if (fresh) return { text: `${fresh.name} was made a moment ago and serves as well (${mb(fresh.bytes)}).` };
    const { name, bytes, tookMs, removed } = await deps.backups.make();
    const gone = removed.length > 0 ? ` It takes the place of ${removed.length} older.` : '';
    return { text: `${name}: ${mb(bytes)} in ${(tookMs / 1_000).toFixed(1)} s, looked through and whole.${gone}` };
  };
}
