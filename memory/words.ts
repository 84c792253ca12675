// Telling whether a text holds certain words: exactly, or in their normal form. Pure.
import type { Json } from '../core/types.ts';
import { normalText } from './normalise.ts';
import { isStop } from './text/stopwords.ts';
import { bigrams } from './text/tokens.ts';

/** Below this many letters (a CJK sign counts twice) words are too common to be looked for everywhere. */
const DISTINCT_LETTERS = 8;
const CJK = /[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\u3040-\u30ff\u{20000}-\u{3ffff}]/gu;

/** Long enough that a text with them in it says the same, and is not merely about the same. */
export function isDistinct(text: string): boolean {
  const letters = normalText(text).match(/[\p{L}\p{N}]/gu)?.length ?? 0;
  return letters + (text.match(CJK)?.length ?? 0) >= DISTINCT_LETTERS;
}

export interface Words {
  /** Nothing else than them. */
  is(text: string): boolean;
  /** Among others, where they are not too common for that. */
  among(text: string): boolean;
  /** Either. */
  in(text: string): boolean;
  /** Among others in any string, or key, of a payload. */
  inPayload(payload: Json): boolean;
  /** Shares a word that is not said every day. For what was said about the same at the same time. */
  touches(text: string): boolean;
  /** Patterns of SQLite's LIKE: where the words are among others, one matches. Null: everything has to be looked at. */
  likes: readonly string[] | null;
  all: readonly string[];
  /** As they stand, whole and word by word, for a look into the bytes of a file. */
  raw: readonly string[];
}

/** Every string in a payload, however deep. */
export function* stringsIn(value: Json, keys = false): Iterable<string> {
  const queue: Json[] = [value];
  for (let next = queue.pop(); next !== undefined; next = queue.pop())
    if (typeof next === 'string') yield next;
    else if (next !== null && typeof next === 'object') {
      if (keys && !Array.isArray(next)) yield* Object.keys(next);
      queue.push(...Object.values(next));
    }
}

/** The longest run that SQLite compares as we do: ASCII letters and digits without regard to case, or signs that have none. */
function likeOf(text: string): string | null {
  const runs = [
    ...(text.match(/[A-Za-z0-9]{3,}/g) ?? []),
    ...(text.match(new RegExp(`(?:${CJK.source})+`, 'gu')) ?? []),
  ];
  const longest = runs.toSorted((a, b) => Buffer.byteLength(b) - Buffer.byteLength(a))[0];
  return longest ? `%${longest}%` : null;
}

/** Not stop words, and pairs of signs where words are not parted. */
function tellingWords(text: string): string[] {
  const normal = normalText(text);
  const words = normal.split(' ').filter((word) => (word.length >= 4 && !isStop(word)) || /\d{3}/.test(word));
  return [...words, ...bigrams(normal)];
}

/** Words as they are written, with a length that gives something away. */
const rawWords = (text: string): string[] =>
  (text.match(/[\p{L}\p{N}\p{M}_@.-]{5,}/gu) ?? []).flatMap((word) => [word, word.toLowerCase()]);

export function wordsOf(texts: readonly string[]): Words {
  const all = [...new Set(texts.map((text) => text.trim()).filter((text) => normalText(text) !== ''))];
  const normals = new Set(all.map(normalText));
  const raw = all.filter(isDistinct);
  const needles = [...new Set(raw.map(normalText))];
  const is = (text: string): boolean => normals.has(normalText(text));
  const among = (text: string): boolean => {
    if (raw.some((word) => text.includes(word))) return true;
    const normal = needles.length > 0 ? normalText(text) : '';
    return needles.some((needle) => normal.includes(needle));
  };
  const telling = new Set(all.flatMap(tellingWords));
  const likes = raw.map(likeOf);
  return {
    is,
    among,
    in: (text) => is(text) || among(text),
    inPayload(payload) {
      for (const text of stringsIn(payload, true)) if (among(text)) return true;
      return false;
    },
    touches: (text) => among(text) || tellingWords(text).some((word) => telling.has(word)),
    likes: likes.every((like) => like !== null) ? [...new Set(likes)] : null,
    all,
    raw: [...new Set(all.flatMap((text) => [text, JSON.stringify(text).slice(1, -1), ...rawWords(text)]))],
  };
}
