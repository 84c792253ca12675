// What a request says besides its body: lists, limits, times and cursors, each checked once.
import type { Context } from 'hono';
import { StewardError } from '../../core/errors.ts';
import { isTooDeep } from '../../core/json.ts';

/** A request that does not fit, with what to do about it. */
export const invalid = (message: string, op: string, hint?: string) =>
  new StewardError('invalid', message, hint ? { op, hint } : { op });

/** Room for a few pictures. */
const BODY_LIMIT = 8 * 1024 * 1024;
/** A body above the limit is read to its end and dropped, so that its sender gets to see the answer; not one above this. */
const PATIENCE = 64 * 1024 * 1024;

/** The bytes as they came, for what is signed. Throws `too_large`. `limit`: bytes. */
export async function readRaw(c: Context, limit: number, patience = PATIENCE): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of c.req.raw.body ?? []) {
    size += chunk.length;
    if (size > Math.max(limit, patience)) break;
    if (size <= limit) chunks.push(chunk);
  }
  if (size > limit)
    throw new StewardError('too_large', `The body is larger than ${limit / 1024 / 1024} MB.`, {
      op: 'read the request',
      hint: 'Send less, or send a file in parts.',
    });
  return Buffer.concat(chunks);
}

/** Throws `too_large`, and `invalid` for what is no JSON or nested too deep. `limit`: bytes. */
export async function readJson(c: Context, limit = BODY_LIMIT): Promise<unknown> {
  const text = new TextDecoder().decode(await readRaw(c, limit));
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    throw new StewardError('invalid', 'The body is not valid JSON.', { op: 'read the request', cause });
  }
  if (isTooDeep(body)) throw invalid('The body is nested too deep.', 'read the request');
  return body;
}

/** Arrays come as `types[]=a&types[]=b` (the SDK), `types=a&types=b` or `types=a,b`. */
export const listParam = (c: Context, name: string): string[] =>
  [...(c.req.queries(`${name}[]`) ?? []), ...(c.req.queries(name) ?? [])]
    .flatMap((value) => value.split(','))
    .filter(Boolean);

export function limitOf(c: Context, fallback: number, max: number): number {
  const text = c.req.query('limit');
  if (text === undefined) return fallback;
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1) throw invalid('limit must be a whole number of at least 1.', 'list');
  return Math.min(limit, max);
}

export function timeParam(c: Context, name: string): number | undefined {
  const text = c.req.query(`created_at[${name}]`);
  if (text === undefined) return undefined;
  const at = Date.parse(text);
  if (Number.isNaN(at))
    throw invalid(`created_at[${name}] is not a time.`, 'list', 'Use RFC 3339: 2026-11-20T08:00:00Z.');
  return at;
}

export const encodeCursor = (value: string | number) => Buffer.from(String(value)).toString('base64url');
export const decodeCursor = (c: Context): string | undefined => {
  const page = c.req.query('page');
  return page === undefined ? undefined : Buffer.from(page, 'base64url').toString();
};
const POSITION = /^\d{1,16}$/;
export const numberCursor = (c: Context): number | undefined => {
  const value = decodeCursor(c);
  if (value !== undefined && !POSITION.test(value)) throw invalid('page is not a cursor of this list.', 'list');
  return value === undefined ? undefined : Number(value);
};

/** A place in a session's log, as `after_seq` or `Last-Event-ID` gives it. */
export function positionOf(text: string | undefined, op: string): number | undefined {
  if (text !== undefined && !POSITION.test(text)) throw invalid('after_seq must be a whole number.', op);
  return text === undefined ? undefined : Number(text);
}
