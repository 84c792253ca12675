// The attached stream of a container: stdout comes out as it went in, however it was cut on the way, and no faster than it is read.
import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { demultiplex } from '../../../../sandboxes/drivers/docker/stream.ts';

const piece = (kind: number, payload: Uint8Array): Buffer => {
  const header = Buffer.alloc(8);
  header.writeUInt8(kind, 0);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
};

/** A daemon's end: what is written to `out` arrives at the client, what the client writes is in `got`. */
function daemon() {
  const out = new PassThrough();
  const got: Buffer[] = [];
  const ended = Promise.withResolvers<void>();
  const socket = Duplex.from({
    readable: out,
    writable: async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) got.push(chunk);
      ended.resolve();
    },
  });
  return { out, socket, got, ended: ended.promise };
}

it('gives back stdout and stderr whatever the cuts', async () => {
  const part = fc.record({ kind: fc.constantFrom(1, 2), payload: fc.uint8Array({ maxLength: 40 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 12 }), fc.integer({ min: 1, max: 17 }), async (parts, step) => {
      const { out, socket } = daemon();
      const errors: Buffer[] = [];
      const wire = Buffer.concat(parts.map(({ kind, payload }) => piece(kind, payload)));
      // The first bytes may come with the answer that switched protocols.
      const stream = demultiplex(socket, wire.subarray(0, step), (data) => void errors.push(Buffer.from(data)));
      for (let at = step; at < wire.length; at += step) out.write(wire.subarray(at, at + step));
      out.end();
      const read: Buffer[] = [];
      for await (const data of stream) read.push(data as Buffer);
      const of = (kind: number) =>
        Buffer.concat(parts.filter((one) => one.kind === kind).map(({ payload }) => payload));
      expect(Buffer.concat(read)).toEqual(of(1));
      expect(Buffer.concat(errors)).toEqual(of(2));
    }),
    { numRuns: 150 },
  );
});

it('carries what is written, and its end', async () => {
  const { socket, got, ended } = daemon();
  const stream = demultiplex(socket, Buffer.alloc(0), () => {});
  stream.write('to ');
  stream.end('stdin');
  await ended;
  expect(Buffer.concat(got).toString()).toBe('to stdin');
});

it('takes no more from the daemon than is read', async () => {
  const { out, socket } = daemon();
  const stream = demultiplex(socket, Buffer.alloc(0), () => {});
  const block = piece(1, Buffer.alloc(64 * 1024, 'x'));
  let accepted = 0;
  while (accepted < 10_000 && out.write(block)) {
    accepted += 1;
    await new Promise(setImmediate);
  }
  expect(accepted).toBeLessThan(50);
  let bytes = 0;
  stream.on('data', (data: Buffer) => {
    bytes += data.length;
  });
  out.end();
  await once(stream, 'end');
  expect(bytes).toBe((accepted + 1) * 64 * 1024);
});

it('refuses a stream that is not marked in pieces', async () => {
  const { out, socket } = daemon();
  const stream = demultiplex(socket, Buffer.alloc(0), () => {});
  out.write('plain text of a terminal');
  const [error] = await once(stream, 'error');
  expect((error as Error).message).toContain('not marked');
  expect(socket.destroyed).toBe(true);
});
