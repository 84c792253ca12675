// What a provider of embeddings is: a wire, its limits and its defaults. Also what several wires share. Pure.
import type { JsonObject } from '../../core/types.ts';

/** Most models place a question and what answers it near each other only when told which is which. */
export type Use = 'query' | 'document';

/** Words put in front of a text, by its use. */
export type Prefixes = Readonly<Record<Use, string>>;

export interface Provider {
  /** As in STEWARD_EMBEDDINGS. */
  name: 'voyage' | 'openai' | 'ollama';
  url: string;
  model: string;
  /** Most texts of one request. Small enough that reading the answer does not hold up anything else. */
  batch: number;
  /** How it is told what a text is for: by a field of the request, or by words before the text. */
  roles(model: string): Prefixes | 'field';
  request(url: string, input: { model: string; texts: readonly string[]; use: Use }): { url: string; body: JsonObject };
  /** The vectors as they stand in the answer, in the order of the texts. Throws `Error` with the reason. */
  vectors(answer: unknown, count: number): unknown[];
  /** Tokens it counted; 0 when it does not say. */
  tokens(answer: unknown): number;
  /** Its own words for what is wrong. */
  complaint(answer: unknown): string | null;
}

export const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

/** The path of an address that names none is the usual one; one that names a folder gets the last part. */
export function endpoint(url: string, usual: string): string {
  const { pathname } = new URL(url);
  if (pathname === '/' || pathname === '') return url + usual;
  const last = usual.slice(usual.lastIndexOf('/'));
  return pathname.endsWith(last) ? url : url + last;
}

/** `{data: [{index, embedding}]}`: the index says whose it is, the order of the list does not. */
export function byIndex(answer: unknown, count: number): unknown[] {
  const { data } = record(answer);
  if (!Array.isArray(data)) throw new Error('it has no list of vectors');
  const found: unknown[] = new Array(count);
  for (const [place, entry] of data.entries()) {
    const { index = place, embedding } = record(entry);
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= count || found[index])
      throw new Error('its vectors do not belong to the texts that were sent');
    found[index] = embedding;
  }
  return found;
}

/** `{usage: {total_tokens}}` */
export function usageTokens(answer: unknown): number {
  const { total_tokens: tokens } = record(record(answer).usage);
  return typeof tokens === 'number' && tokens > 0 ? Math.floor(tokens) : 0;
}
