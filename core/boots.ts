// Lives of the process, and the crash loop they may form: five in ten minutes without any work done → safe mode.
import type { Db } from './db.ts';
import type { Id, Millis } from './types.ts';

export const LOOP_WINDOW_MS = 10 * 60_000;
/** Safe mode ends by itself after this long without trouble. */
export const SAFE_MODE_MS = 30 * 60_000;

export interface Life {
  startedAt: Millis;
  endedAt: Millis | null;
  /** A run of this life committed something. */
  worked: boolean;
  safeMode: string | null;
}

/**
 * Pure. `lives` are earlier lives, newest first. A life that ended by itself or got work done breaks the chain:
 * a process that gets work done between kills is no crash loop.
 */
export function judgeLives(lives: readonly Life[], now: Millis, limit: number): { crashes: number; safeMode: boolean } {
  let crashes = 0;
  for (const life of lives) {
    if (life.endedAt !== null || life.worked || now - life.startedAt > LOOP_WINDOW_MS) break;
    crashes += 1;
  }
  const previous = lives[0];
  const stays =
    previous !== undefined &&
    previous.safeMode !== null &&
    previous.safeMode !== 'left' &&
    now - previous.startedAt < SAFE_MODE_MS;
  return { crashes, safeMode: limit > 0 && (crashes >= limit || stays) };
}

export interface Boots {
  readonly id: Id;
  readonly startedAt: Millis;
  safeMode(): { since: Millis; why: string } | null;
  leaveSafeMode(): void;
  ready(): void;
  end(): void;
}

export function createBoots(db: Db, deps: { now(): Millis; newId(prefix: 'boot'): Id; safeModeAfter: number }): Boots {
  const id = deps.newId('boot');
  const startedAt = deps.now();
  const lives = db
    .prepare<[], { started_at: number; ended_at: number | null; worked: number; safe_mode: string | null }>(
      `SELECT started_at, ended_at, safe_mode,
         EXISTS (SELECT 1 FROM runs WHERE runs.boot_id = boots.id AND runs.commits > 0) AS worked
       FROM boots ORDER BY rowid DESC LIMIT 50`,
    )
    .all()
    .map((row) => ({
      startedAt: row.started_at,
      endedAt: row.ended_at,
      worked: row.worked === 1,
      safeMode: row.safe_mode,
    }));
  const verdict = judgeLives(lives, startedAt, deps.safeModeAfter);
  let why = verdict.safeMode
    ? `Steward stopped unexpectedly ${verdict.crashes || 'several'} times within ten minutes.`
    : null;
  db.prepare<[string, Millis, string | null]>('INSERT INTO boots (id, started_at, safe_mode) VALUES (?, ?, ?)').run(
    id,
    startedAt,
    why,
  );
  const update = (column: 'ready_at' | 'ended_at') =>
    db.prepare<[Millis, string]>(`UPDATE boots SET ${column} = ? WHERE id = ?`);
  const ready = update('ready_at');
  const end = update('ended_at');
  const left = db.prepare<[string]>("UPDATE boots SET safe_mode = 'left' WHERE id = ?");
  return {
    id,
    startedAt,
    safeMode: () => (why ? { since: startedAt, why } : null),
    leaveSafeMode() {
      why = null;
      left.run(id);
    },
    ready: () => void ready.run(deps.now(), id),
    end: () => void end.run(deps.now(), id),
  };
}
