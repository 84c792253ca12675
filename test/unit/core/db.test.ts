// The file beneath everything: durable on every open, migrated with a copy, whole after every failure, plain about a full disk.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Db, openDb } from '../../../core/db.ts';
import type { StewardError } from '../../../core/errors.ts';
import { migrations } from '../../../core/migrations/index.ts';
import { openSqlite } from '../../../core/sqlite.ts';
import { makeFolder } from '../../helpers/record.ts';

const now = () => 1_000;
const small = { now, ballastBytes: 4096 };

function open(home: string, options: Parameters<typeof openDb>[1] = small): Db {
  const db = openDb(home, options);
  onTestFinished(() => db.close());
  return db;
}

const pragma = (db: Db, name: string) => Object.values(db.prepare<[], object>(`PRAGMA ${name}`).get()!)[0];
const put = (db: Db, name: string, value = 1) =>
  db.prepare('INSERT OR REPLACE INTO cursors (name, value) VALUES (?, ?)').run(name, value);
const has = (db: Db, name: string) => db.prepare('SELECT 1 FROM cursors WHERE name = ?').get(name) !== undefined;

/** What a call throws, as the code of the project's error. */
function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as StewardError).code;
  }
  return 'nothing was thrown';
}

/** A schema step of a later release. */
function step(sql: string): string {
  const file = join(makeFolder(), '0002_later.sql');
  writeFileSync(file, sql);
  return pathToFileURL(file).href;
}

/** A small file system of its own, or null where this user may not mount one. */
function mountTmpfs(options: string): string | null {
  const folder = join(makeFolder(), 'disk');
  mkdirSync(folder);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return null;
  }
  onTestFinished(() => void execFileSync('umount', ['-l', folder]));
  return folder;
}

describe('durability', () => {
  it('is FULL over WAL on the first open and on every later one', () => {
    const home = makeFolder();
    for (let life = 0; life < 3; life++) {
      const db = open(home);
      expect([pragma(db, 'synchronous'), pragma(db, 'journal_mode')], `life ${life}`).toEqual([2, 'wal']);
      expect([pragma(db, 'foreign_keys'), pragma(db, 'trusted_schema'), pragma(db, 'secure_delete')]).toEqual([
        1, 0, 1,
      ]);
      db.close();
    }
  });

  it('would be lost without being asked for: the library reopens a WAL file as NORMAL', () => {
    const home = makeFolder();
    open(home).close();
    const bare = openSqlite(join(home, 'steward.db'));
    bare.pragma('journal_mode = WAL');
    expect(bare.pragma('synchronous', { simple: true })).toBe(1);
    bare.close();
  });

  it('keeps the file to its owner', () => {
    const home = makeFolder();
    open(home);
    expect(statSync(join(home, 'steward.db')).mode & 0o777).toBe(0o600);
  });
});

describe('migrations', () => {
  it('are applied once, and a new file needs no copy', () => {
    const home = makeFolder();
    const db = open(home);
    expect(pragma(db, 'user_version')).toBe(migrations.length);
    expect(existsSync(join(home, 'backups'))).toBe(false);
  });

  it('keep a copy of an older file before they touch it, and apply what is missing', () => {
    const home = makeFolder();
    const older = open(home);
    put(older, 'precious', 7);
    older.close();
    const db = open(home, { ...small, steps: [...migrations, step('CREATE TABLE added (x INTEGER) STRICT;')] });
    expect(pragma(db, 'user_version')).toBe(migrations.length + 1);
    expect(has(db, 'precious')).toBe(true);
    db.prepare('INSERT INTO added VALUES (1)').run();
    const copy = join(home, 'backups', `before-schema-${migrations.length + 1}.db`);
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const kept = openSqlite(copy, { readonly: true });
    expect(kept.pragma('user_version', { simple: true })).toBe(migrations.length);
    expect(kept.prepare('SELECT value FROM cursors').get()).toEqual({ value: 7 });
    kept.close();
  });

  it('that fail leave the file as it was', () => {
    const home = makeFolder();
    open(home).close();
    const steps = [...migrations, step('CREATE TABLE half (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);')];
    expect(() => openDb(home, { ...small, steps })).toThrow('nowhere');
    const db = open(home);
    expect(pragma(db, 'user_version')).toBe(migrations.length);
    expect(db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'half'").get()).toBeUndefined();
  });

  it('refuse a newer file and leave it alone', () => {
    const home = makeFolder();
    const file = join(home, 'steward.db');
    const newer = openSqlite(file);
    newer.pragma(`user_version = ${migrations.length + 1}`);
    newer.exec('CREATE TABLE from_the_future (x)');
    newer.close();
    expect(codeOf(() => openDb(home, small))).toBe('database_newer');
    const left = openSqlite(file, { readonly: true });
    expect(left.pragma('user_version', { simple: true })).toBe(migrations.length + 1);
    expect(left.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'from_the_future' }]);
    left.close();
    expect(existsSync(join(home, 'backups'))).toBe(false);
  });
});

describe('transactions', () => {
  it('are all or nothing', () => {
    const db = open(makeFolder());
    expect(() =>
      db.tx(() => {
        put(db, 'a');
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(has(db, 'a')).toBe(false);
  });

  it('undo a nested part alone, with what it meant to do after the commit', () => {
    const db = open(makeFolder());
    const done: string[] = [];
    db.tx(() => {
      put(db, 'outer');
      db.afterCommit(() => done.push('outer'));
      try {
        db.tx(() => {
          put(db, 'inner');
          db.afterCommit(() => done.push('inner'));
          throw new Error('no');
        });
      } catch {
        // The outer part goes on.
      }
      expect(done).toEqual([]);
    });
    expect([has(db, 'outer'), has(db, 'inner'), done]).toEqual([true, false, ['outer']]);
  });

  it('run what follows a commit only after it, and never after a rollback', () => {
    const db = open(makeFolder());
    const seen: boolean[] = [];
    db.tx(() => {
      put(db, 'a');
      db.afterCommit(() => seen.push(has(db, 'a')));
    });
    expect(() =>
      db.tx(() => {
        db.afterCommit(() => seen.push(false));
        throw new Error('no');
      }),
    ).toThrow();
    expect(seen).toEqual([true]);
  });

  it('keep the order of the commits when what follows one commits again', () => {
    const db = open(makeFolder());
    const seen: string[] = [];
    db.tx(() => {
      db.afterCommit(() => {
        seen.push('first');
        db.tx(() => db.afterCommit(() => seen.push('of the second commit')));
      });
      db.afterCommit(() => seen.push('still of the first commit'));
    });
    expect(seen).toEqual(['first', 'still of the first commit', 'of the second commit']);
  });

  it('lose no effect when another one throws', () => {
    const db = open(makeFolder());
    const seen: string[] = [];
    expect(() =>
      db.tx(() => {
        db.afterCommit(() => {
          throw new Error('a listener failed');
        });
        db.afterCommit(() => seen.push('the next one'));
      }),
    ).toThrow('a listener failed');
    db.tx(() => {});
    expect(seen).toEqual(['the next one']);
  });
});

describe('a full disk', () => {
  it('is named, stores nothing, and is over as soon as there is space', () => {
    const db = open(makeFolder());
    const pages = Number(pragma(db, 'page_count'));
    pragma(db, `max_page_count = ${pages}`);
    const fill = () =>
      db.prepare("INSERT INTO blobs (hash, size, data, created_at) VALUES ('x', 1, zeroblob(60000), 1)").run();
    expect(codeOf(() => db.tx(fill))).toBe('disk_full');
    expect(db.diskFullSince()).toBe(1_000);
    expect(db.prepare('SELECT count(*) AS n FROM blobs').get()).toEqual({ n: 0 });
    pragma(db, 'max_page_count = 1000000');
    db.tx(fill);
    expect(db.diskFullSince()).toBeNull();
    expect(db.prepare('SELECT count(*) AS n FROM blobs').get()).toEqual({ n: 1 });
  });

  it('gives its reserve back, so that the fact itself can be stored, and makes a new one later', ({ skip }) => {
    const disk = mountTmpfs('size=4m');
    if (disk === null) return skip('this user may not mount a file system');
    const db = open(disk, { now, ballastBytes: 1024 * 1024 });
    expect(readdirSync(disk)).toContain('ballast');
    const filler = join(disk, 'filler');
    try {
      writeFileSync(filler, Buffer.alloc(16 * 1024 * 1024));
    } catch {
      // Full, as meant.
    }
    const big = (n: number) => () =>
      db.prepare('INSERT INTO blobs (hash, size, data, created_at) VALUES (?, 1, zeroblob(200000), 1)').run(`${n}`);
    const codes = Array.from({ length: 3 }, (_, n) => codeOf(() => db.tx(big(n))));
    expect(codes[0]).toBe('disk_full');
    expect(db.prepare("SELECT 1 FROM blobs WHERE hash = '0'").get()).toBeUndefined();
    // The reserve is given back: a small note goes through at once.
    db.tx(() => put(db, 'note'));
    expect(has(db, 'note')).toBe(true);
    expect(existsSync(join(disk, 'ballast'))).toBe(false);
    for (let n = 3; codeOf(() => db.tx(big(n))) !== 'disk_full'; n++) expect(n).toBeLessThan(100);
    rmSync(filler);
    db.tx(() => put(db, 'later'));
    expect(db.diskFullSince()).toBeNull();
    expect(existsSync(join(disk, 'ballast'))).toBe(true);
  });
});

describe('a read-only disk', () => {
  it('is named', ({ skip }) => {
    const disk = mountTmpfs('size=8m');
    if (disk === null) return skip('this user may not mount a file system');
    open(disk).close();
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    expect(codeOf(() => openDb(disk, small))).toBe('read_only');
  });
});
