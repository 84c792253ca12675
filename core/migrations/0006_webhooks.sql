-- Webhooks: who may start a schedule from outside, what they sent, and who is told how runs ended.

-- sealed: the secret, under the key of the vault; accepted, ignored: deliveries with a right signature, ever
-- owner: core/hooks.ts
CREATE TABLE hooks (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  scheme TEXT NOT NULL CHECK (scheme IN ('steward', 'github')),
  schedule_id TEXT NOT NULL,
  filters TEXT NOT NULL,
  sealed BLOB NOT NULL,
  enabled INTEGER NOT NULL DEFAULT 1,
  accepted INTEGER NOT NULL DEFAULT 0,
  ignored INTEGER NOT NULL DEFAULT 0,
  last_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;

-- what came in, so that the same again gets the same answer; proof: the hash of its signature, which a replay under
-- another delivery id cannot change; run_id null: nothing was started, and `ignored` says why
-- owner: core/hooks.ts
CREATE TABLE hook_deliveries (
  hook_id TEXT NOT NULL REFERENCES hooks (id) ON DELETE CASCADE,
  delivery TEXT NOT NULL,
  proof TEXT NOT NULL,
  run_id TEXT,
  ignored TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (hook_id, delivery),
  UNIQUE (hook_id, proof)
) STRICT;
CREATE INDEX hook_deliveries_at ON hook_deliveries (at);

-- note: why it is off, or what went wrong last; delivered, failed: rows of the outbox that ended, and tries that did not work
-- owner: core/webhooks.ts
CREATE TABLE webhook_targets (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  url TEXT NOT NULL,
  events TEXT NOT NULL,
  sealed BLOB NOT NULL,
  allow_private INTEGER NOT NULL DEFAULT 0,
  enabled INTEGER NOT NULL DEFAULT 1,
  note TEXT,
  delivered INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  last_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
