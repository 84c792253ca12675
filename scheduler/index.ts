// The room put together: what the API, tools, health and the boot steps get of schedules.
import type { Clock } from '../core/clock.ts';
import type { Failpoint } from '../core/failpoint.ts';
import type { Log } from '../core/log.ts';
import type { RecordOf } from '../core/record.ts';
import type { Schedule, ScheduleRun, SchedulesApi } from '../core/schedules.ts';
import type { Id, JsonObject, Millis } from '../core/types.ts';
import { createAlmanac } from './almanac.ts';
import { createSchedulesApi } from './api.ts';
import { createClaims } from './claim.ts';
import { createClockNotes } from './clock-notes.ts';
import { createCompletion } from './completion.ts';
import { createDispatch, type TaskStart } from './dispatch.ts';
import { createWorker, type Jobs } from './jobs.ts';
import { createPlaces } from './places.ts';
import { createRuns } from './runs.ts';
import { createSchedules } from './schedules.ts';
import { createStarter, type Look } from './start.ts';
import { createTell } from './tell.ts';
import { createTick } from './tick.ts';

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
  const worker = createWorker({
    ...{ db, runs, schedules, places, tell, completion, clock, log, jobs: deps.jobs ?? {} },
  });
  const dispatch = createDispatch({
    ...{ db, events, sessions, agents, places, runs, tell, crash, now, wake: deps.wake, work: worker.work },
    ...(deps.createTask && { createTask: deps.createTask }),
  });
  const starter = createStarter({
    ...{ db, events, sessions, places, schedules, runs, dispatch, completion, almanac, crash, log, now },
    ...{ interrupt: deps.interrupt, cancelJob: worker.cancel },
    ...(deps.look && { look: deps.look }),
  });
  const claims = createClaims({ db, schedules, runs, starter, almanac, crash, now });

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
    api: createSchedulesApi({
      ...{ db, schedules, runs, starter, people, agents, events, almanac, now },
      ...{ timeZone: deps.timeZone, awake: deps.awake },
    }),
    age: tick.age,
    start() {
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
      await worker.stop();
      deaf();
    },
  };
}
