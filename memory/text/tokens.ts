// Words of a text as the index knows them: lower case, without diacritics, Chinese, Japanese and Korean as pairs of characters.
import { stem } from './stem.ts';

/** Han, kana, hangul: written without spaces, or with endings glued on. */
const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}ー々〆]+/gu;
const WORD = /[\p{L}\p{N}\p{M}\p{Co}]+/gu;
/** Nobody searches for longer ones; they only fill the index. */
const LONGEST_WORD = 64;

const plain = (text: string): string => text.toWellFormed().replace(/[\x00-\x1f\x7f]+/g, ' ');

/** Without accents: é is e. Scripts whose marks are letters of their own (Devanagari, Thai) keep them. */
const bare = (text: string): string =>
  /^[\x00-\x7f]*$/.test(text)
    ? text
    : text
        .normalize('NFD')
        .replace(/[\u0300-\u036f]+/g, '')
        .normalize('NFKC');

/** Every word but those of CJK scripts, in order. An apostrophe joins: `don't` is `dont`, and `Anna's` is `anna`. */
export function words(text: string): string[] {
  const lower = bare(plain(text))
    .toLowerCase()
    .replace(CJK, ' ')
    .replace(/['’]s\b/g, '')
    .replace(/(?<=\p{L})['’](?=\p{L})/gu, '');
  const found = lower.match(WORD) ?? [];
  return found.some((word) => word.length > LONGEST_WORD) ? found.filter((word) => word.length <= LONGEST_WORD) : found;
}

/** Runs of CJK text as overlapping pairs; a character that stands alone is itself. */
export function bigrams(text: string): string[] {
  const out: string[] = [];
  for (const [run] of plain(text).normalize('NFKC').matchAll(CJK)) {
    const chars = [...run];
    if (chars.length === 1) out.push(run);
    for (let i = 0; i + 1 < chars.length; i++) out.push(chars[i]! + chars[i + 1]!);
  }
  return out;
}

export const hasCjk = (text: string): boolean => text.search(CJK) >= 0;

/** A name as it is compared: `Anna  Müller` is `anna muller`. */
export const nameOf = (name: string): string =>
  hasCjk(name) ? plain(name).trim().toLowerCase() : words(name).join(' ');

/** Stems with a memory of their own: the same words come again and again. */
export function createStemmer(most = 20_000): (word: string) => string {
  const known = new Map<string, string>();
  return (word) => {
    let found = known.get(word);
    if (found === undefined) {
      found = stem(word);
      if (known.size >= most) known.clear();
      known.set(word, found);
    }
    return found;
  };
}
