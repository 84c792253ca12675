// Carries out built-in jobs beside everything else: begun after their beginning is committed, cut off when Steward stops.
import type { Clock } from '../core/clock.ts';
import type { Db } from '../core/db.ts';
import { describeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { JobName, Schedule, ScheduleRun } from '../core/schedules.ts';
import type { Id, Millis } from '../core/types.ts';
import type { Completion } from './completion.ts';
import type { Places } from './places.ts';
import type { Runs } from './runs.ts';
import type { Schedules } from './schedules.ts';
import type { Tell } from './tell.ts';
import { lateLabel, shorten } from './words.ts';

/** A job that ignores its signal is left behind when Steward stops. */
const GRACE: Millis = 5_000;

export interface JobContext {
  schedule: Schedule;
  run: ScheduleRun;
  /** Set when the run is replaced or Steward stops. */
  signal: AbortSignal;
}
/** `text` is delivered as it is; null: there is nothing to say. */
export type Job = (context: JobContext) => Promise<{ text: string | null }>;
export type Jobs = Partial<Record<JobName, Job>>;

export interface Worker {
  work(schedule: Schedule, run: ScheduleRun): void;
  cancel(runId: Id): void;
  /** Resolves when every job has let go, or soon. */
  stop(): Promise<void>;
}

export function createWorker(deps: {
  db: Db;
  jobs: Jobs;
  runs: Runs;
  schedules: Schedules;
  places: Places;
  tell: Tell;
  completion: Completion;
  log: Log;
  clock: Clock;
}): Worker {
  const { db, runs, schedules, completion } = deps;
  const atWork = new Map<Id, { abort: AbortController; done: Promise<void> }>();
  let stopping = false;

  /** Nothing when it was replaced or swept meanwhile. */
  const end = (runId: Id, then: (run: ScheduleRun, schedule: Schedule) => void): void =>
    db.tx(() => {
      const run = runs.get(runId);
      if (run?.state === 'running') then(run, schedules.need(run.scheduleId));
    });

  const deliver = (schedule: Schedule, run: ScheduleRun, text: string) => {
    const target = deps.places.targetOf(schedule);
    const label = lateLabel(schedule, run, deps.clock.now());
    const words = label ? `(${label})\n\n${text}` : text;
    return deps.tell({
      ...{ scheduleId: schedule.id, runId: run.id, name: schedule.name, kind: 'message', text: words, tainted: false },
      ...{ target: target === 'gone' ? null : target, trust: schedule.trust, key: run.id },
    });
  };

  const carryOut = async (schedule: Schedule, run: ScheduleRun, signal: AbortSignal): Promise<void> => {
    try {
      const job = schedule.starts.kind === 'job' ? deps.jobs[schedule.starts.job] : undefined;
      if (!job) throw new Error('There is no such job in this version of Steward.');
      const { text } = await job({ schedule, run, signal });
      end(run.id, (current, now) => {
        const event = text === null ? null : deliver(now, current, text);
        const said = event && text !== null ? { result: shorten(text), resultEvent: event.id } : {};
        completion.end(current, now, { state: 'succeeded', reason: null, ...said });
      });
    } catch (error) {
      // Cut off by the end of this life: the next one says so.
      if (stopping) return;
      deps.log.warn({ error, schedule: schedule.id, run: run.id }, 'a scheduled job failed');
      end(
        run.id,
        (current, now) => void completion.end(current, now, { state: 'failed', reason: describeError(error) }),
      );
    }
  };

  return {
    work(schedule, run) {
      if (stopping) return;
      const abort = new AbortController();
      const done = carryOut(schedule, run, abort.signal)
        .catch((error) => deps.log.error({ error, run: run.id }, 'the end of a job could not be noted'))
        .finally(() => atWork.delete(run.id));
      atWork.set(run.id, { abort, done });
    },
    cancel: (runId) => atWork.get(runId)?.abort.abort(),
    async stop() {
      stopping = true;
      for (const { abort } of atWork.values()) abort.abort();
      const ended = new AbortController();
      const all = Promise.all([...atWork.values()].map(({ done }) => done));
      await Promise.race([all, deps.clock.sleep(GRACE, ended.signal)]);
      ended.abort();
    },
  };
}
