// Connections to a port inside: bytes both ways, half-closed, slow, many at once, and gone with the sandbox.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import type { Sandbox } from '../../../sandboxes/driver.ts';
import { firstLine, out, type SandboxCase, until, within } from './stage.ts';

/** A server inside; `answer` is perl that has the connection in $c. Resolves to its port. */
async function serve(sandbox: Sandbox, answer: string): Promise<number> {
  const script = `use IO::Socket::INET; $|=1; $SIG{CHLD} = 'IGNORE';
    my $s = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1) or die $@;
    print $s->sockport, "\\n"; while (my $c = $s->accept) { next if fork; close $s; binmode $c; ${answer}; exit }`;
  const execution = sandbox.exec(['perl', '-e', script]);
  execution.result.catch(() => {});
  const { line } = await firstLine(execution);
  return Number(line);
}
const ECHO =
  'while (sysread $c, my $b, 65536) { my $at = 0; while ($at < length $b) { $at += syswrite $c, $b, length($b) - $at, $at } }';
const sha = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

export const dial: SandboxCase[] = [
  {
    name: 'a connection to a port inside carries bytes both ways and is half-closed',
    async run({ open }) {
      const sandbox = await open();
      const port = await serve(
        sandbox,
        'my $sum = 0; while (my $n = sysread $c, my $b, 65536) { $sum += $n } print $c "got $sum"',
      );
      const stream = await sandbox.dial(port);
      stream.write('hello');
      stream.end(Buffer.alloc(50_000));
      assert.equal(await text(stream), 'got 50005');
    },
  },
  {
    name: 'megabytes come back as they went, also to a slow reader',
    async run({ open }) {
      const sandbox = await open();
      const stream = await sandbox.dial(await serve(sandbox, ECHO));
      const data = randomBytes(5_000_000);
      const sending = (async () => {
        for (let at = 0; at < data.length; at += 100_000)
          if (!stream.write(data.subarray(at, at + 100_000))) await once(stream, 'drain');
        stream.end();
      })();
      const chunks: Buffer[] = [];
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        if (chunks.length % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await sending;
      assert.equal(sha(Buffer.concat(chunks)), sha(data));
    },
  },
  {
    name: 'a stream nobody reads holds the sender, and no other stream',
    async run({ open }) {
      const sandbox = await open();
      const port = await serve(
        sandbox,
        'open my $f, ">", "sent"; select((select($f), $| = 1)[0]); my ($sum, $b) = (0, "x" x 65536); while (my $n = syswrite $c, $b) { $sum += $n; seek $f, 0, 0; print $f $sum }',
      );
      const unread = await sandbox.dial(port);
      const held = await until('the sender waits', async () => {
        const before = Number(await out(sandbox, 'cat sent'));
        await new Promise((resolve) => setTimeout(resolve, 150));
        return before > 0 && before === Number(await out(sandbox, 'cat sent')) && before;
      });
      // The kernel keeps some megabytes for a socket by itself.
      assert.ok(held < 12_000_000, `${held} bytes were sent although nobody reads`);
      const other = await sandbox.dial(await serve(sandbox, ECHO));
      other.end('still quick');
      assert.equal(await text(other), 'still quick');
      unread.destroy();
    },
  },
  {
    name: 'twenty connections at once do not mix',
    async run({ open }) {
      const sandbox = await open();
      const port = await serve(sandbox, ECHO);
      const all = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const stream = await sandbox.dial(port);
          stream.end(Buffer.alloc(30_000, i));
          return buffer(stream);
        }),
      );
      for (const [i, got] of all.entries()) assert.ok(got.equals(Buffer.alloc(30_000, i)), `connection ${i}`);
    },
  },
  {
    name: 'a port nobody listens on is an error, soon',
    async run({ open }) {
      const sandbox = await open();
      const error = await within(
        5_000,
        sandbox.dial(9).then(
          () => null,
          (error: Error) => error,
        ),
      );
      assert.ok(error instanceof Error);
      const { code, message } = error as Error & { code: string };
      assert.equal(code, 'unavailable');
      assert.match(message, /9/);
    },
  },
  {
    name: 'a port of the host is not one of the sandbox',
    needs: ({ report }) => (report.egressLocked ? null : 'the network is the host’s'),
    async run({ open, atEnd }) {
      let seen = 0;
      const server = createServer((socket) => {
        seen += 1;
        socket.destroy();
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      atEnd(() => void server.close());
      const sandbox = await open();
      const { port } = server.address() as { port: number };
      assert.ok((await sandbox.dial(port).catch((error: Error) => error)) instanceof Error);
      assert.equal(seen, 0);
    },
  },
  {
    name: 'a connection ends with its server, and with the sandbox',
    async run({ open }) {
      const sandbox = await open();
      const brief = await sandbox.dial(await serve(sandbox, 'print $c "bye"'));
      assert.equal(await text(brief), 'bye');
      const lasting = await sandbox.dial(await serve(sandbox, 'sleep 300'));
      const ended = ends(lasting);
      await sandbox.kill('with a connection open');
      assert.notEqual(await within(3_000, ended), 'pending');
    },
  },
];

/** Resolves when the stream is over, with or without an error. */
function ends(stream: Duplex): Promise<void> {
  stream.on('error', () => {});
  stream.resume();
  return new Promise((resolve) => stream.once('close', resolve));
}
