-- Hands and keys: vaults, sandboxes, checkpoints, and what went out of a sandbox. Times are epoch milliseconds; JSON is TEXT.

-- owner: core/vault.ts
CREATE TABLE vaults (
  id TEXT PRIMARY KEY,
  display_name TEXT NOT NULL,
  metadata TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  archived_at INTEGER
) STRICT;

-- auth: everything but the secret; sealed: the secret, encrypted; null once archived
-- owner: core/vault.ts
CREATE TABLE credentials (
  id TEXT PRIMARY KEY,
  vault_id TEXT NOT NULL REFERENCES vaults (id),
  display_name TEXT,
  auth TEXT NOT NULL,
  sealed BLOB,
  metadata TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  archived_at INTEGER
) STRICT;
CREATE INDEX credentials_of ON credentials (vault_id);

-- one row per sandbox that ever was; `lost` = it ended without being told to
-- owner: sandboxes/ledger.ts
CREATE TABLE sandboxes (
  id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES sessions (id),
  driver TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running', 'ended', 'lost')),
  reason TEXT,
  restored_from TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;
CREATE INDEX sandboxes_of ON sandboxes (session_id, created_at);
CREATE INDEX sandboxes_alive ON sandboxes (state) WHERE state = 'running';

-- position: how far the session's log had been carried out when the files were saved
-- owner: sandboxes/ledger.ts
CREATE TABLE checkpoints (
  id TEXT PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES sessions (id),
  sandbox_id TEXT NOT NULL,
  snapshot TEXT NOT NULL,
  position INTEGER NOT NULL,
  processes TEXT NOT NULL,
  label TEXT,
  created_at INTEGER NOT NULL,
  dropped_at INTEGER
) STRICT;
CREATE INDEX checkpoints_of ON checkpoints (session_id, created_at);

-- every request that a sandbox made to the broker, allowed or not
-- owner: sandboxes/audit.ts
CREATE TABLE egress (
  row INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  sandbox_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  call_id TEXT,
  method TEXT NOT NULL,
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  path TEXT,
  verdict TEXT NOT NULL CHECK (verdict IN ('allowed', 'denied', 'failed')),
  why TEXT NOT NULL,
  status INTEGER,
  bytes_out INTEGER NOT NULL,
  bytes_in INTEGER NOT NULL,
  took_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX egress_of ON egress (session_id, at);
