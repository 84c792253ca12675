// Limits: each one that is reported is hit, and stops what goes past it, without harm to what stays below.
import assert from 'node:assert/strict';
import type { LimitName, Limits } from '../../../sandboxes/driver.ts';
import { nothingLeft } from '../../helpers/leftovers.ts';
import { out, perl, type SandboxCase, SMALL, type Stage, sh, until, within } from './stage.ts';

const enforced =
  (name: LimitName) =>
  ({ report }: Stage) =>
    report.limits[name] === null ? `${name} is not limited here` : null;
const tight = (over: Partial<Limits>): Limits => ({ ...SMALL, ...over });
/** How a command, or the whole sandbox with it, was stopped. */
const lost = (error: { code?: string }) => ({ code: null, signal: error.code ?? 'an error', stdout: '', stderr: '' });

export const limits: SandboxCase[] = [
  {
    name: 'memory: within the limit works, past it is stopped',
    needs: enforced('memory'),
    alone: true,
    async run({ open, traces }) {
      const sandbox = await open({ limits: tight({ memoryMb: 200 }) });
      const grow = (mb: number) =>
        `my @all; for (1..${mb}) { push @all, "x" x 1048576 } print scalar @all; select undef, undef, undef, 0.3`;
      const fits = await perl(sandbox, grow(70));
      assert.deepEqual([fits.code, fits.stdout], [0, '70']);
      const ran = await within(20_000, perl(sandbox, `${grow(900)}; print "survived"`).catch(lost));
      assert.ok(ran !== 'pending', 'it was stopped');
      assert.notEqual(ran.code, 0);
      assert.ok(!ran.stdout.includes('survived'));
      if (sandbox.info.state === 'gone') {
        assert.match(await sandbox.ended, /memory/i);
        await nothingLeft(traces(sandbox.id));
      } else assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
  {
    name: 'memory: many small processes together count too',
    needs: enforced('memory'),
    alone: true,
    async run({ open }) {
      const sandbox = await open({ limits: tight({ memoryMb: 200 }) });
      const crowd = (count: number) =>
        `for (1..${count}) { next if fork; my $m = 'x' x 60_000_000; sleep 3; open my $f, '>>', 'survivors'; syswrite $f, 'x'; exit } 1 while wait > 0`;
      const survivors = async () => (await sh(sandbox, 'cat survivors; rm -f survivors')).stdout.length;
      await perl(sandbox, crowd(2));
      assert.equal(await survivors(), 2);
      const ran = await within(20_000, perl(sandbox, crowd(12)).catch(lost));
      assert.notEqual(ran, 'pending');
      if (sandbox.info.state === 'gone') assert.match(await sandbox.ended, /memory/i);
      else assert.ok((await survivors()) < 6, 'seven hundred MB were in use together');
    },
  },
  {
    name: 'pids: a bomb of forks stops at the limit, and the sandbox can still be used or says why not',
    needs: enforced('pids'),
    async run({ open, driver }) {
      const sandbox = await open({ limits: tight({ pids: 40 }) });
      const script = `my $n = 0; for (1..400) { my $p = fork; last unless defined $p; if (!$p) { sleep 60; exit } $n++ } print $n; kill 'KILL', 0 if 0`;
      const ran = await within(10_000, perl(sandbox, script).catch(lost));
      assert.ok(ran !== 'pending');
      if (sandbox.info.state === 'gone') assert.match(await sandbox.ended, /process|pids/i);
      else {
        assert.ok(Number(ran.stdout) <= 40, `${ran.stdout} forks went through`);
        assert.ok(Number(ran.stdout) >= 20, `only ${ran.stdout} forks went through`);
        assert.equal(await sandbox.ping(3_000), true);
      }
      await sandbox.kill('the bomb');
      assert.ok(!(await driver.list()).some(({ id, state }) => id === sandbox.id && state !== 'gone'));
    },
  },
  {
    name: 'cpu: a tenth of a core is a tenth of a core',
    needs: enforced('cpu'),
    alone: true,
    async run({ open, report }) {
      const sandbox = await open({ limits: tight({ cpus: 0.1 }) });
      const before = (await sandbox.stats()).cpuMicros;
      const burn = sandbox.exec(['perl', '-e', 'fork; 1 while 1']);
      await new Promise((resolve) => setTimeout(resolve, 1_600));
      const used = (await sandbox.stats()).cpuMicros - before;
      burn.signal('KILL');
      await burn.result;
      assert.ok(used > 30_000, `used ${used} µs`);
      assert.ok(
        used < 450_000,
        `used ${used} µs in 1.6 s, although ${report.limits.cpu} holds it to a tenth of a core`,
      );
    },
  },
  {
    name: 'disk: within the limit works, past it is stopped',
    needs: enforced('disk'),
    alone: true,
    async run({ open, traces }) {
      const sandbox = await open({ limits: tight({ diskMb: 40 }) });
      await out(sandbox, 'head -c 15000000 /dev/zero > fits; head -c 5000000 /dev/zero > "$HOME/fits"');
      // Slowly enough for a watchdog that looks from time to time, far enough past the limit to tell.
      const script = `open my $f, '>', 'big' or die; my $m = "\\1" x 1048576; for (1..400) { syswrite $f, $m or die "full: $!"; select undef, undef, undef, 0.01 } print "survived"`;
      const ran = await within(25_000, perl(sandbox, script).catch(lost));
      assert.ok(ran !== 'pending', 'it was stopped');
      assert.notEqual(ran.code, 0);
      assert.ok(!ran.stdout.includes('survived'), 'four hundred MiB went into forty');
      if (sandbox.info.state === 'gone') {
        assert.match(await sandbox.ended, /disk/i);
        await nothingLeft(traces(sandbox.id));
      }
    },
  },
  {
    name: 'disk: many small files, and the home, count too',
    needs: enforced('disk'),
    alone: true,
    async run({ open }) {
      const sandbox = await open({ limits: tight({ diskMb: 40 }) });
      const script = `my $m = "\\1" x 262144; chdir $ENV{HOME}; for my $i (1..1600) { open my $f, '>', "f$i" or die "full: $!"; syswrite $f, $m or die "full: $!"; close $f or die; select undef, undef, undef, 0.003 } print "survived"`;
      const ran = await within(25_000, perl(sandbox, script).catch(lost));
      assert.ok(ran !== 'pending', 'it was stopped');
      assert.ok(ran.code !== 0 && !ran.stdout.includes('survived'), 'four hundred MiB went into forty');
    },
  },
  {
    name: 'the limits of one sandbox are not spent by another',
    needs: enforced('pids'),
    async run({ open }) {
      const [greedy, modest] = [
        await open({ limits: tight({ pids: 40 }) }),
        await open({ limits: tight({ pids: 40 }) }),
      ];
      const full = greedy.exec([
        'perl',
        '-e',
        'for (1..60) { my $p = fork; last unless defined $p; sleep 60, exit unless $p } print "full\\n"; sleep 60',
      ]);
      full.result.catch(() => {});
      await until('it is full', async () => greedy.info.state === 'gone' || (await greedy.stats()).pids > 20);
      const ran = await perl(
        modest,
        'my $n = 0; for (1..15) { my $p = fork; last unless defined $p; if (!$p) { sleep 1; exit } $n++ } print $n; 1 while wait > 0',
      );
      assert.equal(ran.stdout, '15');
    },
  },
];
