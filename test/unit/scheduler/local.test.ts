// Times and rules in words.
import { describe, expect, it } from 'vitest';
import type { Rule } from '../../../core/schedules.ts';
import { formatLocal, sayDuration, sayRule } from '../../../scheduler/local.ts';

const cron = (expression: string): Rule => ({ kind: 'cron', expression, timeZone: 'Europe/Berlin' });

describe('formatLocal', () => {
  it.each([
    ['2026-12-07T06:30Z', 'Europe/Berlin', 'Mon 2026-12-07 07:30 Europe/Berlin'],
    ['2026-12-06T23:00Z', 'Europe/Berlin', 'Mon 2026-12-07 00:00 Europe/Berlin'],
    ['2026-12-06T23:00Z', 'UTC', 'Sun 2026-12-06 23:00 UTC'],
    ['2026-12-06T23:59:59Z', 'Asia/Kolkata', 'Mon 2026-12-07 05:29 Asia/Kolkata'],
  ])('%s in %s', (at, zone, expected) => {
    expect(formatLocal(Date.parse(at), zone)).toBe(expected);
  });
});

describe('sayRule', () => {
  it.each<[Rule, string]>([
    [cron('30 7 * * 1-5'), 'At 07:30, Monday through Friday (Europe/Berlin)'],
    [cron('0 18 * * *'), 'At 18:00 (Europe/Berlin)'],
    [cron('*/15 * * * *'), 'Every 15 minutes (Europe/Berlin)'],
    [cron('0 9 13 * fri'), 'At 09:00, on day 13 of the month, or on Friday (Europe/Berlin)'],
    [{ kind: 'interval', every: 900_000, anchor: 0, timeZone: 'UTC' }, 'Every 15 minutes'],
    [{ kind: 'interval', every: 5_400_000, anchor: 0, timeZone: 'UTC' }, 'Every 1 hour 30 minutes'],
    [
      { kind: 'once', at: Date.parse('2026-12-07T06:30Z'), timeZone: 'Europe/Berlin' },
      'Once, Mon 2026-12-07 07:30 Europe/Berlin',
    ],
    [{ kind: 'manual', timeZone: 'UTC' }, 'By hand or by a webhook'],
  ])('%j: %s', (rule, said) => {
    expect(sayRule(rule)).toBe(said);
  });
});

describe('sayDuration', () => {
  it.each([
    [60_000, 'minute'],
    [1_200_000, '20 minutes'],
    [7_200_000, '2 hours'],
    [172_800_000, '2 days'],
    [1_209_600_000, '2 weeks'],
    [61_001, '1 minute 1 second 1 millisecond'],
  ])('%i: %s', (ms, said) => {
    expect(sayDuration(ms)).toBe(said);
  });
});
