-- Code tasks: one row each, beside the log of its session. Times are epoch milliseconds; JSON is TEXT.

-- spec: the whole draft; what is searched or sorted by, and what changes, stands beside it
-- owner: sandboxes/tasks/rows.ts
CREATE TABLE tasks (
  id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL UNIQUE REFERENCES sessions (id),
  -- the same key is the same task
  idempotency_key TEXT UNIQUE,
  spec TEXT NOT NULL,
  -- the same for every way to write the same address
  repository_key TEXT NOT NULL,
  branch TEXT NOT NULL,
  title TEXT NOT NULL,
  trust TEXT NOT NULL CHECK (trust IN ('owner', 'guest', 'group')),
  created_by TEXT NOT NULL,
  target TEXT,
  state TEXT NOT NULL CHECK (state IN ('queued', 'provisioning', 'setup', 'working', 'verifying', 'awaiting_approval',
    'delivering', 'done', 'handed_off', 'cancelled', 'failed')),
  reason TEXT,
  paused TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  rounds INTEGER NOT NULL DEFAULT 0,
  -- messages given to the agent, and the words of the next one
  messages INTEGER NOT NULL DEFAULT 0,
  words TEXT,
  -- setup has been run in the workspace there is
  prepared INTEGER NOT NULL DEFAULT 0,
  base_commit TEXT,
  head TEXT,
  -- the call that waits for approval, or was approved
  call_id TEXT,
  -- time at work
  active_ms INTEGER NOT NULL DEFAULT 0,
  result TEXT,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  since INTEGER NOT NULL,
  last_progress_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE INDEX tasks_open ON tasks (id) WHERE ended_at IS NULL OR result IS NULL;
