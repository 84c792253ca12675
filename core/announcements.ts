// What outbound webhooks say about the runs of schedules. Pure.
import type { Schedule, ScheduleRun } from './schedules.ts';
import type { JsonObject, Millis } from './types.ts';
import type { AnnouncementKind } from './webhooks.ts';

const time = (at: Millis | null): string | null => (at === null ? null : new Date(at).toISOString());

/** Null for a run that is not over, and for one the owner ended himself: nobody has to be told of that. */
export function runAnnouncement(
  run: ScheduleRun,
  schedule: Pick<Schedule, 'id' | 'name'>,
): { kind: AnnouncementKind; data: JsonObject } | null {
  const { state } = run;
  if (state === 'waiting' || state === 'running' || state === 'cancelled') return null;
  return {
    kind: `schedule.${state}`,
    data: {
      run_id: run.id,
      schedule_id: schedule.id,
      schedule_name: schedule.name,
      state,
      reason: run.reason,
      trigger: run.trigger,
      slot: { at: time(run.slot.at), key: run.slot.key },
      attempts: run.attempts,
      missed_before: run.missedBefore,
      session_id: run.sessionId,
      started_at: time(run.startedAt),
      ended_at: time(run.endedAt),
      cost_usd: run.costUsd,
      result: run.result,
    },
  };
}
