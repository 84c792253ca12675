// Days and moments in a zone: the first instant of a day is exact, also where clocks change at midnight.
import { describe, expect, it } from 'vitest';
import { calendar, momentOf, startOfDay } from '../../../core/usage.ts';

describe('the start of a day', () => {
  it.each([
    ['2026-03-29', 'UTC', '2026-03-29T00:00:00.000Z'],
    ['2026-03-29', 'Europe/Berlin', '2026-03-28T23:00:00.000Z'],
    ['2026-03-30', 'Europe/Berlin', '2026-03-29T22:00:00.000Z'],
    ['2026-07-01', 'Pacific/Kiritimati', '2026-06-30T10:00:00.000Z'],
    ['2026-07-01', 'Etc/GMT+12', '2026-07-01T12:00:00.000Z'],
    ['2026-07-01', 'Asia/Kathmandu', '2026-06-30T18:15:00.000Z'],
    // There is no midnight on this day.
    ['2018-11-04', 'America/Sao_Paulo', '2018-11-04T03:00:00.000Z'],
  ])('%s in %s is %s', (day, zone, expected) => {
    const at = startOfDay(day, zone)!;
    expect(new Date(at).toISOString()).toBe(expected);
    expect([calendar(zone)(at - 1) < day, calendar(zone)(at)]).toEqual([true, day]);
  });

  it.each(['2026-02-30', '2026-13-01', '26-1-1', '', 'yesterday'])('is none of “%s”', (day) => {
    expect(startOfDay(day, 'UTC')).toBeNull();
  });
});

it('a moment is a day or a time', () => {
  expect(momentOf('2026-03-31', 'Europe/Berlin')).toBe(Date.UTC(2026, 2, 30, 22));
  expect(momentOf('2026-03-31T10:00:00+02:00', 'UTC')).toBe(Date.UTC(2026, 2, 31, 8));
  for (const text of ['2026-03-31T99:00:00Z', 'March', '0', '2026', ' 2026-03-31 '])
    expect(momentOf(text, 'UTC'), text).toBeNull();
});
