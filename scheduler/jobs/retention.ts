// Bounds what would grow for ever and can be missed: what ran out, and what is a copy. Never the log, nor what is known.
import { copyFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backups } from '../../core/backup.ts';
import type { SchedulesApi } from '../../core/schedules.ts';
import type { Id } from '../../core/types.ts';
import type { Job } from './job.ts';

/** A log file larger than this is begun anew; the one before is kept once. Bytes. */
const LOG_BYTES = 64 * 1024 * 1024;
const PAGE = 100;

export interface RetentionDeps {
  home: string;
  backups: Backups;
  schedules: Pick<SchedulesApi, 'list'>;
  /** Sign-ins of browsers and login links that ran out (channels). */
  sweepSignIns(): number;
  /** What conditions of schedules saw, for those that are gone. */
  keepLooksOf(ids: ReadonlySet<Id>): number;
  logBytes?: number;
}

/**
 * PM2 holds the file open and writes at its end, so it is copied and cut, not moved. What is written between the two is lost:
 * a few lines of a log that is no record.
 */
async function cutLog(home: string, most: number): Promise<boolean> {
  const file = join(home, 'logs', 'steward.log');
  const seen = await stat(file).catch(() => null);
  if (!seen?.isFile() || seen.size <= most) return false;
  await copyFile(file, `${file}.1`);
  await truncate(file, 0);
  return true;
}

function living(schedules: Pick<SchedulesApi, 'list'>): Set<Id> {
  const ids = new Set<Id>();
  for (let after: Id | undefined; ; ) {
    const page = schedules.list({ limit: PAGE, ...(after && { after }) });
    for (const { id } of page) ids.add(id);
    after = page.at(-1)?.id;
    if (page.length < PAGE) return ids;
  }
}

export function createRetentionJob(deps: RetentionDeps): Job {
  return async ({ asked }) => {
    const signIns = deps.sweepSignIns();
    const looks = deps.keepLooksOf(living(deps.schedules));
    const backups = deps.backups.prune();
    const cut = await cutLog(deps.home, deps.logBytes ?? LOG_BYTES);
    const parts = [
      ...(signIns > 0 ? [`${signIns} sign-ins and login links that ran out`] : []),
      ...(looks > 0 ? [`what ${looks} conditions of ended schedules saw`] : []),
      ...(backups.length > 0 ? [`${backups.length} backups (${backups.join(', ')})`] : []),
      ...(cut ? ['the older part of the log file (kept once as steward.log.1)'] : []),
    ];
    if (!asked) return { text: null };
    return { text: parts.length === 0 ? 'There was nothing to remove.' : `Removed: ${parts.join('; ')}.` };
  };
}
