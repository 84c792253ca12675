-- Time: rules, and one row for each slot that was due. Times are epoch milliseconds; JSON is TEXT.

-- spec: the whole draft; what is searched or sorted by stands beside it
-- owner: scheduler/schedules.ts
CREATE TABLE schedules (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  spec TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'ended', 'archived')),
  paused TEXT,
  trust TEXT NOT NULL CHECK (trust IN ('owner', 'guest', 'group')),
  created_by TEXT NOT NULL,
  session_id TEXT,
  revision INTEGER NOT NULL DEFAULT 1,
  priority INTEGER NOT NULL,
  -- the first slot that has no row yet
  next_at INTEGER,
  next_key TEXT,
  -- when that slot is acted on (jitter included); null while it is not to be
  due_at INTEGER,
  failures INTEGER NOT NULL DEFAULT 0,
  last_run_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  archived_at INTEGER
) STRICT;
CREATE INDEX schedules_due ON schedules (due_at, priority, id) WHERE due_at IS NOT NULL;
CREATE INDEX schedules_state ON schedules (state, id);
CREATE INDEX schedules_by ON schedules (created_by) WHERE state IN ('active', 'paused');

-- A slot is used once, for ever: whatever clocks and processes do, a second row for it cannot be.
-- owner: scheduler/runs.ts
CREATE TABLE schedule_runs (
  id TEXT PRIMARY KEY,
  schedule_id TEXT NOT NULL REFERENCES schedules (id),
  slot_at INTEGER NOT NULL,
  slot_key TEXT NOT NULL,
  trigger TEXT NOT NULL CHECK (trigger IN ('schedule', 'catch_up', 'manual', 'webhook')),
  state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'succeeded', 'failed', 'skipped', 'missed', 'cancelled')),
  reason TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  missed_before INTEGER NOT NULL DEFAULT 0,
  -- what a webhook brought
  input TEXT,
  session_id TEXT,
  event_id TEXT,
  -- when one that waits is looked at again; null: when an earlier run ends, or its conversation goes on
  look_at INTEGER,
  started_at INTEGER,
  ended_at INTEGER,
  cost_usd REAL,
  result TEXT,
  -- whose words the result repeats
  result_event TEXT,
  created_at INTEGER NOT NULL,
  UNIQUE (schedule_id, slot_key)
) STRICT;
CREATE INDEX schedule_runs_of ON schedule_runs (schedule_id, id);
CREATE INDEX schedule_runs_slots ON schedule_runs (schedule_id, slot_at);
CREATE INDEX schedule_runs_open ON schedule_runs (schedule_id) WHERE state IN ('waiting', 'running');
CREATE INDEX schedule_runs_catching_up ON schedule_runs (started_at) WHERE state = 'running' AND trigger = 'catch_up';
CREATE INDEX schedule_runs_waiting ON schedule_runs (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX schedule_runs_session ON schedule_runs (session_id) WHERE state IN ('waiting', 'running');
CREATE INDEX schedule_runs_event ON schedule_runs (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX schedule_runs_result ON schedule_runs (result_event) WHERE result_event IS NOT NULL;
