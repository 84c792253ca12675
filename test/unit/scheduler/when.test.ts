// Times in words: what they are read as, what is refused and how, and that no input costs more than it is long.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeError, StewardError } from '../../../core/errors.ts';
import { formatLocal } from '../../../scheduler/local.ts';
import { problemsOf } from '../../../scheduler/rules.ts';
import { CAN_READ, readWhen } from '../../../scheduler/when.ts';

const ZONE = 'Europe/Berlin';
/** Tue 2026-12-01 14:10:20 on the wall. */
const NOW = Date.parse('2026-12-01T13:10:20Z');

function reads(words: string, now = NOW, timeZone = ZONE): string {
  const rule = readWhen(words, { timeZone, now });
  if (rule.kind === 'cron') return `${rule.expression} ${rule.timeZone}`;
  if (rule.kind === 'interval') return `every ${rule.every / 60_000} from ${formatLocal(rule.anchor, rule.timeZone)}`;
  return rule.kind === 'once' ? formatLocal(rule.at, rule.timeZone).replace(` ${ZONE}`, '') : rule.kind;
}

describe('once', () => {
  it.each([
    ['in 20 minutes', 'Tue 2026-12-01 14:30'],
    ['in 5 min', 'Tue 2026-12-01 14:15'],
    ['remind me in 5 min', 'Tue 2026-12-01 14:15'],
    ['in an hour', 'Tue 2026-12-01 15:10'],
    ['in an hour and a half', 'Tue 2026-12-01 15:40'],
    ['In Half An Hour.', 'Tue 2026-12-01 14:40'],
    ['in 1h30m', 'Tue 2026-12-01 15:40'],
    ['in 1.5 hours', 'Tue 2026-12-01 15:40'],
    ['in two hours and 15 minutes', 'Tue 2026-12-01 16:25'],
    ['in 3 days', 'Fri 2026-12-04 14:10'],
    ['in 3 days at 9', 'Fri 2026-12-04 09:00'],
    ['in a week', 'Tue 2026-12-08 14:10'],
    ['tomorrow', 'Wed 2026-12-02 09:00'],
    ['tomorrow at 9', 'Wed 2026-12-02 09:00'],
    ['at 9 tomorrow', 'Wed 2026-12-02 09:00'],
    ['tomorrow morning', 'Wed 2026-12-02 08:00'],
    ['tomorrow evening at 7', 'Wed 2026-12-02 19:00'],
    ['the day after tomorrow at 7', 'Thu 2026-12-03 07:00'],
    ['at 17:30', 'Tue 2026-12-01 17:30'],
    ['17:30', 'Tue 2026-12-01 17:30'],
    ['at 17.30', 'Tue 2026-12-01 17:30'],
    ['at 14:10', 'Wed 2026-12-02 14:10'],
    ['at 9', 'Wed 2026-12-02 09:00'],
    ['9am', 'Wed 2026-12-02 09:00'],
    ['at 5 p.m.', 'Tue 2026-12-01 17:00'],
    ['at 12am', 'Wed 2026-12-02 00:00'],
    ['at 12pm', 'Wed 2026-12-02 12:00'],
    ['at 5 in the afternoon', 'Tue 2026-12-01 17:00'],
    ['at 9 in the evening', 'Tue 2026-12-01 21:00'],
    ["at seven o'clock", 'Wed 2026-12-02 07:00'],
    ['at half past nine', 'Wed 2026-12-02 09:30'],
    ['at a quarter to 8', 'Wed 2026-12-02 07:45'],
    ['at noon', 'Wed 2026-12-02 12:00'],
    ['midnight', 'Wed 2026-12-02 00:00'],
    ['tonight', 'Tue 2026-12-01 21:00'],
    ['tonight at 10', 'Tue 2026-12-01 22:00'],
    ['on friday at 8am', 'Fri 2026-12-04 08:00'],
    ['friday', 'Fri 2026-12-04 09:00'],
    ['tuesday at 18', 'Tue 2026-12-01 18:00'],
    ['tuesday at 9', 'Tue 2026-12-08 09:00'],
    ['next tuesday at 18', 'Tue 2026-12-08 18:00'],
    ['2026-12-24 18:00', 'Thu 2026-12-24 18:00'],
    ['2026-12-24T18:00', 'Thu 2026-12-24 18:00'],
    ['2026-12-24T18:00Z', 'Thu 2026-12-24 19:00'],
    ['2026-12-24T18:00:00-05:00', 'Fri 2026-12-25 00:00'],
    ['on 24.12.2026 at 18:00', 'Thu 2026-12-24 18:00'],
    ['december 24 at 18:00', 'Thu 2026-12-24 18:00'],
    ['the 24th of december at 6pm', 'Thu 2026-12-24 18:00'],
    ['24 december 2027 at 6pm', 'Fri 2027-12-24 18:00'],
    ['nov 30 at 8', 'Tue 2027-11-30 08:00'],
    ['on feb 29 at 9', 'Tue 2028-02-29 09:00'],
    ['on the 5th at 9', 'Sat 2026-12-05 09:00'],
    ['on the 31st', 'Thu 2026-12-31 09:00'],
    ['at 9 Asia/Tokyo', 'Wed 2026-12-02 09:00 Asia/Tokyo'],
    ['at 9 in America/New_York', 'Tue 2026-12-01 09:00 America/New_York'],
    ['20分钟后', 'Tue 2026-12-01 14:30'],
    ['半小时后', 'Tue 2026-12-01 14:40'],
    ['一个半小时后', 'Tue 2026-12-01 15:40'],
    ['两天后', 'Thu 2026-12-03 14:10'],
    ['明天9点', 'Wed 2026-12-02 09:00'],
    ['明天早上9点半', 'Wed 2026-12-02 09:30'],
    ['今天下午3点', 'Tue 2026-12-01 15:00'],
    ['今晚八点', 'Tue 2026-12-01 20:00'],
    ['后天8点', 'Thu 2026-12-03 08:00'],
    ['周五8点', 'Fri 2026-12-04 08:00'],
    ['12月24日18点', 'Thu 2026-12-24 18:00'],
  ])('%s: %s', (words, expected) => {
    expect(reads(words)).toBe(expected);
  });

  it('on a day on which the clocks are changed', () => {
    const evening = Date.parse('2026-03-28T20:00Z');
    expect(reads('tomorrow at 2:30', evening)).toBe('Sun 2026-03-29 03:00');
    expect(reads('in 24 hours', evening)).toBe('Sun 2026-03-29 22:00');
    expect(reads('in a day', evening)).toBe('Sun 2026-03-29 21:00');
    expect(new Date(readOnce('tomorrow at 2:30', Date.parse('2026-10-24T20:00Z'))).toISOString()).toBe(
      '2026-10-25T00:30:00.000Z',
    );
  });

  function readOnce(words: string, now: number): number {
    const rule = readWhen(words, { timeZone: ZONE, now });
    if (rule.kind !== 'once') throw new Error('not once');
    return rule.at;
  }
});

describe('again and again', () => {
  it.each([
    ['every day at 8', '0 8 * * *'],
    ['each day at 8', '0 8 * * *'],
    ['daily at 7', '0 7 * * *'],
    ['daily', '0 9 * * *'],
    ['every day at 8 and 20', '0 8,20 * * *'],
    ['every day at 8, 12 and 18', '0 8,12,18 * * *'],
    ['at 7 every morning', '0 7 * * *'],
    ['every morning', '0 8 * * *'],
    ['every evening', '0 18 * * *'],
    ['every night', '0 21 * * *'],
    ['every night at 11', '0 23 * * *'],
    ['every weekday at 7:30', '30 7 * * 1-5'],
    ['weekdays at 7:30', '30 7 * * 1-5'],
    ['every weekend at 10', '0 10 * * 0,6'],
    ['every monday and thursday at 9', '0 9 * * 1,4'],
    ['every mon, wed, fri at 7:30', '30 7 * * 1,3,5'],
    ['every mon-fri at 9', '0 9 * * 1-5'],
    ['every friday to monday at 9', '0 9 * * 0,1,5,6'],
    ['mondays at 9', '0 9 * * 1'],
    ['every friday evening', '0 18 * * 5'],
    ['weekly on monday at 9', '0 9 * * 1'],
    ['every week', '0 9 * * 2'],
    ['every month on the 1st at 10', '0 10 1 * *'],
    ['on the 1st of every month at 10', '0 10 1 * *'],
    ['every 1st of the month at 10', '0 10 1 * *'],
    ['every month on the 1st and 15th at 10', '0 10 1,15 * *'],
    ['monthly', '0 9 1 * *'],
    ['every year on december 24 at 18:00', '0 18 24 12 *'],
    ['every december 24 at 18:00', '0 18 24 12 *'],
    ['30 7 * * 1-5', '30 7 * * 1-5'],
    ['  */15   *  * * * ', '*/15 * * * *'],
    ['0 9 * jan-mar MON', '0 9 * jan-mar MON'],
    ['每天8点', '0 8 * * *'],
    ['每天早上8点', '0 8 * * *'],
    ['工作日7点半', '30 7 * * 1-5'],
    ['每个工作日7:30', '30 7 * * 1-5'],
    ['每周一9点', '0 9 * * 1'],
    ['每周一和周四9点', '0 9 * * 1,4'],
    ['每月1号10点', '0 10 1 * *'],
  ])('%s: %s', (words, expression) => {
    expect(reads(words)).toBe(`${expression} ${ZONE}`);
  });

  it.each([
    ['every 15 minutes', 'every 15 from Tue 2026-12-01 14:10'],
    ['every 2 hours', 'every 120 from Tue 2026-12-01 14:10'],
    ['every hour', 'every 60 from Tue 2026-12-01 14:10'],
    ['hourly', 'every 60 from Tue 2026-12-01 14:10'],
    ['every minute', 'every 1 from Tue 2026-12-01 14:10'],
    ['every hour and a half', 'every 90 from Tue 2026-12-01 14:10'],
    ['every other day at 9', 'every 2880 from Wed 2026-12-02 09:00'],
    ['every 2 weeks on monday at 9', 'every 20160 from Mon 2026-12-07 09:00'],
    ['每15分钟', 'every 15 from Tue 2026-12-01 14:10'],
    ['每2小时', 'every 120 from Tue 2026-12-01 14:10'],
  ])('%s: %s', (words, expected) => {
    expect(reads(words)).toBe(`${expected} ${ZONE}`);
  });
});

describe('refused', () => {
  it.each([
    ['', /names? no|no words/i],
    ['   ', /no words/],
    ['whenever you like', /"whenever" is not known/],
    ['yesterday', /not known/],
    ['every', /"every" what/],
    ['in', /no time/],
    ['in 0 minutes', /no time at all/],
    ['in 10 seconds', /whole minutes/],
    ['every 30 seconds', /whole minutes/],
    ['every 3 months', /Months and years/],
    ['at 25:00', /"25:00" is not a time of day/],
    ['at 9:75', /"9:75" is not a time of day/],
    ['at 13pm', /"13" is not a time of day/],
    ['at 0am', /"0" is not a time of day/],
    ['2026-02-30 10:00', /no such day as 2026-02-30/],
    ['2020-01-01 10:00', /passed already/],
    ['today at 9', /passed already/],
    ['on the 32nd', /No month has a day 32/],
    ['on feb 30', /no such day/i],
    ['tomorrow at 9 and 10', /one time/],
    ['tomorrow on friday', /one day/],
    ['mon, wed and fri at 7:30', /write "every" for several/],
    ['in 2 hours at 9', /goes with days/],
    ['every 2 hours on monday', /no day and no time/],
    ['every tomorrow', /"every" and one day/],
    ['every day at 8:30 and 17:00', /same minute past the hour/],
    ['every month on the 31st in february at 9', /needs|no day|"february" has no day/i],
    ['0 0 30 2 *', /never run/],
    ['* * * * * *', /Six fields/],
    ['@daily', /nickname/],
    ['0 9 L * *', /"L" in the day of the month/],
    ['at 9 Mars/Olympus', /"Mars\/Olympus" is not a time zone/],
    ['x'.repeat(201), /longer than 200/],
    ['constructor', /not known/],
    ['__proto__ toString', /not known/],
  ])('%j', (words, why) => {
    const refused = catchError(() => readWhen(words, { timeZone: ZONE, now: NOW }));
    expect(refused).toBeInstanceOf(StewardError);
    expect(refused).toMatchObject({ code: 'invalid' });
    expect(describeError(refused)).toMatch(why);
  });

  it('a list of what can be read, all of which can be', () => {
    const refused = catchError(() => readWhen('soonish', { timeZone: ZONE, now: NOW })) as StewardError;
    for (const each of CAN_READ) {
      expect(refused.hint).toContain(each);
      readWhen(each.replace('a cron expression like ', ''), { timeZone: ZONE, now: NOW });
    }
  });

  it('shows no control characters and no more than a line of what it was given', () => {
    const refused = catchError(() => readWhen(`\u001b[31m\u202e${'boo '.repeat(30)}`, { timeZone: ZONE, now: NOW }));
    expect(describeError(refused)).not.toMatch(/[\u001b\u202e]/);
    expect((refused as StewardError).message.length).toBeLessThan(200);
  });

  function catchError(act: () => unknown): unknown {
    try {
      act();
    } catch (error) {
      return error;
    }
    throw new Error('It was read.');
  }
});

describe('whatever is written', () => {
  const words = fc.constantFrom(
    ...'in at on every each other the a an half quarter past to and next day days week month minute hours 1 15 1st 2 20 9 9:30 17:30 am pm noon morning evening night tonight today tomorrow after monday friday fri weekdays weekend december 24 2026-12-24 30th of hourly daily * */5 1-5 每天 8点 周一 半 小时后'.split(
      ' ',
    ),
  );

  it('it is a rule that can be scheduled, or refused as invalid', () => {
    const text = fc.oneof(
      fc.array(words, { maxLength: 9 }).map((list) => list.join(' ')),
      fc.string({ maxLength: 40 }),
    );
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 366 * 1440 }), (written, minutes) => {
        const now = Date.UTC(2026, 0, 1) + minutes * 60_000;
        try {
          expect(problemsOf(readWhen(written, { timeZone: ZONE, now }), now)).toEqual([]);
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid' });
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('a megabyte costs no more than a line', () => {
    const hostile = ['a-', '1 ', 'in 1 hour and ', '每', '1.', ' ', 'o', '0,', '(', 'every ', '\n', '-1-'].map((part) =>
      part.repeat(Math.ceil(1e6 / part.length)),
    );
    const begin = performance.now();
    for (const text of hostile) {
      expect(() => readWhen(text, { timeZone: ZONE, now: NOW })).toThrow(StewardError);
      expect(() => readWhen(text.slice(0, 200), { timeZone: ZONE, now: NOW })).toThrow(StewardError);
    }
    expect(performance.now() - begin).toBeLessThan(1000);
  });
});
