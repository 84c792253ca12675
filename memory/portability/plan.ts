// What an import means to do, before anything is done: words that were said, and what should be known from them. Types only.
import type { ItemKind, Tier } from '../../core/memory.ts';
import type { Id, Millis } from '../../core/types.ts';

/** Words of a source file; each becomes one event. */
export interface Spoken {
  speaker: string;
  text: string;
  at: Millis;
  /** The owner's own words; everything else is text from outside. */
  own: boolean;
}

/** Something to know. */
export interface Noted {
  tier: Tier;
  kind: ItemKind;
  subject: string | null;
  slot: string | null;
  text: string;
  validFrom: Millis;
  /** Days from the import on, for what is of the moment. */
  expiresInDays?: number;
  expiresAt?: Millis;
  pinned?: boolean;
  about?: string;
  /** Which of the file's `spoken` it comes from, and the part of it, letter by letter. */
  from: number;
  quote: string;
  /** The item a line was exported from. */
  id?: Id;
}

export interface SourceFile {
  path: string;
  title: string;
  spoken: Spoken[];
  noted: Noted[];
}

export interface Skipped {
  what: string;
  why: string;
}

export interface Plan {
  files: SourceFile[];
  skipped: Skipped[];
}

export interface PlanOptions {
  now: Millis;
  timeZone: string;
  /** Everything is the owner's own words (true), or what the speaker of this name says. */
  own: boolean | string;
}
