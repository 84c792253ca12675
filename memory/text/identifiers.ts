// Names of programs, versions, paths and addresses in a text: each as a whole in one word, and its parts.

/** `foo_bar`, `foo-bar`, `v1.2.3`, `a/b/c.ts`, `x@y.org`, `foo::bar`. */
const JOINED = /[\p{L}\p{N}]+(?:[_\-./\\:@#+]+[\p{L}\p{N}]+)+/gu;
const CAMEL = /\b\p{L}[\p{L}\p{N}]*\p{Ll}\p{Lu}[\p{L}\p{N}]*/gu;
/** What stands without a space is looked at up to this length: a longer one is data, and would take long. */
const LONGEST = 200;
const MOST = 500;

export interface Identifier {
  /** One word of the index that only the whole gives. */
  whole: string;
  /** Words that the tokenizer alone would not find (`getUser`: get, user). */
  parts: string[];
}

const simple = (text: string): string => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '');

export function identifiers(text: string): Identifier[] {
  const found: Identifier[] = [];
  for (const [chunk] of text.matchAll(/\S+/g)) {
    if (found.length >= MOST) break;
    if (chunk.length < 4 || chunk.length > LONGEST) continue;
    // Marked, so that `foo_bar` and `foobar` stay two things and the stemmer leaves it alone.
    for (const [match] of chunk.matchAll(JOINED)) found.push({ whole: `${simple(match).slice(0, 60)}0x`, parts: [] });
    for (const [match] of chunk.matchAll(CAMEL)) found.push({ whole: simple(match), parts: partsOf(match) });
  }
  return found;
}

const partsOf = (camel: string): string[] =>
  camel
    .replace(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1 $2')
    .replace(/(\p{Lu}+)(\p{Lu}\p{Ll})/gu, '$1 $2')
    .toLowerCase()
    .split(' ')
    .filter((part) => part.length > 1);
