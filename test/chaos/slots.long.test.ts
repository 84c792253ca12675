// The long version of the five simulated years: every zone that changes its clocks, thirty expressions, and every minute of one year.
import { describe, expect, it } from 'vitest';
import { createAlmanac } from '../../scheduler/almanac.ts';
import { slots } from '../../scheduler/slots.ts';
import { differences, type OracleClock, oracleClock, oracleSlots } from '../helpers/slot-oracle.ts';

const DAY = 86_400_000;
const FROM = Date.UTC(2009, 0, 1);
const TO = Date.UTC(2031, 0, 1);

/** One zone for each history of clock changes: many names share one. */
function zones(): { zone: string; clock: OracleClock }[] {
  const byHistory = new Map<string, { zone: string; clock: OracleClock }>();
  for (const zone of Intl.supportedValuesOf('timeZone')) {
    const clock = oracleClock(zone, FROM - 3 * DAY, TO + 3 * DAY, 2 * DAY);
    byHistory.set(JSON.stringify([clock.offsets, clock.changes]), { zone, clock });
  }
  return [...byHistory.values()].filter(({ clock }) => clock.changes.length > 0);
}

const TIMES = [
  '30 2 * * *',
  '0 0 * * *',
  '0,20,40 0-4 * * *',
  '59 23 * * *',
  '15 1 1,15 * 1',
  '5 */6 * * *',
  '*/20 1,2 * * *',
];

describe('every history of clock changes since 2009', () => {
  it('slots are what the oracle says', { timeout: 900_000 }, () => {
    const almanac = createAlmanac();
    const histories = zones();
    expect(histories.length).toBeGreaterThan(100);
    for (const { zone, clock } of histories) {
      for (const change of clock.changes) {
        const from = change - 2 * DAY;
        const to = change + 2 * DAY;
        for (const expression of TIMES) {
          const made = slots({ kind: 'cron', expression, timeZone: zone }, from, to, Number.POSITIVE_INFINITY, almanac);
          const wrong = differences(made, oracleSlots(expression, clock, from, to));
          expect({ zone, expression, ...wrong }).toEqual({ zone, expression, missing: [], extra: [], double: [] });
        }
      }
    }
  });

  it('every minute of a year in zones of both hemispheres', { timeout: 300_000 }, () => {
    for (const zone of ['Europe/Berlin', 'Australia/Lord_Howe', 'America/Santiago']) {
      const from = Date.UTC(2026, 0, 1);
      const to = Date.UTC(2027, 0, 1);
      const clock = oracleClock(zone, from - 3 * DAY, to + 3 * DAY);
      const made = slots({ kind: 'cron', expression: '* * * * *', timeZone: zone }, from, to);
      expect(made).toHaveLength((to - from) / 60_000);
      expect(differences(made, oracleSlots('* * * * *', clock, from, to))).toEqual({
        missing: [],
        extra: [],
        double: [],
      });
    }
  });
});
