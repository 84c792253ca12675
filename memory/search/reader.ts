// What search reads: counts of terms, candidates by their words, docs with their texts. Read-only, over any connection.

import type { Sqlite, Statement } from '../../core/sqlite.ts';
import { type EventRow, saidIn } from '../index/said.ts';
import type { Authority } from '../types.ts';

export interface Connection {
  prepare<P extends unknown[], R = unknown>(sql: string): Statement<P, R>;
}

/** A connection that prepares each text once, as `Db` does. */
export function cached(db: Sqlite): Connection {
  const statements = new Map<string, Statement>();
  return {
    prepare<P extends unknown[], R>(sql: string) {
      const statement = statements.get(sql) ?? (db.prepare(sql) as Statement);
      statements.set(sql, statement);
      return statement as unknown as Statement<P, R>;
    },
  };
}

/** A row of the index. */
export interface Doc {
  doc: number;
  scope: string;
  session_id: string | null;
  turn: number | null;
  episode: number | null;
  at: number;
  actor: string;
  trust: Authority;
  flags: number;
  tokens: number;
}

export interface ItemState {
  row: number;
  id: string;
  tier: string;
  text: string;
  subject: string | null;
  authority: Authority;
  about: string | null;
  valid_from: number;
  valid_to: number | null;
  recorded_at: number;
  retired_at: number | null;
  expires_at: number | null;
}

/** What stands behind a doc of an event. */
export interface EventText {
  id: string;
  text: string;
  who: string;
  channel: string | null;
}

/** A condition of SQL on `d`, the row of memory_docs, with its values. */
export interface Where {
  sql: string;
  values: (string | number)[];
}

export interface Reader {
  size(): { docs: number; tokens: number };
  newestDoc(): number;
  /** How many docs hold the term. */
  count(stem: string): number;
  /** Terms of the vocabulary from `low` on, below `high`, in order, at most so many. */
  vocabulary(low: string, high: string, limit: number): { term: string; doc: number }[];
  /** The best `limit` docs of an FTS5 expression, best first; `from`: docs below are left out. */
  match(expression: string, where: Where | null, from: number, limit: number): { doc: number; score: number }[];
  docs(ids: readonly number[]): Doc[];
  turns(sessionId: string, from: number, to: number): Doc[];
  eventTexts(docs: readonly number[]): Map<number, EventText>;
  items(docs: readonly number[]): Map<number, ItemState>;
  hasItems(scope: string): boolean;
  /** Docs of the events that these items come from, by the doc of the item. */
  sources(itemDocs: readonly number[]): { item: number; doc: number }[];
}

const WEIGHTS = '0.0, 1.0, 1.0, 0.7, 1.0';

export function createReader(db: Connection): Reader {
  const meta = db.prepare<[string], { value: string }>('SELECT value FROM memory_meta WHERE name = ?');
  const newest = db.prepare<[], { doc: number | null }>('SELECT max(doc) AS doc FROM memory_docs');
  const count = db.prepare<[string], { doc: number }>('SELECT doc FROM memory_terms WHERE term = ?');
  const range = db.prepare<[string, string, number], { term: string; doc: number }>(
    'SELECT term, doc FROM memory_terms WHERE term >= ? AND term < ? LIMIT ?',
  );
  const docs = db.prepare<[string], Doc>('SELECT * FROM memory_docs WHERE doc IN (SELECT value FROM json_each(?))');
  const turns = db.prepare<[string, number, number], Doc>(
    'SELECT * FROM memory_docs WHERE session_id = ? AND turn BETWEEN ? AND ?',
  );
  const texts = db.prepare<[string], EventRow & { row: number; id: string; data: Uint8Array | null }>(
    `SELECT e.row, e.id, e.type, e.payload, e.origin, e.tainted, b.data FROM events e LEFT JOIN blobs b ON b.hash = e.blob
     WHERE e.row IN (SELECT value / 2 FROM json_each(?))`,
  );
  const items = db.prepare<[string], ItemState>(
    `SELECT row, id, tier, text, subject, authority, about, valid_from, valid_to, recorded_at, retired_at, expires_at
     FROM memory_items WHERE row IN (SELECT value / 2 FROM json_each(?))`,
  );
  const anyItem = db.prepare<[string], object>('SELECT 1 FROM memory_items WHERE scope = ? LIMIT 1');
  const sources = db.prepare<[string], { item: number; doc: number }>(
    `SELECT i.row * 2 + 1 AS item, e.row * 2 AS doc FROM memory_items i JOIN memory_sources s ON s.item_id = i.id
     JOIN events e ON e.id = s.event_id WHERE i.row IN (SELECT value / 2 FROM json_each(?)) LIMIT 500`,
  );
  return {
    size: () =>
      JSON.parse(meta.get('index.size')?.value ?? '{"docs":0,"tokens":0}') as { docs: number; tokens: number },
    newestDoc: () => newest.get()?.doc ?? 0,
    count: (stem) => count.get(stem)?.doc ?? 0,
    vocabulary: (low, high, limit) => range.all(low, high, limit),
    match(expression, where, from, limit) {
      const bound = from > 0 ? ' AND memory_fts.rowid >= ?' : '';
      const sql = where
        ? `SELECT memory_fts.rowid AS doc, -bm25(memory_fts, ${WEIGHTS}) AS score FROM memory_fts
           JOIN memory_docs d ON d.doc = memory_fts.rowid
           WHERE memory_fts MATCH ?${bound} AND ${where.sql} ORDER BY score DESC LIMIT ?`
        : `SELECT rowid AS doc, -bm25(memory_fts, ${WEIGHTS}) AS score FROM memory_fts
           WHERE memory_fts MATCH ?${bound} ORDER BY score DESC LIMIT ?`;
      return db
        .prepare<(string | number)[], { doc: number; score: number }>(sql)
        .all(expression, ...(from > 0 ? [from] : []), ...(where?.values ?? []), limit);
    },
    docs: (ids) => docs.all(JSON.stringify(ids)),
    turns: (sessionId, from, to) => turns.all(sessionId, from, to),
    eventTexts(ids) {
      const out = new Map<number, EventText>();
      for (const row of texts.all(JSON.stringify(ids))) {
        const payload = row.data ? new TextDecoder().decode(row.data) : row.payload;
        const said = saidIn({ ...row, payload });
        if (!said) continue;
        const origin = row.origin ? (JSON.parse(row.origin) as { sender?: { channel?: string } }) : null;
        out.set(row.row * 2, { id: row.id, text: said.text, who: said.who, channel: origin?.sender?.channel ?? null });
      }
      return out;
    },
    items: (ids) => new Map(items.all(JSON.stringify(ids)).map((row) => [row.row * 2 + 1, row])),
    hasItems: (scope) => anyItem.get(scope) !== undefined,
    sources: (ids) => sources.all(JSON.stringify(ids)),
  };
}
