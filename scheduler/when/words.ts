// The words times are made of: what each means, and a reader that goes over them once.
import { fromChinese } from './chinese.ts';

const NUMBERS = new Map(
  Object.entries({
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
  }),
);
export type Unit = 'minute' | 'hour' | 'day' | 'week' | 'month' | 'year';
export const UNITS = new Map<string, Unit>(
  Object.entries({
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
  }),
);
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const MONTHS = 'january february march april may june july august september october november december'.split(' ');
/** What a part of the day means when no time is said. */
export const PARTS = new Map(
  Object.entries({
    morning: 8 * 60,
    noon: 12 * 60,
    midday: 12 * 60,
    afternoon: 14 * 60,
    evening: 18 * 60,
    night: 21 * 60,
    midnight: 0,
  }),
);
export const GROUPS = new Map(
  Object.entries({
    weekday: [1, 2, 3, 4, 5],
    weekdays: [1, 2, 3, 4, 5],
    workday: [1, 2, 3, 4, 5],
    workdays: [1, 2, 3, 4, 5],
    weekend: [0, 6],
    weekends: [0, 6],
  }),
);
export const ADVERBS = new Map<string, Unit>(
  Object.entries({ daily: 'day', weekly: 'week', monthly: 'month', yearly: 'year' }),
);
export const SECONDS = new Set(['s', 'sec', 'secs', 'seconds']);
export const FILLERS = new Set(['on', 'at', 'the', 'this', 'of', 'and', 'in', 'o', 'clock', 'please', 'remind', 'me']);

/** Goes forward only, but for `back`. */
export interface Words {
  peek(ahead?: number): string;
  /** Goes past these words if they come next. */
  eat(...wanted: string[]): boolean;
  /** The next word, gone past. */
  take(): string;
  at(): number;
  /** To where it was. */
  back(at: number): void;
  done(): boolean;
}

/** In lower case; figures and letters apart (`9am`, `1st`, `20min`), a hyphen between names as `to`. */
export function wordsOf(text: string): string[] {
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

export function reader(words: readonly string[]): Words {
  let at = 0;
  return {
    peek: (ahead = 0) => words[at + ahead] ?? '',
    eat(...wanted) {
      if (!wanted.every((word, index) => words[at + index] === word)) return false;
      at += wanted.length;
      return true;
    },
    take: () => words[at++] ?? '',
    at: () => at,
    back(to) {
      at = to;
    },
    done: () => at >= words.length,
  };
}

export function numberOf(word: string): number | null {
  return NUMBERS.get(word) ?? null;
}

/** 0 is Sunday. */
export function weekdayOf(word: string): number | null {
  const one = word.length > 6 && word.endsWith('days') ? word.slice(0, -1) : word;
  const index = WEEKDAYS.findIndex((day) => day === one || (one.length >= 3 && one.length <= 5 && day.startsWith(one)));
  return index < 0 ? null : index;
}

/** 1 is January. */
export function monthOf(word: string): number | null {
  const index = MONTHS.findIndex((month) => month === word || (word.length === 3 && month.startsWith(word)));
  return index < 0 ? (word === 'sept' ? 9 : null) : index + 1;
}
