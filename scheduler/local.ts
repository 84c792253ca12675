// Times and rules in words, for people.
import { createRequire } from 'node:module';
import type { Rule } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';

const MINUTE: Millis = 60_000;
const UNITS: readonly (readonly [string, Millis])[] = [
  ['week', 7 * 24 * 60 * MINUTE],
  ['day', 24 * 60 * MINUTE],
  ['hour', 60 * MINUTE],
  ['minute', MINUTE],
  ['second', 1000],
  ['millisecond', 1],
];

/** `Mon 2026-12-07 07:30 Europe/Berlin`. */
export function formatLocal(at: Millis, timeZone: string): string {
  const parts = Object.fromEntries(
    new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      weekday: 'short',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    })
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  );
  const { weekday, year, month, day, hour, minute } = parts;
  return `${weekday} ${year!.padStart(4, '0')}-${month}-${day} ${hour}:${minute} ${timeZone}`;
}

/** `At 07:30, Monday through Friday (Europe/Berlin)`, `Every 15 minutes`, `Once, Mon 2026-12-07 07:30 Europe/Berlin`. */
export function sayRule(rule: Rule): string {
  switch (rule.kind) {
    case 'cron':
      return `${sayCron(rule.expression)} (${rule.timeZone})`;
    case 'interval':
      return `Every ${sayDuration(rule.every)}`;
    case 'once':
      return `Once, ${formatLocal(rule.at, rule.timeZone)}`;
    case 'manual':
      return 'By hand or by a webhook';
  }
}

/** `20 minutes`, `1 hour 30 minutes`, exactly; one of a unit alone is only its name, to go after "every". */
export function sayDuration(ms: Millis): string {
  const parts: string[] = [];
  let rest = ms;
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count === 0) continue;
    parts.push(
      `${count === 1 && parts.length === 0 && rest === size ? '' : `${count} `}${unit}${count === 1 ? '' : 's'}`,
    );
    rest -= count * size;
  }
  return parts.join(' ') || '0 minutes';
}

type Cronstrue = typeof import('cronstrue');

/** Loaded when first asked for: nobody needs it to be on time. */
function sayCron(expression: string): string {
  const { toString: say } = createRequire(import.meta.url)('cronstrue') as Cronstrue;
  const said = say(expression, { use24HourTimeFormat: true, verbose: false });
  // Where a day of the month and a day of the week are both named, either will do; cronstrue says "and".
  const [, , date, , weekday] = expression.trim().split(/\s+/);
  return date === '*' || weekday === '*' ? said : said.replace(/, and (?=on )/, ', or ');
}
