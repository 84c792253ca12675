// Items as rows: reading them in every way, and the only writer of `memory_items`, its sources, parents and pins.
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { ItemKind, MemoryItem } from '../core/memory.ts';
import type { Id, Millis } from '../core/types.ts';
import { conditions, FOREVER, HOLDS, type Row, SELECT, type SourceRow, toItem, toSource } from './item-rows.ts';
import { normalName, textKey } from './normalise.ts';
import type { Draft, ItemIndex, Items, Quote, Restore } from './types.ts';

/** What a change may alter in a row: how long it holds, and what came after it. */
export interface Standing {
  validTo: Millis | null;
  retiredAt: Millis | null;
  supersededBy: Id | null;
}

/** A row that is to be written, whole. */
export interface NewItem extends Omit<MemoryItem, 'pinned' | 'retiredAt' | 'retireReason'> {
  sources: readonly Quote[];
  parents: readonly Id[];
  pinned: boolean;
}

/** For the parts of the room that write (`changes`, `forget`); everybody else gets `Items`. */
export interface ItemStore extends Items {
  rowOf(id: Id): number | null;
  parents(id: Id): Id[];
  quotes(id: Id): Quote[];
  /** Not retired and not archived, in this slot, holding at some time between the two (exclusive `to`; null is for ever). */
  overlapping(item: Pick<MemoryItem, 'scope' | 'subject' | 'slot' | 'validFrom' | 'validTo'>): MemoryItem[];
  /** Whatever was ever said in this slot, by the time from which it holds. */
  values(scope: string, subject: string, slot: string): MemoryItem[];
  /** Says the same, in whatever state. */
  sameText(scope: string, text: string): MemoryItem[];
  /** The open one of this kind that is about this (a session's summary, a file). */
  byAbout(scope: string, kind: ItemKind, about: string): MemoryItem | null;
  insert(item: NewItem): MemoryItem;
  /** Only ever shortens, retires and links; the schema refuses the rest. */
  setStanding(id: Id, to: Partial<Standing> & { reason?: string }): MemoryItem;
  addSources(id: Id, sources: readonly Quote[]): void;
  addParent(id: Id, parentId: Id): void;
  setPinned(id: Id, on: boolean, at: Millis): MemoryItem;
  /** Rows, sources, parents, pins: gone. Returns the row numbers they had, for the index. */
  erase(ids: readonly Id[]): number[];
  /** The words of these events are gone: what quoted them keeps the link alone. */
  blankQuotes(eventIds: readonly Id[]): void;
  /** Whose sources are these events and none else, and that have no parents. */
  onlyFrom(eventIds: readonly Id[]): Id[];
}

export function createItems(db: Db, deps: { now(): Millis }): ItemStore {
  const one = db.prepare<[string], Row>(`${SELECT} WHERE i.id = ?`);
  const state = db.prepare<[], { change: number | null; pins: number; pinned: number | null }>(
    `SELECT (SELECT max(rowid) FROM memory_changes) AS change, (SELECT count(*) FROM memory_pins) AS pins,
       (SELECT max(pinned_at) FROM memory_pins) AS pinned`,
  );
  const leading = (pinned: boolean) =>
    db.prepare<(string | number)[], Row>(
      `${SELECT} WHERE i.scope = ? AND i.tier = ? AND i.kind <> 'file' AND p.item_id IS ${pinned ? 'NOT ' : ''}NULL AND ${HOLDS} ORDER BY i.row DESC LIMIT ?`,
    );
  const pinnedOnes = leading(true);
  const newestOnes = leading(false);
  const open = db.prepare<[string, string, string], Row>(
    `${SELECT} WHERE i.scope = ? AND i.subject = ? AND i.slot = ? AND i.retired_at IS NULL AND i.valid_to IS NULL AND i.tier <> 'archive'`,
  );
  const inSlot = db.prepare<[string, string, string], Row>(
    `${SELECT} WHERE i.scope = ? AND i.subject = ? AND i.slot = ? ORDER BY i.valid_from, i.row`,
  );
  const byKey = db.prepare<[string, string], Row>(`${SELECT} WHERE i.scope = ? AND i.text_key = ? ORDER BY i.row`);
  const about = db.prepare<[string, string, string], Row>(
    `${SELECT} WHERE i.scope = ? AND i.kind = ? AND i.about = ? AND i.retired_at IS NULL AND i.valid_to IS NULL AND i.tier <> 'archive'`,
  );
  const before = db.prepare<[string], Row>(`${SELECT} WHERE i.superseded_by = ? ORDER BY i.row`);
  const made = db.prepare<[string], Row>(
    `${SELECT} JOIN memory_parents r ON r.item_id = i.id WHERE r.parent_id = ? ORDER BY i.row`,
  );
  const quoting = db.prepare<[string], Row>(
    `${SELECT} JOIN memory_sources s ON s.item_id = i.id WHERE s.event_id = ? ORDER BY i.row`,
  );
  const parentsOf = db.prepare<[string], { parent_id: string }>(
    'SELECT parent_id FROM memory_parents WHERE item_id = ? ORDER BY parent_id',
  );
  const quotesOf = db.prepare<[string], { event_id: string; quote: string }>(
    'SELECT event_id, quote FROM memory_sources WHERE item_id = ? ORDER BY event_id',
  );
  const sourcesOf = db.prepare<[string], SourceRow>(
    `SELECT s.event_id, s.quote, e.session_id, e.type, e.created_at, e.origin,
       CASE WHEN e.blob IS NULL THEN e.payload ->> '$.speaker' END AS speaker,
       CASE WHEN e.blob IS NULL THEN e.payload ->> '$.at' END AS said_at
     FROM memory_sources s JOIN events e ON e.id = s.event_id WHERE s.item_id = ? ORDER BY e.row`,
  );
  // A clock that is set back must not make what is known untrue: the world is at least as old as the last change.
  const lastChange = db.prepare<[], { at: number }>('SELECT at FROM memory_changes ORDER BY rowid DESC LIMIT 1');
  const time = (): Millis => Math.max(deps.now(), lastChange.get()?.at ?? 0);

  const store: Omit<ItemStore, keyof ReturnType<typeof writers>> = {
    get(id) {
      const row = one.get(id);
      return row ? toItem(row) : null;
    },
    need(id) {
      const item = store.get(id);
      if (!item)
        throw new StewardError('not_found', `There is no memory item ${id}.`, {
          op: 'read memory',
          hint: 'List them with `steward memory list`, or find one with `steward memory search`.',
        });
      return item;
    },
    list(query) {
      const { where, values } = conditions(query, time(), deps.now());
      const [beyond, direction, start] = query.order === 'desc' ? ['<', 'DESC', FOREVER] : ['>', 'ASC', 0];
      const after = query.after ? (one.get(query.after)?.row ?? start) : start;
      return db
        .prepare<(string | number)[], Row>(
          `${SELECT} WHERE ${[...where, `i.row ${beyond} ?`].join(' AND ')} ORDER BY i.row ${direction} LIMIT ?`,
        )
        .all(...values, after, query.limit)
        .map(toItem);
    },
    count(query) {
      const { where, values } = conditions(query, time(), deps.now());
      return db
        .prepare<(string | number)[], { n: number }>(
          `SELECT count(*) AS n FROM memory_items i WHERE ${where.join(' AND ')}`,
        )
        .get(...values)!.n;
    },
    edition() {
      const { change, pins, pinned } = state.get()!;
      return `${change} ${pins} ${pinned} ${Math.floor(deps.now() / 60_000)}`;
    },
    foremost(scope, tier, limit) {
      const now = time();
      const rows = [pinnedOnes, newestOnes].flatMap((found) => found.all(scope, tier, now, now, deps.now(), limit));
      return rows.slice(0, limit).map(toItem);
    },
    bySlot(scope, subject, slot) {
      const row = open.get(scope, normalName(subject) ?? '', normalName(slot) ?? '');
      return row ? toItem(row) : null;
    },
    values: (scope, subject, slot) => inSlot.all(scope, normalName(subject) ?? '', normalName(slot) ?? '').map(toItem),
    overlapping({ scope, subject, slot, validFrom, validTo }) {
      // One that ends as it begins never held, and is in nobody's way.
      if (subject === null || slot === null || (validTo !== null && validTo <= validFrom)) return [];
      return store.values(scope, subject, slot).filter((other) => {
        if (other.retiredAt !== null || other.tier === 'archive') return false;
        const end = other.validTo ?? FOREVER;
        return other.validFrom < end && other.validFrom < (validTo ?? FOREVER) && end > validFrom;
      });
    },
    sameText: (scope, text) => byKey.all(scope, textKey(text)).map(toItem),
    byAbout(scope, kind, path) {
      const row = about.get(scope, kind, path);
      return row ? toItem(row) : null;
    },
    sources: (id) => sourcesOf.all(id).map(toSource),
    quotes: (id) => quotesOf.all(id).map(({ event_id, quote }) => ({ eventId: event_id, quote })),
    parents: (id) => parentsOf.all(id).map((row) => row.parent_id),
    derived: (id) => made.all(id).map(toItem),
    ofEvent: (eventId) => quoting.all(eventId).map(toItem),
    rowOf: (id) => one.get(id)?.row ?? null,
    history(id) {
      const found = new Map<Id, MemoryItem>();
      const rows = new Map<Id, number>();
      const queue = [id];
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        if (found.has(next)) continue;
        const row = one.get(next);
        if (!row) continue;
        const item = toItem(row);
        found.set(next, item);
        rows.set(next, row.row);
        if (item.supersededBy) queue.push(item.supersededBy);
        queue.push(...before.all(next).map((other) => other.id));
        // Also what stood there before it was taken for wrong, or undone: no link leads to it.
        const kin =
          item.subject !== null && item.slot !== null
            ? inSlot.all(item.scope, item.subject, item.slot)
            : byKey.all(item.scope, row.text_key).filter((other) => other.slot === null || other.subject === null);
        queue.push(...kin.map((other) => other.id));
      }
      return [...found.values()].sort((a, b) => rows.get(a.id)! - rows.get(b.id)!);
    },
  };
  return Object.assign(store, writers(db, store));
}

/** What a draft is to be placed against (memory/placement.ts). */
export function knownFor(items: ItemStore, draft: Draft): MemoryItem[] {
  const inSlot = draft.subject && draft.slot ? items.values(draft.scope, draft.subject, draft.slot) : [];
  const same = draft.about ? items.byAbout(draft.scope, draft.kind, draft.about) : null;
  const found = [...inSlot, ...(same ? [same] : []), ...items.sameText(draft.scope, draft.text)];
  return [...new Map(found.map((item) => [item.id, item])).values()];
}

function writers(db: Db, items: Pick<ItemStore, 'need'>) {
  const insert = db.prepare(
    `INSERT INTO memory_items (id, scope, tier, kind, subject, slot, text, authority, confidence, valid_from, valid_to,
       recorded_at, superseded_by, expires_at, about, change_id, text_key)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const stand = db.prepare<[number | null, number | null, string | null, string | null, string]>(
    'UPDATE memory_items SET valid_to = ?, retired_at = ?, retire_reason = ?, superseded_by = ? WHERE id = ?',
  );
  const source = db.prepare<[string, string, string]>(
    'INSERT INTO memory_sources (item_id, event_id, quote) VALUES (?, ?, ?) ON CONFLICT (item_id, event_id) DO NOTHING',
  );
  const parent = db.prepare<[string, string]>(
    'INSERT INTO memory_parents (item_id, parent_id) VALUES (?, ?) ON CONFLICT DO NOTHING',
  );
  const pin = db.prepare<[string, number]>(
    'INSERT INTO memory_pins (item_id, pinned_at) VALUES (?, ?) ON CONFLICT (item_id) DO NOTHING',
  );
  const unpin = db.prepare<[string]>('DELETE FROM memory_pins WHERE item_id = ?');
  const remove = db.prepare<[string], { row: number }>('DELETE FROM memory_items WHERE id = ? RETURNING row');
  const blank = db.prepare<[string]>("UPDATE memory_sources SET quote = '' WHERE event_id = ? AND quote <> ''");
  const alone = db.prepare<[string], { id: string }>(
    // `events` is a JSON array.
    `WITH gone AS MATERIALIZED (SELECT value AS id FROM json_each(?))
     SELECT DISTINCT s.item_id AS id FROM gone JOIN memory_sources s ON s.event_id = gone.id
     WHERE NOT EXISTS (SELECT 1 FROM memory_sources o WHERE o.item_id = s.item_id AND o.event_id NOT IN (SELECT id FROM gone))
       AND NOT EXISTS (SELECT 1 FROM memory_parents p WHERE p.item_id = s.item_id)`,
  );
  return {
    insert(item: NewItem): MemoryItem {
      insert.run(
        ...[item.id, item.scope, item.tier, item.kind, normalName(item.subject), normalName(item.slot), item.text],
        ...[item.authority, item.confidence, item.validFrom, item.validTo, item.recordedAt, item.supersededBy],
        ...[item.expiresAt, item.about, item.changeId, textKey(item.text)],
      );
      for (const { eventId, quote } of item.sources) source.run(item.id, eventId, quote);
      for (const id of item.parents) parent.run(item.id, id);
      if (item.pinned) pin.run(item.id, item.recordedAt);
      return items.need(item.id);
    },
    setStanding(id: Id, to: Partial<Standing> & { reason?: string }): MemoryItem {
      const now = items.need(id);
      stand.run(
        to.validTo === undefined ? now.validTo : to.validTo,
        to.retiredAt === undefined ? now.retiredAt : to.retiredAt,
        to.reason ?? now.retireReason,
        to.supersededBy === undefined ? now.supersededBy : to.supersededBy,
        id,
      );
      return items.need(id);
    },
    addSources(id: Id, sources: readonly Quote[]): void {
      for (const { eventId, quote } of sources) source.run(id, eventId, quote);
    },
    addParent: (id: Id, parentId: Id): void => void parent.run(id, parentId),
    setPinned(id: Id, on: boolean, at: Millis): MemoryItem {
      if (on) pin.run(id, at);
      else unpin.run(id);
      return items.need(id);
    },
    erase: (ids: readonly Id[]): number[] => ids.flatMap((id) => remove.all(id).map(({ row }) => row)),
    blankQuotes(eventIds: readonly Id[]): void {
      for (const id of eventIds) blank.run(id);
    },
    onlyFrom: (eventIds: readonly Id[]): Id[] => alone.all(JSON.stringify(eventIds)).map(({ id }) => id),
  };
}

/** Rows as an export tells them. Quotes of events that are not here are left out. */
export function restoreItems(db: Db, items: ItemStore, index: ItemIndex): Pick<Restore, 'item' | 'linkItem'> {
  const eventIs = db.prepare<[string], object>('SELECT 1 FROM events WHERE id = ?');
  return {
    item(item, pinnedAt) {
      if (items.get(item.id)) return 'known';
      const alive = item.retiredAt === null && item.tier !== 'archive';
      if (alive && items.overlapping(item).length > 0) return 'taken';
      if (alive && item.about !== null && item.validTo === null && items.byAbout(item.scope, item.kind, item.about))
        return 'taken';
      items.insert({ ...item, supersededBy: null, sources: [], parents: [], pinned: false });
      // A superseded one has a reason, too.
      if (item.retiredAt !== null || item.retireReason !== null)
        items.setStanding(item.id, {
          retiredAt: item.retiredAt,
          ...(item.retireReason !== null && { reason: item.retireReason }),
        });
      if (pinnedAt !== null) items.setPinned(item.id, true, pinnedAt);
      index.put(items.rowOf(item.id)!, items.need(item.id));
      return 'added';
    },
    linkItem(id, { supersededBy, sources, parents }) {
      if (supersededBy !== null && items.get(supersededBy)) items.setStanding(id, { supersededBy });
      items.addSources(
        id,
        sources.filter(({ eventId }) => eventIs.get(eventId)),
      );
      for (const parent of parents) if (items.get(parent)) items.addParent(id, parent);
    },
  };
}
