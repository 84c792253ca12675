// Whether a statement stands on the words it cites: nothing that they do not say gets in under a quote that says something else. Pure.

import { stem } from '../text/stem.ts';
import { isStop } from '../text/stopwords.ts';
import { bigrams, words as wordsOf } from '../text/tokens.ts';

/** Words that any statement may have without anybody having said them. */
const FRAME = new Set(
  `owner owners user users person people prefer prefers like likes live lives want wants named call called name names says said
   besitzer heißt nutzer`.split(/\s+/),
);
const FRAME_CJK = /用户|主人|名字|喜欢|ユーザー|사용자/gu;
/** Of the words of a statement, at least so many must have been said. */
const SHARE = 0.25;

const folded = (text: string): string => text.normalize('NFKC').toLowerCase();

function contentOf(text: string): string[] {
  const plain = wordsOf(text).filter((word) => word.length >= 3 && !isStop(word) && !FRAME.has(word));
  return [...new Set([...plain.map(stem), ...bigrams(text.replace(FRAME_CJK, ' '))])];
}

/** What nobody can guess or word otherwise: addresses, links, long numbers. Dates are not: they are worked out. */
function identifiers(text: string): string[] {
  const flat = folded(text).replace(/\b(?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?\b/g, ' ');
  const names = flat.match(
    /[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}|https?:\/\/[^\s)"'>]{1,500}|\b[\w-]{1,63}(?:\.[a-z][\w-]{1,20}){1,6}\b/g,
  );
  const numbers = (flat.match(/\+?\d[\d .()/-]{2,30}\d/g) ?? [])
    .map((number) => number.replace(/\D/g, ''))
    .filter((digits) => digits.length >= 4);
  return [...(names ?? []), ...numbers];
}

const digitsOf = (text: string): string => folded(text).replace(/[ .()/-]/g, '');

/** Every identifier of the statement was said, and enough of its other words. */
export function isGrounded(statement: string, said: string): boolean {
  const source = folded(said);
  const digits = digitsOf(said);
  for (const name of identifiers(statement)) if (!source.includes(name) && !digits.includes(name)) return false;
  const words = contentOf(statement);
  if (words.length === 0) return true;
  const known = new Set(contentOf(said));
  const matched = words.filter((word) => known.has(word) || source.includes(word)).length;
  return matched > 0 && matched >= words.length * SHARE;
}

/** Most of the words of one text (or such a share) stand in the other: it says nothing of its own. */
export function repeats(text: string, earlier: string, share = 0.8): boolean {
  const words = contentOf(text);
  if (words.length === 0) return false;
  const known = new Set(contentOf(earlier));
  return words.filter((word) => known.has(word)).length >= words.length * share;
}

/** They have a word in common that means something. */
export function touches(text: string, quote: string): boolean {
  const words = contentOf(text);
  const known = new Set(contentOf(quote));
  return words.length === 0 || words.some((word) => known.has(word));
}
