// Five years in twelve zones, ten expressions each, every slot against the brute-force oracle; and proof that it bites.
import { Cron } from 'croner';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAlmanac } from '../../../scheduler/almanac.ts';
import { slots } from '../../../scheduler/slots.ts';
import { differences, type OracleSlot, oracleClock, oracleSlots } from '../../helpers/slot-oracle.ts';

const DAY = 86_400_000;
const FROM = Date.UTC(2023, 0, 1);
const TO = Date.UTC(2028, 0, 1);

/** Both hemispheres, half an hour, two hours, midnight, Ramadan, and three that changed their rule in the time looked at. */
const ZONES = [
  'Europe/Berlin',
  'America/New_York',
  'Australia/Sydney',
  'Australia/Lord_Howe',
  'America/Santiago',
  'America/Asuncion', // gave up its winter time in October 2024
  'America/Nuuk', // moved an hour in March 2023, and took up summer time again in 2024
  'Africa/Cairo', // took up summer time again in 2023
  'Africa/Casablanca',
  'Asia/Beirut',
  'Antarctica/Troll',
  'Pacific/Chatham',
];

const EXPRESSIONS = [
  '30 2 * * *',
  '0 0 * * *',
  '30 7 * * 1-5',
  '0 * * * *',
  '*/20 2 * * *',
  '5 */6 * * *',
  // Several times in one gap, and one that falls on its end.
  '0,30 0,1,2,3 * * 0,4-6',
  // On a day of the month or a day of the week.
  '15 1 1,15 * 1',
  '0 12 31 * *',
  '45 23 29 2 *',
];

/** `difference` of one zone and expression, with slots made by `make`. */
type Make = (expression: string, timeZone: string) => OracleSlot[];
const clocks = new Map(ZONES.map((zone) => [zone, null as ReturnType<typeof oracleClock> | null]));
function clockOf(zone: string) {
  const clock = clocks.get(zone) ?? oracleClock(zone, FROM - 3 * DAY, TO + 3 * DAY);
  clocks.set(zone, clock);
  return clock;
}
const compare = (make: Make, expression: string, timeZone: string) =>
  differences(make(expression, timeZone), oracleSlots(expression, clockOf(timeZone), FROM, TO));

const almanac = createAlmanac();
const ours: Make = (expression, timeZone) =>
  slots({ kind: 'cron', expression, timeZone }, FROM, TO, Number.POSITIVE_INFINITY, almanac);

describe('five years against the oracle: nothing missing, nothing double', () => {
  it.each(ZONES)('%s', (zone) => {
    for (const expression of EXPRESSIONS) {
      expect({ expression, ...compare(ours, expression, zone) }).toEqual({
        expression,
        missing: [],
        extra: [],
        double: [],
      });
    }
  });

  it('is about enough slots to mean something', () => {
    const count = (zone: string) => EXPRESSIONS.reduce((sum, each) => sum + ours(each, zone).length, 0);
    expect(count('Europe/Berlin')).toBeGreaterThan(60_000);
  });
});

describe('any expression, around the days on which clocks are changed', () => {
  it('is what the oracle says', () => {
    const number = (least: number, most: number) => fc.integer({ min: least, max: most });
    const list = (least: number, most: number) =>
      fc.uniqueArray(number(least, most), { minLength: 1, maxLength: 4 }).map((values) => values.join(','));
    const field = (least: number, most: number) =>
      fc.oneof(
        { weight: 3, arbitrary: list(least, most) },
        fc.tuple(number(least, most), number(least, most)).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
        number(2, 20).map((step) => `*/${Math.min(step, most)}`),
      );
    const sometimes = (arbitrary: fc.Arbitrary<string>) =>
      fc.oneof({ weight: 4, arbitrary: fc.constant('*') }, arbitrary);
    const expression = fc
      .tuple(
        field(0, 59),
        // Clocks are changed in the small hours; an hour is seldom left open, so that there are not too many slots.
        fc.oneof({ weight: 8, arbitrary: list(0, 4) }, field(0, 23), fc.constant('*')),
        sometimes(field(1, 28)),
        sometimes(list(1, 12)),
        sometimes(field(0, 6)),
      )
      .map((fields) => fields.join(' '));
    fc.assert(
      fc.property(expression, fc.constantFrom(...ZONES), fc.nat(), number(-3, 1), (each, zone, change, days) => {
        const clock = clockOf(zone);
        const from = clock.changes[change % clock.changes.length]! + days * DAY;
        const to = from + 4 * DAY;
        const made = slots(
          { kind: 'cron', expression: each, timeZone: zone },
          from,
          to,
          Number.POSITIVE_INFINITY,
          almanac,
        );
        expect(differences(made, oracleSlots(each, clock, from, to))).toEqual({ missing: [], extra: [], double: [] });
      }),
      { numRuns: 400 },
    );
  });
});

describe('the known-bad ways are found out', () => {
  const some = (make: Make, expressions: string[], zone = 'Europe/Berlin') =>
    expressions.map((expression) => compare(make, expression, zone));

  it('the clock looked at each minute, as node-cron does: times in the gap never come, those in the overlap twice', () => {
    const naive: Make = (expression, zone) => {
      const wall = oracleSlots(expression, { shows: (t) => t, offsets: [0], changes: [] }, FROM - DAY, TO + DAY);
      const clock = clockOf(zone);
      return wall
        .flatMap(({ at }) => clock.offsets.map((offset) => at - offset).filter((t) => clock.shows(t) === at))
        .filter((at) => at >= FROM && at < TO)
        .map((at) => ({ at, key: new Date(clock.shows(at)).toISOString().slice(0, 16) }));
    };
    const [daily] = some(naive, ['30 2 * * *']);
    expect(daily!.missing).toHaveLength(5);
    expect(daily!.double).toHaveLength(5);
  });

  it('croner without our layer', () => {
    const croner: Make = (expression, zone) => {
      const cron = new Cron(expression, { timezone: zone, paused: true });
      const found: OracleSlot[] = [];
      const clock = clockOf(zone);
      for (let at = FROM - 1; ; ) {
        const next = cron.nextRun(new Date(at));
        if (!next || next.getTime() >= TO) return found;
        at = next.getTime();
        found.push({ at, key: new Date(clock.shows(at)).toISOString().slice(0, 16) });
      }
    };
    const [lists] = some(croner, ['0,30 0,1,2,3 * * 0,4-6']);
    expect(lists!.double.length).toBeGreaterThan(0);
  });

  it('one offset for the whole year', () => {
    const fixed: Make = (expression, zone) => {
      const offset = clockOf(zone).shows(FROM) - FROM;
      return oracleSlots(expression, { shows: (t) => t + offset, offsets: [offset], changes: [] }, FROM, TO);
    };
    expect(some(fixed, ['30 7 * * 1-5'])[0]!.missing.length).toBeGreaterThan(500);
  });

  it('skipped times that are not made one slot', () => {
    const twice: Make = (expression, zone) => {
      const each = ours(expression, zone);
      return each.flatMap((slot) => (slot.key.endsWith('T03:00') ? [slot, slot] : [slot]));
    };
    expect(some(twice, ['0,30 0,1,2,3 * * 0,4-6'])[0]!.double.length).toBeGreaterThan(0);
  });

  it('an almanac that looks at a zone once a year', () => {
    const lazy: Make = (expression, timeZone) =>
      slots({ kind: 'cron', expression, timeZone }, FROM, TO, Number.POSITIVE_INFINITY, {
        ...almanac,
        stretchAt: (zone) => {
          const { offset } = almanac.stretchAt(zone, FROM);
          return { from: FROM - 400 * DAY, until: TO + 400 * DAY, offset, before: offset };
        },
      });
    expect(some(lazy, ['0 0 * * *'], 'Africa/Casablanca')[0]!.missing.length).toBeGreaterThan(100);
  });
});
