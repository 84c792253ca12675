-- The record of the spine. Times are epoch milliseconds; JSON is TEXT. One writing module per table.

-- owner: core/agents.ts
CREATE TABLE agents (
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  spec TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (id, version)
) STRICT;

-- owner: core/agents.ts
CREATE TABLE agent_archive (id TEXT PRIMARY KEY, archived_at INTEGER NOT NULL) STRICT;

-- owner: core/agents.ts
CREATE TABLE environments (
  id TEXT PRIMARY KEY,
  spec TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  archived_at INTEGER
) STRICT;

-- owner: core/sessions.ts
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('chat', 'task')),
  title TEXT,
  status TEXT NOT NULL CHECK (status IN ('idle', 'running', 'rescheduling', 'terminated')),
  stop_reason TEXT,
  trust TEXT NOT NULL CHECK (trust IN ('owner', 'guest', 'group')),
  agent_id TEXT NOT NULL,
  agent_version INTEGER NOT NULL,
  environment_id TEXT NOT NULL,
  metadata TEXT NOT NULL,
  generation INTEGER NOT NULL DEFAULT 0,
  last_seq INTEGER NOT NULL DEFAULT 0,
  -- when a session that waits (model away, budget spent) is to be woken again
  wake_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  archived_at INTEGER,
  deleted_at INTEGER
) STRICT;
CREATE INDEX sessions_live ON sessions (status) WHERE status <> 'idle';
CREATE INDEX sessions_wake ON sessions (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX sessions_recent ON sessions (created_at);

-- which session answers at a place: 'main', 'group:telegram:-100…', 'guest:telegram:42'
-- owner: core/sessions.ts
CREATE TABLE bindings (key TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions (id)) STRICT;

-- seq: where the event was stored; position: where the harness read it (null = queued)
-- owner: core/events.ts
CREATE TABLE events (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  session_id TEXT NOT NULL REFERENCES sessions (id),
  seq INTEGER NOT NULL,
  position INTEGER,
  type TEXT NOT NULL,
  payload TEXT NOT NULL,
  -- hash of the blob that holds the payload when it is large; payload is then '{}'
  blob TEXT,
  created_at INTEGER NOT NULL,
  processed_at INTEGER,
  dedupe TEXT UNIQUE,
  run_id TEXT,
  origin TEXT,
  tainted INTEGER NOT NULL DEFAULT 0,
  redacted_at INTEGER,
  UNIQUE (session_id, seq)
) STRICT;
CREATE UNIQUE INDEX events_position ON events (session_id, position) WHERE position IS NOT NULL;
CREATE INDEX events_queued ON events (session_id, seq) WHERE position IS NULL;
CREATE INDEX events_blob ON events (blob) WHERE blob IS NOT NULL;
CREATE INDEX events_compactions ON events (session_id, position) WHERE type = 'agent.thread_context_compacted';
CREATE INDEX events_tainted ON events (session_id, position) WHERE tainted = 1;

CREATE TRIGGER events_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- The only changes: a queued input is read once, and a payload becomes a tombstone once.
CREATE TRIGGER events_append_only BEFORE UPDATE ON events
WHEN NOT (
  NEW.row IS OLD.row AND NEW.id IS OLD.id AND NEW.session_id IS OLD.session_id AND NEW.seq IS OLD.seq
  AND NEW.type IS OLD.type AND NEW.created_at IS OLD.created_at AND NEW.dedupe IS OLD.dedupe
  AND NEW.run_id IS OLD.run_id AND NEW.tainted IS OLD.tainted
  AND (
    (OLD.processed_at IS NULL AND OLD.position IS NULL AND NEW.processed_at IS NOT NULL AND NEW.position IS NOT NULL
      AND NEW.payload IS OLD.payload AND NEW.blob IS OLD.blob AND NEW.origin IS OLD.origin AND NEW.redacted_at IS OLD.redacted_at)
    OR
    (OLD.redacted_at IS NULL AND NEW.redacted_at IS NOT NULL AND NEW.payload = '{"redacted":true}' AND NEW.blob IS NULL
      AND NEW.origin IS NULL AND NEW.position IS OLD.position AND NEW.processed_at IS OLD.processed_at)
  )
)
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

-- owner: core/blobs.ts
CREATE TABLE blobs (hash TEXT PRIMARY KEY, size INTEGER NOT NULL, data BLOB NOT NULL, created_at INTEGER NOT NULL) STRICT;

-- one attempt of a harness at a session
-- owner: core/runs.ts
CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES sessions (id),
  harness TEXT NOT NULL,
  generation INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  -- the input it set out to answer; a run is counted before it works
  trigger_event TEXT,
  started_at INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  last_progress_at INTEGER NOT NULL,
  -- commits made: a run that died without any made no progress
  commits INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER,
  outcome TEXT,
  UNIQUE (session_id, generation)
) STRICT;
CREATE INDEX runs_open ON runs (session_id) WHERE ended_at IS NULL;
CREATE INDEX runs_worked ON runs (boot_id) WHERE commits > 0;
CREATE INDEX runs_trigger ON runs (trigger_event) WHERE trigger_event IS NOT NULL;

-- what was meant, begun and finished, so that a crash never repeats an unsafe call
-- owner: core/brain/calls.ts
CREATE TABLE tool_calls (
  id TEXT PRIMARY KEY REFERENCES events (id),
  session_id TEXT NOT NULL REFERENCES sessions (id),
  name TEXT NOT NULL,
  effect TEXT NOT NULL CHECK (effect IN ('pure', 'keyed', 'verifiable', 'unsafe')),
  args_hash TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('intended', 'started', 'done', 'in_doubt')),
  started_at INTEGER,
  ended_at INTEGER
) STRICT;
CREATE INDEX tool_calls_open ON tool_calls (session_id) WHERE state IN ('intended', 'started');
CREATE INDEX tool_calls_in_doubt ON tool_calls (ended_at) WHERE state = 'in_doubt';

-- owner: core/approvals.ts
CREATE TABLE approvals (
  id TEXT PRIMARY KEY REFERENCES events (id),
  session_id TEXT NOT NULL REFERENCES sessions (id),
  name TEXT NOT NULL,
  args_hash TEXT NOT NULL,
  title TEXT NOT NULL,
  detail TEXT NOT NULL,
  why TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  resolved_at INTEGER,
  verdict TEXT CHECK (verdict IN ('allow', 'deny', 'expired', 'cancelled')),
  resolved_by TEXT,
  reason TEXT,
  used_at INTEGER
) STRICT;
CREATE INDEX approvals_open ON approvals (expires_at) WHERE resolved_at IS NULL;

-- owner: core/outbox.ts
CREATE TABLE outbox (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  session_id TEXT NOT NULL REFERENCES sessions (id),
  event_id TEXT,
  dedupe TEXT NOT NULL UNIQUE,
  channel TEXT NOT NULL,
  chat TEXT NOT NULL,
  thread TEXT NOT NULL DEFAULT '',
  body TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'dead')),
  attempts INTEGER NOT NULL DEFAULT 0,
  -- a try whose end is unknown was repeated once, and the text says so
  repeated INTEGER NOT NULL DEFAULT 0,
  not_before INTEGER NOT NULL DEFAULT 0,
  external_id TEXT,
  error TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE INDEX outbox_open ON outbox (channel, chat, row) WHERE state IN ('pending', 'sending');
CREATE INDEX outbox_dead ON outbox (ended_at) WHERE state = 'dead';
CREATE INDEX outbox_event ON outbox (event_id);

-- a message placed in a chat while a run still writes; the next outbox row for that chat takes it over
-- owner: core/outbox.ts
CREATE TABLE drafts (
  session_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  chat TEXT NOT NULL,
  thread TEXT NOT NULL DEFAULT '',
  external_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (session_id, channel, chat, thread)
) STRICT;

-- owner: core/usage.ts
CREATE TABLE usage (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL UNIQUE,
  session_id TEXT NOT NULL,
  run_id TEXT,
  day TEXT NOT NULL,
  model TEXT NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_creation_input_tokens INTEGER NOT NULL,
  cache_read_input_tokens INTEGER NOT NULL,
  -- null = the price of this model is not known
  cost_microusd INTEGER,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX usage_day ON usage (day);
CREATE INDEX usage_session ON usage (session_id);

-- owner: core/people.ts
CREATE TABLE identities (
  channel TEXT NOT NULL,
  user_id TEXT NOT NULL,
  name TEXT,
  role TEXT NOT NULL CHECK (role IN ('owner', 'guest')),
  paired_at INTEGER NOT NULL,
  PRIMARY KEY (channel, user_id)
) STRICT;

-- owner: core/people.ts
CREATE TABLE pairings (
  channel TEXT NOT NULL,
  user_id TEXT NOT NULL,
  chat TEXT NOT NULL,
  name TEXT,
  code TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  -- refused: its code opens nothing, and until it runs out this person gets no further reply
  denied_at INTEGER,
  PRIMARY KEY (channel, user_id)
) STRICT;

-- places that spoke to us and that we may speak to
-- owner: core/people.ts
CREATE TABLE addresses (
  channel TEXT NOT NULL,
  chat TEXT NOT NULL,
  thread TEXT NOT NULL DEFAULT '',
  trust TEXT NOT NULL CHECK (trust IN ('owner', 'guest', 'group')),
  title TEXT,
  last_seen_at INTEGER NOT NULL,
  PRIMARY KEY (channel, chat, thread)
) STRICT;

-- durable positions in other systems' streams (Telegram's offset)
-- owner: core/cursors.ts
CREATE TABLE cursors (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;

-- lives of the process: how each began and ended
-- owner: core/boots.ts
CREATE TABLE boots (
  id TEXT PRIMARY KEY,
  started_at INTEGER NOT NULL,
  ready_at INTEGER,
  ended_at INTEGER,
  safe_mode TEXT
) STRICT;

-- owner: channels/web/auth.ts
CREATE TABLE login_codes (hash TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, used_at INTEGER) STRICT;

-- owner: channels/web/auth.ts
CREATE TABLE web_sessions (
  hash TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL
) STRICT;
