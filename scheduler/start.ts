// Takes a run whose slot is taken to its beginning: asks the gate, looks at conditions, replaces earlier runs, dispatches.
import type { Db } from '../core/db.ts';
import { describeError } from '../core/errors.ts';
import type { Events } from '../core/events.ts';
import type { Failpoint } from '../core/failpoint.ts';
import type { Log } from '../core/log.ts';
import type { Schedule, ScheduleRun } from '../core/schedules.ts';
import type { Sessions } from '../core/sessions.ts';
import type { Id, Millis } from '../core/types.ts';
import type { Almanac } from './almanac.ts';
import type { Completion } from './completion.ts';
import type { Dispatch } from './dispatch.ts';
import { type GateFacts, mayBegin } from './gate.ts';
import type { Places } from './places.ts';
import { quietUntil } from './quiet.ts';
import type { Runs } from './runs.ts';
import type { Schedules } from './schedules.ts';

/** A catch-up at work for longer does not hold up the next one. */
const CATCH_UP_TURN: Millis = 60_000;
/** A look that a crash cut off is taken again after so long. */
const LOOK_PATIENCE: Millis = 5 * 60_000;

export interface Found {
  news: boolean;
  /** What is new, from outside; or why there is nothing. */
  text: string;
  /** Called in the transaction that acts on it: from then on it is known. */
  seen?(): void;
}

/** Looks at the conditions of a schedule. Rejects when it cannot. */
export type Look = (schedule: Schedule) => Promise<Found>;

export interface Starter {
  /** Within a transaction: begins the run, or says in its row what it waits for or why it does not run. */
  consider(run: ScheduleRun): void;
  /** A run that waited may be looked at again. */
  reconsider(runId: Id): void;
}

export function createStarter(deps: {
  db: Db;
  events: Events;
  sessions: Sessions;
  places: Places;
  schedules: Schedules;
  runs: Runs;
  dispatch: Dispatch;
  completion: Completion;
  almanac: Almanac;
  crash: Failpoint;
  log: Log;
  look?: Look;
  now(): Millis;
  interrupt(sessionId: Id): void;
  cancelJob(runId: Id): void;
}): Starter {
  const { db, events, sessions, schedules, runs, completion, now } = deps;
  const looking = new Set<Id>();

  // In the words of the index `sessions_live`.
  const working = db.prepare<[], object>(
    "SELECT 1 FROM sessions WHERE status <> 'idle' AND status = 'running' AND deleted_at IS NULL LIMIT 1",
  );

  const factsOf = (run: ScheduleRun, schedule: Schedule, earlier: readonly ScheduleRun[]): GateFacts => {
    const { starts, quiet, rule } = schedule;
    const owner = schedule.trust === 'owner';
    const main = starts.kind === 'prompt' && starts.session === 'main';
    return {
      ...{ run, schedule },
      quietUntil: quiet ? quietUntil(quiet, rule.timeZone, now(), deps.almanac) : null,
      earlier: earlier.length,
      active: schedule.idleOnly && working.get() !== undefined,
      busy: main && deps.places.conversationAt(owner ? null : schedule.target, schedule.trust).status === 'running',
      catchingUp: run.trigger === 'catch_up' && runs.catchingUp(now() - CATCH_UP_TURN) > 0,
    };
  };

  /** Ends an earlier run in favour of a later one; its session, if it is its own, stops at the next safe place. */
  const replace = (run: ScheduleRun, schedule: Schedule): void => {
    completion.end(run, schedule, { state: 'cancelled', reason: 'A later run took its place.' });
    deps.cancelJob(run.id);
    const session = run.sessionId ? sessions.get(run.sessionId) : null;
    if (session?.metadata.schedule_run_id !== run.id || session.status === 'idle') return;
    const origin = {
      sender: { channel: 'steward', userId: `schedule:${schedule.id}`, name: schedule.name },
      address: { channel: 'web', chat: session.id },
      role: 'system',
    } as const;
    events.append(session.id, [{ type: 'user.interrupt', queued: true, origin }]);
    db.afterCommit(() => deps.interrupt(session.id));
  };

  const begin = (run: ScheduleRun, schedule: Schedule, beside: string | null): void => {
    const dispatched = deps.dispatch(schedule, run, beside);
    deps.crash('schedule.after_event');
    if (dispatched.kind === 'over') completion.end(dispatched.run, schedule, dispatched.ending, dispatched.pause);
  };

  const lookFirst = (run: ScheduleRun, schedule: Schedule): void => {
    runs.wait(run.id, 'It looks whether there is something new.', now() + LOOK_PATIENCE);
    if (looking.has(run.id)) return;
    looking.add(run.id);
    db.afterCommit(
      () =>
        void deps.look!(schedule)
          .then(
            (found) => decide(run.id, (current) => step(current, found)),
            (error) =>
              decide(run.id, (current, of) => {
                const reason = `Its condition could not be looked at: ${describeError(error)}`;
                completion.end(current, of, { state: 'failed', reason });
              }),
          )
          .catch((error) => deps.log.error({ error, run: run.id }, 'a condition is looked at again later'))
          .finally(() => looking.delete(run.id)),
    );
  };

  /** Does nothing for a run that has begun or ended meanwhile. */
  const decide = (runId: Id, then: (run: ScheduleRun, schedule: Schedule) => void): void =>
    db.tx(() => {
      const run = runs.get(runId);
      if (run?.state === 'waiting' && run.sessionId === null) then(run, schedules.need(run.scheduleId));
    });

  const step = (run: ScheduleRun, found: Found | null): void => {
    const schedule = schedules.need(run.scheduleId);
    const earlier = runs.openOf(schedule.id).filter(({ id }) => id !== run.id && id < run.id);
    const gate = mayBegin(factsOf(run, schedule, earlier), now());
    if (gate.kind === 'skip') {
      completion.end(run, schedule, { state: 'skipped', reason: gate.why });
      return;
    }
    if (gate.kind === 'wait') {
      runs.wait(run.id, gate.why, gate.until);
      return;
    }
    const asked = run.trigger === 'manual' || run.trigger === 'webhook';
    if (!found && schedule.conditions.length > 0 && deps.look && !asked) {
      lookFirst(run, schedule);
      return;
    }
    found?.seen?.();
    if (found && !found.news) {
      completion.end(run, schedule, { state: 'skipped', reason: found.text || 'There was nothing new.' });
      return;
    }
    if (gate.replaces) for (const other of earlier) replace(other, schedule);
    const beside = [runs.inputOf(run.id)?.text, found?.text].filter(Boolean).join('\n\n');
    begin(run, schedule, beside || null);
  };

  return {
    consider: (run) => step(run, null),
    reconsider: (runId) => decide(runId, (run) => step(run, null)),
  };
}
