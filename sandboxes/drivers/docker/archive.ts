// Saved states of containers: what changed since the save before, as one compressed tar, and a list of which tar has what.
//
// Not the daemon's `commit`: workspace and home are no part of a container's layer (the root is read-only, the folders are binds),
// and an image nobody uses is what people remove with `docker system prune -a`. Not the store of sandboxes/snapshots.ts either: each
// of its isolated runs would be a container (0.3 s); here a save is two commands in the one that is there (10 ms). Nothing but
// find and tar runs, inside the sandbox: the host never unpacks, it keeps bytes and gives them back.
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { constants, createZstdCompress, createZstdDecompress, zstdCompress, zstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { StewardError } from '../../../core/errors.ts';
import type { Id, Millis } from '../../../core/types.ts';
import type { Snapshot, SnapshotRef } from '../../driver.ts';
import { type Exec, listFiles, packFiles, removeFiles, setModes, unpackFiles } from './inside.ts';
import { describeDifference, difference, type Listing } from './listing.ts';

/** The saves and the restore of one sandbox: it remembers what it saw last, so that the next save is small. */
export interface Tracked {
  /** `exec` may be that of another sandbox with the same files: of a helper, while the sandbox itself is paused. */
  save(options: { lineage: string; label?: string }, exec: Exec): Promise<Snapshot>;
  /** Into empty folders. Errors: not_found, invalid, unavailable. */
  restore(ref: SnapshotRef, exec: Exec): Promise<void>;
}

export interface Archive {
  track(limits: { diskMb: number }): Tracked;
  /** Throws not_found, or invalid for a snapshot of another driver. */
  check(ref: SnapshotRef): Promise<void>;
  prune(lineage: string, keep: ReadonlySet<Id>): Promise<void>;
}

const packList = z.array(z.string());
const manifestText = z.object({
  id: z.string(),
  createdAt: z.number(),
  label: z.string().nullable(),
  /** Path, type and mode (`f644`), and the save whose tar has it. */
  entries: z.array(z.tuple([z.string(), z.string(), z.string()])),
});
type Manifest = z.infer<typeof manifestText>;

interface Baseline {
  ref: SnapshotRef;
  listing: Listing;
}

const MB = 1024 * 1024;
/** A restore unpacks so many tars at most: past it, a save is a whole one again. */
const MOST_PACKS = 24;
// Level 1: three times as fast as the default and nearly as small.
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** Kinds of files: the list of a save, the tar it wrote, the paths in that tar. */
const SUFFIX = { manifest: '.manifest.zst', tar: '.tar.zst', paths: '.paths.zst' } as const;

export function createArchive(deps: { root: string; driver: string; now(): Millis; newId(): Id }): Archive {
  const { driver, now } = deps;
  const turns = new Map<string, Promise<unknown>>();

  const folderOf = (lineage: string): string => {
    if (/^\w[\w.-]{0,127}$/.test(lineage)) return join(deps.root, 'snapshots', lineage, driver);
    throw new StewardError('invalid', `${JSON.stringify(lineage)} cannot name a lineage of snapshots.`, {
      op: 'save a sandbox',
    });
  };
  const fileOf = (lineage: string, id: Id, kind: keyof typeof SUFFIX): string => {
    if (/^\w+$/.test(id)) return join(folderOf(lineage), `${id}${SUFFIX[kind]}`);
    throw new StewardError('not_found', `There is no snapshot ${JSON.stringify(id)}.`, { op: 'restore a snapshot' });
  };

  /** Work on one lineage, one after the other. */
  const inTurn = <T>(lineage: string, work: () => Promise<T>): Promise<T> => {
    const turn = (turns.get(lineage) ?? Promise.resolve()).then(work, work);
    turns.set(lineage, turn);
    const forget = () => {
      if (turns.get(lineage) === turn) turns.delete(lineage);
    };
    turn.then(forget, forget);
    return turn;
  };

  const manifest = async (lineage: string, id: Id): Promise<Manifest | null> => {
    const text = await readPacked(fileOf(lineage, id, 'manifest'));
    return text === null ? null : manifestText.parse(JSON.parse(text));
  };

  const need = async (ref: SnapshotRef): Promise<Manifest> => {
    const op = 'restore a snapshot';
    if (ref.driver !== driver)
      throw new StewardError('invalid', `The snapshot ${ref.id} was made by the driver ${ref.driver}.`, {
        op,
        hint: `Set STEWARD_SANDBOX=${ref.driver} to go on with it.`,
      });
    const found = await manifest(ref.lineage, ref.id);
    if (!found) throw new StewardError('not_found', `There is no snapshot ${ref.id}.`, { op });
    return found;
  };

  const save = async (
    options: { lineage: string; label?: string },
    exec: Exec,
    last: Baseline | undefined,
    mostBytes: number,
  ): Promise<{ snapshot: Omit<Snapshot, 'tookMs'>; baseline: Baseline }> => {
    const { lineage, label = null } = options;
    const left: NonNullable<Snapshot['left']> = [];
    const listing = await listFiles(exec, (omission) => void left.push(omission));
    // What was seen last counts only as long as it is kept.
    const kept = last && existsSync(fileOf(lineage, last.ref.id, 'manifest')) ? last : null;
    const before: Listing = kept?.listing ?? new Map();
    const found = difference(before, listing);
    if (kept && found.written.length + found.deleted.length === 0)
      return {
        snapshot: { ref: kept.ref, changed: false, changes: [], more: 0 },
        baseline: { ref: kept.ref, listing },
      };

    const known = kept && (await need(kept.ref));
    const ref: SnapshotRef = { id: deps.newId(), driver, lineage, createdAt: now(), label };
    const whole = new Set(known?.entries.map(([, , pack]) => pack)).size >= MOST_PACKS;
    const written = whole ? [...listing.keys()] : found.written.map(({ path }) => path);
    await mkdir(folderOf(lineage), { recursive: true, mode: 0o700 });
    if (written.length > 0) {
      const tar = packFiles(exec, written, mostBytes, (omission) => void left.push(omission));
      await writeWhole(fileOf(lineage, ref.id, 'tar'), Readable.from(tar).compose(createZstdCompress(FAST)));
      await writePacked(fileOf(lineage, ref.id, 'paths'), JSON.stringify(written));
    }
    const where = new Map(whole ? [] : known?.entries.map(([path, , pack]) => [path, pack]));
    for (const path of written) where.set(path, ref.id);
    const entries = [...listing.values()].map(({ path, type, mode }): Manifest['entries'][number] => [
      path,
      `${type}${mode}`,
      where.get(path) ?? ref.id,
    ]);
    const text: Manifest = { id: ref.id, createdAt: ref.createdAt, label, entries };
    // Last, so that what it names is there.
    await writePacked(fileOf(lineage, ref.id, 'manifest'), JSON.stringify(text));
    const snapshot = { ref, changed: true, ...describeDifference(before, found), ...(left.length > 0 && { left }) };
    return { snapshot, baseline: { ref, listing } };
  };

  const restore = async (ref: SnapshotRef, exec: Exec): Promise<Baseline> => {
    const { entries } = await need(ref);
    const byPack = Map.groupBy(entries, ([, , pack]) => pack);
    // Older ones first (ids sort by time); what a later save replaced or lost goes before the next comes, so that
    // a file never meets the folder that had its name.
    for (const [pack, wanted] of [...byPack].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const tar = createReadStream(fileOf(ref.lineage, pack, 'tar')).compose(createZstdDecompress());
      await unpackFiles(exec, tar);
      const paths = packList.parse(JSON.parse((await readPacked(fileOf(ref.lineage, pack, 'paths'))) ?? '[]'));
      const live = new Set(wanted.map(([path]) => path));
      const dead = paths.filter((path) => !live.has(path));
      if (dead.length > 0) await removeFiles(exec, dead);
    }
    const modes = entries.flatMap(([path, is]) => (wasWidened(is) ? [{ path, mode: is.slice(1) }] : []));
    if (modes.length > 0) await setModes(exec, modes);
    return { ref, listing: await listFiles(exec) };
  };

  return {
    track({ diskMb }) {
      const baselines = new Map<string, Baseline>();
      return {
        async save(options, exec) {
          const began = performance.now();
          return await inTurn(options.lineage, async () => {
            // Headers and padding of small files come on top of what the limit counts.
            const mostBytes = diskMb * 2 * MB;
            const { snapshot, baseline } = await save(options, exec, baselines.get(options.lineage), mostBytes);
            baselines.set(options.lineage, baseline);
            return { ...snapshot, tookMs: performance.now() - began };
          });
        },
        async restore(ref, exec) {
          baselines.set(ref.lineage, await inTurn(ref.lineage, () => restore(ref, exec)));
        },
      };
    },
    async check(ref) {
      await need(ref);
    },
    async prune(lineage, keep) {
      const folder = folderOf(lineage);
      await inTurn(lineage, async () => {
        const names = await readdir(folder).catch((): string[] => []);
        const needed = new Set<string>();
        for (const name of names) {
          const id = isManifest(name) ? name.slice(0, -SUFFIX.manifest.length) : null;
          const kept = id !== null && keep.has(id) ? await manifest(lineage, id) : null;
          if (!kept) continue;
          needed.add(name);
          for (const [, , pack] of kept.entries) needed.add(`${pack}${SUFFIX.tar}`).add(`${pack}${SUFFIX.paths}`);
        }
        // Lists before what they name: a list without its tars would be a promise nobody can keep.
        const surplus = names.filter((name) => !needed.has(name));
        const [lists, rest] = [surplus.filter(isManifest), surplus.filter((name) => !isManifest(name))];
        for (const name of [...lists, ...rest]) await rm(join(folder, name));
        if (needed.size > 0) return;
        // The folder of the lineage may hold what another driver saved.
        for (const empty of [folder, dirname(folder)]) await rmdir(empty).catch(() => {});
      });
    },
  };
}

/** In a tar everything may be read and written by its owner (u+rwX); these have to be put right. */
function wasWidened(is: string): boolean {
  const mode = Number.parseInt(is.slice(1), 8);
  const executable = is.startsWith('d') || (mode & 0o111) !== 0;
  const widened = mode | (executable ? 0o700 : 0o600);
  return widened !== mode;
}

const isManifest = (name: string): boolean => name.endsWith(SUFFIX.manifest);

async function readPacked(file: string): Promise<string | null> {
  try {
    return (await decompress(await readFile(file))).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

const writePacked = async (file: string, text: string): Promise<void> =>
  writeWhole(file, Readable.from([await compress(Buffer.from(text), FAST)]));

/** Complete and on the disk, or not there. */
async function writeWhole(file: string, bytes: NodeJS.ReadableStream): Promise<void> {
  const half = `${file}.half`;
  try {
    await pipeline(bytes, createWriteStream(half, { mode: 0o600, flush: true }));
    await rename(half, file);
    const folder = await open(dirname(file), 'r');
    await folder.sync().finally(() => folder.close());
  } catch (error) {
    await rm(half, { force: true });
    throw error;
  }
}
