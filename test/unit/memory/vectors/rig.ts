// Vectors over a real record and the real index, against a server on loopback.
import { onTestFinished, vi } from 'vitest';
import type { Id, Trust } from '../../../../core/types.ts';
import { createDocs, type Docs } from '../../../../memory/index/docs.ts';
import { createMeta } from '../../../../memory/meta.ts';
import { createSearch, type Search } from '../../../../memory/search/search.ts';
import { createVectors, type VectorSettings, type Vectors } from '../../../../memory/vectors/index.ts';
import { type EmbeddingsFake, type EmbeddingsOptions, startEmbeddings } from '../../../fakes/embeddings.ts';
import { draftSession, openTestRecord, type TestRecord } from '../../../helpers/record.ts';

export const KEY = 'pa-a-key-nobody-should-see';

export async function fakeOf(options: Partial<EmbeddingsOptions> = {}): Promise<EmbeddingsFake> {
  const fake = await startEmbeddings({
    wire: 'voyage',
    key: KEY,
    synonyms: [
      ['car', 'automobile'],
      ['doctor', 'physician'],
      ['house', 'home'],
    ],
    ...options,
  });
  onTestFinished(() => fake.close());
  return fake;
}

export interface Life {
  record: TestRecord;
  docs: Docs;
  vectors: Vectors;
  search: Search;
  /** Lines of the log, as JSON. */
  logged: string[];
  sessionId: Id;
  say(text: string, where?: { trust?: Trust; incognito?: boolean; sessionId?: Id }): Id;
  docOf(eventId: Id): number;
  rows(): { doc: number; model: string; size: number }[];
  /** Everything that wants a vector has one. */
  settled(): Promise<void>;
  near(query: string): Promise<string[]>;
  /** As a crash would; then the next life over the same file. */
  again(change?: LifeOptions): Promise<Life>;
}

export interface LifeOptions extends Partial<VectorSettings> {
  patienceMs?: number;
  exactBytes?: number;
  /** Not begun by itself. */
  idle?: boolean;
}

export function settingsFor(fake: EmbeddingsFake, change: Partial<VectorSettings> = {}): VectorSettings {
  return {
    embeddings: fake.options.wire,
    embeddingsModel: null,
    embeddingsUrl: fake.url,
    embeddingsKey: KEY,
    ...change,
  };
}

export function openLife(fake: EmbeddingsFake, options: LifeOptions = {}, before?: Life): Life {
  const { patienceMs, exactBytes, idle, ...change } = options;
  const record = before ? before.record.reopen() : openTestRecord();
  const { db } = record;
  const meta = createMeta(db);
  const docs = createDocs(db, { meta, blobs: record.blobs, timeZone: 'UTC' });
  const logged: string[] = [];
  const note = (facts: object, message: string) => void logged.push(JSON.stringify({ ...facts, message }));
  const vectors = createVectors({
    db,
    meta,
    bus: record.bus,
    docs,
    clock: record.clock,
    log: { info: note, warn: note },
    settings: settingsFor(fake, change),
    random: () => 0.5,
    ...(patienceMs !== undefined && { patienceMs }),
    ...(exactBytes !== undefined && { exactBytes }),
  });
  record.events.onRedacted((ids) => {
    vectors.removeEvents(ids);
    docs.removeEvents(ids);
  });
  const search = createSearch({ db, docs, clock: record.clock, timeZone: 'UTC', log: { warn: note }, vectors });
  const sessions = new Map<string, Id>();
  const sessionFor = (trust: Trust, incognito: boolean): Id => {
    const name = `${trust} ${incognito}`;
    const id =
      sessions.get(name) ??
      record.sessions.create({ ...draftSession(trust), ...(incognito && { metadata: { incognito: 'true' } }) }).id;
    sessions.set(name, id);
    return id;
  };
  const sessionId = before?.sessionId ?? sessionFor('owner', false);
  sessions.set('owner false', sessionId);
  const rowOf = db.prepare<[string], { row: number }>('SELECT row FROM events WHERE id = ?');
  const textOf = db.prepare<[number], { text: string }>(
    "SELECT coalesce(json_extract(payload, '$.content[0].text'), '') AS text FROM events WHERE row = ? / 2",
  );
  const all = db.prepare<[], { doc: number; model: string; size: number }>(
    'SELECT doc, model, length(vector) AS size FROM memory_vectors ORDER BY doc',
  );
  const without = db.prepare<[string], { n: number }>(
    `SELECT count(*) AS n FROM memory_docs d LEFT JOIN memory_vectors v ON v.doc = d.doc AND v.model = ?
     WHERE d.scope = 'owner' AND v.doc IS NULL`,
  );
  onTestFinished(() => vectors.stop());
  onTestFinished(() => search.stop());
  if (!idle) vectors.start();
  const life: Life = {
    record,
    docs,
    vectors,
    search,
    logged,
    sessionId,
    say(text, { trust = 'owner', incognito = false, sessionId: id } = {}) {
      const origin = {
        role: trust === 'owner' ? ('owner' as const) : ('guest' as const),
        sender: { channel: 'web', userId: 'u1' },
        address: { channel: 'web', chat: 'c1' },
      };
      const [event] = record.events.append(id ?? sessionFor(trust, incognito), [
        { type: 'user.message', payload: { content: [{ type: 'text', text }] }, origin },
      ]);
      return event!.id;
    },
    docOf: (id) => rowOf.get(id)!.row * 2,
    rows: () => all.all(),
    settled: () =>
      vi.waitFor(
        () => {
          docs.catchUp();
          const { state, detail } = vectors.report();
          const model = `${meta.get('vectors.model')}:${meta.get('vectors.dimension')}`;
          if (state !== 'ok' || without.get(model)!.n > 0) throw new Error(`${state}: ${detail}`);
        },
        { timeout: 5_000, interval: 5 },
      ),
    async near(query) {
      const found = await vectors.search(query, 5);
      if (!Array.isArray(found)) throw new Error(found.failed);
      return found.map(({ doc }) => textOf.get(doc)?.text ?? '?');
    },
    async again(next = {}) {
      await vectors.stop();
      await search.stop();
      return openLife(fake, { ...options, idle: false, ...next }, life);
    },
  };
  return life;
}
