// Reads when something is due from words: a fixed grammar, no guessing. What it cannot read it refuses, and says what it can.
import { StewardError } from '../core/errors.ts';
import type { Rule } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';
import { type Almanac, createAlmanac } from './almanac.ts';
import { checkRule } from './rules.ts';
import { instantOf, wallOf } from './wall.ts';
import { type Day, type Facts, readFacts } from './when/facts.ts';
import { isZone } from './zones.ts';

const MINUTE: Millis = 60_000;
const DAY: Millis = 86_400_000;
/** Longer is not a time but a text; it also bounds the work. */
const LONGEST = 200;
/** What has no shape, or turns the writing around: part of no time, and not to be repeated in an error. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** For a day without a time: `tomorrow`, `every monday`. */
const USUAL_TIME = 9 * 60;

export const CAN_READ = [
  'in 20 minutes',
  'in an hour and a half',
  'at 17:30',
  'tomorrow at 9',
  'on friday at 8am',
  '2026-12-24 18:00',
  'every 15 minutes',
  'every day at 8',
  'every weekday at 7:30',
  'every monday and thursday at 9',
  'every month on the 1st at 10',
  'a cron expression like 30 7 * * 1-5',
] as const;

export interface WhenOptions {
  timeZone: string;
  now: Millis;
}

/** Throws StewardError `invalid`. A name of a zone at the end (`… Asia/Tokyo`) goes before `timeZone`. */
export function readWhen(words: string, { timeZone, now }: WhenOptions, almanac: Almanac = createAlmanac()): Rule {
  const text = words
    .slice(0, LONGEST + 1)
    .replaceAll(UNSEEN, ' ')
    .trim();
  if (text.length > LONGEST) throw unreadable(text, 'It is longer than 200 characters.');
  const { rest, zone } = splitZone(text, timeZone);
  const rule = isCron(rest)
    ? cron(rest, zone)
    : INSTANT.test(rest)
      ? instant(rest, zone)
      : assemble(rest, zone, now, almanac);
  checkRule(rule, now);
  return rule;
}

function assemble(text: string, timeZone: string, now: Millis, almanac: Almanac): Rule {
  if (!isZone(timeZone)) checkRule({ kind: 'manual', timeZone }, now);
  const read = readFacts(text);
  if (typeof read === 'string') throw unreadable(text, read);
  const result = read.every ? recurring(read, timeZone, now, almanac) : single(read, timeZone, now, almanac);
  if (typeof result === 'string') throw unreadable(text, result);
  return result;
}

// ---------------------------------------------------------------- once

function single(facts: Facts, timeZone: string, now: Millis, almanac: Almanac): Rule | string {
  const { span, days, times } = facts;
  if (times.length > 1) return 'A single run has one time.';
  const once = (at: Millis): Rule => ({ kind: 'once', at, timeZone });
  const wallNow = wallOf(now, timeZone, almanac);
  const today = Math.floor(wallNow / DAY);
  const onDay = (day: number, minute: number) => instantOf(day * DAY + minute * MINUTE, timeZone, almanac);

  if (span) {
    if (days.length > 0) return 'It names both a time from now and a day.';
    if (times.length === 0) {
      // Days are days of the calendar: the same time on the clock.
      return once(span.days === 0 ? now + span.ms : instantOf(wallNow + span.days * DAY, timeZone, almanac) + span.ms);
    }
    if (span.days === 0 || span.ms > 0) return 'A time of day goes with days, not with hours and minutes from now.';
    return once(onDay(today + span.days, times[0]!));
  }
  if (days.length > 1) return 'A single run has one day.';
  const minute = times[0] ?? USUAL_TIME;
  const day = days[0];
  if (!day) {
    if (times.length === 0) return 'It names no time.';
    const at = onDay(today, minute);
    return once(at > now ? at : onDay(today + 1, minute));
  }
  const first = firstDay(day, today, (candidate) => onDay(candidate, minute) > now);
  return typeof first === 'string' ? first : once(onDay(first, minute));
}

/** The day meant, counted from 1970-01-01; for a day without a year the first whose time is still to come. */
function firstDay(day: Day, today: number, toCome: (day: number) => boolean): number | string {
  switch (day.kind) {
    case 'relative':
      return today + day.days;
    case 'date': {
      const found = dayNumber(day.year, day.month, day.date);
      return found ?? `There is no such day as ${day.year}-${two(day.month)}-${two(day.date)}.`;
    }
    case 'weekdays': {
      if (day.weekdays.length !== 1) return 'A single run has one day; write "every" for several.';
      for (let candidate = today + (day.next ? 1 : 0); ; candidate += 1) {
        if (weekdayOf(candidate) === day.weekdays[0] && toCome(candidate)) return candidate;
      }
    }
    case 'yearly':
    case 'monthly': {
      if (day.kind === 'monthly' && day.dates.length !== 1) return 'A single run has one day.';
      const date = day.kind === 'yearly' ? day.date : day.dates[0]!;
      const start = new Date(today * DAY);
      // Eight years: the 29th of February is not there more often around a century.
      for (let ahead = 0; ahead <= 97; ahead += 1) {
        const month = ((start.getUTCMonth() + ahead) % 12) + 1;
        if (day.kind === 'yearly' && month !== day.month) continue;
        const year = start.getUTCFullYear() + Math.floor((start.getUTCMonth() + ahead) / 12);
        const found = dayNumber(year, month, date);
        if (found !== null && toCome(found)) return found;
      }
      return 'There is no such day.';
    }
  }
}

// ---------------------------------------------------------------- again and again

function recurring(facts: Facts, timeZone: string, now: Millis, almanac: Almanac): Rule | string {
  const { span, days, times } = facts;
  const minutes = times.length > 0 ? times : [USUAL_TIME];
  if (span && span.days === 0) {
    if (days.length > 0 || times.length > 0) return 'An interval of hours or minutes goes with no day and no time.';
    return { kind: 'interval', every: span.ms, anchor: Math.floor(now / MINUTE) * MINUTE, timeZone };
  }
  if (span) {
    if (span.ms > 0) return 'An interval has either days or hours and minutes.';
    if (minutes.length > 1 || days.length > 1) return 'An interval of days has one time.';
    const [weekday] = days;
    if (weekday && (weekday.kind !== 'weekdays' || span.days % 7 !== 0)) {
      return 'An interval of days goes with no day; one of weeks with a day of the week.';
    }
    const begin = single({ ...facts, span: null, times: [minutes[0]!] }, timeZone, now, almanac);
    if (typeof begin === 'string') return begin;
    return begin.kind === 'once' ? { kind: 'interval', every: span.days * DAY, anchor: begin.at, timeZone } : begin;
  }

  const hours = [...new Set(minutes.map((minute) => Math.floor(minute / 60)))].sort((a, b) => a - b);
  const past = [...new Set(minutes.map((minute) => minute % 60))];
  if (past.length > 1) return 'Several times a day must have the same minute past the hour; make two schedules.';
  const time = `${past[0]} ${hours.join(',')}`;
  if (days.length > 1) return 'It names several kinds of days.';
  const day = days[0];
  if (!day) {
    const wall = wallOf(now, timeZone, almanac);
    if (facts.every === 'week') return cron(`${time} * * ${weekdayOf(Math.floor(wall / DAY))}`, timeZone);
    if (facts.every === 'month') return cron(`${time} ${new Date(wall).getUTCDate()} * *`, timeZone);
    if (facts.every === 'year') return 'A yearly run needs a day: every year on december 24 at 18:00.';
    return cron(`${time} * * *`, timeZone);
  }
  switch (day.kind) {
    case 'weekdays':
      return cron(`${time} * * ${ranges(day.weekdays)}`, timeZone);
    case 'monthly':
      return cron(`${time} ${[...day.dates].sort((a, b) => a - b).join(',')} * *`, timeZone);
    case 'yearly':
      return cron(`${time} ${day.date} ${day.month} *`, timeZone);
    case 'date':
    case 'relative':
      return 'It names both "every" and one day.';
  }
}

// ---------------------------------------------------------------- small things

function cron(expression: string, timeZone: string): Rule {
  return { kind: 'cron', expression: expression.replaceAll(/\s+/g, ' '), timeZone };
}

/** Five or six words of which the first can only be a minute: anything else is read as words. */
function isCron(text: string): boolean {
  if (/^@[a-z]+$/i.test(text)) return true;
  const words = text.split(/\s+/);
  return (
    (words.length === 5 || words.length === 6) &&
    words.every((word) => /^[\d*,/a-z#?-]+$/i.test(word)) &&
    words.slice(0, 2).every((word) => /^[\d*,/?-]+$/.test(word)) &&
    words.slice(2).some((word) => /^[\d*,/?-]+$/.test(word))
  );
}

/** RFC 3339 with an offset: means itself in every zone. */
const INSTANT = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/i;

function instant(text: string, timeZone: string): Rule {
  const at = Date.parse(text.replace(' ', 'T').toUpperCase());
  if (Number.isNaN(at)) throw unreadable(text, 'There is no such time.');
  return { kind: 'once', at, timeZone };
}

function splitZone(text: string, timeZone: string): { rest: string; zone: string } {
  const cut = text.lastIndexOf(' ');
  const last = text.slice(cut + 1);
  if (cut < 0 || !/^[A-Za-z_]+\/[A-Za-z_/+-]+$/.test(last)) return { rest: text, zone: timeZone };
  return { rest: text.slice(0, cut).replace(/ in$/i, '').trim(), zone: last };
}

/** `1-5`, `0,6`, `1,3-5`. */
function ranges(weekdays: readonly number[]): string {
  const runs: number[][] = [];
  for (const day of [...weekdays].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run?.at(-1) === day - 1) run.push(day);
    else runs.push([day]);
  }
  return runs.map((run) => (run.length > 2 ? `${run[0]}-${run.at(-1)}` : run.join(','))).join(',');
}

function weekdayOf(day: number): number {
  return (day + 4) % 7;
}

function dayNumber(year: number, month: number, date: number): number | null {
  const at = new Date(Date.UTC(year, month - 1, date));
  return at.getUTCMonth() === month - 1 && at.getUTCDate() === date ? at.getTime() / DAY : null;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function unreadable(text: string, why: string): StewardError {
  const quoted = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return new StewardError('invalid', `"${quoted}" cannot be read as a time. ${why}`, {
    op: 'read when it is due',
    hint: `What can be read: ${CAN_READ.join('; ')}.`,
  });
}
