// Back-pressure and caps: what nobody reads stays with the process, and too much is cut off and said.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Sandbox } from '../../../sandboxes/driver.ts';
import { out, readAll, run, type SandboxCase, sh, until, within } from './stage.ts';

const MiB = 1024 * 1024;

/** Writes `total` bytes and keeps a count of what it got rid of in the file `count`. */
const producer = (total: number) => [
  'perl',
  '-e',
  `open(my $count, '>', 'count'); select((select($count), $| = 1)[0]); my $piece = 'x' x 4096; my $sent = 0;
   while ($sent < ${total}) { $sent += syswrite STDOUT, $piece; seek $count, 0, 0; print $count $sent }`,
];
const count = async (sandbox: Sandbox) => Number(await out(sandbox, 'cat count'));

export const flow: SandboxCase[] = [
  {
    name: 'what is not read is not taken from the process',
    async run({ open }) {
      const sandbox = await open();
      const execution = sandbox.exec(producer(16 * MiB));
      const held = await until('the producer waits', async () => {
        const before = await count(sandbox);
        await new Promise((resolve) => setTimeout(resolve, 200));
        return before > 0 && before === (await count(sandbox)) && before;
      });
      assert.ok(held < 2 * MiB, `the producer got rid of ${held} bytes although nobody reads`);
      const ran = await readAll(execution);
      assert.deepEqual([ran.code, ran.stdout.length], [0, 16 * MiB]);
    },
  },
  {
    name: 'a reader that pauses between pieces gets every byte',
    async run({ open }) {
      const sandbox = await open();
      const hash = createHash('sha256');
      let bytes = 0;
      let pieces = 0;
      const script = 'for my $i (1..400000) { printf "%015d\\n", $i }';
      for await (const event of sandbox.exec(['perl', '-e', script])) {
        if (event.type !== 'stdout') continue;
        hash.update(event.data);
        bytes += event.data.length;
        if (++pieces % 16 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      const expected = createHash('sha256');
      for (let i = 1; i <= 400_000; i++) expected.update(`${String(i).padStart(15, '0')}\n`);
      assert.equal(bytes, 6_400_000);
      assert.equal(hash.digest('hex'), expected.digest('hex'));
    },
  },
  {
    name: 'a command nobody reads does not hold up the others',
    async run({ open }) {
      const sandbox = await open();
      const unread = [1, 2, 3].map(() => sandbox.exec(['yes']));
      await new Promise((resolve) => setTimeout(resolve, 100));
      const ran = await within(5_000, run(sandbox, ['head', '-c', String(3 * MiB), '/dev/zero']));
      assert.ok(ran !== 'pending' && ran.stdout.length === 3 * MiB);
      assert.equal(await sandbox.ping(2_000), true);
      for (const execution of unread) execution.signal('KILL');
      for (const execution of unread) assert.notEqual(await within(5_000, execution.result), 'pending');
    },
  },
  {
    name: 'output past the cap is cut, said, and the group is killed',
    async run({ open }) {
      const sandbox = await open();
      const script = ': > ticks; sh -c "while :; do echo x >> ticks; sleep 0.02; done" & yes & yes >&2';
      const ran = await within(10_000, sh(sandbox, script, { outputBytes: MiB }));
      assert.ok(ran !== 'pending', 'it ended');
      assert.equal(ran.limited, 'output');
      assert.deepEqual(ran.events.slice(-2), ['limit', 'exit']);
      const bytes = ran.stdout.length + ran.stderr.length;
      assert.ok(bytes <= MiB, `${bytes} bytes came through`);
      assert.ok(bytes > MiB / 2, `only ${bytes} bytes came through`);
      await until('the group is gone', async () => {
        const ticks = await out(sandbox, 'wc -c < ticks');
        await new Promise((resolve) => setTimeout(resolve, 100));
        return ticks === (await out(sandbox, 'wc -c < ticks'));
      });
    },
  },
  {
    name: 'exactly the cap is not too much, one byte more is',
    async run({ open }) {
      const sandbox = await open();
      const exact = await run(sandbox, ['head', '-c', '100000', '/dev/zero'], { outputBytes: 100_000 });
      assert.deepEqual([exact.stdout.length, exact.limited, exact.code], [100_000, null, 0]);
      const over = await run(sandbox, ['head', '-c', '100001', '/dev/zero'], { outputBytes: 100_000 });
      assert.equal(over.limited, 'output');
      assert.ok(over.stdout.length <= 100_000);
    },
  },
  {
    name: 'without a word on it the cap is 64 MiB',
    alone: true,
    async run({ open }) {
      const execution = (await open()).exec(['head', '-c', String(80 * MiB), '/dev/zero']);
      let bytes = 0;
      for await (const event of execution) if (event.type === 'stdout') bytes += event.data.length;
      assert.equal((await execution.result).limited, 'output');
      assert.ok(bytes <= 64 * MiB && bytes > 60 * MiB, `${bytes} bytes came through`);
    },
  },
];
