// Taking a change back: what it added is retired, what it closed or retired comes back as new rows, unless later changes stand on it.
import type { MemoryItem } from '../core/memory.ts';
import type { Id } from '../core/types.ts';
import { type Batch, conflict, short, type Touch } from './batch.ts';
import type { ItemStore, Standing } from './items.ts';

/** What later changes did with an item. */
export interface Later {
  /** They altered how it stands. */
  touch(itemId: Id): boolean;
  /** Those that have to do with it, in words. */
  names(itemId: Id): string;
}

/** Writes the inverse of `changeId` into the batch. Throws `conflict`, naming what is in the way. */
export function takeBack(
  batch: Batch,
  items: ItemStore,
  changeId: Id,
  done: { added: readonly Id[]; touched: readonly Touch[] },
  later: Later,
): void {
  const added = new Set(done.added);
  const standsOn = (itemId: Id) =>
    conflict(
      `The change ${changeId} cannot be undone: later changes stand on it: ${later.names(itemId)}.`,
      'Undo the later ones first.',
    );
  const asLeft = (item: MemoryItem, to: Standing): boolean =>
    item.retiredAt === to.retiredAt &&
    item.validTo === to.validTo &&
    (item.supersededBy === to.supersededBy || (item.supersededBy === null && !items.get(to.supersededBy!)));

  // The rolling summary of a session that went on: the later one stays, whatever else of this change is taken back.
  const wentOn = (id: Id): boolean => {
    const item = items.get(id);
    return item?.kind === 'summary' && item.supersededBy !== null && !added.has(item.supersededBy);
  };
  const stays = new Set(done.added.every(wentOn) ? [] : done.added.filter(wentOn));

  // What was forgotten in the meantime is gone, and stays gone: everything else is taken back.
  const touched = done.touched.filter(({ id, to }) => items.get(id) !== null && !stays.has(to.supersededBy ?? ''));
  const ends = new Map(touched.map(({ id, to }) => [id, to]));
  const fresh: Standing = { validTo: null, retiredAt: null, supersededBy: null };
  for (const itemId of done.added) {
    const item = items.get(itemId);
    if (!item || stays.has(itemId)) continue;
    // How the change left it: as it was written, unless it was touched again within the same batch.
    const left = ends.get(itemId) ?? { ...fresh, validTo: item.validTo, supersededBy: item.supersededBy };
    const closed = !ends.has(itemId) && later.touch(itemId);
    if (closed || !asLeft(item, left)) throw standsOn(itemId);
    if (items.derived(itemId).some((child) => child.retiredAt === null && !added.has(child.id))) throw standsOn(itemId);
    if (item.retiredAt === null) batch.retire(itemId, `undone (${changeId})`);
  }
  const back = touched.filter(({ id, from }) => !added.has(id) && from.retiredAt === null);
  for (const { id, to } of back) {
    const item = items.need(id);
    if (!asLeft(item, to)) throw standsOn(id);
    if (item.retiredAt === null) batch.retire(id, `undone (${changeId})`);
  }
  const copies = new Map<Id, Id>();
  for (const { id, from } of back) {
    const { tier, validFrom } = items.need(id);
    const span = { ...items.need(id), validFrom, validTo: from.validTo };
    const [taken] = tier === 'archive' ? [] : items.overlapping(span);
    if (taken)
      throw conflict(
        `The change ${changeId} cannot be undone: ${taken.subject} / ${taken.slot} has another value since ${taken.changeId} (“${short(taken.text)}”).`,
        `Undo ${taken.changeId} first.`,
      );
    const copy = batch.add({
      ...span,
      supersededBy: null,
      sources: items.quotes(id),
      parents: items.parents(id).filter((parent) => items.get(parent)),
    });
    copies.set(id, copy.id);
  }
  for (const { id, from, to } of back) {
    const copy = copies.get(id)!;
    // The successor it had before; by its copy, where that one came back too.
    const next = from.supersededBy && (copies.get(from.supersededBy) ?? items.get(from.supersededBy)?.id);
    if (next) items.setStanding(copy, { supersededBy: next });
    // So that a chain shows what came back after what was taken away.
    const after = to.supersededBy && added.has(to.supersededBy) ? to.supersededBy : id;
    if (items.get(after)) batch.link(after, copy);
  }
}
