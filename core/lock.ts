// One process per data folder: an exclusive SQLite lock held for the process's life.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { StewardError } from './errors.ts';
import { namedFailure, openSqlite, type Sqlite, sqliteCode } from './sqlite.ts';

/**
 * Takes the lock or throws `other_instance` at once; `read_only` and `disk_full` where the folder takes no file. The kernel drops it with the process, also after SIGKILL,
 * so there is never a stale lock to clean up.
 */
export function takeLock(home: string): { release(): void } {
  const file = join(home, 'steward.lock');
  let opened: Sqlite | undefined;
  try {
    opened = openSqlite(file, { timeoutMs: 0 });
    opened.exec('BEGIN EXCLUSIVE');
    chmodSync(file, 0o600);
  } catch (error) {
    opened?.close();
    if (sqliteCode(error)?.startsWith('SQLITE_BUSY'))
      throw new StewardError('other_instance', `Another Steward already runs with the data folder ${home}.`, {
        op: 'take the lock',
        hint: 'Use that one (steward status), stop it (steward stop), or start this one with another STEWARD_HOME.',
        cause: error,
      });
    throw namedFailure(error, 'take the lock');
  }
  const db = opened;
  return {
    release() {
      if (db.open) db.close();
    },
  };
}
