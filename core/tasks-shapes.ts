// A code task as programs, schedules and models write it: checked once, here, for every way in.
import { z } from 'zod';
import { StewardError } from './errors.ts';
import { place } from './schedules-shapes.ts';
import type { TaskWish } from './tasks.ts';
import type { JsonObject } from './types.ts';

export const repository = z.string().trim().min(1).max(2_000);
export const instruction = z.string().trim().min(1).max(100_000);
export const lines = z.array(z.string().min(1).max(10_000)).max(20);
export const hosts = z.array(z.string().min(1).max(253)).max(50);
export const delivery = z.enum(['auto', 'pull_request', 'branch', 'patch']);
const name = z.string().trim().min(1).max(200);

/** As `POST /api/tasks` takes it, and the `task` of a schedule. */
export const taskParams = z.strictObject({
  repository,
  instruction,
  base: z.string().trim().min(1).max(300).nullish(),
  setup: lines.optional(),
  verify: lines.optional(),
  harness: name.nullish(),
  model: name.nullish(),
  limits: z
    .strictObject({
      wall_ms: z.number().optional(),
      turns: z.number().optional(),
      cost_usd: z.number().nullish(),
      attempts: z.number().optional(),
    })
    .optional(),
  delivery: delivery.optional(),
  hosts: hosts.optional(),
  result_schema: z.record(z.string(), z.json()).nullish(),
  /** Where it is told how it ended, as telegram:42. */
  deliver_to: place.nullish(),
  idempotency_key: z.string().min(1).max(200).optional(),
});
export type TaskParams = z.infer<typeof taskParams>;

const given = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };

export function wishOf(params: TaskParams): TaskWish {
  const { limits, base, setup, verify, harness, model, delivery, hosts, result_schema } = params;
  return {
    repository: params.repository,
    instruction: params.instruction,
    ...given({ base, setup, verify, harness, model, delivery, hosts, resultSchema: result_schema }),
    ...(limits && {
      limits: given({
        wallMs: limits.wall_ms,
        turns: limits.turns,
        costUsd: limits.cost_usd,
        attempts: limits.attempts,
      }),
    }),
  };
}

/** What is wrong with it, one sentence per problem. */
export function taskProblems(task: JsonObject): string[] {
  const parsed = taskParams.safeParse(task);
  if (parsed.success) return [];
  return parsed.error.issues.map(({ path, message }) => `The task’s ${path.join('.') || 'fields'}: ${message}.`);
}

/** Throws `invalid`. */
export function readTask(task: JsonObject): TaskParams {
  const parsed = taskParams.safeParse(task);
  if (parsed.success) return parsed.data;
  throw new StewardError('invalid', taskProblems(task).join(' '), { op: 'create a task' });
}
