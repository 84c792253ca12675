// From what somebody wants kept to the item that is to be: what is left out has a default. Pure.
import type { ItemKind, SaveRequest } from '../core/memory.ts';
import type { Millis } from '../core/types.ts';
import type { Authority, Draft, Quote } from './types.ts';

/** What is of the moment is over after this, unless a time is said. */
export const STATE_MS: Millis = 14 * 86_400_000;
const CONFIDENCE: Record<Authority, number> = { owner: 1, agent: 0.7, outside: 0.4 };
/** Kinds that are of the moment. */
const MOMENT: ReadonlySet<ItemKind> = new Set(['loop', 'focus']);

export const tierOf = (request: Pick<SaveRequest, 'tier' | 'kind'>): NonNullable<SaveRequest['tier']> =>
  request.tier ?? (MOMENT.has(request.kind ?? 'fact') ? 'state' : 'reference');

export function draftOf(
  request: SaveRequest,
  facts: { scope: string; authority: Authority; sources: readonly Quote[]; now: Millis },
): Draft {
  const tier = tierOf(request);
  const expiresAt = request.expiresAt === undefined && tier === 'state' ? facts.now + STATE_MS : request.expiresAt;
  return {
    scope: facts.scope,
    tier,
    kind: request.kind ?? 'fact',
    subject: request.subject ?? null,
    slot: request.slot ?? null,
    text: request.text.trim(),
    authority: facts.authority,
    confidence: CONFIDENCE[facts.authority],
    validFrom: request.validFrom ?? facts.now,
    expiresAt: expiresAt ?? null,
    sources: facts.sources,
    pinned: request.pinned ?? false,
  };
}
