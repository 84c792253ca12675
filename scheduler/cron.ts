// Reads a five-field cron expression: on which days it falls (croner's calendar) and at which minutes of such a day.
import { Cron } from 'croner';
import type { Millis } from '../core/types.ts';

export interface CronTimes {
  /**
   * It follows the running clock minute by minute, because its minute or hour begins with `*` (the rule of Vixie cron);
   * otherwise it names times of day.
   */
  elapsed: boolean;
  /** Minutes since midnight, ascending, never empty. */
  minutes: readonly number[];
  /** The first matching day on or after this one, both counted from 1970-01-01; null: there is none. */
  dayFrom(day: number): number | null;
}

/** What was read, or one sentence for each field that cannot be. */
export type ReadCron = { ok: true; times: CronTimes } | { ok: false; problems: string[] };

const DAY: Millis = 86_400_000;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const LONGEST_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const LONGEST_EXPRESSION = 256;

interface Field {
  name: string;
  lowest: number;
  highest: number;
  /** Words for `lowest`, `lowest + 1`, … */
  words?: readonly string[];
}

const FIELDS: readonly [Field, Field, Field, Field, Field] = [
  { name: 'minute', lowest: 0, highest: 59 },
  { name: 'hour', lowest: 0, highest: 23 },
  { name: 'day of the month', lowest: 1, highest: 31 },
  { name: 'month', lowest: 1, highest: 12, words: MONTHS },
  // 7 is Sunday too.
  { name: 'day of the week', lowest: 0, highest: 7, words: WEEKDAYS },
];

const SIX = 'Six fields (with seconds) are not supported: leave the seconds out, an expression has five fields.';

export function readCron(expression: string): ReadCron {
  const refuse = (...problems: string[]): ReadCron => ({ ok: false, problems });
  if (expression.length > LONGEST_EXPRESSION) {
    return refuse(`The cron expression is longer than ${LONGEST_EXPRESSION} characters.`);
  }
  if (/[^\t\n\r -~]/.test(expression)) {
    return refuse('The cron expression has characters that do not belong in one; use figures, names and `* , - /`.');
  }
  const words = expression.trim().split(/\s+/);
  if (words[0]?.startsWith('@')) {
    return refuse(`"${words[0]}" is a nickname, which is not supported: write five fields, for example \`0 0 * * *\`.`);
  }
  if (words.length === 6) return refuse(SIX);
  if (words.length !== 5) {
    const found = words[0] === '' ? 0 : words.length;
    return refuse(
      `A cron expression has five fields (minute, hour, day of the month, month, day of the week); "${expression}" has ${found}.`,
    );
  }
  const problems: string[] = [];
  const sets = FIELDS.map((field, index) => {
    const read = readField(field, words[index]!.toLowerCase());
    if (typeof read !== 'string') return read;
    problems.push(read);
    return [];
  }) as [number[], number[], number[], number[], number[]];
  if (problems.length > 0) return refuse(...problems);

  const [minutes, hours, days, months] = sets;
  const weekdays = [...new Set(sets[4].map((day) => day % 7))].sort((a, b) => a - b);
  const everyDay = isEvery(words[2]!);
  const everyWeekday = isEvery(words[4]!);
  if (everyWeekday && !months.some((month) => days.some((day) => day <= LONGEST_MONTH[month - 1]!))) {
    return refuse(
      `No ${months.map((month) => nameOf(month)).join(' and no ')} has a day ${days.join(' or ')}, so this would never run.`,
    );
  }

  // Spelled out as plain lists, so that only the calendar is croner's, not its reading of ranges, steps and names.
  const calendar = new Cron(
    `0 0 ${everyDay ? '*' : days.join(',')} ${months.join(',')} ${everyWeekday ? '*' : weekdays.join(',')}`,
    { timezone: 'UTC', mode: '5-part', paused: true },
  );
  return {
    ok: true,
    times: {
      elapsed: words[0]!.startsWith('*') || words[1]!.startsWith('*'),
      minutes: hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute)),
      dayFrom: everyDay && months.length === 12 ? onWeekdays(weekdays) : remembered(calendar),
    },
  };
}

/** The common case needs no calendar: every day, or some days of the week. 1970-01-01 was a Thursday. */
function onWeekdays(weekdays: readonly number[]): CronTimes['dayFrom'] {
  return (day) => {
    let found = day;
    while (!weekdays.includes((((found + 4) % 7) + 7) % 7)) found += 1;
    return found;
  };
}

/** The last answer holds for every day between its question and itself: a slot each minute asks croner once a day. */
function remembered(calendar: Cron): CronTimes['dayFrom'] {
  let asked = 1;
  let answer: number | null = 0;
  return (day) => {
    if (day >= asked && (answer === null || day <= answer)) return answer;
    const found = calendar.nextRun(new Date(day * DAY - 1));
    asked = day;
    answer = found ? Math.floor(found.getTime() / DAY) : null;
    return answer;
  };
}

/** The values in ascending order, or what is wrong in one sentence. */
function readField(field: Field, text: string): number[] | string {
  const { name, lowest, highest } = field;
  const foreign = /[l#w?]/.exec(text.replace(/[a-z]{3,}/g, ''))?.[0];
  if (foreign)
    return `"${foreign.toUpperCase()}" in the ${name} is not supported; use numbers, lists, ranges and steps.`;
  const values = new Set<number>();
  for (const item of text.split(',')) {
    const match = /^(?:(\*)|([a-z0-9]+)(?:-([a-z0-9]+))?)(?:\/([0-9]+))?$/.exec(item);
    if (!match) return `"${item}" cannot be read as ${name}.`;
    const [, star, first, last, by] = match;
    const from = star ? lowest : numberOf(field, first!);
    // The seventh weekday is the first one again: `*` and open steps stop before it.
    const top = name === 'day of the week' ? 6 : highest;
    const to = star ? top : last === undefined ? from : numberOf(field, last);
    if (from === null || to === null) {
      const wrong = from === null ? first : last;
      return `"${wrong}" does not fit the ${name}: it goes from ${lowest} to ${highest}${field.words ? ` or by name (${field.words[0]}, ${field.words[1]}, …)` : ''}.`;
    }
    if (by !== undefined && !star && last === undefined) {
      return `"${item}" in the ${name} has a step without a range: write ${first}-${top}/${by}.`;
    }
    const step = by === undefined ? 1 : Number(by);
    if (step < 1 || step > highest) return `The step ${by} in the ${name} must be between 1 and ${highest}.`;
    // `fri-sun` ends with the week.
    const end = name === 'day of the week' && to === 0 && from > 0 && last !== '0' ? 7 : to;
    if (from > end) {
      return `The range "${item}" in the ${name} runs backwards: write it as two, ${first}-${top},${lowest}-${last}.`;
    }
    for (let value = from; value <= end; value += step) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function numberOf(field: Field, text: string): number | null {
  if (/^[0-9]{1,2}$/.test(text)) {
    const value = Number(text);
    return value >= field.lowest && value <= field.highest ? value : null;
  }
  const index = field.words?.indexOf(text) ?? -1;
  return index < 0 ? null : field.lowest + index;
}

function isEvery(text: string): boolean {
  return text === '*' || text === '*/1';
}

function nameOf(month: number): string {
  const name = MONTHS[month - 1]!;
  return name[0]!.toUpperCase() + name.slice(1);
}
