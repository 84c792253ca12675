// From kill -9 in the middle of work, with a long past in the file, to ready and to every interrupted session asking its model again.
import { type Bench, connect, until } from '../bench.ts';
import { type Row, row } from '../report.ts';

const SESSIONS = 20;
/** Runs at work at once, as core/brain/lanes.ts has it: the other sessions wait with their message in the queue. */
const AT_WORK = 8;

export async function measureRecovery(bench: Bench): Promise<Row[]> {
  const seeded = bench.seeded();
  const sessions = seeded.bulk.slice(-SESSIONS);
  const model = await bench.model();
  const ready: number[] = [];
  const atWork: number[] = [];
  const resumed: number[] = [];
  let steward = await bench.start(seeded.home, model);
  for (let round = 0; round < (bench.quick ? 2 : 10); round++) {
    const client = connect(steward);
    const mark = (index: number) => `life ${round} session ${index}.`;
    model.faults.stick({ kind: 'hang_before_headers' });
    const before = model.requests.length;
    for (const [index, id] of sessions.entries()) await client.say(id, mark(index));
    await until('the runs at work', () => model.requests.length >= before + Math.min(AT_WORK, SESSIONS));
    client.close();

    const killedAt = performance.now();
    await steward.kill('SIGKILL');
    model.faults.clear();
    const asked = model.requests.length;
    steward = await bench.start(seeded.home, model);
    ready.push(performance.now() - killedAt);
    const first = await until('every session to go on', () => {
      const later = model.requests.slice(asked);
      const times = sessions.map((_, index) => later.find((entry) => entry.raw.includes(mark(index)))?.receivedAt);
      return times.every((at) => at !== undefined) && times.map((at) => at! - killedAt);
    });
    const inOrder = first.toSorted((a, b) => a - b);
    atWork.push(inOrder[AT_WORK - 1]!);
    resumed.push(inOrder.at(-1)!);
    const again = connect(steward);
    await again.rest();
    again.close();
  }
  const past = `${seeded.events.toLocaleString('en')} events`;
  return [
    row(`kill -9 → ready, ${past}`, ready, { figure: { p50: 1_000 } }),
    row(`kill -9 → ${AT_WORK} interrupted runs ask their model again`, atWork, { figure: { p50: 3_000 } }),
    row(`kill -9 → ${SESSIONS} sessions ask their model again`, resumed, {
      figure: { p50: 3_000 },
      note: `${AT_WORK} of them with a run at work, as many as run at once; the others with an accepted message in the queue. Each has a context near its budget, and the model answers at once: behind a slow one the later sessions wait for a free lane.`,
    }),
  ];
}
