// From a workspace into the store: which files must be read, and their contents, a batch at a time.
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Isolate } from '../snapshots.ts';
import { type Chunks, PIECE, type SegmentWriter } from './chunks.ts';
import { hostPaths, type Listed, type Listing, LONGEST, type Stamp, type TreePath, untouched } from './listing.ts';
import { type Entry, type Omission, shownPath, type Tree } from './manifest.ts';
import { failure, program, type Room } from './programs.ts';
import { inSlices } from './slices.ts';

export interface SaveLimits {
  /** A larger file is left out. Bytes. */
  fileBytes: number;
  /** New content of one save; what comes after is left out. Bytes. */
  totalBytes: number;
  /** Names in workspace and home; more is an error. */
  entries: number;
}

/** Of one read program. */
const BATCH_BYTES = 32 * 1024 * 1024;
const BATCH_FILES = 4_000;

export interface Plan {
  /** Everything but the files in `read`, in the order of the listing: their places are held. */
  tree: Map<TreePath, Entry | null>;
  read: { path: TreePath; listed: Listed }[];
  left: Omission[];
}

/** The last save or restore of this very workspace. */
export interface Before {
  tree: Tree;
  /** Which file stood at each path: a name can come to mean another, old file. */
  inodes: ReadonlyMap<TreePath, string>;
  stamp: Stamp;
}

/** What can be taken over from the snapshot before, and what must be read. Pure. */
export async function plan(
  now: Listing,
  was: Before | null,
  has: (piece: string) => boolean,
  limits: SaveLimits,
): Promise<Plan> {
  const tree: Plan['tree'] = new Map();
  const read: Plan['read'] = [];
  const left: Omission[] = [];
  // The name of a file with many that holds its content, the others point to it: the one that did before, so that a new
  // name is no change of the old one.
  const names = new Map<string, TreePath>();
  const twinOf = (path: TreePath, { inode }: Listed): string => `${path[0]} ${inode}`;
  for (const [path, listed] of now)
    if (listed.links > 1 && listed.kind === 'file' && was?.tree.get(path)?.kind === 'file')
      names.set(twinOf(path, listed), path);
  let total = 0;
  /** Why it is left out, or null. */
  const take = (path: TreePath, listed: Listed): string | null => {
    const { kind, mode, mtime, size } = listed;
    if (path.length > LONGEST) return 'its path is too long';
    if (kind === 'other') return 'a pipe, socket or device';
    if (kind === 'link') tree.set(path, { kind, mtime, target: listed.target });
    if (kind === 'folder') tree.set(path, { kind, mode, mtime });
    // Its owner is who reads it.
    if (kind === 'folder' && (mode & 0o500) !== 0o500) return 'its own mode keeps it from being read';
    if (kind !== 'file') return null;

    const twin = listed.links > 1 ? twinOf(path, listed) : null;
    const as = twin && names.get(twin);
    if (as && as !== path) {
      tree.set(path, { kind: 'same', as });
      return null;
    }
    const had = was?.tree.get(path);
    const known =
      had?.kind === 'file' &&
      was?.inodes.get(path) === listed.inode &&
      untouched(listed.ctime, was.stamp) &&
      had.size === size &&
      had.chunks.every(has);
    if (known) tree.set(path, had.mode === mode && had.mtime === mtime ? had : { ...had, mode, mtime });
    else {
      if (size > limits.fileBytes) return `larger than ${megabytes(limits.fileBytes)}`;
      total += size;
      if (total > limits.totalBytes) return `more than ${megabytes(limits.totalBytes)} were new at once`;
      tree.set(path, null);
      read.push({ path, listed });
    }
    if (twin) names.set(twin, path);
    return null;
  };
  for await (const slice of inSlices(now))
    for (const [path, listed] of slice) {
      // The two roots are the driver's.
      const why = path.length === 1 ? null : take(path, listed);
      if (why) left.push({ path: shownPath(path), why });
    }
  return { tree, read, left };
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MB`;

/** Reads what the plan asks for; the tree is complete afterwards. `writer` is only asked for when there is something to read. */
export async function gather(input: {
  plan: Plan;
  isolate: Isolate;
  room: Room;
  chunks: Chunks;
  writer: () => Promise<SegmentWriter>;
  limits: SaveLimits;
}): Promise<Tree> {
  const { plan: wanted, isolate, room, limits } = input;
  const batches = inBatches(wanted.read);
  const hostPath = hostPaths(room);
  const run = async (batch: Plan['read'], index: number): Promise<Result> => {
    const data = join(room.work, `data-${index}`);
    const ended = await isolate(program('read', data, String(limits.fileBytes)), {
      show: [
        { from: room.workspace, to: room.workspace },
        { from: room.home, to: room.home },
        { from: room.work, to: room.work, write: true },
      ],
      stdin: Buffer.from(batch.map(({ path }) => hostPath(path)).join('\0'), 'latin1'),
    });
    if (ended.code !== 0) throw failure('save a snapshot', ended);
    const told = ended.stdout.toString('latin1').trimEnd().split('\n');
    const file = await open(data, constants.O_RDONLY | constants.O_NOFOLLOW);
    // Only its content is still needed.
    await rm(data);
    return { file, batch, told };
  };
  // One batch is read in there while the one before is packed out here.
  let next = batches.length > 0 ? run(batches[0]!, 0) : null;
  for (let index = 0; next; index++) {
    const result: Result = await next;
    const following = batches[index + 1] ? run(batches[index + 1]!, index + 1) : null;
    following?.catch(() => {});
    try {
      await store(result, wanted, await input.writer());
    } catch (error) {
      await following?.then(({ file }) => file.close()).catch(() => {});
      throw error;
    } finally {
      await result.file.close();
    }
    next = following;
  }
  return settled(wanted);
}

interface Result {
  file: FileHandle;
  batch: Plan['read'];
  /** A line for each file of the batch. */
  told: string[];
}

async function store({ file, batch, told }: Result, { tree, left }: Plan, writer: SegmentWriter): Promise<void> {
  const window = await windowOver(file);
  for (const [index, { path, listed }] of batch.entries()) {
    const [how, length] = (told[index] ?? '').split(' ');
    if (how === 'shut') left.push({ path: shownPath(path), why: 'it cannot be read' });
    if (how === 'large') left.push({ path: shownPath(path), why: 'it grew past the limit while it was saved' });
    if (how === 'moving')
      left.push({ path: shownPath(path), why: 'it changed while it was saved: what it held then is kept' });
    if (how !== 'ok' && how !== 'moving') {
      tree.delete(path);
      continue;
    }
    const size = Number(length);
    const chunks: string[] = [];
    for (let at = 0; at < size; at += PIECE) chunks.push(await writer.add(await window(Math.min(PIECE, size - at))));
    tree.set(path, { kind: 'file', mode: listed.mode, mtime: listed.mtime, size, chunks });
  }
}

/** Takes a file's bytes from front to back without a call for each small piece. Pieces stay valid. */
async function windowOver(file: FileHandle): Promise<(length: number) => Promise<Buffer>> {
  const SIZE = 4 * PIECE;
  let buffer = Buffer.alloc(0);
  let at = 0;
  return async (length) => {
    if (buffer.length - at < length) {
      const rest = buffer.subarray(at);
      const grown = Buffer.allocUnsafeSlow(Math.max(SIZE, length));
      rest.copy(grown);
      let filled = rest.length;
      while (filled < length) {
        const { bytesRead } = await file.read(grown, filled, grown.length - filled);
        if (bytesRead === 0) throw failure('save a snapshot', { code: 0, stderr: 'what was read is not all there' });
        filled += bytesRead;
      }
      buffer = grown.subarray(0, filled);
      at = 0;
    }
    at += length;
    return buffer.subarray(at - length, at);
  };
}

/**
 * What can be made again in this order: a second name needs its first one, and a name that was seen in a folder needs that
 * folder, which may have become a file while it was looked at.
 */
function settled({ tree, left }: Plan): Tree {
  const whole: Tree = new Map();
  for (const [path, entry] of tree) {
    if (!entry || (entry.kind === 'same' && tree.get(entry.as)?.kind !== 'file')) continue;
    const folder = path.slice(0, path.lastIndexOf('/'));
    if (folder.length === 1 || whole.get(folder)?.kind === 'folder') whole.set(path, entry);
    else left.push({ path: shownPath(path), why: 'its folder went away while it was saved' });
  }
  for (const [path, entry] of whole) if (entry.kind === 'same' && !whole.has(entry.as)) whole.delete(path);
  return whole;
}

function inBatches(files: Plan['read']): Plan['read'][] {
  const batches: Plan['read'][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const file of files) {
    if (bytes + file.listed.size > BATCH_BYTES || batches.at(-1)!.length >= BATCH_FILES) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)!.push(file);
    bytes += file.listed.size;
  }
  return batches;
}
