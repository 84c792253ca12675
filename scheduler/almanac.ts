// What has been worked out about zones and expressions and need not be worked out again. Owned by the caller, bounded, safe to drop.
import type { Millis } from '../core/types.ts';
import { type CronTimes, readCron } from './cron.ts';

/** A stretch of time in which a zone's clocks run evenly: wall time is the instant plus `offset`. */
export interface Stretch {
  from: Millis;
  /** Excluded. */
  until: Millis;
  offset: Millis;
  /** The offset just before `from`; the same as `offset` where nothing changes. */
  before: Millis;
}

export interface Almanac {
  stretchAt(timeZone: string, instant: Millis): Stretch;
  /** Throws a RangeError for an expression that `checkRule` would refuse. */
  cron(expression: string): CronTimes;
}

const DAY: Millis = 86_400_000;
const CHUNK: Millis = 368 * DAY;
/** No zone has changed its clocks forth and back within less than this; the shortest known is a Ramadan of four weeks. */
const PROBE: Millis = 8 * DAY;
const MOST_EXPRESSIONS = 4096;
const MOST_CHUNKS = 2048;

export function createAlmanac(): Almanac {
  const expressions = new Map<string, CronTimes>();
  const zones = new Map<string, (instant: Millis) => Millis>();
  const chunks = new Map<string, Map<number, Stretch[]>>();
  let chunkCount = 0;

  const offsetIn = (timeZone: string) => {
    let offset = zones.get(timeZone);
    if (!offset) {
      offset = offsetReader(timeZone);
      zones.set(timeZone, offset);
    }
    return offset;
  };

  return {
    stretchAt(timeZone, instant) {
      const index = Math.floor(instant / CHUNK);
      let ofZone = chunks.get(timeZone);
      let stretches = ofZone?.get(index);
      if (!stretches) {
        stretches = stretchesBetween(offsetIn(timeZone), index * CHUNK, (index + 1) * CHUNK);
        if (chunkCount >= MOST_CHUNKS) {
          chunks.clear();
          chunkCount = 0;
          ofZone = undefined;
        }
        if (!ofZone) {
          ofZone = new Map();
          chunks.set(timeZone, ofZone);
        }
        ofZone.set(index, stretches);
        chunkCount += 1;
      }
      for (const stretch of stretches) if (instant < stretch.until) return stretch;
      return stretches.at(-1)!;
    },
    cron(expression) {
      const known = expressions.get(expression);
      if (known) return known;
      const read = readCron(expression);
      if (!read.ok) throw new RangeError(read.problems.join(' '));
      if (expressions.size >= MOST_EXPRESSIONS) expressions.clear();
      expressions.set(expression, read.times);
      return read.times;
    },
  };
}

function stretchesBetween(offsetAt: (instant: Millis) => Millis, from: Millis, until: Millis): Stretch[] {
  const stretches: Stretch[] = [];
  let start = from;
  let before = offsetAt(from - 1000);
  let offset = offsetAt(from);
  for (let probe = from; probe < until; ) {
    const next = Math.min(probe + PROBE, until);
    if (offsetAt(next - 1000) === offset) {
      probe = next;
      continue;
    }
    // From a second before, for it may have changed with the very instant of the probe.
    const change = changeBetween(offsetAt, probe - 1000, next - 1000, offset);
    stretches.push({ from: start, until: change, offset, before });
    start = change;
    before = offset;
    offset = offsetAt(change);
    probe = change;
  }
  stretches.push({ from: start, until, offset, before });
  return stretches;
}

/** The first whole second at which the offset is another; that is after `low`, and at `high` it is. */
function changeBetween(offsetAt: (instant: Millis) => Millis, low: Millis, high: Millis, offset: Millis): Millis {
  let same = low;
  let other = high;
  while (other - same > 1000) {
    const middle = Math.floor((same + other) / 2000) * 1000;
    if (offsetAt(middle) === offset) same = middle;
    else other = middle;
  }
  return other;
}

/** Intl is the only source of zone rules here: it carries the tz data of the running Node. */
function offsetReader(timeZone: string): (instant: Millis) => Millis {
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  return (instant) => {
    // `GMT`, `GMT+05:30`, before 1972 also `GMT-00:44:30`.
    const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(format.format(instant));
    if (!match?.[1]) return 0;
    const seconds = Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4] ?? 0);
    return (match[1] === '-' ? -seconds : seconds) * 1000;
  };
}
