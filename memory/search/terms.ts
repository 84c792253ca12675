// The terms of a query against the vocabulary: how rare they are, in which forms they occur, what was meant by those that do not.
import { scopeTag } from '../index/entry.ts';
import { OWNER } from '../scope.ts';
import type { Form, ParsedQuery } from '../text/query.ts';
import { nearest, neighbourhoods, wordOf } from '../text/typos.ts';
import type { Asker } from './question.ts';
import type { WeighedTerm } from './rank.ts';
import type { Reader } from './reader.ts';

/** Of one term; the rarest. */
const MOST_FORMS = 24;

/** A young memory knows little of how rare words are: as if it were a little older. */
const LEAST_DOCS = 200;

function idfOf(docs: number, count: number): number {
  const known = Math.max(docs, LEAST_DOCS);
  const held = Math.max(1, Math.min(count, known));
  return Math.max(0.05, Math.log(1 + (known - held + 0.5) / (held + 0.5)));
}

/** FTS5 takes a string in double quotes as words, whatever stands in it. */
const quoted = (word: string): string => `"${word.replaceAll('"', '""')}"`;

export interface Counted extends WeighedTerm {
  count: number;
}

/** Terms of the vocabulary that are looked through for what a mistyped word was meant to be. */
const MOST_LOOKED_THROUGH = 4_000;
const MEANT_WEIGHT = 0.8;

function meant(reader: Reader, stemmed: string): Form[] {
  for (const [low, high] of neighbourhoods(stemmed)) {
    const found = nearest(stemmed, reader.vocabulary(low, high, MOST_LOOKED_THROUGH));
    const forms = found.flatMap(({ term, slips }) => {
      const word = wordOf(term);
      return word === null ? [] : [{ stem: term, word, weight: MEANT_WEIGHT / slips }];
    });
    if (forms.length > 0) return forms;
  }
  return [];
}

/** A form that the vocabulary does not have is no form. */
export function weigh(asker: Asker, query: ParsedQuery): Counted[] {
  const { docs } = asker.reader.size();
  return query.terms.map((term): Counted => {
    const forms = term.forms.map((form) => ({ ...form, count: asker.reader.count(form.stem) }));
    if (term.kind === 'word' && forms.every((form) => form.count === 0))
      for (const form of meant(asker.reader, forms[0]!.stem))
        forms.push({ ...form, count: asker.reader.count(form.stem) });
    const known = forms
      .filter((form, index) => index === 0 || form.count > 0)
      .sort((a, b) => b.weight - a.weight || a.count - b.count);
    const total = known.reduce((sum, form) => sum + form.count, 0);
    const main = term.kind === 'date' ? total : forms[0]!.count || Math.max(0, ...known.map((form) => form.count));
    const idf = idfOf(docs, main);
    return {
      ...term,
      // What may be meant is worth no more than its own rarity.
      forms: known.slice(0, MOST_FORMS).map(({ stem, word, weight, count }) => ({
        stem,
        word,
        weight: term.kind === 'date' || weight === 1 ? weight : weight * Math.min(1.2, idfOf(docs, count) / idf),
      })),
      count: total,
      idf,
    };
  });
}

/** The rarest terms first, as long as the postings last; at least one. */
export function affordable(terms: readonly Counted[], postings: number, most: number): Counted[] {
  const out: Counted[] = [];
  let left = postings;
  for (const term of [...terms].filter((one) => one.count > 0).sort((a, b) => a.count - b.count)) {
    if (out.length > 0 && (term.count > left || out.length >= most)) break;
    out.push(term);
    left -= term.count;
  }
  return out;
}

export const anyOf = (terms: readonly Counted[]): string =>
  `{actor body extra cjk} : (${[...new Set(terms.flatMap((term) => term.forms.map((form) => quoted(form.word))))].join(' OR ')})`;

/** A guest's scope is a small part of everything; the owner's is nearly all of it, and tested afterwards. */
export const expressionOf = (terms: readonly Counted[], scope: string): string =>
  scope === OWNER ? anyOf(terms) : `{tags} : ${scopeTag(scope)} AND ${anyOf(terms)}`;
