// The clock of the room: node-cron beats once a second, and what is due is settled piece by piece with room for everybody else.
import { createTask } from 'node-cron';
import type { Clock } from '../core/clock.ts';
import { StewardError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Id, Millis } from '../core/types.ts';
import { type ClockChange, type Reading, watchClock } from './clock-watch.ts';

const SECOND: Millis = 1_000;
/** So many schedules are looked up at once; the next ones when they are settled. */
const BATCH = 500;
/** At most so many in one commit, begun within so many milliseconds: a commit costs a write to the disk. */
const TOGETHER = 20;
const SLICE: Millis = 4;
const NO_ROOM = new Set(['disk_full', 'read_only']);
/** Of waiting runs looked at in one pass. */
const LOOKS = 200;

export interface TickDeps {
  clock: Clock;
  log: Log;
  /** False in safe mode and while stopping: nothing begins, nothing is lost. */
  awake(): boolean;
  due(now: Millis, limit: number): Id[];
  claim(id: Id): void;
  /** One transaction around several. */
  together(work: () => void): void;
  /** It cannot be settled, today or ever. */
  giveUp(id: Id, error: unknown): void;
  toLook(now: Millis, limit: number): Id[];
  look(runId: Id): void;
  clockChanged(change: Exclude<ClockChange, { kind: 'none' }>): Promise<void>;
  /** Milliseconds since the machine started, sleep included; null: not known. */
  uptime(): Millis | null;
}

export interface Tick {
  start(): void;
  stop(): Promise<void>;
  /** One pass over everything that is due now; joins one that is under way. */
  pass(): Promise<void>;
  /** Milliseconds since it last looked or got on; null before the first time. */
  age(): Millis | null;
}

export function createTick(deps: TickDeps): Tick {
  const { clock, log } = deps;
  let progressAt: Millis | null = null;
  let last: Reading | null = null;
  let passing: Promise<void> | null = null;
  let stopping = false;

  const alive = () => {
    progressAt = clock.elapsed();
  };

  const watch = async (): Promise<void> => {
    const current: Reading = { wall: clock.now(), monotonic: clock.elapsed(), uptime: deps.uptime() };
    const before = last;
    last = current;
    if (!before) return;
    const change = watchClock(before, current, Math.max(SECOND, current.monotonic - before.monotonic));
    if (change.kind !== 'none') await deps.clockChanged(change);
  };

  const one = (id: Id, act: (id: Id) => void): void => {
    try {
      act(id);
    } catch (error) {
      // A record that takes no rows now takes them later: everything stays due.
      if (error instanceof StewardError && NO_ROOM.has(error.code)) throw error;
      log.error({ error, id }, 'a schedule could not be settled');
      deps.giveUp(id, error);
    }
  };

  /** A few in one commit, each by itself undone when it fails; the loop is free in between. False when it should not go on. */
  const each = async (ids: readonly Id[], act: (id: Id) => void): Promise<boolean> => {
    for (let at = 0; at < ids.length; ) {
      await new Promise(setImmediate);
      if (stopping || !deps.awake()) return false;
      const until = clock.elapsed() + SLICE;
      const end = Math.min(ids.length, at + TOGETHER);
      deps.together(() => {
        do one(ids[at++]!, act);
        while (at < end && clock.elapsed() < until);
      });
      alive();
    }
    return true;
  };

  const settle = async (): Promise<void> => {
    await watch();
    if (!deps.awake()) return;
    for (let ids = deps.due(clock.now(), BATCH); ids.length > 0; ids = deps.due(clock.now(), BATCH))
      if (!(await each(ids, deps.claim))) return;
    await each(deps.toLook(clock.now(), LOOKS), deps.look);
  };

  const pass = (): Promise<void> => {
    passing ??= settle()
      .catch((error) => log.error({ error }, 'what is due is tried again in a second'))
      .finally(() => {
        passing = null;
      });
    return passing;
  };

  const beat = () => {
    if (!passing) alive();
    void pass();
  };

  let pulse: Pulse | null = null;
  return {
    pass,
    start() {
      alive();
      pulse = startPulse(beat);
    },
    async stop() {
      stopping = true;
      pulse?.stop();
      await passing;
    },
    age: () => (progressAt === null ? null : clock.elapsed() - progressAt),
  };
}

interface Pulse {
  stop(): void;
}

/**
 * A beat a second by node-cron. Two traps of 4.6, both when the wall clock moves under it: set back by an hour it is silent
 * for that hour, and after a night asleep it lists every missed second before it goes on (12 s of a blocked process for 10 h).
 * So a guard that is due a millisecond before each beat makes a new task when the clock does not show what it should.
 */
function startPulse(beat: () => void): Pulse {
  const options = { suppressMissedWarning: true, name: 'scheduler' };
  const makeTask = () => {
    const task = createTask('* * * * * *', beat, options);
    void task.start();
    return task;
  };
  let task = makeTask();
  let timer: NodeJS.Timeout;
  const arm = () => {
    const wall = Date.now();
    const toBeat = SECOND - (wall % SECOND);
    const delay = toBeat > 5 ? toBeat - 1 : toBeat + SECOND - 1;
    timer = setTimeout(() => {
      if (Math.abs(Date.now() - wall - delay) > 2 * SECOND) {
        void task.destroy();
        task = makeTask();
      }
      arm();
    }, delay);
  };
  arm();
  return {
    stop() {
      clearTimeout(timer);
      void task.destroy();
    },
  };
}
