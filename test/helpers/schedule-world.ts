// A scheduler over a real record, lived through years in seconds: its clock runs, sleeps and is set, the process stops and crashes.
import { StewardError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Rule, RunState, Schedule, ScheduleDraft, ScheduleRun } from '../../core/schedules.ts';
import { createScheduler, type Scheduler } from '../../scheduler/index.ts';
import { windowOf } from '../../scheduler/misfire.ts';
import type { ManualClock } from './clock.ts';
import { openTestRecord, type TestRecord } from './record.ts';
import { type OracleClock, oracleClock, oracleSlots } from './slot-oracle.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
/** While it is up, a slot is acted on within this. */
export const LATE = 20 * SECOND;

/** What the wall clock showed from one disturbance to the next. */
export interface Up {
  from: number;
  /** When it looked for the first time; null: it did not get to. */
  first: number | null;
  to: number;
}

export interface Row {
  scheduleId: string;
  key: string;
  at: number;
  state: RunState;
  trigger: ScheduleRun['trigger'];
  startedAt: number | null;
  missedBefore: number;
  eventId: string | null;
}

export type Chance = () => number;

/** Mulberry32. */
export function chance(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface WorldClock extends ManualClock {
  run(ms: number): void;
  sleepMachine(ms: number): void;
  set(byMs: number): void;
  uptime(): number;
}

function worldClock(start: number): WorldClock {
  let wall = start;
  let monotonic = 0;
  let uptime = 0;
  const never = new Promise<void>(() => {});
  return {
    now: () => wall,
    elapsed: () => monotonic,
    uptime: () => uptime,
    sleep: () => never,
    advance: () => never,
    sleeping: () => 0,
    run(ms) {
      wall += ms;
      monotonic += ms;
      uptime += ms;
    },
    sleepMachine(ms) {
      wall += ms;
      uptime += ms;
    },
    set(byMs) {
      wall += byMs;
    },
  };
}

export interface World {
  /** Up for so long, looking about once a second (where nothing is due it does not look), at most `slow` late. */
  run(ms: number): Promise<void>;
  sleep(ms: number): void;
  set(byMs: number): void;
  /** Stops, and starts again later. */
  restart(downMs: number): Promise<void>;
  /** Dies inside the transaction that settles the next slot; starts again later. */
  crash(downMs: number): Promise<void>;
  rows(): Row[];
  ups(): Up[];
  schedules(): Schedule[];
  /** How many messages stand in the log for each run. */
  told(): Map<string, number>;
  createdAt: number;
  now(): number;
}

export type WorldSchedule = Partial<ScheduleDraft> & Pick<ScheduleDraft, 'name' | 'rule'>;

export function createWorld(
  start: number,
  wanted: readonly WorldSchedule[],
  random: Chance,
  uptimeKnown = true,
): World {
  const clock = worldClock(start);
  let record: TestRecord = openTestRecord({ clock });
  let scheduler: Scheduler;
  let dying = false;
  const ups: Up[] = [];

  const boot = () => {
    scheduler = createScheduler({
      ...record,
      clock,
      log: silent,
      timeZone: 'UTC',
      crash(name) {
        if (!dying || name !== 'schedule.after_event') return;
        dying = false;
        throw new StewardError('unavailable', 'It died.', { op: 'settle a slot', retryable: true });
      },
      awake: () => true,
      wake() {},
      interrupt() {},
      uptime: uptimeKnown ? clock.uptime : () => null,
    });
  };
  const begin = () => ups.push({ from: clock.now(), first: null, to: clock.now() });
  boot();
  const author = { trust: 'owner', by: 'test', sessionId: null, here: null } as const;
  const ids = wanted.map(
    (draft) => scheduler.api.create({ starts: { kind: 'message', text: draft.name }, ...draft }, author).id,
  );
  begin();

  const look = async () => {
    await scheduler.tick();
    const up = ups.at(-1)!;
    up.first ??= clock.now();
    up.to = clock.now();
  };
  const nextDue = () => Math.min(...ids.map((id) => scheduler.api.need(id).next?.at ?? Number.POSITIVE_INFINITY));
  const reopen = () => {
    record = record.reopen();
    boot();
    begin();
  };

  return {
    createdAt: start,
    now: clock.now,
    async run(ms) {
      clock.run(Math.min(ms, SECOND));
      await look();
      for (let left = ms - SECOND; left > 0; ) {
        const slow = random() < 0.1 ? random() * 15 * SECOND : SECOND;
        const step = Math.min(left, Math.max(1, Math.ceil(nextDue() - clock.now() + random() * slow)));
        clock.run(step);
        left -= step;
        await look();
      }
    },
    sleep(ms) {
      clock.sleepMachine(ms);
      begin();
    },
    set(byMs) {
      clock.set(byMs);
      begin();
    },
    async restart(downMs) {
      await scheduler.stop();
      clock.run(downMs);
      reopen();
    },
    async crash(downMs) {
      dying = true;
      const due = nextDue();
      if (Number.isFinite(due) && due > clock.now()) clock.run(due - clock.now() + 1);
      await scheduler.tick();
      dying = false;
      clock.run(downMs);
      reopen();
    },
    rows: () =>
      record.db
        .prepare<[], Row>(
          `SELECT schedule_id AS scheduleId, slot_key AS key, slot_at AS at, state, trigger, started_at AS startedAt,
             missed_before AS missedBefore, event_id AS eventId FROM schedule_runs ORDER BY slot_at, id`,
        )
        .all(),
    ups: () => ups,
    schedules: () => ids.map((id) => scheduler.api.need(id)),
    told() {
      const events = record.db
        .prepare<[], { run: string; n: number }>(
          `SELECT json_extract(payload, '$.run_id') AS run, count(*) AS n FROM events
           WHERE type = 'schedule.message' AND json_extract(payload, '$.kind') = 'message' GROUP BY run`,
        )
        .all();
      return new Map(events.map(({ run, n }) => [run, n]));
    },
  };
}

const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} } as unknown as Log;

// ---------------------------------------------------------------- the judge

export interface Lived {
  createdAt: number;
  ups: readonly Up[];
  schedules: readonly Schedule[];
  rows: readonly Row[];
}

/** Every slot a rule has in `(from, to]`, by the oracle. */
function due(rule: Rule, from: number, to: number, clocks: Map<string, OracleClock>): { at: number; key: string }[] {
  const byInstant = (at: number) => ({ at, key: `${new Date(at).toISOString().slice(0, 19)}Z` });
  if (rule.kind === 'manual') return [];
  if (rule.kind === 'once') return rule.at > from && rule.at <= to ? [byInstant(rule.at)] : [];
  if (rule.kind === 'interval') {
    const found: { at: number; key: string }[] = [];
    for (let at = rule.anchor; at <= to; at += rule.every) if (at > from) found.push(byInstant(at));
    return found;
  }
  const clock = clocks.get(rule.timeZone) ?? oracleClock(rule.timeZone, from - 4 * DAY, to + 4 * DAY);
  clocks.set(rule.timeZone, clock);
  return oracleSlots(rule.expression, clock, from + 1, to + 1);
}

/** What does not hold about a life, one line each. Looks at rows and clocks only. */
export function judge({ createdAt, ups, schedules, rows }: Lived): string[] {
  const wrong: string[] = [];
  const clocks = new Map<string, OracleClock>();
  const reached = Math.max(...ups.map(({ to, first }) => (first === null ? Number.NEGATIVE_INFINITY : to)));
  for (const { id, name, rule, catchUp, windowMs, endsAt } of schedules) {
    const say = (what: string, at: number) => wrong.push(`${name}: ${what} (${new Date(at).toISOString()})`);
    const mine = rows.filter(({ scheduleId }) => scheduleId === id);
    const expected = due(rule, createdAt, Math.min(reached, endsAt ?? reached), clocks);
    const wanted = new Map(expected.map((slot) => [slot.key, slot]));
    const byKey = new Map<string, Row>();
    for (const row of mine) {
      if (byKey.has(row.key)) say('a slot has two rows', row.at);
      byKey.set(row.key, row);
      if (wanted.get(row.key)?.at !== row.at) say('a row for no slot', row.at);
      if (row.state !== 'succeeded' && row.state !== 'missed') say(`it is ${row.state}`, row.at);
      if (row.startedAt !== null && row.startedAt < row.at) say('it ran before its time', row.at);
    }
    for (const { key, at } of expected) if (!byKey.has(key)) say('a due slot has no row', at);

    const ran = (at: number) => mine.some((row) => row.at === at && row.state === 'succeeded');
    let seen = createdAt;
    for (const { from, first, to } of ups) {
      if (first === null) continue;
      // What came due while it was up runs then.
      for (const { key, at } of expected) {
        if (at <= Math.max(seen, first) || at > to - LATE) continue;
        const row = byKey.get(key);
        if (!row) continue;
        if (row.state !== 'succeeded') say('it was up, and did not run', at);
        else if (row.startedAt! - at > LATE) say(`it was up, and ran ${row.startedAt! - at} ms late`, at);
        else if (row.trigger !== 'schedule') say('it was up, and yet called a catch-up', at);
      }
      // What passed while it was not: the newest within the window, all in it, or none.
      const gone = expected.filter(({ at }) => at > seen && at <= first);
      const newest = gone.at(-1);
      if (newest) {
        const window = Math.max(MINUTE, catchUp === 'none' ? 0 : (windowMs ?? windowOf(rule)));
        const runs = gone.filter(({ at }) => ran(at));
        if (runs.length > (catchUp === 'all' ? 10 : 1)) say(`${runs.length} runs at once`, newest.at);
        if (first - newest.at <= window && !ran(newest.at)) say('the newest slot was not made up for', newest.at);
        for (const { at } of runs) if (first - at > window + LATE) say('it ran although it was too old', at);
        const made = runs.reduce((sum, { key }) => sum + byKey.get(key)!.missedBefore, 0);
        if (catchUp === 'latest' && runs.length === 1 && made !== gone.length - 1)
          say(`it makes up for ${made} instead of ${gone.length - 1}`, newest.at);
      }
      seen = Math.max(seen, to);
      void from;
    }
  }
  return wrong;
}
