// What the commands read out of the answers of /api/memory; everything else passes through.
import { z } from 'zod';
import { KINDS, TIERS } from '../memory.ts';

const time = z.string().nullable();

export const item = z.looseObject({
  id: z.string(),
  scope: z.string(),
  tier: z.enum(TIERS),
  kind: z.enum(KINDS),
  subject: z.string().nullable(),
  slot: z.string().nullable(),
  text: z.string(),
  authority: z.enum(['owner', 'agent', 'outside']),
  pinned: z.boolean(),
  valid_from: z.string(),
  valid_to: time,
  recorded_at: z.string(),
  retired_at: time,
  retire_reason: z.string().nullable(),
  superseded_by: z.string().nullable(),
  expires_at: time,
  change_id: z.string(),
});
export type ItemView = z.infer<typeof item>;

export const shown = item.extend({
  sources: z.array(
    z.looseObject({
      event_id: z.string(),
      session_id: z.string(),
      quote: z.string(),
      at: z.string(),
      channel: z.string().nullable(),
      who: z.string(),
    }),
  ),
  history: z.array(item),
  derived: z.array(item),
});

export const found = z.looseObject({
  data: z.array(
    z.looseObject({
      kind: z.enum(['event', 'item']),
      id: z.string(),
      text: z.string(),
      score: z.number(),
      at: z.string(),
      who: z.string(),
      trust: z.enum(['owner', 'agent', 'outside']),
      channel: z.string().nullable(),
      tier: z.enum(TIERS).nullable(),
    }),
  ),
  weak: z.boolean(),
  degraded: z.string().nullable(),
  took_ms: z.number(),
});

export const question = z.looseObject({
  id: z.string(),
  kind: z.string(),
  text: z.string(),
  created_at: z.string(),
});

export const saved = z.discriminatedUnion('result', [
  z.looseObject({
    result: z.literal('saved'),
    item,
    superseded: z.array(z.string()),
    change_id: z.string(),
  }),
  z.looseObject({ result: z.literal('known'), item }),
  z.looseObject({ result: z.literal('asked'), question }),
]);
export type SavedView = z.infer<typeof saved>;

export const change = z.looseObject({
  id: z.string(),
  kind: z.string(),
  at: z.string(),
  undone_by: z.string().nullable(),
  added: z.array(z.string()),
  retired: z.array(z.string()),
  erased: z.number(),
});
export const changeShown = change.extend({ added_items: z.array(item), retired_items: z.array(item) });

export const forgotten = z.looseObject({
  items: z.number(),
  events: z.number(),
  remains: z.array(z.string()),
  change_id: z.string(),
});

export const answered = z.looseObject({ accepted: z.boolean(), saved: saved.nullable() });

export const run = z.looseObject({
  kind: z.string(),
  change_id: z.string().nullable(),
  added: z.array(z.looseObject({ text: z.string().optional() })),
  retired: z.array(z.looseObject({ id: z.string(), text: z.string(), why: z.string() })),
  questions: z.number(),
  refused: z.array(z.string()),
  summary: z.string(),
});

export const stats = z.looseObject({
  items: z.record(z.string(), z.number()),
  indexed: z.number(),
  questions: z.number(),
});

export const imported = z.looseObject({
  items: z.number(),
  events: z.number(),
  skipped: z.array(z.looseObject({ what: z.string(), why: z.string() })),
  change_id: z.string().nullable(),
});

export const exported = z.object({ path: z.string(), data: z.string() });
