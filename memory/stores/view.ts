// The owner's store as it can be seen: which files there are now, what they say, and which versions there were. Versions hold ids of
// items and no words, so that what is forgotten is gone from every version, too.
import { createHmac, randomBytes } from 'node:crypto';
import type { Db } from '../../core/db.ts';
import { OWNER_STORE, type StoreActor, type StoredMemory, type VersionOperation } from '../../core/memory-stores.ts';
import type { Id, Millis } from '../../core/types.ts';
import { OWNER } from '../scope.ts';
import type { Items, Meta } from '../types.ts';
import { contentOf, pathOf, type Shown } from './pages.ts';
import { bytesOf, hashOf, STORES_KEY, type VersionRow } from './rules.ts';

export interface OwnerViewDeps {
  items: Pick<Items, 'get' | 'need'>;
  meta: Meta;
  mainSession(): Id;
  versions: {
    add(memoryId: Id, operation: VersionOperation, items: readonly Id[], by: StoreActor): { id: Id; at: Millis };
  };
}

/** A file as it is now. */
export interface File {
  id: Id;
  path: string;
  items: Id[];
}

interface Head {
  version: Id;
  memoryId: Id;
  items: Id[];
  at: Millis;
}

export function createOwnerView(db: Db, deps: OwnerViewDeps) {
  const { items } = deps;
  const live = db.prepare<[], Shown>(
    `SELECT id, tier, kind, subject, about FROM memory_items WHERE scope = '${OWNER}' AND retired_at IS NULL AND valid_to IS NULL
       AND tier IN ('identity', 'state', 'reference') ORDER BY row`,
  );
  /** Whatever changes items is a row of memory_changes, or a new item. */
  const marks = db.prepare<[], object>(
    'SELECT (SELECT max(rowid) FROM memory_changes) AS changes, (SELECT max(row) FROM memory_items) AS items',
  );
  const headRows = db.prepare<[string], VersionRow>(
    `SELECT v.* FROM memory_store_versions v
     JOIN (SELECT max(row) AS row FROM memory_store_versions WHERE store_id = ? GROUP BY memory_id) h ON h.row = v.row`,
  );
  const before = db.prepare<[string], { id: string }>('SELECT id FROM memory_items WHERE superseded_by = ?');
  const firstAt = db.prepare<[string, string], { at: Millis }>(
    'SELECT min(created_at) AS at FROM memory_store_versions WHERE store_id = ? AND memory_id = ?',
  );
  const writtenIn = db.prepare<[string], { session_id: string }>(
    `SELECT e.session_id FROM memory_items i JOIN memory_changes c ON c.id = i.change_id JOIN events e ON e.id = c.event_id WHERE i.id = ?`,
  );

  /** The id of a page says nothing of its subject to whoever does not have the key. */
  const pageId = (path: string): Id => {
    const key = deps.meta.get(STORES_KEY) ?? randomBytes(32).toString('base64url');
    deps.meta.set(STORES_KEY, key);
    return `mem_${createHmac('sha256', key).update(path).digest('hex').slice(0, 26).toUpperCase()}`;
  };
  const heads = (): Map<Id, Head> =>
    new Map(
      headRows
        .all(OWNER_STORE)
        .filter((row) => row.operation !== 'deleted')
        .map((row) => [
          row.memory_id,
          {
            version: row.id,
            memoryId: row.memory_id,
            items: JSON.parse(row.items ?? '[]') as Id[],
            at: row.created_at,
          },
        ]),
    );

  /** A note keeps its id while its item is superseded. */
  const noteId = (item: Id, known: ReadonlyMap<Id, Id>): Id => {
    for (let queue = [item]; queue.length > 0; ) {
      const next = queue.pop()!;
      const id = known.get(next);
      if (id) return id;
      queue.push(...before.all(next).map((row) => row.id));
    }
    return item;
  };

  const filesNow = (known: ReadonlyMap<Id, Head>): Map<Id, File> => {
    const notes = new Map<Id, Id>();
    for (const head of known.values()) for (const id of head.items) notes.set(id, head.memoryId);
    const files = new Map<Id, File>();
    const ids = new Map<string, Id>();
    for (const item of live.all()) {
      const path = pathOf(item);
      if (!path) continue;
      const id = item.kind === 'file' ? noteId(item.id, notes) : (ids.get(path) ?? pageId(path));
      if (item.kind !== 'file') ids.set(path, id);
      const file = files.get(id) ?? { id, path, items: [] };
      file.items.push(item.id);
      files.set(id, file);
    }
    return files;
  };

  let seen: { stamp: string; files: Map<Id, File>; heads: Map<Id, Head> } | null = null;
  const stampNow = () => JSON.stringify(marks.get());

  /** Every change since the last look becomes a version; `by` is who made it, when that is known. */
  const refresh = (by?: StoreActor) => {
    const stamp = stampNow();
    if (seen?.stamp === stamp) return seen;
    seen = db.tx(() => {
      const known = heads();
      const files = filesNow(known);
      const author = (ids: readonly Id[]): StoreActor => {
        const session = by ? undefined : ids.map((id) => writtenIn.get(id)?.session_id).findLast(Boolean);
        return by ?? { type: 'session_actor', session_id: session ?? deps.mainSession() };
      };
      for (const file of files.values()) {
        const head = known.get(file.id);
        if (head && JSON.stringify(head.items) === JSON.stringify(file.items)) continue;
        const fresh = file.items.filter((id) => !head?.items.includes(id));
        const made = deps.versions.add(file.id, head ? 'modified' : 'created', file.items, author(fresh));
        known.set(file.id, { version: made.id, memoryId: file.id, items: file.items, at: made.at });
      }
      for (const head of known.values())
        if (!files.has(head.memoryId)) {
          deps.versions.add(head.memoryId, 'deleted', head.items, author([]));
          known.delete(head.memoryId);
        }
      return { stamp, files, heads: known };
    });
    // What is rolled back must be looked at again.
    const kept = seen;
    seen = null;
    db.afterCommit(() => {
      if (stampNow() === kept.stamp) seen = kept;
    });
    return kept;
  };

  const memoryOf = (file: File, known: ReadonlyMap<Id, Head>): StoredMemory => {
    const shown = file.items.map((id) => items.need(id));
    const content = contentOf(shown);
    const head = known.get(file.id)!;
    return {
      id: file.id,
      storeId: OWNER_STORE,
      versionId: head.version,
      path: file.path,
      content,
      sha256: hashOf(content),
      size: bytesOf(content),
      createdAt: firstAt.get(OWNER_STORE, file.id)!.at,
      updatedAt: head.at,
      outside: shown.some((item) => item.authority === 'outside'),
    };
  };
  const at = (path: string): StoredMemory | null => {
    const { files, heads: known } = refresh();
    const file = [...files.values()].find((entry) => entry.path === path);
    return file ? memoryOf(file, known) : null;
  };

  return {
    refresh,
    memoryOf,
    at,
    /** What a version shows today: lines that were forgotten since are missing, and all of it when all are. */
    shown(row: VersionRow): {
      path: string | null;
      content: string | null;
      sha256: string | null;
      size: number | null;
    } {
      const none = { path: null, content: null, sha256: null, size: null };
      const ids = row.items === null ? [] : (JSON.parse(row.items) as Id[]);
      const left = ids.map((id) => items.get(id)).filter((item) => item !== null);
      const [first] = left;
      if (!first) return none;
      const path = pathOf(first);
      if (row.operation === 'deleted') return { ...none, path };
      const content = contentOf(left);
      return { path, content, sha256: hashOf(content), size: bytesOf(content) };
    },
  };
}
