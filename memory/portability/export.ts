// What goes out: the JSONL file, complete and in pieces, and the Markdown tree. Reads only; of the owner's memory alone.
import { setImmediate as breathe } from 'node:timers/promises';
import type { Blobs } from '../../core/blobs.ts';
import type { Db } from '../../core/db.ts';
import { StewardError } from '../../core/errors.ts';
import { OWNER_STORE } from '../../core/memory-stores.ts';
import type { Millis } from '../../core/types.ts';
import { SPEAKING } from '../index/said.ts';
import { OWNER } from '../scope.ts';
import { STORES_KEY } from '../stores/rules.ts';
import type { Items, Meta } from '../types.ts';
import { treeOf } from './markdown.ts';
import { type Counts, type EventLine, FORMAT, type ItemLine, type Line, VERSION } from './records.ts';

export const JSONL_FILE = 'memory.jsonl';
/** Rows read at a time; between two reads everybody else has their turn. */
const BATCH = 500;
/** Rows counted at a time. */
const STRIDE = 20_000;
/** Names of keys in memory_meta that an export takes along, so that what was made with them is recognised. */
export const KEYS = { imports: 'imports_key', stores: STORES_KEY } as const;

/** What makes up a conversation; calls stand beside their results so that these are understood. */
const TYPES = [...SPEAKING, 'agent.tool_use', 'agent.custom_tool_use'];
const TOLD = TYPES.map((type) => `'${type}'`).join(', ');

/**
 * Events of the owner's conversations, and whatever a memory or a change refers to. Events that tell of changes are in it
 * whosever they are: `mine` sorts them out.
 */
const WANTED = `(
  (e.type IN (${TOLD}) AND e.redacted_at IS NULL AND s.trust = 'owner' AND s.deleted_at IS NULL
    AND coalesce(s.metadata ->> '$.incognito', '') <> 'true')
  OR e.type = 'memory.written'
  OR EXISTS (SELECT 1 FROM memory_sources m JOIN memory_items i ON i.id = m.item_id WHERE m.event_id = e.id AND i.scope = 'owner')
)`;

export interface ExportDeps {
  db: Db;
  blobs: Pick<Blobs, 'get'>;
  items: Items;
  meta: Meta;
  /** Of the tombstones. */
  tombstoneKeys(): readonly string[];
  now(): Millis;
}

interface EventRow {
  row: number;
  id: string;
  session_id: string;
  type: string;
  payload: string;
  blob: string | null;
  created_at: number;
  origin: string | null;
  dedupe: string | null;
  tainted: number;
  title: string | null;
  kind: 'chat' | 'task';
  trust: 'owner' | 'guest' | 'group';
  metadata: string;
  session_at: number;
}

const changed = () =>
  new StewardError('conflict', 'Memory changed while it was exported.', {
    op: 'export memory',
    hint: 'What came out so far is not complete: run it again.',
    retryable: true,
  });

export function createExport(deps: ExportDeps) {
  const { db } = deps;
  const top = db.prepare<[], { row: number | null }>('SELECT max(row) AS row FROM events');
  const told = db.prepare<[], { event_id: string }>(`SELECT event_id FROM memory_changes WHERE scope = '${OWNER}'`);
  const within = db.prepare<[number, number], { id: string; session_id: string; type: string }>(
    `SELECT e.id, e.session_id, e.type FROM events e JOIN sessions s ON s.id = e.session_id
     WHERE e.row > ? AND e.row <= ? AND ${WANTED}`,
  );
  const events = db.prepare<[number, number, number], EventRow>(
    `SELECT e.row, e.id, e.session_id, e.type, e.payload, e.blob, e.created_at, e.origin, e.dedupe, e.tainted,
       s.title, s.kind, s.trust, s.metadata, s.created_at AS session_at
     FROM events e JOIN sessions s ON s.id = e.session_id WHERE e.row > ? AND e.row <= ? AND ${WANTED} ORDER BY e.row LIMIT ?`,
  );
  const items = db.prepare<[number, number], Record<string, unknown> & { row: number; id: string }>(
    `SELECT i.*, p.pinned_at FROM memory_items i LEFT JOIN memory_pins p ON p.item_id = i.id
     WHERE i.scope = '${OWNER}' AND i.row > ? ORDER BY i.row LIMIT ?`,
  );
  const sources = db.prepare<[string], { event_id: string; quote: string }>(
    'SELECT event_id, quote FROM memory_sources WHERE item_id = ? ORDER BY event_id',
  );
  const parents = db.prepare<[string], { parent_id: string }>(
    'SELECT parent_id FROM memory_parents WHERE item_id = ? ORDER BY parent_id',
  );
  const rest: { type: Line['type']; rows(): Iterable<object> }[] = [
    {
      type: 'change',
      rows: () =>
        db
          .prepare<[], object>(
            `SELECT id, scope, kind, event_id, ops, at, undone_by FROM memory_changes WHERE scope = '${OWNER}' ORDER BY rowid`,
          )
          .all(),
    },
    {
      type: 'question',
      rows: () =>
        db
          .prepare<[], object>(
            `SELECT id, scope, kind, proposal, item_id, created_at, resolved_at, verdict FROM memory_questions
             WHERE scope = '${OWNER}' ORDER BY created_at, id`,
          )
          .all(),
    },
    {
      type: 'tombstone',
      rows: () => db.prepare<[], object>('SELECT hash, at FROM memory_tombstones ORDER BY hash').all(),
    },
    {
      type: 'store',
      rows: () =>
        db
          .prepare<[], { metadata: string }>(
            `SELECT id, name, description, metadata, created_at, updated_at, archived_at FROM memory_stores WHERE id <> '${OWNER_STORE}' ORDER BY created_at, id`,
          )
          .all()
          .map((row) => ({ ...row, metadata: JSON.parse(row.metadata) as object })),
    },
    {
      type: 'version',
      rows: () =>
        db
          .prepare<[], { items: string | null }>(
            `SELECT id, store_id, memory_id, operation, path, content, items, sha256, size, created_by, created_at, redacted_at,
               redacted_by FROM memory_store_versions ORDER BY row`,
          )
          .all()
          .map((row) => ({ ...row, items: row.items === null ? null : (JSON.parse(row.items) as string[]) })),
    },
    {
      type: 'file',
      rows: () =>
        db
          .prepare<[], object>(
            'SELECT id, store_id, path, version_id, created_at, updated_at FROM memory_store_files ORDER BY store_id, path',
          )
          .all(),
    },
  ];
  const number = (sql: string) => db.prepare<[], { n: number }>(sql).get()!.n;
  /** All but events and sessions: cheap to count. */
  const standing = () => ({
    items: number(`SELECT count(*) AS n FROM memory_items WHERE scope = '${OWNER}'`),
    changes: number(`SELECT count(*) AS n FROM memory_changes WHERE scope = '${OWNER}'`),
    questions: number(`SELECT count(*) AS n FROM memory_questions WHERE scope = '${OWNER}'`),
    tombstones: number('SELECT count(*) AS n FROM memory_tombstones'),
    files: number(
      `SELECT (SELECT count(*) FROM memory_stores WHERE id <> '${OWNER_STORE}') + (SELECT count(*) FROM memory_store_versions)
         + (SELECT count(*) FROM memory_store_files) AS n`,
    ),
  });
  /** What a change of items, pins or sources alters, so that half of one is never exported. */
  const stamp = () =>
    JSON.stringify([
      standing(),
      number('SELECT count(*) AS n FROM memory_sources'),
      number('SELECT count(*) AS n FROM memory_pins'),
      number('SELECT count(*) AS n FROM memory_items WHERE retired_at IS NOT NULL OR valid_to IS NOT NULL'),
      number('SELECT count(*) AS n FROM memory_questions WHERE resolved_at IS NOT NULL'),
    ]);

  const sessionOf = (row: EventRow): Line => ({
    type: 'session',
    id: row.session_id,
    kind: row.kind,
    trust: row.trust,
    title: row.title,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    created_at: row.session_at,
  });
  const eventOf = (row: EventRow): Line => {
    const blob = row.blob ? deps.blobs.get(row.blob) : null;
    return {
      type: 'event',
      id: row.id,
      session_id: row.session_id,
      event: row.type,
      at: row.created_at,
      tainted: row.tainted === 1,
      origin: row.origin ? (JSON.parse(row.origin) as EventLine['origin']) : null,
      ...(row.dedupe?.startsWith('import:') && { dedupe: row.dedupe }),
      payload: JSON.parse(blob ? new TextDecoder().decode(blob) : row.payload) as EventLine['payload'],
    };
  };
  const itemOf = ({ row: _, text_key: __, ...row }: Record<string, unknown> & { id: string }): Line =>
    ({
      type: 'item',
      ...row,
      sources: sources.all(row.id),
      parents: parents.all(row.id).map(({ parent_id }) => parent_id),
    }) as unknown as ItemLine;

  /** Pieces of whole lines. Throws `conflict` (retryable) when memory changes meanwhile; what is said meanwhile is left out. */
  async function* jsonl(): AsyncGenerator<{ path: string; data: string }> {
    const before = stamp();
    const last = top.get()!.row ?? 0;
    const mine = new Set(told.all().map(({ event_id }) => event_id));
    const counts: Counts = { sessions: 0, events: 0, ...standing() };
    const sessions = new Set<string>();
    for (let row = 0; row < last; row += STRIDE) {
      for (const event of within.iterate(row, Math.min(row + STRIDE, last)))
        if (event.type !== 'memory.written' || mine.has(event.id)) {
          counts.events += 1;
          sessions.add(event.session_id);
        }
      await breathe();
    }
    counts.sessions = sessions.size;
    sessions.clear();

    let lines: string[] = [];
    const written: Counts = { sessions: 0, events: 0, items: 0, changes: 0, questions: 0, tombstones: 0, files: 0 };
    const write = (line: Line, as: keyof Counts | null) => {
      lines.push(JSON.stringify(line));
      if (as) written[as] += 1;
    };
    const piece = () => {
      const data = `${lines.join('\n')}\n`;
      lines = [];
      return { path: JSONL_FILE, data };
    };
    const header = { format: FORMAT, version: VERSION, exported_at: new Date(deps.now()).toISOString(), counts };
    lines.push(JSON.stringify(header));
    for (let row = 0; row < last; ) {
      const batch = events.all(row, last, BATCH);
      for (const event of batch) {
        if (event.type === 'memory.written' && !mine.has(event.id)) continue;
        if (!sessions.has(event.session_id)) write(sessionOf(event), 'sessions');
        sessions.add(event.session_id);
        write(eventOf(event), 'events');
      }
      row = batch.length < BATCH ? last : batch.at(-1)!.row;
      if (lines.length > 0) yield piece();
      await breathe();
    }
    for (let row = 0; ; ) {
      const batch = items.all(row, BATCH);
      for (const item of batch) write(itemOf(item), 'items');
      if (lines.length > 0) yield piece();
      if (batch.length < BATCH) break;
      row = batch.at(-1)!.row;
      await breathe();
    }
    for (const value of deps.tombstoneKeys()) write({ type: 'key', name: 'tombstones', value }, null);
    for (const name of ['imports', 'stores'] as const) {
      const value = deps.meta.get(KEYS[name]);
      if (value) write({ type: 'key', name, value }, null);
    }
    for (const { type, rows } of rest) {
      const as = type === 'store' || type === 'version' || type === 'file' ? 'files' : (`${type}s` as keyof Counts);
      for (const row of rows()) {
        write({ type, ...row } as Line, as);
        if (lines.length >= BATCH) {
          yield piece();
          await breathe();
        }
      }
    }
    if (lines.length > 0) yield piece();
    if (stamp() !== before || JSON.stringify(written) !== JSON.stringify(counts)) throw changed();
  }

  const title = db.prepare<[string], { title: string | null }>('SELECT title FROM sessions WHERE id = ?');

  /** What is live now, one page after the other. */
  async function* markdown(): AsyncGenerator<{ path: string; data: string }> {
    const live = [];
    for (let after: string | undefined; ; ) {
      const batch = deps.items.list({ scope: OWNER, limit: BATCH, ...(after && { after }) });
      live.push(...batch);
      after = batch.at(-1)?.id;
      if (batch.length < BATCH) break;
      await breathe();
    }
    yield* treeOf(live, (id) => title.get(id)?.title ?? null);
  }

  return { jsonl, markdown, counts: standing };
}
