// Takes the words of a time apart, in any order, into facts: from-now, days, times of day, and whether it recurs.
import { inPart, isSpan, readSpan, readTime, type Span } from './amounts.ts';
import {
  ADVERBS,
  FILLERS,
  GROUPS,
  monthOf,
  numberOf,
  PARTS,
  reader,
  SECONDS,
  UNITS,
  type Unit,
  type Words,
  weekdayOf,
  wordsOf,
} from './words.ts';

export type Day =
  | { kind: 'relative'; days: number }
  | { kind: 'date'; year: number; month: number; date: number }
  /** `next`: not today. */
  | { kind: 'weekdays'; weekdays: number[]; next: boolean }
  | { kind: 'monthly'; dates: number[] }
  | { kind: 'yearly'; month: number; date: number };

export interface Facts {
  /** Null: it does not recur. */
  every: 'span' | Unit | null;
  /** From now, or between two runs. */
  span: Span | null;
  days: Day[];
  /** Minutes since midnight. */
  times: number[];
}

/** What is being put together while words are read. */
interface Draft extends Facts {
  part: string | null;
  next: boolean;
}

/** Reads what begins with the next word. A sentence when it cannot; null when it did, or left the word where it is. */
type Reader = (words: Words, draft: Draft) => string | null;

/** Tried in this order; the first that moves on has read its word. */
const READERS: readonly Reader[] = [
  readRecurrence,
  readFromNow,
  readNamedDay,
  readPart,
  readWeekdays,
  readMonth,
  readFigures,
];

/** Facts, or one sentence about why there are none. */
export function readFacts(text: string): Facts | string {
  const list = wordsOf(text);
  if (list.length === 0) return 'There are no words.';
  if (list.some((word) => SECONDS.has(word))) return 'Times are in whole minutes.';
  const words = reader(list);
  const draft: Draft = { every: null, span: null, days: [], times: [], part: null, next: false };
  while (!words.done()) {
    const begin = words.at();
    for (const read of READERS) {
      const problem = read(words, draft);
      if (problem) return problem;
      if (words.at() !== begin) break;
    }
    if (words.at() !== begin) continue;
    const word = words.take();
    if (!FILLERS.has(word)) return `The word "${word.slice(0, 30)}" is not known here.`;
  }
  const { every, span, days, part } = draft;
  const times = part === null ? draft.times : draft.times.map((minute) => inPart(minute, part));
  if (times.length === 0 && part !== null) times.push(PARTS.get(part)!);
  if (every === null && span === null && days.length === 0 && times.length === 0) return 'It names no time.';
  return { every, span, days, times };
}

function readRecurrence(words: Words, draft: Draft): string | null {
  if (words.eat('hourly')) {
    draft.every = 'span';
    draft.span = { days: 0, ms: 3_600_000 };
    return null;
  }
  const adverb = ADVERBS.get(words.peek());
  if (adverb) {
    words.take();
    draft.every = adverb;
    return null;
  }
  if (!words.eat('every') && !words.eat('each')) return null;
  if (words.done()) return '"every" what?';
  draft.every ??= 'day';
  const other = words.eat('other') || words.eat('second');
  const unit = UNITS.get(words.peek());
  if (unit && unit !== 'minute' && unit !== 'hour' && !other) {
    words.take();
    draft.every = unit;
    return null;
  }
  if (!isSpan(words, 0)) return other ? 'Every other what? Write for example: every other day at 9.' : null;
  const span = readSpan(words);
  if (typeof span === 'string') return span;
  draft.every = 'span';
  draft.span = other ? { days: span.days * 2, ms: span.ms * 2 } : span;
  return null;
}

function readFromNow(words: Words, draft: Draft): string | null {
  if (words.peek() !== 'in' || !isSpan(words, 1)) return null;
  words.take();
  if (draft.span) return 'It names two times from now.';
  const span = readSpan(words);
  if (typeof span === 'string') return span;
  draft.span = span;
  return null;
}

function readNamedDay(words: Words, draft: Draft): string | null {
  const relative = (days: number) => void draft.days.push({ kind: 'relative', days });
  if (words.eat('day', 'after', 'tomorrow')) relative(2);
  else if (words.eat('tomorrow')) relative(1);
  else if (words.eat('today')) relative(0);
  else if (words.eat('tonight')) {
    relative(0);
    draft.part = 'night';
  } else if (words.eat('next')) draft.next = true;
  return null;
}

function readPart(words: Words, draft: Draft): string | null {
  if (!PARTS.has(words.peek())) return null;
  if (draft.part) return 'It names two parts of the day.';
  draft.part = words.take();
  return null;
}

function readWeekdays(words: Words, draft: Draft): string | null {
  const word = words.peek();
  const group = GROUPS.get(word);
  const first = weekdayOf(word);
  if (!group && first === null) return null;
  words.take();
  // "mondays" and "weekdays at 7" say every week without the word.
  if (group ? word.endsWith('s') : word.endsWith('days')) draft.every ??= 'week';
  const weekdays = group ? [...group] : [first!];
  const last = weekdayOf(words.peek(1));
  if (!group && last !== null && (words.eat('to') || words.eat('through'))) {
    words.take();
    for (let day = first!; day !== last; ) {
      day = (day + 1) % 7;
      weekdays.push(day);
    }
  }
  const known = draft.days.find((day) => day.kind === 'weekdays');
  if (known) known.weekdays = [...new Set([...known.weekdays, ...weekdays])];
  else draft.days.push({ kind: 'weekdays', weekdays, next: draft.next });
  draft.next = false;
  return null;
}

/** `december 24`, `dec 24th 2027`. */
function readMonth(words: Words, draft: Draft): string | null {
  const word = words.peek();
  const month = monthOf(word);
  if (month === null) return null;
  words.take();
  if (!/^\d{1,2}$/.test(words.peek())) return `"${word}" has no day.`;
  const date = Number(words.take());
  eatOrdinal(words);
  addDate(words, draft, month, date);
  return null;
}

/** A date, a day of the month, or a time. */
function readFigures(words: Words, draft: Draft): string | null {
  const word = words.peek();
  if (words.eat('a') || words.eat('an')) return null;
  const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(word);
  const dotted = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(word);
  if (iso || dotted) {
    words.take();
    words.eat('t');
    const [year, month, date] = iso ? [iso[1], iso[2], iso[3]] : [dotted![3], dotted![2], dotted![1]];
    draft.days.push({ kind: 'date', year: Number(year), month: Number(month), date: Number(date) });
    return null;
  }
  if (/^\d{1,2}$/.test(word)) {
    const mark = words.at();
    words.take();
    const ordinal = eatOrdinal(words);
    words.eat('of');
    const month = monthOf(words.peek());
    if (month !== null) {
      words.take();
      addDate(words, draft, month, Number(word));
      return null;
    }
    if (ordinal) return readMonthDay(words, draft, Number(word));
    words.back(mark);
  }
  if (!/^\d/.test(word) && numberOf(word) === null && word !== 'half' && word !== 'quarter') return null;
  const minute = readTime(words);
  if (typeof minute === 'string') return minute;
  draft.times.push(minute);
  return null;
}

/** After `the 1st`: of which months. */
function readMonthDay(words: Words, draft: Draft, date: number): string | null {
  if (date < 1 || date > 31) return `No month has a day ${date}.`;
  const known = draft.days.find((day) => day.kind === 'monthly');
  if (known) known.dates = [...new Set([...known.dates, date])];
  else draft.days.push({ kind: 'monthly', dates: [date] });
  if (words.eat('each') || words.eat('every') || draft.every === 'day') draft.every = 'month';
  words.eat('the');
  words.eat('month');
  return null;
}

function addDate(words: Words, draft: Draft, month: number, date: number): void {
  if (/^\d{4}$/.test(words.peek())) draft.days.push({ kind: 'date', year: Number(words.take()), month, date });
  else draft.days.push({ kind: 'yearly', month, date });
}

function eatOrdinal(words: Words): boolean {
  return words.eat('st') || words.eat('nd') || words.eat('rd') || words.eat('th');
}
