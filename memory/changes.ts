// The one way in which items change: a batch of steps, the row that tells of it, the index and the event, all or nothing; and its inverse.
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { Events } from '../core/events.ts';
import type { MemoryChange } from '../core/memory.ts';
import type { Id, LogEvent, Millis } from '../core/types.ts';
import { type Batch, beginBatch, conflict, short, type Touch } from './batch.ts';
import type { ItemStore } from './items.ts';
import { refusal } from './refusal.ts';
import type { Applied, ChangeRow, Changes, Draft, ItemIndex, Op, Quote, Restore } from './types.ts';
import { takeBack } from './undo.ts';
import { stringsIn } from './words.ts';

export const CHANGE_KINDS = [
  'save',
  'edit',
  'answer',
  'forget',
  'idle',
  'nightly',
  'weekly',
  'import',
  'undo',
  'file',
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** Of `memory_changes.ops`: ids and times, never words. */
interface Done {
  added: Id[];
  touched: Touch[];
  erased: number;
  /** Of an undo: the change it takes back. */
  undoes?: Id;
}

/** For the parts of the room that write beside the ops (forget). */
export interface ChangeStore extends Changes {
  /** The row and event of a change that erased; call within its transaction. */
  erased(input: { scope: string; sessionId: Id; erased: number }): MemoryChange;
  /** The session in which a change was told. */
  sessionOf(changeId: Id): Id | null;
}

/** Above this many the event tells numbers instead of ids. */
const TOLD_IDS = 500;

const invalid = (message: string): StewardError => new StewardError('invalid', message, { op: 'change memory' });

/** Letter by letter, in one text of it. An empty quote is a link without words. */
export const saysSo = (event: LogEvent, quote: string): boolean => {
  if (quote === '') return true;
  for (const text of stringsIn(event.payload)) if (text.includes(quote)) return true;
  return false;
};

interface Row extends ChangeRow {
  kind: ChangeKind;
}

const touches = (done: Done, itemId: Id): boolean => done.touched.some(({ id }) => id === itemId);

const toChange = (row: Row): MemoryChange => {
  const done = JSON.parse(row.ops) as Done;
  const added = new Set(done.added);
  return {
    id: row.id,
    kind: row.kind,
    at: row.at,
    eventId: row.event_id,
    undoneBy: row.undone_by,
    added: done.added,
    retired: done.touched.map(({ id }) => id).filter((id) => !added.has(id)),
    erased: done.erased,
  };
};

export function createChanges(
  db: Db,
  deps: {
    items: ItemStore;
    index: ItemIndex;
    events: Pick<Events, 'append' | 'get'>;
    newId(prefix: 'mem' | 'mchg' | 'sevt'): Id;
    now(): Millis;
  },
): ChangeStore {
  const { items, index, events } = deps;
  const insert = db.prepare(
    'INSERT INTO memory_changes (id, scope, kind, event_id, ops, at) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const one = db.prepare<[string], Row>('SELECT * FROM memory_changes WHERE id = ?');
  const last = db.prepare<[], { at: number }>('SELECT at FROM memory_changes ORDER BY rowid DESC LIMIT 1');
  const page = db.prepare<[string | null, number], Row>(
    `SELECT * FROM memory_changes
     WHERE rowid < coalesce((SELECT rowid FROM memory_changes WHERE id = ?), 9223372036854775807) ORDER BY rowid DESC LIMIT ?`,
  );
  const since = db.prepare<[string, string], Row>(
    `SELECT * FROM memory_changes WHERE rowid > (SELECT rowid FROM memory_changes WHERE id = ?) AND instr(ops, ?) > 0
     ORDER BY rowid LIMIT 5`,
  );
  const markUndone = db.prepare<[string, string]>('UPDATE memory_changes SET undone_by = ? WHERE id = ?');

  const need = (id: Id): Row => {
    const row = one.get(id);
    if (!row)
      throw new StewardError('not_found', `There is no change ${id} of memory.`, {
        op: 'read memory',
        hint: 'List them with `steward memory changes`.',
      });
    return row;
  };

  /** The record never runs backwards, also when the clock does. */
  const begin = (scope: string): Batch =>
    beginBatch(deps, { id: deps.newId('mchg'), scope, at: Math.max(deps.now(), last.get()?.at ?? 0) });

  /** The index, the event and the row that tell of it. */
  const finish = (
    batch: Batch,
    { scope, sessionId, kind }: { scope: string; sessionId: Id; kind: ChangeKind },
    more: { undoes?: Id; erased?: number } = {},
  ): Applied => {
    const { added, touched } = batch.done();
    const retired = touched.map(({ id }) => id).filter((id) => !added.includes(id));
    // Nothing that the index holds of an item ever changes: those that were closed or retired stand there as they are.
    for (const id of added) index.put(items.rowOf(id)!, items.need(id));
    const many = added.length + retired.length > TOLD_IDS;
    const told = many ? { added: added.length, retired: retired.length } : { added, retired };
    const payload = { change_id: batch.id, kind, scope, ...told, erased: more.erased ?? 0 };
    const [event] = events.append(sessionId, [{ type: 'memory.written', payload }]);
    const done: Done = { added, touched, erased: more.erased ?? 0 };
    if (more.undoes) done.undoes = more.undoes;
    const at = Math.max(deps.now(), last.get()?.at ?? 0);
    insert.run(batch.id, scope, kind, event!.id, JSON.stringify(done), at);
    return {
      change: toChange(need(batch.id)),
      added: added.map((id) => items.need(id)),
      retired: retired.map((id) => items.need(id)),
    };
  };

  const checkQuotes = (quotes: readonly Quote[]): void => {
    for (const { eventId, quote } of quotes) {
      const event = events.get(eventId);
      if (!event) throw invalid(`There is no event ${eventId} that a memory could come from.`);
      if (!saysSo(event, quote)) throw invalid(`The event ${eventId} does not say “${short(quote)}”.`);
    }
  };

  const check = (draft: Draft, scope: string): void => {
    if (draft.scope !== scope) throw invalid('One change belongs to one scope.');
    const why = refusal(draft.text, draft.kind);
    if (why) throw invalid(why);
    if (draft.tier === 'archive') throw invalid('The archive is only reached by archiving.');
    if (!(draft.confidence >= 0 && draft.confidence <= 1)) throw invalid('Confidence is a number from 0 to 1.');
    for (const time of [draft.validFrom, draft.validTo ?? 0, draft.expiresAt ?? 0])
      if (!Number.isSafeInteger(time)) throw invalid('A time of a memory is no whole number of milliseconds.');
    if (draft.validTo != null && draft.validTo <= draft.validFrom) throw invalid('It would end before it begins.');
    if (draft.sources.length + (draft.parents?.length ?? 0) === 0)
      throw invalid('A memory needs the event it comes from.');
    checkQuotes(draft.sources);
    for (const id of draft.parents ?? []) {
      const parent = items.get(id);
      if (parent?.scope !== scope)
        throw invalid(`There is no memory ${id} in this scope that another could be made from.`);
    }
  };

  const rowOf = (draft: Draft, pinned: boolean) => ({
    scope: draft.scope,
    tier: draft.tier,
    kind: draft.kind,
    subject: draft.subject,
    slot: draft.slot,
    text: draft.text.toWellFormed(),
    authority: draft.authority,
    confidence: draft.confidence,
    validFrom: draft.validFrom,
    validTo: draft.validTo ?? null,
    supersededBy: null,
    expiresAt: draft.expiresAt,
    about: draft.about ?? null,
    sources: draft.sources,
    parents: draft.parents ?? [],
    pinned,
  });

  const applyOp = (change: Batch, scope: string, op: Op): void => {
    switch (op.kind) {
      case 'add':
        check(op.draft, scope);
        change.add(rowOf(op.draft, op.draft.pinned ?? false));
        return;
      case 'supersede': {
        check(op.draft, scope);
        if (op.ids.length === 0) throw invalid('What is to be superseded is not said.');
        const old = op.ids.map((id) => change.close(id, op.draft.validFrom));
        const made = change.add(rowOf(op.draft, op.draft.pinned ?? old.some((item) => item.pinned)));
        for (const { id, supersededBy } of old)
          if (supersededBy === null) items.setStanding(id, { supersededBy: made.id, reason: op.why });
        return;
      }
      case 'retire':
        change.retire(op.id, op.why);
        return;
      case 'archive': {
        const item = items.need(op.id);
        if (item.tier === 'archive') throw conflict(`The memory ${op.id} is in the archive already.`);
        change.retire(op.id, op.why);
        const sources = items.quotes(op.id);
        const parents = items.parents(op.id);
        const made = change.add({ ...item, tier: 'archive', sources, parents, pinned: false });
        change.link(op.id, made.id);
        return;
      }
    }
  };

  const sessionOf = (row: Row): Id => events.get(row.event_id)!.sessionId;

  const undo = (id: Id): Applied => {
    const row = need(id);
    const done = JSON.parse(row.ops) as Done;
    if (row.undone_by)
      throw conflict(`The change ${id} was undone already.`, `To have it back, undo ${row.undone_by}.`);
    if (row.kind === 'forget') throw conflict('What was forgotten is gone: forgetting cannot be undone.');
    const batch = begin(row.scope);
    takeBack(batch, items, id, done, {
      touch: (itemId) => since.all(id, itemId).some(({ ops }) => touches(JSON.parse(ops) as Done, itemId)),
      names: (itemId) =>
        since
          .all(id, itemId)
          .map((later) => `${later.id} (${later.kind})`)
          .join(', ') || 'another change',
    });
    const applied = finish(batch, { scope: row.scope, sessionId: sessionOf(row), kind: 'undo' }, { undoes: id });
    markUndone.run(applied.change.id, id);
    return applied;
  };

  return {
    apply: ({ scope, sessionId, kind, ops }) =>
      db.tx(() => {
        if (ops.length === 0) throw invalid('A change without anything in it.');
        if (!CHANGE_KINDS.includes(kind as ChangeKind)) throw invalid(`There is no kind of change called ${kind}.`);
        const change = begin(scope);
        for (const op of ops) applyOp(change, scope, op);
        return finish(change, { scope, sessionId, kind: kind as ChangeKind });
      }),
    undo: (id) => db.tx(() => undo(id)),
    get(id) {
      const row = one.get(id);
      return row ? toChange(row) : null;
    },
    list: ({ limit, before }) => page.all(before ?? null, limit).map(toChange),
    restate: (id, sources) =>
      db.tx(() => {
        items.need(id);
        checkQuotes(sources);
        items.addSources(id, sources);
      }),
    pin: (id, on) =>
      db.tx(() => {
        const item = items.need(id);
        if (item.pinned === on) return item;
        if (on && item.retiredAt !== null)
          throw conflict(`The memory ${id} was retired; only what holds can be pinned.`);
        const session = one.get(item.changeId);
        if (session)
          events.append(sessionOf(session), [{ type: 'memory.pinned', payload: { item_id: id, pinned: on } }]);
        return items.setPinned(id, on, deps.now());
      }),
    erased: ({ scope, sessionId, erased }) =>
      finish(begin(scope), { scope, sessionId, kind: 'forget' }, { erased }).change,
    sessionOf(changeId) {
      const row = one.get(changeId);
      return row ? (events.get(row.event_id)?.sessionId ?? null) : null;
    },
  };
}

/** A change as an export tells it. False when it is known, or when the event that told of it is not here. */
export function restoreChanges(db: Db): Pick<Restore, 'change'> {
  const event = db.prepare<[string], object>('SELECT 1 FROM events WHERE id = ?');
  const insert = db.prepare(
    `INSERT INTO memory_changes (id, scope, kind, event_id, ops, at, undone_by) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO NOTHING`,
  );
  return {
    change: (row) =>
      event.get(row.event_id) !== undefined &&
      insert.run(row.id, row.scope, row.kind, row.event_id, row.ops, row.at, row.undone_by).changes === 1,
  };
}
