// The room's own vocabulary: what its parts hand each other. Types only.
import type { ItemKind, MemoryChange, MemoryItem, MemoryQuestion, MemorySource, Tier } from '../core/memory.ts';
import type { Id, Millis } from '../core/types.ts';

export type Authority = MemoryItem['authority'];

/** The words of an event that an item rests on; a part of them, letter by letter. */
export interface Quote {
  eventId: Id;
  quote: string;
}

/** An item that is to be. Subject and slot are normalised by `items` as they are written. */
export interface Draft {
  scope: string;
  tier: Tier;
  kind: ItemKind;
  subject: string | null;
  slot: string | null;
  text: string;
  authority: Authority;
  confidence: number;
  validFrom: Millis;
  validTo?: Millis | null;
  expiresAt: Millis | null;
  about?: string | null;
  /** At least one, except for drafts with parents. */
  sources: readonly Quote[];
  parents?: readonly Id[];
  pinned?: boolean;
}

/** One step of a change. */
export type Op =
  | { kind: 'add'; draft: Draft }
  /** The new one holds from its `validFrom` on; the old ones until then. */
  | { kind: 'supersede'; ids: readonly Id[]; draft: Draft; why: string }
  | { kind: 'retire'; id: Id; why: string }
  /** Cold: still found, ranked lower, never loaded by itself. A new row of tier `archive` takes its place. */
  | { kind: 'archive'; id: Id; why: string };

/** Where a draft goes when it meets what is known. Decided without touching anything (memory/placement.ts). */
export type Placement =
  /** `validTo`: older knowledge that arrives late; it held until then, and is history. */
  | { kind: 'add'; validTo?: Millis }
  | { kind: 'known'; id: Id }
  /** `validTo`: something else is known to hold from then on. */
  | { kind: 'supersede'; ids: Id[]; validTo?: Millis }
  | { kind: 'ask'; question: MemoryQuestion['kind']; about: Id | null; why: string }
  | { kind: 'refuse'; why: string };

export interface ItemQuery {
  scope?: string;
  tiers?: readonly Tier[];
  kind?: ItemKind;
  subject?: string;
  about?: string;
  /** What held in the world then, as far as was recorded by now. */
  asOf?: Millis;
  includeRetired?: boolean;
  pinned?: boolean;
  /** By when they were written down; `asc` when left out. */
  order?: 'asc' | 'desc';
  after?: Id;
  limit: number;
}

/** Reading items (memory/items.ts). Writing is for `Changes` alone. */
export interface Items {
  get(id: Id): MemoryItem | null;
  /** As `get`, or throws `not_found`. */
  need(id: Id): MemoryItem;
  /** Without `asOf` and `includeRetired`: what is live and holds now, oldest first. */
  list(query: ItemQuery): MemoryItem[];
  /** Another one after every change of what is known, and each minute, for what begins and ends by itself. */
  edition(): string;
  /** What holds now, without files, the pinned ones first, then the newest. */
  foremost(scope: string, tier: Tier, limit: number): MemoryItem[];
  bySlot(scope: string, subject: string, slot: string): MemoryItem | null;
  sources(id: Id): MemorySource[];
  /** The whole chain an item belongs to, oldest first. */
  history(id: Id): MemoryItem[];
  /** Made from it. */
  derived(id: Id): MemoryItem[];
  ofEvent(eventId: Id): MemoryItem[];
  count(query: { scope?: string; tiers?: readonly Tier[] }): number;
}

export interface Applied {
  change: MemoryChange;
  added: MemoryItem[];
  retired: MemoryItem[];
}

/** The one way in which memory changes (memory/changes.ts). */
export interface Changes {
  /**
   * All ops, the row of the change, the index and the event `memory.written` (ids only, no words) in one transaction.
   * Throws `conflict` when an op does not fit what is there (already retired, slot taken), and `invalid`.
   */
  apply(input: { scope: string; sessionId: Id; kind: string; ops: readonly Op[] }): Applied;
  get(id: Id): MemoryChange | null;
  list(query: { limit: number; before?: Id }): MemoryChange[];
  /** A change that is its inverse: what was added is retired, what was retired is added again as new rows. */
  undo(id: Id): Applied;
  /** One more source for an item that was said again. */
  restate(id: Id, sources: readonly Quote[]): void;
  pin(id: Id, on: boolean): MemoryItem;
}

/** What is open for the owner to decide (memory/questions.ts). */
export interface Questions {
  open(input: { scope: string; kind: MemoryQuestion['kind']; proposal: Draft; itemId: Id | null }): MemoryQuestion;
  list(scope?: string): MemoryQuestion[];
  need(id: Id): MemoryQuestion;
  /** Accepted: the proposal is written with the owner's authority. Null when rejected. */
  answer(id: Id, accept: boolean): Applied | null;
}

/** The part of the index that items keep up to date, within the transaction that writes them (memory/index/docs.ts). */
export interface ItemIndex {
  /** Adds or replaces. `row` is memory_items.row. */
  put(row: number, item: MemoryItem): void;
  remove(row: number): void;
}

/** Numbers and words of the room itself (memory/meta.ts). */
export interface Meta {
  get(name: string): string | null;
  set(name: string, value: string): void;
}

/**
 * Writing rows as an export tells them, with the ids, times and links they had: for restoring one (memory/portability) and
 * nothing else. Everything else goes through `Changes`. Callers hold a transaction. Each part is implemented by the one
 * writing module of its table, as `restore…` beside its factory.
 */
export interface Restore {
  /**
   * memory/items.ts, `restoreItem`. Links are written by `linkItem`, once all items are there.
   * `known`: the id is here. `taken`: something else that is live has its slot, or its `about`. Nothing is written then.
   */
  item(item: MemoryItem, pinnedAt: Millis | null): 'added' | 'known' | 'taken';
  linkItem(id: Id, links: { supersededBy: Id | null; sources: readonly Quote[]; parents: readonly Id[] }): void;
  /** memory/changes.ts, `restoreChange`: the row as it is. False when the id is known. */
  change(row: ChangeRow): boolean;
  /** memory/questions.ts, `restoreQuestion`: the row as it is. False when the id is known. */
  question(row: QuestionRow): boolean;
  /**
   * memory/tombstones.ts: hashes made with the keys of another home. From then on a text is forgotten when its hash under any
   * known key is there. A home that has forgotten nothing yet takes these keys in place of its own. Returns how many were new.
   */
  tombstones(keys: readonly string[], rows: readonly { hash: string; at: Millis }[]): number;
}

export interface ChangeRow {
  id: Id;
  scope: string;
  kind: string;
  event_id: Id;
  ops: string;
  at: Millis;
  undone_by: Id | null;
}

export interface QuestionRow {
  id: Id;
  scope: string;
  kind: string;
  proposal: string;
  item_id: Id | null;
  created_at: Millis;
  resolved_at: Millis | null;
  verdict: string | null;
}
