// The rows of consolidation: which job is at work, failed or done, and up to where each session's log has been read.
import type { Db } from '../../core/db.ts';
import { StewardError } from '../../core/errors.ts';
import type { Id, JsonObject, Millis } from '../../core/types.ts';

export type JobKind = 'idle' | 'nightly' | 'weekly';

export interface Job {
  id: Id;
  kind: JobKind;
  key: string;
  /** `running` in a row of an earlier life: it ended in the middle. */
  state: 'running' | 'done' | 'failed';
  /** Numbers and ids, never words: what is forgotten must not live on here. */
  progress: JsonObject;
  attempts: number;
  error: string | null;
  startedAt: Millis;
  endedAt: Millis | null;
}

export interface Jobs {
  get(kind: JobKind, key: string): Job | null;
  /** Begins it, or takes it up again after a failure or a crash. Null: it is done. */
  begin(kind: JobKind, key: string): Job | null;
  /** Where it stands; belongs into the transaction of what it tells of. */
  note(id: Id, progress: JsonObject): void;
  finish(id: Id, progress: JsonObject): void;
  /** `why` must hold no words of a conversation. */
  fail(id: Id, why: string): void;
  /** This try does not count: it was stopped, or there was nobody to ask. */
  cancel(id: Id): void;
  /** The newest key that is done. */
  lastDone(kind: JobKind): string | null;
  recent(limit: number): Job[];
  /** Ended before then: nobody asks any more. Nightly and weekly rows of that time stay as the proof that they were run. */
  prune(before: Millis): void;
  /** The position up to which a session's log has been consolidated; 0: not at all. */
  mark(sessionId: Id): number;
  /** Throws `conflict` unless the mark stands at `from`: a range is consolidated once. */
  move(sessionId: Id, from: number, to: number): void;
  /** What was said before there was memory stays with search: nobody asked to have it sent to a model. */
  markAll(): void;
}

interface Row {
  id: string;
  kind: JobKind;
  key: string;
  state: Job['state'];
  progress: string;
  attempts: number;
  error: string | null;
  started_at: number;
  ended_at: number | null;
}

const toJob = (row: Row): Job => ({
  id: row.id,
  kind: row.kind,
  key: row.key,
  state: row.state,
  progress: JSON.parse(row.progress) as JsonObject,
  attempts: row.attempts,
  error: row.error,
  startedAt: row.started_at,
  endedAt: row.ended_at,
});

export function createJobs(db: Db, deps: { now(): Millis; newId(prefix: 'mjob'): Id }): Jobs {
  const one = db.prepare<[string, string], Row>('SELECT * FROM memory_jobs WHERE kind = ? AND key = ?');
  const insert = db.prepare<[string, string, string, Millis]>(
    `INSERT INTO memory_jobs (id, kind, key, state, progress, attempts, started_at) VALUES (?, ?, ?, 'running', '{}', 1, ?)`,
  );
  const overtaken = db.prepare<[Millis, string, string]>(
    `UPDATE memory_jobs SET state = 'failed', error = 'The next one came.', ended_at = ? WHERE kind = ? AND state = 'running' AND key < ?`,
  );
  const again = db.prepare<[Millis, string]>(
    `UPDATE memory_jobs SET state = 'running', attempts = attempts + 1, started_at = ?, ended_at = NULL WHERE id = ?`,
  );
  const putProgress = db.prepare<[string, string]>('UPDATE memory_jobs SET progress = ? WHERE id = ?');
  const end = db.prepare<[string, string | null, Millis, string]>(
    'UPDATE memory_jobs SET state = ?, error = ?, ended_at = ? WHERE id = ?',
  );
  const uncount = db.prepare<[Millis, string]>(
    `UPDATE memory_jobs SET state = 'failed', attempts = attempts - 1, ended_at = ? WHERE id = ? AND attempts > 1`,
  );
  const drop = db.prepare<[string]>('DELETE FROM memory_jobs WHERE id = ? AND attempts <= 1');
  const newest = db.prepare<[string], { key: string | null }>(
    `SELECT max(key) AS key FROM memory_jobs WHERE kind = ? AND state = 'done'`,
  );
  const latest = db.prepare<[number], Row>('SELECT * FROM memory_jobs ORDER BY started_at DESC, id DESC LIMIT ?');
  const old = db.prepare<[Millis]>(`DELETE FROM memory_jobs WHERE kind = 'idle' AND state = 'done' AND ended_at < ?`);
  const getMark = db.prepare<[string], { upto: number }>(
    'SELECT consolidated_upto AS upto FROM memory_marks WHERE session_id = ?',
  );
  const putMark = db.prepare<[string, number]>(
    `INSERT INTO memory_marks (session_id, consolidated_upto) VALUES (?, ?)
     ON CONFLICT (session_id) DO UPDATE SET consolidated_upto = excluded.consolidated_upto`,
  );

  const everything = db.prepare(
    `INSERT INTO memory_marks (session_id, consolidated_upto) SELECT id, last_seq FROM sessions WHERE last_seq > 0
     ON CONFLICT (session_id) DO NOTHING`,
  );

  const get = (kind: JobKind, key: string): Job | null => {
    const row = one.get(kind, key);
    return row ? toJob(row) : null;
  };

  const jobs: Jobs = {
    get,
    begin: (kind, key) =>
      db.tx(() => {
        const known = get(kind, key);
        if (known?.state === 'done') return null;
        if (known) again.run(deps.now(), known.id);
        else {
          // A night or week that was never finished is not taken up once the next one is here.
          if (kind !== 'idle') overtaken.run(deps.now(), kind, key);
          insert.run(deps.newId('mjob'), kind, key, deps.now());
        }
        return get(kind, key)!;
      }),
    note: (id, progress) => void putProgress.run(JSON.stringify(progress), id),
    finish: (id, progress) =>
      db.tx(() => {
        putProgress.run(JSON.stringify(progress), id);
        end.run('done', null, deps.now(), id);
      }),
    fail: (id, why) => void db.tx(() => end.run('failed', why.slice(0, 500), deps.now(), id)),
    cancel: (id) =>
      db.tx(() => {
        if (uncount.run(deps.now(), id).changes === 0) drop.run(id);
      }),
    lastDone: (kind) => newest.get(kind)?.key ?? null,
    recent: (limit) => latest.all(limit).map(toJob),
    prune: (before) => void db.tx(() => old.run(before)),
    mark: (sessionId) => getMark.get(sessionId)?.upto ?? 0,
    move: (sessionId, from, to) =>
      db.tx(() => {
        const at = jobs.mark(sessionId);
        if (at !== from || to <= from)
          throw new StewardError('conflict', `The log of ${sessionId} is consolidated up to ${at}, not ${from}.`, {
            op: 'consolidate memory',
            retryable: true,
          });
        putMark.run(sessionId, to);
      }),
    markAll: () => void db.tx(() => everything.run()),
  };
  return jobs;
}
