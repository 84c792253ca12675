-- Memory: items with their sources, the changes that made them, questions for the owner, and the search index. Times are epoch milliseconds; JSON is TEXT.

-- conversations that leave nothing: found again to be deleted when they end
CREATE INDEX sessions_incognito ON sessions (updated_at)
  WHERE json_extract(metadata, '$.incognito') = 'true' AND deleted_at IS NULL;

-- what memory itself laid into the log, found again when what it quotes is forgotten
CREATE INDEX events_recalled ON events (row) WHERE type = 'memory.recalled';
CREATE INDEX tool_calls_memory ON tool_calls (id) WHERE name >= 'memory' AND name < 'memorz';

-- one statement; a row is never edited: it is retired, superseded by another, or erased by forgetting
-- scope: 'owner', or the id of the guest's or group's session it belongs to
-- subject and slot are normalised (lower case, one space); one live value per scope, subject and slot
-- owner: memory/items.ts
CREATE TABLE memory_items (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  scope TEXT NOT NULL,
  tier TEXT NOT NULL CHECK (tier IN ('identity', 'state', 'reference', 'session', 'archive')),
  kind TEXT NOT NULL CHECK (kind IN ('fact', 'preference', 'decision', 'person', 'procedure', 'loop', 'focus', 'summary', 'file')),
  subject TEXT,
  slot TEXT,
  text TEXT NOT NULL,
  -- whose words it rests on
  authority TEXT NOT NULL CHECK (authority IN ('owner', 'agent', 'outside')),
  confidence REAL NOT NULL,
  -- in the world
  valid_from INTEGER NOT NULL,
  valid_to INTEGER,
  -- in the record
  recorded_at INTEGER NOT NULL,
  retired_at INTEGER,
  retire_reason TEXT,
  superseded_by TEXT REFERENCES memory_items (id) ON DELETE SET NULL,
  expires_at INTEGER,
  -- the session a summary is of; the path of a file
  about TEXT,
  change_id TEXT NOT NULL,
  -- digest of the normalised text: items with the same one say the same
  text_key TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX memory_items_slot ON memory_items (scope, subject, slot)
  WHERE retired_at IS NULL AND valid_to IS NULL AND subject IS NOT NULL AND slot IS NOT NULL AND tier <> 'archive';
CREATE UNIQUE INDEX memory_items_about ON memory_items (scope, kind, about)
  WHERE retired_at IS NULL AND valid_to IS NULL AND about IS NOT NULL AND tier <> 'archive';
CREATE INDEX memory_items_values ON memory_items (scope, subject, slot) WHERE subject IS NOT NULL AND slot IS NOT NULL;
CREATE INDEX memory_items_text ON memory_items (scope, text_key);
CREATE INDEX memory_items_live ON memory_items (scope, tier, row) WHERE retired_at IS NULL;
CREATE INDEX memory_items_before ON memory_items (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX memory_items_expiring ON memory_items (expires_at) WHERE expires_at IS NOT NULL AND retired_at IS NULL;
CREATE INDEX memory_items_change ON memory_items (change_id);

-- superseded: it held until valid_to, which stays true (retired_at is null); retired: the record no longer says it at all

-- What was said stays as it was said; only how long it holds may be closed, or shortened (and opened again by nobody).
CREATE TRIGGER memory_items_immutable BEFORE UPDATE ON memory_items
WHEN NOT (
  NEW.row IS OLD.row AND NEW.id IS OLD.id AND NEW.scope IS OLD.scope AND NEW.tier IS OLD.tier AND NEW.kind IS OLD.kind
  AND NEW.subject IS OLD.subject AND NEW.slot IS OLD.slot AND NEW.text IS OLD.text AND NEW.authority IS OLD.authority
  AND NEW.confidence IS OLD.confidence AND NEW.valid_from IS OLD.valid_from AND NEW.recorded_at IS OLD.recorded_at
  AND NEW.expires_at IS OLD.expires_at AND NEW.about IS OLD.about AND NEW.change_id IS OLD.change_id
  AND NEW.text_key IS OLD.text_key
  AND (OLD.valid_to IS NULL OR (NEW.valid_to IS NOT NULL AND NEW.valid_to <= OLD.valid_to))
  AND (OLD.retired_at IS NULL OR NEW.retired_at IS OLD.retired_at)
  AND (OLD.superseded_by IS NULL OR NEW.superseded_by IS OLD.superseded_by OR NEW.superseded_by IS NULL)
)
BEGIN SELECT RAISE(ABORT, 'memory items are immutable'); END;

-- where an item comes from: the words of an event
-- owner: memory/items.ts
CREATE TABLE memory_sources (
  item_id TEXT NOT NULL REFERENCES memory_items (id) ON DELETE CASCADE,
  event_id TEXT NOT NULL REFERENCES events (id),
  quote TEXT NOT NULL,
  PRIMARY KEY (item_id, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memory_sources_of ON memory_sources (event_id);

-- an item made from others (a merge, a summary)
-- owner: memory/items.ts
CREATE TABLE memory_parents (
  item_id TEXT NOT NULL REFERENCES memory_items (id) ON DELETE CASCADE,
  parent_id TEXT NOT NULL REFERENCES memory_items (id) ON DELETE CASCADE,
  PRIMARY KEY (item_id, parent_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memory_parents_of ON memory_parents (parent_id);

-- owner: memory/items.ts
CREATE TABLE memory_pins (
  item_id TEXT PRIMARY KEY REFERENCES memory_items (id) ON DELETE CASCADE,
  pinned_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- one act of writing: a tool call, an edit, a consolidation run, an import, an undo; what it did is in `ops` (ids only, no words)
-- owner: memory/changes.ts
CREATE TABLE memory_changes (
  id TEXT PRIMARY KEY,
  scope TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('save', 'edit', 'answer', 'forget', 'idle', 'nightly', 'weekly', 'import', 'undo', 'file')),
  -- the event that tells of it, in the session it belongs to
  event_id TEXT NOT NULL REFERENCES events (id),
  ops TEXT NOT NULL,
  at INTEGER NOT NULL,
  undone_by TEXT
) STRICT;
CREATE INDEX memory_changes_recent ON memory_changes (scope, at);

-- what only the owner may decide: a contradiction, a promotion of words from outside, a merge
-- owner: memory/questions.ts
CREATE TABLE memory_questions (
  id TEXT PRIMARY KEY,
  scope TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('contradiction', 'promotion', 'merge')),
  -- the item that would be written, with its sources
  proposal TEXT NOT NULL,
  -- the live item it is about, if any
  item_id TEXT REFERENCES memory_items (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  resolved_at INTEGER,
  verdict TEXT CHECK (verdict IN ('accepted', 'rejected', 'moot'))
) STRICT;
CREATE INDEX memory_questions_open ON memory_questions (scope, created_at) WHERE resolved_at IS NULL;

-- what was forgotten, so that no import brings it back: keyed hashes, never the words
-- owner: memory/tombstones.ts
CREATE TABLE memory_tombstones (hash TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- consolidation: a job at work or done, with where it stands, so that a crash resumes it
-- owner: memory/consolidation/jobs.ts
CREATE TABLE memory_jobs (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('idle', 'nightly', 'weekly')),
  -- the session or the day it is about; the same job is made once
  key TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed')),
  progress TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  error TEXT,
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  UNIQUE (kind, key)
) STRICT;

-- how far each session's log has been consolidated (a position), and who must not be
-- owner: memory/consolidation/jobs.ts
CREATE TABLE memory_marks (session_id TEXT PRIMARY KEY, consolidated_upto INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- the search index: one row per searchable event (doc = events.row * 2) or item (doc = memory_items.row * 2 + 1)
-- owner: memory/index/docs.ts
CREATE TABLE memory_docs (
  doc INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  session_id TEXT,
  -- neighbours in a conversation follow each other here; null for items and results of tools
  turn INTEGER,
  -- the first doc of the stretch of talk it belongs to: a session without its long pauses
  episode INTEGER,
  -- when it was said, or since when it holds
  at INTEGER NOT NULL,
  -- normalised name of who said it
  actor TEXT NOT NULL,
  trust TEXT NOT NULL CHECK (trust IN ('owner', 'agent', 'outside')),
  -- bit 1: a question; bit 2: names a time; bit 4: archived
  flags INTEGER NOT NULL,
  tokens INTEGER NOT NULL
) STRICT;
CREATE INDEX memory_docs_session ON memory_docs (session_id, turn) WHERE session_id IS NOT NULL;

-- contentless: the words stay where they are, in events and items. A deleted row is only marked until segments are merged:
-- whoever removes words merges ('optimize') so that no byte of them stays.
-- tags: the scope and the kind of doc, for searches within them; cjk: pairs of characters
-- owner: memory/index/docs.ts
CREATE VIRTUAL TABLE memory_fts USING fts5 (
  tags, actor, body, extra, cjk, content = '', contentless_delete = 1,
  tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
);
-- terms with their document counts: the rarest decide a query
-- owner: memory/index/docs.ts
CREATE VIRTUAL TABLE memory_terms USING fts5vocab (memory_fts, 'row');

-- optional: the vector of a doc, by one model (provider, name, dimension, prefixes); content_hash finds the same words again.
-- An empty vector: the provider does not take these words.
-- owner: memory/vectors/store.ts
CREATE TABLE memory_vectors (
  doc INTEGER PRIMARY KEY,
  model TEXT NOT NULL,
  content_hash TEXT NOT NULL,
  vector BLOB NOT NULL
) STRICT;
CREATE INDEX memory_vectors_content ON memory_vectors (content_hash);

-- Words that are gone leave no vector behind, whoever takes them away.
CREATE TRIGGER memory_vectors_of_events AFTER UPDATE OF redacted_at ON events WHEN NEW.redacted_at IS NOT NULL
BEGIN DELETE FROM memory_vectors WHERE doc = NEW.row * 2; END;
CREATE TRIGGER memory_vectors_of_items AFTER DELETE ON memory_items
BEGIN DELETE FROM memory_vectors WHERE doc = OLD.row * 2 + 1; END;

-- small facts of the room itself: how far events and items are indexed, the key of the tombstones
-- owner: memory/meta.ts
CREATE TABLE memory_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Managed Agents memory stores: trees of paths; each version is kept until it is redacted
-- owner: memory/stores.ts
CREATE TABLE memory_stores (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  metadata TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  archived_at INTEGER
) STRICT;

-- owner: memory/stores.ts
CREATE TABLE memory_store_versions (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  store_id TEXT NOT NULL REFERENCES memory_stores (id) ON DELETE CASCADE,
  memory_id TEXT NOT NULL,
  operation TEXT NOT NULL CHECK (operation IN ('created', 'modified', 'deleted')),
  path TEXT,
  content TEXT,
  -- of a file that shows items instead: their ids, so that what is forgotten is gone from every version
  items TEXT,
  sha256 TEXT,
  size INTEGER,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  redacted_at INTEGER,
  redacted_by TEXT
) STRICT;
CREATE INDEX memory_store_versions_of ON memory_store_versions (store_id, memory_id, row);

-- owner: memory/stores.ts
CREATE TABLE memory_store_files (
  id TEXT PRIMARY KEY,
  store_id TEXT NOT NULL REFERENCES memory_stores (id) ON DELETE CASCADE,
  path TEXT NOT NULL,
  version_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (store_id, path)
) STRICT;
