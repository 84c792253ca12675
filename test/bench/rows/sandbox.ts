// Hands: how long a sandbox and its first command take, alone and forty at once, beside a plain process of the same machine.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { DEFAULT_LIMITS, type SandboxSpec } from '../../../sandboxes/driver.ts';
import { createBwrap } from '../../../sandboxes/drivers/bwrap.ts';
import { rootOf } from '../../../sandboxes/root.ts';
import { createSnapshots } from '../../../sandboxes/snapshots.ts';
import type { Bench } from '../bench.ts';
import { median, type Row, row } from '../report.ts';

const AT_ONCE = 40;

export async function measureSandbox(bench: Bench): Promise<Row[]> {
  const root = rootOf(bench.emptyHome(), process.getuid?.() ?? 1);
  let ids = 0;
  const newId = (prefix: string) => `${prefix}_bench${++ids}`;
  const snapshots = createSnapshots({ root, driver: 'bwrap', now: Date.now, newId: () => newId('ckpt') });
  const driver = createBwrap({ root, now: Date.now, snapshots });
  bench.own(async () => {
    await driver.stop();
    rmSync(root, { recursive: true, force: true });
  });
  const seen = await driver.probe();
  if (!seen.ok) {
    bench.say(`no sandbox here: ${seen.findings.map(({ text }) => text).join(' ')}`);
    return [];
  }
  const spec = (): SandboxSpec => ({
    id: newId('sbx'),
    labels: {},
    workspace: { type: 'empty' },
    env: {},
    mounts: [],
    limits: DEFAULT_LIMITS,
    profile: 'strict',
    listen: null,
  });
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const from = performance.now();
    await work();
    return performance.now() - from;
  };

  const bare: number[] = [];
  const first: number[] = [];
  const next: number[] = [];
  const gone: number[] = [];
  for (let i = 0; i < bench.count(200); i++) {
    bare.push(await timed(() => once(spawn('/bin/true', { stdio: 'ignore' }), 'exit')));
    const begun = performance.now();
    const sandbox = await driver.create(spec());
    await sandbox.exec(['true']).result;
    first.push(performance.now() - begun);
    next.push(await timed(() => sandbox.exec(['true']).result));
    gone.push(await timed(() => sandbox.kill('measured')));
  }
  const many: number[] = [];
  const answer = async () => {
    const sandbox = await driver.create(spec());
    await sandbox.exec(['true']).result;
    return sandbox;
  };
  for (let i = 0; i < bench.count(10); i++) {
    const begun = performance.now();
    const sandboxes = await Promise.all(Array.from({ length: AT_ONCE }, answer));
    many.push((performance.now() - begun) / AT_ONCE);
    await Promise.all(sandboxes.map((sandbox) => sandbox.kill('measured')));
  }
  return [
    row('bare: a process that does nothing', bare),
    row('sandbox: provision + first exec', first, {
      figure: { p50: 8, p95: 20 },
      ratio: { of: 'bare process', base: median(bare) },
    }),
    row('sandbox: the next exec', next, { ratio: { of: 'bare process', base: median(bare) } }),
    row('sandbox: kill → nothing left', gone),
    row(`sandbox: ${AT_ONCE} at once, provision + first exec, each`, many, {
      note: `The time until all ${AT_ONCE} have answered, divided by ${AT_ONCE}.`,
    }),
  ];
}
