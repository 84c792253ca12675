// What a search is asked and with what: the question, its budget, and the hands that look for the answer.
import type { MemoryFound, MemorySearch } from '../../core/memory.ts';
import { createStemmer } from '../text/tokens.ts';
import type { Weights } from './rank.ts';
import type { Reader } from './reader.ts';

export interface Budget {
  /** Entries of the index that are walked. */
  postings: number;
  /** Words that are looked for, the rarest ones. */
  terms: number;
  /** Docs whose texts are compared. */
  candidates: number;
  /** After which the caller gets what there is. */
  ms: number;
}
export const BUDGET: Budget = { postings: 40_000, terms: 32, candidates: 150, ms: 2_000 };
/** A list of docs from elsewhere (vectors), best first. */
export type Listed = readonly { doc: number; score: number }[];

export interface Question {
  search: MemorySearch;
  scope: string;
  budget: Budget;
  now: number;
  /** Lists to fuse in by rank. */
  lists?: readonly Listed[];
}

export type Answer = Pick<MemoryFound, 'hits' | 'weak'>;

export interface Asker {
  reader: Reader;
  dayOf(at: number): number;
  stemmer(word: string): string;
  weights?: Weights;
}

export const createAsker = (reader: Reader, dayOf: (at: number) => number): Asker => ({
  reader,
  dayOf,
  stemmer: createStemmer(),
});
