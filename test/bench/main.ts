// `npm run bench [name …] [--quick] [--json FILE]`: measures against the figures of the design and reports; it does not judge.
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { type Measure, openWorkplace } from './bench.ts';
import { type Row, table } from './report.ts';

/** In the order of the table; each is loaded when it is asked for. */
const groups: Record<string, () => Promise<Measure>> = {
  commit: async () => (await import('./rows/commit.ts')).measureCommit,
  accept: async () => (await import('./rows/accept.ts')).measureAccept,
  request: async () => (await import('./rows/request.ts')).measureRequest,
  turn: async () => (await import('./rows/turn.ts')).measureTurn,
  stream: async () => (await import('./rows/stream.ts')).measureStream,
  start: async () => (await import('./rows/start.ts')).measureStart,
  recovery: async () => (await import('./rows/recovery.ts')).measureRecovery,
  sandbox: async () => (await import('./rows/sandbox.ts')).measureSandbox,
  checkpoint: async () => (await import('./rows/checkpoint.ts')).measureCheckpoint,
  broker: async () => (await import('./rows/broker.ts')).measureBroker,
  memory: async () => (await import('./rows/memory.ts')).measureMemory,
  search: async () => (await import('./rows/search.ts')).measureSearch,
  schedules: async () => (await import('./rows/schedules.ts')).measureSchedules,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
});
const unknown = positionals.filter((name) => !(name in groups));
if (unknown.length > 0) {
  process.stderr.write(`There is no ${unknown.join(', ')}; there are: ${Object.keys(groups).join(', ')}.\n`);
  process.exit(2);
}

const load = () => loadavg().map((value) => value.toFixed(2));
const machine = { node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model ?? '', load_before: load() };
const say = (text: string) => void process.stderr.write(`${text}\n`);
const workplace = openWorkplace(values.quick, say);
const rows: (Row & { group: string })[] = [];
let failed = false;
try {
  for (const [group, loadGroup] of Object.entries(groups)) {
    if (positionals.length > 0 && !positionals.includes(group)) continue;
    say(`${group} … (load ${load()[0]})`);
    try {
      const measure = await loadGroup();
      for (const measured of await measure(workplace)) rows.push({ group, ...measured });
    } catch (error) {
      failed = true;
      say(`${group} could not be measured: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    } finally {
      await workplace.tidy();
    }
  }
} finally {
  workplace.close();
}

const result = { quick: values.quick, ...machine, load_after: load(), rows };
const line = JSON.stringify(result, (_, value: unknown) =>
  typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value,
);
process.stdout.write(
  `${machine.cpus} × ${machine.cpu || 'unknown processor'}, Node ${machine.node}, load average ${machine.load_before[0]} → ${result.load_after[0]}${values.quick ? ', quick (a tenth of the samples and of the past)' : ''}\n\n`,
);
process.stdout.write(`${table(rows)}\n\n${line}\n`);
if (values.json) writeFileSync(values.json, `${line}\n`);
process.exit(failed ? 1 : 0);
