// What the commands read out of the answers of /api/tasks; everything else passes through.
import { z } from 'zod';

const report = z.looseObject({
  command: z.string(),
  code: z.number().nullable(),
  limited: z.string().nullable(),
  output: z.string(),
});

export const task = z.looseObject({
  id: z.string(),
  session_id: z.string(),
  title: z.string(),
  state: z.string(),
  says: z.string(),
  repository: z.string(),
  base: z.string().nullable(),
  branch: z.string(),
  instruction: z.string(),
  attempts: z.number(),
  rounds: z.number(),
  last_progress_at: z.string(),
  created_at: z.string(),
  ended_at: z.string().nullable(),
  result: z
    .looseObject({
      pull_request: z.looseObject({ url: z.string() }).nullable(),
      pushed: z.boolean(),
      patch: z.string().nullable(),
      diffstat: z.string(),
      verify: z.array(report),
      denied_hosts: z.array(z.string()),
      cost_usd: z.number().nullable(),
      active_seconds: z.number(),
      summary: z.string(),
      handoff: z.string().nullable(),
    })
    .nullable(),
});
export type TaskView = z.infer<typeof task>;
export const made = z.looseObject({ task, is_new: z.boolean() });
export const diff = z.looseObject({ diff: z.string() });
export const checkpoint = z.looseObject({
  id: z.string(),
  created_at: z.string(),
  head: z.string().nullable(),
  changes: z.array(z.looseObject({ path: z.string(), kind: z.string() })),
});
export const checkpoints = z.looseObject({ data: z.array(checkpoint) });
