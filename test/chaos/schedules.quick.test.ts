// Weeks of schedules over a real record: restarts, crashes, sleep and clocks that are set. Every due slot has exactly one row.
import { describe, expect, it } from 'vitest';
import type { Rule } from '../../core/schedules.ts';
import {
  chance,
  createWorld,
  judge,
  type Lived,
  type Row,
  type World,
  type WorldSchedule,
} from '../helpers/schedule-world.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const cron = (expression: string, timeZone: string): Rule => ({ kind: 'cron', expression, timeZone });

/** Begins some days before clocks are changed in Berlin and New York. */
const START = Date.UTC(2026, 9, 20, 6, 30, 10);
const SCHEDULES: WorldSchedule[] = [
  { name: 'each minute, a day', rule: cron('* * * * *', 'UTC'), endsAt: START + DAY },
  { name: 'every ten minutes', rule: cron('*/10 * * * *', 'Europe/Berlin') },
  { name: 'hourly', rule: cron('0 * * * *', 'America/New_York') },
  { name: 'in the hour that comes twice', rule: cron('30 2 * * *', 'Europe/Berlin') },
  { name: 'working days', rule: cron('0 8 * * 1-5', 'America/Santiago') },
  { name: 'three times', rule: cron('15 1,2,3 * * *', 'America/New_York') },
  { name: 'daily, no catch-up', rule: cron('45 9 * * *', 'Asia/Kolkata'), catchUp: 'none' },
  { name: 'all', rule: cron('0 */3 * * *', 'Australia/Lord_Howe'), catchUp: 'all', windowMs: DAY },
  { name: 'a week', rule: cron('0 0 * * *', 'Africa/Casablanca'), endsAt: START + 7 * DAY },
  { name: 'every 23 minutes', rule: { kind: 'interval', every: 23 * MINUTE, anchor: START, timeZone: 'UTC' } },
  { name: 'every 36 hours', rule: { kind: 'interval', every: 36 * HOUR, anchor: START + HOUR, timeZone: 'UTC' } },
  { name: 'once', rule: { kind: 'once', at: START + 3 * DAY + 7 * MINUTE, timeZone: 'UTC' } },
];

async function live(seed: number, days: number): Promise<{ world: World; lived: Lived }> {
  const random = chance(seed);
  const between = (least: number, most: number) => Math.floor(least + random() * (most - least));
  const world = createWorld(START, SCHEDULES, random, seed % 2 === 0);
  const disturbances: (() => Promise<void> | void)[] = [
    () => world.restart(between(SECOND, 5 * MINUTE)),
    () => world.restart(between(MINUTE, 8 * HOUR)),
    () => world.restart(between(8 * HOUR, 3 * DAY)),
    () => world.crash(between(SECOND, HOUR)),
    () => world.sleep(between(MINUTE, HOUR)),
    () => world.sleep(between(HOUR, 12 * HOUR)),
    () => world.set(HOUR),
    () => world.set(-HOUR),
    () => world.set(DAY),
    () => world.set(-DAY),
    () => world.set(between(-90, 90) * SECOND),
  ];
  while (world.now() < START + days * DAY) {
    await world.run(between(MINUTE, 14 * HOUR));
    await disturbances[between(0, disturbances.length)]!();
  }
  // The last hour is quiet: what is due is settled.
  await world.run(HOUR);
  const lived: Lived = { createdAt: START, ups: world.ups(), schedules: world.schedules(), rows: world.rows() };
  return { world, lived };
}

describe('weeks of disturbance', () => {
  it.each([1, 2])('seed %i: each due slot has one row, and runs when it should', async (seed) => {
    const { world, lived } = await live(seed, 12);
    expect(lived.rows.length).toBeGreaterThan(2500);
    expect(judge(lived)).toEqual([]);
    // Each run is one message, each message one run.
    const told = world.told();
    const ran = lived.rows.filter(({ state }) => state === 'succeeded');
    expect([...told.values()].every((count) => count === 1)).toBe(true);
    expect(told.size).toBe(ran.length);
  });
});

describe('the known-bad ways are found out', () => {
  it('in what the same life would have left', async () => {
    const { lived } = await live(4, 5);
    expect(judge(lived)).toEqual([]);
    const bad = (change: (rows: Row[]) => Row[]) =>
      judge({ ...lived, rows: change(lived.rows.map((row) => ({ ...row }))) });
    const some = (rows: Row[], state: Row['state']) => rows.find((row) => row.state === state)!;

    // No catch-up and no rows for what was missed: node-cron in a process that stops and sleeps.
    expect(
      bad((rows) => rows.filter(({ state, trigger }) => state !== 'missed' && trigger !== 'catch_up')).join(),
    ).toMatch(/a due slot has no row/);
    // A slot used again after the clock was set back.
    expect(bad((rows) => [...rows, some(rows, 'succeeded')]).join()).toMatch(/a slot has two rows/);
    // Every missed slot is run.
    expect(
      bad((rows) =>
        rows.map((row) => (row.state === 'missed' ? { ...row, state: 'succeeded', startedAt: row.at + DAY } : row)),
      ).join(),
    ).toMatch(/runs at once/);
    // Nothing is made up for.
    expect(
      bad((rows) => rows.map((row) => (row.trigger === 'catch_up' ? { ...row, state: 'missed' } : row))).join(),
    ).toMatch(/the newest slot was not made up for/);
    // A slow loop.
    expect(
      bad((rows) =>
        rows.map((row) => (row.startedAt === null ? row : { ...row, startedAt: row.startedAt + 30_000 })),
      ).join(),
    ).toMatch(/ms late/);
    // Slots counted in UTC.
    expect(
      bad((rows) => rows.map((row) => (/T\d\d:\d\d$/.test(row.key) ? { ...row, at: row.at + HOUR } : row))).join(),
    ).toMatch(/a row for no slot/);
  });
});
