// Vectors as rows: which docs still want one, what was made of them, and how far that is. The only writer of `memory_vectors`.
import { createHash } from 'node:crypto';
import type { Db } from '../../core/db.ts';
import type { Id } from '../../core/types.ts';
import { META as INDEX } from '../index/docs.ts';
import { OWNER } from '../scope.ts';
import type { Meta } from '../types.ts';

const META = {
  /** The model the vectors are by, as `Model.id`. */
  model: 'vectors.model',
  dimension: 'vectors.dimension',
  /** Docs of events, and rows of items, up to which each has its vector or wants none. */
  events: 'vectors.events',
  items: 'vectors.items',
  /** The version of the index these are about. */
  index: 'vectors.index',
  tokens: 'vectors.tokens',
} as const;

/** Most rows looked at in one step. */
const STEP = 500;

export interface Waiting {
  docs: number[];
  /** Where the cursors stand once these docs are settled. */
  upTo: { events: number; items: number };
  /** Whether there may be more behind them. */
  more: boolean;
}

export interface Made {
  doc: number;
  hash: string;
  /** Of length 1; null: the provider does not take these words. */
  vector: Float32Array | null;
}

export interface Store {
  /** Everything before the dimension; null when there is none yet. */
  model(): { id: string; dimension: number } | null;
  /** From now on vectors are by this model. Those by another one are replaced step by step. */
  begin(id: string, dimension: number): void;
  /** The next docs of the owner's scope without a vector by the model. */
  waiting(limit: number): Waiting;
  /** How many docs may still be without one: never less than there are, and found without counting. */
  behind(): { docs: number; of: number };
  /** In one transaction with the cursors. Returns what was kept: not what was forgotten in the meantime. */
  settle(made: readonly Made[], upTo: Waiting['upTo'], tokens: number): Made[];
  /** The vector that the same words were given before. */
  known(hash: string): Float32Array | null;
  /** In the order of docs, at most so many, after one. Without those by another model, and the empty ones. */
  page(after: number, limit: number): { rows: { doc: number; vector: Float32Array }[]; last: number | null };
  vectors(docs: readonly number[]): Map<number, Float32Array>;
  tokens(): number;
  /** In the transaction of whatever takes the words away. */
  remove(docs: readonly number[]): void;
  docsOf(eventIds: readonly Id[]): number[];
  docsOfSession(sessionId: Id): number[];
}

export const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 32);

/** Half precision: a thousandth of a cosine, at half the bytes. */
const pack = (vector: Float32Array | null): Uint8Array =>
  vector ? new Uint8Array(new Float16Array(vector).buffer) : new Uint8Array(0);
/** Copied: what SQLite hands out need not begin at an even address. */
const unpack = (bytes: Uint8Array): Float32Array => new Float32Array(new Float16Array(new Uint8Array(bytes).buffer));

export function createStore(db: Db, meta: Meta): Store {
  const eventDocs = db.prepare<[string, number, number], { doc: number; wanted: number }>(
    `SELECT d.doc, d.doc % 2 = 0 AND d.scope = '${OWNER}' AND v.model IS NOT ? AS wanted
     FROM memory_docs d LEFT JOIN memory_vectors v ON v.doc = d.doc
     WHERE d.doc > ? AND d.doc <= ? ORDER BY d.doc LIMIT ${STEP}`,
  );
  const itemRows = db.prepare<[string, number], { row: number; wanted: number }>(
    `SELECT i.row, i.scope = '${OWNER}' AND v.model IS NOT ? AS wanted
     FROM memory_items i LEFT JOIN memory_vectors v ON v.doc = i.row * 2 + 1
     WHERE i.row > ? ORDER BY i.row LIMIT ${STEP}`,
  );
  const newestItem = db.prepare<[], { row: number | null }>('SELECT max(row) AS row FROM memory_items');
  const put = db.prepare(
    'INSERT OR REPLACE INTO memory_vectors (doc, model, content_hash, vector) VALUES (?, ?, ?, ?)',
  );
  const drop = db.prepare<[number]>('DELETE FROM memory_vectors WHERE doc = ?');
  const same = db.prepare<[string, string], { vector: Uint8Array }>(
    'SELECT vector FROM memory_vectors WHERE content_hash = ? AND model = ? AND length(vector) > 0 LIMIT 1',
  );
  const rows = db.prepare<[number, number], { doc: number; model: string; vector: Uint8Array }>(
    'SELECT doc, model, vector FROM memory_vectors WHERE doc > ? ORDER BY doc LIMIT ?',
  );
  const some = db.prepare<[string, string], { doc: number; vector: Uint8Array }>(
    `SELECT doc, vector FROM memory_vectors
     WHERE doc IN (SELECT value FROM json_each(?)) AND model = ? AND length(vector) > 0`,
  );
  // Of the words themselves, not of the index: what is forgotten is gone from them first.
  const eventStands = db.prepare<[number], { one: number }>(
    `SELECT 1 AS one FROM events e JOIN memory_docs d ON d.doc = e.row * 2
     WHERE e.row = ? AND e.redacted_at IS NULL AND d.scope = '${OWNER}'`,
  );
  const itemStands = db.prepare<[number], { one: number }>(
    `SELECT 1 AS one FROM memory_items WHERE row = ? AND scope = '${OWNER}'`,
  );
  const rowOf = db.prepare<[string], { row: number }>('SELECT row FROM events WHERE id = ?');
  const rowsOf = db.prepare<[string], { row: number }>('SELECT row FROM events WHERE session_id = ?');

  const number = (name: string): number => Number(meta.get(name) ?? 0);
  const stands = (doc: number): boolean =>
    (doc % 2 === 0 ? eventStands : itemStands).get(Math.floor(doc / 2)) !== undefined;
  const indexedUpTo = (): number => number(INDEX.upTo) * 2;
  const column = (): string => `${meta.get(META.model) ?? ''}:${meta.get(META.dimension) ?? ''}`;
  const fromTheStart = () => {
    meta.set(META.events, '0');
    meta.set(META.items, '0');
    meta.set(META.index, meta.get(INDEX.version) ?? '');
  };
  /** An index that was built anew may hold docs that it had left out before. */
  const cursors = (): { events: number; items: number } => {
    if (meta.get(META.index) !== (meta.get(INDEX.version) ?? '')) return { events: 0, items: 0 };
    return { events: number(META.events), items: number(META.items) };
  };

  return {
    model() {
      const id = meta.get(META.model);
      return id === null ? null : { id, dimension: number(META.dimension) };
    },
    begin: (id, dimension) =>
      db.tx(() => {
        meta.set(META.model, id);
        meta.set(META.dimension, String(dimension));
        fromTheStart();
      }),

    waiting(limit) {
      const model = column();
      const upTo = cursors();
      const docs: number[] = [];
      // Items first: they are few, and each says much.
      const items = itemRows.all(model, upTo.items);
      for (const { row, wanted } of items) {
        if (wanted && docs.length >= limit) return { docs, upTo, more: true };
        if (wanted) docs.push(row * 2 + 1);
        upTo.items = row;
      }
      const end = indexedUpTo();
      const events = eventDocs.all(model, upTo.events, end);
      for (const { doc, wanted } of events) {
        if (wanted && docs.length >= limit) return { docs, upTo, more: true };
        if (wanted) docs.push(doc);
        upTo.events = doc;
      }
      const more = items.length === STEP || events.length === STEP;
      if (events.length < STEP) upTo.events = Math.max(upTo.events, end);
      return { docs, upTo, more };
    },

    behind() {
      const { events, items } = cursors();
      const newest = newestItem.get()?.row ?? 0;
      const end = indexedUpTo() / 2;
      return { docs: Math.max(0, end - events / 2) + Math.max(0, newest - items), of: end + newest };
    },

    settle: (made, upTo, tokens) =>
      db.tx(() => {
        const model = column();
        const kept = made.filter(({ doc }) => stands(doc));
        for (const { doc, hash, vector } of kept) put.run(doc, model, hash, pack(vector));
        meta.set(META.events, String(upTo.events));
        meta.set(META.items, String(upTo.items));
        meta.set(META.index, meta.get(INDEX.version) ?? '');
        if (tokens > 0) meta.set(META.tokens, String(number(META.tokens) + tokens));
        return kept;
      }),

    known(hash) {
      const found = same.get(hash, column());
      return found ? unpack(found.vector) : null;
    },
    page(after, limit) {
      const model = column();
      const found = rows.all(after, limit);
      return {
        rows: found
          .filter((row) => row.model === model && row.vector.length > 0)
          .map(({ doc, vector }) => ({ doc, vector: unpack(vector) })),
        last: found.length < limit ? null : found.at(-1)!.doc,
      };
    },
    vectors: (docs) =>
      new Map(some.all(JSON.stringify(docs), column()).map(({ doc, vector }) => [doc, unpack(vector)])),
    tokens: () => number(META.tokens),

    remove: (docs) =>
      db.tx(() => {
        for (const doc of docs) drop.run(doc);
      }),
    docsOf: (ids) => ids.flatMap((id) => rowOf.get(id) ?? []).map(({ row }) => row * 2),
    docsOfSession: (id) => rowsOf.all(id).map(({ row }) => row * 2),
  };
}
