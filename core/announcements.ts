// What outbound webhooks say about the runs of schedules and the steps of tasks. Pure.
import type { Schedule, ScheduleRun } from './schedules.ts';
import type { Task } from './tasks.ts';
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

/** `task.queued`, `task.working`, … and, with its result, `task.done`, `task.handed_off`, `task.cancelled` or `task.failed`. */
export function taskAnnouncement(task: Task): { kind: AnnouncementKind; data: JsonObject } {
  const { result } = task;
  return {
    kind: `task.${task.state}`,
    data: {
      task_id: task.id,
      session_id: task.sessionId,
      title: task.title,
      repository: task.repository,
      branch: task.branch,
      state: task.state,
      reason: task.reason,
      since: time(task.since),
      ended_at: time(task.endedAt),
      result: result && {
        head: result.head,
        pull_request: result.pullRequest,
        pushed: result.pushed,
        patch: result.patch,
        files: result.files,
        insertions: result.insertions,
        deletions: result.deletions,
        verify: result.verify.map(({ command, code, limited }) => ({ command, code, limited })),
        cost_usd: result.costUsd,
        active_seconds: result.activeSeconds,
        summary: result.summary,
        handoff: result.handoff,
      },
    },
  };
}
