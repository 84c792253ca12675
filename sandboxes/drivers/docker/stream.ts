// The attached stream of a container without a terminal: stdin goes in as it is, stdout and stderr come out as marked pieces.
import { Duplex } from 'node:stream';

/** Piece = kind u8 (1 stdout, 2 stderr) · 3 × 0 · length u32 big-endian · payload. */
const HEADER = 8;

/**
 * What the container writes to stdout is what this reads; its stderr goes to `onStderr`. What is not read is not taken from
 * the socket. Ends when the container does; destroying it closes the container's stdin.
 */
export function demultiplex(socket: Duplex, head: Uint8Array, onStderr: (data: Buffer) => void): Duplex {
  let pending: Buffer = Buffer.alloc(0);
  let kind = 0;
  let left = 0;

  /** False when the reader has enough. */
  const take = (chunk: Buffer): boolean => {
    let more = true;
    let data = pending.length > 0 ? Buffer.concat([pending, chunk]) : chunk;
    for (;;) {
      if (left > 0) {
        const part = data.subarray(0, left);
        if (part.length === 0) break;
        left -= part.length;
        data = data.subarray(part.length);
        if (kind === 2) onStderr(part);
        else more = stream.push(part);
        continue;
      }
      if (data.length < HEADER) break;
      kind = data.readUInt8(0);
      if (kind > 2) {
        // A daemon that sends a plain stream after all would be misread for ever.
        stream.destroy(new Error('the stream of the container is not marked in pieces'));
        return false;
      }
      left = data.readUInt32BE(4);
      data = data.subarray(HEADER);
    }
    pending = data;
    return more;
  };

  const stream = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, (error) => done(error)),
    final: (done) => void socket.end(done),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    if (!take(chunk)) socket.pause();
  });
  socket.on('end', () => stream.push(null));
  socket.on('error', (error) => stream.destroy(error));
  socket.on('close', () => stream.destroy());
  if (head.length > 0 && !take(Buffer.from(head))) socket.pause();
  return stream;
}
