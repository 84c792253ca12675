// What the commands read out of the answers of /api/schedules; everything else passes through.
import { z } from 'zod';

const upcoming = z.looseObject({ at: z.string(), local: z.string() });

export const schedule = z.looseObject({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  when: z.string(),
  paused: z.looseObject({ kind: z.string(), why: z.string().optional() }).nullable(),
  rule: z.looseObject({ kind: z.string(), time_zone: z.string() }),
  starts: z.looseObject({
    kind: z.string(),
    text: z.string().optional(),
    session: z.string().optional(),
    job: z.string().optional(),
  }),
  deliver_to: z.string().nullable(),
  grants: z.looseObject({ hosts: z.array(z.string()), tools: z.array(z.string()), recipients: z.array(z.string()) }),
  next: z.looseObject({ at: z.string() }).nullable(),
});
export type ScheduleView = z.infer<typeof schedule>;
export const shown = schedule.extend({ upcoming: z.array(upcoming) });
export type ShownSchedule = z.infer<typeof shown>;
export const next = z.looseObject({ data: z.array(upcoming) });

export const run = z.looseObject({
  id: z.string(),
  schedule_id: z.string(),
  slot: z.looseObject({ at: z.string() }),
  trigger: z.string(),
  state: z.string(),
  reason: z.string().nullable(),
  result: z.string().nullable(),
  session_id: z.string().nullable(),
});
export const why = z.looseObject({ why: z.string() });
