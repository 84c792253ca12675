// Which sandboxes there are and were, and which checkpoints their sessions can go back to. The only writer of both tables.
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { Id, Millis } from '../core/types.ts';
import type { ProcessEntry, SnapshotRef } from './driver.ts';

/** How those end that were made for one command, beside a session's own hands. */
export const SINGLE_REASON = 'it was for one command only';

export interface SandboxRow {
  id: Id;
  sessionId: Id;
  driver: string;
  state: 'running' | 'ended' | 'lost';
  reason: string | null;
  /** The checkpoint its files came from. */
  restoredFrom: Id | null;
  createdAt: Millis;
  endedAt: Millis | null;
}

export interface Checkpoint {
  id: Id;
  sessionId: Id;
  sandboxId: Id;
  snapshot: SnapshotRef;
  /** Everything in the session's log up to here had been carried out. */
  position: number;
  processes: ProcessEntry[];
  label: string | null;
  createdAt: Millis;
}

export interface Ledger {
  begin(row: { id: Id; sessionId: Id; driver: string; restoredFrom: Id | null }): void;
  end(id: Id, state: 'ended' | 'lost', reason: string): void;
  get(id: Id): SandboxRow | null;
  /** Those that no end is known of. */
  alive(): SandboxRow[];
  list(options: { sessionId?: Id; limit: number }): SandboxRow[];
  save(checkpoint: Omit<Checkpoint, 'createdAt'>): Checkpoint;
  /** Its files are still those at this later point of the log. */
  advance(checkpointId: Id, position: number): void;
  latest(sessionId: Id): Checkpoint | null;
  /** Newest first, without the dropped ones. */
  checkpoints(sessionId: Id): Checkpoint[];
  need(sessionId: Id, checkpointId: Id): Checkpoint;
  label(checkpointId: Id, label: string | null): void;
  drop(checkpointIds: readonly Id[]): void;
  forget(sessionId: Id): void;
}

interface Row {
  id: string;
  session_id: string;
  driver: string;
  state: SandboxRow['state'];
  reason: string | null;
  restored_from: string | null;
  created_at: number;
  ended_at: number | null;
}
interface CheckpointRow {
  id: string;
  session_id: string;
  sandbox_id: string;
  snapshot: string;
  position: number;
  processes: string;
  label: string | null;
  created_at: number;
}

const toSandbox = (row: Row): SandboxRow => ({
  id: row.id,
  sessionId: row.session_id,
  driver: row.driver,
  state: row.state,
  reason: row.reason,
  restoredFrom: row.restored_from,
  createdAt: row.created_at,
  endedAt: row.ended_at,
});
const toCheckpoint = (row: CheckpointRow): Checkpoint => ({
  id: row.id,
  sessionId: row.session_id,
  sandboxId: row.sandbox_id,
  snapshot: JSON.parse(row.snapshot) as SnapshotRef,
  position: row.position,
  processes: JSON.parse(row.processes) as ProcessEntry[],
  label: row.label,
  createdAt: row.created_at,
});

export function createLedger(db: Db, now: () => Millis): Ledger {
  const insert = db.prepare(
    "INSERT INTO sandboxes (id, session_id, driver, state, restored_from, created_at) VALUES (?, ?, ?, 'running', ?, ?)",
  );
  const close = db.prepare<[string, string, Millis, string]>(
    "UPDATE sandboxes SET state = ?, reason = ?, ended_at = ? WHERE id = ? AND state = 'running'",
  );
  const one = db.prepare<[string], Row>('SELECT * FROM sandboxes WHERE id = ?');
  const open = db.prepare<[], Row>("SELECT * FROM sandboxes WHERE state = 'running'");
  const recent = db.prepare<[number], Row>('SELECT * FROM sandboxes ORDER BY created_at DESC, id DESC LIMIT ?');
  const ofSession = db.prepare<[string, number], Row>(
    'SELECT * FROM sandboxes WHERE session_id = ? ORDER BY created_at DESC, id DESC LIMIT ?',
  );
  const keep = db.prepare(
    'INSERT INTO checkpoints (id, session_id, sandbox_id, snapshot, position, processes, label, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const kept = db.prepare<[string], CheckpointRow>(
    'SELECT * FROM checkpoints WHERE session_id = ? AND dropped_at IS NULL ORDER BY created_at DESC, id DESC',
  );
  const newest = db.prepare<[string], CheckpointRow>(
    'SELECT * FROM checkpoints WHERE session_id = ? AND dropped_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 1',
  );
  const named = db.prepare<[string, string], CheckpointRow>(
    'SELECT * FROM checkpoints WHERE session_id = ? AND id = ? AND dropped_at IS NULL',
  );
  const relabel = db.prepare<[string | null, string]>('UPDATE checkpoints SET label = ? WHERE id = ?');
  const forward = db.prepare<[number, string, number]>(
    'UPDATE checkpoints SET position = ? WHERE id = ? AND position < ?',
  );
  const drop = db.prepare<[Millis, string]>('UPDATE checkpoints SET dropped_at = ? WHERE id = ?');
  // What was running names files and arguments: of a forgotten conversation nothing of it stays.
  const blank = db.prepare<[Millis, string]>(
    "UPDATE checkpoints SET dropped_at = coalesce(dropped_at, ?), processes = '[]', label = NULL WHERE session_id = ?",
  );
  return {
    begin: (row) => void insert.run(row.id, row.sessionId, row.driver, row.restoredFrom, now()),
    end: (id, state, reason) => void close.run(state, reason, now(), id),
    get: (id) => {
      const row = one.get(id);
      return row ? toSandbox(row) : null;
    },
    alive: () => open.all().map(toSandbox),
    list: ({ sessionId, limit }) =>
      (sessionId === undefined ? recent.all(limit) : ofSession.all(sessionId, limit)).map(toSandbox),
    save(checkpoint) {
      const createdAt = now();
      const { id, sessionId, sandboxId, snapshot, position, processes, label } = checkpoint;
      keep.run(
        id,
        sessionId,
        sandboxId,
        JSON.stringify(snapshot),
        position,
        JSON.stringify(processes),
        label,
        createdAt,
      );
      return { ...checkpoint, createdAt };
    },
    advance: (id, position) => void forward.run(position, id, position),
    latest: (sessionId) => {
      const row = newest.get(sessionId);
      return row ? toCheckpoint(row) : null;
    },
    checkpoints: (sessionId) => kept.all(sessionId).map(toCheckpoint),
    need(sessionId, checkpointId) {
      const row = named.get(sessionId, checkpointId);
      if (!row)
        throw new StewardError('not_found', `This session has no checkpoint ${checkpointId}.`, {
          op: 'read a checkpoint',
          hint: `GET /api/sessions/${sessionId}/checkpoints lists them.`,
        });
      return toCheckpoint(row);
    },
    label: (id, label) => void relabel.run(label, id),
    drop: (ids) => {
      for (const id of ids) drop.run(now(), id);
    },
    forget: (sessionId) => void blank.run(now(), sessionId),
  };
}

/** Newest checkpoints that stay without a label. */
export const KEPT_CHECKPOINTS = 20;

/** Pure. Those that may go: older than the newest twenty, and without a label. */
export function surplus(newestFirst: readonly Checkpoint[], kept = KEPT_CHECKPOINTS): Id[] {
  return newestFirst
    .slice(kept)
    .filter(({ label }) => label === null)
    .map(({ id }) => id);
}
