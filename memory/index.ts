// The room put together: what the brain, the tools, the API and the boot steps get of memory.
import type { Clock } from '../core/clock.ts';
import type { Config } from '../core/config.ts';
import type { EmbeddingsReport } from '../core/health.ts';
import type { Log } from '../core/log.ts';
import type { BrainMemory, Consult, MemoryApi } from '../core/memory.ts';
import type { MemoryStores } from '../core/memory-stores.ts';
import type { RecordOf } from '../core/record.ts';
import type { Tool } from '../core/tools/tool.ts';
import type { Id, Millis } from '../core/types.ts';
import { calendar } from '../core/usage.ts';
import { createMemoryApi } from './api.ts';
import { createChanges, restoreChanges } from './changes.ts';
import { createConsolidation } from './consolidation/index.ts';
import { createMemoryFiles } from './files.ts';
import { createForget } from './forget.ts';
import { createHome } from './home.ts';
import { createDocs } from './index/docs.ts';
import { createItems, knownFor, restoreItems } from './items.ts';
import { createMeta } from './meta.ts';
import { createPace } from './pace.ts';
import { place } from './placement.ts';
import { createPortability } from './portability/index.ts';
import { createQuestions, restoreQuestions } from './questions.ts';
import { createRecall } from './recall.ts';
import { createSave } from './save.ts';
import { OWNER } from './scope.ts';
import { createSearch } from './search/search.ts';
import { createMemoryStores } from './stores.ts';
import { createTombstones } from './tombstones.ts';
import { createMemoryTools } from './tools/index.ts';
import type { Draft, Restore } from './types.ts';
import { createVectors, type VectorSettings } from './vectors/index.ts';

/** A log far ahead of its index (an upgrade, an import) is read in pieces of a few milliseconds, with room for everybody else between. */
const BATCH = 40;
const BREATH_MS = 15;
/** What was said is indexed once nobody has said more for so long, or in the end; a search before that does it itself. */
const INDEX_AFTER_MS = 500;
const REST_MS = 50;
const INDEX_AT_LAST_MS = 5_000;

export interface MemoryDeps extends RecordOf {
  clock: Clock;
  log: Log;
  timeZone: string;
  settings: VectorSettings;
  consult: Consult;
  /** Before a night changes what is known. */
  backup?(): Promise<void>;
  /** The owner's main conversation, where changes without one of their own are told. */
  mainSession(): Id;
}

export interface Memory {
  brain: BrainMemory;
  tools: readonly Tool[];
  api: MemoryApi;
  stores: MemoryStores;
  embeddings(): EmbeddingsReport;
  reconfigure(config: Config): Promise<void>;
  /** Within the transaction that deletes a session. */
  sessionDeleted(id: Id): void;
  /** Begins what runs beside everything else: catching up with the log, consolidation, vectors. */
  start(): void;
  stop(): Promise<void>;
}

export function createMemory(deps: MemoryDeps): Memory {
  const { db, bus, events, sessions, clock, log, timeZone, newId } = deps;
  const now = clock.now;
  const dayOf = calendar(timeZone);
  const home = createHome(deps);
  const mainId = () => home().id;
  const pace = createPace(bus);

  // 1. Rows: items and what keeps them findable.
  const meta = createMeta(db);
  const docs = createDocs(db, { meta, blobs: deps.blobs, timeZone });
  const items = createItems(db, { now });
  const changes = createChanges(db, { items, index: docs, events, newId, now });
  const questions = createQuestions(db, { items, changes, events, newId, now });
  const tombstones = createTombstones(db, { meta, now });
  const { isForgotten, sayAgain } = tombstones;
  const save = createSave({ db, items, changes, questions, forgotten: tombstones, now });
  const placed = (draft: Draft) =>
    place(draft, knownFor(items, draft), {
      now: now(),
      forgotten: draft.authority !== 'owner' && isForgotten(draft.text),
      rejected: draft.authority !== 'owner' && questions.wasRejected(draft),
    });

  // 2. Finding.
  const vectors = createVectors({ db, meta, bus, docs, clock, log, settings: deps.settings });
  const search = createSearch({ db, docs, clock, timeZone, log, vectors });
  const recall = createRecall({ items, search, events, log, day: dayOf });

  // 3. Files over memory, and forgetting everywhere.
  const stores = createMemoryStores(db, {
    ...{ items, changes, questions, events, meta, place: placed, sayAgain, mainSession: mainId, now, newId },
  });
  const forget = createForget({
    ...deps,
    ...{ items, changes, questions, tombstones, index: docs, vectors, keepers: [stores] },
  });
  events.onRedacted((ids) => {
    vectors.removeEvents(ids);
    docs.removeEvents(ids);
    forget.eventsRedacted(ids);
  });

  // 4. What makes memory of what was said, and what carries it elsewhere.
  const consolidation = createConsolidation({
    ...{ db, bus, events, sessions, items, changes, questions, save, meta, isForgotten, clock, log, newId, timeZone },
    consult: deps.consult,
    homeSession: (scope) => (scope === OWNER ? mainId() : (sessions.get(scope)?.id ?? null)),
    optimize: (signal) => docs.optimize(pace.breathe, signal),
    breathe: pace.breathe,
    ...(deps.backup && { backup: deps.backup }),
    async related(query, scope, limit) {
      const { hits } = await search.search({ query, kinds: ['item'], limit }, scope);
      return hits.flatMap(({ id }) => items.get(id) ?? []);
    },
  });
  const restore: Restore = {
    ...restoreItems(db, items, docs),
    ...restoreChanges(db),
    ...restoreQuestions(db),
    tombstones: tombstones.tombstones,
  };
  const portability = createPortability({
    ...{ db, sessions, events, items, changes, questions, meta, restore, isForgotten, now, timeZone },
    blobs: deps.blobs,
    place: placed,
    mainSession: mainId,
    tombstoneKeys: tombstones.keys,
    restoreStore: stores.restore,
    consolidated: consolidation.skip,
  });

  // 5. Ways in.
  const tools = [
    ...createMemoryTools({ db, events, items, changes, save, search: search.search, now, timeZone, forget, sessions }),
    createMemoryFiles({ events, stores, isTainted: events.isTainted, transaction: db.tx }),
  ];
  const api = createMemoryApi({
    ...{ db, events, sessions, items, changes, questions, forget, save, docs, now },
    ...portability,
    search: search.search,
    home,
    consolidate: consolidation.run,
    moreStats: () => ({ consolidation: consolidation.status() }),
  });

  let stopping = false;
  let due: NodeJS.Timeout | null = null;
  let waitingSince: Millis | null = null;
  const soon = (ms: number) =>
    setTimeout(() => {
      due = null;
      waitingSince = null;
      catchUp();
    }, ms).unref();
  const catchUp = () => {
    if (stopping) return;
    try {
      const behind = docs.catchUp(BATCH);
      const untidy = docs.tidy();
      if (behind || untidy) due ??= soon(BREATH_MS);
    } catch (error) {
      log.warn({ error }, 'the index of memory could not be brought up to date; the next search tries again');
    }
  };
  const unsubscribe = bus.subscribe(null, (notice) => {
    if (notice.kind !== 'event') return;
    // Answering the message goes first.
    const now = clock.elapsed();
    waitingSince ??= now;
    if (due && now - waitingSince > INDEX_AT_LAST_MS) return;
    if (due) due.refresh();
    else due = soon(INDEX_AFTER_MS);
  });

  return {
    brain: {
      ...recall,
      compacting: consolidation.compacting,
      rested(session) {
        consolidation.rested(session);
        // While the answer is read.
        if (due) clearTimeout(due);
        due = soon(REST_MS);
      },
    },
    tools,
    api,
    stores,
    embeddings: vectors.report,
    reconfigure: vectors.reconfigure,
    sessionDeleted(id) {
      forget.sessionDeleted(id);
      vectors.forgetSession(id);
      docs.forgetSession(id);
    },
    start() {
      due ??= soon(BREATH_MS);
      consolidation.start();
      vectors.start();
    },
    async stop() {
      stopping = true;
      unsubscribe();
      pace.stop();
      if (due) clearTimeout(due);
      await consolidation.stop();
      await vectors.stop();
      await search.stop();
    },
  };
}
