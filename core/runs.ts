// Runs: one attempt of a harness at a session, with a lease and a generation. The attachment, never the truth.
import type { Db } from './db.ts';
import type { Id, Millis } from './types.ts';

/** How long a run may go without renewing before it counts as lost. */
export const LEASE_MS = 90_000;

export type RunOutcome = 'idle' | 'waiting' | 'interrupted' | 'failed' | 'lost' | 'shutdown';

export interface Run {
  id: Id;
  sessionId: Id;
  harness: string;
  generation: number;
  triggerEvent: Id | null;
  startedAt: Millis;
  lastProgressAt: Millis;
  endedAt: Millis | null;
  outcome: RunOutcome | null;
  commits: number;
}

export interface Runs {
  /** Takes the lease: raises the generation and counts the attempt before any work is done. */
  claim(sessionId: Id, harness: string, triggerEvent: Id | null): Run;
  /** A commit was made: renews the lease and notes progress. */
  progress(id: Id): void;
  /** Keeps the leases of the runs of this life. */
  renewOpen(): void;
  end(id: Id, outcome: RunOutcome): void;
  /** Ends what other lives of the process left open; returns those runs. */
  sweep(): Run[];
  /** How many times in a row the process died under this input without a single commit. */
  crashesOn(eventId: Id): number;
  of(sessionId: Id, limit: number): Run[];
  get(id: Id): Run | null;
}

interface Row {
  id: string;
  session_id: string;
  harness: string;
  generation: number;
  trigger_event: string | null;
  started_at: number;
  last_progress_at: number;
  commits: number;
  ended_at: number | null;
  outcome: RunOutcome | null;
}

const toRun = (row: Row): Run => ({
  id: row.id,
  sessionId: row.session_id,
  harness: row.harness,
  generation: row.generation,
  triggerEvent: row.trigger_event,
  startedAt: row.started_at,
  lastProgressAt: row.last_progress_at,
  endedAt: row.ended_at,
  outcome: row.outcome,
  commits: row.commits,
});

export function createRuns(
  db: Db,
  deps: { now(): Millis; newId(prefix: 'run'): Id; bootId: Id; nextGeneration(sessionId: Id): number },
): Runs {
  const insert = db.prepare<[string, string, string, number, string, string | null, Millis, Millis, Millis], Row>(
    `INSERT INTO runs (id, session_id, harness, generation, boot_id, trigger_event, started_at, lease_until, last_progress_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *`,
  );
  const progress = db.prepare<[Millis, Millis, string]>(
    'UPDATE runs SET commits = commits + 1, last_progress_at = ?, lease_until = ? WHERE id = ?',
  );
  const renew = db.prepare<[Millis, string]>('UPDATE runs SET lease_until = ? WHERE boot_id = ? AND ended_at IS NULL');
  const end = db.prepare<[Millis, string, string]>(
    'UPDATE runs SET ended_at = ?, outcome = ? WHERE id = ? AND ended_at IS NULL',
  );
  const left = db.prepare<[Millis, string], Row>(
    "UPDATE runs SET ended_at = ?, outcome = 'lost' WHERE ended_at IS NULL AND boot_id <> ? RETURNING *",
  );
  const onTrigger = db.prepare<[string], { outcome: RunOutcome | null; commits: number; boot_id: string }>(
    'SELECT outcome, commits, boot_id FROM runs WHERE trigger_event = ? AND ended_at IS NOT NULL ORDER BY generation DESC',
  );
  const recent = db.prepare<[string, number], Row>(
    'SELECT * FROM runs WHERE session_id = ? ORDER BY generation DESC LIMIT ?',
  );
  const one = db.prepare<[string], Row>('SELECT * FROM runs WHERE id = ?');
  return {
    claim: (sessionId, harness, triggerEvent) =>
      db.tx(() => {
        const at = deps.now();
        const generation = deps.nextGeneration(sessionId);
        const values = [generation, deps.bootId, triggerEvent, at, at + LEASE_MS, at] as const;
        return toRun(insert.get(deps.newId('run'), sessionId, harness, ...values)!);
      }),
    progress: (id) => void progress.run(deps.now(), deps.now() + LEASE_MS, id),
    renewOpen: () => void renew.run(deps.now() + LEASE_MS, deps.bootId),
    end: (id, outcome) => void end.run(deps.now(), outcome, id),
    sweep: () => left.all(deps.now(), deps.bootId).map(toRun),
    crashesOn(eventId) {
      // A process dies once, however many runs it left open (a full disk keeps them from ending).
      const lives = new Set<string>();
      for (const run of onTrigger.all(eventId)) {
        if (run.outcome !== 'lost' || run.commits > 0) break;
        lives.add(run.boot_id);
      }
      return lives.size;
    },
    of: (sessionId, limit) => recent.all(sessionId, limit).map(toRun),
    get: (id) => {
      const row = one.get(id);
      return row ? toRun(row) : null;
    },
  };
}
