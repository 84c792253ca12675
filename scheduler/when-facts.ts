// Takes the words of a time apart, in any order, into facts: from-now, days, times of day, and whether it recurs.
import type { Millis } from '../core/types.ts';
import { fromChinese } from './when-chinese.ts';

export type Day =
  | { kind: 'relative'; days: number }
  | { kind: 'date'; year: number; month: number; date: number }
  /** `next`: not today. */
  | { kind: 'weekdays'; weekdays: number[]; next: boolean }
  | { kind: 'monthly'; dates: number[] }
  | { kind: 'yearly'; month: number; date: number };

export interface Facts {
  /** Null: it does not recur. */
  every: 'span' | 'day' | 'week' | 'month' | 'year' | null;
  /** From now, or between two runs. Days are kept apart: they are days of the calendar. */
  span: { days: number; ms: Millis } | null;
  days: Day[];
  /** Minutes since midnight. */
  times: number[];
}

const MINUTE: Millis = 60_000;
const NUMBERS: Record<string, number> = {
  a: 1,
  an: 1,
  one: 1,
  two: 2,
  three: 3,
  four: 4,
  five: 5,
  six: 6,
  seven: 7,
  eight: 8,
  nine: 9,
  ten: 10,
  eleven: 11,
  twelve: 12,
  fifteen: 15,
  twenty: 20,
  thirty: 30,
  forty: 40,
  fifty: 50,
  sixty: 60,
  ninety: 90,
};
const UNITS: Record<string, 'minute' | 'hour' | 'day' | 'week' | 'month' | 'year'> = {
  m: 'minute',
  min: 'minute',
  mins: 'minute',
  minute: 'minute',
  minutes: 'minute',
  h: 'hour',
  hr: 'hour',
  hrs: 'hour',
  hour: 'hour',
  hours: 'hour',
  d: 'day',
  day: 'day',
  days: 'day',
  w: 'week',
  week: 'week',
  weeks: 'week',
  month: 'month',
  months: 'month',
  year: 'year',
  years: 'year',
};
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const MONTHS = 'january february march april may june july august september october november december'.split(' ');
/** What a part of the day means when no time is said. */
const PARTS: Record<string, number> = {
  morning: 8 * 60,
  noon: 12 * 60,
  midday: 12 * 60,
  afternoon: 14 * 60,
  evening: 18 * 60,
  night: 21 * 60,
  midnight: 0,
};
const GROUPS: Record<string, number[]> = {
  weekday: [1, 2, 3, 4, 5],
  weekdays: [1, 2, 3, 4, 5],
  workday: [1, 2, 3, 4, 5],
  workdays: [1, 2, 3, 4, 5],
  weekend: [0, 6],
  weekends: [0, 6],
};
const ADVERBS: Record<string, Facts['every']> = { daily: 'day', weekly: 'week', monthly: 'month', yearly: 'year' };
const SECONDS = new Set(['s', 'sec', 'secs', 'seconds']);
const FILLERS = new Set(['on', 'at', 'the', 'this', 'of', 'and', 'in', 'o', 'clock', 'please', 'remind', 'me']);

/** Facts, or one sentence about why there are none. Reads each word once. */
export function readFacts(text: string): Facts | string {
  const words = split(text);
  if (words.length === 0) return 'There are no words.';
  if (words.some((word) => SECONDS.has(word))) return 'Times are in whole minutes.';
  const facts: Facts = { every: null, span: null, days: [], times: [] };
  let part: string | null = null;
  let next = false;
  let at = 0;
  const peek = (ahead = 0) => words[at + ahead] ?? '';
  const eat = (...wanted: string[]) => {
    if (!wanted.every((word, index) => peek(index) === word)) return false;
    at += wanted.length;
    return true;
  };

  while (at < words.length) {
    const begin = at;
    const word = peek();
    if (word === 'every' || word === 'each') {
      at += 1;
      if (at === words.length) return '"every" what?';
      facts.every ??= 'day';
      const problem = readEvery();
      if (problem) return problem;
    } else if (word === 'hourly') {
      at += 1;
      facts.every = 'span';
      facts.span = { days: 0, ms: 60 * MINUTE };
    } else if (word in ADVERBS) {
      at += 1;
      facts.every = ADVERBS[word]!;
    } else if (word === 'in' && isSpan(1)) {
      at += 1;
      if (facts.span) return 'It names two times from now.';
      const span = readSpan();
      if (typeof span === 'string') return span;
      facts.span = span;
    } else if (eat('next')) {
      next = true;
    } else if (eat('day', 'after', 'tomorrow') || eat('the', 'day', 'after', 'tomorrow')) {
      facts.days.push({ kind: 'relative', days: 2 });
    } else if (eat('today')) {
      facts.days.push({ kind: 'relative', days: 0 });
    } else if (eat('tonight')) {
      facts.days.push({ kind: 'relative', days: 0 });
      part = 'night';
    } else if (eat('tomorrow')) {
      facts.days.push({ kind: 'relative', days: 1 });
    } else if (word in PARTS) {
      at += 1;
      if (part) return 'It names two parts of the day.';
      part = word;
    } else if (word in GROUPS) {
      at += 1;
      addWeekdays(GROUPS[word]!);
      // "weekdays at 7" says every week without the word.
      if (word.endsWith('s')) facts.every ??= 'week';
    } else if (weekdayOf(word) !== null) {
      readWeekdays();
    } else if (monthOf(word) !== null) {
      at += 1;
      const date = Number(peek());
      if (!/^\d{1,2}$/.test(peek())) return `"${word}" has no day.`;
      at += 1;
      eatOrdinal();
      addDate(monthOf(word)!, date);
    } else if (word === 'a' || word === 'an') {
      at += 1;
    } else if (/^\d/.test(word) || numberOf(word) !== null || word === 'half' || word === 'quarter') {
      const problem = readNumber();
      if (problem) return problem;
    } else if (FILLERS.has(word)) {
      at += 1;
    } else {
      return `The word "${word.slice(0, 30)}" is not known here.`;
    }
    if (at === begin) return `The word "${word.slice(0, 30)}" is out of place.`;
  }
  if (facts.times.length === 0 && part) facts.times.push(PARTS[part]!);
  else if (part) facts.times = facts.times.map((minute) => inPart(minute, part!));
  if (facts.every === null && facts.span === null && facts.days.length === 0 && facts.times.length === 0) {
    return 'It names no time.';
  }
  return facts;

  /** After "every": a number of units, or nothing (days and times follow). */
  function readEvery(): string | null {
    if (eat('other') || eat('second')) words.splice(at, 0, '2');
    const unit = UNITS[peek()];
    if (unit && unit !== 'minute' && unit !== 'hour') {
      at += 1;
      facts.every = unit;
      return null;
    }
    if (!isSpan(0)) return null;
    const span = readSpan();
    if (typeof span === 'string') return span;
    facts.every = 'span';
    facts.span = span;
    return null;
  }

  function isSpan(ahead: number): boolean {
    if (peek(ahead) in UNITS || peek(ahead) === 'half') return true;
    return (
      (numberOf(peek(ahead)) !== null || /^\d+(\.\d+)?$/.test(peek(ahead))) &&
      (peek(ahead + 1) in UNITS || peek(ahead + 1) === 'half' || peek(ahead + 1) === 'and')
    );
  }

  /** `20 minutes`, `an hour and a half`, `half an hour`, `1 h 30 m`, `2 days`. */
  function readSpan(): { days: number; ms: Millis } | string {
    const span = { days: 0, ms: 0 };
    let unit: (typeof UNITS)[string] | undefined;
    const add = (count: number) => {
      if (unit === 'minute') span.ms += count * MINUTE;
      else if (unit === 'hour') span.ms += count * 60 * MINUTE;
      else if (unit === 'day') span.days += count;
      else if (unit === 'week') span.days += count * 7;
    };
    while (at < words.length) {
      if (unit && (eat('and', 'a', 'half') || eat('and', 'half'))) {
        add(0.5);
        continue;
      }
      const mark = at;
      // "1 h 30 m" goes on without a word between.
      if (unit) eat('and');
      let count: number | null = null;
      if (eat('half')) {
        count = 0.5;
        if (peek() === 'a' || peek() === 'an') at += 1;
      } else if (peek() in UNITS && unit === undefined) {
        count = 1;
      } else {
        count = /^\d{1,6}(\.\d{1,3})?$/.test(peek()) ? Number(peek()) : numberOf(peek());
        if (count !== null) {
          at += 1;
          if (count === 1 && eat('half')) count = 0.5;
          else if (eat('and', 'a', 'half')) count += 0.5;
        }
      }
      const named = UNITS[peek()];
      if (count === null || !named) {
        at = mark;
        break;
      }
      if (named === 'month' || named === 'year') {
        return 'Months and years are not counted from now: write the date, or "every month on the 1st".';
      }
      at += 1;
      unit = named;
      add(count);
    }
    if (!unit) return 'How long is it? Write for example: in 20 minutes.';
    if (!Number.isInteger(span.days)) {
      span.ms += (span.days % 1) * 24 * 60 * MINUTE;
      span.days = Math.floor(span.days);
    }
    span.ms = Math.round(span.ms);
    return span.days === 0 && span.ms === 0 ? 'That is no time at all.' : span;
  }

  function readWeekdays(): void {
    const first = weekdayOf(words[at]!)!;
    // "mondays" says every week without the word.
    if (words[at]!.endsWith('days')) facts.every ??= 'week';
    at += 1;
    const last = weekdayOf(peek(1));
    if ((peek() === 'to' || peek() === 'through') && last !== null) {
      at += 2;
      const range: number[] = [];
      for (let day = first; ; day = (day + 1) % 7) {
        range.push(day);
        if (day === last) break;
      }
      addWeekdays(range);
    } else {
      addWeekdays([first]);
    }
  }

  function addWeekdays(weekdays: number[]): void {
    const known = facts.days.find((day) => day.kind === 'weekdays');
    if (known) known.weekdays = [...new Set([...known.weekdays, ...weekdays])];
    else facts.days.push({ kind: 'weekdays', weekdays, next });
    next = false;
  }

  function addDate(month: number, date: number): void {
    if (/^\d{4}$/.test(peek())) facts.days.push({ kind: 'date', year: Number(words[at++]), month, date });
    else facts.days.push({ kind: 'yearly', month, date });
  }

  function eatOrdinal(): boolean {
    return eat('st') || eat('nd') || eat('rd') || eat('th');
  }

  /** A date, a day of the month, or a time. */
  function readNumber(): string | null {
    const word = words[at]!;
    const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(word);
    const dotted = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(word);
    if (iso || dotted) {
      at += 1;
      eat('t');
      const [year, month, date] = iso ? [iso[1], iso[2], iso[3]] : [dotted![3], dotted![2], dotted![1]];
      facts.days.push({ kind: 'date', year: Number(year), month: Number(month), date: Number(date) });
      return null;
    }
    if (/^\d{1,2}$/.test(word)) {
      const mark = at;
      at += 1;
      const ordinal = eatOrdinal();
      eat('of');
      const month = monthOf(peek());
      if (month !== null) {
        at += 1;
        addDate(month, Number(word));
        return null;
      }
      if (ordinal) return readMonthDay(Number(word));
      at = mark;
    }
    const minute = readTime();
    if (typeof minute === 'string') return minute;
    facts.times.push(minute);
    return null;
  }

  function readMonthDay(date: number): string | null {
    if (date < 1 || date > 31) return `No month has a day ${date}.`;
    const known = facts.days.find((day) => day.kind === 'monthly');
    if (known) known.dates = [...new Set([...known.dates, date])];
    else facts.days.push({ kind: 'monthly', dates: [date] });
    if (eat('each') || eat('every')) facts.every = 'month';
    eat('the');
    eat('month');
    if (facts.every === 'day') facts.every = 'month';
    return null;
  }

  function readTime(): number | string {
    let minute = 0;
    let hour: number | null = null;
    if (eat('half', 'past')) minute = 30;
    else if (eat('quarter', 'past')) minute = 15;
    else if (eat('quarter', 'to')) minute = -15;
    const word = words[at] ?? '';
    const clock = /^(\d{1,2})(?:[:.](\d{2}))?(?::00)?$/.exec(word);
    if (clock) {
      hour = Number(clock[1]);
      minute += Number(clock[2] ?? 0);
    } else {
      hour = numberOf(word);
    }
    if (hour === null) return `"${word.slice(0, 30)}" is not a time of day.`;
    at += 1;
    const half = eat('am') ? 'am' : eat('pm') ? 'pm' : null;
    if (half ? hour < 1 || hour > 12 : hour > 23) return `"${word}" is not a time of day.`;
    if (minute > 59) return `"${word}" is not a time of day.`;
    if (half) hour = (hour % 12) + (half === 'pm' ? 12 : 0);
    return (hour * 60 + minute + 1440) % 1440;
  }
}

/** `at 9 in the evening` is 21:00; a time that says itself which half of the day it is stays. */
function inPart(minute: number, part: string): number {
  const hour = Math.floor(minute / 60);
  if ((part === 'afternoon' || part === 'evening') && hour >= 1 && hour < 12) return minute + 12 * 60;
  if (part === 'night') {
    if (hour === 12) return minute - 12 * 60;
    return hour >= 6 && hour < 12 ? minute + 12 * 60 : minute;
  }
  return minute;
}

/** Words in lower case; figures and letters apart (`9am`, `1st`, `20min`), hyphens between names as `to`. */
function split(text: string): string[] {
  return fromChinese(text)
    .toLowerCase()
    .replaceAll(/([ap])\.m\.?/g, '$1m')
    .replaceAll(/[,;&]/g, ' and ')
    .replaceAll(/o'clock|[.!]$/g, ' ')
    .replaceAll(/([a-z])[-–]([a-z])/g, '$1 to $2')
    .replaceAll(/(\d)([a-z])/g, '$1 $2')
    .replaceAll(/([a-z])(\d)/g, '$1 $2')
    .split(/\s+/)
    .filter((word) => word !== '');
}

function numberOf(word: string): number | null {
  return Object.hasOwn(NUMBERS, word) ? NUMBERS[word]! : null;
}

function weekdayOf(word: string): number | null {
  const plain = word.length > 6 && word.endsWith('days') ? word.slice(0, -1) : word;
  const short = plain === 'tues' ? 'tue' : plain === 'thur' || plain === 'thurs' ? 'thu' : plain;
  const index = WEEKDAYS.findIndex((day) => day === short || day.slice(0, 3) === short);
  return index < 0 ? null : index;
}

function monthOf(word: string): number | null {
  const index = MONTHS.findIndex(
    (month) => month === word || month.slice(0, 3) === word || (word === 'sept' && month === 'september'),
  );
  return index < 0 ? null : index + 1;
}
