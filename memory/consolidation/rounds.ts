// What is due is done: looks at sessions that rest, at the night and at the week, again and again while Steward lives.
import type { Bus } from '../../core/bus.ts';
import type { Clock } from '../../core/clock.ts';
import type { Db } from '../../core/db.ts';
import type { Log } from '../../core/log.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Id, Millis, Session } from '../../core/types.ts';
import { scopeOf } from '../scope.ts';
import { idleDue, nightDue, nightOf, PAUSE_MS, REST_MS, type Tried, type wallClock, weekOf } from './clock.ts';
import type { Job, Jobs } from './jobs.ts';
import type { Ranges } from './ranges.ts';
import type { Runs } from './runs.ts';
import type { Write } from './write.ts';

/** The longest and the shortest time between two looks at what is due. */
const TICK_MS: Millis = 60_000;
const SOONEST_MS: Millis = 1_000;
const DAY: Millis = 86_400_000;

export interface Rounds {
  /** Something was said in it, or it came to rest. `upTo`: what lies before this position does not wait. */
  watch(sessionId: Id, upTo?: number): void;
  unwatch(sessionId: Id): void;
  /** Ends with this life. */
  signal(): AbortSignal;
  start(): void;
  stop(): Promise<void>;
}

export function createRounds(deps: {
  db: Db;
  bus: Bus;
  clock: Clock;
  log: Log;
  sessions: Pick<Sessions, 'get'>;
  jobs: Jobs;
  ranges: Ranges;
  write: Write;
  runs: Runs;
  wall: ReturnType<typeof wallClock>;
  breathe(): Promise<void>;
}): Rounds {
  const { clock, jobs, log, ranges, runs, sessions, wall, write } = deps;
  const now = clock.now;
  const began = deps.db.prepare<[], { at: number }>('SELECT created_at AS at FROM events ORDER BY row LIMIT 1');
  /** Sessions that may have something to consolidate, and how far it is urgent. */
  const watched = new Set<Id>();
  const urgent = new Map<Id, number>();
  /** Nobody to ask: not tried again before then. */
  let offlineUntil = 0;
  let life: AbortController | null = null;
  let loop: Promise<void> = Promise.resolve();
  let nudge = new AbortController();
  /** Something was said since the last look. */
  let stirred = false;
  let unsubscribe = () => {};
  let reading = false;

  /** One that is still `running` was cut off by the end of an earlier life: taken up at once, unless that happens again and again. */
  const tried = (job: Job | null): Tried | null => {
    if (!job || job.state === 'done') return null;
    return {
      failures: job.state === 'running' ? job.attempts - 1 : job.attempts,
      lastAt: job.endedAt ?? job.startedAt,
    };
  };

  /** What a log that came whole from elsewhere says was consolidated there, or is left to search. */
  const isOfOld = (session: Session, lastAt: Millis): boolean =>
    session.archivedAt !== null && lastAt < session.archivedAt - DAY;

  const dueOf = (sessionId: Id) => {
    const session = sessions.get(sessionId);
    if (!session || scopeOf(session) === null) return { kind: 'no' } as const;
    const mark = jobs.mark(sessionId);
    const waiting = ranges.waiting(sessionId, mark);
    if (isOfOld(session, waiting.lastAt)) return { kind: 'no' } as const;
    return idleDue(
      {
        ...waiting,
        running: session.status === 'running',
        urgent: (urgent.get(sessionId) ?? 0) > mark,
        tried: tried(jobs.get('idle', `${sessionId}@${mark}`)),
      },
      now(),
    );
  };

  const nightDueNow = (kind: 'nightly' | 'weekly') => {
    const night = nightOf(now(), wall);
    const key = kind === 'nightly' ? night : weekOf(night);
    const first = began.get();
    const firstNight = first ? nightOf(first.at, wall) : null;
    const facts = {
      key,
      done: jobs.lastDone(kind),
      began: firstNight && kind === 'weekly' ? weekOf(firstNight) : firstNight,
      tried: tried(jobs.get(kind, key)),
    };
    return { key, due: nightDue(facts, now()) };
  };

  /** Everything that is due; returns when to look again at the latest. */
  const round = async (signal: AbortSignal): Promise<Millis> => {
    let next = now() + TICK_MS;
    while (!signal.aborted && write.catchUp()) await new Promise(setImmediate);
    for (const sessionId of [...watched]) {
      if (signal.aborted) break;
      const due = dueOf(sessionId);
      if (due.kind === 'at') next = Math.min(next, due.at);
      if (due.kind === 'no' && sessions.get(sessionId)?.status !== 'running') watched.delete(sessionId);
      if (due.kind !== 'now' || now() < offlineUntil) continue;
      const { ended, why } = await runs.session(sessionId, signal);
      if (ended === 'none') offlineUntil = now() + REST_MS;
      if (ended === 'failed') log.warn({ session: sessionId, why }, 'a consolidation failed and is tried again');
      if ((urgent.get(sessionId) ?? 0) <= jobs.mark(sessionId)) urgent.delete(sessionId);
    }
    for (const kind of ['nightly', 'weekly'] as const) {
      if (signal.aborted) break;
      const { key, due } = nightDueNow(kind);
      if (due.kind === 'at') next = Math.min(next, due.at);
      if (due.kind !== 'now') continue;
      // A night that is made up for at a start waits for a pause in what is said.
      await deps.breathe();
      if (signal.aborted) break;
      try {
        const done = await runs.night(kind, key, signal);
        if (done) log.info({ kind, key, changes: done.parts.length }, 'memory was put in order');
      } catch (error) {
        log.error({ error, kind, key }, 'putting memory in order failed and is tried again');
      }
    }
    return next;
  };

  const work = async (signal: AbortSignal) => {
    // Whoever starts Steward goes first.
    await new Promise(setImmediate);
    for (const id of ranges.pending()) watched.add(id);
    while (!signal.aborted) {
      let next = now() + TICK_MS;
      nudge = new AbortController();
      try {
        next = await round(signal);
      } catch (error) {
        log.error({ error }, 'consolidating memory failed and is tried again');
      }
      await clock.sleep(Math.max(SOONEST_MS, next - now()), AbortSignal.any([signal, nudge.signal]));
      // Nothing is due sooner; a busy talk is looked at now and then, not at every word.
      if (stirred) await clock.sleep(PAUSE_MS, signal);
      stirred = false;
    }
  };

  const readPlainly = () => {
    if (reading) return;
    reading = true;
    // Accepting a message goes first.
    setImmediate(() => {
      reading = false;
      if (!life || life.signal.aborted) return;
      try {
        if (write.catchUp()) readPlainly();
      } catch (error) {
        log.error({ error }, 'a message could not be read for memory and is tried again');
      }
    });
  };

  return {
    watch(sessionId, upTo) {
      watched.add(sessionId);
      if (upTo !== undefined) urgent.set(sessionId, Math.max(upTo, urgent.get(sessionId) ?? 0));
      if (!stirred) nudge.abort();
      stirred = true;
    },
    unwatch: (sessionId) => void watched.delete(sessionId),
    signal: () => (life ?? new AbortController()).signal,
    start() {
      if (life && !life.signal.aborted) return;
      life = new AbortController();
      unsubscribe = deps.bus.subscribe(null, (notice) => {
        if (notice.kind !== 'event') return;
        const { type, position, sessionId } = notice.event;
        if (type === 'user.message') readPlainly();
        if (position !== null && (type === 'user.message' || type === 'agent.message')) watched.add(sessionId);
      });
      loop = work(life.signal);
    },
    async stop() {
      unsubscribe();
      life?.abort('shutdown');
      await loop;
    },
  };
}
