// The nightly backup: what core/backup.ts makes, told in one line.
import { type Backups, freshBackup } from '../../core/backup.ts';
import type { Job } from './job.ts';

const mb = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MB`;

export function createBackupJob(deps: { backups: Pick<Backups, 'make' | 'list'> }): Job {
  return async ({ now, asked }) => {
    // Memory has one made before it puts itself in order, half an hour earlier.
    const fresh = freshBackup(deps.backups, now);
    if (fresh && !asked) return { text: null };
    const { name, bytes, tookMs, removed } = await deps.backups.make();
    if (!asked) return { text: null };
    const gone = removed.length > 0 ? ` It takes the place of ${removed.length} older.` : '';
    return { text: `${name}: ${mb(bytes)} in ${(tookMs / 1_000).toFixed(1)} s, looked through and whole.${gone}` };
  };
}
