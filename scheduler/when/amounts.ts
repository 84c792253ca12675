// Reads how long (`an hour and a half`) and at what time of day (`half past nine`, `5 pm`).
import type { Millis } from '../../core/types.ts';
import { numberOf, UNITS, type Unit, type Words } from './words.ts';

/** Days are kept apart from the rest: they are days of the calendar, not of 24 hours. */
export interface Span {
  days: number;
  ms: Millis;
}

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

/** Whether a length of time follows, so many words on: "in" may also be "in the evening". */
export function isSpan(words: Words, ahead: number): boolean {
  const first = words.peek(ahead);
  const second = words.peek(ahead + 1);
  if (UNITS.has(first) || first === 'half') return true;
  const counts = numberOf(first) !== null || /^\d+(\.\d+)?$/.test(first);
  return counts && (UNITS.has(second) || second === 'half' || second === 'and');
}

/** `20 minutes`, `an hour and a half`, `half an hour`, `1 h 30 m`, `2 days`; or one sentence about why it is none. */
export function readSpan(words: Words): Span | string {
  const span: Span = { days: 0, ms: 0 };
  let last: Unit | null = null;
  while (!words.done()) {
    if (last && (words.eat('and', 'a', 'half') || words.eat('and', 'half'))) {
      add(span, 0.5, last);
      continue;
    }
    const mark = words.at();
    // "1 h 30 m" goes on without a word between.
    if (last) words.eat('and');
    const count = readCount(words, last === null);
    const unit = UNITS.get(words.peek());
    if (count === null || !unit) {
      words.back(mark);
      break;
    }
    if (unit === 'month' || unit === 'year') {
      return 'Months and years are not counted from now: write the date, or "every month on the 1st".';
    }
    words.take();
    add(span, count, unit);
    last = unit;
  }
  if (last === null) return 'How long is it? Write for example: in 20 minutes.';
  const whole = Math.floor(span.days);
  const result = { days: whole, ms: Math.round(span.ms + (span.days - whole) * 24 * HOUR) };
  return result.days === 0 && result.ms === 0 ? 'That is no time at all.' : result;
}

function readCount(words: Words, first: boolean): number | null {
  if (words.eat('half')) {
    if (words.peek() === 'a' || words.peek() === 'an') words.take();
    return 0.5;
  }
  // "every hour"
  if (first && UNITS.has(words.peek())) return 1;
  const count = /^\d{1,6}(\.\d{1,3})?$/.test(words.peek()) ? Number(words.peek()) : numberOf(words.peek());
  if (count === null) return null;
  const article = words.take().startsWith('a');
  if (article && words.eat('half')) return 0.5;
  return words.eat('and', 'a', 'half') ? count + 0.5 : count;
}

function add(span: Span, count: number, unit: Unit): void {
  if (unit === 'minute') span.ms += count * MINUTE;
  else if (unit === 'hour') span.ms += count * HOUR;
  else if (unit === 'day') span.days += count;
  else if (unit === 'week') span.days += count * 7;
}

/** Minutes since midnight. A bare `9` is nine in the morning: hours are counted to 24 unless it says otherwise. */
export function readTime(words: Words): number | string {
  const past = words.eat('half', 'past')
    ? 30
    : words.eat('quarter', 'past')
      ? 15
      : words.eat('quarter', 'to')
        ? -15
        : 0;
  const word = words.take();
  const wrong = `"${word.slice(0, 30)}" is not a time of day.`;
  const clock = /^(\d{1,2})(?:[:.](\d{2}))?(?::00)?$/.exec(word);
  const hour = clock ? Number(clock[1]) : numberOf(word);
  const minute = past + Number(clock?.[2] ?? 0);
  if (hour === null || minute > 59) return wrong;
  const half = words.eat('am') ? 'am' : words.eat('pm') ? 'pm' : null;
  if (half ? hour < 1 || hour > 12 : hour > 23) return wrong;
  const of24 = half ? (hour % 12) + (half === 'pm' ? 12 : 0) : hour;
  return (of24 * 60 + minute + 1440) % 1440;
}

/** `at 9 in the evening` is 21:00. */
export function inPart(minute: number, part: string): number {
  const hour = Math.floor(minute / 60);
  if ((part === 'afternoon' || part === 'evening') && hour >= 1 && hour < 12) return minute + 12 * 60;
  if (part === 'night' && hour === 12) return minute - 12 * 60;
  if (part === 'night' && hour >= 6 && hour < 12) return minute + 12 * 60;
  return minute;
}
