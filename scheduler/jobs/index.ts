// The list of built-in jobs; a new one is one file, one line here, and its name in core/schedules.ts.
import type { JobName } from '../../core/schedules.ts';
import { createBackupJob } from './backup.ts';
import { type BriefDeps, createBriefJob } from './brief.ts';
import { type ConsolidationJobDeps, createConsolidationJob } from './consolidation.ts';
import type { Job } from './job.ts';
import { createRetentionJob, type RetentionDeps } from './retention.ts';
import { createSandboxSweepJob, type SandboxSweepDeps } from './sandbox-sweep.ts';

export type JobsDeps = BriefDeps & RetentionDeps & ConsolidationJobDeps & SandboxSweepDeps;

export const createJobs = (deps: JobsDeps): Record<JobName, Job> => ({
  brief: createBriefJob(deps),
  consolidation: createConsolidationJob(deps),
  backup: createBackupJob(deps),
  sandbox_sweep: createSandboxSweepJob(deps),
  retention: createRetentionJob(deps),
});
