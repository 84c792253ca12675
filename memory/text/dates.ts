// Dates that a text names, resolved against the moment it was said: "yesterday", "last Friday", "in March", "7 May 2023".
// A date is a span of whole days, counted from 1970-01-01 in the person's own calendar; its words go into the index.
import type { Millis } from '../../core/types.ts';

/** From one day to another, both included; days since 1970-01-01. */
export interface Span {
  from: number;
  to: number;
}

const DAY = 86_400_000;
const MONTHS = 'january february march april may june july august september october november december'.split(' ');
const DAYS = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ');
const NUMBERS = 'zero one two three four five six seven eight nine ten eleven twelve'.split(' ');
const GERMAN_MONTHS = 'januar februar märz april mai juni juli august september oktober november dezember'.split(' ');
/** A text names a few dates; a table of them is not worth more. */
const MOST = 24;
const LONGEST = 20_000;

const MONTH = `(?:${MONTHS.join('|')}|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec|${GERMAN_MONTHS.filter((m) => !MONTHS.includes(m)).join('|')})`;
const COUNT = `(?:\\d{1,3}|an?|${NUMBERS.slice(1).join('|')}|a\\s+couple\\s+of|a\\s+few|several)`;
const YEAR = '(?:19|20)\\d\\d';

/** The calendar day of a moment in a zone. Making the calendar is slow, asking it is not. */
export function createCalendar(timeZone: string): (at: Millis) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    hourCycle: 'h23',
  });
  const offsets = new Map<number, number>();
  return (at) => {
    // Zones change their offset at most on the quarter of an hour.
    const quarter = Math.floor(at / 900_000);
    let offset = offsets.get(quarter);
    if (offset === undefined) {
      const part = Object.fromEntries(format.formatToParts(quarter * 900_000).map(({ type, value }) => [type, value]));
      const local = Date.UTC(Number(part.year), Number(part.month) - 1, Number(part.day), Number(part.hour));
      // Half-hour zones: only the day matters, and the hour decides it but for minutes that no zone puts on midnight.
      offset = Math.floor((local - Math.floor(at / 3_600_000) * 3_600_000) / 3_600_000) * 3_600_000;
      if (offsets.size > 5_000) offsets.clear();
      offsets.set(quarter, offset);
    }
    return Math.floor((at + offset) / DAY);
  };
}

const dayOf = (year: number, month: number, day: number): number => Math.floor(Date.UTC(year, month, day) / DAY);
const partsOf = (day: number): { year: number; month: number; date: number; weekday: number } => {
  const date = new Date(day * DAY);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth(), date: date.getUTCDate(), weekday: date.getUTCDay() };
};
const wholeMonth = (year: number, month: number): Span => ({
  from: dayOf(year, month, 1),
  to: dayOf(year, month + 1, 0),
});
const wholeYear = (year: number): Span => ({ from: dayOf(year, 0, 1), to: dayOf(year, 11, 31) });
const oneDay = (day: number): Span => ({ from: day, to: day });

function monthOf(name: string): number {
  const low = name.toLowerCase();
  const german = GERMAN_MONTHS.indexOf(low);
  return german >= 0 ? german : MONTHS.findIndex((month) => month.startsWith(low.slice(0, 3)));
}

function countOf(text: string): number {
  const low = text.toLowerCase();
  if (/^\d+$/.test(low)) return Number(low);
  if (low === 'a' || low === 'an') return 1;
  if (low.startsWith('a couple')) return 2;
  if (low.startsWith('a few') || low === 'several') return 3;
  return NUMBERS.indexOf(low);
}

function isReal(year: number, month: number, date: number): boolean {
  const parts = partsOf(dayOf(year, month, date));
  return parts.year === year && parts.month === month && parts.date === date;
}

/** Without a year it is the one nearest to `today`; a text speaks more of what was than of what comes. */
function nearestYear(month: number, today: number): number {
  const now = partsOf(today);
  return month - now.month > 5 ? now.year - 1 : now.month - month > 9 ? now.year + 1 : now.year;
}

type Reading = (match: RegExpMatchArray, today: number) => Span | null;
const rule = (pattern: string, read: Reading): [RegExp, Reading] => [
  new RegExp(`(?<![\\p{L}\\p{N}])(?:${pattern})(?![\\p{L}\\p{N}])`, 'giu'),
  read,
];

const date = (year: number, month: number, day: number): Span | null =>
  isReal(year, month, day) ? oneDay(dayOf(year, month, day)) : null;

/** "Two weeks ago" is that day give or take: the wider the unit, the wider the span. */
function ago(count: number, unit: string, today: number, sign: 1 | -1): Span | null {
  if (count < 0) return null;
  const low = unit.toLowerCase();
  if (low === 'day') return oneDay(today + sign * count);
  if (low === 'week') return { from: today + sign * 7 * count - 3, to: today + sign * 7 * count + 3 };
  if (low === 'weekend') {
    const saturday = today - ((partsOf(today).weekday + 1) % 7) + sign * 7 * (count - (sign < 0 ? 1 : 0));
    return { from: saturday, to: saturday + 1 };
  }
  const now = partsOf(today);
  if (low === 'month') return wholeMonth(now.year, now.month + sign * count);
  return count < 200 ? wholeYear(now.year + sign * count) : null;
}

/** In their order of precedence: what one has read, the next ones leave alone. */
const RULES: readonly [RegExp, Reading][] = [
  rule(`(${YEAR})[-/.](\\d{1,2})[-/.](\\d{1,2})(?:t[\\d:.]+z?)?`, (m) =>
    date(Number(m[1]), Number(m[2]) - 1, Number(m[3])),
  ),
  rule(`(\\d{1,2})\\.\\s?(\\d{1,2})\\.\\s?(${YEAR})`, (m) => date(Number(m[3]), Number(m[2]) - 1, Number(m[1]))),
  rule(`(\\d{1,2})(?:st|nd|rd|th|\\.)?(?:\\s+of)?\\s+(${MONTH})\\.?,?\\s+(${YEAR})`, (m) =>
    date(Number(m[3]), monthOf(m[2]!), Number(m[1])),
  ),
  rule(`(${MONTH})\\.?\\s+(\\d{1,2})(?:st|nd|rd|th)?,?\\s+(${YEAR})`, (m) =>
    date(Number(m[3]), monthOf(m[1]!), Number(m[2])),
  ),
  rule(`(${MONTH})\\.?,?\\s+(?:of\\s+)?(${YEAR})`, (m) => wholeMonth(Number(m[2]), monthOf(m[1]!))),
  rule(`(${YEAR})年(?:(\\d{1,2})月)?(?:(\\d{1,2})[日号])?`, (m) =>
    m[3]
      ? date(Number(m[1]), Number(m[2]) - 1, Number(m[3]))
      : m[2]
        ? wholeMonth(Number(m[1]), Number(m[2]) - 1)
        : wholeYear(Number(m[1])),
  ),
  rule(`(\\d{1,2})(?:st|nd|rd|th|\\.)?(?:\\s+of)?\\s+(${MONTH})`, (m, today) =>
    date(nearestYear(monthOf(m[2]!), today), monthOf(m[2]!), Number(m[1])),
  ),
  rule(`(${MONTH})\\.?\\s+(\\d{1,2})(?:st|nd|rd|th)?`, (m, today) =>
    date(nearestYear(monthOf(m[1]!), today), monthOf(m[1]!), Number(m[2])),
  ),
  rule('day\\s+before\\s+yesterday|vorgestern|前天', (_, today) => oneDay(today - 2)),
  rule('day\\s+after\\s+tomorrow|übermorgen|后天', (_, today) => oneDay(today + 2)),
  rule('yesterday|last\\s+night|gestern|hier\\s+soir|ayer', (_, today) => oneDay(today - 1)),
  rule("today|tonight|this\\s+(?:morning|afternoon|evening)|heute|aujourd[’']hui|hoy", (_, today) => oneDay(today)),
  rule('tomorrow|demain|mañana', (_, today) => oneDay(today + 1)),
  rule(`(${COUNT})\\s+(day|week|weekend|month|year)s?\\s+(?:ago|back|earlier|before)`, (m, today) =>
    ago(countOf(m[1]!), m[2]!, today, -1),
  ),
  rule(`in\\s+(${COUNT})\\s+(day|week|month|year)s?`, (m, today) => ago(countOf(m[1]!), m[2]!, today, 1)),
  rule('(?:the\\s+)?(last|past|previous|this\\s+past)\\s+(day|week|weekend|month|year)', (m, today) =>
    ago(1, m[2]!, today, -1),
  ),
  rule('(next)\\s+(day|week|weekend|month|year)', (m, today) => ago(1, m[2]!, today, 1)),
  rule('this\\s+(week|month|year)', (m, today) => ago(0, m[1]!, today, -1)),
  rule('this\\s+weekend', (_, today) => {
    const saturday = today + ((6 - partsOf(today).weekday + 7) % 7);
    return { from: saturday, to: saturday + 1 };
  }),
  rule(`(last|next|this|past)?\\s*(${DAYS.join('|')}|tues|wed|thurs|fri)`, (m, today) => {
    const wanted = DAYS.findIndex((day) => day.startsWith(m[2]!.toLowerCase().slice(0, 3)));
    const back = (partsOf(today).weekday - wanted + 7) % 7 || 7;
    const which = m[1]?.toLowerCase();
    return oneDay(which === 'next' || which === 'this' ? today + ((7 - back) % 7 || 7) : today - back);
  }),
  rule(
    `(last|next|this|in|during|since|early|late|of|by|mid|until|im)\\s+(${MONTHS.join('|')}|märz|oktober|dezember)`,
    (m, today) => {
      const month = monthOf(m[2]!);
      const now = partsOf(today);
      const which = m[1]!.toLowerCase();
      if (which === 'last') return wholeMonth(month < now.month ? now.year : now.year - 1, month);
      if (which === 'next') return wholeMonth(month > now.month ? now.year : now.year + 1, month);
      return wholeMonth(nearestYear(month, today), month);
    },
  ),
  rule(`(?:(last|this|next)\\s+)?(spring|summer|autumn|fall|winter)(?:\\s+(?:of\\s+)?(${YEAR}))?`, (m, today) => {
    if (!m[1] && !m[3]) return null;
    const first = { spring: 2, summer: 5, autumn: 8, fall: 8, winter: 11 }[m[2]!.toLowerCase()]!;
    const now = partsOf(today);
    const year = m[3] ? Number(m[3]) : m[1] === 'last' && now.month <= first ? now.year - 1 : now.year;
    return { from: dayOf(year, first, 1), to: dayOf(year, first + 3, 0) };
  }),
  rule(`(?:in|of|since|during|year|im\\s+jahr)\\s+(${YEAR})`, (m) => wholeYear(Number(m[1]))),
];

/** A cheap look before the rules: most texts name no date at all. */
const MAYBE =
  /(?:19|20)\d\d|yesterday|today|tonight|tomorrow|last|next|this|ago|back|past|previous|earlier|before|\bin an?\b|in (?:\d|one|two|three|four|five|six)|day\b|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|okt|dez|tues|wed|thurs|fri)|summer|winter|spring|autumn|fall|gestern|heute|morgen|hoy|ayer|demain|aujourd|mañana|前天|后天|年/i;

/** Every date named, in the order of the rules, none twice, and the text without them. `today`: the day it was said. */
export function readDates(text: string, today: number): { spans: Span[]; rest: string } {
  const cut = text.length > LONGEST ? text.slice(0, LONGEST) : text;
  if (!MAYBE.test(cut)) return { spans: [], rest: cut };
  // One space for many: the rules would try each of them.
  let rest = cut.replace(/\s+/g, ' ');
  const spans: Span[] = [];
  for (const [pattern, read] of RULES) {
    rest = rest.replace(pattern, (...args) => {
      const match = args.slice(0, -2) as unknown as RegExpMatchArray;
      const span = spans.length < MOST ? read(match, today) : null;
      if (!span || !Number.isFinite(span.from) || !Number.isFinite(span.to)) return match[0]!;
      if (!spans.some((known) => known.from === span.from && known.to === span.to)) spans.push(span);
      return ' · ';
    });
    if (spans.length >= MOST) break;
  }
  return { spans, rest };
}

export const datesIn = (text: string, today: number): Span[] => readDates(text, today).spans;

/** The day on which something was said, for the index: its day, month and year. */
export function dayWords(day: number): string[] {
  const { year, month, date: of } = partsOf(day);
  const two = (value: number) => String(value).padStart(2, '0');
  return [`d${year}${two(month + 1)}${two(of)}`, `m${year}${two(month + 1)}`, `y${year}`];
}

/** The words under which a span is looked for: its days, or its months, or its years. */
export function spanWords({ from, to }: Span): string[] {
  const out = new Set<string>();
  const days = to - from + 1;
  const pick = days <= 10 ? 0 : days <= 100 ? 1 : 2;
  for (let day = from; day <= to && out.size < 12; day += pick === 0 ? 1 : pick === 1 ? 7 : 90)
    out.add(dayWords(day)[pick]!);
  if (out.size < 12) out.add(dayWords(to)[pick]!);
  return [...out];
}
