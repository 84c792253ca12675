// One change under way: rows added, closed, retired and linked, each remembered as it was, so that it can be taken back.
import { StewardError } from '../core/errors.ts';
import type { MemoryItem } from '../core/memory.ts';
import type { Id, Millis } from '../core/types.ts';
import type { ItemStore, NewItem, Standing } from './items.ts';
import { normalName } from './normalise.ts';

/** What a change did to a row that was there: how it stood, and how it stands since. */
export interface Touch {
  id: Id;
  from: Standing;
  to: Standing;
}

/** Each throws `conflict` when it does not fit what is there, `not_found` for ids that are not. */
export interface Batch {
  readonly id: Id;
  add(item: Omit<NewItem, 'id' | 'recordedAt' | 'changeId'>): MemoryItem;
  /** It held until then; it is closed before its successor is written, and linked to it after. */
  close(itemId: Id, until: Millis): MemoryItem;
  retire(itemId: Id, reason: string): MemoryItem;
  /** Unless it has a successor already. */
  link(itemId: Id, successor: Id): void;
  done(): { added: Id[]; touched: Touch[] };
}

export const conflict = (message: string, hint?: string): StewardError =>
  new StewardError('conflict', message, { op: 'change memory', ...(hint ? { hint } : {}) });
export const short = (text: string): string => (text.length > 60 ? `${text.slice(0, 59).toWellFormed()}…` : text);

const standing = ({ validTo, retiredAt, supersededBy }: MemoryItem): Standing => ({ validTo, retiredAt, supersededBy });

/** The caller holds the transaction. `at`: when it is recorded. */
export function beginBatch(
  deps: { items: ItemStore; newId(prefix: 'mem'): Id },
  { id, scope, at }: { id: Id; scope: string; at: Millis },
): Batch {
  const { items } = deps;
  const added: Id[] = [];
  const from = new Map<Id, Standing>();
  const touch = (item: MemoryItem) => {
    if (!from.has(item.id)) from.set(item.id, standing(item));
  };
  /** To be written to: of this scope, and still said by the record. */
  const take = (itemId: Id): MemoryItem => {
    const item = items.need(itemId);
    if (item.scope !== scope) throw conflict(`The memory ${itemId} belongs to another conversation.`);
    if (item.retiredAt !== null)
      throw conflict(`The memory ${itemId} was retired already.`, 'Look at it with `steward memory history`.');
    return item;
  };
  return {
    id,
    add(item) {
      if (item.tier !== 'archive') {
        const normal = { ...item, subject: normalName(item.subject), slot: normalName(item.slot) };
        const [taken] = items.overlapping(normal);
        if (taken)
          throw conflict(
            `${normal.subject} / ${normal.slot} has a value already: ${taken.id} (“${short(taken.text)}”).`,
            'Supersede it, or retire it first.',
          );
        const same = item.about !== null && item.validTo === null && items.byAbout(scope, item.kind, item.about);
        if (same) throw conflict(`There is a ${item.kind} about ${item.about} already: ${same.id}.`);
      }
      const made = items.insert({ ...item, id: deps.newId('mem'), recordedAt: at, changeId: id });
      added.push(made.id);
      return made;
    },
    close(itemId, until) {
      const item = take(itemId);
      // One whose successor is still to come can yet be shortened.
      if (item.supersededBy !== null && (item.validTo ?? 0) <= until)
        throw conflict(`The memory ${itemId} was superseded already, by ${item.supersededBy}.`);
      touch(item);
      const end = Math.max(item.validFrom, until);
      return items.setStanding(itemId, { validTo: Math.min(end, item.validTo ?? end) });
    },
    retire(itemId, reason) {
      const item = take(itemId);
      touch(item);
      return items.setStanding(itemId, { retiredAt: at, reason });
    },
    link(itemId, successor) {
      if (items.need(itemId).supersededBy === null) items.setStanding(itemId, { supersededBy: successor });
    },
    done: () => ({
      added,
      touched: [...from].map(([itemId, before]) => ({ id: itemId, from: before, to: standing(items.need(itemId)) })),
    }),
  };
}
