// Schedules and their runs as they go over the wire of /api/schedules, and the shapes of what comes in.
import { z } from 'zod';
import type { Rule, Schedule, ScheduleRun, SchedulesApi, Upcoming } from '../../core/schedules.ts';
import { JOBS } from '../../core/schedules.ts';
import * as shapes from '../../core/schedules-shapes.ts';
import { placeText } from '../../core/schedules-text.ts';
import type { JsonObject } from '../../core/types.ts';
import * as wire from './wire.ts';

export const upcomingToWire = ({ slot, local }: Upcoming): JsonObject => ({
  at: wire.rfc3339(slot.at),
  key: slot.key,
  local,
});

export function ruleToWire(rule: Rule): JsonObject {
  const { kind, timeZone: time_zone } = rule;
  if (kind === 'cron') return { kind, expression: rule.expression, time_zone };
  if (kind === 'interval') return { kind, every_ms: rule.every, anchor: wire.rfc3339(rule.anchor), time_zone };
  if (kind === 'once') return { kind, at: wire.rfc3339(rule.at), time_zone };
  return { kind, time_zone };
}

export function scheduleToWire(schedule: Schedule, describe: SchedulesApi['describe']): JsonObject {
  const { starts, grants, next } = schedule;
  return {
    id: schedule.id,
    type: 'schedule',
    name: schedule.name,
    description: schedule.description,
    state: schedule.state,
    paused: schedule.paused as unknown as JsonObject | null,
    when: describe(schedule.rule),
    rule: ruleToWire(schedule.rule),
    starts:
      starts.kind === 'deployment'
        ? {
            kind: starts.kind,
            agent_id: starts.agentId,
            agent_version: starts.agentVersion,
            environment_id: starts.environmentId,
            initial_events: starts.initialEvents,
          }
        : (starts as unknown as JsonObject),
    deliver_to: schedule.target && placeText(schedule.target),
    model: schedule.model,
    harness: schedule.harness,
    budget_usd: schedule.budgetUsd,
    overlap: schedule.overlap,
    catch_up: schedule.catchUp,
    window_ms: schedule.windowMs,
    jitter_ms: schedule.jitterMs,
    priority: schedule.priority,
    quiet: schedule.quiet as unknown as JsonObject | null,
    idle_only: schedule.idleOnly,
    conditions: schedule.conditions as unknown as JsonObject[],
    grants: { hosts: grants.hosts, tools: grants.tools, recipients: grants.recipients.map(placeText) },
    ends_at: wire.orNull(schedule.endsAt),
    metadata: schedule.metadata,
    trust: schedule.trust,
    created_by: schedule.createdBy,
    session_id: schedule.sessionId,
    revision: schedule.revision,
    next: next && { at: wire.rfc3339(next.at), key: next.key },
    failures: schedule.failures,
    last_run_at: wire.orNull(schedule.lastRunAt),
    created_at: wire.rfc3339(schedule.createdAt),
    updated_at: wire.rfc3339(schedule.updatedAt),
    archived_at: wire.orNull(schedule.archivedAt),
  };
}

export const runToWire = (run: ScheduleRun): JsonObject => ({
  id: run.id,
  type: 'schedule_run',
  schedule_id: run.scheduleId,
  slot: { at: wire.rfc3339(run.slot.at), key: run.slot.key },
  trigger: run.trigger,
  state: run.state,
  reason: run.reason,
  attempts: run.attempts,
  missed_before: run.missedBefore,
  session_id: run.sessionId,
  event_id: run.eventId,
  started_at: wire.orNull(run.startedAt),
  ended_at: wire.orNull(run.endedAt),
  cost_usd: run.costUsd,
  result: run.result,
  created_at: wire.rfc3339(run.createdAt),
});

// ---------------------------------------------------------------- what comes in

const moment = z.iso.datetime({ offset: true, error: 'is no time in RFC 3339, as 2026-12-24T18:00:00Z' });
const zone = z.string().min(1).max(60);
const rule = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('cron'), expression: z.string().min(1).max(200), time_zone: zone.optional() }),
  z.strictObject({
    kind: z.literal('interval'),
    every_ms: z.number().int().positive(),
    anchor: moment.optional(),
    time_zone: zone.optional(),
  }),
  z.strictObject({ kind: z.literal('once'), at: moment, time_zone: zone.optional() }),
  z.strictObject({ kind: z.literal('manual'), time_zone: zone.optional() }),
]);
export type RuleParams = z.infer<typeof rule>;

export function toRule(params: RuleParams, timeZone: string, now: number): Rule {
  const zone = { timeZone: params.time_zone ?? timeZone };
  if (params.kind === 'cron') return { kind: 'cron', expression: params.expression, ...zone };
  if (params.kind === 'once') return { kind: 'once', at: Date.parse(params.at), ...zone };
  if (params.kind === 'manual') return { kind: 'manual', ...zone };
  const anchor = params.anchor === undefined ? now : Date.parse(params.anchor);
  return { kind: 'interval', every: params.every_ms, anchor, ...zone };
}

const words = wire.text(20_000);
const starts = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('prompt'), text: words, session: z.enum(['main', 'own']).default('own') }),
  z.strictObject({ kind: z.literal('message'), text: words }),
  z.strictObject({ kind: z.literal('job'), job: z.enum(JOBS) }),
  z.strictObject({ kind: z.literal('task'), task: z.record(z.string(), z.json()) }),
]);
const list = z.array(z.string().min(1).max(300)).max(100);

const when = { when: z.string().min(1).max(300).optional(), time_zone: zone.optional(), rule: rule.optional() };
export const previewParams = z.strictObject({ ...when, limit: z.number().int().min(1).max(100).default(5) });

export const scheduleChange = z.strictObject({
  ...when,
  name: wire.text(200).optional(),
  description: wire.text(2_000).nullish(),
  starts: starts.optional(),
  deliver_to: shapes.place.nullish(),
  model: z.string().min(1).max(200).nullish(),
  harness: z.string().min(1).max(60).nullish(),
  budget_usd: z.number().positive().nullish(),
  overlap: shapes.overlap.optional(),
  catch_up: shapes.catchUp.optional(),
  window_ms: z.number().int().min(0).nullish(),
  jitter_ms: z.number().int().min(0).optional(),
  priority: z.number().int().min(-100).max(100).optional(),
  quiet: shapes.quiet.nullish(),
  idle_only: z.boolean().optional(),
  conditions: z.array(shapes.condition).max(10).optional(),
  grants: z
    .strictObject({
      hosts: list.default([]),
      tools: list.default([]),
      recipients: z.array(shapes.place).max(100).default([]),
    })
    .optional(),
  ends_at: z.string().max(40).nullish(),
  metadata: wire.metadata.optional(),
});
export const scheduleParams = scheduleChange.required({ starts: true });
export type ScheduleChange = z.infer<typeof scheduleChange>;
