// The room put together: what the API, tools, health and the boot steps get of schedules.
import { join } from 'node:path';
import type { Clock } from '../core/clock.ts';
import type { Failpoint } from '../core/failpoint.ts';
import type { HandsApi } from '../core/hands.ts';
import type { Log } from '../core/log.ts';
import type { MemoryApi } from '../core/memory.ts';
import type { RecordOf } from '../core/record.ts';
import type { Schedule, ScheduleRun, SchedulesApi } from '../core/schedules.ts';
import type { Guard } from '../core/tools/guard.ts';
import type { Id, JsonObject, Millis } from '../core/types.ts';
import { createAlmanac } from './almanac.ts';
import { createSchedulesApi } from './api.ts';
import { createClaims } from './claim.ts';
import { createClockNotes } from './clock-notes.ts';
import { createCompletion } from './completion.ts';
import { createConditions } from './conditions.ts';
import { createDispatch, type TaskStart } from './dispatch.ts';
import { createDefaults } from './jobs/defaults.ts';
import { createJobs, type JobsDeps } from './jobs/index.ts';
import { createWorker, type Jobs } from './jobs.ts';
import { createPlaces } from './places.ts';
import { createRuns } from './runs.ts';
import { createSchedules } from './schedules.ts';
import { createStarter, type Look } from './start.ts';
import { createTell } from './tell.ts';
import { createTick } from './tick.ts';

/** What built-in jobs and conditions work with; absent in tests of the clock alone. */
export interface BuiltInDeps
  extends Omit<JobsDeps, 'now' | 'schedules' | 'keepLooksOf' | 'approvals' | 'usage' | 'outbox'> {
  memory: MemoryApi;
  hands: HandsApi;
  guard: Guard;
  mainSession(): Id;
}

export interface SchedulerDeps extends RecordOf {
  clock: Clock;
  log: Log;
  crash: Failpoint;
  timeZone: string;
  /** False in safe mode and while Steward stops. */
  awake(): boolean;
  wake(sessionId: Id): void;
  interrupt(sessionId: Id): void;
  /** Milliseconds since the machine started, sleep included; null: not known. */
  uptime?(): Millis | null;
  built?: BuiltInDeps;
  /** In place of the built-in ones. */
  jobs?: Jobs;
  look?: Look;
  createTask?(task: JsonObject, start: TaskStart): { sessionId: Id; eventId: Id | null };
  /** Within the transaction that ends a run. */
  onEnded?(run: ScheduleRun, schedule: Schedule): void;
}

export interface Scheduler {
  api: SchedulesApi;
  /** Milliseconds since the clock of the room last got on; null before `start`. */
  age(): Millis | null;
  /** Runs of an earlier life first, then the clock: what was missed is made up for, one after the other. */
  start(): void;
  /** One look at what is due, for whoever has no second to wait. */
  tick(): Promise<void>;
  stop(): Promise<void>;
}

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { built } = deps;
  const { db, bus, events, sessions, outbox, agents, people, newId, clock, log, crash } = deps;
  const now = clock.now;
  const almanac = createAlmanac();

  // 1. Rows, and what they say to people.
  const schedules = createSchedules(db, { now, newId });
  const runs = createRuns(db, { now, newId });
  const places = createPlaces({ people, sessions, agents });
  const tell = createTell({ events, outbox, places });
  events.onRedacted(runs.forget);

  // 2. From a slot to its beginning and its end.
  const completion = createCompletion({
    ...{ db, bus, events, sessions, places, schedules, runs, tell, crash, log },
    ...(deps.onEnded && { onEnded: deps.onEnded }),
  });
  const conditions = built
    ? createConditions({
        ...{ db, clock, guard: built.guard, memory: built.memory, single: built.hands.single },
        ...{ filesDir: join(built.home, 'files'), mainSession: built.mainSession },
      })
    : null;
  // Filled in below: jobs look at schedules, too.
  const jobs: Jobs = { ...deps.jobs };
  const worker = createWorker({
    ...{ db, runs, schedules, places, tell, completion, clock, log, jobs },
  });
  const dispatch = createDispatch({
    ...{ db, events, sessions, agents, places, runs, tell, crash, now, wake: deps.wake, work: worker.work },
    ...(deps.createTask && { createTask: deps.createTask }),
  });
  const starter = createStarter({
    ...{ db, events, sessions, places, schedules, runs, dispatch, completion, almanac, crash, log, now },
    ...{ interrupt: deps.interrupt, cancelJob: worker.cancel },
    ...((deps.look ?? conditions) && { look: deps.look ?? conditions!.look }),
  });
  const claims = createClaims({ db, schedules, runs, starter, almanac, crash, now });

  const api = createSchedulesApi({
    ...{ db, schedules, runs, starter, people, agents, events, almanac, now },
    ...{ timeZone: deps.timeZone, awake: deps.awake },
  });
  if (built)
    Object.assign(jobs, createJobs({ ...deps, ...built, now, schedules: api, keepLooksOf: conditions!.keepOnly }));

  // 3. The clock.
  const tick = createTick({
    ...{ clock, log, awake: deps.awake, due: schedules.due, claim: claims.claim, together: db.tx },
    toLook: (at, limit) => runs.toLook(at, limit).map(({ id }) => id),
    look: starter.reconsider,
    giveUp(id, error) {
      const why = error instanceof Error ? error.message : String(error);
      if (schedules.get(id)) db.tx(() => schedules.pause(id, { kind: 'error', code: 'unknown', why }));
      else db.tx(() => failed(id, why));
    },
    clockChanged: createClockNotes({ db, events, places, schedules, claims, log }),
    uptime: deps.uptime ?? (() => null),
  });
  const failed = (runId: Id, why: string) => {
    const run = runs.get(runId);
    if (run) completion.end(run, schedules.need(run.scheduleId), { state: 'failed', reason: why });
  };

  let deaf: () => void = () => {};
  return {
    api,
    age: tick.age,
    start() {
      try {
        if (built) createDefaults({ ...deps, schedules: api });
      } catch (error) {
        log.error({ error }, 'the built-in schedules could not be made; the next start tries again');
      }
      try {
        completion.sweep();
      } catch (error) {
        // A full disk: the rows stay as they are until the next start, and what is due is tried again each second.
        log.error({ error }, 'runs of an earlier life could not be looked at');
      }
      deaf = completion.listen();
      tick.start();
    },
    tick: tick.pass,
    async stop() {
      await tick.stop();
      conditions?.stop();
      await worker.stop();
      deaf();
    },
  };
}
