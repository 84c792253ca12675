// Stretches of even time in every zone, against Intl asked directly.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAlmanac } from '../../../scheduler/almanac.ts';
import { instantOf, wallOf } from '../../../scheduler/wall.ts';
import { oracleClock } from '../../helpers/slot-oracle.ts';

const HOUR = 3_600_000;
/** What a clock there shows, as if it were UTC. */
function shows(timeZone: string, instant: number): number {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
  return Date.parse(`${format.format(instant).replace(' ', 'T')}Z`);
}

describe('stretchAt', () => {
  it('a change at the very instant that was probed is found to the second', () => {
    const change = Date.parse('2016-10-30T02:00Z');
    const almanac = createAlmanac();
    expect(almanac.stretchAt('Africa/El_Aaiun', change - 1)).toMatchObject({ until: change, offset: HOUR });
    expect(almanac.stretchAt('Africa/El_Aaiun', change)).toMatchObject({ from: change, offset: 0, before: HOUR });
  });

  it('holds from its first second to its last, in any zone', () => {
    const almanac = createAlmanac();
    const zone = fc.constantFrom(...Intl.supportedValuesOf('timeZone'));
    const second = fc.integer({ min: Date.UTC(1970, 0, 3) / 1000, max: Date.UTC(2040, 0, 1) / 1000 });
    fc.assert(
      fc.property(zone, second, (timeZone, at) => {
        const { from, until, offset, before } = almanac.stretchAt(timeZone, at * 1000);
        expect(from <= at * 1000 && at * 1000 < until).toBe(true);
        for (const instant of [from, at * 1000, until - 1000]) {
          expect(shows(timeZone, instant) - instant).toBe(offset);
        }
        expect(shows(timeZone, from - 1000) - (from - 1000)).toBe(before);
      }),
      { numRuns: 200 },
    );
  });

  it('finds each change there was in a zone full of them', () => {
    const zone = 'Africa/Casablanca';
    const from = Date.UTC(2009, 0, 1);
    const to = Date.UTC(2027, 0, 1);
    const almanac = createAlmanac();
    const found: number[] = [];
    for (let t = from; t < to; t = almanac.stretchAt(zone, t).until) {
      const stretch = almanac.stretchAt(zone, t);
      if (stretch.from > from && stretch.before !== stretch.offset) found.push(stretch.from);
    }
    expect(found).toEqual(oracleClock(zone, from, to).changes.filter((change) => change < to));
  });
});

describe('wall time', () => {
  it('goes there and back, but for hours that are skipped or repeated', () => {
    const almanac = createAlmanac();
    const zone = fc.constantFrom(
      'Europe/Berlin',
      'Australia/Lord_Howe',
      'America/Santiago',
      'Pacific/Apia',
      'Africa/Monrovia',
    );
    const second = fc.integer({ min: 3 * 86_400, max: Date.UTC(2040, 0, 1) / 1000 });
    fc.assert(
      fc.property(zone, second, (timeZone, at) => {
        const instant = at * 1000;
        const back = instantOf(wallOf(instant, timeZone, almanac), timeZone, almanac);
        expect(back).toBeLessThanOrEqual(instant);
        expect(instant - back).toBeLessThanOrEqual(HOUR);
        expect(wallOf(back, timeZone, almanac)).toBe(wallOf(instant, timeZone, almanac));
        // Of a wall time that is not there: the first instant at which the clock is past it.
        const wall = at * 1000;
        const meant = instantOf(wall, timeZone, almanac);
        expect(wallOf(meant, timeZone, almanac)).toBeGreaterThanOrEqual(wall);
        expect(wallOf(meant - 1000, timeZone, almanac)).toBeLessThan(wall);
      }),
      { numRuns: 300 },
    );
  });
});
