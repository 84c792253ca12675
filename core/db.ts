// The record: opens the SQLite file with the durability it promises, migrates it, and runs transactions.
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StewardError } from './errors.ts';
import { migrations } from './migrations/index.ts';
import { leftovers } from './slack.ts';
import { namedFailure, openSqlite, type Sqlite, type Statement } from './sqlite.ts';

/**
 * Pages in the WAL at which a commit moves them into the file, whoever waits: 32 MB. `relax` does it before that, in pauses;
 * only talk without any gets there.
 */
const WAL_PAGES = 8_000;
/** So few commits are not worth a checkpoint. */
const FEW_COMMITS = 50;

/** Space that is given back when the disk fills up, so that the fact itself can still be stored. Bytes. */
const BALLAST = 16 * 1024 * 1024;

/** Pages of one step of a copy: half a megabyte, about two milliseconds. */
export const COPY_PAGES = 128;

export interface Db {
  /** A prepared statement, compiled once per text. */
  prepare<P extends unknown[], R = unknown>(sql: string): Statement<P, R>;
  /**
   * Runs `work` in one IMMEDIATE transaction (a savepoint when nested). `work` must be synchronous.
   * Throws `disk_full` and `read_only` (retryable) with nothing stored.
   */
  tx<T>(work: () => T): T;
  /** Runs `effect` after the outermost transaction has committed; dropped when it rolls back. At once outside of one. */
  afterCommit(effect: () => void): void;
  /**
   * Moves the WAL into the file and truncates it; used after a redaction so that no byte of the old text is left. False when
   * a reader held it up: the words are then gone from the file, and from the WAL with the next one. Opening does it, too.
   */
  checkpoint(): boolean;
  /** Moves what the WAL holds into the file if that is much: some milliseconds that nobody should wait for. */
  relax(): void;
  /**
   * Writes the whole file anew when any of these words is left in an unused part of it, where a page was once split. Outside
   * of a transaction, after a redaction. Synchronous: mostly a look through the file, seldom seconds for a large one.
   */
  purge(words: readonly string[]): void;
  /**
   * Copies the whole record into a new file, in steps of a few milliseconds with room for everybody else between: what is
   * written meanwhile is in it. `step` is asked after each: `hold` to look again before the next; what it throws ends the copy. Whole when this resolves.
   */
  copyTo(file: string, step: (pages: { left: number; total: number }) => 'go' | 'hold'): Promise<void>;
  readonly file: string;
  /** Last time a transaction failed for want of space, null once one succeeded again. */
  diskFullSince(): number | null;
  close(): void;
}

function configure(db: Sqlite): void {
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma('trusted_schema = OFF');
  db.pragma('secure_delete = ON');
  db.pragma('journal_size_limit = 67108864');
  db.pragma(`wal_autocheckpoint = ${WAL_PAGES}`);
  // Read back: better-sqlite3 reopens a WAL file as NORMAL, which loses acknowledged rows when the power fails.
  const synchronous = db.pragma('synchronous', { simple: true });
  const journal = db.pragma('journal_mode', { simple: true });
  if (synchronous !== 2 || journal !== 'wal')
    throw new StewardError('internal', `SQLite opened with synchronous=${synchronous}, journal_mode=${journal}.`, {
      op: 'open the database',
      hint: 'The data folder must be on a local file system that supports WAL and fsync.',
    });
}

const truncateWal = (db: Sqlite): boolean =>
  (db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[])[0]?.busy === 0;

function migrate(db: Sqlite, file: string, steps: readonly string[]): void {
  const version = db.pragma('user_version', { simple: true }) as number;
  const newest = steps.length;
  if (version > newest)
    throw new StewardError(
      'database_newer',
      `The database ${file} was written by a newer Steward (schema ${version}; this one knows ${newest}).`,
      { op: 'open the database', hint: 'Update Steward, or restore the copy in backups/ made before the update.' },
    );
  if (version === newest) return;
  if (version > 0) {
    const copy = join(dirname(file), 'backups', `before-schema-${newest}.db`);
    mkdirSync(dirname(copy), { recursive: true, mode: 0o700 });
    rmSync(copy, { force: true });
    db.prepare('VACUUM INTO ?').run(copy);
    chmodSync(copy, 0o600);
  }
  for (const [index, name] of steps.entries()) {
    if (index < version) continue;
    const sql = readFileSync(new URL(name, new URL('./migrations/', import.meta.url)), 'utf8');
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
}

/** Piece by piece: in one piece it takes ten times as long, and memory for all of it. */
function writeZeros(path: string, bytes: number): void {
  const zeros = Buffer.alloc(Math.min(bytes, 1024 * 1024));
  const file = openSync(path, 'w', 0o600);
  try {
    for (let left = bytes; left > 0; ) left -= writeSync(file, zeros, 0, Math.min(left, zeros.length));
  } finally {
    closeSync(file);
  }
}

/** Opens `<home>/steward.db`, creating it. Throws `database_newer`, `read_only`, `disk_full`. */
export function openDb(home: string, options: { now(): number; ballastBytes?: number; steps?: readonly string[] }): Db {
  const file = join(home, 'steward.db');
  const ballast = join(home, 'ballast');
  const ballastBytes = options.ballastBytes ?? BALLAST;
  let sqlite: Sqlite | undefined;
  try {
    sqlite = openSqlite(file);
    chmodSync(file, 0o600);
    configure(sqlite);
    migrate(sqlite, file, options.steps ?? migrations);
    // A crash between a redaction and its checkpoint has left the old words in the WAL.
    truncateWal(sqlite);
  } catch (error) {
    sqlite?.close();
    throw namedFailure(error, 'open the database');
  }
  const db = sqlite;
  const statements = new Map<string, Statement>();
  const pending: (() => void)[] = [];
  const committed: (() => void)[] = [];
  let running = false;
  let fullSince: number | null = null;
  let commits = 0;

  const keepBallast = () => {
    if (existsSync(ballast)) return;
    try {
      writeZeros(ballast, ballastBytes);
    } catch {
      rmSync(ballast, { force: true });
    }
  };
  keepBallast();

  /**
   * In the order of the commits: an effect that commits again (a wake that begins to work) has its own effects run after
   * all of ours. One that throws takes none of the others with it; they run with the next commit.
   */
  const runCommitted = () => {
    if (running) return;
    running = true;
    try {
      for (let effect = committed.shift(); effect; effect = committed.shift()) effect();
    } finally {
      running = false;
    }
  };

  const noteFailure = (error: unknown): unknown => {
    const named = namedFailure(error, 'write to the database');
    if (named instanceof StewardError && named.code === 'disk_full') {
      fullSince ??= options.now();
      rmSync(ballast, { force: true });
    }
    return named;
  };

  return {
    file,
    prepare<P extends unknown[], R>(sql: string) {
      let statement = statements.get(sql);
      if (!statement) {
        statement = db.prepare(sql) as Statement;
        statements.set(sql, statement);
      }
      return statement as unknown as Statement<P, R>;
    },
    tx(work) {
      const outermost = !db.inTransaction;
      const mark = pending.length;
      let value: ReturnType<typeof work>;
      try {
        value = outermost ? db.transaction(work).immediate() : db.transaction(work)();
      } catch (error) {
        pending.length = mark;
        // Named at every level: whoever catches it inside an outer transaction must tell a full disk from a bad message.
        throw noteFailure(error);
      }
      if (outermost) {
        commits += 1;
        if (fullSince !== null) {
          fullSince = null;
          keepBallast();
        }
        committed.push(...pending.splice(0));
        runCommitted();
      }
      return value;
    },
    afterCommit(effect) {
      if (db.inTransaction) pending.push(effect);
      else effect();
    },
    checkpoint: () => truncateWal(db),
    relax() {
      if (commits < FEW_COMMITS) return;
      commits = 0;
      db.pragma('wal_checkpoint(PASSIVE)');
    },
    purge(words) {
      if (!truncateWal(db) || leftovers(file, words).length === 0) return;
      db.exec('VACUUM');
      truncateWal(db);
    },
    async copyTo(to, step) {
      // On this connection: a second one would begin again at each write, or keep the WAL from being truncated.
      const progress = (pages: { remainingPages: number; totalPages: number }) =>
        step({ left: pages.remainingPages, total: pages.totalPages }) === 'go' ? COPY_PAGES : 0;
      try {
        await db.backup(to, { progress });
      } catch (error) {
        throw namedFailure(error, 'copy the database');
      }
    },
    diskFullSince: () => fullSince,
    close() {
      if (db.open) db.close();
    },
  };
}
