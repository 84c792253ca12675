// What the rest of Steward needs to know about memory: what the brain asks of it, and what the API, commands and tools may do with it.
import type { Id, JsonObject, LogEvent, Millis, Session } from './types.ts';

/** Lines of memory that stand in every request of a session. Same items, same bytes. */
export interface MemoryBlock {
  /** Empty when there is nothing. */
  text: string;
  itemIds: readonly Id[];
}

/** What was found about the messages of a turn, laid beside them once and for all. */
export interface Recalled {
  text: string;
  /** The items and events quoted, in order. */
  ids: readonly Id[];
  tokens: number;
}

/** What the brain asks. None of these throws; memory that fails is memory that says nothing. */
export interface BrainMemory {
  /** At once. */
  block(session: Session): MemoryBlock;
  /** Null: nothing worth a line, or not found in time. `shown`: what was recalled here before and still stands in the context. */
  recall(session: Session, messages: readonly LogEvent[], shown: ReadonlySet<Id>): Promise<Recalled | null>;
  /** These events are about to be summarised away: a consolidation of them is due. At once; the work goes on beside the turn. */
  compacting(session: Session, upTo: number): void;
  /** The session rests. At once. */
  rested(session: Session): void;
}

/** A question to the model beside any conversation. `none`: there is no model but the offline one. */
export type Consult = (request: {
  /** Whose log tells of it and whose cost it is. */
  sessionId: Id;
  system: string;
  prompt: string;
  /** Upper bound of the answer. */
  maxTokens: number;
  signal: AbortSignal;
}) => Promise<{ kind: 'answered'; text: string } | { kind: 'failed'; why: string } | { kind: 'none' }>;

export const TIERS = ['identity', 'state', 'reference', 'session', 'archive'] as const;
export type Tier = (typeof TIERS)[number];
export const KINDS = [
  'fact',
  'preference',
  'decision',
  'person',
  'procedure',
  'loop',
  'focus',
  'summary',
  'file',
] as const;
export type ItemKind = (typeof KINDS)[number];

/** One immutable statement, as everybody sees it. */
export interface MemoryItem {
  id: Id;
  /** `owner`, or the id of the session of a guest or group. */
  scope: string;
  tier: Tier;
  kind: ItemKind;
  subject: string | null;
  slot: string | null;
  text: string;
  /** Whose words it rests on. */
  authority: 'owner' | 'agent' | 'outside';
  /** 0 to 1. */
  confidence: number;
  pinned: boolean;
  /** In the world. */
  validFrom: Millis;
  validTo: Millis | null;
  /** In the record. */
  recordedAt: Millis;
  retiredAt: Millis | null;
  retireReason: string | null;
  supersededBy: Id | null;
  expiresAt: Millis | null;
  /** Of a summary: its session. Of a file: its path. */
  about: string | null;
  changeId: Id;
}

export interface MemorySource {
  eventId: Id;
  quote: string;
  sessionId: Id;
  at: Millis;
  channel: string | null;
  who: string;
}

/** One answer of search: a quote of an event, or an item. */
export interface MemoryHit {
  kind: 'event' | 'item';
  /** Of the event or item. */
  id: Id;
  text: string;
  /** 0 to 1; below `weak` nothing is claimed. */
  score: number;
  at: Millis;
  who: string;
  trust: 'owner' | 'agent' | 'outside';
  sessionId: Id | null;
  channel: string | null;
  /** For items. */
  tier: Tier | null;
  /** Which levers found it, for the curious: {lexical: 3.1, neighbours: .4, …}. */
  why: Record<string, number>;
}

export interface MemorySearch {
  query: string;
  /** At most this many; 10 when left out. */
  limit?: number;
  after?: Millis;
  before?: Millis;
  /** Only what this person said; `owner` is the owner by whatever name. */
  actor?: string;
  kinds?: readonly ('event' | 'item')[];
  tiers?: readonly Tier[];
  /** What held at that time instead of now (items). */
  asOf?: Millis;
  sessionId?: Id;
  /** Retired and archived items, too. */
  includeRetired?: boolean;
  /** Without words from outside: what may stand in a prompt unasked. */
  trustedOnly?: boolean;
}

export interface MemoryFound {
  hits: MemoryHit[];
  /** The best score is too low to be taken for an answer. */
  weak: boolean;
  /** Vectors are configured and could not be asked: these are the lexical answers alone. */
  degraded: string | null;
  tookMs: number;
}

export interface MemoryChange {
  id: Id;
  kind: string;
  at: Millis;
  eventId: Id;
  undoneBy: Id | null;
  added: Id[];
  retired: Id[];
  erased: number;
}

export interface MemoryQuestion {
  id: Id;
  kind: 'contradiction' | 'promotion' | 'merge';
  /** In words, for the owner. */
  text: string;
  item: MemoryItem | null;
  proposal: JsonObject;
  createdAt: Millis;
}

export interface SaveRequest {
  text: string;
  tier?: Exclude<Tier, 'session' | 'archive'>;
  kind?: Exclude<ItemKind, 'summary' | 'file'>;
  subject?: string | null;
  slot?: string | null;
  validFrom?: Millis;
  expiresAt?: Millis | null;
  pinned?: boolean;
}

export type Saved =
  | { kind: 'saved'; item: MemoryItem; superseded: Id[]; changeId: Id }
  /** The same was known: it has one more source now. */
  | { kind: 'known'; item: MemoryItem }
  /** It waits for the owner. */
  | { kind: 'asked'; question: MemoryQuestion };

/** Who writes, seen from the log: decides what may be written without asking. */
export interface Writer {
  scope: string;
  session: Session;
  /** The event that causes it (a tool call, a message); null: an event is made for it (console, command line). */
  eventId: Id | null;
  authority: 'owner' | 'agent' | 'outside';
}

/** What the API, the command line and chat commands offer. Every method throws StewardError; ids that are not there `not_found`. */
export interface MemoryApi {
  list(query: {
    scope?: string;
    tier?: Tier;
    kind?: ItemKind;
    subject?: string;
    asOf?: Millis;
    includeRetired?: boolean;
    pinned?: boolean;
    /** The newest first; the oldest when left out. */
    order?: 'asc' | 'desc';
    /** The id after which to go on, in that order. */
    after?: Id;
    limit: number;
  }): MemoryItem[];
  show(id: Id): { item: MemoryItem; sources: MemorySource[]; history: MemoryItem[]; derived: MemoryItem[] };
  search(query: MemorySearch, scope?: string): Promise<MemoryFound>;
  save(request: SaveRequest, writer?: Writer): Saved;
  /** A new row in its place. */
  edit(id: Id, change: Partial<SaveRequest>, writer?: Writer): Saved;
  pin(id: Id, on: boolean): MemoryItem;
  /** It was wrong: it holds no longer, and stays in the history. */
  retire(id: Id, reason: string, writer?: Writer): MemoryItem;
  /** For good; with `sources` the words it came from, too. */
  forget(id: Id, options: { sources: boolean }, writer?: Writer): MemoryForgotten;
  /** Words said once (an event), for good. */
  forgetEvent(eventId: Id, writer?: Writer): MemoryForgotten;
  changes(query: { limit: number; before?: Id }): MemoryChange[];
  change(id: Id): { change: MemoryChange; added: MemoryItem[]; retired: MemoryItem[] };
  undo(changeId: Id): MemoryChange;
  questions(): MemoryQuestion[];
  answer(questionId: Id, accept: boolean): Saved | null;
  /** Runs a job now; `dryRun` only says what it would do. */
  consolidate(kind: 'idle' | 'nightly' | 'weekly', options: { dryRun: boolean; sessionId?: Id }): Promise<MemoryRun>;
  stats(): JsonObject;
  /** Pieces of the file, in order. */
  export(format: 'jsonl' | 'markdown'): AsyncIterable<{ path: string; data: string }>;
  import(input: MemoryImport): Promise<MemoryImported>;
}

export interface MemoryForgotten {
  items: number;
  events: number;
  /** What still says it, in words; empty when nothing does. */
  remains: string[];
  changeId: Id;
}

export interface MemoryRun {
  kind: string;
  /** Null on a dry run, and when nothing changed. */
  changeId: Id | null;
  added: JsonObject[];
  retired: { id: Id; text: string; why: string }[];
  questions: number;
  /** Proposals that were not taken, each with its reason. */
  refused: string[];
  summary: string;
}

export interface MemoryImport {
  format: 'jsonl' | 'markdown' | 'transcript' | 'zylos' | 'openclaw';
  /** Path within the export, or the name of the file, and its text. */
  files: readonly { path: string; data: string }[];
  dryRun?: boolean;
  /**
   * Everything in it is the owner's own words (true), or what the speaker of this name says. Otherwise it is text from outside:
   * searchable, but what would be known for good waits for the owner. The Markdown tree is the owner's unless false is said.
   */
  own?: boolean | string;
}

export interface MemoryImported {
  items: number;
  events: number;
  skipped: { what: string; why: string }[];
  changeId: Id | null;
}
