// The one importer of better-sqlite3: opens a file and names the failures of SQLite and of the disk beneath it in our words.
import Database from 'better-sqlite3';
import { StewardError } from './errors.ts';

export type Sqlite = Database.Database;
export type Statement<P extends unknown[] = unknown[], R = unknown> = Database.Statement<P, R>;

export function openSqlite(file: string, options?: { readonly?: boolean; timeoutMs?: number }): Sqlite {
  return new Database(file, { readonly: options?.readonly ?? false, timeout: options?.timeoutMs ?? 5_000 });
}

export function sqliteCode(error: unknown): string | null {
  return error instanceof Database.SqliteError ? error.code : null;
}

const codeOf = (error: unknown): string | null =>
  sqliteCode(error) ?? ((error instanceof Error && (error as NodeJS.ErrnoException).code) || null);

/** A full disk shows as SQLITE_FULL, or as an I/O error while a journal or the WAL grows. */
const FULL = new Set(['SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_IOERR_SHMSIZE', 'ENOSPC', 'EDQUOT']);
const READ_ONLY = /^(SQLITE_(READONLY|CANTOPEN|PERM)|EROFS$|EACCES$|EPERM$)/;

export function namedFailure(error: unknown, op: string): unknown {
  const code = codeOf(error);
  if (!code) return error;
  if (FULL.has(code))
    return new StewardError('disk_full', 'The disk is full: nothing was stored.', {
      op,
      hint: 'Free some space on the disk of the data folder; Steward goes on by itself.',
      retryable: true,
      cause: error,
    });
  if (READ_ONLY.test(code))
    return new StewardError('read_only', 'The data folder cannot be written: it, or a file in it, is read-only.', {
      op,
      hint: 'Make the data folder writable for the user Steward runs as (see steward doctor).',
      retryable: true,
      cause: error,
    });
  return error;
}
