// Settles a schedule that is due: the rows of its slots, the event they start and its next slot in one transaction.
import type { Db } from '../core/db.ts';
import type { Failpoint } from '../core/failpoint.ts';
import type { ScheduleRun } from '../core/schedules.ts';
import type { Id, Millis } from '../core/types.ts';
import type { Almanac } from './almanac.ts';
import { jitterOf } from './jitter.ts';
import { type MissedSlot, misfire } from './misfire.ts';
import type { Runs } from './runs.ts';
import type { Schedules } from './schedules.ts';
import { nextSlot } from './slots.ts';
import type { Starter } from './start.ts';

const WHY: Record<MissedSlot['why'], string> = {
  made_up: 'Steward was not at work then; a later run made up for it.',
  too_old: 'Steward was not at work then, and it was too late to make up for it.',
  not_wanted: 'Steward was not at work then; this schedule does not make up for missed runs.',
};

/** More missed slots than this are not counted for the label of the run that makes up for them. */
const COUNTED = 10_000;

export interface Claims {
  /** Settles one piece of what is due of a schedule. More may be due afterwards. */
  claim(id: Id): void;
  /** The clock was set back: the next slot may be earlier than was thought. Used ones stay used. */
  lookAhead(id: Id): void;
}

export function createClaims(deps: {
  db: Db;
  schedules: Schedules;
  runs: Runs;
  starter: Starter;
  almanac: Almanac;
  crash: Failpoint;
  now(): Millis;
}): Claims {
  const { db, schedules, runs, almanac } = deps;
  return {
    claim: (id) =>
      db.tx(() => {
        const schedule = schedules.need(id);
        if (schedule.state !== 'active' || !schedule.next) return;
        // Its own time runs later by its jitter: to itself it is on time.
        const own = deps.now() - jitterOf(schedule);
        const settled = misfire(schedule, own, almanac);
        for (const { slot, why } of settled.missed)
          runs.take({ scheduleId: id, slot, trigger: 'catch_up', state: 'missed', reason: WHY[why] });
        // Of the earlier pieces of a long absence.
        const before = settled.runs.length > 0 ? runs.missedBefore(id, schedule.next.at, WHY.made_up, COUNTED) : 0;
        const begin: ScheduleRun[] = [];
        for (const [index, { slot, trigger, missedBefore }] of settled.runs.entries()) {
          const missed = missedBefore + (index === 0 ? before : 0);
          const run = runs.take({
            scheduleId: id,
            slot,
            trigger,
            state: 'waiting',
            reason: null,
            missedBefore: missed,
          });
          // Null: the slot was used before the clock was set back.
          if (run) begin.push(run);
        }
        deps.crash('schedule.claimed');
        schedules.advance(id, settled.next);
        for (const run of begin) deps.starter.consider(run);
      }),

    lookAhead: (id) =>
      db.tx(() => {
        const { state, rule, endsAt, next } = schedules.need(id);
        if (state !== 'active' || !next) return;
        const first = nextSlot(rule, deps.now() - 1, almanac);
        if (first && first.at < next.at && (endsAt === null || first.at <= endsAt)) schedules.advance(id, first);
      }),
  };
}
