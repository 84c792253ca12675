// The contents of one lineage's files: pieces known by their hash, packed into compressed frames, one segment file per save.
import { hash } from 'node:crypto';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { StewardError } from '../../core/errors.ts';

/** Files are cut into pieces of this size, so that a file that only grew shares what it had before. */
export const PIECE = 1024 * 1024;
/** Raw bytes after which a frame is closed: small files share one, and a restore unpacks no more than it needs. */
const FRAME = 2 * 1024 * 1024;
/** What zstd may add to bytes that do not pack. */
const SLACK = 64 * 1024;
const SUFFIX = '.seg';
/** Frames, then the index as zstd JSON, then its length (u32) and this mark. */
const MARK = Buffer.from('STWS');
const TAIL = 8;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
/** The checksum is what tells damage when the frame is read. */
const PARAMS = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 };

export interface Place {
  segment: string;
  frame: number;
  offset: number;
  length: number;
}

interface SegmentIndex {
  /** Position, packed length and raw length of each. */
  frames: [number, number, number][];
  /** Hash, frame, offset in it, length. */
  pieces: [string, number, number, number][];
}

export interface Chunks {
  /** Where each piece is. */
  places: ReadonlyMap<string, Place>;
  /** The size of each segment in bytes, and of its pieces that are raw. */
  segments: ReadonlyMap<string, { packed: number; raw: number }>;
  /** A new segment; nothing is there before `finish`. `again`: also for pieces that another segment has. */
  write(name: string, again?: boolean): Promise<SegmentWriter>;
  frame(segment: string, frame: number): Promise<Buffer>;
  remove(segments: Iterable<string>): Promise<void>;
  close(): Promise<void>;
}

export interface SegmentWriter {
  /** The piece's hash. A piece that is known is not stored again. Keep the bytes untouched until `finish`. */
  add(piece: Buffer): Promise<string>;
  /** On disk for good; without any new piece no file is made. */
  finish(): Promise<void>;
  abandon(): Promise<void>;
}

export async function openChunks(folder: string): Promise<Chunks> {
  const places = new Map<string, Place>();
  const segments = new Map<string, { packed: number; raw: number }>();
  const indexes = new Map<string, SegmentIndex>();
  const files = new Map<string, Promise<FileHandle>>();
  const fileOf = (segment: string): Promise<FileHandle> => {
    let file = files.get(segment);
    if (!file) {
      file = open(join(folder, segment + SUFFIX), 'r');
      files.set(segment, file);
    }
    return file;
  };
  const learn = (segment: string, index: SegmentIndex, packed: number): void => {
    let raw = 0;
    for (const [name, frame, offset, length] of index.pieces) {
      places.set(name, { segment, frame, offset, length });
      raw += length;
    }
    segments.set(segment, { packed, raw });
    indexes.set(segment, index);
  };
  for (const name of (await readdir(folder)).sort()) {
    if (!name.endsWith(SUFFIX)) continue;
    const index = await readIndex(join(folder, name));
    if (index) learn(name.slice(0, -SUFFIX.length), index, (await stat(join(folder, name))).size);
  }

  return {
    places,
    segments,
    async write(name, again = false) {
      const target = join(folder, name + SUFFIX);
      const file = await open(`${target}.new`, 'w', 0o600);
      const index: SegmentIndex = { frames: [], pieces: [] };
      const fresh = new Set<string>();
      let position = 0;
      let held: Buffer[] = [];
      let size = 0;
      // Frames are packed beside each other and written in their order.
      let last: Promise<void> = Promise.resolve();
      let waiting = 0;
      const flush = async (): Promise<void> => {
        if (size === 0) return;
        const raw = size;
        // In one go: by default the library hands its output over in crumbs of 16 KiB.
        const packing = compress(held.length === 1 ? held[0]! : Buffer.concat(held), {
          params: PARAMS,
          chunkSize: raw + SLACK,
        });
        held = [];
        size = 0;
        waiting += 1;
        const previous = last;
        last = (async () => {
          const packed = await packing;
          await previous;
          index.frames.push([position, packed.length, raw]);
          position += packed.length;
          await file.appendFile(packed);
          waiting -= 1;
        })();
        last.catch(() => {});
        packing.catch(() => {});
        if (waiting > 3) await previous;
      };
      let frames = 0;
      return {
        async add(piece) {
          const name = hash('sha256', piece, 'base64url');
          if (fresh.has(name) || (!again && places.has(name))) return name;
          fresh.add(name);
          index.pieces.push([name, frames, size, piece.length]);
          held.push(piece);
          size += piece.length;
          if (size >= FRAME) {
            frames += 1;
            await flush();
          }
          return name;
        },
        async finish() {
          await flush();
          await last;
          if (index.pieces.length === 0) {
            await file.close();
            await rm(`${target}.new`);
            return;
          }
          const packed = await compress(Buffer.from(JSON.stringify(index)), { chunkSize: 1024 * 1024 });
          const tail = Buffer.alloc(TAIL);
          tail.writeUInt32LE(packed.length);
          MARK.copy(tail, 4);
          await file.appendFile(Buffer.concat([packed, tail]));
          await file.sync();
          await file.close();
          await rename(`${target}.new`, target);
          learn(name, index, position + packed.length + TAIL);
        },
        async abandon() {
          await last.catch(() => {});
          await file.close().catch(() => {});
          await rm(`${target}.new`, { force: true });
        },
      };
    },
    async frame(segment, frame) {
      const found = indexes.get(segment)?.frames[frame];
      if (!found) throw damaged(segment);
      const [position, length, raw] = found;
      const packed = Buffer.allocUnsafe(length);
      const { bytesRead } = await (await fileOf(segment)).read(packed, 0, length, position);
      if (bytesRead !== length) throw damaged(segment);
      return await decompress(packed, { chunkSize: raw + SLACK }).catch((cause) => {
        throw damaged(segment, cause);
      });
    },
    async remove(names) {
      for (const name of names) {
        await rm(join(folder, name + SUFFIX), { force: true });
        for (const [piece] of indexes.get(name)?.pieces ?? [])
          if (places.get(piece)?.segment === name) places.delete(piece);
        segments.delete(name);
        indexes.delete(name);
      }
    },
    async close() {
      for (const file of files.values()) await (await file.catch(() => null))?.close();
      files.clear();
    },
  };
}

const damaged = (segment: string, cause?: unknown): StewardError =>
  new StewardError('unavailable', `The saved files of a snapshot are damaged (${segment}).`, {
    op: 'restore a snapshot',
    hint: 'Restore an earlier checkpoint.',
    cause,
  });

/** Null for a file that is not a whole segment: it is passed over, and what needs it says so. */
async function readIndex(path: string): Promise<SegmentIndex | null> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const tail = Buffer.alloc(TAIL);
    if (size < TAIL) return null;
    await file.read(tail, 0, TAIL, size - TAIL);
    const length = tail.readUInt32LE();
    if (!tail.subarray(4).equals(MARK) || length + TAIL > size) return null;
    const packed = Buffer.alloc(length);
    await file.read(packed, 0, length, size - TAIL - length);
    return JSON.parse((await decompress(packed, { chunkSize: length * 4 + SLACK })).toString()) as SegmentIndex;
  } catch {
    return null;
  } finally {
    await file.close();
  }
}
