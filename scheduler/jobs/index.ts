// The list of built-in jobs; a new one is one file, one line here, and its name in core/schedules.ts.
import type { JobName, Schedule, ScheduleRun } from '../../core/schedules.ts';
import type { Millis } from '../../core/types.ts';
import { createBackupJob } from './backup.ts';
import { type BriefDeps, createBriefJob } from './brief.ts';
import { type ConsolidationJobDeps, createConsolidationJob } from './consolidation.ts';
import type { Job, JobResult } from './job.ts';
import { createRetentionJob, type RetentionDeps } from './retention.ts';
import { createSandboxSweepJob, type SandboxSweepDeps } from './sandbox-sweep.ts';

export type JobsDeps = BriefDeps & RetentionDeps & ConsolidationJobDeps & SandboxSweepDeps & { now(): Millis };

/** As the scheduler hands out work. */
interface Order {
  schedule: Pick<Schedule, 'lastRunAt'>;
  run: Pick<ScheduleRun, 'trigger'>;
  signal: AbortSignal;
}

export function createJobs(deps: JobsDeps): Record<JobName, (order: Order) => Promise<JobResult>> {
  const carriedOut = (job: Job) => (order: Order) =>
    job({
      now: deps.now(),
      since: order.schedule.lastRunAt,
      asked: order.run.trigger === 'manual' || order.run.trigger === 'webhook',
      signal: order.signal,
    });
  return {
    brief: carriedOut(createBriefJob(deps)),
    consolidation: carriedOut(createConsolidationJob(deps)),
    backup: carriedOut(createBackupJob(deps)),
    sandbox_sweep: carriedOut(createSandboxSweepJob(deps)),
    retention: carriedOut(createRetentionJob(deps)),
  };
}
