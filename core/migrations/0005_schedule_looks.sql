-- What the conditions of schedules saw last, so that only what is new starts a run. Times are epoch milliseconds.

-- condition: digest of what is looked at, so that a changed condition begins anew
-- seen: what makes the next look differ: a digest, or the ids that were found (JSON)
-- failures: looks in a row that failed
-- owner: scheduler/conditions.ts
CREATE TABLE schedule_looks (
  schedule_id TEXT NOT NULL,
  condition TEXT NOT NULL,
  seen TEXT,
  failures INTEGER NOT NULL,
  why TEXT,
  looked_at INTEGER NOT NULL,
  PRIMARY KEY (schedule_id, condition)
) STRICT, WITHOUT ROWID;
