// The lines of a JSONL export as types and as schemas: what is written, and what is believed when it is read. Pure.
import { z } from 'zod';
import { KINDS, TIERS } from '../../core/memory.ts';
import { CHANGE_KINDS } from '../changes.ts';

export const FORMAT = 'steward-memory';
export const VERSION = 1;

export const COUNTED = ['sessions', 'events', 'items', 'changes', 'questions', 'tombstones', 'files'] as const;
export type Counts = Record<(typeof COUNTED)[number], number>;

const id = z.string().regex(/^[a-z]{2,12}_\w{1,64}$/, 'is no id');
const millis = z.number().int().min(0).max(8.64e15);
const text = (max: number) => z.string().max(max);
/** No JSON inside a text is longer than this. */
const BIG = 32 * 1024 * 1024;

/** JSON within a text, as a row holds it. What is read from the row later is checked here, once. */
const jsonOf = (schema: z.ZodType, max = BIG) =>
  z
    .string()
    .max(max)
    .refine(
      (text) => {
        try {
          return schema.safeParse(JSON.parse(text)).success;
        } catch {
          return false;
        }
      },
      { error: 'is not what such a row holds' },
    );

const draft = z.looseObject({
  scope: z.literal('owner'),
  tier: z.enum(TIERS),
  kind: z.enum(KINDS),
  subject: z.string().nullable(),
  slot: z.string().nullable(),
  text: z.string().max(200_000),
  authority: z.enum(['owner', 'agent', 'outside']),
  confidence: z.number().min(0).max(1),
  validFrom: z.number().int(),
  expiresAt: z.number().int().nullable(),
  sources: z.array(z.looseObject({ eventId: id, quote: z.string() })),
  parents: z.array(id).optional(),
});
const standing = z.looseObject({
  validTo: millis.nullable(),
  retiredAt: millis.nullable(),
  supersededBy: id.nullable(),
});
const done = z.looseObject({
  added: z.array(id),
  touched: z.array(z.looseObject({ id, from: standing, to: standing })),
  erased: z.number().int().min(0),
});
const origin = z.looseObject({
  sender: z.looseObject({ channel: text(200), userId: text(1_000), name: text(1_000).optional() }),
  address: z.looseObject({ channel: text(200), chat: text(1_000), thread: text(1_000).optional() }),
  role: z.enum(['owner', 'guest', 'group', 'system']),
});
const actor = z.discriminatedUnion('type', [
  z.object({ type: z.literal('api_actor'), api_key_id: z.string() }),
  z.object({ type: z.literal('user_actor'), user_id: z.string() }),
  z.object({ type: z.literal('session_actor'), session_id: z.string() }),
]);

export const headerLine = z.object({
  format: z.literal(FORMAT),
  version: z.number().int().positive(),
  exported_at: z.string(),
  counts: z.partialRecord(z.enum(COUNTED), z.number().int().min(0)),
});

export const sessionLine = z.strictObject({
  type: z.literal('session'),
  id,
  kind: z.enum(['chat', 'task']),
  trust: z.enum(['owner', 'guest', 'group']),
  title: text(10_000).nullable(),
  metadata: z.record(z.string(), z.string()),
  created_at: millis,
});

export const eventLine = z.strictObject({
  type: z.literal('event'),
  id,
  session_id: id,
  /** What people and the agent said and did; never what steers a session. */
  event: z.string().regex(/^(?:user|agent|memory)\.[a-z_]+$/, 'is no event of a conversation'),
  at: millis,
  tainted: z.boolean(),
  origin: origin.nullable(),
  /** Of imported words: what they are recognised by when they come again. */
  dedupe: z
    .string()
    .regex(/^import:[\w-]{1,100}$/, 'is no mark of an import')
    .optional(),
  payload: z.looseObject({ content: z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]).optional() }),
});

export const itemLine = z.strictObject({
  type: z.literal('item'),
  id,
  scope: z.literal('owner', { error: 'is not the owner’s' }),
  tier: z.enum(TIERS),
  kind: z.enum(KINDS),
  subject: text(1_000).nullable(),
  slot: text(1_000).nullable(),
  text: text(200_000).min(1),
  authority: z.enum(['owner', 'agent', 'outside']),
  confidence: z.number().min(0).max(1),
  valid_from: millis,
  valid_to: millis.nullable(),
  recorded_at: millis,
  retired_at: millis.nullable(),
  retire_reason: text(10_000).nullable(),
  superseded_by: id.nullable(),
  expires_at: millis.nullable(),
  about: text(1_000).nullable(),
  change_id: id,
  pinned_at: millis.nullable(),
  sources: z.array(z.strictObject({ event_id: id, quote: text(200_000) })).max(10_000),
  parents: z.array(id).max(10_000),
});

export const changeLine = z.strictObject({
  type: z.literal('change'),
  id,
  scope: z.literal('owner'),
  kind: z.enum(CHANGE_KINDS),
  event_id: id,
  ops: jsonOf(done),
  at: millis,
  undone_by: id.nullable(),
});

export const questionLine = z.strictObject({
  type: z.literal('question'),
  id,
  scope: z.literal('owner'),
  kind: z.enum(['contradiction', 'promotion', 'merge']),
  proposal: jsonOf(draft),
  item_id: id.nullable(),
  created_at: millis,
  resolved_at: millis.nullable(),
  verdict: z.enum(['accepted', 'rejected', 'moot']).nullable(),
});

export const keyLine = z.strictObject({
  type: z.literal('key'),
  name: z.enum(['tombstones', 'imports', 'stores']),
  value: z.string().min(16).max(200),
});
export const tombstoneLine = z.strictObject({
  type: z.literal('tombstone'),
  hash: z.string().min(16).max(200),
  at: millis,
});

export const storeLine = z.strictObject({
  type: z.literal('store'),
  id,
  name: text(1_000),
  description: text(10_000),
  metadata: z.record(z.string(), z.string()),
  created_at: millis,
  updated_at: millis,
  archived_at: millis.nullable(),
});
export const versionLine = z.strictObject({
  type: z.literal('version'),
  id,
  store_id: id,
  memory_id: id,
  operation: z.enum(['created', 'modified', 'deleted']),
  path: text(4_000).nullable(),
  content: text(1_000_000).nullable(),
  items: z.array(id).nullable(),
  sha256: z.string().nullable(),
  size: z.number().int().min(0).nullable(),
  created_by: jsonOf(actor, 1_000),
  created_at: millis,
  redacted_at: millis.nullable(),
  redacted_by: jsonOf(actor, 1_000).nullable(),
});
export const fileLine = z.strictObject({
  type: z.literal('file'),
  id,
  store_id: id,
  path: text(4_000),
  version_id: id,
  created_at: millis,
  updated_at: millis,
});

export const anyLine = z.discriminatedUnion('type', [
  sessionLine,
  eventLine,
  itemLine,
  changeLine,
  questionLine,
  keyLine,
  tombstoneLine,
  storeLine,
  versionLine,
  fileLine,
]);
export type Line = z.infer<typeof anyLine>;
export type EventLine = z.infer<typeof eventLine>;
export type ItemLine = z.infer<typeof itemLine>;
export type StoreLines = z.infer<typeof storeLine> | z.infer<typeof versionLine> | z.infer<typeof fileLine>;

/** Where each line is counted in the header. */
export const COUNTS_AS: Record<Line['type'], keyof Counts | null> = {
  session: 'sessions',
  event: 'events',
  item: 'items',
  change: 'changes',
  question: 'questions',
  tombstone: 'tombstones',
  key: null,
  store: 'files',
  version: 'files',
  file: 'files',
};
