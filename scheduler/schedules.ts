// Schedules as rows. The only writer of `schedules`.
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { PausedReason, Schedule, ScheduleDraft, Slot } from '../core/schedules.ts';
import type { Id, Millis, Trust } from '../core/types.ts';
import { dueAt } from './jitter.ts';

export interface NewSchedule {
  draft: ScheduleDraft;
  trust: Trust;
  createdBy: string;
  sessionId: Id | null;
  next: Slot | null;
}

export interface Schedules {
  create(made: NewSchedule): Schedule;
  get(id: Id): Schedule | null;
  /** As `get`, or throws `not_found`. */
  need(id: Id): Schedule;
  list(query: { limit: number; after?: Id; includeArchived?: boolean; state?: Schedule['state'] }): Schedule[];
  /** Of one creator, what is neither ended nor archived. */
  countBy(createdBy: string): number;
  /** Ids of schedules with a slot that is due, the more important first; at most `limit` of the oldest. */
  due(now: Millis, limit: number): Id[];
  /** Ids of active schedules after this one, for whoever looks at all of them piece by piece. */
  active(after: Id, limit: number): Id[];
  /** The first slot without a row. Null ends an active schedule that is not begun by hand. */
  advance(id: Id, next: Slot | null): Schedule;
  change(id: Id, draft: ScheduleDraft, next: Slot | null, state: 'active' | 'paused' | 'ended'): Schedule;
  pause(id: Id, reason: PausedReason): Schedule;
  resume(id: Id, next: Slot | null): Schedule;
  archive(id: Id): Schedule;
  /** After a run: the streak of failures, and when it was. */
  ran(id: Id, failures: number): void;
}

interface Row {
  id: string;
  spec: string;
  state: Schedule['state'];
  paused: string | null;
  trust: Trust;
  created_by: string;
  session_id: string | null;
  revision: number;
  next_at: number | null;
  next_key: string | null;
  failures: number;
  last_run_at: number | null;
  created_at: number;
  updated_at: number;
  archived_at: number | null;
}

const toSchedule = (row: Row): Schedule => ({
  ...(JSON.parse(row.spec) as ScheduleDraft),
  id: row.id,
  state: row.state,
  paused: row.paused ? (JSON.parse(row.paused) as PausedReason) : null,
  trust: row.trust,
  createdBy: row.created_by,
  sessionId: row.session_id,
  revision: row.revision,
  next: row.next_at === null ? null : { at: row.next_at, key: row.next_key! },
  failures: row.failures,
  lastRunAt: row.last_run_at,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  archivedAt: row.archived_at,
});

export function createSchedules(db: Db, deps: { now(): Millis; newId(prefix: 'sched'): Id }): Schedules {
  const insert = db.prepare(
    `INSERT INTO schedules (id, name, spec, state, trust, created_by, session_id, priority, next_at, next_key, due_at, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const one = db.prepare<[string], Row>('SELECT * FROM schedules WHERE id = ?');
  const count = db.prepare<[string], { n: number }>(
    "SELECT count(*) AS n FROM schedules WHERE created_by = ? AND state IN ('active', 'paused')",
  );
  const due = db.prepare<[Millis, number], { id: string }>(
    `SELECT id FROM (SELECT id, priority, due_at FROM schedules WHERE due_at <= ? ORDER BY due_at LIMIT ?)
     ORDER BY priority DESC, due_at`,
  );
  const active = db.prepare<[string, number], { id: string }>(
    "SELECT id FROM schedules WHERE state = 'active' AND id > ? ORDER BY id LIMIT ?",
  );
  const put = db.prepare(
    `UPDATE schedules SET name = ?, spec = ?, priority = ?, state = ?, next_at = ?, next_key = ?, due_at = ?,
       revision = revision + 1, updated_at = ? WHERE id = ?`,
  );
  const putNext = db.prepare(
    'UPDATE schedules SET state = ?, paused = ?, next_at = ?, next_key = ?, due_at = ?, updated_at = ? WHERE id = ?',
  );
  const archive = db.prepare<[Millis, Millis, string]>(
    `UPDATE schedules SET state = 'archived', due_at = NULL, archived_at = ?, updated_at = ? WHERE id = ?`,
  );
  const ran = db.prepare<[number, Millis, string]>('UPDATE schedules SET failures = ?, last_run_at = ? WHERE id = ?');
  const unfail = db.prepare<[string]>('UPDATE schedules SET failures = 0 WHERE id = ?');

  const dueOf = (id: Id, draft: Pick<ScheduleDraft, 'jitterMs'>, state: Schedule['state'], next: Slot | null) =>
    state === 'active' && next ? dueAt({ id, jitterMs: draft.jitterMs }, next) : null;

  const schedules: Schedules = {
    create({ draft, trust, createdBy, sessionId, next }) {
      const id = deps.newId('sched');
      const at = deps.now();
      const state = next || draft.rule.kind === 'manual' ? 'active' : 'ended';
      const when = [next?.at ?? null, next?.key ?? null, dueOf(id, draft, state, next)];
      const who = [trust, createdBy, sessionId];
      insert.run(id, draft.name, JSON.stringify(draft), state, ...who, draft.priority, ...when, at, at);
      return schedules.need(id);
    },
    get(id) {
      const row = one.get(id);
      return row ? toSchedule(row) : null;
    },
    need(id) {
      const schedule = schedules.get(id);
      if (!schedule)
        throw new StewardError('not_found', `There is no schedule ${id}.`, {
          op: 'read a schedule',
          hint: 'List them with `steward schedules`.',
        });
      return schedule;
    },
    list(query) {
      const where: string[] = [];
      const values: (string | number)[] = [];
      if (query.state) {
        where.push('state = ?');
        values.push(query.state);
      } else if (!query.includeArchived) where.push("state <> 'archived'");
      if (query.after) {
        where.push('id < ?');
        values.push(query.after);
      }
      const filter = where.length > 0 ? `WHERE ${where.join(' AND ')}` : '';
      return db
        .prepare<(string | number)[], Row>(`SELECT * FROM schedules ${filter} ORDER BY id DESC LIMIT ?`)
        .all(...values, query.limit)
        .map(toSchedule);
    },
    countBy: (createdBy) => count.get(createdBy)!.n,
    due: (now, limit) => due.all(now, limit).map(({ id }) => id),
    active: (after, limit) => active.all(after, limit).map(({ id }) => id),
    advance(id, next) {
      const { state, paused, rule, jitterMs } = schedules.need(id);
      const then = state === 'active' && next === null && rule.kind !== 'manual' ? 'ended' : state;
      const when = [next?.at ?? null, next?.key ?? null, dueOf(id, { jitterMs }, then, next)];
      putNext.run(then, paused && JSON.stringify(paused), ...when, schedules.need(id).updatedAt, id);
      return schedules.need(id);
    },
    change(id, draft, next, state) {
      const when = [next?.at ?? null, next?.key ?? null, dueOf(id, draft, state, next)];
      put.run(draft.name, JSON.stringify(draft), draft.priority, state, ...when, deps.now(), id);
      return schedules.need(id);
    },
    pause(id, reason) {
      const { next } = schedules.need(id);
      putNext.run('paused', JSON.stringify(reason), next?.at ?? null, next?.key ?? null, null, deps.now(), id);
      return schedules.need(id);
    },
    resume(id, next) {
      const { rule, jitterMs } = schedules.need(id);
      const state = next || rule.kind === 'manual' ? 'active' : 'ended';
      const when = [next?.at ?? null, next?.key ?? null, dueOf(id, { jitterMs }, state, next)];
      putNext.run(state, null, ...when, deps.now(), id);
      unfail.run(id);
      return schedules.need(id);
    },
    archive(id) {
      archive.run(deps.now(), deps.now(), id);
      return schedules.need(id);
    },
    ran: (id, failures) => void ran.run(failures, deps.now(), id),
  };
  return schedules;
}
