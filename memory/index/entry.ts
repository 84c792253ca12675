// From words to the columns of one row of the index. Pure.
import { datesIn, dayWords, spanWords } from '../text/dates.ts';
import { identifiers } from '../text/identifiers.ts';
import { bigrams, words } from '../text/tokens.ts';

export const FLAG = { question: 1, time: 2, archived: 4 } as const;

export interface Entry {
  actor: string;
  body: string;
  /** Words that are not there but meant: absolute dates, whole identifiers and their parts. */
  extra: string;
  cjk: string;
  flags: number;
  tokens: number;
}

/** Asks something, as far as its last sentence tells. */
export const isQuestion = (text: string): boolean => /[?？]\s*(?:\[[^\]]*\]\s*)?$/.test(text.slice(-400).trimEnd());

/** One word that nothing else gives: the scope of a doc. */
export const scopeTag = (scope: string): string => `scope0${scope.toLowerCase().replace(/[^a-z0-9]/g, '')}`;
export const kindTag = (kind: 'event' | 'item'): string => `kind0${kind}`;

/** `day`: the calendar day it was said on, against which its dates are read. */
export function entryOf(input: { text: string; actor: string; more?: string; day: number }): Entry {
  const body = words(input.text);
  const spans = datesIn(input.text, input.day);
  const names = identifiers(input.text);
  const extra = [
    ...dayWords(input.day),
    ...spans.flatMap(spanWords),
    ...names.flatMap(({ whole, parts }) => [whole, ...parts]),
    ...words(input.more ?? ''),
  ];
  const cjk = [...bigrams(input.text), ...bigrams(input.actor), ...bigrams(input.more ?? '')];
  return {
    actor: words(input.actor).join(' '),
    body: body.join(' '),
    extra: extra.join(' '),
    cjk: cjk.join(' '),
    flags: (isQuestion(input.text) ? FLAG.question : 0) | (spans.length > 0 ? FLAG.time : 0),
    tokens: body.length + cjk.length,
  };
}
