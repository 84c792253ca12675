// Backups of the record while it is at work: copied in small steps, looked through, and only then given their name.
import {
  chmodSync,
  closeSync,
  fsync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Examined } from './backup-check.ts';
import { COPY_PAGES, type Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Log } from './log.ts';
import type { Millis } from './types.ts';

const OP = 'make a backup';
const DAY: Millis = 86_400_000;
/** Left free on the disk for the record itself, which must go on. Bytes. */
const MARGIN = 64 * 1024 * 1024;
/** So much is copied before it is brought to the disk, so that the last step has little left to bring. */
const SYNC_PAGES = 2_048;
export const KEPT_DAYS = 7;
export const KEPT_WEEKS = 4;

const NAME = /^steward-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.db$/;
/** What is not finished has a name that is never taken for a backup. */
const UNFINISHED = /^\.unfinished-/;

/** What a whole restore needs beside the record, and why it is not in a backup. Names within the data folder. */
export const LEFT_OUT = [
  'vault.key: opens the secrets in the vault. Beside a backup it would undo their encryption; keep a copy of it elsewhere, once.',
  'config.json and .env: settings, with keys in them.',
  'files/: your own files.',
  'sandboxes/: working files of conversations and tasks.',
] as const;

export interface BackupFile {
  name: string;
  path: string;
  /** `before_update`: made before the schema was changed. `replaced`: stood in the place of a restored one. */
  kind: 'backup' | 'before_update' | 'replaced';
  bytes: number;
  madeAt: Millis;
}

export interface Made extends BackupFile {
  tookMs: Millis;
  /** Older ones that it takes the place of. */
  removed: string[];
}

export interface Backups {
  /**
   * One at a time: who asks while one is made gets that one. Throws `disk_full`, `read_only`, `unavailable` (stopped), and
   * `internal` when the copy is not whole; then there is no file of that name.
   */
  make(): Promise<Made>;
  /** The newest first. */
  list(): BackupFile[];
  /** Removes what is older than the last seven days and four weeks have a use for, and what was never finished. Names. */
  prune(): string[];
  /** Ends one that is being made. Before the record is closed. */
  stop(): Promise<void>;
}

export const backupsFolder = (home: string): string => join(home, 'backups');

/** `20261201T033000Z`. */
export const stampOf = (at: Millis): string => new Date(at).toISOString().replace(/[-:]|\.\d+/g, '');

function madeAt(name: string): Millis | null {
  const [, year, month, day, hour, minute, second] = NAME.exec(name) ?? [];
  if (year === undefined) return null;
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
}

function kindOf(name: string): BackupFile['kind'] | null {
  if (NAME.test(name)) return 'backup';
  if (/^before-schema-\d+\.db$/.test(name)) return 'before_update';
  return /^replaced-.*\.db$/.test(name) ? 'replaced' : null;
}

/** The newest first. Only what is a backup by its name; a folder that is not there holds none. */
export function listBackups(home: string): BackupFile[] {
  const folder = backupsFolder(home);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names
    .flatMap((name): BackupFile[] => {
      const kind = kindOf(name);
      const path = join(folder, name);
      const seen = kind && statSync(path, { throwIfNoEntry: false });
      if (!kind || !seen?.isFile()) return [];
      return [{ name, path, kind, bytes: seen.size, madeAt: madeAt(name) ?? seen.mtimeMs }];
    })
    .sort((a, b) => b.madeAt - a.madeAt);
}

/**
 * Pure. The backups nobody needs any more: all but those of the last day, the newest of each of the last seven days that
 * have one, and the newest of each of the last four weeks that have one. Days and weeks are those of UTC, as in the names.
 */
export function surplus(backups: readonly Pick<BackupFile, 'name' | 'madeAt'>[], now: Millis): string[] {
  const newestFirst = [...backups].sort((a, b) => b.madeAt - a.madeAt);
  const kept = new Set(newestFirst.filter(({ madeAt }) => now - madeAt < DAY).map(({ name }) => name));
  const keep = (count: number, groupOf: (at: Millis) => number) => {
    const groups = new Map<number, string>();
    for (const { name, madeAt } of newestFirst) {
      const group = groupOf(madeAt);
      if (!groups.has(group) && groups.size < count) groups.set(group, name);
    }
    for (const name of groups.values()) kept.add(name);
  };
  keep(KEPT_DAYS, (at) => Math.floor(at / DAY));
  // 1970 began on a Thursday; weeks begin on Mondays.
  keep(KEPT_WEEKS, (at) => Math.floor((at / DAY + 3) / 7));
  return newestFirst.filter(({ name }) => !kept.has(name)).map(({ name }) => name);
}

export function syncFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** In a thread of its own. Rejects when that ends without a verdict. */
function examineAside(file: string): Promise<Examined> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./backup-worker.ts', import.meta.url), { workerData: { file } });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('The thread that looks through the copy ended.')));
  });
}

const freeBytes = (folder: string): number => {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
};

export function createBackups(deps: {
  db: Pick<Db, 'copyTo' | 'file'>;
  home: string;
  now(): Millis;
  /** Free on the disk of this folder. Bytes. */
  free?(folder: string): number;
}): Backups {
  const { db, home, now } = deps;
  const folder = backupsFolder(home);
  const free = deps.free ?? freeBytes;
  let making: Promise<Made> | null = null;
  let stopped = false;

  const clearUnfinished = (): string[] => {
    const left = readdirSync(folder).filter((name) => UNFINISHED.test(name));
    for (const name of left) rmSync(join(folder, name), { force: true });
    return left;
  };

  const prune = (): string[] => {
    const names = surplus(
      listBackups(home).filter(({ kind }) => kind === 'backup'),
      now(),
    );
    for (const name of names) rmSync(join(folder, name), { force: true });
    return names;
  };

  const needSpace = () => {
    const size = statSync(db.file).size + (statSync(`${db.file}-wal`, { throwIfNoEntry: false })?.size ?? 0);
    const there = free(folder);
    if (there >= size + MARGIN) return;
    const mb = (bytes: number) => `${Math.ceil(bytes / 1024 / 1024)} MB`;
    throw new StewardError(
      'disk_full',
      `There is no room for a backup: it needs ${mb(size + MARGIN)}, ${mb(there)} are free.`,
      {
        op: OP,
        hint: `Free some space on the disk of ${folder}, or delete old backups there.`,
        retryable: true,
      },
    );
  };

  /** Brought to the disk piece by piece beside the copying: all at once, at its end, everybody would wait. */
  const copy = async (to: string): Promise<void> => {
    const fd = openSync(to, 'wx', 0o600);
    let syncing = false;
    let synced = 0;
    const sync = (upTo: number) => {
      syncing = true;
      fsync(fd, () => {
        syncing = false;
        synced = upTo;
      });
    };
    try {
      await db.copyTo(to, ({ left, total }) => {
        if (stopped)
          throw new StewardError('unavailable', 'Steward was stopped while it made a backup.', {
            op: OP,
            retryable: true,
          });
        const done = total - left;
        const last = left <= COPY_PAGES;
        if (!syncing && done - synced >= (last ? COPY_PAGES : SYNC_PAGES)) sync(done);
        return last && syncing ? 'hold' : 'go';
      });
    } finally {
      closeSync(fd);
    }
  };

  const name = (): string => {
    for (let at = now(); ; at += 1_000) {
      const candidate = `steward-${stampOf(at)}.db`;
      if (!statSync(join(folder, candidate), { throwIfNoEntry: false })) return candidate;
    }
  };

  const make = async (): Promise<Made> => {
    const began = performance.now();
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    clearUnfinished();
    needSpace();
    const temporary = join(folder, `.unfinished-${process.pid}.db`);
    try {
      await copy(temporary);
      const { problems } = await examineAside(temporary);
      if (problems.length > 0)
        throw new StewardError('internal', `The copy is not whole and was thrown away: ${problems.join('; ')}.`, {
          op: OP,
          hint: 'Run steward doctor: the database itself may be damaged. Keep the older backups.',
        });
      chmodSync(temporary, 0o600);
      syncFile(temporary);
      const final = name();
      renameSync(temporary, join(folder, final));
      syncFile(folder);
      const made = listBackups(home).find((one) => one.name === final)!;
      return { ...made, tookMs: Math.round(performance.now() - began), removed: prune() };
    } catch (error) {
      for (const left of [temporary, `${temporary}-journal`]) rmSync(left, { force: true });
      throw error;
    }
  };

  return {
    make() {
      if (stopped)
        return Promise.reject(
          new StewardError('unavailable', 'Steward is being stopped.', { op: OP, retryable: true }),
        );
      making ??= make().finally(() => {
        making = null;
      });
      return making;
    },
    list: () => listBackups(home),
    prune: () =>
      statSync(folder, { throwIfNoEntry: false }) ? [...(making ? [] : clearUnfinished()), ...prune()] : [],
    async stop() {
      stopped = true;
      await making?.catch(() => {});
    },
  };
}

/** A backup of that age is as good as a new one for those who want one made before they begin. */
export const FRESH_MS: Millis = 3_600_000;

/** The youngest backup, when it is fresh. */
export const freshBackup = (backups: Pick<Backups, 'list'>, now: Millis): BackupFile | null =>
  backups.list().find(({ kind, madeAt }) => kind === 'backup' && madeAt <= now && now - madeAt < FRESH_MS) ?? null;

/** Memory puts itself in order at night whether or not this works: what it changes can be undone, and the log is not touched. */
export async function backupBeforeNight(
  backups: Pick<Backups, 'list' | 'make'>,
  deps: { now(): Millis; log: Pick<Log, 'warn'> },
): Promise<void> {
  try {
    if (!freshBackup(backups, deps.now())) await backups.make();
  } catch (error) {
    deps.log.warn({ error }, 'no backup could be made before memory is put in order');
  }
}
