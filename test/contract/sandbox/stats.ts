// What is known of a living sandbox: its use of the machine, its processes and ports, its last sign of life.
import assert from 'node:assert/strict';
import { firstLine, out, perl, type SandboxCase, until } from './stage.ts';

export const stats: SandboxCase[] = [
  {
    name: 'a fresh sandbox: running, no output yet, small',
    async run({ open }) {
      const sandbox = await open();
      const { state, lastOutputAt, rssBytes, cpuMicros, pids, diskBytes } = await sandbox.stats();
      assert.equal(state, 'running');
      assert.equal(lastOutputAt, null);
      assert.ok(rssBytes > 0 && rssBytes < 300_000_000, `rss ${rssBytes}`);
      assert.ok(cpuMicros >= 0 && cpuMicros < 5_000_000, `cpu ${cpuMicros}`);
      assert.ok(pids >= 0 && pids < 20, `pids ${pids}`);
      assert.ok(diskBytes >= 0 && diskBytes < 5_000_000, `disk ${diskBytes}`);
    },
  },
  {
    name: 'processor time of everything inside is counted',
    async run({ open }) {
      const sandbox = await open();
      const before = (await sandbox.stats()).cpuMicros;
      await perl(sandbox, '1 while (times)[0] + (times)[1] < 0.4');
      const used = (await sandbox.stats()).cpuMicros - before;
      assert.ok(used > 250_000 && used < 3_000_000, `used ${used} µs`);
    },
  },
  {
    name: 'memory and processes in use are counted',
    async run({ open }) {
      const sandbox = await open();
      const before = await sandbox.stats();
      const script = '$|=1; my $m = "x" x 80_000_000; fork || last for 1..3; print "ready\\n"; sleep 300';
      const execution = sandbox.exec(['perl', '-e', script]);
      const { rest } = await firstLine(execution);
      await until('all of it is seen', async () => {
        const now = await sandbox.stats();
        return now.rssBytes - before.rssBytes > 60_000_000 && now.pids - before.pids >= 4;
      });
      execution.signal('KILL');
      await execution.result;
      await rest.return?.();
      await until('it is given back', async () => {
        const now = await sandbox.stats();
        return now.rssBytes - before.rssBytes < 30_000_000 && now.pids <= before.pids + 1;
      });
    },
  },
  {
    name: 'the disk that workspace and home take is counted',
    async run({ open }) {
      const sandbox = await open();
      const before = (await sandbox.stats()).diskBytes;
      await out(sandbox, 'mkdir d; head -c 6000000 /dev/urandom > d/a; head -c 3000000 /dev/urandom > "$HOME/b"');
      await until('it is seen', async () => {
        const grown = (await sandbox.stats()).diskBytes - before;
        return grown > 8_500_000 && grown < 14_000_000;
      });
    },
  },
  {
    name: 'the time of the last output is told, whoever wrote it',
    async run({ open }) {
      const sandbox = await open();
      const began = Date.now();
      await out(sandbox, 'echo one');
      const first = (await sandbox.stats()).lastOutputAt!;
      assert.ok(first >= began - 50 && first <= Date.now() + 50, `${first - began} ms after the start`);
      await new Promise((resolve) => setTimeout(resolve, 30));
      await out(sandbox, 'echo two >&2');
      assert.ok((await sandbox.stats()).lastOutputAt! > first);
    },
  },
  {
    name: 'after its end the state is gone',
    async run({ open }) {
      const sandbox = await open();
      await sandbox.kill('done');
      assert.equal((await sandbox.stats().catch(() => ({ state: 'gone' }))).state, 'gone');
      assert.equal(sandbox.info.state, 'gone');
    },
  },
  {
    name: 'processes are those that were started inside, with argv, parent and start as seen there',
    async run({ open }) {
      const sandbox = await open();
      assert.deepEqual(await sandbox.processes(), []);
      const began = Date.now();
      const inner = await out(
        sandbox,
        `perl -e '$0; exec "sleep", "301"' >/dev/null 2>&1 & echo $!; setsid sleep 302 >/dev/null 2>&1 &`,
      );
      const list = await until('both are there', async () => {
        const seen = await sandbox.processes();
        return seen.some(({ argv }) => argv[1] === '301') && seen.some(({ argv }) => argv[1] === '302') && seen;
      });
      const first = list.find(({ argv }) => argv[1] === '301')!;
      assert.deepEqual(first.argv, ['sleep', '301']);
      assert.equal(String(first.pid), inner.trim());
      assert.ok(first.parent > 0);
      assert.ok(
        Math.abs(first.startedAt - began) < 3_000,
        `started ${first.startedAt - began} ms after it was asked for`,
      );
      assert.deepEqual(first.ports, []);
      await out(sandbox, `kill ${list.map(({ pid }) => pid).join(' ')}`);
      await until('they are gone', async () => (await sandbox.processes()).length === 0);
    },
  },
  {
    name: 'the ports a process listens on are told, on any family of addresses',
    async run({ open }) {
      const sandbox = await open();
      const script = `use IO::Socket::INET; $|=1; my $a = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0) or die $@;
        print $a->sockport, "\\n"; sleep 300`;
      const execution = sandbox.exec(['perl', '-e', script]);
      const { line, rest } = await firstLine(execution);
      const entry = await until('the port is seen', async () =>
        (await sandbox.processes()).find(({ ports }) => ports.includes(Number(line))),
      );
      assert.equal(entry.argv[0], 'perl');
      execution.signal('KILL');
      await execution.result;
      await rest.return?.();
    },
  },
];
