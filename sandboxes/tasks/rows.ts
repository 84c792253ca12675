// Tasks as rows: where each stands, changed together with the event that says so. The only writer of `tasks`.
import type { Db } from '../../core/db.ts';
import { StewardError } from '../../core/errors.ts';
import type { Events } from '../../core/events.ts';
import type { Failpoint, FailpointName } from '../../core/failpoint.ts';
import type { Task, TaskDraft, TaskResult, TaskState } from '../../core/tasks.ts';
import type { Address, Id, JsonObject, Millis, Trust } from '../../core/types.ts';
import { isEnd, mayFollow } from './states.ts';

/** A task with what only its own loop needs to know. */
export interface TaskRow extends Task {
  repositoryKey: string;
  /** Given to the agent so far; the number of the message it works on. */
  messages: number;
  /** What the next message to the agent says beside the rest. */
  words: string | null;
  /** Setup has been run in the workspace there is. */
  prepared: boolean;
  callId: Id | null;
  activeMs: Millis;
}

/** What may change beside the state. */
export type Change = Partial<
  Pick<
    TaskRow,
    | 'reason'
    | 'paused'
    | 'attempts'
    | 'rounds'
    | 'messages'
    | 'words'
    | 'prepared'
    | 'baseCommit'
    | 'head'
    | 'callId'
    | 'activeMs'
    | 'result'
    | 'startedAt'
  >
>;

export interface Rows {
  create(row: {
    id: Id;
    sessionId: Id;
    key: string | null;
    draft: TaskDraft;
    repositoryKey: string;
    branch: string;
    title: string;
    trust: Trust;
    createdBy: string;
    target: Address | null;
  }): TaskRow;
  get(id: Id): TaskRow | null;
  /** Throws `not_found`. */
  need(id: Id): TaskRow;
  byKey(key: string): TaskRow | null;
  bySession(sessionId: Id): TaskRow | null;
  /** Those with something left to do, the oldest first: not ended, or ended without a result yet. */
  open(): TaskRow[];
  /** The newest first. */
  list(query: { limit: number; before?: Id; open?: boolean }): TaskRow[];
  /** One step of the state machine and its event, in one commit. Throws `conflict` for one that is not legal. */
  step(id: Id, to: TaskState, reason: string | null, change?: Change): TaskRow;
  /** A change without a step. It is an event of the log only when `type` names one. */
  put(id: Id, change: Change, event?: { type: string; payload: JsonObject }): TaskRow;
  progress(id: Id): void;
  /** Drops the words of a task whose session is deleted. */
  forget(sessionId: Id): void;
}

interface Row {
  id: string;
  session_id: string;
  spec: string;
  repository_key: string;
  branch: string;
  title: string;
  trust: Trust;
  created_by: string;
  target: string | null;
  state: TaskState;
  reason: string | null;
  paused: string | null;
  attempts: number;
  rounds: number;
  messages: number;
  words: string | null;
  prepared: number;
  base_commit: string | null;
  head: string | null;
  call_id: string | null;
  active_ms: number;
  result: string | null;
  created_at: number;
  started_at: number | null;
  since: number;
  last_progress_at: number;
  ended_at: number | null;
}

const toTask = (row: Row): TaskRow => ({
  ...(JSON.parse(row.spec) as TaskDraft),
  id: row.id,
  sessionId: row.session_id,
  repositoryKey: row.repository_key,
  branch: row.branch,
  title: row.title,
  trust: row.trust,
  createdBy: row.created_by,
  target: row.target === null ? null : (JSON.parse(row.target) as Address),
  state: row.state,
  reason: row.reason,
  paused: row.paused,
  attempts: row.attempts,
  rounds: row.rounds,
  messages: row.messages,
  words: row.words,
  prepared: row.prepared === 1,
  baseCommit: row.base_commit,
  head: row.head,
  callId: row.call_id,
  activeMs: row.active_ms,
  result: row.result === null ? null : (JSON.parse(row.result) as TaskResult),
  createdAt: row.created_at,
  startedAt: row.started_at,
  since: row.since,
  lastProgressAt: row.last_progress_at,
  endedAt: row.ended_at,
});

/** Reached with the commit of the step. */
const pointOf = (to: TaskState): FailpointName | null =>
  to === 'queued' ? null : isEnd(to) ? 'task.ended' : `task.${to}`;

export function createRows(deps: {
  db: Db;
  events: Events;
  now(): Millis;
  crash: Failpoint;
  /** Within the transaction of each step and of each result; for whoever tells others. */
  onChange?(task: Task, from: TaskState | null): void;
}): Rows {
  const { db, events, now } = deps;
  const insert = db.prepare(
    `INSERT INTO tasks (id, session_id, idempotency_key, spec, repository_key, branch, title, trust, created_by, target, state,
       created_at, since, last_progress_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?)`,
  );
  const one = db.prepare<[string], Row>('SELECT * FROM tasks WHERE id = ?');
  const keyed = db.prepare<[string], Row>('SELECT * FROM tasks WHERE idempotency_key = ?');
  const ofSession = db.prepare<[string], Row>('SELECT * FROM tasks WHERE session_id = ?');
  const unfinished = db.prepare<[], Row>('SELECT * FROM tasks WHERE ended_at IS NULL OR result IS NULL ORDER BY id');
  const recent = db.prepare<[string, number], Row>('SELECT * FROM tasks WHERE id < ? ORDER BY id DESC LIMIT ?');
  const recentOpen = db.prepare<[string, number], Row>(
    'SELECT * FROM tasks WHERE ended_at IS NULL AND id < ? ORDER BY id DESC LIMIT ?',
  );
  const update = db.prepare(
    `UPDATE tasks SET state = ?, reason = ?, paused = ?, attempts = ?, rounds = ?, messages = ?, words = ?, prepared = ?,
       base_commit = ?, head = ?, call_id = ?, active_ms = ?, result = ?, started_at = ?, since = ?, last_progress_at = ?,
       ended_at = ? WHERE id = ?`,
  );
  const touch = db.prepare<[Millis, string]>('UPDATE tasks SET last_progress_at = ? WHERE id = ?');
  const blank = db.prepare<[string, Millis, string]>(
    `UPDATE tasks SET spec = ?, title = '', reason = NULL, paused = NULL, words = NULL, result = '{}', target = NULL,
       ended_at = coalesce(ended_at, ?), state = CASE WHEN ended_at IS NULL THEN 'cancelled' ELSE state END
     WHERE session_id = ?`,
  );

  const write = (task: TaskRow): void =>
    void update.run(
      task.state,
      task.reason,
      task.paused,
      task.attempts,
      task.rounds,
      task.messages,
      task.words,
      task.prepared ? 1 : 0,
      task.baseCommit,
      task.head,
      task.callId,
      task.activeMs,
      task.result === null ? null : JSON.stringify(task.result),
      task.startedAt,
      task.since,
      task.lastProgressAt,
      task.endedAt,
      task.id,
    );

  const rows: Rows = {
    create: (made) =>
      db.tx(() => {
        const at = now();
        const { id, sessionId, key, draft, repositoryKey, branch, title, trust, createdBy, target } = made;
        const place = target === null ? null : JSON.stringify(target);
        insert.run(
          ...[id, sessionId, key, JSON.stringify(draft), repositoryKey, branch, title, trust, createdBy, place],
          ...[at, at, at],
        );
        events.append(sessionId, [
          { type: 'task.status', payload: { task_id: id, from: null, to: 'queued', reason: null } },
        ]);
        const task = rows.need(id);
        deps.onChange?.(task, null);
        db.afterCommit(() => deps.crash('task.created'));
        return task;
      }),
    get(id) {
      const row = one.get(id);
      return row ? toTask(row) : null;
    },
    need(id) {
      const task = rows.get(id);
      if (!task)
        throw new StewardError('not_found', `There is no task ${id}.`, {
          op: 'read a task',
          hint: 'GET /api/tasks or `steward tasks` lists them.',
        });
      return task;
    },
    byKey(key) {
      const row = keyed.get(key);
      return row ? toTask(row) : null;
    },
    bySession(sessionId) {
      const row = ofSession.get(sessionId);
      return row ? toTask(row) : null;
    },
    open: () => unfinished.all().map(toTask),
    list: ({ limit, before = '~', open = false }) => (open ? recentOpen : recent).all(before, limit).map(toTask),
    step: (id, to, reason, change = {}) =>
      db.tx(() => {
        const task = rows.need(id);
        if (!mayFollow(task.state, to))
          throw new StewardError('conflict', `A task that is ${task.state} cannot become ${to}.`, {
            op: 'carry a task on',
          });
        const at = now();
        const next: TaskRow = {
          ...task,
          ...change,
          state: to,
          reason,
          since: at,
          lastProgressAt: at,
          endedAt: isEnd(to) ? at : null,
        };
        write(next);
        events.append(task.sessionId, [
          { type: 'task.status', payload: { task_id: id, from: task.state, to, reason } },
        ]);
        deps.onChange?.(next, task.state);
        const point = pointOf(to);
        if (point) db.afterCommit(() => deps.crash(point));
        return next;
      }),
    put: (id, change, event) =>
      db.tx(() => {
        const task = rows.need(id);
        const next = { ...task, ...change };
        write(next);
        if (event) events.append(task.sessionId, [event]);
        if (event || change.result !== undefined) deps.onChange?.(next, task.state);
        return next;
      }),
    progress: (id) => void touch.run(now(), id),
    forget(sessionId) {
      const row = ofSession.get(sessionId);
      if (!row) return;
      const spec = JSON.parse(row.spec) as TaskDraft;
      const bare: TaskDraft = { ...spec, repository: '', instruction: '', setup: [], verify: [], hosts: [] };
      blank.run(JSON.stringify(bare), now(), sessionId);
    },
  };
  return rows;
}
