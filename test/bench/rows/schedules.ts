// What 100,000 schedules cost: a tick with nothing due, and a minute in which a thousand of them are.
import { systemClock } from '../../../core/clock.ts';
import type { RecordOf } from '../../../core/record.ts';
import type { ScheduleDraft } from '../../../core/schedules.ts';
import type { Millis } from '../../../core/types.ts';
import { completed } from '../../../scheduler/draft.ts';
import { createScheduler, type Scheduler } from '../../../scheduler/index.ts';
import { createSchedules } from '../../../scheduler/schedules.ts';
import { quiet } from '../../helpers/scheduler-room.ts';
import { type Bench, pause, until } from '../bench.ts';
import { type Row, row } from '../report.ts';
import { openBenchRecord } from './commit.ts';

const DUE = 1_000;
const EVERY_MS = 5;

export async function measureSchedules(bench: Bench): Promise<Row[]> {
  const count = bench.count(100_000);
  const record = openBenchRecord(bench.emptyHome());
  const tomorrow = Date.now() + 24 * 3_600_000;
  seed(record, count, () => tomorrow);
  const scheduler = open(record);
  await scheduler.tick();
  const empty: number[] = [];
  for (let i = 0; i < 500; i++) {
    const from = performance.now();
    await scheduler.tick();
    empty.push(performance.now() - from);
  }

  const at = Date.now() + 2_000;
  seed(record, DUE, () => at);
  const delays: number[] = [];
  let last = performance.now();
  const beat = setInterval(() => {
    const now = performance.now();
    delays.push(Math.max(0, now - last - EVERY_MS));
    last = now;
  }, EVERY_MS);
  scheduler.start();
  await until('the slot', () => Date.now() >= at);
  delays.length = 0;
  const begun = record.db.prepare<[Millis], { n: number }>(
    'SELECT count(*) AS n FROM schedule_runs WHERE started_at >= ? AND attempts > 0',
  );
  await until('the thousand', async () => {
    await pause(200);
    return begun.get(at)!.n >= DUE;
  });
  clearInterval(beat);
  await scheduler.stop();
  const late = record.db
    .prepare<[], { late: number }>('SELECT started_at - slot_at AS late FROM schedule_runs WHERE attempts > 0')
    .all()
    .map((entry) => entry.late);
  record.db.close();
  const of = `${count.toLocaleString('en')} schedules`;
  return [
    row(`schedules: a tick with nothing due among ${of}`, empty, { figure: { p99: 5 } }),
    row(`schedules: delay of the event loop while ${DUE} of ${of} are due at once`, delays, { figure: { p99: 50 } }),
    row(`schedules: lateness of these ${DUE}`, late, {
      figure: { max: 20_000 },
      note: `Half are messages, half prompts in sessions of their own; ${histogram(late)}.`,
    }),
  ];
}

function open(record: RecordOf): Scheduler {
  return createScheduler({
    ...record,
    ...{ clock: systemClock, log: quiet, crash() {}, timeZone: 'UTC', awake: () => true },
    wake() {},
    interrupt() {},
  });
}

function seed(record: RecordOf, count: number, at: () => Millis): void {
  const schedules = createSchedules(record.db, { now: Date.now, newId: record.newId });
  const starts: ScheduleDraft['starts'][] = [
    { kind: 'message', text: 'Stretch your legs.' },
    { kind: 'prompt', text: 'What is new?', session: 'own' },
  ];
  for (let done = 0; done < count; done += 1_000)
    record.db.tx(() => {
      for (let i = done; i < Math.min(count, done + 1_000); i++) {
        const slot = { at: at(), key: new Date(at()).toISOString() };
        const rule = { kind: 'interval', every: 86_400_000, anchor: slot.at, timeZone: 'UTC' } as const;
        const draft = completed({ name: `Schedule ${i}`, rule, starts: starts[i % 2]! });
        schedules.create({ draft, trust: 'owner', createdBy: 'bench', sessionId: null, next: slot });
      }
    });
}

const STEPS = [100, 250, 500, 1_000, 2_000, 5_000, 10_000];

function histogram(samples: readonly number[]): string {
  const counts = STEPS.map((step) => `≤ ${step} ms: ${samples.filter((sample) => sample <= step).length}`);
  return counts.join(', ');
}
