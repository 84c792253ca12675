// Memory stores: the rows of stores, files and versions, and what is done with them. The only writer of `memory_stores…`.
// The owner's store has no files of its own: its versions hold ids of items (memory/stores/owner.ts).
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import {
  type MemoryStores,
  OWNER_STORE,
  STORE_LIMITS,
  type StoreActor,
  type StoredMemory,
  type StoredVersion,
  type StoreEntry,
  type StoreInfo,
  type VersionOperation,
} from '../core/memory-stores.ts';
import type { Id, Millis } from '../core/types.ts';
import type { StoreLines } from './portability/records.ts';
import { createOwnerStore, type OwnerStoreDeps } from './stores/owner.ts';
import { checkPath, entriesUnder, overlap } from './stores/paths.ts';
import {
  bytesOf,
  checkContent,
  checkPrecondition,
  hashOf,
  noMemory,
  pathTaken,
  type VersionRow,
} from './stores/rules.ts';
import type { Words } from './words.ts';

const OWNER_NAME = 'Steward';
const OWNER_DESCRIPTION =
  'What Steward knows of its owner: identity.md, state.md, reference/<subject>.md with one line for each memory, and further notes. A line that is removed is retired, a changed one is superseded; files of lines come back in their normal form.';

interface StoreRow {
  id: string;
  name: string;
  description: string;
  metadata: string;
  created_at: number;
  updated_at: number;
  archived_at: number | null;
}
interface FileRow {
  id: string;
  store_id: string;
  path: string;
  version_id: string;
  created_at: number;
  updated_at: number;
}
type HeadRow = FileRow & { content: string; sha256: string; size: number };

export interface StoresDeps extends Omit<OwnerStoreDeps, 'versions'> {
  newId(prefix: 'memstore' | 'memver' | 'mem'): Id;
}

export interface StoreRows extends MemoryStores {
  /** A row of an export; false when its id is known. */
  restore(line: StoreLines): boolean;
  /** What holds these words goes, in every store; called within the transaction that forgets. Returns how many versions. */
  forget(words: Pick<Words, 'in'>): number;
}

export function createMemoryStores(db: Db, deps: StoresDeps): StoreRows {
  const { now, newId } = deps;
  const putStore = db.prepare(
    `INSERT INTO memory_stores (id, name, description, metadata, created_at, updated_at, archived_at) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, metadata = excluded.metadata,
       updated_at = excluded.updated_at, archived_at = excluded.archived_at`,
  );
  const oneStore = db.prepare<[string], StoreRow>('SELECT * FROM memory_stores WHERE id = ?');
  const pageOfStores = db.prepare<[number, Millis, Millis, Millis, string, number], StoreRow>(
    `SELECT * FROM memory_stores WHERE (? OR archived_at IS NULL) AND created_at >= ? AND created_at <= ?
       AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?`,
  );
  const dropStore = db.prepare<[string]>('DELETE FROM memory_stores WHERE id = ?');
  const putVersion = db.prepare(
    `INSERT INTO memory_store_versions (id, store_id, memory_id, operation, path, content, items, sha256, size, created_by,
       created_at, redacted_at, redacted_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const oneVersion = db.prepare<[string], VersionRow>('SELECT * FROM memory_store_versions WHERE id = ?');
  const wipe = db.prepare<[Millis, string, string]>(
    `UPDATE memory_store_versions SET path = NULL, content = NULL, items = NULL, sha256 = NULL, size = NULL,
       redacted_at = ?, redacted_by = ? WHERE id = ? AND redacted_at IS NULL`,
  );
  const withWords = db.prepare<[], VersionRow>(
    'SELECT * FROM memory_store_versions WHERE content IS NOT NULL OR path IS NOT NULL ORDER BY row',
  );
  const HEAD = `SELECT f.*, v.content, v.sha256, v.size FROM memory_store_files f JOIN memory_store_versions v ON v.id = f.version_id`;
  const oneFile = db.prepare<[string, string], HeadRow>(`${HEAD} WHERE f.store_id = ? AND f.id = ?`);
  const fileAt = db.prepare<[string, string], HeadRow>(`${HEAD} WHERE f.store_id = ? AND f.path = ?`);
  const filePaths = db.prepare<[string], { id: string; path: string }>(
    'SELECT id, path FROM memory_store_files WHERE store_id = ?',
  );
  const putFile = db.prepare(
    `INSERT INTO memory_store_files (id, store_id, path, version_id, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET path = excluded.path, version_id = excluded.version_id, updated_at = excluded.updated_at`,
  );
  const dropFile = db.prepare<[string]>('DELETE FROM memory_store_files WHERE id = ?');

  const toStore = (row: StoreRow): StoreInfo => ({
    id: row.id,
    name: row.name,
    description: row.description,
    metadata: JSON.parse(row.metadata) as Record<string, string>,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    archivedAt: row.archived_at,
  });
  const toMemory = (row: HeadRow): StoredMemory => ({
    id: row.id,
    storeId: row.store_id,
    versionId: row.version_id,
    path: row.path,
    content: row.content,
    sha256: row.sha256,
    size: row.size,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    outside: false,
  });
  const toVersion = (row: VersionRow): StoredVersion => {
    const shown = row.store_id === OWNER_STORE ? owner.shown(row) : row;
    return {
      id: row.id,
      storeId: row.store_id,
      memoryId: row.memory_id,
      operation: row.operation,
      path: shown.path,
      content: row.operation === 'deleted' ? null : shown.content,
      sha256: shown.sha256,
      size: shown.size,
      createdBy: JSON.parse(row.created_by) as StoreActor,
      createdAt: row.created_at,
      redactedAt: row.redacted_at,
      redactedBy: row.redacted_by === null ? null : (JSON.parse(row.redacted_by) as StoreActor),
    };
  };

  const addVersion = (
    at: { storeId: Id; memoryId: Id; operation: VersionOperation; path: string | null },
    what: { content?: string; items?: readonly Id[] },
    by: StoreActor,
  ): { id: Id; at: Millis } => {
    const version = { id: newId('memver'), at: now() };
    const { content = null } = what;
    putVersion.run(
      ...[version.id, at.storeId, at.memoryId, at.operation, at.path, content],
      what.items ? JSON.stringify(what.items) : null,
      ...[content === null ? null : hashOf(content), content === null ? null : bytesOf(content)],
      ...[JSON.stringify(by), version.at, null, null],
    );
    return version;
  };

  const needOpen = (id: Id): void => {
    if (stores.need(id).archivedAt !== null)
      throw new StewardError('conflict', `The memory store ${id} is archived and cannot be written to.`, {
        op: 'write a memory',
        hint: 'Make a new store instead.',
      });
  };
  const keepOwners = (id: Id): void => {
    if (id === OWNER_STORE)
      throw new StewardError('conflict', `The memory store ${id} is Steward’s own memory; it stays as it is.`, {
        op: 'change a memory store',
        hint: 'Change what is in it instead.',
      });
  };
  const checkFree = (storeId: Id, path: string, but?: Id): void => {
    for (const file of filePaths.iterate(storeId))
      if (file.id !== but && overlap(file.path, path)) throw pathTaken(path, file);
  };

  const owner = createOwnerStore(db, {
    ...deps,
    versions: {
      add: (memoryId, operation, items, by) =>
        addVersion({ storeId: OWNER_STORE, memoryId, operation, path: null }, { items }, by),
    },
  });

  const stores: StoreRows = {
    create(spec) {
      const id = newId('memstore');
      db.tx(() => putStore.run(id, spec.name, spec.description, JSON.stringify(spec.metadata), now(), now(), null));
      return stores.need(id);
    },
    need(id) {
      const row = oneStore.get(id);
      if (!row)
        throw new StewardError('not_found', `There is no memory store ${id}.`, {
          op: 'read a memory store',
          hint: 'GET /v1/memory_stores lists them.',
        });
      return toStore(row);
    },
    update: (id, change) =>
      db.tx(() => {
        needOpen(id);
        keepOwners(id);
        const old = stores.need(id);
        const { name, description, metadata } = { ...old, ...change };
        putStore.run(id, name, description, JSON.stringify(metadata), old.createdAt, now(), null);
        return stores.need(id);
      }),
    list: ({ archived, createdFrom, createdTo, after, limit }) =>
      pageOfStores
        .all(
          archived ? 1 : 0,
          createdFrom ?? 0,
          createdTo ?? Number.MAX_SAFE_INTEGER,
          after?.createdAt ?? -1,
          after?.id ?? '',
          limit,
        )
        .map(toStore),
    archive: (id) =>
      db.tx(() => {
        const old = stores.need(id);
        keepOwners(id);
        if (old.archivedAt === null)
          putStore.run(id, old.name, old.description, JSON.stringify(old.metadata), old.createdAt, now(), now());
        return stores.need(id);
      }),
    remove: (id) =>
      db.tx(() => {
        stores.need(id);
        keepOwners(id);
        dropStore.run(id);
        db.afterCommit(() => db.checkpoint());
      }),

    createMemory: (storeId, { path, content }, by) =>
      db.tx(() => {
        needOpen(storeId);
        checkPath(path);
        checkContent(content);
        if (storeId === OWNER_STORE) return owner.create(path, content, by);
        checkFree(storeId, path);
        if ([...filePaths.iterate(storeId)].length >= STORE_LIMITS.memories)
          throw new StewardError('invalid', `A memory store holds at most ${STORE_LIMITS.memories} memories.`, {
            op: 'write a memory',
            hint: 'Delete some, or make another store.',
          });
        const id = newId('mem');
        const version = addVersion({ storeId, memoryId: id, operation: 'created', path }, { content }, by.actor);
        putFile.run(id, storeId, path, version.id, version.at, version.at);
        return { memory: stores.needMemory(storeId, id), asked: 0 };
      }),
    needMemory(storeId, id) {
      stores.need(storeId);
      if (storeId === OWNER_STORE) return owner.need(id);
      const row = oneFile.get(storeId, id);
      if (!row) throw noMemory(storeId, id);
      return toMemory(row);
    },
    memoryAt(storeId, path) {
      stores.need(storeId);
      if (storeId === OWNER_STORE) return owner.at(path);
      const row = fileAt.get(storeId, path);
      return row ? toMemory(row) : null;
    },
    updateMemory: (storeId, id, change, by) =>
      db.tx(() => {
        needOpen(storeId);
        const old = stores.needMemory(storeId, id);
        checkPrecondition(old, change.expectedSha256);
        const { path = old.path, content = old.content } = change;
        checkPath(path);
        checkContent(content);
        if (path === old.path && content === old.content) return { memory: old, asked: 0 };
        if (storeId === OWNER_STORE) return owner.update(old, path, content, by);
        if (path !== old.path) checkFree(storeId, path, id);
        const version = addVersion({ storeId, memoryId: id, operation: 'modified', path }, { content }, by.actor);
        putFile.run(id, storeId, path, version.id, old.createdAt, version.at);
        return { memory: stores.needMemory(storeId, id), asked: 0 };
      }),
    removeMemory: (storeId, id, by, expected) =>
      db.tx(() => {
        const old = stores.needMemory(storeId, id);
        checkPrecondition(old, expected);
        if (storeId === OWNER_STORE) return owner.remove(old, by);
        addVersion({ storeId, memoryId: id, operation: 'deleted', path: old.path }, {}, by.actor);
        dropFile.run(id);
      }),
    listMemories(storeId, query) {
      stores.need(storeId);
      const paths = storeId === OWNER_STORE ? owner.paths() : [...filePaths.iterate(storeId)].map((file) => file.path);
      return entriesUnder(paths, query).flatMap(({ path, folder }): StoreEntry[] => {
        if (folder) return [{ kind: 'prefix', path }];
        const memory = stores.memoryAt(storeId, path);
        return memory ? [{ kind: 'memory', memory }] : [];
      });
    },

    listVersions(storeId, query) {
      stores.need(storeId);
      if (storeId === OWNER_STORE) owner.refresh();
      const where = ['store_id = ?'];
      const values: (string | number)[] = [storeId];
      const add = (clause: string, value: string | number | undefined) => {
        if (value === undefined) return;
        where.push(clause);
        values.push(value);
      };
      add('memory_id = ?', query.memoryId);
      add('operation = ?', query.operation);
      add("created_by ->> '$.session_id' = ?", query.sessionId);
      add("created_by ->> '$.api_key_id' = ?", query.apiKeyId);
      add("created_by ->> '$.service_account_id' = ?", query.serviceAccountId);
      add('created_at >= ?', query.createdFrom);
      add('created_at <= ?', query.createdTo);
      add('row < ?', query.after === undefined ? undefined : (oneVersion.get(query.after)?.row ?? 0));
      return db
        .prepare<(string | number)[], VersionRow>(
          `SELECT * FROM memory_store_versions WHERE ${where.join(' AND ')} ORDER BY row DESC LIMIT ?`,
        )
        .all(...values, query.limit)
        .map(toVersion);
    },
    needVersion(storeId, id) {
      stores.need(storeId);
      const row = oneVersion.get(id);
      if (row?.store_id !== storeId)
        throw new StewardError('not_found', `There is no memory version ${id} in ${storeId}.`, {
          op: 'read a memory version',
          hint: `GET /v1/memory_stores/${storeId}/memory_versions lists them.`,
        });
      return toVersion(row);
    },
    redactVersion: (storeId, id, by) =>
      db.tx(() => {
        const version = stores.needVersion(storeId, id);
        const live = storeId === OWNER_STORE ? owner.heads() : oneFile.get(storeId, version.memoryId);
        const isHead = live instanceof Set ? live.has(id) : live?.version_id === id;
        if (isHead)
          throw new StewardError('conflict', `The version ${id} is what the memory ${version.memoryId} says now.`, {
            op: 'redact a memory version',
            hint: 'Delete the memory, or write something else into it, first.',
          });
        wipe.run(now(), JSON.stringify(by), id);
        db.afterCommit(() => db.checkpoint());
        return stores.needVersion(storeId, id);
      }),

    forget(words) {
      let gone = 0;
      const at = now();
      const by: StoreActor = { type: 'user_actor', user_id: 'user_owner' };
      for (const row of withWords.all()) {
        if (!words.in(row.content ?? '') && !words.in(row.path ?? '')) continue;
        wipe.run(at, JSON.stringify(by), row.id);
        const file = oneFile.get(row.store_id, row.memory_id);
        if (file?.version_id === row.id) {
          dropFile.run(file.id);
          const left = addVersion(
            { storeId: row.store_id, memoryId: file.id, operation: 'deleted', path: null },
            {},
            by,
          );
          wipe.run(at, JSON.stringify(by), left.id);
        }
        gone += 1;
      }
      if (gone > 0) db.afterCommit(() => db.checkpoint());
      return gone;
    },
    restore(line) {
      switch (line.type) {
        case 'store':
          if (oneStore.get(line.id)) return false;
          putStore.run(
            ...[line.id, line.name, line.description, JSON.stringify(line.metadata)],
            ...[line.created_at, line.updated_at, line.archived_at],
          );
          return true;
        case 'version':
          if (oneVersion.get(line.id)) return false;
          putVersion.run(
            ...[line.id, line.store_id, line.memory_id, line.operation, line.path, line.content],
            ...[
              line.items ? JSON.stringify(line.items) : null,
              line.sha256,
              line.size,
              line.created_by,
              line.created_at,
            ],
            ...[line.redacted_at, line.redacted_by],
          );
          return true;
        case 'file':
          if (oneFile.get(line.store_id, line.id) || fileAt.get(line.store_id, line.path)) return false;
          putFile.run(line.id, line.store_id, line.path, line.version_id, line.created_at, line.updated_at);
          return true;
      }
    },
  };

  if (!oneStore.get(OWNER_STORE))
    db.tx(() => putStore.run(OWNER_STORE, OWNER_NAME, OWNER_DESCRIPTION, '{}', now(), now(), null));
  return stores;
}
