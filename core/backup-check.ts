// Looks whether a file is a record that Steward could live on: sound, ours, and not newer than this Steward.
import { closeSync, openSync, readSync } from 'node:fs';
import { migrations } from './migrations/index.ts';
import { openSqlite } from './sqlite.ts';

export interface Examined {
  /** What is wrong with it, in words; empty when it is whole. */
  problems: string[];
  /** Of its schema. */
  version: number;
  /** The newest event in it; null when it holds none. Epoch milliseconds. */
  newestEventAt: number | null;
}

const MAGIC = 'SQLite format 3\0';

function isSqlite(file: string): boolean {
  const fd = openSync(file, 'r');
  try {
    const head = Buffer.alloc(16);
    readSync(fd, head, 0, 16, 0);
    return head.toString('latin1') === MAGIC;
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads all of it, which takes a while for a large one; also makes the copy one file, without a write-ahead log beside it.
 * Only for copies: it opens the file for writing. Throws what Node says when it cannot be opened.
 */
export function examine(file: string): Examined {
  const nothing = { version: 0, newestEventAt: null };
  if (!isSqlite(file)) return { ...nothing, problems: ['it is no SQLite database'] };
  const db = openSqlite(file);
  try {
    db.pragma('trusted_schema = OFF');
    const version = db.pragma('user_version', { simple: true }) as number;
    const ours = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'events'").get();
    if (version < 1 || !ours) return { ...nothing, version, problems: ['it is no record of a Steward'] };
    if (version > migrations.length)
      return {
        ...nothing,
        version,
        problems: [`it was written by a newer Steward (schema ${version}; this one knows ${migrations.length})`],
      };
    db.pragma('journal_mode = DELETE');
    const verdict = db.pragma('integrity_check(5)') as { integrity_check: string }[];
    const problems = verdict.map((row) => row.integrity_check).filter((text) => text !== 'ok');
    const newest = db
      .prepare<[], { at: number }>('SELECT created_at AS at FROM events ORDER BY row DESC LIMIT 1')
      .get();
    return { problems, version, newestEventAt: newest?.at ?? null };
  } catch (error) {
    // What is too broken to be looked at says so by an error.
    return { ...nothing, problems: [error instanceof Error ? error.message : String(error)] };
  } finally {
    db.close();
  }
}
