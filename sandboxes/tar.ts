// Tar archives from people and sandboxes: an archive passes only while every entry is harmless, else it is refused as a whole.
import { constants } from 'node:fs';
import { mkdir, open, readdir, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import * as tar from 'tar-stream';
import { StewardError } from '../core/errors.ts';
import { createCheck, type Entry, refuse, TAR_LIMITS, type TarLimits, type Totals } from './tar-check.ts';

export { TAR_LIMITS, type TarLimits, type Totals } from './tar-check.ts';

const RATIO_FROM = 64 * 1024 ** 2;
/**
 * The archive (plain or gzip) once more, entry by entry as checked: names made plain, owners, extended attributes and setuid bits
 * left out. The stream breaks with `invalid` or `too_large` at the first entry that is not fine; what came before it is
 * to be thrown away then. `totals` settles with the stream.
 */
export function checkedTar(
  source: Readable,
  limits: Partial<TarLimits> = {},
): { archive: Readable; totals: Promise<Totals> } {
  const pack = tar.pack();
  pack.on('error', () => {});
  const totals = eachEntry(source, { ...TAR_LIMITS, ...limits }, async (entry, body) => {
    const written = Promise.withResolvers<void>();
    written.promise.catch(() => {});
    const sink = pack.entry({ ...entry, uid: 0, gid: 0 }, (error) =>
      error ? written.reject(error) : written.resolve(),
    );
    // Every stream of tar-stream throws what nobody listens to; what counts comes by the promises.
    sink.on('error', () => {});
    if (entry.type === 'file') {
      for await (const chunk of body) await handOver(sink, chunk);
      sink.end(null);
    }
    await written.promise;
  }).then(
    (result) => {
      pack.finalize();
      return result;
    },
    (error: Error) => {
      pack.destroy(error);
      throw error;
    },
  );
  totals.catch(() => {});
  return { archive: Readable.from(chunksOf(pack)), totals };
}

async function* chunksOf(stream: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  for await (const chunk of stream) yield chunk as Buffer;
}

/**
 * Unpacks into a folder of the host that is empty or not there yet. No link is followed; on refusal nothing stays.
 * Errors: invalid, too_large, conflict (the folder is not empty).
 */
export async function unpackTo(folder: string, source: Readable, limits: Partial<TarLimits> = {}): Promise<Totals> {
  await mkdir(folder, { recursive: true });
  if ((await readdir(folder)).length > 0) {
    throw new StewardError('conflict', `${folder} is not empty.`, { op: 'unpack an archive' });
  }
  try {
    return await eachEntry(source, { ...TAR_LIMITS, ...limits }, async (entry, body) => {
      const path = join(folder, entry.name);
      // No parent can be a link: the folder began empty, and the guard lets nothing pass through a link.
      if (entry.type === 'directory') return void (await mkdir(path, { recursive: true }));
      await mkdir(dirname(path), { recursive: true });
      await rm(path, { force: true });
      if (entry.type === 'symlink') return symlink(entry.linkname ?? '', path);
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      const file = await open(path, flags, entry.mode);
      try {
        for await (const chunk of body) await file.writeFile(chunk);
      } finally {
        await file.close();
      }
    });
  } catch (error) {
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true });
    throw error;
  }
}

export interface PackEntry {
  name: string;
  /** A file; a folder when there is neither data nor link. */
  data?: Uint8Array | string;
  /** A symbolic link to this. */
  link?: string;
  mode?: number;
}

/** A plain tar of what fits in memory. */
export function packTar(entries: Iterable<PackEntry>): Readable {
  const pack = tar.pack();
  void (async () => {
    for (const { name, data, link, mode } of entries) {
      const type = link !== undefined ? 'symlink' : data !== undefined ? 'file' : 'directory';
      const header = { name, type, mode: mode ?? (type === 'directory' ? 0o755 : 0o644), linkname: link } as const;
      const bytes = Buffer.from(data ?? '');
      await new Promise<void>((resolve, reject) => {
        const done = (error?: Error | null) => (error ? reject(error) : resolve());
        if (type === 'file') pack.entry(header, bytes, done);
        else pack.entry(header, done);
      });
    }
    pack.finalize();
  })().catch((error: Error) => pack.destroy(error));
  return Readable.from(chunksOf(pack));
}

async function eachEntry(
  source: Readable,
  limits: TarLimits,
  take: (entry: Entry, body: AsyncIterable<Buffer>) => Promise<void>,
): Promise<Totals> {
  const extract = tar.extract();
  extract.on('error', () => {});
  const check = createCheck(limits);
  const feeding = (async () => {
    for await (const chunk of plainTar(source, limits)) await handOver(extract, chunk);
    extract.end(null);
  })();
  let broken: unknown = null;
  feeding.catch((error: Error) => {
    broken = error;
    extract.destroy(error);
  });
  try {
    for await (const body of extract) {
      body.on('error', () => {});
      const entry = check.entry(body.header);
      if (entry) await take(entry, chunksOf(body));
      body.resume();
    }
    await feeding;
    return check.totals();
  } catch (error) {
    // What the source said is the cause of whatever tar made of it.
    const first = broken ?? error;
    throw first instanceof StewardError ? first : refuse('it is damaged or no tar at all', 'invalid', first);
  } finally {
    extract.destroy();
    source.destroy();
  }
}

/** The bytes of the tar itself; measured while they are unzipped, so that a bomb is never unpacked to its end. */
async function* plainTar(source: Readable, limits: TarLimits): AsyncGenerator<Buffer> {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer | string>;
  const input = {
    next: () =>
      chunks.next().catch((cause: unknown) => {
        if (cause instanceof StewardError) throw cause;
        throw new StewardError('unavailable', 'The archive broke off before its end.', {
          op: 'unpack an archive',
          hint: 'Nothing of it was unpacked.',
          retryable: true,
          cause,
        });
      }),
  };
  let head: Buffer = Buffer.alloc(0);
  while (head.length < 2) {
    const { done, value } = await input.next();
    if (done) break;
    head = Buffer.concat([head, Buffer.from(value)]);
  }
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield head;
    for (let step = await input.next(); !step.done; step = await input.next()) yield Buffer.from(step.value);
  };
  const zipped = head[0] === 0x1f && head[1] === 0x8b;
  const most = limits.bytes + limits.entries * 4_096 + 1024 ** 2;
  let size = 0;
  let tail: Buffer = Buffer.alloc(0);
  const gunzip = zipped ? createGunzip({ chunkSize: 64 * 1024 }) : null;
  if (gunzip) {
    const bytes = Readable.from(whole());
    bytes.on('error', (error) => gunzip.destroy(error));
    gunzip.on('close', () => bytes.destroy());
    bytes.pipe(gunzip);
  }
  for await (const chunk of gunzip ?? whole()) {
    size += chunk.length;
    if (size > most) throw refuse(`it is larger than ${limits.bytes} bytes`, 'too_large');
    if (gunzip && size > RATIO_FROM && size > gunzip.bytesWritten * limits.ratio) {
      throw refuse(`unpacked it is more than ${limits.ratio} times its size`, 'too_large');
    }
    tail = chunk.length >= 512 ? chunk.subarray(-512) : Buffer.concat([tail, chunk]).subarray(-512);
    yield chunk;
  }
  // An archive ends with empty blocks; one that was cut between two entries would pass for a whole one.
  if (tail.length < 512 || tail.some((byte) => byte !== 0)) throw refuse('its end is missing');
}

/** A writable stream of tar-stream, which is none of Node's. */
interface Taker {
  readonly destroying: boolean;
  write(chunk: Buffer): boolean;
  on(event: 'drain' | 'close' | 'error', listener: (error?: Error) => void): unknown;
  off(event: 'drain' | 'close' | 'error', listener: (error?: Error) => void): unknown;
}

/** Settles when the stream can take more; rejects when it was closed meanwhile. */
function handOver(stream: Taker, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    // It would neither take anything nor say that it is closed a second time.
    if (stream.destroying) return reject(new Error('closed'));
    const done = (settle: () => void) => {
      stream.off('drain', drained);
      stream.off('close', closed);
      stream.off('error', closed);
      settle();
    };
    const drained = () => done(resolve);
    const closed = (error?: Error) => done(() => reject(error ?? new Error('closed')));
    stream.on('drain', drained);
    stream.on('close', closed);
    stream.on('error', closed);
    if (stream.write(chunk)) drained();
  });
}
