// What of consolidation is due when: a session that rests or has said enough, the night, the week, a failed try again. Pure.
import type { Millis } from '../../core/types.ts';

/** A conversation that has been silent for so long rests. */
export const REST_MS: Millis = 10 * 60_000;
/** So many messages, or those that are about to be summarised away, do not wait for a rest: a pause in the talk is enough. */
export const ENOUGH = 30;
export const PAUSE_MS: Millis = 3_000;
/** The hour of the nightly run, in the owner's time zone. */
const NIGHT_HOUR = 3;
const FIRST_PAUSE: Millis = 60_000;
const LONGEST_PAUSE: Millis = 6 * 3_600_000;

export type Due = { kind: 'now' } | { kind: 'at'; at: Millis } | { kind: 'no' };

export interface Tried {
  /** Failures in a row; a life that ended in the middle counts as one. */
  failures: number;
  lastAt: Millis;
}

/** The pause after so many failures in a row. */
export const pauseAfter = (failures: number): Millis =>
  failures <= 0 ? 0 : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures - 1, 20));

function atOrNow(at: Millis, now: Millis, longest: Millis): Due {
  // A wait that is longer than there can be: the clock was set back.
  return at <= now || at - now > longest ? { kind: 'now' } : { kind: 'at', at };
}

/** When a try that failed is made again. */
export const retryDue = (tried: Tried | null, now: Millis): Due =>
  tried === null ? { kind: 'now' } : atOrNow(tried.lastAt + pauseAfter(tried.failures), now, LONGEST_PAUSE);

export interface IdleFacts {
  /** Messages since the mark, counted up to ENOUGH, and those of people among them. */
  messages: number;
  asked: number;
  /** When the last one was read. */
  lastAt: Millis;
  running: boolean;
  /** Up to where a compaction is about to summarise; null: none. */
  urgent: boolean;
  tried: Tried | null;
}

/** When the messages since the mark of a session are consolidated. */
export function idleDue(facts: IdleFacts, now: Millis): Due {
  if (facts.messages === 0 || (facts.asked === 0 && !facts.urgent)) return { kind: 'no' };
  const retry = retryDue(facts.tried, now);
  if (retry.kind === 'at') return retry;
  // It will rest, and be looked at again then: the person who waits for an answer goes first.
  if (facts.running) return { kind: 'no' };
  const wait = facts.urgent || facts.messages >= ENOUGH ? PAUSE_MS : REST_MS;
  return atOrNow(facts.lastAt + wait, now, wait);
}

/** Wall time in a zone: the day as `2026-11-20`, and the hour. Making it is slow, asking it is not. */
export function wallClock(timeZone: string): (at: Millis) => { day: string; hour: number } {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    hourCycle: 'h23',
  });
  return (at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
    return { day: `${parts.get('year')}-${parts.get('month')}-${parts.get('day')}`, hour: Number(parts.get('hour')) };
  };
}

const DAY: Millis = 86_400_000;
const dayBefore = (day: string, days: number): string =>
  new Date(Date.parse(`${day}T00:00:00Z`) - days * DAY).toISOString().slice(0, 10);

/** The day whose night came last: by the calendar, so that no change of the clocks skips or doubles one. */
export function nightOf(at: Millis, wall: ReturnType<typeof wallClock>): string {
  const { day, hour } = wall(at);
  return hour >= NIGHT_HOUR ? day : dayBefore(day, 1);
}

/** The Monday of the week a night belongs to. */
export const weekOf = (night: string): string => dayBefore(night, (new Date(`${night}T00:00:00Z`).getUTCDay() + 6) % 7);

export interface NightFacts {
  /** The night or week that is up now. */
  key: string;
  /** The newest one that was done; null: none ever. */
  done: string | null;
  /** The night or week in which the log begins; null: nothing was ever said. */
  began: string | null;
  tried: Tried | null;
}

/** Keys are dates and sort as such: with a clock set back nothing is done twice. */
export function nightDue(facts: NightFacts, now: Millis): Due {
  const { key, done, began } = facts;
  if (began === null || began >= key || (done !== null && done >= key)) return { kind: 'no' };
  return retryDue(facts.tried, now);
}
