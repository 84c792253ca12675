// Search as everybody calls it: catches up with the log, asks the index here or in the worker, fuses vectors in. Never throws.

import { setTimeout as after, setImmediate } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import type { Db } from '../../core/db.ts';
import type { Log } from '../../core/log.ts';
import type { MemoryFound, MemorySearch } from '../../core/memory.ts';
import type { Id } from '../../core/types.ts';
import type { Docs } from '../index/docs.ts';
import { createCalendar } from '../text/dates.ts';
import { ask } from './ask.ts';
import { type Answer, BUDGET, type Budget, createAsker, type Question } from './question.ts';
import { createReader } from './reader.ts';
import { createWorker, type SearchWorker } from './thread.ts';

/** Above so many docs, those of about 60,000 events, a search would be felt by everybody else in the process. */
const OFF_THREAD_DOCS = 25_000;
/** UTF-16 units of a query that are looked at. */
const LONGEST_QUERY = 4_000;
const VECTORS_LIMIT = 100;
/** What a provider of vectors may take of a turn. */
const IMPATIENCE_MS = 150;
/** Events indexed at a time; about a tenth of a second. */
const PIECE = 1_000;

export interface Vectors {
  /** Best first; scores are likeness from 0 to 1. Never rejects. */
  search(query: string, limit: number, scope: string): Promise<{ doc: number; score: number }[] | { failed: string }>;
}

/** Of what was said before this event and no later; and of its session nothing said after a position, which stands in the context. */
export interface Until {
  event: Id;
  session: Id;
  seen: number;
}

export interface Search {
  /**
   * `scope`: memory/scope.ts. Without a budget it takes what it needs, at most two seconds. `until`: for whoever is waited for.
   */
  search(query: MemorySearch, scope: string, budget?: Partial<Budget> & { until?: Until }): Promise<MemoryFound>;
  stop(): Promise<void>;
}

const NOTHING: Answer = { hits: [], weak: true };

export function createSearch(deps: {
  db: Db;
  docs: Docs;
  clock: Pick<Clock, 'now' | 'elapsed'>;
  timeZone: string;
  log: Pick<Log, 'warn'>;
  vectors?: Vectors;
  /** Another number for tests. */
  offThreadDocs?: number;
}): Search {
  const { db, docs, clock } = deps;
  const asker = createAsker(createReader(db), createCalendar(deps.timeZone));
  let worker: SearchWorker | null = null;

  /** Null: not in time. */
  const answer = async (question: Question): Promise<Answer | null> => {
    if (docs.size().docs < (deps.offThreadDocs ?? OFF_THREAD_DOCS)) return ask(asker, question);
    worker ??= createWorker({ file: db.file, timeZone: deps.timeZone, log: deps.log });
    return worker.ask(question);
  };

  return {
    async search(search, scope, given) {
      const began = clock.elapsed();
      const { until, ...budget } = { ...BUDGET, ...given };
      let degraded: string | null = null;
      let found = NOTHING;
      try {
        const query = search.query.slice(0, LONGEST_QUERY).toWellFormed();
        const near = deps.vectors?.search(query, VECTORS_LIMIT, scope);
        // A turn waits for a provider only a little. Without one the question is put at once.
        const late = () => after(IMPATIENCE_MS, [], { ref: false });
        const vectors = near && (await (until ? Promise.race([near, late()]) : near));
        const lists = Array.isArray(vectors) ? [vectors] : [];
        if (vectors && !Array.isArray(vectors)) degraded = vectors.failed;
        // Last: nothing that was said until now is missing. A log far ahead (an import, an upgrade) is taken in pieces, so
        // that everybody else in the process gets a turn; who has no time for that searches what is there.
        while (
          (!until || docs.lacks(until.event, until.session, until.seen)) &&
          docs.catchUp(PIECE) &&
          clock.elapsed() - began < budget.ms
        )
          await setImmediate();
        const answered = await answer({ search: { ...search, query }, scope, budget, now: clock.now(), lists });
        if (answered) found = answered;
        else degraded = 'The index did not answer in time.';
      } catch (error) {
        deps.log.warn({ error }, 'memory could not be searched');
        degraded = 'The index could not be read; see the log.';
      }
      return { ...found, degraded, tookMs: Math.round((clock.elapsed() - began) * 10) / 10 };
    },
    async stop() {
      await worker?.stop();
      worker = null;
    },
  };
}
