// What must hold for every hit, whatever found it: in SQL, and again as a test of rows. Pure.
import type { MemorySearch, Tier } from '../../core/memory.ts';
import { FLAG } from '../index/entry.ts';
import { OWNER } from '../scope.ts';
import { nameOf } from '../text/tokens.ts';
import type { Question } from './question.ts';
import type { Doc, ItemState, Where } from './reader.ts';

/** Conditions on rows of the index that hold for every hit. */
export function conditions(scope: string, search: MemorySearch): Where {
  const sql = ['d.scope = ?'];
  const values: (string | number)[] = [scope];
  const add = (clause: string, ...given: (string | number)[]) => {
    sql.push(clause);
    values.push(...given);
  };
  if (search.after !== undefined) add('d.at >= ?', search.after);
  const before = Math.min(search.before ?? Number.MAX_SAFE_INTEGER, search.asOf ?? Number.MAX_SAFE_INTEGER);
  if (before < Number.MAX_SAFE_INTEGER) add('d.at <= ?', before);
  const { actor } = search;
  // Whatever the owner is called on the channel it was said on.
  if (actor !== undefined && nameOf(actor) === OWNER) add("d.trust = 'owner'");
  else if (actor !== undefined)
    add("(d.actor = ? OR ' ' || d.actor || ' ' LIKE '% ' || ? || ' %')", ...(Array(2).fill(nameOf(actor)) as string[]));
  if (search.sessionId !== undefined) add('d.session_id = ?', search.sessionId);
  if (search.trustedOnly) add("d.trust <> 'outside' AND d.flags & 4 = 0");
  const kinds = search.tiers ? ['item'] : search.kinds;
  if (kinds && !kinds.includes('item')) add('d.doc % 2 = 0');
  if (kinds && !kinds.includes('event')) add('d.doc % 2 = 1');
  return { sql: sql.join(' AND '), values };
}

/** The conditions once more, for docs that did not come through the index. */
export function filterOf({ scope, search }: Question): (doc: Doc) => boolean {
  const actor = search.actor === undefined ? null : nameOf(search.actor);
  const kinds = search.tiers ? ['item'] : search.kinds;
  return (doc) =>
    doc.scope === scope &&
    doc.at >= (search.after ?? Number.MIN_SAFE_INTEGER) &&
    doc.at <= Math.min(search.before ?? Number.MAX_SAFE_INTEGER, search.asOf ?? Number.MAX_SAFE_INTEGER) &&
    (actor === null || (actor === OWNER ? doc.trust === 'owner' : ` ${doc.actor} `.includes(` ${actor} `))) &&
    (search.sessionId === undefined || doc.session_id === search.sessionId) &&
    (!search.trustedOnly || (doc.trust !== 'outside' && (doc.flags & FLAG.archived) === 0)) &&
    (!kinds || kinds.includes(doc.doc % 2 === 0 ? 'event' : 'item'));
}

export function holds(item: ItemState, search: MemorySearch, now: number): boolean {
  if (search.tiers && !search.tiers.includes(item.tier as Tier)) return false;
  if (search.includeRetired) return true;
  // What was taken back never held; what another took the place of held until then.
  const at = search.asOf ?? now;
  return (
    item.retired_at === null &&
    (search.asOf === undefined || item.valid_from <= at) &&
    (item.valid_to === null || item.valid_to > at) &&
    (item.expires_at === null || item.expires_at > at)
  );
}
