// Frames of the runner's wire to bytes and back; the reader believes no length.
import { StewardError } from '../../core/errors.ts';
import { MAX_FRAME } from './protocol.ts';

const HEADER = 9;

export interface Frame {
  type: number;
  id: number;
  payload: Buffer;
}

export function encodeFrame(type: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.allocUnsafe(HEADER);
  header.writeUInt8(type, 0);
  header.writeUInt32BE(id, 1);
  header.writeUInt32BE(payload.length, 5);
  return payload.length === 0 ? header : Buffer.concat([header, payload]);
}

export function encodeStrings(strings: readonly string[]): Buffer {
  return Buffer.concat(
    strings.flatMap((text) => {
      const bytes = Buffer.from(text);
      return [uint32(bytes.length), bytes];
    }),
  );
}

/** Throws `invalid` where a length points past the end. */
export function decodeStrings(payload: Buffer): string[] {
  const strings: string[] = [];
  for (let at = 0; at < payload.length; ) {
    const end = at + 4 <= payload.length ? at + 4 + payload.readUInt32BE(at) : Number.POSITIVE_INFINITY;
    if (end > payload.length) throw malformed('a string in it ends after it');
    strings.push(payload.toString('utf8', at + 4, end));
    at = end;
  }
  return strings;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Feed it chunks as they come. Holds at most one frame; throws `invalid` on a frame longer than the wire allows. */
export function createFrameReader(take: (frame: Frame) => void): (chunk: Buffer) => void {
  let held: Buffer[] = [];
  let size = 0;
  let need = HEADER;
  return (chunk) => {
    held.push(chunk);
    size += chunk.length;
    if (size < need) return;
    const bytes = held.length === 1 ? chunk : Buffer.concat(held, size);
    let at = 0;
    need = HEADER;
    while (bytes.length - at >= HEADER) {
      const length = bytes.readUInt32BE(at + 5);
      if (length > MAX_FRAME) throw malformed(`it says it has ${length} bytes`);
      need = HEADER + length;
      if (bytes.length - at < need) break;
      take({
        type: bytes.readUInt8(at),
        id: bytes.readUInt32BE(at + 1),
        payload: bytes.subarray(at + HEADER, at + need),
      });
      at += need;
      need = HEADER;
    }
    size = bytes.length - at;
    held = size > 0 ? [bytes.subarray(at)] : [];
  };
}

function malformed(why: string): StewardError {
  return new StewardError('invalid', `The runner sent a frame that cannot be: ${why}.`, {
    op: 'read from the sandbox',
  });
}
