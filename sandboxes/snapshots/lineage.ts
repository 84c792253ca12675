// The folder of one lineage: manifests, segments, and what each living workspace looked like when it was last saved.
import { createHash } from 'node:crypto';
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StewardError } from '../../core/errors.ts';
import type { Id } from '../../core/types.ts';
import type { SnapshotRef } from '../driver.ts';
import { makePassable } from '../passable.ts';
import type { Stamp, TreePath } from './listing.ts';
import { type Decoded, decode, distance, encode, type Header, type Tree } from './manifest.ts';
import { inSlices, recordsOf } from './slices.ts';
import { sweep, withWork } from './work.ts';

/** A manifest of its own, and one that was dropped but that others are told against. */
const SNAPSHOT = '.snap';
const BASE = '.base';
const LIVE = /^live-([0-9a-f]{16})\.json$/;
/** Past this share of differences a manifest is complete by itself. */
const SHARE = 0.2;

/** What a workspace looked like at its last save: a shortcut for the next one, never needed. */
export interface Live {
  /** The snapshot it was equal to. */
  head: SnapshotRef;
  workspace: string;
  stamp: Stamp;
  /** Input of the check. */
  known: Buffer;
  /** Of the files; read when they are needed. */
  inodes(): Promise<Map<TreePath, string> | null>;
}

export interface Loaded {
  header: Header;
  tree: Tree;
  /** The complete manifest below it: itself when it is complete. */
  base: { id: Id; tree: Tree };
}

export interface Lineage {
  name: string;
  folder: string;
  /** In the order they were made. */
  ids(): Promise<Id[]>;
  has(id: Id): Promise<boolean>;
  load(id: Id): Promise<Loaded | null>;
  /** On disk for good when it resolves. */
  store(header: Omit<Header, 'base'>, tree: Tree, previous: Loaded | null): Promise<void>;
  drop(keep: ReadonlySet<Id>): Promise<void>;
  live(workspace: string, home: string): Promise<Live | null>;
  remember(live: Omit<Live, 'inodes'> & { home: string; inodes: Map<TreePath, string> }): Promise<void>;
  /** Runs `work` with an empty folder that the isolated programs may write in, gone at the end. */
  withWork<T>(owner: string, work: (folder: string) => Promise<T>): Promise<T>;
  /** The clock of the file system, in nanoseconds. */
  clock(): Promise<bigint>;
  /** The clock as it was, once it has moved on: any later change has a later time, however coarse the clock. */
  stamp(): Promise<Stamp>;
}

export const refOf = (header: Omit<Header, 'base'>, lineage: string, driver: string): SnapshotRef => ({
  id: header.id,
  driver,
  lineage,
  createdAt: header.createdAt,
  label: header.label,
});

/** A clock that stands still for longer is that of a file system which keeps seconds. */
const TICK_MS = 40;
const COARSE_NS = 2_000_000_000n;

/** What another life of the program left unfinished, in every lineage; before anything else is done. */
export async function sweepAll(root: string): Promise<void> {
  for (const name of await readdir(root).catch(() => [])) await sweep(join(root, name));
}

/** Null when there is none and `make` is false. */
export async function openLineage(root: string, name: string, make: boolean): Promise<Lineage | null> {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(name)) {
    throw new StewardError('invalid', `“${name}” cannot name a lineage.`, { op: 'open saved states' });
  }
  const folder = join(root, name);
  // The uid of a sandbox must be able to walk through to its work folder; it cannot list, and nothing else is open to it.
  if (make) await makePassable(folder);
  else if (!(await stat(folder).catch(() => null))) return null;
  await sweep(folder);

  const decoded = async (file: string): Promise<Decoded | null> => {
    const bytes = await readFile(join(folder, file)).catch(() => null);
    return bytes && (await decode(bytes).catch(() => null));
  };

  const lineage: Lineage = {
    name,
    folder,
    async ids() {
      const files = await readdir(folder);
      return files.flatMap((file) => (file.endsWith(SNAPSHOT) ? [file.slice(0, -SNAPSHOT.length)] : [])).sort();
    },
    has: async (id) => (await stat(join(folder, id + SNAPSHOT)).catch(() => null)) !== null,
    async load(id) {
      if (!/^[A-Za-z0-9_-]+$/.test(id)) return null;
      const own = await decoded(id + SNAPSHOT);
      if (!own) return null;
      if (own.header.base === null) {
        const tree = await own.applyTo(new Map());
        return { header: own.header, tree, base: { id, tree } };
      }
      const below = (await decoded(own.header.base + SNAPSHOT)) ?? (await decoded(own.header.base + BASE));
      if (!below) return null;
      const base = await below.applyTo(new Map());
      return { header: own.header, tree: await own.applyTo(new Map(base)), base: { id: own.header.base, tree: base } };
    },
    async store(header, tree, previous) {
      const base = previous && (await distance(previous.base.tree, tree)) <= tree.size * SHARE ? previous.base : null;
      const bytes = await encode({ ...header, base: base?.id ?? null }, tree, base?.tree ?? null);
      await writeWhole(join(folder, header.id + SNAPSHOT), bytes, true);
    },
    async drop(keep) {
      const needed = new Set<Id>();
      for (const id of await lineage.ids()) {
        const base = keep.has(id) ? (await decoded(id + SNAPSHOT))?.header.base : null;
        if (base) needed.add(base);
      }
      for (const file of await readdir(folder)) {
        const [id, kind] = [file.slice(0, file.lastIndexOf('.')), file.slice(file.lastIndexOf('.'))];
        const path = join(folder, file);
        if (kind === SNAPSHOT && !keep.has(id)) {
          if (needed.has(id)) await rename(path, join(folder, id + BASE));
          else await rm(path);
        } else if (kind === BASE && !needed.has(id)) await rm(path);
        else if (LIVE.test(file)) {
          const live = await readLive(path);
          if (!live || !keep.has(live.head.id)) await forgetLive(folder, file);
        }
      }
    },
    async live(workspace, home) {
      const key = await keyOf(workspace, home);
      const note = await readLive(join(folder, `live-${key}.json`));
      const known = note && (await part(folder, `live-${key}.known`, note.known));
      if (!known) return null;
      const { head, stamp } = note;
      return {
        ...{ head, workspace, stamp, known },
        async inodes() {
          const fields = (await part(folder, `live-${key}.inodes`, note.inodes))?.toString('latin1').split('\0');
          if (!fields) return null;
          const inodes = new Map<TreePath, string>();
          for await (const slice of inSlices(recordsOf(fields, 0, 2)))
            for (const [path, inode] of slice) inodes.set(path!, inode!);
          return inodes;
        },
      };
    },
    async remember(live) {
      const key = await keyOf(live.workspace, live.home);
      const { head, workspace, stamp, known } = live;
      const inodes = Buffer.from([...live.inodes].flat().join('\0'), 'latin1');
      await writeWhole(join(folder, `live-${key}.known`), known, false);
      await writeWhole(join(folder, `live-${key}.inodes`), inodes, false);
      const note: Note = { key, head, workspace, stamp, known: sum(known), inodes: sum(inodes) };
      await writeWhole(join(folder, `live-${key}.json`), Buffer.from(JSON.stringify(note)), false);
      for (const file of await readdir(folder)) {
        if (!LIVE.test(file)) continue;
        const other = await readLive(join(folder, file));
        if (!other || (await stat(other.workspace).catch(() => null)) === null) await forgetLive(folder, file);
      }
    },
    withWork: (owner, work) => withWork(folder, owner, work),
    async clock() {
      const file = await open(join(folder, 'stamp'), 'w', 0o600);
      try {
        await file.write('.');
        return (await file.stat({ bigint: true })).ctimeNs;
      } finally {
        await file.close();
      }
    },
    async stamp() {
      let at = await lineage.clock();
      const since = performance.now();
      while ((await lineage.clock()) === at)
        if (performance.now() - since > TICK_MS) {
          at -= COARSE_NS;
          break;
        }
      return { sec: Number(at / 1_000_000_000n), nsec: Number(at % 1_000_000_000n) };
    },
  };
  return lineage;
}

interface Note {
  key: string;
  head: SnapshotRef;
  workspace: string;
  stamp: Stamp;
  known: string;
  inodes: string;
}

const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function readLive(path: string): Promise<Note | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return JSON.parse(text) as Note;
  } catch {
    return null;
  }
}

/** Null when it is not what was noted: the parts are not written in one step. */
async function part(folder: string, file: string, noted: string): Promise<Buffer | null> {
  const bytes = await readFile(join(folder, file)).catch(() => null);
  return bytes && sum(bytes) === noted ? bytes : null;
}

async function forgetLive(folder: string, file: string): Promise<void> {
  const stem = file.slice(0, -'.json'.length);
  for (const end of ['.json', '.known', '.inodes']) await rm(join(folder, stem + end), { force: true });
}

/** The folders themselves, not their names: a new sandbox at the same path is another one. */
async function keyOf(workspace: string, home: string): Promise<string> {
  const [a, b] = [await stat(workspace, { bigint: true }), await stat(home, { bigint: true })];
  return sum(Buffer.from([a.dev, a.ino, b.dev, b.ino, workspace, home].join('\0'))).slice(0, 16);
}

/** Whole or not at all. `durable`: also after a power cut. */
async function writeWhole(path: string, bytes: Buffer, durable: boolean): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    if (durable) await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  if (!durable) return;
  const folder = await open(join(path, '..'), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
