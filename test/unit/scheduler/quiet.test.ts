// Quiet hours: when they end, through midnight and changes of clocks, against a walk minute by minute.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAlmanac } from '../../../scheduler/almanac.ts';
import { checkQuiet, quietUntil } from '../../../scheduler/quiet.ts';
import { oracleClock } from '../../helpers/slot-oracle.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const night = { from: '22:00', to: '07:00' };
const until = (quiet: typeof night, zone: string, now: string) => {
  const end = quietUntil(quiet, zone, Date.parse(now));
  return end === null ? null : new Date(end).toISOString().slice(0, 16);
};

describe('quietUntil', () => {
  it('goes over midnight, includes its beginning and not its end', () => {
    expect(until(night, 'Europe/Berlin', '2026-12-01T20:59Z')).toBeNull();
    expect(until(night, 'Europe/Berlin', '2026-12-01T21:00Z')).toBe('2026-12-02T06:00');
    expect(until(night, 'Europe/Berlin', '2026-12-02T05:59:59Z')).toBe('2026-12-02T06:00');
    expect(until(night, 'Europe/Berlin', '2026-12-02T06:00Z')).toBeNull();
  });

  it('is an hour shorter or longer in the night the clocks are changed', () => {
    expect(until(night, 'Europe/Berlin', '2026-03-28T21:00Z')).toBe('2026-03-29T05:00');
    expect(until(night, 'Europe/Berlin', '2026-10-24T20:00Z')).toBe('2026-10-25T06:00');
  });

  it('ends with the gap when its end is skipped', () => {
    expect(until({ from: '22:00', to: '02:30' }, 'Europe/Berlin', '2026-03-28T23:00Z')).toBe('2026-03-29T01:00');
  });

  it('a span within a day', () => {
    expect(until({ from: '12:00', to: '13:30' }, 'Asia/Kolkata', '2026-12-01T07:00Z')).toBe('2026-12-01T08:00');
    expect(until({ from: '12:00', to: '13:30' }, 'Asia/Kolkata', '2026-12-01T06:00Z')).toBeNull();
  });

  it('agrees with a clock that is looked at each minute', () => {
    const from = Date.UTC(2026, 0, 1);
    const zones = ['Europe/Berlin', 'Australia/Lord_Howe', 'America/Santiago', 'Antarctica/Troll'];
    const clocks = zones.map((zone) => oracleClock(zone, from - 2 * DAY, from + 370 * DAY));
    const almanac = createAlmanac();
    // Most of the nights looked at are those in which a clock is changed.
    const moment = fc
      .tuple(fc.nat(zones.length - 1), fc.nat(), fc.integer({ min: -1440, max: 1440 }))
      .map(([zone, change, minutes]) => {
        const changes = clocks[zone]!.changes;
        return { zone, now: changes[change % changes.length]! + minutes * MINUTE };
      });
    const time = fc.integer({ min: 0, max: 95 }).map((quarter) => quarter * 15);
    const write = (minute: number) => new Date(minute * MINUTE).toISOString().slice(11, 16);
    fc.assert(
      fc.property(moment, time, time, ({ zone, now }, a, b) => {
        fc.pre(a !== b);
        const inside = (at: number) => {
          const shown = Math.floor((clocks[zone]!.shows(at) % DAY) / MINUTE);
          return a < b ? shown >= a && shown < b : shown >= a || shown < b;
        };
        let end = now;
        while (inside(end)) end += MINUTE;
        expect(quietUntil({ from: write(a), to: write(b) }, zones[zone]!, now, almanac)).toBe(end === now ? null : end);
      }),
      { numRuns: 300 },
    );
  });
});

describe('checkQuiet', () => {
  it('says what is wrong', () => {
    expect(checkQuiet(night)).toEqual([]);
    expect(checkQuiet({ from: '24:00', to: '7:00' })).toEqual([
      'Quiet hours: "24:00" is not a time of day; write it as 22:00.',
      'Quiet hours: "7:00" is not a time of day; write it as 22:00.',
    ]);
    expect(checkQuiet({ from: '07:00', to: '07:00' })[0]).toMatch(/all day/);
    expect(quietUntil({ from: '07:00', to: '07:00' }, 'UTC', 0)).toBeNull();
  });
});
