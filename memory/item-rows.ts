// Items as rows of the record, and back: their shape, what holds when, and a query as conditions. Pure.
import type { ItemKind, MemoryItem, MemorySource, Tier } from '../core/memory.ts';
import type { Millis } from '../core/types.ts';
import { normalName } from './normalise.ts';
import type { Authority, ItemQuery } from './types.ts';

export interface Row {
  row: number;
  id: string;
  scope: string;
  tier: Tier;
  kind: ItemKind;
  subject: string | null;
  slot: string | null;
  text: string;
  authority: Authority;
  confidence: number;
  valid_from: number;
  valid_to: number | null;
  recorded_at: number;
  retired_at: number | null;
  retire_reason: string | null;
  superseded_by: string | null;
  expires_at: number | null;
  about: string | null;
  change_id: string;
  text_key: string;
  pinned_at: number | null;
}

export const toItem = (row: Row): MemoryItem => ({
  id: row.id,
  scope: row.scope,
  tier: row.tier,
  kind: row.kind,
  subject: row.subject,
  slot: row.slot,
  text: row.text,
  authority: row.authority,
  confidence: row.confidence,
  pinned: row.pinned_at !== null,
  validFrom: row.valid_from,
  validTo: row.valid_to,
  recordedAt: row.recorded_at,
  retiredAt: row.retired_at,
  retireReason: row.retire_reason,
  supersededBy: row.superseded_by,
  expiresAt: row.expires_at,
  about: row.about,
  changeId: row.change_id,
});

export const SELECT = 'SELECT i.*, p.pinned_at FROM memory_items i LEFT JOIN memory_pins p ON p.item_id = i.id';
/** After every time there is: an item without an end. */
export const FOREVER = Number.MAX_SAFE_INTEGER;

/** Pure. True in the world at that time, as far as the record says now. */
export const holdsAt = (item: MemoryItem, at: Millis): boolean =>
  item.retiredAt === null &&
  item.validFrom <= at &&
  (item.validTo === null || item.validTo > at) &&
  (item.expiresAt === null || item.expiresAt > at);

/** In the words of `holdsAt`, with the time three times; `expires_at` goes by the wall clock. */
export const HOLDS =
  'i.retired_at IS NULL AND i.valid_from <= ? AND (i.valid_to IS NULL OR i.valid_to > ?) AND (i.expires_at IS NULL OR i.expires_at > ?)';

export interface SourceRow {
  event_id: string;
  quote: string;
  session_id: string;
  type: string;
  created_at: number;
  origin: string | null;
  speaker: string | null;
  said_at: number | null;
}

export function toSource(row: SourceRow): MemorySource {
  const origin = row.origin
    ? (JSON.parse(row.origin) as { sender: { channel: string; userId: string; name?: string }; role: string })
    : null;
  const person = origin ? (origin.sender.name ?? (origin.role === 'owner' ? 'owner' : origin.sender.userId)) : null;
  return {
    eventId: row.event_id,
    quote: row.quote,
    sessionId: row.session_id,
    at: typeof row.said_at === 'number' ? row.said_at : row.created_at,
    channel: origin?.sender.channel ?? null,
    who: row.speaker ?? person ?? (row.type.startsWith('user.') ? 'owner' : 'steward'),
  };
}

export function conditions(
  query: Partial<ItemQuery>,
  time: Millis,
  wall: Millis,
): { where: string[]; values: (string | number)[] } {
  const where: string[] = ['1'];
  const values: (string | number)[] = [];
  const add = (clause: string, ...more: (string | number)[]) => {
    where.push(clause);
    values.push(...more);
  };
  if (query.scope !== undefined) add('i.scope = ?', query.scope);
  if (query.tiers) add(`i.tier IN (${query.tiers.map(() => '?').join(', ')})`, ...query.tiers);
  if (query.kind) add('i.kind = ?', query.kind);
  if (query.subject !== undefined) add('i.subject = ?', normalName(query.subject) ?? '');
  if (query.about !== undefined) add('i.about = ?', query.about);
  if (query.pinned !== undefined)
    add(`${query.pinned ? '' : 'NOT '}EXISTS (SELECT 1 FROM memory_pins q WHERE q.item_id = i.id)`);
  if (query.asOf !== undefined) add(HOLDS, query.asOf, query.asOf, query.asOf);
  else if (!query.includeRetired) add(HOLDS, time, time, wall);
  return { where, values };
}
