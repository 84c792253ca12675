// Where a draft goes when it meets what is known: a new line, one more source, a successor, a question, or nowhere. Pure.
import type { MemoryItem } from '../core/memory.ts';
import type { Millis } from '../core/types.ts';
import { normalName, normalText } from './normalise.ts';
import { refusal } from './refusal.ts';
import type { Authority, Draft, Op, Placement } from './types.ts';

export interface PlacementFacts {
  now: Millis;
  /** The owner had it forgotten, and has not said it again. */
  forgotten?: boolean;
  /** The owner was asked this before and said no. */
  rejected?: boolean;
}

const RANK: Record<Authority, number> = { outside: 0, agent: 1, owner: 2 };

const isOpen = (item: MemoryItem): boolean => item.retiredAt === null && item.tier !== 'archive';
const saysTheSame = (a: Pick<MemoryItem, 'text'>, b: Pick<MemoryItem, 'text'>): boolean =>
  normalText(a.text) === normalText(b.text);

/** Words of others become who the owner is, or what is known, only by the owner's word; the agent's own never touch identity. */
function needsConsent(draft: Draft): string | null {
  if (draft.authority === 'outside' && (draft.tier === 'identity' || draft.tier === 'reference'))
    return 'these are words from outside';
  if (draft.authority === 'agent' && draft.tier === 'identity') return 'only you say who you and your agent are';
  return null;
}

/**
 * `known`: whatever was said in the draft's slot (history too), about what it is about, and with the same text, in its scope
 * (`knownFor` in save.ts). Authority: owner over agent over outside; equal and newer takes the place of older.
 */
export function place(draft: Draft, known: readonly MemoryItem[], facts: PlacementFacts): Placement {
  const why = refusal(draft.text, draft.kind);
  if (why) return { kind: 'refuse', why };
  if (facts.forgotten) return { kind: 'refuse', why: 'This was forgotten at the owner’s wish.' };

  const here = known.filter((item) => item.scope === draft.scope && item.retiredAt === null);
  const expired = (item: MemoryItem) => item.expiresAt !== null && item.expiresAt <= facts.now;
  const subject = normalName(draft.subject);
  const slot = normalName(draft.slot);
  const slotted = subject !== null && slot !== null;
  const about = draft.about ?? null;
  const inPlace = (item: MemoryItem): boolean =>
    about !== null
      ? item.about === about && item.kind === draft.kind
      : slotted && item.subject === subject && item.slot === slot && item.about === null;

  const values = here.filter((item) => isOpen(item) && inPlace(item));
  const live = values.find((item) => item.validTo === null) ?? null;
  const same = live ? (saysTheSame(live, draft) ? live : null) : twin(draft, here, slotted);
  // Said before without a place, and now with one: the place is new.
  const placed = same !== null && slotted && same.slot === null && RANK[draft.authority] >= RANK[same.authority];
  if (same && !expired(same) && !placed) return { kind: 'known', id: same.id };

  if (facts.rejected) return { kind: 'refuse', why: 'The owner was asked this before and said no.' };
  const consent = needsConsent(draft);
  if (consent) return { kind: 'ask', question: 'promotion', about: live?.id ?? null, why: consent };
  if (same) return { kind: 'supersede', ids: [same.id] };
  if (!live && values.length === 0) return archived(draft, here);

  const from = draft.validFrom;
  const planned = live !== null && live.validFrom > Math.max(live.recordedAt, facts.now, from);
  // Said for now counts as the newest, also where the clock was set back.
  const late = live !== null && from < live.validFrom && from < facts.now;
  if (late && !planned) return history(draft, values);
  // What holds from then on, or would still hold then: a value with an end in the future, too.
  const ended = values.filter(
    (item) => !(planned && item === live) && (item.validTo === null || item.validTo > Math.max(from, item.validFrom)),
  );
  const again = planned && ended.find((item) => saysTheSame(item, draft) && !expired(item));
  if (again) return { kind: 'known', id: again.id };
  const stronger = ended.find((item) => RANK[item.authority] > RANK[draft.authority] && !expired(item));
  if (stronger)
    return {
      kind: 'ask',
      question: 'contradiction',
      about: stronger.id,
      why: `${whose(stronger.authority)} say otherwise`,
    };
  const until = planned ? { validTo: Math.min(live.validFrom, draft.validTo ?? live.validFrom) } : {};
  return ended.length > 0 ? { kind: 'supersede', ids: ended.map(({ id }) => id), ...until } : { kind: 'add', ...until };
}

const whose = (authority: Authority): string =>
  ({ owner: 'your own words', agent: 'earlier notes', outside: 'other words from outside' })[authority];

/** The same words, live: anywhere for a draft without a slot, without a slot for one that has its own. */
function twin(draft: Draft, here: readonly MemoryItem[], slotted: boolean): MemoryItem | null {
  if (draft.about) return null;
  const same = (item: MemoryItem) =>
    isOpen(item) && item.validTo === null && item.about === null && saysTheSame(item, draft);
  return here.find((item) => same(item) && !(slotted && item.slot !== null)) ?? null;
}

/** What lies in the archive and is said again comes back from there. */
function archived(draft: Draft, here: readonly MemoryItem[]): Placement {
  const cold = here.filter(
    (item) =>
      item.tier === 'archive' && item.supersededBy === null && item.validTo === null && saysTheSame(item, draft),
  );
  return cold.length > 0 ? { kind: 'supersede', ids: cold.map(({ id }) => id) } : { kind: 'add' };
}

/** Older knowledge that arrives late: it held until the next value began, and ends the one that stood there meanwhile. */
function history(draft: Draft, values: readonly MemoryItem[]): Placement {
  const from = draft.validFrom;
  const held = values.find(
    (item) => item.validTo !== null && item.validFrom <= from && item.validTo > from && item.validTo > item.validFrom,
  );
  if (held && saysTheSame(held, draft)) return { kind: 'known', id: held.id };
  if (held)
    return {
      kind: 'ask',
      question: 'contradiction',
      about: held.id,
      why: 'something else is known about that time',
    };
  const next = Math.min(...values.filter((item) => item.validFrom > from).map((item) => item.validFrom));
  const validTo = Math.min(next, draft.validTo ?? next);
  return { kind: 'add', validTo };
}

/** The step that carries a placement out; null when there is none to take. */
export function opOf(draft: Draft, placement: Placement, why = 'said anew'): Op | null {
  if (placement.kind !== 'add' && placement.kind !== 'supersede') return null;
  const placed = placement.validTo === undefined ? draft : { ...draft, validTo: placement.validTo };
  return placement.kind === 'add'
    ? { kind: 'add', draft: placed }
    : { kind: 'supersede', ids: placement.ids, draft: placed, why };
}
