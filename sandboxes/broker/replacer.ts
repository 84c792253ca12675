// Replaces texts in a stream of bytes, whatever the borders of its chunks, holding back no more than a possible beginning.
import { Transform } from 'node:stream';

export interface Pair {
  from: Buffer;
  to: Buffer;
}

/** How many bytes at the end may be the beginning of a text that goes on in the next chunk. */
function possibleStart(bytes: Buffer, pairs: readonly Pair[]): number {
  const longest = Math.max(...pairs.map(({ from }) => from.length)) - 1;
  for (let at = Math.max(0, bytes.length - longest); at < bytes.length; at++) {
    const tail = bytes.subarray(at);
    if (pairs.some(({ from }) => from.length > tail.length && from.subarray(0, tail.length).equals(tail)))
      return tail.length;
  }
  return 0;
}

/** The first match of any of them, the earlier in the list where two begin at one place. */
function firstMatch(
  bytes: Buffer,
  pairs: readonly Pair[],
  next: number[],
  at: number,
): { pair: Pair; at: number } | null {
  let found: { pair: Pair; at: number } | null = null;
  for (const [index, pair] of pairs.entries()) {
    // Where this one comes next was found out before, unless it is behind us by now.
    if (next[index]! < at && next[index] !== -1) next[index] = bytes.indexOf(pair.from, at);
    const place = next[index]!;
    if (place >= 0 && (!found || place < found.at)) found = { pair, at: place };
  }
  return found;
}

export function createReplacer(pairs: readonly Pair[]): Transform {
  let held = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _, done) {
      let bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const next = pairs.map(({ from }) => bytes.indexOf(from));
      let at = 0;
      for (let match = firstMatch(bytes, pairs, next, at); match; match = firstMatch(bytes, pairs, next, at)) {
        if (match.at > at) this.push(bytes.subarray(at, match.at));
        this.push(match.pair.to);
        at = match.at + match.pair.from.length;
      }
      bytes = bytes.subarray(at);
      const keep = possibleStart(bytes, pairs);
      if (bytes.length > keep) this.push(bytes.subarray(0, bytes.length - keep));
      // A copy: the chunk's memory may be large, and what is held is a few bytes.
      held = Buffer.from(bytes.subarray(bytes.length - keep));
      done();
    },
    flush(done) {
      if (held.length > 0) this.push(held);
      done();
    },
  });
}

/** Masks each text by as many stars: lengths, and so ranges and Content-Length, stay true. */
export const masker = (secrets: readonly string[]): Transform =>
  createReplacer(
    secrets.map((secret) => ({ from: Buffer.from(secret), to: Buffer.alloc(Buffer.byteLength(secret), '*') })),
  );

/** Gives the whole body to `edit` at its end; fails past `limit` bytes. */
export function editor(edit: (text: string) => string, limit: number): Transform {
  const chunks: Buffer[] = [];
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      size += chunk.length;
      if (size > limit) return done(new Error(`a page of more than ${limit} bytes`));
      chunks.push(chunk);
      done();
    },
    flush(done) {
      this.push(edit(Buffer.concat(chunks).toString('utf8')));
      done();
    },
  });
}
