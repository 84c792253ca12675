// What goes in: standard input with back-pressure, and signals to the whole group.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { firstLine, out, readAll, run, type SandboxCase, sh, until, within } from './stage.ts';

const sha = (data: Uint8Array | string) => createHash('sha256').update(data).digest('hex');

export const input: SandboxCase[] = [
  {
    name: 'standard input is empty unless it is opened',
    async run({ open }) {
      const ran = await within(5_000, run(await open(), ['cat']));
      assert.ok(ran !== 'pending' && ran.code === 0 && ran.stdout === '');
    },
  },
  {
    name: 'what is written arrives byte for byte, and end closes it',
    async run({ open }) {
      const data = randomBytes(3_000_000);
      const execution = (await open()).exec(['sha256sum'], { stdin: 'open' });
      const reading = readAll(execution);
      for (let at = 0; at < data.length; at += 300_000) await execution.write(data.subarray(at, at + 300_000));
      await execution.write('and a text: ü');
      execution.end();
      execution.end();
      const { stdout, code } = await reading;
      assert.equal(code, 0);
      assert.equal(stdout.slice(0, 64), sha(Buffer.concat([data, Buffer.from('and a text: ü')])));
    },
  },
  {
    name: 'a conversation goes back and forth while both sides stay open',
    async run({ open }) {
      const execution = (await open()).exec(['perl', '-e', '$|=1; while (<STDIN>) { print "you said $_" }'], {
        stdin: 'open',
      });
      const events = execution[Symbol.asyncIterator]();
      for (const word of ['one', 'two', 'three']) {
        await execution.write(`${word}\n`);
        const next = await within(5_000, events.next());
        assert.ok(next !== 'pending' && !next.done && next.value.type === 'stdout');
        assert.equal(Buffer.from(next.value.data).toString(), `you said ${word}\n`);
      }
      execution.end();
      assert.equal((await execution.result).code, 0);
      await events.return?.();
    },
  },
  {
    name: 'a slow reader slows the writer',
    async run({ open }) {
      const sandbox = await open();
      const execution = sandbox.exec(['sh', '-c', 'until test -e go; do sleep 0.02; done; wc -c'], { stdin: 'open' });
      const reading = readAll(execution);
      let written = 0;
      const writing = (async () => {
        for (; written < 8_000_000; written += 100_000) await execution.write(Buffer.alloc(100_000, 'x'));
        execution.end();
      })();
      assert.equal(await within(400, writing), 'pending');
      assert.ok(written > 0 && written < 2_000_000, `${written} bytes were taken from the writer`);
      await out(sandbox, 'touch go');
      assert.notEqual(await within(10_000, writing), 'pending');
      assert.equal((await reading).stdout.trim(), '8000000');
    },
  },
  {
    name: 'writing to a command that does not read, or is over, neither hangs nor breaks anything',
    async run({ open }) {
      const sandbox = await open();
      const deaf = sandbox.exec(['sh', '-c', 'exec <&-; sleep 0.3; exit 4'], { stdin: 'open' });
      const writing = deaf.write(Buffer.alloc(2_000_000)).catch(() => {});
      assert.notEqual(await within(5_000, writing), 'pending');
      assert.equal((await deaf.result).code, 4);
      assert.notEqual(
        await within(
          5_000,
          deaf.write('late').catch(() => {}),
        ),
        'pending',
      );
      deaf.end();
      deaf.signal('TERM');
      assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
  {
    name: 'each signal reaches every process of the group',
    async run({ open }) {
      const sandbox = await open();
      for (const name of ['INT', 'TERM', 'HUP'] as const) {
        // perl, because a shell's background child ignores INT.
        const script = `$|=1; my $who = fork ? 'parent' : 'child'; my $seen = 0;
          $SIG{${name}} = sub { $seen = 1 }; print "$who ready\\n"; for (1..300) { select undef, undef, undef, 0.02; last if $seen }
          print "$who ", ($seen ? 'told' : 'not told'), "\\n"; wait if $who eq 'parent'; exit 0`;
        const execution = sandbox.exec(['perl', '-e', script]);
        let text = '';
        let told = false;
        for await (const event of execution) {
          if (event.type === 'stdout') text += Buffer.from(event.data).toString();
          if (!told && text.includes('parent ready') && text.includes('child ready')) {
            told = true;
            execution.signal(name);
          }
        }
        assert.match(text, /parent told/, name);
        assert.match(text, /child told/, name);
      }
    },
  },
  {
    name: 'KILL ends what ignores everything else',
    async run({ open }) {
      const script = "trap '' TERM INT HUP; echo ready; while :; do sleep 0.05; done";
      const execution = (await open()).exec(['sh', '-c', script]);
      const { rest } = await firstLine(execution);
      for (const name of ['TERM', 'INT', 'HUP'] as const) execution.signal(name);
      assert.equal(await within(200, execution.result), 'pending');
      execution.signal('KILL');
      assert.equal((await execution.result).signal, 'KILL');
      await rest.return?.();
    },
  },
  {
    name: 'STOP holds the group and CONT lets it go on',
    async run({ open }) {
      const sandbox = await open();
      const script = 'sh -c "while :; do echo x >> ticks; sleep 0.02; done" & echo ready; wait';
      const execution = sandbox.exec(['sh', '-c', script]);
      const { rest } = await firstLine(execution);
      const size = async () => Number(await out(sandbox, 'cat ticks 2>/dev/null | wc -c'));
      await until('it ticks', async () => (await size()) > 0);
      execution.signal('STOP');
      const held = await until('it holds', async () => {
        const before = await size();
        await new Promise((resolve) => setTimeout(resolve, 150));
        return before === (await size()) && before;
      });
      execution.signal('CONT');
      await until('it goes on', async () => (await size()) > held);
      execution.signal('KILL');
      await execution.result;
      await rest.return?.();
    },
  },
  {
    name: 'a signal to one command leaves the others alone',
    async run({ open }) {
      const sandbox = await open();
      const other = sandbox.exec(['sh', '-c', 'sleep 0.5; exit 6']);
      const execution = sandbox.exec(['sleep', '300']);
      execution.signal('TERM');
      assert.equal((await within(5_000, execution.result)) !== 'pending', true);
      assert.equal((await other.result).code, 6);
      assert.equal((await sh(sandbox, 'exit 0')).code, 0);
    },
  },
];
