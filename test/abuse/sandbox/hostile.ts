// Code that wants to hurt the machine or to stay: bombs, floods, what will not die, and what dies at the wrong moment.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Limits, Sandbox } from '../../../sandboxes/driver.ts';
import { firstLine, out, perl, run, SMALL, sh, until, within } from '../../contract/sandbox/stage.ts';
import { leftovers, nothingLeft, processesWith, soonNothingLeft } from '../../helpers/leftovers.ts';
import type { AbuseCase, Ground } from './ground.ts';

const MB = 1024 * 1024;
/** With 4, 0: PR_SET_DUMPABLE, off. */
const PRCTL = process.arch === 'arm64' ? 167 : 157;
const tight = (over: Partial<Limits>): Limits => ({ ...SMALL, memoryMb: 160, pids: 60, diskMb: 40, ...over });
const newMark = () => String(1_000_000 + Math.floor(Math.random() * 8_000_000));
const lost = (error: { code?: string }) => ({
  code: null,
  signal: null,
  limited: null,
  stdout: '',
  stderr: error.code ?? '',
});

/** Ended by itself, or still answering: one of the two, and what `kill` leaves is nothing. */
async function aftermath(ground: Ground, sandbox: Sandbox, reason: RegExp, ...marks: string[]): Promise<void> {
  const alive = await sandbox.ping(4_000);
  if (!alive && sandbox.info.state !== 'gone') assert.notEqual(await within(4_000, sandbox.ended), 'pending');
  if (sandbox.info.state === 'gone') assert.match(await sandbox.ended, reason);
  await sandbox.kill('that is enough');
  for (const mark of marks) assert.deepEqual(processesWith(mark), []);
  await nothingLeft(ground.stage.traces(sandbox.id, ...marks));
}

/** The machine is as quick as ever for everybody else. */
function hostAnswers(): void {
  const began = performance.now();
  assert.equal(spawnSync('true').status, 0);
  assert.ok(performance.now() - began < 3_000);
}

/** The longest this process was kept from its own work while that went on, milliseconds. */
async function loopHeld<T>(work: Promise<T>): Promise<{ value: T; heldMs: number }> {
  let heldMs = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    heldMs = Math.max(heldMs, performance.now() - last);
    last = performance.now();
  }, 10);
  try {
    return { value: await work, heldMs };
  } finally {
    clearInterval(timer);
  }
}

/** Bytes of everything this process holds, at its highest while that went on. */
async function highest<T>(work: Promise<T>): Promise<{ value: T; grewBytes: number }> {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  let top = before;
  const timer = setInterval(() => {
    top = Math.max(top, process.memoryUsage().rss);
  }, 5);
  try {
    return { value: await work, grewBytes: top - before };
  } finally {
    clearInterval(timer);
  }
}

const bombs: AbuseCase[] = [
  {
    name: 'a fork bomb',
    alone: true,
    async run(ground) {
      const sandbox = await ground.open({ limits: tight({}) });
      const mark = newMark();
      // With a name to be known by, each in a session of its own, none with a parent that lives.
      const bomb = `$0 = 'bomb ${mark}'; $SIG{TERM} = 'IGNORE'; use POSIX; while (1) { my $p = fork; if (defined $p && !$p) { POSIX::setsid(); } }`;
      const running = perl(sandbox, bomb, { timeoutMs: 1_200 }).catch(lost);
      await delay(600);
      hostAnswers();
      const seen = processesWith(mark).length;
      assert.ok(seen > 5, `only ${seen} were seen`);
      assert.ok(seen <= 70, `${seen} processes although there may be 60`);
      const { value, heldMs } = await loopHeld(within(8_000, running));
      assert.notEqual(value, 'pending');
      assert.ok(heldMs < 4_000, `the daemon stood still for ${Math.round(heldMs)} ms`);
      await aftermath(ground, sandbox, /process|pids/i, mark);
    },
  },
  {
    name: 'a memory bomb: one process, many processes, memory that is a file',
    alone: true,
    async run(ground) {
      const bites = {
        one: `my $m = 'x'; while (1) { $m .= 'x' x 4194304 }`,
        // Each less than a process may have, together far more: at a pace, so that what it comes to does not tell how fast the machine is.
        many: `for (1..8) { next if fork; my $m = ''; for (1..90) { $m .= 'x' x 1_000_000; select undef, undef, undef, 0.03 } sleep 4; exit } my $bad = 0; while (wait > 0) { $bad = 1 if $? } print 'survived' unless $bad; exit $bad`,
        'in /tmp': `open my $f, '>', '/tmp/bomb'; my $m = 'x' x 1048576; for (1..400) { syswrite $f, $m or die "full: $!" } print 'survived'`,
        'in /dev/shm': `open my $f, '>', '/dev/shm/bomb'; my $m = 'x' x 1048576; for (1..400) { syswrite $f, $m or die "full: $!" } print 'survived'`,
      };
      for (const [name, script] of Object.entries(bites)) {
        const sandbox = await ground.open({ limits: tight({}) });
        let top = 0;
        const watch = setInterval(async () => {
          top = Math.max(top, (await sandbox.stats().catch(() => ({ rssBytes: 0 }))).rssBytes);
        }, 30);
        const ran = await within(20_000, perl(sandbox, script, { timeoutMs: 12_000 }).catch(lost));
        clearInterval(watch);
        assert.ok(ran !== 'pending', name);
        assert.ok(ran.code !== 0 && !ran.stdout.includes('survived'), `${name}: ${JSON.stringify(ran)}`);
        assert.ok(top < 700 * MB, `${name}: ${top} bytes were in use`);
        await aftermath(ground, sandbox, /memory/i);
      }
    },
  },
  {
    name: 'a disk filler: one file, many, one without a name, one with a hole',
    alone: true,
    async run(ground) {
      const most = 400;
      const fill = (file: string) =>
        `${file} my $m = "\\1" x 1048576; for (1..${most}) { syswrite $f, $m or die "full: $!"; select undef, undef, undef, 0.012 } print 'survived'`;
      const bites = {
        one: fill(`open my $f, '>', 'big';`),
        'in the home': fill(`open my $f, '>', "$ENV{HOME}/big";`),
        'without a name': fill(`open my $f, '>', 'big'; unlink 'big';`),
        // What is open in a process that hides itself, an ordinary user's daemon cannot see.
        ...(ground.isRoot && {
          'without a name, by a process that hides': fill(
            `syscall(${PRCTL}, 4, 0, 0, 0, 0); open my $f, '>', 'big'; unlink 'big';`,
          ),
        }),
        many: `my $m = "\\1" x 65536; for my $i (1..${most * 16}) { open my $f, '>', "f$i" or die "full: $!"; syswrite $f, $m or die "full: $!"; select undef, undef, undef, 0.0008 } print 'survived'`,
      };
      for (const [name, script] of Object.entries(bites)) {
        const sandbox = await ground.open({ limits: tight({}) });
        const before = statfsSync(ground.root);
        const ran = await within(14_000, perl(sandbox, script, { timeoutMs: 12_000 }).catch(lost));
        assert.ok(ran !== 'pending', name);
        assert.ok(ran.code !== 0 && !ran.stdout.includes('survived'), `${name}: 400 MB went into 40`);
        assert.notEqual(ran.limited, 'time', `${name}: nobody stopped it`);
        await aftermath(ground, sandbox, /disk/i);
        const after = statfsSync(ground.root);
        assert.ok((before.bfree - after.bfree) * before.bsize < 300 * MB, `${name}: the room was not given back`);
      }
      const sandbox = await ground.open({ limits: tight({}) });
      await out(sandbox, 'truncate -s 1T hole; echo x >> hole');
      assert.equal(await sandbox.ping(3_000), true);
      await sandbox.kill('a hole takes no room');
    },
  },
];

const floods: AbuseCase[] = [
  {
    name: 'a gigabyte of output, read: what the daemon holds stays small',
    alone: true,
    async run({ open }) {
      const sandbox = await open();
      const total = 1024 * MB;
      const read = async () => {
        let bytes = 0;
        const execution = sandbox.exec(['sh', '-c', `yes | head -c ${total}`], { outputBytes: 2 * total });
        for await (const event of execution) if (event.type === 'stdout') bytes += event.data.length;
        return bytes;
      };
      const { value, grewBytes } = await highest(read());
      assert.equal(value, total);
      assert.ok(grewBytes < 160 * MB, `the daemon grew by ${Math.round(grewBytes / MB)} MB`);
    },
  },
  {
    name: 'a gigabyte of output nobody reads, or that is capped: cut or held back',
    alone: true,
    async run({ open }) {
      const sandbox = await open();
      const { grewBytes } = await highest(
        (async () => {
          const unread = Array.from({ length: 5 }, () => sandbox.exec(['sh', '-c', 'yes & yes >&2']));
          const capped = await sh(sandbox, 'yes | head -c 1G');
          assert.equal(capped.limited, 'output');
          assert.equal(await sandbox.ping(3_000), true);
          for (const execution of unread) execution.signal('KILL');
        })(),
      );
      // The capped 64 MiB are kept by the reader of this test, as chunks and as one text.
      assert.ok(grewBytes < 400 * MB, `the daemon grew by ${Math.round(grewBytes / MB)} MB`);
    },
  },
  {
    name: 'a list of processes longer than anybody wants to read',
    async run({ open }) {
      const sandbox = await open();
      const script = `my $long = 'x' x 100_000; for (1..60) { next if fork; exec 'sh', '-c', 'sleep 30', $long } sleep 30`;
      sandbox.exec(['perl', '-e', script]).result.catch(() => {});
      await until('many are there', async () => (await sandbox.stats()).pids > 50);
      const list = await within(5_000, sandbox.processes());
      assert.ok(list !== 'pending' && list.length > 0);
      assert.ok(JSON.stringify(list).length < 4 * MB);
      assert.equal(await sandbox.ping(3_000), true);
    },
  },
  {
    name: 'a thousand commands, connections and pieces of input at once',
    async run({ open }) {
      const sandbox = await open();
      const results = await Promise.all(
        Array.from({ length: 300 }, (_, i) => sandbox.exec(['sh', '-c', `exit ${i % 200}`]).result),
      );
      assert.ok(
        results.every(({ code }, i) => code === i % 200 || code === 126),
        'each ended with its own code',
      );
      const dials = await Promise.all(
        Array.from({ length: 300 }, () => sandbox.dial(1).catch((error: { code: string }) => error.code)),
      );
      assert.ok(dials.every((code) => code === 'unavailable'));
      assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
];

/** Leaves its session, its parents, its name; does not hear TERM; stands still. */
const STAYERS = (mark: string) => `
  setsid sleep ${mark}1 >/dev/null 2>&1 &
  perl -e '$0 = "stay ${mark}2"; use POSIX; fork and exit; POSIX::setsid(); fork and exit; $SIG{$_} = "IGNORE" for keys %SIG; chdir "/"; close $_ for *STDIN, *STDOUT, *STDERR; 1 while sleep 1' &
  perl -e '$0 = "stay ${mark}3"; fork and exit; kill "STOP", $$; sleep 1' >/dev/null 2>&1 &
  perl -e '$0 = "stay ${mark}4"; $SIG{TERM} = sub { fork }; 1 while sleep 1' >/dev/null 2>&1 &
  sleep 0.1`;

const stayers: AbuseCase[] = [
  {
    name: 'what left its session, ignores TERM or stands still is gone with the sandbox, at once',
    async run(ground) {
      const mark = newMark();
      const sandbox = await ground.open();
      await out(sandbox, STAYERS(mark));
      await until('all of them run', () => processesWith(mark).length >= 4);
      const began = performance.now();
      await sandbox.kill('none of you stays');
      assert.ok(performance.now() - began < 4_000);
      assert.deepEqual(processesWith(mark), []);
      await nothingLeft(ground.stage.traces(sandbox.id, mark));
    },
  },
  {
    name: 'a command that stops itself, or hides from its group, does not outlive its time',
    async run({ open }) {
      const sandbox = await open();
      const stopped = await within(8_000, sh(sandbox, 'kill -STOP 0; sleep 60', { timeoutMs: 300 }));
      assert.ok(stopped !== 'pending' && stopped.limited === 'time' && stopped.signal === 'KILL');
      const hidden = await within(
        8_000,
        sh(sandbox, 'setsid sh -c "trap : TERM; sleep 60" & wait', { timeoutMs: 300 }),
      );
      assert.ok(hidden !== 'pending' && hidden.limited === 'time');
      assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
  {
    name: 'a wedged sandbox: its first process stands still, and it is ended all the same',
    async run(ground) {
      const mark = newMark();
      const sandbox = await ground.open();
      await out(sandbox, STAYERS(mark));
      const waiting = sandbox.exec(['sleep', '60']).result.catch((error: { code: string }) => error.code);
      const inner = await until('its processes are seen', () => processesWith(`${mark}1`)[0]);
      // Its parent is the first process of the sandbox, which adopted it.
      process.kill(inner.parent, 'SIGSTOP');
      assert.equal(await sandbox.ping(300), false);
      assert.equal(
        await within(
          300,
          sandbox.exec(['true']).result.catch(() => 'lost'),
        ),
        'pending',
      );
      assert.equal(
        await within(
          300,
          sandbox.files.read('x').catch(() => 'lost'),
        ),
        'pending',
      );
      await sandbox.kill('it is wedged');
      assert.match(await sandbox.ended, /wedged/);
      assert.equal(await waiting, 'sandbox_lost');
      await nothingLeft(ground.stage.traces(sandbox.id, mark));
    },
  },
  {
    name: 'folders that cannot be walked: without rights, deeper than any path, with a hundred thousand names',
    alone: true,
    async run(ground) {
      const sandbox = await ground.open();
      const deep = `my $name = 'd' x 200; for (1..400) { mkdir $name or die $!; chdir $name or die $! } open my $f, '>', 'deepest'; print 'deep'`;
      assert.equal((await perl(sandbox, deep)).stdout, 'deep');
      await out(
        sandbox,
        'mkdir -p shut/in/there && touch shut/in/there/x && chmod 000 shut/in/there shut/in shut && chmod 500 "$HOME"',
      );
      const names = `mkdir 'many'; for my $i (1..30000) { open my $f, '>', "many/$i" or die $! } print 'made'`;
      assert.equal((await perl(sandbox, names)).stdout, 'made');
      assert.ok((await sandbox.stats()).diskBytes > 0);
      await within(
        8_000,
        sandbox.files.list('.', { depth: 1_000 }).catch(() => {}),
      );
      assert.equal(await sandbox.ping(3_000), true);
      await sandbox.kill('all of it goes');
      await nothingLeft(ground.stage.traces(sandbox.id));
    },
  },
];

const deaths: AbuseCase[] = [
  {
    name: 'the daemon is killed: everything that ran ends by itself, and the next life clears away the rest',
    async run({ stage, driver }) {
      const { root, ids } = await stage.killedLife(2);
      const processes = () =>
        ids.flatMap((id) => leftovers({ marks: [id, root] }).filter(({ kind }) => kind === 'process'));
      await until('nothing runs any more', () => processes().length === 0);
      const next = stage.life(root);
      const { removed } = await next.gc(new Set());
      assert.deepEqual([...removed].sort(), [...ids].sort());
      await next.stop();
      await soonNothingLeft({ marks: [root, ...ids], folders: [join(root, 'live')] }, 3_000);
      assert.ok(driver.name);
    },
  },
  {
    name: 'the daemon is killed while its sandboxes are paused: the next life ends what stood still',
    async run({ stage }) {
      const { root, ids } = await stage.killedLife(2, 'paused');
      const next = stage.life(root);
      const { removed } = await next.gc(new Set());
      assert.deepEqual([...removed].sort(), [...ids].sort());
      await next.stop();
      await soonNothingLeft({ marks: [root, ...ids], folders: [join(root, 'live')] }, 3_000);
    },
  },
  {
    name: 'a sandbox is killed in the middle of everything, many times',
    alone: true,
    async run(ground) {
      const ids: string[] = [];
      for (let i = 0; i < 8; i++) {
        const sandbox = await ground.open({ limits: tight({}) });
        ids.push(sandbox.id);
        const work = Object.entries({
          output: run(sandbox, ['yes'], { outputBytes: 4 * MB }),
          write: sandbox.files.write('a/b/c', Buffer.alloc(3 * MB)),
          save: sandbox.snapshot({ lineage: `middle-${i}` }),
          files: perl(sandbox, 'fork for 1..6; open my $f, ">", "x$$"; print $f "x" x 100000; sleep 20'),
          processes: sandbox.processes(),
          stats: sandbox.stats(),
        }).map(([name, one]) => ({ name, done: (one as Promise<unknown>).catch(() => 'lost') }));
        await delay(i * 7);
        await sandbox.kill('in the middle');
        for (const { name, done } of work) assert.notEqual(await within(10_000, done), 'pending', name);
        await nothingLeft(ground.stage.traces(sandbox.id));
        await ground.driver.prune(`middle-${i}`, new Set());
      }
      assert.deepEqual(
        (await ground.driver.list()).filter(({ id }) => ids.includes(id)),
        [],
      );
    },
  },
  {
    name: 'a command that writes is killed with its sandbox before its last byte: a reader is not left waiting',
    async run({ open }) {
      const sandbox = await open();
      const execution = sandbox.exec(['sh', '-c', 'echo first; sleep 60']);
      const { rest } = await firstLine(execution);
      const next = rest.next();
      await sandbox.kill('now');
      const answer = await within(
        3_000,
        next.catch(() => 'lost'),
      );
      assert.notEqual(answer, 'pending');
      assert.equal(await execution.result.catch((error: { code: string }) => error.code), 'sandbox_lost');
    },
  },
  {
    name: 'open files of the daemon are as many as before',
    alone: true,
    async run({ open }) {
      const count = () => readdirSync('/proc/self/fd').length;
      const once = async () => {
        const sandbox = await open();
        await out(sandbox, 'echo x > a');
        await sandbox.files.read('a');
        sandbox.exec(['yes']);
        await sandbox.kill('again');
      };
      await once();
      const before = count();
      for (let i = 0; i < 6; i++) await once();
      await until('all are closed', () => count() <= before + 1);
    },
  },
];

export const HOSTILE: Record<string, AbuseCase[]> = { bombs, floods, 'what will not die': stayers, deaths };
