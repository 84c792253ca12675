// A home with everything memory is made of, the way in and out of it included: real rows, real index, real search.
import { setImmediate as breathe } from 'node:timers/promises';
import type { MemoryImport } from '../../../../core/memory.ts';
import type { MemoryStores } from '../../../../core/memory-stores.ts';
import type { Id } from '../../../../core/types.ts';
import { restoreChanges } from '../../../../memory/changes.ts';
import { createDocs } from '../../../../memory/index/docs.ts';
import { knownFor, restoreItems } from '../../../../memory/items.ts';
import { createMeta } from '../../../../memory/meta.ts';
import { place } from '../../../../memory/placement.ts';
import { createPortability, type Portability } from '../../../../memory/portability/index.ts';
import { restoreQuestions } from '../../../../memory/questions.ts';
import { createSearch, type Search } from '../../../../memory/search/search.ts';
import { createMemoryStores } from '../../../../memory/stores.ts';
import type { Draft } from '../../../../memory/types.ts';
import { openTestMemory, type TestMemory } from '../../../helpers/memory.ts';
import { draftSession, openTestRecord, type TestRecord } from '../../../helpers/record.ts';

export interface Home extends TestMemory {
  portability: Portability;
  stores: MemoryStores;
  search: Search;
  main(): Id;
  out(format?: 'jsonl' | 'markdown'): Promise<{ path: string; data: string }[]>;
  /** The whole JSONL file. */
  jsonl(): Promise<string>;
  import(
    format: MemoryImport['format'],
    files: Record<string, string>,
    more?: Partial<MemoryImport>,
  ): ReturnType<Portability['import']>;
  /** Ids and scores of what is found. */
  find(query: string): Promise<{ id: string; score: number }[]>;
}

export function openHome(options: { record?: TestRecord; restored?: boolean } = {}): Home {
  const record = options.record ?? openTestRecord();
  const { db, clock } = record;
  const meta = createMeta(db);
  const docs = createDocs(db, { meta, blobs: record.blobs, timeZone: 'UTC' });
  record.events.onRedacted(docs.removeEvents);
  const holder: { stores?: ReturnType<typeof createMemoryStores> } = {};
  const memory = openTestMemory({
    record,
    index: docs,
    forget: { keepers: [{ forget: (words) => holder.stores!.forget(words) }] },
  });
  const { items, changes, questions, tombstones } = memory;
  const main = () => record.sessions.bound('main', () => draftSession()).id;
  const placeIt = (draft: Draft) =>
    place(draft, knownFor(items, draft), {
      now: clock.now(),
      forgotten: draft.authority !== 'owner' && tombstones.isForgotten(draft.text),
      rejected: draft.authority !== 'owner' && questions.wasRejected(draft),
    });
  const stores = createMemoryStores(db, {
    ...record,
    items,
    changes,
    questions,
    meta,
    place: placeIt,
    sayAgain: tombstones.sayAgain,
    mainSession: main,
    now: clock.now,
  });
  holder.stores = stores;
  const portability = createPortability({
    ...record,
    items,
    changes,
    questions,
    meta,
    timeZone: 'UTC',
    now: clock.now,
    mainSession: main,
    place: placeIt,
    isForgotten: tombstones.isForgotten,
    tombstoneKeys: tombstones.keys,
    restore: {
      ...restoreItems(db, items, docs),
      ...restoreChanges(db),
      ...restoreQuestions(db),
      tombstones: tombstones.tombstones,
    },
    restoreStore: stores.restore,
  });
  const log = { warn() {} };
  const search = createSearch({ db, docs, clock, timeZone: 'UTC', log });
  const home: Home = {
    ...memory,
    portability,
    stores,
    search,
    main,
    async out(format = 'jsonl') {
      const pieces: { path: string; data: string }[] = [];
      for await (const piece of portability.export(format)) pieces.push(piece);
      return pieces;
    },
    jsonl: async () => (await home.out()).map(({ data }) => data).join(''),
    import: (format, files, more = {}) =>
      portability.import({
        format,
        files: Object.entries(files).map(([path, data]) => ({ path, data })),
        ...more,
      }),
    async find(query) {
      await breathe();
      const { hits } = await search.search({ query, limit: 10 }, 'owner');
      return hits.map(({ id, score }) => ({ id, score: Math.round(score * 1e6) / 1e6 }));
    },
  };
  return home;
}

/** Everything but what changes with the time of the export. */
export const lessHeader = (jsonl: string): string => jsonl.replace(/"exported_at":"[^"]*"/, '"exported_at":""');

/** All rows of memory and of the log, to see that nothing changed. */
export function rows(record: TestRecord): string {
  const tables = record.db
    .prepare<[], { name: string }>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND (name LIKE 'memory\\_%' ESCAPE '\\' OR name IN ('events', 'sessions', 'bindings')) AND name NOT LIKE 'memory\\_fts%' ESCAPE '\\' AND name <> 'memory_terms' ORDER BY name",
    )
    .all();
  return JSON.stringify(
    tables.map(({ name }) => [name, record.db.prepare<[], object>(`SELECT * FROM ${name}`).all()]),
    (_, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value),
  );
}
