// Runs of schedules as rows, one per slot. The only writer of `schedule_runs`.
import type { Db } from '../core/db.ts';
import type { RunInput, RunState, ScheduleRun, Slot } from '../core/schedules.ts';
import type { Id, Millis } from '../core/types.ts';

export interface NewRun {
  scheduleId: Id;
  slot: Slot;
  trigger: ScheduleRun['trigger'];
  state: 'waiting' | 'skipped' | 'missed';
  reason: string | null;
  missedBefore?: number;
  input?: RunInput | null;
}

export type RunEnding = {
  state: 'succeeded' | 'failed' | 'skipped' | 'cancelled';
  reason: string | null;
  costUsd?: number | null;
  result?: string | null;
  /** The event whose words the result repeats. */
  resultEvent?: Id | null;
};

export interface Runs {
  /**
   * Takes the slot. Null when it is taken already. One that was only missed (the clock ran ahead for a while, and was set
   * back) can still be run, once. Call it in the transaction that moves the schedule on.
   */
  take(run: NewRun): ScheduleRun | null;
  get(id: Id): ScheduleRun | null;
  bySlot(scheduleId: Id, key: string): ScheduleRun | null;
  /** What the webhook brought that began it. */
  inputOf(id: Id): RunInput | null;
  /** It goes on to wait, and is looked at again at `lookAt`; null: when something else says so. */
  wait(id: Id, reason: string, lookAt: Millis | null): ScheduleRun;
  /** The attempt is counted with the event that begins the work, in one transaction. */
  start(id: Id, began: { sessionId: Id | null; eventId: Id | null }): ScheduleRun;
  /** It works again, or waits for a person: the event stays. */
  shown(id: Id, state: 'running' | 'waiting', reason: string | null): void;
  end(id: Id, ending: RunEnding): ScheduleRun;
  /** Runs that wait and are to be looked at now, the longest waiting first. */
  toLook(now: Millis, limit: number): ScheduleRun[];
  /** Runs of this schedule that wait for something else are looked at now. */
  hurry(scheduleId: Id): void;
  /** Not ended, in order of their slots. */
  openOf(scheduleId: Id): ScheduleRun[];
  /** Begun and not ended, whatever schedule they are of. */
  begun(): ScheduleRun[];
  begunIn(sessionId: Id): ScheduleRun[];
  /** Runs of slots in `from..to` (excluded), in order. */
  between(scheduleId: Id, from: Millis, to: Millis, limit: number): ScheduleRun[];
  list(query: {
    scheduleId?: Id;
    limit: number;
    before?: Id;
    since?: Millis;
    states?: readonly RunState[];
  }): ScheduleRun[];
  /** Slots right before this one that were missed for this reason; at most `limit`. */
  missedBefore(scheduleId: Id, before: Millis, reason: string, limit: number): number;
  /** Catch-ups that were begun after this instant and are at work. */
  catchingUp(since: Millis): number;
  /** What these events said is gone from here, too. */
  forget(eventIds: readonly Id[]): void;
}

interface Row {
  id: string;
  schedule_id: string;
  slot_at: number;
  slot_key: string;
  trigger: ScheduleRun['trigger'];
  state: RunState;
  reason: string | null;
  attempts: number;
  missed_before: number;
  input: string | null;
  session_id: string | null;
  event_id: string | null;
  started_at: number | null;
  ended_at: number | null;
  cost_usd: number | null;
  result: string | null;
  created_at: number;
}

const toRun = (row: Row): ScheduleRun => ({
  id: row.id,
  scheduleId: row.schedule_id,
  slot: { at: row.slot_at, key: row.slot_key },
  trigger: row.trigger,
  state: row.state,
  reason: row.reason,
  attempts: row.attempts,
  missedBefore: row.missed_before,
  sessionId: row.session_id,
  eventId: row.event_id,
  startedAt: row.started_at,
  endedAt: row.ended_at,
  costUsd: row.cost_usd,
  result: row.result,
  createdAt: row.created_at,
});

/** In the very words of the partial indexes. */
const OPEN = "state IN ('waiting', 'running')";

export function createRuns(db: Db, deps: { now(): Millis; newId(prefix: 'srun'): Id }): Runs {
  const insert = db.prepare<(string | number | null)[], Row>(
    `INSERT INTO schedule_runs (id, schedule_id, slot_at, slot_key, trigger, state, reason, missed_before, input, look_at, ended_at, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (schedule_id, slot_key) DO UPDATE SET trigger = excluded.trigger, state = excluded.state,
       reason = excluded.reason, missed_before = excluded.missed_before, look_at = excluded.look_at, ended_at = NULL,
       created_at = excluded.created_at
     WHERE schedule_runs.state = 'missed' AND excluded.state = 'waiting' RETURNING *`,
  );
  const one = db.prepare<[string], Row>('SELECT * FROM schedule_runs WHERE id = ?');
  const slot = db.prepare<[string, string], Row>('SELECT * FROM schedule_runs WHERE schedule_id = ? AND slot_key = ?');
  const wait = db.prepare<[string, Millis | null, string], Row>(
    "UPDATE schedule_runs SET state = 'waiting', reason = ?, look_at = ? WHERE id = ? RETURNING *",
  );
  const start = db.prepare<[string | null, string | null, Millis, string], Row>(
    `UPDATE schedule_runs SET state = 'running', reason = NULL, look_at = NULL, attempts = attempts + 1,
       session_id = ?, event_id = ?, started_at = ? WHERE id = ? RETURNING *`,
  );
  const shown = db.prepare<[string, string | null, string]>(
    `UPDATE schedule_runs SET state = ?, reason = ? WHERE id = ? AND ${OPEN}`,
  );
  const end = db.prepare<(string | number | null)[], Row>(
    `UPDATE schedule_runs SET state = ?, reason = ?, cost_usd = ?, result = ?, result_event = ?, input = NULL,
       look_at = NULL, ended_at = ? WHERE id = ? RETURNING *`,
  );
  const toLook = db.prepare<[Millis, number], Row>(
    'SELECT * FROM schedule_runs WHERE look_at <= ? ORDER BY look_at, id LIMIT ?',
  );
  const hurry = db.prepare<[Millis, string]>(
    `UPDATE schedule_runs SET look_at = ? WHERE schedule_id = ? AND ${OPEN} AND state = 'waiting' AND session_id IS NULL`,
  );
  const open = db.prepare<[string], Row>(
    `SELECT * FROM schedule_runs WHERE schedule_id = ? AND ${OPEN} ORDER BY slot_at, id`,
  );
  const begun = db.prepare<[], Row>(`SELECT * FROM schedule_runs WHERE ${OPEN} AND attempts > 0 ORDER BY id`);
  const inSession = db.prepare<[string], Row>(
    `SELECT * FROM schedule_runs WHERE session_id = ? AND ${OPEN} ORDER BY id`,
  );
  const between = db.prepare<[string, Millis, Millis, number], Row>(
    'SELECT * FROM schedule_runs WHERE schedule_id = ? AND slot_at >= ? AND slot_at < ? ORDER BY slot_at, id LIMIT ?',
  );
  const previous = db.prepare<[string, Millis, number], { state: RunState; reason: string | null }>(
    `SELECT state, reason FROM schedule_runs WHERE schedule_id = ? AND slot_at < ? AND trigger IN ('schedule', 'catch_up')
     ORDER BY slot_at DESC LIMIT ?`,
  );
  const catchingUp = db.prepare<[Millis], { n: number }>(
    "SELECT count(*) AS n FROM schedule_runs WHERE state = 'running' AND trigger = 'catch_up' AND started_at > ?",
  );
  const forgetEvent = db.prepare<[string]>('UPDATE schedule_runs SET result = NULL, input = NULL WHERE event_id = ?');
  const forgetResult = db.prepare<[string]>('UPDATE schedule_runs SET result = NULL WHERE result_event = ?');

  const runs: Runs = {
    take({ scheduleId, slot: { at, key }, trigger, state, reason, missedBefore, input }) {
      const now = deps.now();
      const values = [
        scheduleId,
        at,
        key,
        trigger,
        state,
        reason,
        missedBefore ?? 0,
        input ? JSON.stringify(input) : null,
      ];
      const waits = state === 'waiting';
      const row = insert.get(deps.newId('srun'), ...values, waits ? now : null, waits ? null : now, now);
      return row ? toRun(row) : null;
    },
    get(id) {
      const row = one.get(id);
      return row ? toRun(row) : null;
    },
    bySlot(scheduleId, key) {
      const row = slot.get(scheduleId, key);
      return row ? toRun(row) : null;
    },
    inputOf(id) {
      const input = one.get(id)?.input;
      return input ? (JSON.parse(input) as RunInput) : null;
    },
    wait: (id, reason, lookAt) => toRun(wait.get(reason, lookAt, id)!),
    start: (id, { sessionId, eventId }) => toRun(start.get(sessionId, eventId, deps.now(), id)!),
    shown: (id, state, reason) => void shown.run(state, reason, id),
    end(id, { state, reason, costUsd, result, resultEvent }) {
      const said = [costUsd ?? null, result ?? null, resultEvent ?? null];
      return toRun(end.get(state, reason, ...said, deps.now(), id)!);
    },
    toLook: (now, limit) => toLook.all(now, limit).map(toRun),
    hurry: (scheduleId) => void hurry.run(deps.now(), scheduleId),
    openOf: (scheduleId) => open.all(scheduleId).map(toRun),
    begun: () => begun.all().map(toRun),
    begunIn: (sessionId) => inSession.all(sessionId).map(toRun),
    between: (scheduleId, from, to, limit) => between.all(scheduleId, from, to, limit).map(toRun),
    list(query) {
      const where: string[] = [];
      const values: (string | number)[] = [];
      const add = (clause: string, value: string | number | undefined) => {
        if (value === undefined) return;
        where.push(clause);
        values.push(value);
      };
      add('schedule_id = ?', query.scheduleId);
      add('id < ?', query.before);
      add('created_at >= ?', query.since);
      if (query.states?.length) {
        where.push(`state IN (${query.states.map(() => '?').join(', ')})`);
        values.push(...query.states);
      }
      const filter = where.length > 0 ? `WHERE ${where.join(' AND ')}` : '';
      return db
        .prepare<(string | number)[], Row>(`SELECT * FROM schedule_runs ${filter} ORDER BY id DESC LIMIT ?`)
        .all(...values, query.limit)
        .map(toRun);
    },
    missedBefore(scheduleId, before, why, limit) {
      const rows = previous.all(scheduleId, before, limit);
      const other = rows.findIndex(({ state, reason }) => state !== 'missed' || reason !== why);
      return other < 0 ? rows.length : other;
    },
    catchingUp: (since) => catchingUp.get(since)!.n,
    forget(eventIds) {
      for (const id of eventIds) {
        forgetEvent.run(id);
        forgetResult.run(id);
      }
    },
  };
  return runs;
}
