// Normal forms: when two texts say the same, and under which subject and slot something is known. Pure.
import { createHash } from 'node:crypto';

/** Marks of a sentence; those within a number, a name or an identifier stay (1.5, 10:30, C++, a@b.c). */
const MARK = /[\p{Ps}\p{Pe}\p{Pi}\p{Pf}"'`´.,;:!?…¡¿。、，！？：；·*_~]/u;
/** Between letters these only part or join words: `well-known`, `full_name`, `其实，好`. */
const JOINT = /(?<=[\p{L}\p{M}])[-‐‑_/。、，！？：；·](?=[\p{L}\p{M}])/gu;
const APOSTROPHE = /[’‘ʼ`´]/g;

const folded = (text: string): string =>
  text
    .toWellFormed()
    .normalize('NFKC')
    .toLowerCase()
    // Lower case may compose anew (İ); once more, so that the normal form of a normal form is itself.
    .normalize('NFKC')
    .replace(APOSTROPHE, "'")
    .replace(/[\p{Cc}\p{Cf}\p{Z}]+/gu, ' ');

/** From both ends, sign by sign: a pattern would take quadratic time on a long row of marks. */
function bare(word: string): string {
  let from = 0;
  let to = word.length;
  while (from < to && MARK.test(word[from]!)) from += 1;
  while (to > from && MARK.test(word[to - 1]!)) to -= 1;
  return word.slice(from, to);
}

const words = (text: string): string[] =>
  folded(text)
    .replace(JOINT, ' ')
    .split(' ')
    .map(bare)
    .filter((word) => word !== '');

/** Two texts with the same one say the same. Idempotent. Empty when there is no word in it. */
export const normalText = (text: string): string => words(text).join(' ');

/** A short name of the normal text, for an index. */
export const textKey = (text: string): string =>
  createHash('sha256').update(normalText(text)).digest('base64url').slice(0, 22);

/** Whoever speaks of themselves: the owner of the scope. */
const SELF = new Set([
  'i',
  'me',
  'my',
  'mine',
  'myself',
  'user',
  'owner',
  'ich',
  'mich',
  'mir',
  'moi',
  'je',
  'yo',
  '我',
  '本人',
  '用户',
]);
const LEADING = new Set([
  'my',
  'the',
  'a',
  'an',
  'our',
  'mein',
  'meine',
  'der',
  'die',
  'das',
  'mon',
  'ma',
  'mes',
  'mi',
  'mis',
  'i',
  "user's",
  "owner's",
]);

/** "My  Birthday" and "birthday" are one name; "I" and "the user" are `owner`. Null when nothing is left. At most 120 characters. */
export function normalName(name: string | null | undefined): string | null {
  if (name === null || name === undefined) return null;
  let parts = words(name);
  if (parts.length > 1 && parts[0] !== undefined && /^我的?$/.test(parts[0])) parts = parts.slice(1);
  while (parts.length > 1 && LEADING.has(parts[0]!)) parts = parts.slice(1);
  if (parts.length === 0) return null;
  const joined = parts.join(' ');
  if (SELF.has(joined)) return 'owner';
  const bare = joined.startsWith('我的') && joined.length > 2 ? joined.slice(2) : joined;
  return [...bare].slice(0, 120).join('').trim() || null;
}
