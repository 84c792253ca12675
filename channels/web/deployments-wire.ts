// Deployments and their runs in the Managed Agents shape, and the schemas of what comes in. Fields are those of the pinned SDK.
import { z } from 'zod';
import type { PausedReason, Schedule, ScheduleRun, Starts, Upcoming } from '../../core/schedules.ts';
import type { JsonObject } from '../../core/types.ts';
import * as wire from './wire.ts';

export type Deployment = Schedule & { starts: Extract<Starts, { kind: 'deployment' }> };
export const isDeployment = (schedule: Schedule): schedule is Deployment => schedule.starts.kind === 'deployment';

export const statusOf = (schedule: Schedule): 'active' | 'paused' =>
  schedule.state === 'paused' ? 'paused' : 'active';

function pausedToWire(reason: PausedReason): JsonObject {
  if (reason.kind === 'manual') return { type: 'manual' };
  const code = reason.kind === 'error' ? reason.code : 'unknown';
  const known = code === 'agent_archived' || code === 'environment_archived';
  return { type: 'error', error: { type: known ? `${code}_error` : 'unknown_error', message: reason.why } };
}

export function deploymentToWire(deployment: Deployment, upcoming: readonly Upcoming[]): JsonObject {
  const { starts, rule, budgetUsd } = deployment;
  return {
    id: deployment.id,
    type: 'deployment',
    name: deployment.name,
    description: deployment.description,
    agent: { id: starts.agentId, type: 'agent', version: starts.agentVersion },
    environment_id: starts.environmentId,
    initial_events: starts.initialEvents,
    schedule:
      rule.kind === 'cron'
        ? {
            type: 'cron',
            expression: rule.expression,
            timezone: rule.timeZone,
            last_run_at: wire.orNull(deployment.lastRunAt),
            upcoming_runs_at: upcoming.map(({ slot }) => wire.rfc3339(slot.at)),
          }
        : null,
    status: statusOf(deployment),
    paused_reason: deployment.state === 'paused' && deployment.paused ? pausedToWire(deployment.paused) : null,
    resources: [],
    vault_ids: [],
    metadata: deployment.metadata,
    ...(budgetUsd !== null && { budget: { type: 'limit', max_list_cost: centsOf(budgetUsd) } }),
    created_at: wire.rfc3339(deployment.createdAt),
    updated_at: wire.rfc3339(deployment.updatedAt),
    archived_at: wire.orNull(deployment.archivedAt),
  };
}

/** What counts as a run there: a session was made, or making it failed. */
export const isExecution = (run: ScheduleRun): boolean => run.sessionId !== null || run.state === 'failed';

export const triggerOf = ({ trigger }: ScheduleRun): 'schedule' | 'manual' =>
  trigger === 'schedule' || trigger === 'catch_up' ? 'schedule' : 'manual';

function errorOf(run: ScheduleRun): JsonObject | null {
  if (run.sessionId !== null || run.state !== 'failed') return null;
  const message = run.reason ?? 'The session could not be made.';
  const what = /\b(agent|environment)\b.*\barchived\b/i.exec(message)?.[1]?.toLowerCase();
  return { type: what ? `${what}_archived_error` : 'unknown_error', message };
}

export const runToWire = (run: ScheduleRun, agent: { id: string; version: number }): JsonObject => ({
  id: run.id,
  type: 'deployment_run',
  deployment_id: run.scheduleId,
  agent: { type: 'agent', ...agent },
  session_id: run.sessionId,
  error: errorOf(run),
  trigger_context:
    triggerOf(run) === 'schedule' ? { type: 'schedule', scheduled_at: wire.rfc3339(run.slot.at) } : { type: 'manual' },
  created_at: wire.rfc3339(run.createdAt),
});

// ---------------------------------------------------------------- what comes in

/** Whole cents as a string, as everywhere in this API. */
const budget = z.strictObject({
  type: z.literal('limit'),
  max_list_cost: z.strictObject({
    amount: z.string().regex(/^\d{1,12}$/, 'must be whole cents as a string, as "500"'),
    currency: z.literal('USD'),
  }),
});
export const usdOf = (value: z.infer<typeof budget> | null): number | null =>
  value === null ? null : Number(value.max_list_cost.amount) / 100;
const centsOf = (usd: number): JsonObject => ({ amount: String(Math.round(usd * 100)), currency: 'USD' });

const schedule = z
  .strictObject({
    type: z.literal('cron'),
    expression: z.string().min(1).max(200),
    timezone: z.string().min(1).max(60),
  })
  .nullable();
export type ScheduleParams = z.infer<typeof schedule>;

const initialEvents = z
  .array(
    z.strictObject({
      type: z.literal('user.message', { error: 'only user.message is supported here' }),
      content: wire.content,
    }),
  )
  .min(1)
  .max(50);
const none = (what: string) => z.array(z.unknown()).max(0, `${what} are not supported here; leave them out`);

export const deploymentParams = z.strictObject({
  name: wire.text(120).pipe(z.string().trim().min(1, 'must not be empty')),
  agent: wire.agentRef,
  environment_id: z.string().min(1),
  initial_events: initialEvents,
  description: wire.text(2_000).nullish(),
  schedule: schedule.optional(),
  budget: budget.nullish(),
  metadata: wire.metadata.optional(),
  resources: none('resources').optional(),
  vault_ids: none('vault_ids').optional(),
});
export const deploymentChange = deploymentParams.partial().extend({
  metadata: wire.metadataChange.nullish(),
  resources: none('resources').nullish(),
  vault_ids: none('vault_ids').nullish(),
});
