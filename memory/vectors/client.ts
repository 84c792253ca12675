// One request for vectors: bounded in time and size, checked, and never thrown from. What it says of a failure holds no key.
import type { Provider, Use } from './provider.ts';

/** Whose vectors these are, as far as it is known before the first answer. */
export interface Source {
  provider: Provider;
  url: string;
  model: string;
  key: string | null;
}

export type Failure =
  /** These texts are not taken; others may be. */
  | 'refused'
  /** A wrong key, an unknown model: nothing is taken before somebody changes something. */
  | 'denied'
  /** Too much at once, overloaded, not there, too slow, nonsense: later perhaps. */
  | 'unavailable';

export type Embedded =
  /** Of length 1, one for each text. */
  | { kind: 'vectors'; vectors: Float32Array[]; dimension: number; tokens: number }
  | { kind: 'failed'; failure: Failure; why: string; retryAfterMs: number | null };

export type Embed = (
  source: Source,
  input: { texts: readonly string[]; use: Use; signal: AbortSignal; timeoutMs: number },
) => Promise<Embedded>;

/** A byte is at least as much as a token: below every model's limit of 8,192 tokens, and never cut by a provider. */
export const LONGEST_TEXT = 7_500;
const LARGEST_ANSWER = 32 * 1024 * 1024;
const MOST_DIMENSIONS = 8_192;

/** The beginning of a text that fits, without a broken character at its end. */
export function fitting(text: string, bytes = LONGEST_TEXT): string {
  // A character is at least one byte.
  const most = text.slice(0, bytes).toWellFormed();
  const encoded = new TextEncoder().encode(most);
  if (encoded.length <= bytes) return most;
  let end = bytes;
  while (end > 0 && (encoded[end]! & 0xc0) === 0x80) end -= 1;
  return new TextDecoder().decode(encoded.subarray(0, end));
}

/** Base64 of little-endian floats, or a list of numbers. Null: not a vector. */
function floats(value: unknown): Float32Array | null {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64');
    return bytes.length > 0 && bytes.length % 4 === 0 ? new Float32Array(new Uint8Array(bytes).buffer) : null;
  }
  return Array.isArray(value) && value.every((entry) => typeof entry === 'number') ? Float32Array.from(value) : null;
}

function unit(value: unknown): Float32Array {
  const vector = floats(value);
  if (!vector || vector.length === 0 || vector.length > MOST_DIMENSIONS) throw new Error('one of them is no vector');
  let sum = 0;
  for (const entry of vector) sum += entry * entry;
  if (!Number.isFinite(sum) || sum === 0) throw new Error('one of its vectors has no direction');
  const length = Math.sqrt(sum);
  return vector.map((entry) => entry / length);
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop gives the connection up.
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > LARGEST_ANSWER) throw new Error('its answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function retryAfter(response: Response): number | null {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : null;
}

/** What a status means for the next request. A missing model is 404 everywhere; 400 and 413 are about these texts. */
function failureOf(status: number): Failure {
  if (status === 400 || status === 413 || status === 422) return 'refused';
  if (status === 401 || status === 402 || status === 403 || status === 404 || status === 405) return 'denied';
  return 'unavailable';
}

export function createEmbed(deps: { fetch: typeof fetch }): Embed {
  return async (source, { texts, use, signal, timeoutMs }) => {
    const { provider, key } = source;
    const host = new URL(source.url).host;
    const failed = (failure: Failure, why: string, retryAfterMs: number | null = null): Embedded => {
      const whole = key ? why.replaceAll(key, '[redacted]') : why;
      const shown = whole.replace(/[\p{C}\s]+/gu, ' ').trim();
      return { kind: 'failed', failure, why: shown.length > 240 ? `${shown.slice(0, 240)}…` : shown, retryAfterMs };
    };
    const roles = provider.roles(source.model);
    const prefix = roles === 'field' ? '' : roles[use];
    const sent = texts.map((text) => prefix + fitting(text));
    const { url, body } = provider.request(source.url, { model: source.model, texts: sent, use });
    const late = AbortSignal.timeout(timeoutMs);
    try {
      const response = await deps.fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          ...(key && { authorization: `Bearer ${key}` }),
        },
        body: JSON.stringify(body),
        // A key and somebody's words go where they were meant to go and nowhere else.
        redirect: 'manual',
        signal: AbortSignal.any([signal, late]),
      });
      if (response.status >= 300 && response.status < 400) {
        await response.body?.cancel();
        return failed('denied', `${host} answered with a redirect, which is not followed: set its own address.`);
      }
      const text = await readBounded(response);
      const answer = parsed(text);
      if (!response.ok) {
        const said = provider.complaint(answer) ?? (response.statusText || 'no reason given');
        return failed(failureOf(response.status), `${host}: ${response.status} ${said}`, retryAfter(response));
      }
      if (answer === undefined) return failed('unavailable', `${host} answered with broken JSON.`);
      const complaint = provider.complaint(answer);
      if (complaint) return failed('unavailable', `${host}: ${complaint}`);
      const found = provider.vectors(answer, texts.length);
      if (found.length !== texts.length)
        return failed('unavailable', `${host} sent ${found.length} vectors for ${texts.length} texts.`);
      // A hole in the list is not skipped: it is no vector.
      const vectors = Array.from(found, unit);
      const dimension = vectors[0]?.length ?? 0;
      if (vectors.some((vector) => vector.length !== dimension))
        return failed('unavailable', `${host} sent vectors of different lengths.`);
      return { kind: 'vectors', vectors, dimension, tokens: provider.tokens(answer) };
    } catch (error) {
      if (signal.aborted) return failed('unavailable', 'stopped');
      if (late.aborted) return failed('unavailable', `${host} did not answer within ${timeoutMs} ms.`);
      return failed('unavailable', `${host}: ${reasonOf(error)}`);
    }
  };
}

/** fetch says "fetch failed" and keeps the reason in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message || String((cause as NodeJS.ErrnoException).code ?? error.message);
}
