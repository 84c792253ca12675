// Slots case by case: what happens where clocks change, which days an expression means, and that nothing is ever due twice.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Rule } from '../../../core/schedules.ts';
import { createAlmanac } from '../../../scheduler/almanac.ts';
import { nextSlot, slots } from '../../../scheduler/slots.ts';

const HOUR = 3_600_000;
const cron = (expression: string, timeZone: string): Rule => ({ kind: 'cron', expression, timeZone });
const between = (rule: Rule, from: string, to: string) =>
  slots(rule, Date.parse(from), Date.parse(to)).map(
    ({ at, key }) => `${new Date(at).toISOString().slice(0, 16)}Z ${key}`,
  );

interface Case {
  name: string;
  zone: string;
  expression: string;
  from: string;
  to: string;
  /** Instant and key. */
  due: string[];
}

const cases: Case[] = [
  {
    name: 'a skipped time comes at the first instant after the gap',
    zone: 'Europe/Berlin',
    expression: '30 2 * * *',
    from: '2026-03-28T12:00Z',
    to: '2026-03-30T12:00Z',
    due: ['2026-03-29T01:00Z 2026-03-29T03:00', '2026-03-30T00:30Z 2026-03-30T02:30'],
  },
  {
    name: 'the same in New York',
    zone: 'America/New_York',
    expression: '30 2 * * *',
    from: '2027-03-14T00:00Z',
    to: '2027-03-15T00:00Z',
    due: ['2027-03-14T07:00Z 2027-03-14T03:00'],
  },
  {
    name: 'several times in one gap, and one on its end, are one slot',
    zone: 'Europe/Berlin',
    expression: '0,20,40 2,3 * * *',
    from: '2026-03-29T00:00Z',
    to: '2026-03-30T00:00Z',
    due: [
      '2026-03-29T01:00Z 2026-03-29T03:00',
      '2026-03-29T01:20Z 2026-03-29T03:20',
      '2026-03-29T01:40Z 2026-03-29T03:40',
    ],
  },
  {
    name: 'of a time that comes twice the first counts',
    zone: 'Europe/Berlin',
    expression: '30 2 * * *',
    from: '2026-10-25T00:00Z',
    to: '2026-10-26T00:00Z',
    due: ['2026-10-25T00:30Z 2026-10-25T02:30'],
  },
  {
    name: 'the same in Sydney',
    zone: 'Australia/Sydney',
    expression: '30 2 * * *',
    from: '2026-04-04T00:00Z',
    to: '2026-04-05T00:00Z',
    due: ['2026-04-04T15:30Z 2026-04-05T02:30'],
  },
  {
    name: 'several named times in the hour that comes twice: once each',
    zone: 'Europe/Berlin',
    expression: '0,30 2 * * *',
    from: '2026-10-25T00:00Z',
    to: '2026-10-26T00:00Z',
    due: ['2026-10-25T00:00Z 2026-10-25T02:00', '2026-10-25T00:30Z 2026-10-25T02:30'],
  },
  {
    name: 'an open minute follows the running clock through both hours',
    zone: 'Europe/Berlin',
    expression: '*/20 2 * * *',
    from: '2026-10-25T00:00Z',
    to: '2026-10-26T00:00Z',
    due: ['00:00', '00:20', '00:40', '01:00', '01:20', '01:40'].map((t) => `2026-10-25T${t}Z 2026-10-25T${t}:00Z`),
  },
  {
    name: 'an open minute has nothing in a skipped hour',
    zone: 'Europe/Berlin',
    expression: '*/20 2 * * *',
    from: '2026-03-29T00:00Z',
    to: '2026-03-29T12:00Z',
    due: [],
  },
  {
    name: 'half past each hour, across a gap: no hour has more than one',
    zone: 'Europe/Berlin',
    expression: '30 * * * *',
    from: '2026-03-29T00:00Z',
    to: '2026-03-29T03:00Z',
    due: ['00:30', '01:30', '02:30'].map((t) => `2026-03-29T${t}Z 2026-03-29T${t}:00Z`),
  },
  {
    name: 'a gap of half an hour',
    zone: 'Australia/Lord_Howe',
    expression: '15 2 * * *',
    from: '2026-10-03T12:00Z',
    to: '2026-10-04T18:00Z',
    due: ['2026-10-03T15:30Z 2026-10-04T02:30', '2026-10-04T15:15Z 2026-10-05T02:15'],
  },
  {
    name: 'half an hour that comes twice',
    zone: 'Australia/Lord_Howe',
    expression: '45 1 * * *',
    from: '2026-04-04T12:00Z',
    to: '2026-04-05T12:00Z',
    due: ['2026-04-04T14:45Z 2026-04-05T01:45'],
  },
  {
    name: 'a day that begins at one',
    zone: 'America/Santiago',
    expression: '0 0 * * *',
    from: '2026-09-05T12:00Z',
    to: '2026-09-06T12:00Z',
    due: ['2026-09-06T04:00Z 2026-09-06T01:00'],
  },
  {
    name: 'midnight that does not exist in Cairo',
    zone: 'Africa/Cairo',
    expression: '0 0 * * *',
    from: '2026-04-23T12:00Z',
    to: '2026-04-24T12:00Z',
    due: ['2026-04-23T22:00Z 2026-04-24T01:00'],
  },
  {
    name: 'midnight that comes twice in Beirut: 23:30 is said twice, the first counts',
    zone: 'Asia/Beirut',
    expression: '30 23 * * *',
    from: '2026-10-24T12:00Z',
    to: '2026-10-25T12:00Z',
    due: ['2026-10-24T20:30Z 2026-10-24T23:30'],
  },
  {
    name: 'two hours at once',
    zone: 'Antarctica/Troll',
    expression: '30 1,2 * * *',
    from: '2026-03-29T00:00Z',
    to: '2026-03-29T12:00Z',
    due: ['2026-03-29T01:00Z 2026-03-29T03:00'],
  },
  {
    name: 'a whole day that never was',
    zone: 'Pacific/Apia',
    expression: '0 8 * * *',
    from: '2011-12-29T12:00Z',
    to: '2011-12-31T20:00Z',
    due: [
      '2011-12-29T18:00Z 2011-12-29T08:00',
      '2011-12-30T10:00Z 2011-12-31T00:00',
      '2011-12-30T18:00Z 2011-12-31T08:00',
      '2011-12-31T18:00Z 2012-01-01T08:00',
    ],
  },
  {
    name: 'a zone that gave up its winter time',
    zone: 'America/Asuncion',
    expression: '0 12 1 7 *',
    from: '2024-01-01T00:00Z',
    to: '2027-01-01T00:00Z',
    due: [
      '2024-07-01T16:00Z 2024-07-01T12:00',
      '2025-07-01T15:00Z 2025-07-01T12:00',
      '2026-07-01T15:00Z 2026-07-01T12:00',
    ],
  },
  {
    name: 'the 31st, in months that have one',
    zone: 'UTC',
    expression: '0 9 31 * *',
    from: '2026-01-01T00:00Z',
    to: '2026-07-01T00:00Z',
    due: ['01', '03', '05'].map((month) => `2026-${month}-31T09:00Z 2026-${month}-31T09:00`),
  },
  {
    name: 'the 29th of February, also around a year without one',
    zone: 'UTC',
    expression: '0 9 29 2 *',
    from: '2096-01-01T00:00Z',
    to: '2105-01-01T00:00Z',
    due: ['2096-02-29T09:00Z 2096-02-29T09:00', '2104-02-29T09:00Z 2104-02-29T09:00'],
  },
  {
    name: 'a day of the month or a day of the week, when both are named',
    zone: 'UTC',
    expression: '0 9 13 * fri',
    from: '2026-11-10T00:00Z',
    to: '2026-11-28T00:00Z',
    due: ['13', '20', '27'].map((day) => `2026-11-${day}T09:00Z 2026-11-${day}T09:00`),
  },
  {
    name: 'both names of Sunday, and a range over the end of the week',
    zone: 'UTC',
    expression: '0 9 * * sat-sun',
    from: '2026-11-02T00:00Z',
    to: '2026-11-09T00:00Z',
    due: ['07', '08'].map((day) => `2026-11-${day}T09:00Z 2026-11-${day}T09:00`),
  },
  {
    name: '7 is Sunday',
    zone: 'UTC',
    expression: '0 9 * * 5-7/2',
    from: '2026-11-02T00:00Z',
    to: '2026-11-09T00:00Z',
    due: ['06', '08'].map((day) => `2026-11-${day}T09:00Z 2026-11-${day}T09:00`),
  },
];

describe('cron', () => {
  it.each(cases)('$name ($zone, $expression)', ({ zone, expression, from, to, due }) => {
    expect(between(cron(expression, zone), from, to)).toEqual(due);
  });

  it.each([
    // The day, or the month, that an expression names ends while the clock is about to show its last hours once more.
    ['*/30 0,2 * * 0', 'Europe/Berlin', '2027-10-31', ['00:00', '00:30', '01:00', '01:30']],
    ['0 * * * 6', 'America/Santiago', '2027-04-04', ['02:00', '03:00']],
    ['0 * * 1,10 *', 'Africa/Cairo', '2024-10-31', ['19:00', '20:00', '21:00']],
  ] as const)(
    'comes in both passes of a repeated hour, the last that is named: %s in %s',
    (expression, zone, day, due) => {
      const at = due.map((time) => Date.parse(`${day}T${time}Z`));
      expect(slots(cron(expression, zone), at[0]!, at[0]! + 5 * HOUR).map((slot) => slot.at)).toEqual(at);
    },
  );

  it('hourly is 72 times in 72 hours, whichever way the clock is changed', () => {
    for (const begin of ['2026-10-24T00:00Z', '2026-03-28T00:00Z']) {
      const from = Date.parse(begin);
      const due = slots(cron('0 * * * *', 'Europe/Berlin'), from, from + 72 * HOUR);
      expect(due.map(({ at }) => at)).toEqual(Array.from({ length: 72 }, (_, hour) => from + hour * HOUR));
      expect(new Set(due.map(({ key }) => key)).size).toBe(72);
    }
  });

  it('has an end: no day of the calendar is left', () => {
    expect(nextSlot(cron('0 9 29 2 *', 'UTC'), Date.UTC(9996, 2, 1))).toBeNull();
  });

  it('refuses to work with an expression that was never checked', () => {
    expect(() => nextSlot(cron('0 9 30 2 *', 'UTC'), 0)).toThrow(RangeError);
  });
});

describe('intervals', () => {
  const rule: Rule = {
    kind: 'interval',
    every: 90 * 60_000,
    anchor: Date.parse('2026-10-24T22:00Z'),
    timeZone: 'Europe/Berlin',
  };

  it('are elapsed time, through a change of clocks, from their anchor on', () => {
    expect(between(rule, '2026-10-20T00:00Z', '2026-10-25T03:00Z')).toEqual([
      '2026-10-24T22:00Z 2026-10-24T22:00:00Z',
      '2026-10-24T23:30Z 2026-10-24T23:30:00Z',
      '2026-10-25T01:00Z 2026-10-25T01:00:00Z',
      '2026-10-25T02:30Z 2026-10-25T02:30:00Z',
    ]);
  });

  it('may be longer than a timer can wait', () => {
    const yearly: Rule = { kind: 'interval', every: 365 * 24 * HOUR, anchor: Date.UTC(2020, 0, 1), timeZone: 'UTC' };
    expect(between(yearly, '2025-01-01T00:00Z', '2027-01-01T00:00Z')).toEqual([
      '2025-12-30T00:00Z 2025-12-30T00:00:00Z',
      '2026-12-30T00:00Z 2026-12-30T00:00:00Z',
    ]);
  });

  it('keep the milliseconds of an anchor that has some', () => {
    expect(nextSlot({ ...rule, anchor: 1234 }, 0)).toEqual({ at: 1234, key: '1970-01-01T00:00:01.234Z' });
  });
});

describe('the others', () => {
  it('once is once', () => {
    const rule: Rule = { kind: 'once', at: 1_000_000, timeZone: 'UTC' };
    expect(slots(rule, 0, 2_000_000)).toEqual([{ at: 1_000_000, key: '1970-01-01T00:16:40Z' }]);
    expect(nextSlot(rule, 1_000_000)).toBeNull();
    expect(slots(rule, 1_000_000, 1_000_001)).toHaveLength(1);
    expect(slots(rule, 0, 1_000_000)).toEqual([]);
  });

  it('manual is never due', () => {
    expect(nextSlot({ kind: 'manual', timeZone: 'UTC' }, 0)).toBeNull();
  });

  it('stops at the limit', () => {
    expect(slots(cron('* * * * *', 'UTC'), 0, Number.POSITIVE_INFINITY, 3)).toHaveLength(3);
  });
});

describe('whatever the rule', () => {
  const number = (least: number, most: number) => fc.integer({ min: least, max: most });
  const field = (least: number, most: number) =>
    fc.oneof(
      { weight: 2, arbitrary: fc.constant('*') },
      { weight: 3, arbitrary: number(least, most).map(String) },
      fc.uniqueArray(number(least, most), { minLength: 2, maxLength: 3 }).map((list) => list.join(',')),
      fc.tuple(number(least, most), number(least, most)).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      number(2, 15).map((step) => `*/${Math.min(step, most)}`),
    );
  const zone = fc.constantFrom(
    'Europe/Berlin',
    'Australia/Lord_Howe',
    'America/Santiago',
    'Africa/Casablanca',
    'Asia/Kolkata',
  );
  const rule: fc.Arbitrary<Rule> = fc
    .tuple(
      field(0, 59),
      field(0, 23),
      fc.constantFrom('*', '1', '28', '1-15/7'),
      fc.constantFrom('*', '3', '10', '3-10'),
      field(0, 6),
      zone,
    )
    .map(([minute, hour, day, month, weekday, timeZone]) =>
      cron(`${minute} ${hour} ${day} ${month} ${weekday}`, timeZone),
    );
  const almanac = createAlmanac();
  const instant = number(Date.UTC(2024, 0, 1) / 1000, Date.UTC(2030, 0, 1) / 1000).map((seconds) => seconds * 1000);

  it('slots rise, are strictly after, and no key comes twice', () => {
    fc.assert(
      fc.property(rule, instant, (each, from) => {
        const due = slots(each, from, from + 400 * 24 * HOUR, 40, almanac);
        expect(due.every(({ at }, index) => at >= from && (index === 0 || at > due[index - 1]!.at))).toBe(true);
        expect(new Set(due.map(({ key }) => key)).size).toBe(due.length);
      }),
    );
  });

  it('a stretch of time cut anywhere has the same slots', () => {
    fc.assert(
      fc.property(rule, instant, number(0, 72 * 3600), (each, from, cut) => {
        const to = from + 72 * HOUR;
        const at = from + cut * 1000;
        const whole = slots(each, from, to, 500, almanac);
        fc.pre(whole.length < 500);
        const parts = [...slots(each, from, at, 1000, almanac), ...slots(each, at, to, 1000, almanac)];
        expect(parts).toEqual(whole);
      }),
    );
  });

  it('an almanac that was used for other things, or is new, says the same', () => {
    fc.assert(
      fc.property(rule, instant, (each, from) => {
        expect(nextSlot(each, from)).toEqual(nextSlot(each, from, almanac));
      }),
      { numRuns: 30 },
    );
  });
});

describe('speed', () => {
  it('the next slot costs microseconds once its zone and expression are known', () => {
    const almanac = createAlmanac();
    const rules = ['30 7 * * 1-5', '0 9 1 * *', '*/15 * * * *', '0 0 29 2 *'].map((each) =>
      cron(each, 'Europe/Berlin'),
    );
    const from = Date.UTC(2026, 0, 1);
    const round = () => {
      const begin = performance.now();
      for (let index = 0; index < 1000; index += 1) nextSlot(rules[index % 4]!, from + index * 60_000, almanac);
      return performance.now() - begin;
    };
    round();
    // Measured 2 µs each; the limit leaves room for a busy machine. The best of twenty rounds.
    expect(Math.min(...Array.from({ length: 20 }, round))).toBeLessThan(50);
  });
});
