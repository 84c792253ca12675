// What a word that nobody ever used may have been meant as: words of the vocabulary that are a slip or two away. Pure.
import { stem } from './stem.ts';

const SHORTEST = 4;

/** Slips that a word of this length is forgiven. */
const allowed = (word: string): number => (word.length < SHORTEST ? 0 : word.length < 8 ? 1 : 2);

/** Letters to insert, drop, replace, or swap with the next one (optimal string alignment); `most` + 1 when it is more. */
export function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(last[j - 1]! + (same ? 0 : 1), last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    if (Math.min(...row) > most) return most + 1;
    before = last;
    last = row;
  }
  return last[b.length]!;
}

/** Where in the vocabulary to look for it: the parts that begin as it does, the likeliest first. */
export function neighbourhoods(word: string): [low: string, high: string][] {
  if (allowed(word) === 0 || /\d/.test(word)) return [];
  const prefixes = new Set([word.slice(0, 2), word[1]! + word[0]!, word.slice(0, 1)]);
  return [...prefixes].map((prefix) => [prefix, `${prefix}\u{10ffff}`]);
}

/** The nearest of these terms, at most three, the most used first. */
export function nearest(
  word: string,
  vocabulary: readonly { term: string; doc: number }[],
): { term: string; slips: number }[] {
  const most = allowed(word);
  const found = vocabulary.flatMap(({ term, doc }) => {
    if (term.length < SHORTEST || /\d/.test(term)) return [];
    const slips = distance(word, term, most);
    return slips > 0 && slips <= most ? [{ term, slips, doc }] : [];
  });
  const least = Math.min(...found.map(({ slips }) => slips));
  return found
    .filter(({ slips }) => slips === least)
    .sort((a, b) => b.doc - a.doc)
    .slice(0, 3)
    .map(({ term, slips }) => ({ term, slips }));
}

/** A word whose stem this is, so that the index finds it when it stems once more; null when none is known. */
export const wordOf = (stemmed: string): string | null =>
  [stemmed, `${stemmed}e`, `${stemmed.slice(0, -1)}y`, `${stemmed}s`, `${stemmed}ing`].find(
    (word) => stem(word) === stemmed,
  ) ?? null;
