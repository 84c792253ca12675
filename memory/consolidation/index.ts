// Consolidation: what was said becomes what is known. At write, when a session rests, at night, once a week; one thing at a time.
import { setImmediate } from 'node:timers/promises';
import type { Bus } from '../../core/bus.ts';
import type { Clock } from '../../core/clock.ts';
import type { Db } from '../../core/db.ts';
import type { Events } from '../../core/events.ts';
import type { IdPrefix } from '../../core/ids.ts';
import type { Log } from '../../core/log.ts';
import type { Consult, MemoryItem, MemoryRun } from '../../core/memory.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Id, JsonObject, Millis, Session } from '../../core/types.ts';
import type { ItemStore } from '../items.ts';
import type { QuestionStore } from '../questions.ts';
import type { Save } from '../save.ts';
import { scopeOf } from '../scope.ts';
import type { Changes, Meta } from '../types.ts';
import { nightOf, wallClock, weekOf } from './clock.ts';
import type { ConsolidationPoint } from './failpoints.ts';
import { createIdle } from './idle.ts';
import { createJobs, type JobKind } from './jobs.ts';
import { createNights } from './nightly.ts';
import { createRanges } from './ranges.ts';
import { createRounds } from './rounds.ts';
import { createRuns } from './runs.ts';
import { createSettle } from './settle.ts';
import { createTidy } from './tidy.ts';
import { createWrite } from './write.ts';

export { CONSOLIDATION_POINTS, type ConsolidationPoint } from './failpoints.ts';

/** Since when there is consolidation in this home. */
const BEGAN = 'consolidation.began_at';
const RELATED_FALLBACK = 40;

export interface ConsolidationDeps {
  db: Db;
  bus: Bus;
  events: Events;
  sessions: Sessions;
  items: ItemStore;
  changes: Changes;
  questions: QuestionStore;
  save: Save;
  meta: Meta;
  isForgotten(text: string): boolean;
  consult: Consult;
  clock: Clock;
  log: Log;
  newId(prefix: IdPrefix): Id;
  timeZone: string;
  /** The session in which changes of a scope are told that belong to none: the main one for the owner's; null: gone. */
  homeSession(scope: string): Id | null;
  /** Items that these words could be about, best first; without it the newest are shown to the model. */
  related?(words: string, scope: string, limit: number): Promise<readonly MemoryItem[]>;
  /** Puts the search index in order. */
  optimize?(signal: AbortSignal): Promise<void>;
  /** Lets everybody else go first, between pieces of work that nobody waits for. */
  breathe?(): Promise<void>;
  backup?(): Promise<void>;
  /** Numbers for the weekly report, beside those of items. */
  sizes?(): JsonObject;
  crash?(point: ConsolidationPoint): void;
}

export interface Consolidation {
  /** The session rests; it is consolidated when it still does ten minutes later. At once. */
  rested(session: Session): void;
  /** Everything up to this position is about to be summarised away. At once. */
  compacting(session: Session, upTo: number): void;
  /** Now, whether it is due or not. Throws `not_found`, and `unavailable` when the model was asked in vain. */
  run(kind: JobKind, options: { dryRun: boolean; sessionId?: Id }): Promise<MemoryRun>;
  /** For a log that came whole from elsewhere: what it says is known already. In the transaction that wrote it. */
  skip(sessionId: Id): void;
  status(): JsonObject;
  start(): void;
  /** Ends what is at work; what was not written is done again in the next life. */
  stop(): Promise<void>;
}

export function createConsolidation(deps: ConsolidationDeps): Consolidation {
  const { db, sessions, items, clock } = deps;
  const now = clock.now;
  const crash = deps.crash ?? (() => {});
  const breathe = deps.breathe ?? (() => setImmediate());
  const wall = wallClock(deps.timeZone);
  const day = (at: Millis): string => wall(at).day;
  const jobs = createJobs(db, { now, newId: deps.newId });
  const ranges = createRanges(db, deps.events);
  const settle = createSettle({ ...deps, now });
  if (deps.meta.get(BEGAN) === null)
    db.tx(() => {
      jobs.markAll();
      deps.meta.set(BEGAN, String(now()));
    });
  const write = createWrite({ ...deps, crash });
  const related =
    deps.related ??
    (async (_: string, scope: string, limit: number) => tidy.knownSince(scope, 0, Math.min(limit, RELATED_FALLBACK)));
  const tidy = createTidy(db, { items, now });
  const idle = createIdle({ ...deps, jobs, ranges, settle, related, day, crash });
  const sizes = (): JsonObject => {
    const count = (tier: MemoryItem['tier']) => items.count({ tiers: [tier] });
    const pages = db.prepare<[], { bytes: number }>(
      'SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()',
    );
    return {
      identity: count('identity'),
      state: count('state'),
      reference: count('reference'),
      session: count('session'),
      archive: count('archive'),
      questions: deps.questions.list().length,
      file_bytes: pages.get()!.bytes,
      ...deps.sizes?.(),
    };
  };
  const nights = createNights({
    ...deps,
    jobs,
    settle,
    tidy,
    idle,
    day,
    now,
    crash,
    sizes,
    optimize: deps.optimize ?? (async () => {}),
    breathe,
  });
  const keyOf = (kind: 'nightly' | 'weekly'): string => {
    const night = nightOf(now(), wall);
    return kind === 'nightly' ? night : weekOf(night);
  };
  const runs = createRuns({ sessions, jobs, ranges, idle, nights, keyOf, crash });
  const rounds = createRounds({ ...deps, jobs, ranges, write, runs, wall, breathe });

  return {
    rested(session) {
      if (scopeOf(session) !== null) rounds.watch(session.id);
    },
    compacting(session, upTo) {
      if (scopeOf(session) !== null) rounds.watch(session.id, upTo);
    },
    run: (kind, options) => runs.byHand(kind, options, rounds.signal()),
    skip(sessionId) {
      const mark = jobs.mark(sessionId);
      const { lastSeq } = sessions.need(sessionId);
      if (lastSeq > mark) jobs.move(sessionId, mark, lastSeq);
      rounds.unwatch(sessionId);
    },
    status() {
      const recent = jobs.recent(20).map(
        (job): JsonObject => ({
          kind: job.kind,
          key: job.key,
          state: job.state,
          attempts: job.attempts,
          error: job.error,
          started_at: job.startedAt,
          ended_at: job.endedAt,
          progress: job.progress,
        }),
      );
      return { last_nightly: jobs.lastDone('nightly'), last_weekly: jobs.lastDone('weekly'), recent };
    },
    start: rounds.start,
    async stop() {
      await rounds.stop();
      await runs.quiet();
    },
  };
}
