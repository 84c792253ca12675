// An oracle for slots, by brute force and without a line of scheduler/: it reads a zone's clock through Intl, lists every
// time on a calendar that an expression names, and looks on the clock for the instant at which that time is shown.

export interface OracleSlot {
  at: number;
  key: string;
}

/** What a clock in the zone shows at an instant, as if it were UTC. */
export interface OracleClock {
  shows(instant: number): number;
  /** Every way the clock differed from UTC in the time looked at. */
  offsets: number[];
  /** Instants at which the clock was changed. */
  changes: number[];
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Looks every `step`: two changes within one are missed. */
export function oracleClock(timeZone: string, from: number, to: number, step = 8 * HOUR): OracleClock {
  // What is read has no seconds.
  const begin = Math.floor(from / MINUTE) * MINUTE;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  const read = (instant: number) => {
    // "10/25/2026, 02:30"
    const [month, date, year, hour, minute] = format.format(instant).split(/\D+/).map(Number) as [
      number,
      number,
      number,
      number,
      number,
    ];
    return Date.UTC(year, month - 1, date, hour, minute);
  };
  const steps: { from: number; offset: number }[] = [];
  let offset = read(begin) - begin;
  steps.push({ from: begin, offset });
  for (let t = begin; t < to; ) {
    const next = t + step;
    if (read(next) - next !== offset) {
      let change = t;
      while (read(change) - change === offset)
        change += change + HOUR < next && read(change + HOUR) - change - HOUR === offset ? HOUR : MINUTE;
      offset = read(change) - change;
      steps.push({ from: change, offset });
      t = change;
    } else t = next;
  }
  return {
    shows(instant) {
      let low = 0;
      for (let high = steps.length - 1; low < high; ) {
        const middle = Math.ceil((low + high) / 2);
        if (steps[middle]!.from <= instant) low = middle;
        else high = middle - 1;
      }
      return instant + steps[low]!.offset;
    },
    offsets: [...new Set(steps.map((step) => step.offset))],
    changes: steps.slice(1).map((step) => step.from),
  };
}

/** Slots with `from <= at < to`. The clock must have been read from two days before to two days after. */
export function oracleSlots(expression: string, clock: OracleClock, from: number, to: number): OracleSlot[] {
  const [minute, hour, date, month, weekday] = expression.split(' ') as [string, string, string, string, string];
  const minutes = numbers(minute, 0, 59);
  const hours = numbers(hour, 0, 23);
  const dates = numbers(date, 1, 31);
  const months = numbers(month, 1, 12);
  const weekdays = new Set([...numbers(weekday, 0, 7)].map((day) => day % 7));
  const anyDate = date === '*';
  const anyWeekday = weekday === '*';
  const wild = minute.startsWith('*') || hour.startsWith('*');

  const found = new Map<number, string>();
  const shownAt = (time: number) => clock.offsets.map((offset) => time - offset).filter((t) => clock.shows(t) === time);
  for (let day = Math.floor(from / DAY) * DAY - 2 * DAY; day < to + 2 * DAY; day += DAY) {
    const calendar = new Date(day);
    if (!months.has(calendar.getUTCMonth() + 1)) continue;
    const onDate = dates.has(calendar.getUTCDate());
    const onWeekday = weekdays.has(calendar.getUTCDay());
    if (anyDate || anyWeekday ? !(onDate && onWeekday) : !(onDate || onWeekday)) continue;
    for (const h of hours) {
      for (const m of minutes) {
        const time = day + h * HOUR + m * MINUTE;
        const shown = shownAt(time);
        if (wild) for (const instant of shown) found.set(instant, `${new Date(instant).toISOString().slice(0, 19)}Z`);
        else {
          const instant =
            shown.length > 0
              ? Math.min(...shown)
              : clock.changes.find((change) => clock.shows(change) > time && clock.shows(change - MINUTE) < time)!;
          found.set(instant, new Date(clock.shows(instant)).toISOString().slice(0, 16));
        }
      }
    }
  }
  return [...found]
    .filter(([at]) => at >= from && at < to)
    .sort(([a], [b]) => a - b)
    .map(([at, key]) => ({ at, key }));
}

/** `*`, `7`, `1-5`, `1,15`, `0-30/10`, `*` with a step. */
function numbers(field: string, lowest: number, highest: number): Set<number> {
  const all = Array.from({ length: highest - lowest + 1 }, (_, index) => lowest + index);
  return new Set(
    field.split(',').flatMap((item) => {
      const [range, step] = item.split('/') as [string, string?];
      const [first, last] = range === '*' ? [lowest, highest] : (range.split('-').map(Number) as [number, number?]);
      return all.filter(
        (value) => value >= first && value <= (last ?? first) && (value - first) % Number(step ?? 1) === 0,
      );
    }),
  );
}

/** How a list of slots differs from the oracle's: what is not there, what is too much, and what is there twice. */
export interface Difference {
  missing: string[];
  extra: string[];
  double: string[];
}

export function differences(actual: readonly OracleSlot[], expected: readonly OracleSlot[]): Difference {
  const name = ({ at, key }: OracleSlot) => `${new Date(at).toISOString()} ${key}`;
  const due = new Map(expected.map(({ at, key }) => [at, key]));
  const had = new Map<number, string>();
  const keys = new Set<string>();
  const double = actual.filter(({ at, key }) => {
    const again = had.has(at) || keys.has(key);
    had.set(at, key);
    keys.add(key);
    return again;
  });
  return {
    missing: expected.filter(({ at, key }) => had.get(at) !== key).map(name),
    extra: actual.filter(({ at, key }) => due.get(at) !== key).map(name),
    double: double.map(name),
  };
}
