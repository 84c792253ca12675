// Installed packages, kept under the hash of the lock files that name them: a second install of the same set is an unpacking.
import { createHash } from 'node:crypto';
import { constants, createReadStream, createWriteStream } from 'node:fs';
import { chmod, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress, constants as zlib } from 'node:zlib';
import { StewardError } from '../core/errors.ts';
import type { Millis } from '../core/types.ts';
import { lanes } from './lanes.ts';
import { makePassable } from './passable.ts';
import { failure } from './snapshots/programs.ts';
import { sweep, withWork } from './snapshots/work.ts';
import type { Isolate } from './snapshots.ts';

const LOCK_FILES: ReadonlySet<string> = new Set([
  ...['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock'],
  ...['poetry.lock', 'uv.lock', 'Cargo.lock', 'go.sum', 'Gemfile.lock'],
]);

/** Whether a file of this name says exactly which packages belong to a project. */
export const isLockFile = (path: string): boolean =>
  LOCK_FILES.has(basename(path)) || /^requirements.*\.txt$/.test(basename(path));

/**
 * Names the set of packages that `files` describe; null when none of them is a lock file. `runtime` is what packages may be
 * built for: "node 24.21.0 modules 137". Other files do not count, nor does the order.
 */
export function dependencyKey(
  files: readonly { path: string; content: string | Uint8Array }[],
  platform: { os: string; arch: string; runtime: string },
): string | null {
  const locks = files.filter(({ path }) => isLockFile(path)).sort((a, b) => (a.path < b.path ? -1 : 1));
  if (locks.length === 0) return null;
  const key = createHash('sha256').update([platform.os, platform.arch, platform.runtime].join('\0'));
  for (const { path, content } of locks)
    key.update(`\0${path}\0`).update(createHash('sha256').update(content).digest('hex'));
  return key.digest('hex');
}

export interface Dependencies {
  /**
   * Keeps what stands in the folder under the key. Only for what a setup phase installed, before anything the model wrote ran:
   * every session with the same lock files is given it. False: it is too large, and nothing was kept.
   */
  save(input: { key: string; folder: string; isolate: Isolate }): Promise<boolean>;
  /** Into an empty folder. False: there is none, or it was damaged and is dropped; the folder is as it was. */
  restore(input: { key: string; folder: string; isolate: Isolate }): Promise<boolean>;
}

const GIB = 1024 ** 3;
/** By default the library works in crumbs of 16 KiB. */
const CHUNK = 1024 * 1024;

interface Note {
  sha256: string;
  bytes: number;
}

/** The cache lies in `root`/dependencies. Sizes in bytes: all entries as packed, one entry as unpacked. */
export function createDependencies(deps: {
  root: string;
  now(): Millis;
  maxBytes?: number;
  maxEntryBytes?: number;
}): Dependencies {
  const folder = join(deps.root, 'dependencies');
  const maxBytes = deps.maxBytes ?? 8 * GIB;
  const maxEntryBytes = deps.maxEntryBytes ?? 4 * GIB;
  const inLane = lanes();
  const packed = (key: string) => join(folder, `${key}.tar.zst`);
  const noteOf = (key: string) => join(folder, `${key}.json`);
  let opened: Promise<void> | null = null;
  const ready = (): Promise<void> => {
    opened ??= makePassable(folder).then(() => sweep(folder));
    return opened;
  };
  const one = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    if (!/^[0-9a-f]{64}$/.test(key)) {
      throw new StewardError('invalid', 'This is no key of a set of packages.', { op: 'use the package cache' });
    }
    await ready();
    return await inLane(key, work);
  };
  const drop = async (key: string): Promise<void> => {
    // The note first: without it the rest counts as absent.
    await rm(noteOf(key), { force: true });
    await rm(packed(key), { force: true });
  };
  const touch = (key: string) => utimes(noteOf(key), deps.now() / 1_000, deps.now() / 1_000);

  const makeRoom = async (keep: string): Promise<void> => {
    const entries: { key: string; bytes: number; usedAt: number }[] = [];
    for (const file of await readdir(folder)) {
      const key = file.endsWith('.json') ? file.slice(0, -5) : null;
      const note = key && (await readNote(noteOf(key)));
      if (key && note) entries.push({ key, bytes: note.bytes, usedAt: (await stat(noteOf(key))).mtimeMs });
    }
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    entries.sort((a, b) => a.usedAt - b.usedAt);
    for (const { key, bytes } of entries) {
      if (total <= maxBytes) return;
      if (key === keep) continue;
      await inLane(key, () => drop(key));
      total -= bytes;
    }
  };

  return {
    async save({ key, folder: from, isolate }) {
      const kept = await one(key, () =>
        withWork(folder, from, async (work) => {
          const tar = join(work, 'tree.tar');
          // posix: times to the nanosecond.
          const pack = ['tar', '--create', '--format=posix', '--pax-option=delete=atime,delete=ctime'];
          const ended = await isolate([...pack, '--file', tar, '--directory', from, '.'], {
            show: [
              { from, to: from },
              { from: work, to: work, write: true },
            ],
          });
          if (ended.code !== 0) throw failure('keep installed packages', ended);
          if ((await stat(tar)).size > maxEntryBytes) return false;
          const target = `${packed(key)}.new`;
          const compress = createZstdCompress({ params: { [zlib.ZSTD_c_compressionLevel]: 1 }, chunkSize: CHUNK });
          const { through, sum } = summed();
          const file = await open(tar, constants.O_RDONLY | constants.O_NOFOLLOW);
          const out = createWriteStream(target, { mode: 0o600, flush: true });
          await pipeline(file.createReadStream({ highWaterMark: CHUNK }), compress, through, out);
          const note: Note = sum();
          if (note.bytes > maxBytes) {
            await rm(target);
            return false;
          }
          await rm(noteOf(key), { force: true });
          await rename(target, packed(key));
          await writeFile(`${noteOf(key)}.new`, JSON.stringify(note), { mode: 0o600, flush: true });
          await rename(`${noteOf(key)}.new`, noteOf(key));
          await touch(key);
          return true;
        }),
      );
      if (kept) await makeRoom(key);
      return kept;
    },

    restore: ({ key, folder: into, isolate }) =>
      one(key, async () => {
        const note = await readNote(noteOf(key));
        if (!note) return false;
        return await withWork(folder, into, async (work) => {
          const tar = join(work, 'tree.tar');
          const { through, sum } = summed();
          const unpack = createZstdDecompress({ chunkSize: CHUNK });
          const from = createReadStream(packed(key), { highWaterMark: CHUNK });
          // The folder around it is closed to all but the uid that reads it.
          const whole = await pipeline(from, through, unpack, createWriteStream(tar)).then(
            () => sum().sha256 === note.sha256,
            (error: NodeJS.ErrnoException) => {
              if (error.code === 'ENOSPC')
                throw failure('restore installed packages', { code: 1, stderr: error.message });
              return false;
            },
          );
          if (!whole) {
            await drop(key);
            return false;
          }
          await chmod(tar, 0o644);
          const ended = await isolate(
            ['tar', '--extract', '--preserve-permissions', '--no-same-owner', '--file', tar, '--directory', into],
            {
              show: [
                { from: into, to: into, write: true },
                { from: work, to: work },
              ],
            },
          );
          if (ended.code !== 0) throw failure('restore installed packages', ended);
          await touch(key);
          return true;
        });
      }),
  };
}

/** Passes everything on and knows its hash and size at the end. */
function summed(): { through: Transform; sum(): Note } {
  const hash = createHash('sha256');
  let bytes = 0;
  const through = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  return { through, sum: () => ({ sha256: hash.digest('hex'), bytes }) };
}

async function readNote(path: string): Promise<Note | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    const note = JSON.parse(text) as Partial<Note>;
    return typeof note.sha256 === 'string' && typeof note.bytes === 'number' ? (note as Note) : null;
  } catch {
    return null;
  }
}
