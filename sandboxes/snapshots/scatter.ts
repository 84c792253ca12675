// From the store into a new workspace: folders, then the files in batches beside each other, then links and times.
import { StewardError } from '../../core/errors.ts';
import type { Isolate } from '../snapshots.ts';
import type { Chunks, Place } from './chunks.ts';
import { hostPaths, type TreePath } from './listing.ts';
import type { Entry, Tree } from './manifest.ts';
import { failure, program, type Room } from './programs.ts';

/** The first batches are small, so that the programs in there begin soon; later ones spare starts. */
const BATCH = { bytes: 16 * 1024 * 1024, files: 2_000, growth: 1.4, most: 4 };
/** Names in one run that needs no data. */
const BATCH_NAMES = 20_000;

type FileEntry = Extract<Entry, { kind: 'file' }>;

/** `workers`: programs at once. Resolves with the inode of each file. Errors: unavailable, disk_full. */
export async function scatter(input: {
  tree: Tree;
  chunks: Chunks;
  room: Pick<Room, 'workspace' | 'home'>;
  isolate: Isolate;
  workers: number;
  utimensat: number;
}): Promise<Map<TreePath, string>> {
  const { tree, chunks, room, isolate } = input;
  const hostPath = hostPaths(room);
  const write = async (records: string[], data: readonly Buffer[]): Promise<string[]> => {
    if (records.length === 0) return [];
    const told = Buffer.from(records.join('\0'), 'latin1');
    const ended = await isolate(program('write', String(input.utimensat)), {
      show: [
        { from: room.workspace, to: room.workspace, write: true },
        { from: room.home, to: room.home, write: true },
      ],
      // Not by way of a file: its pages would have to be found, filled, read and given back once more for every byte.
      stdin: [Buffer.from(String(told.length).padStart(12, '0')), told, ...data],
    });
    if (ended.code !== 0) throw failure('restore a snapshot', ended);
    return ended.stdout.toString('latin1').split('\n');
  };
  const record = (kind: string, path: TreePath, mode: number, mtime: string, rest: string): string => {
    const dot = mtime.indexOf('.');
    return `${kind}\0${hostPath(path)}\0${mode}\0${mtime.slice(0, dot)}\0${Number(mtime.slice(dot + 1))}\0${rest}`;
  };
  const writeAll = async (records: string[]): Promise<void> => {
    for (let at = 0; at < records.length; at += BATCH_NAMES) await write(records.slice(at, at + BATCH_NAMES), []);
  };

  const entries = [...tree];
  const folders = entries.flatMap(([path, entry]) => (entry.kind === 'folder' ? [{ path, entry }] : []));
  // A parent's name is the beginning of its children's.
  folders.sort((a, b) => (a.path < b.path ? -1 : 1));
  const made = writeAll(folders.map(({ path, entry }) => record('d', path, entry.mode, entry.mtime, '')));
  made.catch(() => {});

  const files = entries.flatMap(([path, entry]) =>
    entry.kind === 'file' ? [{ path, entry, places: entry.chunks.map((piece) => placeOf(chunks, piece, path)) }] : [],
  );
  files.sort((a, b) => compare(a.places[0], b.places[0]));
  const batches = inBatches(files);
  const inodes = new Map<TreePath, string>();
  let taken = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let index = taken++; index < batches.length && !failed; index = taken++) {
      const batch = batches[index]!;
      const data = await bytesOf(
        batch.flatMap((file) => file.places),
        chunks,
      );
      await made;
      const records = batch.map(({ path, entry }) => record('f', path, entry.mode, entry.mtime, String(entry.size)));
      const told = await write(records, data);
      for (const [at, { path }] of batch.entries()) inodes.set(path, told[at] ?? '');
    }
  };
  const workers = Array.from({ length: input.workers }, () =>
    worker().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  // Nothing may be at work in the folders when this is over, well or badly.
  const ends = await Promise.allSettled([made, ...workers]);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;

  const rest = entries.flatMap(([path, entry]) => {
    if (entry.kind === 'link') return [record('l', path, 0, entry.mtime, entry.target)];
    return entry.kind === 'same' ? [record('s', path, 0, '0.0', hostPath(entry.as))] : [];
  });
  // The times of folders last, from the inside out: each name made in them sets them anew, and a mode may close them.
  const closing = folders.reverse().map(({ path, entry }) => record('t', path, entry.mode, entry.mtime, ''));
  await writeAll([...rest, ...closing]);
  return inodes;
}

interface PlacedFile {
  path: TreePath;
  entry: FileEntry;
  places: Place[];
}

function placeOf(chunks: Chunks, piece: string, path: TreePath): Place {
  const place = chunks.places.get(piece);
  if (place) return place;
  throw new StewardError('unavailable', `The saved content of ${Buffer.from(path, 'latin1')} is missing.`, {
    op: 'restore a snapshot',
    hint: 'Restore an earlier checkpoint.',
  });
}

function compare(a: Place | undefined, b: Place | undefined): number {
  if (!a || !b) return (a ? 1 : 0) - (b ? 1 : 0);
  if (a.segment !== b.segment) return a.segment < b.segment ? -1 : 1;
  return a.frame - b.frame || a.offset - b.offset;
}

function inBatches(files: readonly PlacedFile[]): PlacedFile[][] {
  const batches: PlacedFile[][] = [];
  let room = { bytes: -1, files: 0 };
  for (const file of files) {
    if (room.bytes < file.entry.size || room.files === 0) {
      const scale = Math.min(BATCH.growth ** batches.length, BATCH.most);
      room = { bytes: BATCH.bytes * scale, files: Math.ceil(BATCH.files * scale) };
      batches.push([]);
    }
    batches.at(-1)!.push(file);
    room.bytes -= file.entry.size;
    room.files -= 1;
  }
  return batches;
}

/** The pieces one after the other, neighbours of one frame as one. Frames are unpacked beside each other. */
async function bytesOf(places: readonly Place[], chunks: Chunks): Promise<Buffer[]> {
  const frames = new Map<string, Promise<Buffer>>();
  const frameOf = ({ segment, frame }: Place): Promise<Buffer> => {
    const key = `${segment} ${frame}`;
    let bytes = frames.get(key);
    if (!bytes) {
      bytes = chunks.frame(segment, frame);
      bytes.catch(() => {});
      frames.set(key, bytes);
    }
    return bytes;
  };
  const runs: { bytes: Promise<Buffer>; from: number; to: number }[] = [];
  for (let at = 0; at < places.length; ) {
    const first = places[at]!;
    let to = first.offset + first.length;
    at += 1;
    for (let next = places[at]; next; next = places[++at]) {
      if (next.segment !== first.segment || next.frame !== first.frame || next.offset !== to) break;
      to += next.length;
    }
    runs.push({ bytes: frameOf(first), from: first.offset, to });
  }
  const buffers: Buffer[] = [];
  for (const { bytes, from, to } of runs) buffers.push((await bytes).subarray(from, to));
  return buffers;
}
