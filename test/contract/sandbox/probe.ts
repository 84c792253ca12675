// The probe: what it says is what the other cases find, it tells what is missing with the fix, and it leaves nothing.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { StewardError } from '../../../core/errors.ts';
import { PLACES } from '../../../sandboxes/driver.ts';
import { nothingLeft } from '../../helpers/leftovers.ts';
import { out, type SandboxCase, sh } from './stage.ts';

export const probe: SandboxCase[] = [
  {
    name: 'the report is whole, and about this driver',
    async run({ driver, report, harness }) {
      assert.equal(report.driver, driver.name);
      assert.equal(report.ok, true, `${harness.name}: ${JSON.stringify(report.findings)}`);
      assert.deepEqual(Object.keys(report.limits).sort(), ['cpu', 'disk', 'memory', 'pids', 'wall']);
      for (const means of Object.values(report.limits)) assert.ok(means === null || means.length > 2);
      assert.ok(report.detail.length > 0);
      assert.ok(report.tookMs > 0 && report.tookMs < 30_000);
      for (const { text, fix } of report.findings) {
        assert.ok(text.length > 10, `a finding is a sentence: ${text}`);
        assert.ok(fix.length > 10, `a finding says what to do: ${text} ${fix}`);
      }
      if (report.isolation === 'none') assert.equal(report.egressLocked, false);
      const unenforced = Object.values(report.limits).filter((means) => means === null).length;
      if (unenforced > 0 || !report.egressLocked) assert.ok(report.findings.length > 0, 'what is weaker is said');
    },
  },
  {
    name: 'the probe leaves nothing',
    async run({ life, newRoot }) {
      const root = newRoot();
      const driver = life(root);
      assert.equal((await driver.probe()).ok, true);
      assert.deepEqual(await driver.list(), []);
      const live = join(root, 'live');
      assert.deepEqual(existsSync(live) ? readdirSync(live) : [], []);
      // A helper of the driver itself may stay until the driver is stopped.
      await driver.stop();
      await nothingLeft({ marks: [root] });
    },
  },
  {
    name: 'without what it needs the probe says no, why, and what to do; create refuses',
    needs: ({ harness }) => (harness.openBroken ? null : 'there is nothing to take away'),
    async run({ harness, spec, atEnd, folder }) {
      const root = folder();
      const driver = harness.openBroken!(root);
      atEnd(() => driver.stop());
      const report = await driver.probe();
      assert.equal(report.ok, false);
      const errors = report.findings.filter(({ level }) => level === 'error');
      assert.ok(errors.length > 0);
      for (const { text, fix } of errors) assert.ok(text.length > 10 && fix.length > 10, `${text} ${fix}`);
      await assert.rejects(driver.create(spec()), StewardError);
      assert.deepEqual(await driver.list(), []);
    },
  },
  {
    name: 'a locked egress is one: nothing answers but the broker',
    needs: ({ report }) => (report.egressLocked ? null : 'the network is the host’s'),
    async run({ open }) {
      const sandbox = await open();
      assert.equal((await sh(sandbox, `test -e ${PLACES.brokerSocket}`)).code, 1);
      const net = await out(sandbox, 'cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /proc/net/route | tail -n +2');
      assert.equal(net.trim(), 'lo');
    },
  },
];
