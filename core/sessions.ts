// Sessions: who answers where, in which state. The only writer of `sessions` and `bindings`.
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Address, Id, Millis, Session, SessionStatus, StopReason, Trust } from './types.ts';

export interface NewSession {
  /** Both as they were, for a session that is restored from an export; otherwise made here. */
  id?: Id;
  createdAt?: Millis;
  kind?: 'chat' | 'task';
  title?: string | null;
  trust: Trust;
  agentId: Id;
  agentVersion: number;
  environmentId: Id;
  metadata?: Record<string, string>;
}

export interface SessionQuery {
  limit: number;
  order?: 'asc' | 'desc';
  /** Exclusive bound on the id, in the direction of the order. */
  from?: Id;
  includeArchived?: boolean;
  statuses?: readonly SessionStatus[];
  agentId?: Id;
}

export interface Sessions {
  create(draft: NewSession): Session;
  get(id: Id): Session | null;
  /** As `get`, or throws `not_found`. */
  need(id: Id): Session;
  list(query: SessionQuery): Session[];
  /** The session bound to a place such as `main`, made by `make` when there is none. */
  bound(key: string, make: () => NewSession): Session;
  bindingOf(key: string): Id | null;
  bind(key: string, id: Id): void;
  setStatus(id: Id, status: SessionStatus, stopReason: StopReason | null, wakeAt: Millis | null): void;
  setTitle(id: Id, title: string | null): void;
  setMetadata(id: Id, metadata: Record<string, string>): void;
  archive(id: Id): void;
  /** Hides a session whose log has been redacted. */
  markDeleted(id: Id): void;
  /** Raises the generation and returns it: from now on every older run is refused. */
  nextGeneration(id: Id): number;
  /**
   * The next number of the session's log. With a generation, throws `stale_run` unless that one still holds the session:
   * the fence that keeps a superseded run from writing.
   */
  takeSeq(id: Id, generation?: number): number;
  /** Sessions that have something to do: inputs queued, cut off in the middle, or due to be tried again. */
  toWake(now: Millis): Id[];
  nextWakeAt(): Millis | null;
  /** Incognito conversations that are over: archived, or untouched since `before`; one at work never is. */
  incognitoOver(before: Millis): Id[];
  counts(): { running: number; rescheduling: number; total: number };
}

interface Row {
  id: string;
  kind: 'chat' | 'task';
  title: string | null;
  status: SessionStatus;
  stop_reason: string | null;
  trust: Trust;
  agent_id: string;
  agent_version: number;
  environment_id: string;
  metadata: string;
  generation: number;
  last_seq: number;
  created_at: number;
  updated_at: number;
  archived_at: number | null;
}

const toSession = (row: Row): Session => ({
  id: row.id,
  kind: row.kind,
  title: row.title,
  status: row.status,
  stopReason: row.stop_reason ? (JSON.parse(row.stop_reason) as StopReason) : null,
  trust: row.trust,
  agentId: row.agent_id,
  agentVersion: row.agent_version,
  environmentId: row.environment_id,
  metadata: JSON.parse(row.metadata) as Record<string, string>,
  generation: row.generation,
  lastSeq: row.last_seq,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  archivedAt: row.archived_at,
});

/** The binding key of a place: one session for the owner's direct chats, one for each group and each guest. */
export function bindingKey(trust: Trust, address: Address): string {
  if (trust === 'owner') return 'main';
  const thread = address.thread ? `#${address.thread}` : '';
  return `${trust}:${address.channel}:${address.chat}${thread}`;
}

export function createSessions(db: Db, deps: { now(): Millis; newId(prefix: 'sesn'): Id }): Sessions {
  const insert = db.prepare(
    `INSERT INTO sessions (id, kind, title, status, trust, agent_id, agent_version, environment_id, metadata, created_at, updated_at)
     VALUES (?, ?, ?, 'idle', ?, ?, ?, ?, ?, ?, ?)`,
  );
  const select = db.prepare<[string], Row>('SELECT * FROM sessions WHERE id = ? AND deleted_at IS NULL');
  const binding = db.prepare<[string], { session_id: string }>('SELECT session_id FROM bindings WHERE key = ?');
  const putBinding = db.prepare<[string, string]>(
    'INSERT INTO bindings (key, session_id) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET session_id = excluded.session_id',
  );
  const putStatus = db.prepare<[string, string | null, Millis | null, Millis, string]>(
    'UPDATE sessions SET status = ?, stop_reason = ?, wake_at = ?, updated_at = ? WHERE id = ?',
  );
  const putTitle = db.prepare<[string | null, Millis, string]>(
    'UPDATE sessions SET title = ?, updated_at = ? WHERE id = ?',
  );
  const putMetadata = db.prepare<[string, Millis, string]>(
    'UPDATE sessions SET metadata = ?, updated_at = ? WHERE id = ?',
  );
  const putArchived = db.prepare<[Millis, string]>(
    'UPDATE sessions SET archived_at = ? WHERE id = ? AND archived_at IS NULL',
  );
  const putDeleted = db.prepare<[Millis, string]>(
    "UPDATE sessions SET deleted_at = ?, status = 'terminated', title = NULL, metadata = '{}', wake_at = NULL WHERE id = ?",
  );
  const raise = db.prepare<[string], { generation: number }>(
    'UPDATE sessions SET generation = generation + 1 WHERE id = ? RETURNING generation',
  );
  const seq = db.prepare<[Millis, string], { last_seq: number; generation: number }>(
    'UPDATE sessions SET last_seq = last_seq + 1, updated_at = ? WHERE id = ? RETURNING last_seq, generation',
  );
  const due = db.prepare<[Millis], { id: string }>(
    // Each part by an index of its own (`status <> 'idle'` is the one of sessions_live).
    `SELECT id FROM sessions WHERE status <> 'idle' AND status = 'running' AND deleted_at IS NULL
     UNION SELECT id FROM sessions WHERE wake_at <= ? AND deleted_at IS NULL
     UNION SELECT DISTINCT session_id FROM events WHERE position IS NULL`,
  );
  const earliest = db.prepare<[], { at: number | null }>(
    'SELECT min(wake_at) AS at FROM sessions WHERE wake_at IS NOT NULL',
  );
  const over = db.prepare<[Millis], { id: string }>(
    `SELECT id FROM sessions WHERE json_extract(metadata, '$.incognito') = 'true' AND deleted_at IS NULL
     AND status <> 'running' AND (archived_at IS NOT NULL OR updated_at < ?)`,
  );
  const count = db.prepare<[], { status: SessionStatus; n: number }>(
    'SELECT status, count(*) AS n FROM sessions WHERE deleted_at IS NULL GROUP BY status',
  );

  const sessions: Sessions = {
    create(draft) {
      const id = draft.id ?? deps.newId('sesn');
      const at = draft.createdAt ?? deps.now();
      const values = [
        draft.agentId,
        draft.agentVersion,
        draft.environmentId,
        JSON.stringify(draft.metadata ?? {}),
        at,
        at,
      ];
      insert.run(id, draft.kind ?? 'chat', draft.title ?? null, draft.trust, ...values);
      return sessions.need(id);
    },
    get(id) {
      const row = select.get(id);
      return row ? toSession(row) : null;
    },
    need(id) {
      const session = sessions.get(id);
      if (!session)
        throw new StewardError('not_found', `There is no session ${id}.`, {
          op: 'read a session',
          hint: 'List them with GET /v1/sessions or `steward sessions`.',
        });
      return session;
    },
    list(query) {
      const where = ['deleted_at IS NULL'];
      const values: (string | number)[] = [];
      if (!query.includeArchived) where.push('archived_at IS NULL');
      if (query.agentId) {
        where.push('agent_id = ?');
        values.push(query.agentId);
      }
      if (query.statuses?.length) {
        where.push(`status IN (${query.statuses.map(() => '?').join(', ')})`);
        values.push(...query.statuses);
      }
      const asc = query.order === 'asc';
      if (query.from) {
        where.push(asc ? 'id > ?' : 'id < ?');
        values.push(query.from);
      }
      return db
        .prepare<(string | number)[], Row>(
          `SELECT * FROM sessions WHERE ${where.join(' AND ')} ORDER BY id ${asc ? 'ASC' : 'DESC'} LIMIT ?`,
        )
        .all(...values, query.limit)
        .map(toSession);
    },
    bound(key, make) {
      const known = sessions.bindingOf(key);
      const session = known ? sessions.get(known) : null;
      // Nothing is written for one that is there: status is read on a full disk, too.
      if (session && session.archivedAt === null && session.status !== 'terminated') return session;
      return db.tx(() => {
        const made = sessions.create(make());
        sessions.bind(key, made.id);
        return made;
      });
    },
    bindingOf: (key) => binding.get(key)?.session_id ?? null,
    bind: (key, id) => void putBinding.run(key, id),
    setStatus: (id, status, stopReason, wakeAt) =>
      void putStatus.run(status, stopReason ? JSON.stringify(stopReason) : null, wakeAt, deps.now(), id),
    setTitle: (id, title) => void putTitle.run(title, deps.now(), id),
    setMetadata: (id, metadata) => void putMetadata.run(JSON.stringify(metadata), deps.now(), id),
    archive: (id) => void putArchived.run(deps.now(), id),
    markDeleted: (id) => void putDeleted.run(deps.now(), id),
    takeSeq(id, generation) {
      const row = seq.get(deps.now(), id);
      if (!row) throw new StewardError('not_found', `There is no session ${id}.`, { op: 'append to the log' });
      if (generation !== undefined && row.generation !== generation)
        throw new StewardError('stale_run', `Generation ${generation} no longer holds session ${id}.`, {
          op: 'append to the log',
        });
      return row.last_seq;
    },
    nextGeneration: (id) => raise.get(id)!.generation,
    toWake: (now) => due.all(now).map((row) => row.id),
    incognitoOver: (before) => over.all(before).map((row) => row.id),
    nextWakeAt: () => earliest.get()?.at ?? null,
    counts() {
      const by = new Map(count.all().map((row) => [row.status, row.n]));
      return {
        running: by.get('running') ?? 0,
        rescheduling: by.get('rescheduling') ?? 0,
        total: [...by.values()].reduce((a, b) => a + b, 0),
      };
    },
  };
  return sessions;
}
