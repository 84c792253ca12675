// The end of a sandbox: whatever is in it, kill leaves nothing, and everything that waited for it is told.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { leftovers, nothingLeft, processesWith, processSeen } from '../../helpers/leftovers.ts';
import { refusal } from './files.ts';
import { firstLine, isolated, out, type SandboxCase, until, within } from './stage.ts';

/** Processes that do not want to go: another session, no parent, deaf to every polite signal, stopped. */
const stubborn = (mark: string) => `
  setsid sleep ${mark}1 >/dev/null 2>&1 &
  ( setsid sh -c '( sleep ${mark}2 & )' >/dev/null 2>&1 & )
  sh -c "trap '' TERM INT HUP; while :; do sleep ${mark}3; done" >/dev/null 2>&1 &
  sh -c 'kill -STOP $$; : ${mark}4; sleep 1' >/dev/null 2>&1 &
  sleep 0.05`;
/** And one that is busy, and one that gave up its name, environment, folder, group and parents. */
const hiding = (mark: string) => `${stubborn(mark)}
  perl -e '$0 = "perl ${mark}5"; fork and exit; $SIG{$_} = "IGNORE" for keys %SIG; 1 while 1' >/dev/null 2>&1 &
  perl -e '$0 = "perl ${mark}6"; chdir "/"; close $_ for *STDIN, *STDOUT, *STDERR; fork and exit; setpgrp; fork and exit; sleep 300' &
  sleep 0.05`;
const HIDING = 6;
/** A number no other process of the machine has in its arguments. */
const newMark = () => String(1_000_000 + Math.floor(Math.random() * 8_000_000));
const lost = (error: { code?: string }) => error.code;

export const kill: SandboxCase[] = [
  {
    name: 'kill leaves no process, mount, cgroup, socket or folder, whatever ran',
    async run({ open, traces }) {
      const mark = newMark();
      const sandbox = await open({ listen: null });
      await out(
        sandbox,
        `${hiding(mark)}; mkdir -p closed/deep; echo x > closed/deep/x; chmod 000 closed; echo y > "$HOME/y"`,
      );
      await until('all of them run', () => processesWith(mark).length >= HIDING);
      assert.ok(leftovers(traces(sandbox.id)).length > 0, 'the eyes outside see it');
      await sandbox.kill('the suite wants it');
      assert.deepEqual(
        processesWith(mark).map(({ argv }) => argv),
        [],
      );
      await nothingLeft(traces(sandbox.id, mark));
    },
  },
  {
    name: 'kill twice, also at once, is one kill',
    async run({ open, traces }) {
      const sandbox = await open();
      await Promise.all([sandbox.kill('one'), sandbox.kill('two'), sandbox.kill('three')]);
      await sandbox.kill('four');
      await nothingLeft(traces(sandbox.id));
    },
  },
  {
    name: 'ended says why, in a sentence',
    async run({ open }) {
      const sandbox = await open();
      assert.equal(await within(50, sandbox.ended), 'pending');
      await sandbox.kill('the owner closed the session');
      assert.match(await sandbox.ended, /the owner closed the session/);
    },
  },
  {
    name: 'who waits for a killed sandbox is told: commands, input, output, files, connections, saves',
    async run({ open, newId, report, driver, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const sandbox = await open();
      const read = sandbox.exec(['sleep', '300']);
      const reading = (async () => {
        const types: string[] = [];
        for await (const event of read) types.push(event.type === 'exit' ? `exit ${event.code}` : event.type);
        return types;
      })().catch(lost);
      const unread = sandbox.exec(['yes']);
      const writer = sandbox.exec(['sleep', '300'], { stdin: 'open' });
      const writing = writer.write(Buffer.alloc(4_000_000)).then(() => 'written', lost);
      const big = sandbox.files.write('big', Buffer.alloc(30_000_000)).then(() => 'written', lost);
      const saving = report.snapshot ? sandbox.snapshot({ lineage }).then(() => 'saved', lost) : null;
      const results = [read, unread, writer].map(({ result }) => result.catch(lost));
      await new Promise((resolve) => setTimeout(resolve, 20));
      await sandbox.kill('everybody is waiting');
      for (const result of results) assert.equal(await within(3_000, result), 'sandbox_lost');
      const events = await within(3_000, reading);
      assert.ok(events === 'sandbox_lost' || (Array.isArray(events) && events.at(-1) === 'exit null'), String(events));
      assert.notEqual(await within(3_000, writing), 'pending');
      assert.notEqual(await within(3_000, big), 'pending');
      if (saving) assert.notEqual(await within(10_000, saving), 'pending');
    },
  },
  {
    name: 'a killed sandbox takes no more work: sandbox_lost',
    async run({ open, newId, report }) {
      const sandbox = await open();
      await sandbox.kill('done');
      const started = (async () => sandbox.exec(['true']).result)();
      assert.equal(await refusal(started), 'sandbox_lost');
      assert.equal(await refusal(sandbox.files.read('a')), 'sandbox_lost');
      assert.equal(await refusal(sandbox.files.write('a', 'x')), 'sandbox_lost');
      assert.equal(await refusal(sandbox.dial(80)), 'sandbox_lost');
      assert.equal(await refusal(sandbox.processes()), 'sandbox_lost');
      if (report.snapshot) assert.equal(await refusal(sandbox.snapshot({ lineage: newId() })), 'sandbox_lost');
      assert.equal(await sandbox.ping(1_000), false);
    },
  },
  {
    name: 'the end of one sandbox is not the end of another',
    async run({ open }) {
      const [first, second] = [await open(), await open()];
      await out(second, 'echo mine > a');
      const execution = second.exec(['sh', '-c', 'sleep 0.4; cat a']);
      await first.kill('only this one');
      assert.equal((await execution.result).code, 0);
      assert.equal(await out(second, 'cat a'), 'mine\n');
    },
  },
  {
    name: 'a sandbox killed inside by its own hand is lost, said, and leaves nothing',
    async run({ open, traces, report }) {
      const mark = newMark();
      const sandbox = await open();
      // Without walls nothing tells a process that hides from anybody else's, once the runner that knew it is gone.
      await out(sandbox, report.isolation === 'none' ? stubborn(mark) : hiding(mark));
      const execution = sandbox.exec(['sh', '-c', 'echo ready; exec sleep 300']);
      const running = execution.result.catch(lost);
      // A child that has not yet become the command looks like the runner it was forked from.
      await firstLine(execution);
      // From outside, because inside the first process may be out of reach.
      const runner = await until('the runner is seen', () => runnerOf(sandbox.id));
      process.kill(runner, 'SIGKILL');
      assert.equal(await within(10_000, running), 'sandbox_lost');
      const why = await within(10_000, sandbox.ended);
      assert.ok(why !== 'pending' && why.length > 3, why);
      await sandbox.kill('to be sure');
      assert.deepEqual(
        processesWith(mark).map(({ argv }) => argv),
        [],
      );
      await nothingLeft(traces(sandbox.id, mark));
    },
  },
  {
    name: 'what is inside cannot end its runner',
    needs: isolated,
    async run({ open }) {
      const sandbox = await open();
      await out(
        sandbox,
        'for pid in 1 $PPID; do for signal in TERM INT HUP QUIT USR1 USR2 PIPE ALRM STOP TSTP SEGV KILL; do kill -$signal $pid 2>/dev/null; done; done; true',
      );
      await out(sandbox, "perl -e 'kill $_, 1 for 1..64'");
      assert.equal(await sandbox.ping(3_000), true);
      assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
  {
    name: 'ping tells a living sandbox from a wedged one',
    async run({ open }) {
      const sandbox = await open();
      assert.equal(await sandbox.ping(3_000), true);
      const busy = sandbox.exec(['perl', '-e', '1 while 1']);
      assert.equal(await sandbox.ping(3_000), true);
      busy.signal('KILL');
      await busy.result;
      process.kill(await until('the runner is seen', () => runnerOf(sandbox.id)), 'SIGSTOP');
      const began = performance.now();
      assert.equal(await sandbox.ping(300), false);
      assert.ok(performance.now() - began < 2_000);
      await within(10_000, sandbox.kill('it is wedged'));
      assert.equal(sandbox.info.state, 'gone');
    },
  },
  {
    name: 'a create that fails on the way leaves nothing',
    async run({ driver, spec, traces, report }) {
      const wanted = spec({
        listen: async () => {
          throw new Error('nobody can listen there');
        },
      });
      if (report.isolation !== 'none' || report.egressLocked) {
        assert.notEqual(await refusal(driver.create(wanted)), 'nothing: it was done');
        await nothingLeft(traces(wanted.id));
      }
      const missing = spec({ mounts: [{ from: '/no/such/folder/on/this/host', to: '/mnt/missing' }] });
      if (report.isolation !== 'none') {
        assert.notEqual(await refusal(driver.create(missing)), 'nothing: it was done');
        await nothingLeft(traces(missing.id));
      }
      assert.equal((await driver.list()).filter(({ id }) => id === wanted.id || id === missing.id).length, 0);
    },
  },
  {
    name: 'a sandbox that reached its longest life ends by itself, with the reason, and leaves nothing',
    needs: ({ report }) => (report.limits.wall === null ? 'the wall clock is not enforced' : null),
    async run({ open, spec, traces }) {
      const { limits } = spec();
      const mark = newMark();
      const sandbox = await open({ limits: { ...limits, wallMs: 700 } });
      const execution = sandbox.exec(['sh', '-c', `${stubborn(mark)}; echo ready; sleep 300`]);
      const running = execution.result.catch(lost);
      await firstLine(execution);
      const why = await within(8_000, sandbox.ended);
      assert.ok(why !== 'pending', 'it ended');
      assert.match(why, /life|time|wall|limit/i);
      assert.equal(await within(2_000, running), 'sandbox_lost');
      await nothingLeft(traces(sandbox.id, mark));
    },
  },
];

/** The runner of this sandbox as the host sees it: the innermost process that was started with its name. */
function runnerOf(id: string): number | null {
  const named = processesWith('runner.pl').filter(({ pid }) => belongsTo(pid, id));
  return named.find(({ pid }) => named.every(({ parent }) => parent !== pid))?.pid ?? null;
}

/** Told by what it or a parent was started with, or by what is mounted there. */
function belongsTo(pid: number, id: string): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 1; at = processSeen(at)?.parent) {
    const traces = ['cmdline', 'environ', 'mountinfo'].map((name) => {
      try {
        return readFileSync(`/proc/${at}/${name}`, 'latin1');
      } catch {
        return '';
      }
    });
    if (traces.some((text) => text.includes(id))) return true;
  }
  return false;
}
