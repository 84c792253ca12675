// Parts of a schedule as programs and models write them: checked once, here, for every way in.
import { z } from 'zod';
import type { Address, Millis } from './types.ts';
import { momentOf } from './usage.ts';

/** `telegram:42`, `telegram:-100#7`. */
export const place = z
  .string()
  .max(200)
  .regex(/^[a-z]+:[^\s:#]+(#[^\s]+)?$/, 'must look like telegram:12345');

export function placeOf(text: string): Address {
  const [, channel = '', chat = '', thread] = /^([a-z]+):([^#]+)(?:#(.+))?$/.exec(text) ?? [];
  return thread ? { channel, chat, thread } : { channel, chat };
}

const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time like 22:00');
export const quiet = z.strictObject({ from: clock, to: clock });

export const condition = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('command'), command: z.string().min(1).max(4_000) }),
  z.strictObject({ kind: z.literal('http'), url: z.url({ protocol: /^https?$/ }).max(2_000) }),
  z.strictObject({ kind: z.literal('file'), path: z.string().min(1).max(1_000) }),
  z.strictObject({ kind: z.literal('memory'), query: z.string().min(1).max(500) }),
  z.strictObject({ kind: z.literal('loops') }),
]);

export const catchUp = z.enum(['latest', 'none', 'all']);
export const overlap = z.enum(['skip', 'queue', 'replace']);

/** A name from what is to be done, where nobody gave one. */
export function nameFrom(text: string): string {
  const flat = [...text.replace(/\s+/g, ' ').trim()];
  return flat.length > 60 ? `${flat.slice(0, 59).join('')}…` : flat.join('') || 'Unnamed';
}

/** The last moment of a day, or RFC 3339. Null for anything else. */
export function endOf(text: string, timeZone: string): Millis | null {
  const at = momentOf(text, timeZone);
  if (at === null || !/^\d{4}-\d\d-\d\d$/.test(text)) return at;
  const [year, month, day] = text.split('-').map(Number) as [number, number, number];
  const next = momentOf(new Date(Date.UTC(year, month - 1, day + 1)).toISOString().slice(0, 10), timeZone);
  return next === null ? null : next - 1;
}
