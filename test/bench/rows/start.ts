// From the start of the process to its ready line, over an empty folder and over a long past, beside a Node that does nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Bench } from '../bench.ts';
import { median, type Row, row } from '../report.ts';

const RUNS = 10;

export async function measureStart(bench: Bench): Promise<Row[]> {
  const runs = bench.quick ? 3 : RUNS;
  const seeded = bench.seeded();
  const bare: number[] = [];
  const empty: number[] = [];
  const long: number[] = [];
  // The first fills the cache of compiled code, as the first start of an installation does.
  const first = await startOnce(bench, bench.emptyHome());
  for (let i = 0; i < runs; i++) {
    bare.push(await bareNode());
    empty.push(await startOnce(bench, bench.emptyHome()));
    long.push(await startOnce(bench, seeded.home));
  }
  const ratio = { of: 'bare Node', base: median(bare) };
  return [
    row('bare: a Node process that does nothing', bare),
    row('start: the first one of this measurement', [first], { ratio }),
    row('start: process → ready, empty folder', empty, { figure: { p50: 400 }, ratio }),
    row(`start: process → ready, ${seeded.events.toLocaleString('en')} events`, long, {
      figure: { p50: 1_000 },
      ratio,
    }),
  ];
}

async function startOnce(bench: Bench, home: string): Promise<number> {
  const steward = await bench.start(home, null);
  await steward.kill('SIGTERM');
  return steward.startedInMs;
}

async function bareNode(): Promise<number> {
  const from = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - from;
}
