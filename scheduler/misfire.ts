// Decides what becomes of slots that are due: which run, which were missed, and when the next one is. Pure, a bounded piece at a time.
import type { CatchUp, Rule, Slot } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';
import { type Almanac, createAlmanac } from './almanac.ts';
import { minimumGap } from './rules.ts';
import { nextSlot, slots } from './slots.ts';

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/** A slot found due by then is on time: the next tick, or the one after a slow one. */
export const ON_TIME: Millis = 60_000;
/** Slots settled by one call; a machine that was down for a month comes back in pieces. */
export const PIECE = 500;
/** How many runs `all` makes at most. */
export const MOST_RUNS = 10;

export interface Due {
  rule: Rule;
  catchUp: CatchUp;
  /** null: the default for the rule. */
  windowMs: Millis | null;
  endsAt: Millis | null;
  /** The first slot that has no row yet; null: there is none. */
  next: Slot | null;
  /** What the piece before this one said in `madeUp`; 0 when there was none. */
  madeUp?: number;
}

export interface DueRun {
  slot: Slot;
  /** `catch_up`: more than a minute after its slot. */
  trigger: 'schedule' | 'catch_up';
  late: Millis;
  /** Slots before it that it makes up for; each has its own row in `missed`, here or in an earlier piece. */
  missedBefore: number;
}

export interface MissedSlot {
  slot: Slot;
  /**
   * `made_up`: a later slot runs in its place. `too_old`: outside the window, and nothing later runs for it.
   * `not_wanted`: the schedule does not catch up.
   */
  why: 'made_up' | 'too_old' | 'not_wanted';
}

/** Every due slot up to the new `next` is in exactly one of `runs` and `missed`. */
export interface Settlement {
  missed: MissedSlot[];
  /** In order of their slots. */
  runs: DueRun[];
  /** The first slot that is not settled, in the future unless `more`; null: the schedule has ended. */
  next: Slot | null;
  /** More slots are due: commit this piece and ask again with the new `next`. */
  more: boolean;
  /** With `more`: how many slots so far a run of a later piece makes up for. Hand it on with the new `next`. */
  madeUp: number;
}

/**
 * How old the newest missed slot may be to be made up for, when nobody said: a single run never gets too old, at most
 * hourly ones wait for their next turn (ten minutes, or the period), others have half their period, six hours at most;
 * what comes less than weekly has a day.
 */
export function windowOf(rule: Rule): Millis {
  const gap = minimumGap(rule);
  if (gap === Number.POSITIVE_INFINITY) return gap;
  if (gap <= HOUR) return Math.min(gap, 10 * MINUTE);
  return gap > 7 * DAY ? DAY : Math.min(gap / 2, 6 * HOUR);
}

export function misfire(due: Due, now: Millis, almanac: Almanac = createAlmanac()): Settlement {
  const { rule, catchUp, endsAt, next } = due;
  const last = Math.min(now, endsAt ?? now);
  if (!next || next.at > last) {
    const ended = next && endsAt !== null && next.at > endsAt;
    return { missed: [], runs: [], next: ended ? null : next, more: false, madeUp: 0 };
  }

  const chosen = chooseRuns(due, now, last, almanac);
  const piece = slots(rule, next.at, last + 1, PIECE + 1, almanac);
  const more = piece.length > PIECE;
  if (more) piece.pop();
  // The chosen ones are settled together, in the last piece, so that `all` counts its ten once.
  const firstRun = chosen.runs[0]?.at ?? Number.POSITIVE_INFINITY;
  const settled = more ? piece.filter((slot) => slot.at < firstRun) : piece;

  const runs: DueRun[] = [];
  const missed: MissedSlot[] = [];
  let waiting = due.madeUp ?? 0;
  for (const slot of settled) {
    if (slot.at >= firstRun && chosen.runs.some((run) => run.at === slot.at)) {
      const late = now - slot.at;
      runs.push({ slot, late, trigger: late > ON_TIME ? 'catch_up' : 'schedule', missedBefore: waiting });
      waiting = 0;
    } else {
      const why = catchUp === 'none' ? 'not_wanted' : slot.at < chosen.madeUpFrom ? 'too_old' : 'made_up';
      if (why === 'made_up') waiting += 1;
      missed.push({ slot, why });
    }
  }
  const following = nextSlot(rule, settled.at(-1)?.at ?? next.at - 1, almanac);
  const ended = following && endsAt !== null && following.at > endsAt;
  return { missed, runs, next: ended ? null : following, more, madeUp: waiting };
}

interface Choice {
  runs: Slot[];
  /** Slots from here on that do not run are made up for by one that does. */
  madeUpFrom: Millis;
}

/** Looked at from the newest slot backwards, so that every piece of a long downtime comes to the same answer. */
function chooseRuns({ rule, catchUp, windowMs, next }: Due, now: Millis, last: Millis, almanac: Almanac): Choice {
  const window = catchUp === 'none' ? ON_TIME : Math.max(ON_TIME, windowMs ?? windowOf(rule));
  const newest = newestSlots(rule, next!.at, last, catchUp === 'all' ? MOST_RUNS : 1, almanac);
  const runs = newest.filter((slot) => now - slot.at <= window);
  if (runs.length === 0) return { runs, madeUpFrom: Number.POSITIVE_INFINITY };
  // `latest` makes up for all that was missed; `all` only for what it would have run, were they not too many.
  return { runs, madeUpFrom: catchUp === 'all' ? now - window : Number.NEGATIVE_INFINITY };
}

/** The last `count` slots in `from..last`, ascending. */
function newestSlots(rule: Rule, from: Millis, last: Millis, count: number, almanac: Almanac): Slot[] {
  for (let back = 16 * MINUTE; ; back *= 2) {
    const start = Math.max(from, last - back);
    const found = slots(rule, start, last + 1, Number.POSITIVE_INFINITY, almanac);
    if (found.length >= count || start === from) return found.slice(-count);
  }
}
