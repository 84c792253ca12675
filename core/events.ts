// The log: append, read, mark as read, redact. The only writer of `events`.
import type { Blobs } from './blobs.ts';
import type { Bus } from './bus.ts';
import type { Db } from './db.ts';
import type { Address, Id, JsonObject, LogEvent, Millis, Origin } from './types.ts';

/** Payloads above this many UTF-16 units live in a blob, so that rows stay on one or two pages. */
const INLINE_LIMIT = 16_384;
const TOMBSTONE = '{"redacted":true}';

export interface NewEvent {
  type: string;
  payload?: JsonObject;
  /** Given by callers that announced the id before (previews); otherwise made here. */
  id?: Id;
  /** A queued input waits for the harness to read it; everything else is processed as it is written. */
  queued?: boolean;
  dedupe?: string;
  origin?: Origin;
  tainted?: boolean;
  /** When it happened, for a log that is restored from an export; otherwise now. It is not announced: it is no news. */
  createdAt?: Millis;
}

export interface EventQuery {
  sessionId: Id;
  types?: readonly string[];
  order?: 'asc' | 'desc';
  /** Exclusive bounds on the order key: position, or for queued inputs their place after everything read. */
  after?: number;
  before?: number;
  createdAfter?: Millis;
  createdBefore?: Millis;
  limit: number;
}

export interface Events {
  /** Appends in order, in one transaction. With `fence`, refused (`stale_run`) unless that generation still holds the session. */
  append(sessionId: Id, events: readonly NewEvent[], by?: { runId: Id; generation: number }): LogEvent[];
  /** Gives queued inputs their position, in the order given. */
  process(sessionId: Id, ids: readonly Id[], by?: { runId: Id; generation: number }): LogEvent[];
  queued(sessionId: Id): LogEvent[];
  get(id: Id): LogEvent | null;
  byDedupe(key: string): LogEvent | null;
  /** What the harness has read, from a position on (exclusive), in order. */
  slice(sessionId: Id, afterPosition: number): LogEvent[];
  lastCompaction(sessionId: Id): LogEvent | null;
  /** Words from outside, or a summary of them, stand in the context. */
  isTainted(sessionId: Id): boolean;
  list(query: EventQuery): LogEvent[];
  /** Everything stored or read after `after`, each at the place where it happened; for stream replay. */
  since(sessionId: Id, after: number, limit: number): { at: number; event: LogEvent }[];
  /**
   * Replaces payload and origin by a tombstone, records that as an event, and leaves no bytes behind. `replyTo`: where the
   * answer to a redacted question goes.
   */
  redact(sessionId: Id, ids: readonly Id[], why: string, replyTo?: readonly Address[]): void;
  /** Called within the transaction of each redaction, for whoever keeps words of events elsewhere. Throwing undoes it. */
  onRedacted(listener: (ids: readonly Id[]) => void): void;
}

interface Row {
  id: string;
  session_id: string;
  seq: number;
  position: number | null;
  type: string;
  payload: string;
  blob: string | null;
  created_at: number;
  processed_at: number | null;
  run_id: string | null;
  origin: string | null;
  tainted: number;
}

const COLUMNS = 'id, session_id, seq, position, type, payload, blob, created_at, processed_at, run_id, origin, tainted';
/** Where the order keys of queued inputs begin: after every position there can be. */
const QUEUED_KEY = 2 ** 52;

/** The order key of an event: where it was read, or after everything read while it waits. */
export const orderKey = (event: Pick<LogEvent, 'position' | 'seq'>): number => event.position ?? QUEUED_KEY + event.seq;

export function createEvents(
  db: Db,
  deps: {
    blobs: Blobs;
    bus: Bus;
    now(): Millis;
    newId(prefix: 'sevt'): Id;
    takeSeq(sessionId: Id, generation?: number): number;
  },
): Events {
  const toEvent = (row: Row): LogEvent => {
    const stored = row.blob ? new TextDecoder().decode(deps.blobs.get(row.blob) ?? new Uint8Array()) : row.payload;
    return {
      id: row.id,
      sessionId: row.session_id,
      seq: row.seq,
      position: row.position,
      type: row.type,
      payload: JSON.parse(stored || TOMBSTONE) as JsonObject,
      createdAt: row.created_at,
      processedAt: row.processed_at,
      runId: row.run_id,
      origin: row.origin ? (JSON.parse(row.origin) as Origin) : null,
      tainted: row.tainted === 1,
    };
  };

  const insert = db.prepare(
    `INSERT INTO events (id, session_id, seq, position, type, payload, blob, created_at, processed_at, dedupe, run_id, origin, tainted)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const markRead = db.prepare<[number, Millis, string]>(
    'UPDATE events SET position = ?, processed_at = ? WHERE id = ?',
  );
  const one = db.prepare<[string], Row>(`SELECT ${COLUMNS} FROM events WHERE id = ?`);
  const byKey = db.prepare<[string], Row>(`SELECT ${COLUMNS} FROM events WHERE dedupe = ?`);
  const waiting = db.prepare<[string], Row>(
    `SELECT ${COLUMNS} FROM events WHERE session_id = ? AND position IS NULL ORDER BY seq`,
  );
  const read = db.prepare<[string, number], Row>(
    `SELECT ${COLUMNS} FROM events WHERE session_id = ? AND position > ? ORDER BY position`,
  );
  const compaction = db.prepare<[string], Row>(
    `SELECT ${COLUMNS} FROM events WHERE session_id = ? AND type = 'agent.thread_context_compacted'
     AND position IS NOT NULL ORDER BY position DESC LIMIT 1`,
  );
  const outside = db.prepare<[string, number], { id: string }>(
    'SELECT id FROM events WHERE session_id = ? AND tainted = 1 AND position > ? LIMIT 1',
  );
  const stored = db.prepare<[string, number, number], Row>(
    `SELECT ${COLUMNS} FROM events WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
  );
  const readLater = db.prepare<[string, number, number], Row>(
    `SELECT ${COLUMNS} FROM events WHERE session_id = ? AND position > ? AND position <> seq ORDER BY position LIMIT ?`,
  );
  const entomb = db.prepare<[Millis, string]>(
    `UPDATE events SET payload = '${TOMBSTONE}', blob = NULL, origin = NULL, redacted_at = ? WHERE id = ? AND redacted_at IS NULL`,
  );
  const blobUses = db.prepare<[string], { n: number }>('SELECT count(*) AS n FROM events WHERE blob = ?');

  const keepers: ((ids: readonly Id[]) => void)[] = [];
  const announce = (event: LogEvent) => db.afterCommit(() => deps.bus.publish({ kind: 'event', event }));

  const events: Events = {
    append: (sessionId, drafts, by) =>
      db.tx(() =>
        drafts.map((draft) => {
          const seq = deps.takeSeq(sessionId, by?.generation);
          const at = draft.createdAt ?? deps.now();
          const text = JSON.stringify(draft.payload ?? {}).toWellFormed();
          const blob = text.length > INLINE_LIMIT ? deps.blobs.put(new TextEncoder().encode(text)) : null;
          const event: LogEvent = {
            id: draft.id ?? deps.newId('sevt'),
            sessionId,
            seq,
            position: draft.queued ? null : seq,
            type: draft.type,
            payload: draft.payload ?? {},
            createdAt: at,
            processedAt: draft.queued ? null : at,
            runId: by?.runId ?? null,
            origin: draft.origin ?? null,
            tainted: draft.tainted ?? false,
          };
          insert.run(
            event.id,
            sessionId,
            seq,
            event.position,
            event.type,
            blob ? '{}' : text,
            blob,
            at,
            event.processedAt,
            draft.dedupe ?? null,
            event.runId,
            event.origin ? JSON.stringify(event.origin).toWellFormed() : null,
            event.tainted ? 1 : 0,
          );
          if (draft.createdAt === undefined) announce(event);
          return event;
        }),
      ),

    process: (sessionId, ids, by) =>
      db.tx(() =>
        ids.map((id) => {
          const position = deps.takeSeq(sessionId, by?.generation);
          markRead.run(position, deps.now(), id);
          const event = toEvent(one.get(id)!);
          announce(event);
          return event;
        }),
      ),

    queued: (sessionId) => waiting.all(sessionId).map(toEvent),
    get: (id) => {
      const row = one.get(id);
      return row ? toEvent(row) : null;
    },
    byDedupe: (key) => {
      const row = byKey.get(key);
      return row ? toEvent(row) : null;
    },
    slice: (sessionId, after) => read.all(sessionId, after).map(toEvent),
    lastCompaction: (sessionId) => {
      const row = compaction.get(sessionId);
      return row ? toEvent(row) : null;
    },

    isTainted(sessionId) {
      const from = Number(events.lastCompaction(sessionId)?.payload.up_to ?? 0);
      return outside.get(sessionId, from) !== undefined;
    },

    list(query) {
      // Two index walks instead of one sort: what was read, by position; what still waits, by seq, after all of it.
      const walk = (column: 'position' | 'seq', offset: number, limit: number): LogEvent[] => {
        if (limit <= 0) return [];
        const where = ['session_id = ?', column === 'position' ? 'position IS NOT NULL' : 'position IS NULL'];
        const values: (string | number)[] = [query.sessionId];
        const add = (clause: string, value: number | undefined) => {
          if (value === undefined) return;
          where.push(clause);
          values.push(value);
        };
        add(`${column} > ?`, query.after === undefined ? undefined : query.after - offset);
        add(`${column} < ?`, query.before === undefined ? undefined : query.before - offset);
        add('created_at > ?', query.createdAfter);
        add('created_at < ?', query.createdBefore);
        if (query.types?.length) {
          where.push(`type IN (${query.types.map(() => '?').join(', ')})`);
          values.push(...query.types);
        }
        const direction = query.order === 'desc' ? 'DESC' : 'ASC';
        const sql = `SELECT ${COLUMNS} FROM events WHERE ${where.join(' AND ')} ORDER BY ${column} ${direction} LIMIT ?`;
        return db
          .prepare<(string | number)[], Row>(sql)
          .all(...values, limit)
          .map(toEvent);
      };
      const done = (limit: number) => walk('position', 0, limit);
      const waits = (limit: number) => walk('seq', QUEUED_KEY, limit);
      const [first, second] = query.order === 'desc' ? [waits, done] : [done, waits];
      const head = first(query.limit);
      return [...head, ...second(query.limit - head.length)];
    },

    since(sessionId, after, limit) {
      const first = stored.all(sessionId, after, limit).map((row) => {
        const event = toEvent(row);
        const queuedThen = event.position !== event.seq;
        return { at: event.seq, event: queuedThen ? { ...event, position: null, processedAt: null } : event };
      });
      const later = readLater.all(sessionId, after, limit).map((row) => {
        const event = toEvent(row);
        return { at: event.position!, event };
      });
      return [...first, ...later].sort((a, b) => a.at - b.at).slice(0, limit);
    },

    redact(sessionId, ids, why, replyTo = []) {
      db.tx(() => {
        for (const id of ids) {
          const row = one.get(id);
          if (row?.session_id !== sessionId) continue;
          entomb.run(deps.now(), id);
          if (row.blob && blobUses.get(row.blob)!.n === 0) deps.blobs.remove(row.blob);
        }
        const payload: JsonObject = { event_ids: [...ids], why };
        if (replyTo.length > 0) payload.reply_to = replyTo.map((address) => ({ ...address }));
        events.append(sessionId, [{ type: 'session.redacted', payload }]);
        for (const keeper of keepers) keeper(ids);
        db.afterCommit(() => db.checkpoint());
      });
    },
    onRedacted: (listener) => void keepers.push(listener),
  };
  return events;
}
