// Pause and resume: everything inside holds and goes on, where the kernel allows it; where not, there is nothing to call.
import assert from 'node:assert/strict';
import { nothingLeft } from '../../helpers/leftovers.ts';
import { firstLine, out, type SandboxCase, type Stage, until, within } from './stage.ts';

const pauses = ({ report }: Stage) => (report.pause ? null : 'this driver cannot pause here');

export const pause: SandboxCase[] = [
  {
    name: 'pause and resume are there if and only if the report says so',
    async run({ open, report }) {
      const sandbox = await open();
      assert.equal(sandbox.pause !== null, report.pause);
      assert.equal(sandbox.resume !== null, report.pause);
    },
  },
  {
    name: 'a paused sandbox does nothing, says so, and goes on where it was',
    needs: pauses,
    async run({ open, driver }) {
      const sandbox = await open();
      await out(sandbox, "setsid sh -c 'while :; do echo x >> ticks; sleep 0.01; done' >/dev/null 2>&1 &");
      const execution = sandbox.exec(['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done']);
      const { rest } = await firstLine(execution);
      const ticks = async () => Number(await out(sandbox, 'wc -c < ticks'));
      await until('it ticks', async () => (await ticks()) > 0);
      await sandbox.pause!();
      assert.equal((await sandbox.stats()).state, 'paused');
      assert.equal((await driver.list()).find(({ id }) => id === sandbox.id)?.state, 'paused');
      assert.equal(await sandbox.ping(200), false);
      const cpu = (await sandbox.stats()).cpuMicros;
      const late = sandbox.exec(['sh', '-c', 'wc -c < ticks']);
      assert.equal(await within(400, late.result), 'pending');
      assert.ok((await sandbox.stats()).cpuMicros - cpu < 50_000, 'it used the processor while paused');
      await sandbox.resume!();
      assert.equal((await sandbox.stats()).state, 'running');
      assert.equal((await late.result).code, 0);
      assert.equal(await sandbox.ping(2_000), true);
      const after = await ticks();
      await until('it ticks again', async () => (await ticks()) > after);
      execution.signal('KILL');
      await execution.result;
      await rest.return?.();
    },
  },
  {
    name: 'pausing twice, resuming twice and resuming what runs is no error',
    needs: pauses,
    async run({ open }) {
      const sandbox = await open();
      await sandbox.resume!();
      await sandbox.pause!();
      // By now everything in it really stands still.
      await new Promise((resolve) => setTimeout(resolve, 60));
      await sandbox.pause!();
      await sandbox.resume!();
      await sandbox.resume!();
      assert.equal(await out(sandbox, 'echo here'), 'here\n');
    },
  },
  {
    name: 'a paused sandbox can be killed, with nothing left',
    needs: pauses,
    async run({ open, traces }) {
      const sandbox = await open();
      const running = sandbox.exec(['sleep', '300']).result.catch((error: { code: string }) => error.code);
      await sandbox.pause!();
      await sandbox.kill('while it is paused');
      assert.equal(await running, 'sandbox_lost');
      await nothingLeft(traces(sandbox.id));
    },
  },
  {
    name: 'a paused sandbox can be saved',
    needs: (stage) => pauses(stage) ?? (stage.report.snapshot ? null : 'this driver has no snapshots'),
    async run({ open, newId, driver, atEnd }) {
      const lineage = newId();
      atEnd(() => driver.prune(lineage, new Set()));
      const sandbox = await open();
      await out(sandbox, 'echo saved > a');
      await sandbox.pause!();
      const { ref } = await sandbox.snapshot({ lineage });
      await sandbox.resume!();
      assert.equal(await out(await open({ workspace: { type: 'snapshot', ref } }), 'cat a'), 'saved\n');
    },
  },
];
