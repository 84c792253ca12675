// The Managed Agents shapes as they go over the wire, and the schemas of what comes in. Names and fields are those of the pinned SDK.
import { z } from 'zod';
import type { Agent, AgentSpec, Environment, EnvironmentSpec } from '../../core/agents.ts';
import { StewardError } from '../../core/errors.ts';
import type { JsonObject, LogEvent, Millis, Session } from '../../core/types.ts';
import type { UsageTotals } from '../../core/usage.ts';

export const rfc3339 = (at: Millis): string => new Date(at).toISOString();
export const orNull = (at: Millis | null): string | null => (at === null ? null : rfc3339(at));

export function eventToWire(event: LogEvent): JsonObject {
  const origin = event.origin;
  return {
    ...event.payload,
    ...(origin && {
      origin: {
        channel: origin.sender.channel,
        user_id: origin.sender.userId,
        name: origin.sender.name ?? null,
        role: origin.role,
      },
    }),
    ...(event.tainted && { tainted: true }),
    ...(event.runId && { run_id: event.runId }),
    id: event.id,
    type: event.type,
    seq: event.seq,
    position: event.position,
    created_at: rfc3339(event.createdAt),
    processed_at: orNull(event.processedAt),
  };
}

export function agentToWire(agent: Agent): JsonObject {
  return {
    id: agent.id,
    type: 'agent',
    version: agent.version,
    ...agent.spec,
    multiagent: null,
    execution_identity: { type: 'service_account' },
    created_at: rfc3339(agent.createdAt),
    updated_at: rfc3339(agent.updatedAt),
    archived_at: orNull(agent.archivedAt),
  };
}

export function environmentToWire(environment: Environment): JsonObject {
  return {
    id: environment.id,
    type: 'environment',
    ...environment.spec,
    created_at: rfc3339(environment.createdAt),
    updated_at: rfc3339(environment.updatedAt),
    archived_at: orNull(environment.archivedAt),
  };
}

/** `BetaMonetaryAmount`: whole minor units as a string, so cents; null when a price is not known. */
const listCost = (usage: UsageTotals): JsonObject | null =>
  usage.cost_usd === null && usage.requests > 0
    ? null
    : { amount: String(Math.round((usage.cost_usd ?? 0) * 100)), currency: 'USD' };

export function sessionToWire(
  session: Session,
  more: { agent: Agent; usage: UsageTotals; main: boolean; tainted: boolean },
): JsonObject {
  const { metadata: _, ...spec } = more.agent.spec;
  return {
    id: session.id,
    type: 'session',
    title: session.title,
    status: session.status,
    agent: {
      id: more.agent.id,
      type: 'agent',
      version: more.agent.version,
      ...spec,
      multiagent: null,
      execution_identity: { type: 'service_account' },
    },
    environment_id: session.environmentId,
    metadata: session.metadata,
    budget: null,
    resources: [],
    vault_ids: [],
    outcome_evaluations: [],
    stats: { duration_seconds: Math.round((session.updatedAt - session.createdAt) / 1000) },
    usage: {
      input_tokens: more.usage.input_tokens,
      output_tokens: more.usage.output_tokens,
      cache_read_input_tokens: more.usage.cache_read_input_tokens,
      cache_creation: { ephemeral_5m_input_tokens: more.usage.cache_creation_input_tokens },
      list_cost: listCost(more.usage),
      cost_usd: more.usage.cost_usd,
    },
    created_at: rfc3339(session.createdAt),
    updated_at: rfc3339(session.updatedAt),
    archived_at: orNull(session.archivedAt),
    kind: session.kind,
    trust: session.trust,
    main: more.main,
    tainted: more.tainted,
    stop_reason: session.stopReason as unknown as JsonObject,
    last_seq: session.lastSeq,
  };
}

// ---------------------------------------------------------------- what comes in

/** Lone surrogates are no text: they become U+FFFD here, so that nothing behind ever meets one. */
export const text = (max: number) =>
  z
    .string()
    .max(max)
    .transform((value) => value.toWellFormed());

const textBlock = z.object({ type: z.literal('text'), text: text(1_000_000) });
const imageBlock = z.object({
  type: z.literal('image'),
  source: z.object({
    type: z.literal('base64', { error: 'only base64 image sources are supported' }),
    media_type: z.enum(['image/jpeg', 'image/png', 'image/gif', 'image/webp']),
    data: z.base64().min(1),
  }),
});
export const content = z.array(z.discriminatedUnion('type', [textBlock, imageBlock])).min(1);

export const eventParams = z.discriminatedUnion('type', [
  z.object({ type: z.literal('user.message'), content }),
  z.object({ type: z.literal('user.interrupt') }),
  z.object({
    type: z.literal('user.tool_confirmation'),
    tool_use_id: z.string().min(1),
    result: z.enum(['allow', 'deny']),
    deny_message: text(2_000).nullish(),
  }),
  z.object({
    type: z.literal('user.custom_tool_result'),
    custom_tool_use_id: z.string().min(1),
    content: content.optional(),
    is_error: z.boolean().nullish(),
  }),
]);
export const sendParams = z.object({ events: z.array(eventParams).min(1).max(50) });
export type EventParams = z.infer<typeof eventParams>;

export const metadata = z
  .record(z.string().max(64), z.string().max(512))
  .refine((value) => Object.keys(value).length <= 16, {
    message: 'at most 16 keys',
  });
/** In an update null removes a key. */
export const metadataChange = z.record(z.string().max(64), z.string().max(512).nullable());

export const agentRef = z.union([
  z.string().transform((id) => ({ id, version: undefined as number | undefined })),
  z.object({ type: z.literal('agent'), id: z.string(), version: z.number().int().positive().optional() }),
]);

export const sessionParams = z.object({
  agent: agentRef,
  environment_id: z.string(),
  title: text(200).nullish(),
  metadata: metadata.optional(),
  initial_events: z
    .array(z.object({ type: z.literal('user.message'), content }))
    .max(50)
    .optional(),
});
export const sessionChange = z.object({ title: text(200).nullish(), metadata: metadataChange.nullish() });

const model = z.union([z.string().transform((id) => ({ id })), z.object({ id: z.string() })]);
const loose = z.looseObject({ type: z.string() });
const customTool = z.looseObject({
  type: z.literal('custom'),
  name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/),
  description: z.string(),
  input_schema: z.looseObject({ type: z.literal('object') }),
});
const memoryFiles = z.looseObject({ type: z.literal('memory_20250818'), name: z.literal('memory') });
const tools = z
  .array(z.union([customTool, memoryFiles, z.looseObject({ type: z.enum(['agent_toolset_20260401', 'mcp_toolset']) })]))
  .max(128);

export const agentParams = z.object({
  name: text(200),
  model,
  description: text(2_000).nullish(),
  system: text(100_000).nullish(),
  tools: tools.optional(),
  mcp_servers: z.array(loose).max(20).optional(),
  skills: z.array(loose).max(20).optional(),
  metadata: metadata.optional(),
});
export const agentChange = agentParams
  .partial()
  .extend({ version: z.number().int().positive(), metadata: metadataChange.optional() });

export const environmentParams = z.object({
  name: text(200),
  description: text(2_000).nullish(),
  config: loose.nullish(),
  metadata: metadata.optional(),
});
export const environmentChange = environmentParams.partial().extend({ metadata: metadataChange.optional() });

export function mergeMetadata(
  old: Record<string, string>,
  change: Record<string, string | null>,
): Record<string, string> {
  const merged: Record<string, string | null> = { ...old, ...change };
  return Object.fromEntries(Object.entries(merged).filter((entry): entry is [string, string] => entry[1] !== null));
}

export const toAgentSpec = (params: z.infer<typeof agentParams>): AgentSpec => ({
  name: params.name,
  model: { id: params.model.id },
  description: params.description ?? null,
  system: params.system ?? null,
  tools: (params.tools ?? []) as JsonObject[],
  mcp_servers: (params.mcp_servers ?? []) as JsonObject[],
  skills: (params.skills ?? []) as JsonObject[],
  metadata: params.metadata ?? {},
});

export const toEnvironmentSpec = (params: z.infer<typeof environmentParams>): EnvironmentSpec => ({
  name: params.name,
  description: params.description ?? null,
  config: (params.config ?? { type: 'self_hosted' }) as JsonObject,
  metadata: params.metadata ?? {},
});

/** Parses a body or throws `invalid` with every problem in one sentence. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown, op: string): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues
    .slice(0, 5)
    .map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw new StewardError('invalid', problems.join('; '), { op, hint: 'See the Managed Agents API for the shape.' });
}
