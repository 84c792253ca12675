// Is the record readable and sound? Opens it for reading only, beside a running process too.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { migrations } from '../../migrations/index.ts';
import { openSqlite } from '../../sqlite.ts';
import { type Finding, type Patient, reporter } from './finding.ts';

const found = reporter('database');

export async function databaseCheck({ config: { home } }: Patient): Promise<Finding> {
  const file = join(home, 'steward.db');
  if (!existsSync(file)) return found('ok', 'There is none yet; the first start makes it.');
  // Even a reader of a WAL file may create side files, and another user's would lock the owner out.
  if (process.getuid && statSync(file).uid !== process.getuid())
    return found('warn', `${file} belongs to another user and was not opened.`, 'Run steward doctor as its owner.');
  try {
    const db = openSqlite(file, { readonly: true });
    try {
      const verdict = db.pragma('quick_check(3)') as { quick_check: string }[];
      const problems = verdict.map((row) => row.quick_check).filter((text) => text !== 'ok');
      if (problems.length > 0)
        return found(
          'fail',
          `${file} is damaged: ${problems.join('; ')}.`,
          `Stop Steward, keep a copy of ${file}, and restore the newest of ${join(home, 'backups')}.`,
        );
      const version = db.pragma('user_version', { simple: true }) as number;
      if (version > migrations.length)
        return found(
          'fail',
          `It was written by a newer Steward (schema ${version}; this one knows ${migrations.length}).`,
          'Update Steward, or restore the copy made before the update.',
        );
      const journal = db.pragma('journal_mode', { simple: true });
      if (journal !== 'wal')
        return found('warn', `journal_mode is ${journal}, not wal.`, 'Start Steward: it sets and checks this itself.');
      return found('ok', `Sound: ${(sizeOf(file) / 1024 ** 2).toFixed(1)} MB, schema ${version}, WAL.`);
    } finally {
      db.close();
    }
  } catch (error) {
    return found(
      'fail',
      `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
      `Keep a copy of ${file} and restore the newest of ${join(home, 'backups')}.`,
    );
  }
}

/** With what is still in the write-ahead log. Bytes. */
function sizeOf(file: string): number {
  return statSync(file).size + (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0);
}
