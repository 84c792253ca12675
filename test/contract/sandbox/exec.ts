// Commands: argv as it is, both streams byte for byte, one exit at the end, and an environment that is small and known.
import assert from 'node:assert/strict';
import { PLACES } from '../../../sandboxes/driver.ts';
import { firstLine, isolated, out, perl, readAll, run, type SandboxCase, sh, until, within } from './stage.ts';

const failure = (error: unknown) => (error as { code?: unknown }).code;

export const exec: SandboxCase[] = [
  {
    name: 'an argv reaches the program as it is, with no shell in between',
    async run({ open }) {
      const words = ['a b', '$HOME', '*', '', '`id`', "'", '"', 'line\nbreak', 'ü 漢 🧵', '-n', ';', '\\'];
      const { stdout, code } = await run(await open(), ['/usr/bin/printf', '%s|', ...words]);
      assert.equal(code, 0);
      assert.equal(Buffer.from(stdout, 'latin1').toString('utf8'), `${words.join('|')}|`);
    },
  },
  {
    name: 'a NUL byte in an argument is refused, never cut off',
    async run({ open }) {
      const sandbox = await open();
      const ran = await run(sandbox, ['/usr/bin/printf', '%s', 'rm -rf build\0 --dry-run']).catch(failure);
      if (typeof ran === 'object' && ran !== null) {
        assert.notEqual((ran as { code: number }).code, 0);
        assert.equal((ran as { stdout: string }).stdout, '');
      } else assert.equal(ran, 'invalid');
      assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
  {
    name: 'both streams keep every byte, in order, apart from each other',
    async run({ open }) {
      const script = `binmode STDOUT; binmode STDERR; $|=1; my $all = join '', map chr, 0..255;
        for (1..200) { syswrite STDOUT, $all; syswrite STDERR, reverse $all }`;
      const { stdout, stderr, code } = await perl(await open(), script);
      const all = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i));
      assert.equal(code, 0);
      assert.ok(stdout === all.join('').repeat(200), `stdout came to ${stdout.length} bytes`);
      assert.ok(stderr === all.reverse().join('').repeat(200), `stderr came to ${stderr.length} bytes`);
    },
  },
  {
    name: 'the last event is the exit, and result says the same',
    async run({ open }) {
      const sandbox = await open();
      for (const code of [0, 1, 42, 255]) {
        const execution = sandbox.exec(['sh', '-c', `echo out; echo err >&2; exit ${code}`]);
        const ran = await readAll(execution);
        assert.deepEqual([ran.code, ran.signal, ran.limited], [code, null, null]);
        assert.equal(ran.events.at(-1), 'exit');
        assert.equal(ran.events.filter((type) => type === 'exit').length, 1);
        const { code: same, signal, limited } = await execution.result;
        assert.deepEqual([same, signal, limited], [code, null, null]);
      }
    },
  },
  {
    name: 'a command that a signal ended says which',
    async run({ open }) {
      const sandbox = await open();
      for (const name of ['TERM', 'KILL', 'SEGV']) {
        const { code, signal } = await sh(sandbox, `kill -${name} $$; sleep 10`);
        assert.deepEqual([code, signal], [null, name]);
      }
    },
  },
  {
    name: 'result comes whether or not anybody reads',
    async run({ open }) {
      const execution = (await open()).exec(['sh', '-c', 'echo never read; exit 3']);
      const result = await within(5_000, execution.result);
      assert.ok(result !== 'pending' && result.code === 3);
    },
  },
  {
    name: 'a command starts in the workspace, or in the folder it is given',
    async run({ open }) {
      const sandbox = await open();
      await out(sandbox, 'echo mine > here.txt; mkdir -p deep/er');
      assert.equal(Buffer.from(await sandbox.files.read(`${PLACES.workspace}/here.txt`)).toString(), 'mine\n');
      await out(sandbox, 'echo deeper > there.txt', { cwd: `${PLACES.workspace}/deep/er` });
      assert.equal(await out(sandbox, 'cat deep/er/there.txt'), 'deeper\n');
      await out(sandbox, 'echo private > note', { cwd: PLACES.home });
      assert.equal(await out(sandbox, 'cat "$HOME/note"'), 'private\n');
    },
  },
  {
    name: 'workspace and home are where the contract says, and both can be written',
    needs: isolated,
    async run({ open }) {
      const sandbox = await open();
      assert.equal(await out(sandbox, 'pwd -P'), `${PLACES.workspace}\n`);
      assert.equal(await out(sandbox, 'cd && pwd -P && touch a && rm a'), `${PLACES.home}\n`);
    },
  },
  {
    name: 'a folder that is not there is a failure of that command, soon and said',
    async run({ open }) {
      const sandbox = await open();
      const ran = await within(
        5_000,
        run(sandbox, ['true'], { cwd: `${PLACES.workspace}/none` }).catch((error: Error) => error),
      );
      assert.notEqual(ran, 'pending');
      if (!(ran instanceof Error)) assert.notEqual((ran as { code: number }).code, 0);
      assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
  {
    name: 'a program that is not there, or is none, is a failure of that command: 127 or 126, with the reason',
    async run({ open }) {
      const sandbox = await open();
      const missing = await run(sandbox, ['no-such-program', 'x']);
      assert.equal(missing.code, 127);
      assert.match(missing.stderr, /no-such-program/);
      await out(sandbox, 'echo text > plain; chmod 644 plain');
      const plain = await run(sandbox, ['./plain']);
      assert.equal(plain.code, 126);
      assert.match(plain.stderr, /plain/);
      assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
  {
    name: 'an argument larger than the kernel takes is a failure of that command',
    async run({ open }) {
      const sandbox = await open();
      const long = await run(sandbox, ['/usr/bin/printf', '%s', 'x'.repeat(100_000)]);
      assert.equal(long.stdout.length, 100_000);
      const ran = await within(
        5_000,
        run(sandbox, ['true', 'x'.repeat(400_000)]).catch((error: Error) => error),
      );
      assert.notEqual(ran, 'pending');
      if (!(ran instanceof Error)) assert.notEqual((ran as { code: number }).code, 0);
      assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
  {
    name: 'the environment is the driver’s small one, the spec’s and the command’s, and nothing of the host’s',
    async run({ open, atEnd }) {
      process.env.CONTRACT_CANARY = 'of the host';
      atEnd(() => void delete process.env.CONTRACT_CANARY);
      const sandbox = await open({ env: { OF_THE_SPEC: 'a b=c', OVERRIDDEN: 'spec' } });
      const text = await run(sandbox, ['env', '-0'], { env: { OF_THE_COMMAND: 'x\ny', OVERRIDDEN: 'command' } });
      const env = new Map(
        text.stdout
          .split('\0')
          .filter(Boolean)
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
      for (const name of ['PATH', 'HOME', 'LANG', 'TERM']) assert.ok(env.get(name), `${name} is set`);
      assert.equal(env.get('OF_THE_SPEC'), 'a b=c');
      assert.equal(env.get('OF_THE_COMMAND'), 'x\ny');
      assert.equal(env.get('OVERRIDDEN'), 'command');
      assert.ok(!text.stdout.includes('of the host'));
      const foreign = Object.keys(process.env).filter(
        (name) =>
          env.has(name) && env.get(name) === process.env[name] && !/^(PATH|LANG|TERM|TZ|PWD|SHLVL|_)$/.test(name),
      );
      assert.deepEqual(foreign, []);
      assert.equal(await out(sandbox, 'echo "$OVERRIDDEN$OF_THE_COMMAND"'), 'spec\n');
    },
  },
  {
    name: 'files and processes of one command are there for the next',
    async run({ open }) {
      const sandbox = await open();
      const pid = await out(sandbox, 'setsid sleep 300 >/dev/null 2>&1 & echo $! | tee pid');
      assert.match(pid, /^\d+\n$/);
      assert.equal(await out(sandbox, 'kill -0 "$(cat pid)" && echo alive'), 'alive\n');
      await out(sandbox, 'kill "$(cat pid)"');
      await until('it has ended', async () => (await sh(sandbox, 'kill -0 "$(cat pid)"')).code !== 0);
    },
  },
  {
    name: 'a command is over when it is over, also when a child in the background holds its output',
    async run({ open }) {
      const sandbox = await open();
      const ran = await within(5_000, sh(sandbox, 'echo first; sleep 300 & echo last; exit 5'));
      assert.ok(ran !== 'pending', 'the exit came while the child lives');
      assert.equal(ran.stdout, 'first\nlast\n');
      assert.equal(ran.code, 5);
    },
  },
  {
    name: 'forty at once do not mix, and a quick one does not wait for a slow one',
    async run({ open }) {
      const sandbox = await open();
      const slow = sandbox.exec(['sleep', '300']);
      const all = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          perl(sandbox, `$|=1; for (1..40) { print "${i} " x 200, "\\n" } exit ${i}`),
        ),
      );
      all.forEach(({ stdout, code }, i) => {
        assert.equal(code, i);
        assert.equal(stdout, `${`${i} `.repeat(200)}\n`.repeat(40));
      });
      slow.signal('KILL');
      assert.equal((await slow.result).signal, 'KILL');
    },
  },
  {
    name: 'ending the loop early kills the whole group',
    async run({ open }) {
      const sandbox = await open();
      const script = `sh -c 'while :; do echo x >> ticks; sleep 0.02; done' & echo ready; sleep 300`;
      for await (const event of sandbox.exec(['sh', '-c', script])) {
        if (event.type !== 'stdout') continue;
        await until('it ticks', async () => (await sh(sandbox, 'test -s ticks')).code === 0);
        break;
      }
      await assertStill(sandbox, 'ticks');
    },
  },
  {
    name: 'a timeout is a TERM that can be obeyed',
    async run({ open }) {
      const script = "trap 'echo obeyed; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
      const ran = await sh(await open(), script, { timeoutMs: 300 });
      assert.equal(ran.stdout, 'ready\nobeyed\n');
      assert.equal(ran.limited, 'time');
      assert.equal(ran.code, 9);
      assert.ok(ran.events.includes('limit'));
    },
  },
  {
    name: 'a timeout that is not obeyed is a KILL two seconds later, for the whole group',
    async run({ open }) {
      const sandbox = await open();
      const began = performance.now();
      const script = `trap '' TERM; sh -c "trap '' TERM; while :; do echo x >> ticks; sleep 0.02; done" & wait; sleep 300`;
      const ran = await sh(sandbox, script, { timeoutMs: 300 });
      const took = performance.now() - began;
      assert.deepEqual([ran.code, ran.signal, ran.limited], [null, 'KILL', 'time']);
      assert.ok(took > 1_800 && took < 6_000, `it took ${Math.round(took)} ms`);
      await assertStill(sandbox, 'ticks');
    },
  },
  {
    name: 'a command within its time has no limit event',
    async run({ open }) {
      const ran = await sh(await open(), 'echo quick', { timeoutMs: 5_000, outputBytes: 1_000 });
      assert.deepEqual([ran.code, ran.limited, ran.events], [0, null, ['stdout', 'exit']]);
    },
  },
  {
    name: 'an abort kills the group, also one that came before the start',
    async run({ open }) {
      const sandbox = await open();
      const stop = new AbortController();
      const execution = sandbox.exec(
        ['sh', '-c', 'sh -c "while :; do echo x >> ticks; sleep 0.02; done" & echo ready; wait'],
        { signal: stop.signal },
      );
      const { rest } = await firstLine(execution);
      await until('it ticks', async () => (await sh(sandbox, 'test -s ticks')).code === 0);
      stop.abort();
      const result = await within(5_000, execution.result.catch(failure));
      assert.notEqual(result, 'pending');
      await rest.return?.();
      await assertStill(sandbox, 'ticks');
      const before = sandbox.exec(['sh', '-c', 'sleep 1; echo x > ran'], { signal: AbortSignal.abort() });
      assert.notEqual(await within(5_000, before.result.catch(failure)), 'pending');
      assert.equal((await sh(sandbox, 'sleep 1.2; test -e ran')).code, 1);
    },
  },
];

/** A file that something kept writing to does not grow any more. */
async function assertStill(sandbox: Parameters<typeof sh>[0], file: string): Promise<void> {
  const size = async () => Number(await out(sandbox, `wc -c < ${file}`));
  await until(`nobody writes to ${file}`, async () => {
    const before = await size();
    await new Promise((resolve) => setTimeout(resolve, 120));
    return before > 0 && before === (await size());
  });
}
