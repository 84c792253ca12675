// Memory stores as the API and the file tool see them: trees of small texts, each change of which is kept as a version.
import type { ErrorDetails } from './errors.ts';
import { StewardError } from './errors.ts';
import type { Id, Millis } from './types.ts';

/** The one that shows what Steward knows of its owner, as files. It is there from the start and stays. */
export const OWNER_STORE: Id = 'memstore_owner';

/** Limits of the Managed Agents API. Bytes of UTF-8, except where it says otherwise. */
export const STORE_LIMITS = { content: 102_400, memories: 2_000, path: 1_024, segments: 20 } as const;

export type StoreActor =
  | { type: 'api_actor'; api_key_id: string }
  | { type: 'user_actor'; user_id: string }
  | { type: 'session_actor'; session_id: Id };

/** Who writes. The agent's words are weighed as the agent's; `eventId` is the call they stand in. */
export type StoreWriter =
  | { kind: 'owner'; actor: StoreActor }
  | { kind: 'agent'; actor: StoreActor; sessionId: Id; eventId: Id; tainted: boolean };

export interface StoreInfo {
  id: Id;
  name: string;
  description: string;
  metadata: Record<string, string>;
  createdAt: Millis;
  updatedAt: Millis;
  archivedAt: Millis | null;
}

export interface StoredMemory {
  id: Id;
  storeId: Id;
  versionId: Id;
  path: string;
  content: string;
  /** Lower case hex, and bytes, of the content in UTF-8. */
  sha256: string;
  size: number;
  createdAt: Millis;
  updatedAt: Millis;
  /** Some of it rests on words from outside: whoever reads it into a conversation taints that. */
  outside: boolean;
}

export type VersionOperation = 'created' | 'modified' | 'deleted';

export interface StoredVersion {
  id: Id;
  storeId: Id;
  memoryId: Id;
  operation: VersionOperation;
  /** Null when redacted, and when what it showed was forgotten. */
  path: string | null;
  content: string | null;
  sha256: string | null;
  size: number | null;
  createdBy: StoreActor;
  createdAt: Millis;
  redactedAt: Millis | null;
  redactedBy: StoreActor | null;
}

export type StoreEntry = { kind: 'memory'; memory: StoredMemory } | { kind: 'prefix'; path: string };

/** What was written, and how many lines wait for the owner's word before they count. */
export interface StoreWritten {
  /** Null: there is nothing at that path (any more). */
  memory: StoredMemory | null;
  asked: number;
}

export interface VersionQuery {
  memoryId?: Id;
  operation?: VersionOperation;
  sessionId?: Id;
  apiKeyId?: string;
  serviceAccountId?: string;
  /** Inclusive. */
  createdFrom?: Millis;
  createdTo?: Millis;
  /** The id after which to go on; newest first. */
  after?: Id;
  limit: number;
}

/** Every method throws StewardError: `not_found`, `conflict` (see `conflictOf`), `invalid`, `too_large`. */
export interface MemoryStores {
  create(spec: { name: string; description: string; metadata: Record<string, string> }): StoreInfo;
  need(id: Id): StoreInfo;
  update(id: Id, change: { name?: string; description?: string; metadata?: Record<string, string> }): StoreInfo;
  /** Oldest first. */
  list(query: {
    archived: boolean;
    createdFrom?: Millis;
    createdTo?: Millis;
    after?: { createdAt: Millis; id: Id };
    limit: number;
  }): StoreInfo[];
  /** Nothing is written in it any more; reading, deleting and redacting go on. */
  archive(id: Id): StoreInfo;
  /** With all its memories and versions; leaves no bytes of them in the file. */
  remove(id: Id): void;

  createMemory(storeId: Id, spec: { path: string; content: string }, by: StoreWriter): StoreWritten;
  needMemory(storeId: Id, id: Id): StoredMemory;
  /** By path; null when there is none. */
  memoryAt(storeId: Id, path: string): StoredMemory | null;
  updateMemory(
    storeId: Id,
    id: Id,
    change: { path?: string; content?: string; expectedSha256?: string },
    by: StoreWriter,
  ): StoreWritten;
  removeMemory(storeId: Id, id: Id, by: StoreWriter, expectedSha256?: string): void;
  /** By path. With depth 1 what lies deeper is one prefix per folder. */
  listMemories(storeId: Id, query: { prefix: string; depth: 0 | 1; after?: string; limit: number }): StoreEntry[];

  listVersions(storeId: Id, query: VersionQuery): StoredVersion[];
  needVersion(storeId: Id, id: Id): StoredVersion;
  /** Content, path, hash and size are gone, also from the file; who did what when stays. */
  redactVersion(storeId: Id, id: Id, by: StoreActor): StoredVersion;
}

/** What the API tells a program about a conflict, beside the sentence. */
export type StoreConflict =
  | { type: 'memory_precondition_failed_error' }
  | { type: 'memory_path_conflict_error'; conflicting_memory_id: Id; conflicting_path: string };

export const storeConflict = (message: string, conflict: StoreConflict, details: Omit<ErrorDetails, 'cause'>) =>
  new StewardError('conflict', message, { ...details, cause: { conflict } });

export function conflictOf(error: unknown): StoreConflict | null {
  const cause = error instanceof StewardError ? error.cause : null;
  return cause !== null && typeof cause === 'object' && 'conflict' in cause ? (cause.conflict as StoreConflict) : null;
}
