// What the commands read out of the HTTP API's answers: only the fields they show; everything else passes through.
import { z } from 'zod';

export const apiError = z.object({ error: z.object({ message: z.string(), hint: z.string().optional() }) });

const time = z.string().nullish();

export const hands = z.looseObject({
  driver: z.string(),
  state: z.string(),
  isolation: z.string(),
  egress_locked: z.boolean(),
  limits: z.record(z.string(), z.string().nullable()),
  findings: z.array(z.looseObject({ level: z.string(), text: z.string(), fix: z.string() })),
  detail: z.string(),
  broker: z.looseObject({ state: z.string(), detail: z.string() }),
  alive: z.number(),
});
export type Hands = z.infer<typeof hands>;

export const status = z.looseObject({
  version: z.string(),
  ready: z.boolean(),
  started_at: z.union([z.string(), z.number()]),
  pid: z.number().optional(),
  safe_mode: z.looseObject({ since: z.union([z.string(), z.number()]), why: z.string() }).nullish(),
  model: z.looseObject({
    configured: z.array(z.string()),
    provider: z.string(),
    state: z.string(),
    detail: z.string().nullish(),
    last_success_at: z.union([z.string(), z.number()]).nullish(),
  }),
  channels: z.array(
    z.looseObject({
      name: z.string(),
      state: z.string(),
      detail: z.string().nullish(),
      last_success_at: z.union([z.string(), z.number()]).nullish(),
    }),
  ),
  /** Absent in the answers of a process older than its command line. */
  hands: hands.optional(),
  main_session_id: z.string().nullable(),
  sessions: z.looseObject({ running: z.number(), rescheduling: z.number(), total: z.number() }),
  approvals_pending: z.number(),
  outbox: z.looseObject({ pending: z.number(), dead: z.number() }),
  budget: z.looseObject({ day_limit_usd: z.number(), day_spent_usd: z.number(), unpriced_requests: z.number() }),
  disk: z.looseObject({ state: z.string() }),
  notices: z.array(z.looseObject({ level: z.string(), text: z.string() })),
});
export type Status = z.infer<typeof status>;

export const loginLink = z.looseObject({ url: z.string(), expires_at: z.union([z.string(), z.number()]).nullish() });

export const session = z.looseObject({
  id: z.string(),
  title: z.string().nullish(),
  status: z.string(),
  updated_at: time,
  kind: z.string().nullish(),
  trust: z.string().nullish(),
  main: z.boolean().nullish(),
  stop_reason: z.looseObject({ type: z.string() }).nullish(),
  last_seq: z.number().nullish(),
});
export type SessionView = z.infer<typeof session>;

const block = z.looseObject({ type: z.string(), text: z.string().optional() });

export const event = z.looseObject({
  id: z.string(),
  type: z.string(),
  created_at: time,
  processed_at: time,
  content: z.array(block).nullish().catch(undefined),
  name: z.string().optional().catch(undefined),
  input: z.unknown().optional(),
  is_error: z.boolean().optional().catch(undefined),
  evaluated_permission: z.string().optional().catch(undefined),
  stop_reason: z
    .looseObject({ type: z.string(), event_ids: z.array(z.string()).optional() })
    .nullish()
    .catch(undefined),
  error: z.looseObject({ message: z.string().optional() }).nullish().catch(undefined),
  cost_usd: z.number().nullish().catch(undefined),
});
export type EventView = z.infer<typeof event>;

/** A preview of an answer that is still being written; never stored. */
export const preview = z.union([
  z.object({ type: z.literal('event_start'), event: z.object({ id: z.string() }) }),
  z.object({
    type: z.literal('event_delta'),
    event_id: z.string(),
    delta: z.object({ content: z.object({ text: z.string() }) }),
  }),
]);

export const approval = z.looseObject({
  id: z.string(),
  session_id: z.string(),
  name: z.string(),
  title: z.string(),
  detail: z.string(),
  why: z.string(),
  created_at: time,
  expires_at: time,
});
export type ApprovalView = z.infer<typeof approval>;

export const pairing = z.looseObject({
  code: z.string(),
  channel: z.string(),
  user_id: z.string(),
  name: z.string().nullish(),
  expires_at: time,
});

export const identity = z.looseObject({
  channel: z.string(),
  user_id: z.string(),
  name: z.string().nullish(),
  role: z.string(),
  paired_at: time,
});

export const usage = z.looseObject({
  data: z.array(
    z.looseObject({
      day: z.string(),
      model: z.string(),
      requests: z.number(),
      input_tokens: z.number(),
      output_tokens: z.number(),
      cost_usd: z.number().nullish(),
    }),
  ),
  total_usd: z.number(),
  unpriced_models: z.array(z.string()),
});

export const custody = z.looseObject({
  event_id: z.string(),
  steps: z.array(z.looseObject({ step: z.string(), at: time, detail: z.string().nullish() })),
});

export function page<T extends z.ZodType>(item: T) {
  return z.looseObject({ data: z.array(item), next_page: z.string().nullish() });
}

export const anything = z.unknown();
