// What is refused at the edge, and in which words.
import { describe, expect, it } from 'vitest';
import { StewardError } from '../../../core/errors.ts';
import type { Rule } from '../../../core/schedules.ts';
import { checkRule, minimumGap, problemsOf } from '../../../scheduler/rules.ts';
import { nextSlot } from '../../../scheduler/slots.ts';

const NOW = Date.parse('2026-12-01T08:00Z');
const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const cron = (expression: string): Rule => ({ kind: 'cron', expression, timeZone: 'UTC' });
const every = (ms: number, anchor = NOW): Rule => ({ kind: 'interval', every: ms, anchor, timeZone: 'UTC' });
const once = (at: number): Rule => ({ kind: 'once', at, timeZone: 'UTC' });

describe('taken', () => {
  it.each<[Rule]>([
    [cron('0 8 * * *')],
    [cron('  */15   9-17\t* * MON-FRI ')],
    [cron('0 0 29 2 *')],
    [cron('0 0 31 2,3 *')],
    [cron('0 0 30 2 1')], // or on Mondays
    [cron('59 23 31 12 7')],
    [cron('0,30 1-3/2,22 1,15 jan-mar,dec sun')],
    [every(MINUTE)],
    [every(2 ** 31)],
    [every(3660 * DAY)],
    [every(DAY, 0)],
    [once(NOW)],
    [{ kind: 'manual', timeZone: 'Asia/Tokyo' }],
  ])('%j', (rule) => {
    expect(problemsOf(rule, NOW)).toEqual([]);
    checkRule(rule, NOW);
    if (rule.kind !== 'manual') expect(nextSlot(rule, NOW - 1)).not.toBeNull();
  });
});

describe('refused', () => {
  it.each<[Rule, RegExp[]]>([
    [cron('0 0 30 2 *'), [/No Feb has a day 30, so this would never run\./]],
    [cron('0 0 31 4,jun *'), [/No Apr and no Jun has a day 31/]],
    [cron('0 0 30-31 2 *'), [/day 30 or 31/]],
    [cron('* * * * * *'), [/Six fields/]],
    [cron('0 8 * *'), [/five fields .* has 4\./]],
    [cron(''), [/has 0\./]],
    [cron('@daily'), [/"@daily" is a nickname/]],
    [cron('0 8 L * *'), [/"L" in the day of the month is not supported/]],
    [cron('0 8 15W * ?'), [/"W" in the day of the month/, /"\?" in the day of the week/]],
    [cron('0 8 * * 5#2'), [/"#" in the day of the week/]],
    [cron('0 8 * * 5L'), [/"L" in the day of the week/]],
    [cron('60 24 0 13 8'), [/"60".*minute/, /"24".*hour/, /"0".*day of the month/, /"13".*month/, /"8".*week/]],
    [cron('5/10 8 * * *'), [/step without a range: write 5-59\/10/]],
    [cron('*/0 8 * * *'), [/step 0 in the minute must be between 1 and 59/]],
    [cron('*/99 8 * * *'), [/step 99/]],
    [cron('0 22-2 * * *'), [/runs backwards: write it as two, 22-23,0-2/]],
    [cron('0 8 * foo bar'), [/"foo" does not fit the month.*jan, feb/, /"bar".*sun, mon/]],
    [cron('0 8 1, * *'), [/"" cannot be read/]],
    [cron('-1 8 * * *'), [/"-1" cannot be read as minute/]],
    [cron('0 8 1.5 * *'), [/"1\.5" cannot be read/]],
    [cron('0 8 * * ٣'), [/characters that do not belong/]],
    [cron('0 8 * * \u001b[31m'), [/characters that do not belong/]],
    [cron(`0 8 ${'1,'.repeat(200)}1 * *`), [/longer than 256/]],
    [every(MINUTE - 1), [/at least a minute/]],
    [every(0), [/at least a minute/]],
    [every(-MINUTE), [/at least a minute/]],
    [every(MINUTE + 0.5), [/whole number/]],
    [every(Number.NaN), [/whole number/]],
    [every(Number.POSITIVE_INFINITY), [/whole number/]],
    [every(3661 * DAY), [/at most ten years/]],
    [every(DAY, -1), [/beginning of an interval/]],
    [once(NOW - 1), [/2026-12-01T07:59:59\.999Z has passed already/]],
    [once(NOW + 0.5), [/whole number/]],
    [once(Number.NaN), [/whole number/]],
    [once(1e18), [/whole number/]],
    [{ kind: 'manual', timeZone: 'Mars/Olympus' }, [/"Mars\/Olympus" is not a time zone: write one like/]],
    [{ kind: 'cron', expression: '0 0 30 2 *', timeZone: 'Berlin' }, [/did you mean Europe\/Berlin\?/, /No Feb/]],
  ])('%j', (rule, expected) => {
    const problems = problemsOf(rule, NOW);
    expect(problems).toHaveLength(expected.length);
    for (const [index, pattern] of expected.entries()) expect(problems[index]).toMatch(pattern);
    for (const problem of problems) expect(problem).toMatch(/^.{3,}[.?]$/s);
    expect(() => checkRule(rule, NOW)).toThrow(expect.objectContaining({ code: 'invalid' }));
    expect(() => checkRule(rule, NOW)).toThrow(StewardError);
  });
});

describe('minimumGap', () => {
  it.each<[Rule, number]>([
    [cron('* * * * *'), MINUTE],
    [cron('*/15 * * * *'), 15 * MINUTE],
    [cron('*/25 * * * *'), 10 * MINUTE], // 50 → 00
    [cron('0,59 * * * *'), MINUTE],
    [cron('0 8 * * *'), DAY],
    [cron('0 0,23 * * *'), 60 * MINUTE], // over midnight
    [cron('0 0,23 * * 1'), 23 * 60 * MINUTE], // no neighbouring days
    [cron('0 8 * * 1'), 7 * DAY],
    [cron('0 8 * * 0,6'), DAY],
    [cron('0 8 1 * *'), 28 * DAY],
    [cron('0 8 31,1 * *'), DAY],
    [cron('0 8 29 2 *'), 1461 * DAY],
    [every(90 * MINUTE), 90 * MINUTE],
    [once(NOW), Number.POSITIVE_INFINITY],
    [{ kind: 'manual', timeZone: 'UTC' }, Number.POSITIVE_INFINITY],
  ])('%j', (rule, gap) => {
    expect(minimumGap(rule)).toBe(gap);
  });
});
