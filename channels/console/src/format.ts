// Numbers, times and sizes as people read them. Pure; the current time is passed in.

const LOCALE = globalThis.navigator?.language?.startsWith('en') ? globalThis.navigator.language : 'en-GB';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const clockFormat = new Intl.DateTimeFormat(LOCALE, { timeStyle: 'short' });
const secondFormat = new Intl.DateTimeFormat(LOCALE, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const dayFormat = new Intl.DateTimeFormat(LOCALE, { weekday: 'long', day: 'numeric', month: 'long' });
const dayYearFormat = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'long', year: 'numeric' });
const shortDayFormat = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'short' });
const fullFormat = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'full', timeStyle: 'medium' });

export function clock(at: string): string {
  return at ? clockFormat.format(new Date(at)) : '';
}

export function clockSeconds(at: string): string {
  return at ? secondFormat.format(new Date(at)) : '';
}

export function fullTime(at: string): string {
  return at ? fullFormat.format(new Date(at)) : '';
}

/** The local calendar day, as a key to compare: two times of one day are equal. */
export function dayKey(at: string | number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

export function dayName(at: string, now: number): string {
  if (dayKey(at) === dayKey(now)) return 'Today';
  if (dayKey(at) === dayKey(now - DAY)) return 'Yesterday';
  const date = new Date(at);
  return date.getFullYear() === new Date(now).getFullYear() ? dayFormat.format(date) : dayYearFormat.format(date);
}

/** "12 Mar" for a calendar day given as YYYY-MM-DD. */
export function shortDay(day: string): string {
  const noon = new Date(`${day}T12:00`);
  return Number.isNaN(noon.getTime()) ? day : shortDayFormat.format(noon);
}

/** "now", "5 min", "3 h", "yesterday", "12 Mar": short enough for a list. */
export function ago(at: string | null, now: number): string {
  if (!at) return 'never';
  const past = now - new Date(at).getTime();
  if (past < MINUTE) return 'now';
  if (past < HOUR) return `${Math.floor(past / MINUTE)} min`;
  if (dayKey(at) === dayKey(now)) return `${Math.floor(past / HOUR)} h`;
  if (dayKey(at) === dayKey(now - DAY)) return 'yesterday';
  return shortDayFormat.format(new Date(at));
}

/** "5 min ago", "12 Mar": for a sentence. */
export function agoSentence(at: string | null, now: number): string {
  const text = ago(at, now);
  return text === 'now' ? 'just now' : /(min|h)$/.test(text) ? `${text} ago` : text;
}

export function inFuture(at: string, now: number): string {
  const left = new Date(at).getTime() - now;
  if (left <= 0) return 'expired';
  if (left < MINUTE) return 'in less than a minute';
  if (left < HOUR) return `in ${Math.floor(left / MINUTE)} min`;
  return left < 2 * DAY ? `in ${Math.floor(left / HOUR)} h` : `in ${Math.floor(left / DAY)} days`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.round(ms / 1000)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${Math.round((ms % MINUTE) / 1000)} s`;
  return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min`;
}

export function between(from: string, to: string): number {
  return new Date(to).getTime() - new Date(from).getTime();
}

/** Dollars; small amounts keep the digits that matter. */
export function usd(amount: number): string {
  if (amount === 0) return '$0.00';
  if (Math.abs(amount) < 0.01) return `$${amount.toFixed(4)}`;
  return `$${amount.toFixed(2)}`;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** 1,234 as "1.2k", for table cells and labels where the exact number does not matter. */
export function compact(value: number): string {
  if (value < 1000) return String(value);
  if (value < 999_500) return `${(value / 1000).toFixed(value < 9_950 ? 1 : 0)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

export function bytes(size: number): string {
  if (size < 1000) return `${size} bytes`;
  if (size < 1_000_000) return `${Math.round(size / 1000)} kB`;
  return `${(size / 1_000_000).toFixed(1)} MB`;
}

/** One line of at most `length` characters; white space collapsed, the cut marked. */
export function oneLine(text: string, length: number): string {
  const line = text
    .slice(0, length * 4)
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > length ? `${line.slice(0, length - 1).trimEnd()}…` : line;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}
