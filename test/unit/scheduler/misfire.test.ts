// What becomes of slots that passed: one row for each, however long Steward was down and in however many pieces it is settled.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CatchUp, Rule, Slot } from '../../../core/schedules.ts';
import { createAlmanac } from '../../../scheduler/almanac.ts';
import {
  type Due,
  type DueRun,
  type MissedSlot,
  misfire,
  type Settlement,
  windowOf,
} from '../../../scheduler/misfire.ts';
import { nextSlot, slots } from '../../../scheduler/slots.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const almanac = createAlmanac();
const cron = (expression: string, timeZone = 'Europe/Berlin'): Rule => ({ kind: 'cron', expression, timeZone });
const every = (ms: number, anchor = 0): Rule => ({ kind: 'interval', every: ms, anchor, timeZone: 'UTC' });
const at = (time: string) => Date.parse(time);

interface Ask {
  rule: Rule;
  catchUp?: CatchUp;
  windowMs?: number | null;
  endsAt?: number | null;
  /** The first slot after it has no row. */
  since: string;
}
const due = ({ rule, catchUp = 'latest', windowMs = null, endsAt = null, since }: Ask): Due => ({
  rule,
  catchUp,
  windowMs,
  endsAt,
  next: nextSlot(rule, at(since), almanac),
});
const settle = (ask: Ask, now: string) => misfire(due(ask), at(now), almanac);
const says = ({ runs, missed, next }: Settlement) => ({
  runs: runs.map((run) => `${run.slot.key} ${run.trigger} +${run.missedBefore}`),
  missed: missed.map(({ slot, why }) => `${slot.key} ${why}`),
  next: next?.key ?? null,
});

describe('a daily job at eight', () => {
  const rule = cron('0 8 * * *');

  it('is not due yet', () => {
    expect(says(settle({ rule, since: '2026-12-01T08:00Z' }, '2026-12-02T06:59:59.999Z'))).toEqual({
      runs: [],
      missed: [],
      next: '2026-12-02T08:00',
    });
  });

  it('is due, and at most a minute late is on time', () => {
    for (const now of ['2026-12-02T07:00Z', '2026-12-02T07:01Z']) {
      expect(says(settle({ rule, since: '2026-12-01T08:00Z' }, now))).toEqual({
        runs: ['2026-12-02T08:00 schedule +0'],
        missed: [],
        next: '2026-12-03T08:00',
      });
    }
  });

  it('down from 07:55 to 11:20: one run, late', () => {
    const settlement = settle({ rule, since: '2026-12-01T08:00Z' }, '2026-12-02T10:20Z');
    expect(says(settlement).runs).toEqual(['2026-12-02T08:00 catch_up +0']);
    expect(settlement.runs[0]!.late).toBe(3 * HOUR + 20 * MINUTE);
  });

  it('down for three days, up by 14:00: one run for all of them', () => {
    expect(says(settle({ rule, since: '2026-12-01T08:00Z' }, '2026-12-04T13:00Z'))).toEqual({
      runs: ['2026-12-04T08:00 catch_up +2'],
      missed: ['2026-12-02T08:00 made_up', '2026-12-03T08:00 made_up'],
      next: '2026-12-05T08:00',
    });
  });

  it('up a millisecond after the window: missed', () => {
    expect(says(settle({ rule, since: '2026-12-03T08:00Z' }, '2026-12-04T13:00:00.001Z'))).toEqual({
      runs: [],
      missed: ['2026-12-04T08:00 too_old'],
      next: '2026-12-05T08:00',
    });
  });

  it('up just in time: the run is no catch-up, and still makes up for what was missed', () => {
    expect(says(settle({ rule, since: '2026-12-01T08:00Z' }, '2026-12-03T07:00:30Z'))).toEqual({
      runs: ['2026-12-03T08:00 schedule +1'],
      missed: ['2026-12-02T08:00 made_up'],
      next: '2026-12-04T08:00',
    });
  });

  it('that catches up nothing', () => {
    expect(says(settle({ rule, catchUp: 'none', since: '2026-12-01T08:00Z' }, '2026-12-03T07:02Z'))).toEqual({
      runs: [],
      missed: ['2026-12-02T08:00 not_wanted', '2026-12-03T08:00 not_wanted'],
      next: '2026-12-04T08:00',
    });
    expect(says(settle({ rule, catchUp: 'none', since: '2026-12-01T08:00Z' }, '2026-12-03T07:00:30Z'))).toEqual({
      runs: ['2026-12-03T08:00 schedule +0'],
      missed: ['2026-12-02T08:00 not_wanted'],
      next: '2026-12-04T08:00',
    });
  });

  it('that catches up all: what is in the window', () => {
    const ask: Ask = { rule, catchUp: 'all', windowMs: 2 * DAY, since: '2026-12-01T08:00Z' };
    expect(says(settle(ask, '2026-12-05T09:00Z'))).toEqual({
      runs: ['2026-12-04T08:00 catch_up +0', '2026-12-05T08:00 catch_up +0'],
      missed: ['2026-12-02T08:00 too_old', '2026-12-03T08:00 too_old'],
      next: '2026-12-06T08:00',
    });
  });

  it('ends: no slot after the end, and the last one not lost', () => {
    const ask: Ask = { rule, endsAt: at('2026-12-03T07:00Z'), since: '2026-12-01T08:00Z' };
    expect(says(settle(ask, '2026-12-03T07:00Z'))).toEqual({
      runs: ['2026-12-03T08:00 schedule +1'],
      missed: ['2026-12-02T08:00 made_up'],
      next: null,
    });
    expect(says(settle(ask, '2026-12-09T07:00Z'))).toEqual({
      runs: [],
      missed: ['2026-12-02T08:00 too_old', '2026-12-03T08:00 too_old'],
      next: null,
    });
    expect(says(settle({ ...ask, since: '2026-12-03T08:00Z' }, '2026-12-03T08:30Z'))).toEqual({
      runs: [],
      missed: [],
      next: null,
    });
  });
});

describe('a reminder', () => {
  const rule: Rule = { kind: 'once', at: at('2026-12-02T08:00Z'), timeZone: 'UTC' };

  it('is never too old', () => {
    expect(says(settle({ rule, since: '2026-12-01T00:00Z' }, '2027-06-01T00:00Z'))).toEqual({
      runs: ['2026-12-02T08:00:00Z catch_up +0'],
      missed: [],
      next: null,
    });
  });

  it('is over', () => {
    expect(misfire({ ...due({ rule, since: '2026-12-03T00:00Z' }) }, at('2026-12-04T00:00Z'))).toMatchObject({
      runs: [],
      missed: [],
      next: null,
    });
  });
});

describe('all', () => {
  it('is ten at most; what is left over in the window is made up for by the first of them', () => {
    const ask: Ask = { rule: every(HOUR), catchUp: 'all', windowMs: 12 * HOUR, since: '2026-12-01T00:00Z' };
    const { runs, missed } = settle(ask, '2026-12-02T00:30Z');
    expect(runs.map((run) => run.missedBefore)).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect(missed.filter(({ why }) => why === 'too_old')).toHaveLength(12);
    expect(missed.filter(({ why }) => why === 'made_up')).toHaveLength(2);
  });
});

describe('the default window', () => {
  it.each<[string, Rule, number]>([
    ['every minute', cron('* * * * *'), MINUTE],
    ['every 5 minutes', every(5 * MINUTE), 5 * MINUTE],
    ['every 15 minutes', cron('*/15 * * * *'), 10 * MINUTE],
    ['hourly', cron('0 * * * *'), 10 * MINUTE],
    ['every two hours', every(2 * HOUR), HOUR],
    ['twice a day', cron('0 9,18 * * *'), 4.5 * HOUR],
    ['daily', cron('0 8 * * *'), 6 * HOUR],
    ['weekly', cron('0 8 * * 1'), 6 * HOUR],
    ['monthly', cron('0 8 1 * *'), DAY],
    ['once', { kind: 'once', at: 0, timeZone: 'UTC' }, Number.POSITIVE_INFINITY],
  ])('%s', (_, rule, window) => {
    expect(windowOf(rule)).toBe(window);
  });
});

// ---------------------------------------------------------------- pieces

/** What an engine does: asks, keeps the rows, hands the rest on, until nothing more is due. */
type Decide = (due: Due, now: number) => Settlement;
interface Kept {
  rows: { slot: Slot; ran: boolean }[];
  runs: DueRun[];
  missed: MissedSlot[];
  pieces: number;
  next: Slot | null;
}
function wake(first: Due, now: number, decide: Decide): Kept {
  const kept: Kept = { rows: [], runs: [], missed: [], pieces: 0, next: first.next };
  let rest = first;
  for (;;) {
    const settlement = decide(rest, now);
    kept.pieces += 1;
    kept.runs.push(...settlement.runs);
    kept.missed.push(...settlement.missed);
    kept.rows.push(...settlement.runs.map(({ slot }) => ({ slot, ran: true })));
    kept.rows.push(...settlement.missed.map(({ slot }) => ({ slot, ran: false })));
    kept.next = settlement.next;
    if (!settlement.more || kept.pieces > 200) return kept;
    rest = { ...rest, next: settlement.next, madeUp: settlement.madeUp };
  }
}

/** The rules that hold whatever happened, one sentence for each that does not. */
function faults(first: Due, now: number, kept: Kept): string[] {
  const last = Math.min(now, first.endsAt ?? now);
  const expected = first.next ? slots(first.rule, first.next.at, last + 1, 100_000, almanac) : [];
  const rows = kept.rows.map(({ slot }) => slot.key);
  const found: string[] = [];
  if (new Set(rows).size !== rows.length) found.push('a slot has two rows');
  if (expected.some(({ key }) => !rows.includes(key))) found.push('a due slot has no row');
  if (rows.some((key) => !expected.some((slot) => slot.key === key))) found.push('a row for what is not due');
  const runs = kept.runs.length;
  if (runs > (first.catchUp === 'all' ? 10 : 1)) found.push('too many runs');
  const window = Math.max(MINUTE, first.catchUp === 'none' ? 0 : (first.windowMs ?? windowOf(first.rule)));
  const newest = expected.at(-1);
  if (newest && now - newest.at <= window && runs === 0) found.push('no run although one is due');
  if (kept.runs.some(({ slot }) => now - slot.at > window)) found.push('a run that is too old');
  if (kept.runs.some(({ slot }) => slot.at > now)) found.push('a run before its time');
  const madeUp = kept.missed.filter(({ why }) => why === 'made_up').length;
  if (kept.runs.reduce((sum, run) => sum + run.missedBefore, 0) !== madeUp)
    found.push('a wrong count of what is made up for');
  if (kept.next && (kept.next.at <= last || (first.endsAt !== null && kept.next.at > first.endsAt)))
    found.push('a wrong next slot');
  return found;
}

const ours: Decide = (each, now) => misfire(each, now, almanac);

describe('a month of downtime of a schedule that is due each minute', () => {
  const first = due({ rule: cron('* * * * *'), since: '2026-11-01T00:00Z' });
  const now = at('2026-12-01T00:00:20Z');

  it('is settled in pieces, with one row for each slot and one run', () => {
    const kept = wake(first, now, ours);
    expect(kept.pieces).toBe(87);
    expect(new Set(kept.rows.map(({ slot }) => slot.key)).size).toBe(43_200);
    expect(kept.rows).toHaveLength(43_200);
    expect(kept.runs).toMatchObject([
      { slot: { key: '2026-12-01T00:00:00Z' }, trigger: 'schedule', missedBefore: 43_199 },
    ]);
    expect(kept.next).toMatchObject({ key: '2026-12-01T00:01:00Z' });
  });

  it('no piece is larger than five hundred', () => {
    const { missed, runs, more } = ours(first, now);
    expect([missed.length + runs.length, more]).toEqual([500, true]);
  });

  it('all: the ten newest run together, in the last piece', () => {
    const since = new Date(now - 1000 * MINUTE - 5 * MINUTE).toISOString();
    const kept = wake(due({ rule: cron('* * * * *'), catchUp: 'all', windowMs: DAY, since }), now, ours);
    expect(kept.runs).toHaveLength(10);
    expect(kept.runs[0]!.missedBefore).toBe(kept.rows.length - 10);
  });

  it('goes on where a crash between two pieces left it: the rows are whole, only the count starts anew', () => {
    const before = ours(first, now);
    const after = wake({ ...first, next: before.next }, now + 30_000, ours);
    expect(before.missed.length + after.rows.length).toBe(43_200);
    expect(after.runs).toHaveLength(1);
  });
});

describe('whatever the rule and the downtime', () => {
  const rule: fc.Arbitrary<Rule> = fc.oneof(
    fc
      .constantFrom('* * * * *', '*/5 * * * *', '30 * * * *', '0 8 * * *', '30 2 * * *', '0 9,18 * * 1-5', '15 3 1 * *')
      .chain((expression) =>
        fc.constantFrom('Europe/Berlin', 'America/Santiago', 'UTC').map((zone) => cron(expression, zone)),
      ),
    fc
      .tuple(fc.integer({ min: 1, max: 3000 }), fc.nat(10_000))
      .map(([minutes, anchor]) => every(minutes * MINUTE, anchor)),
    fc
      .nat(40 * 1440)
      .map((minute): Rule => ({ kind: 'once', at: at('2026-10-01T00:00Z') + minute * MINUTE, timeZone: 'UTC' })),
  );
  const first: fc.Arbitrary<Due> = fc
    .record({
      rule,
      catchUp: fc.constantFrom<CatchUp>('latest', 'none', 'all'),
      windowMs: fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 3 * DAY })),
      endsAt: fc.oneof(
        { weight: 3, arbitrary: fc.constant(null) },
        fc.nat(40 * 1440).map((minute) => at('2026-10-01T00:00Z') + minute * MINUTE),
      ),
      since: fc.nat(30 * 86_400).map((second) => at('2026-10-01T00:00Z') + second * 1000),
    })
    .map(({ since, ...rest }) => ({ ...rest, next: nextSlot(rest.rule, since, almanac) }));
  const gone = fc.oneof(fc.nat(120_000), fc.nat(2 * DAY), fc.nat(4 * DAY));

  it('each due slot has one row, and the runs are those wanted', () => {
    fc.assert(
      fc.property(first, gone, (each, downtime) => {
        const now = (each.next?.at ?? 0) - 30_000 + downtime;
        expect(faults(each, now, wake(each, now, ours))).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('awake and asleep by turns: over all wakes one row for each slot', () => {
    fc.assert(
      fc.property(first, fc.array(gone, { minLength: 1, maxLength: 8 }), (each, sleeps) => {
        let rest = each;
        let now = (each.next?.at ?? 0) - 30_000;
        const rows: string[] = [];
        for (const sleep of sleeps) {
          now += sleep;
          const kept = wake(rest, now, ours);
          rows.push(...kept.rows.map(({ slot }) => slot.key));
          rest = { ...rest, next: kept.next };
        }
        const last = Math.min(now, each.endsAt ?? now);
        const expected = each.next ? slots(each.rule, each.next.at, last + 1, 100_000, almanac) : [];
        expect(rows.toSorted()).toEqual(expected.map(({ key }) => key).toSorted());
      }),
      { numRuns: 60 },
    );
  });

  it('a clock set back runs nothing again', () => {
    const each = due({ rule: cron('*/5 * * * *'), since: '2026-12-01T00:00Z' });
    const { next } = ours(each, at('2026-12-01T01:00Z'));
    expect(ours({ ...each, next }, at('2026-12-01T00:00Z'))).toMatchObject({ runs: [], missed: [], next });
  });
});

describe('the known-bad ways are found out', () => {
  const found = (decide: Decide, ask: Partial<Ask> = {}, now = '2026-12-01T08:00:20Z') => {
    const first = due({ rule: cron('*/5 * * * *'), since: '2026-12-01T00:00Z', ...ask });
    return faults(first, at(now), wake(first, at(now), decide));
  };

  it.each<[string, Decide, string[]]>([
    ['nothing is wrong', ours, []],
    [
      'each missed slot runs',
      (each, now) => {
        const settled = ours(each, now);
        const late = settled.missed.map(({ slot }) => ({
          slot,
          trigger: 'catch_up' as const,
          late: 0,
          missedBefore: 0,
        }));
        return { ...settled, missed: [], runs: [...late, ...settled.runs] };
      },
      ['too many runs', 'a run that is too old'],
    ],
    ['missed slots leave no row', (each, now) => ({ ...ours(each, now), missed: [] }), ['a due slot has no row']],
    [
      'nothing is made up for',
      (each, now) => {
        const settled = ours(each, now);
        return {
          ...settled,
          runs: [],
          missed: [...settled.missed, ...settled.runs.map(({ slot }) => ({ slot, why: 'too_old' as const }))],
        };
      },
      ['no run although one is due'],
    ],
    [
      'the next slot is counted from the last one that ran, not from now',
      (each, now) => ({ ...ours(each, now), next: nextSlot(each.rule, each.next!.at, almanac) }),
      ['a wrong next slot'],
    ],
    [
      'the last slot is settled again',
      (each, now) => {
        const settled = ours(each, now);
        return { ...settled, runs: [...settled.runs, ...settled.runs] };
      },
      ['a slot has two rows', 'too many runs'],
    ],
  ])('%s', (_, decide, faultsFound) => {
    expect(found(decide)).toEqual(expect.arrayContaining(faultsFound));
    if (faultsFound.length === 0) expect(found(decide)).toEqual([]);
  });

  it('pieces that each make up for themselves', () => {
    const greedy: Decide = (each, now) => {
      const piece = slots(each.rule, each.next!.at, now + 1, 500, almanac);
      const last = piece.at(-1)!;
      return misfire(each, last.at, almanac).runs.length > 0 && piece.length === 500
        ? { ...misfire(each, last.at, almanac), more: true }
        : ours(each, now);
    };
    expect(found(greedy, { rule: cron('* * * * *') }, '2026-12-02T00:00:20Z')).toContain('too many runs');
  });
});
