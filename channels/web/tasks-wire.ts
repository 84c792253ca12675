// Tasks and their checkpoints as they go over the wire of /api/tasks, and the shapes of what comes in beside a new one.
import { z } from 'zod';
import { placeText } from '../../core/schedules-text.ts';
import type { CommandReport, Task, TaskCheckpoint, TaskResult } from '../../core/tasks.ts';
import { stateText } from '../../core/tasks-text.ts';
import type { JsonObject } from '../../core/types.ts';
import * as wire from './wire.ts';

const reportToWire = ({ command, code, limited, tookMs, output }: CommandReport): JsonObject => ({
  ...{ command, code, limited, output },
  took_ms: tookMs,
});

const resultToWire = (result: TaskResult): JsonObject => ({
  branch: result.branch,
  head: result.head,
  pull_request: result.pullRequest,
  pushed: result.pushed,
  patch: result.patch,
  diffstat: result.diffstat,
  files: result.files,
  insertions: result.insertions,
  deletions: result.deletions,
  verify: result.verify.map(reportToWire),
  approvals: result.approvals,
  denied_actions: result.deniedActions,
  denied_hosts: result.deniedHosts,
  checkpoints: result.checkpoints,
  usage: result.usage,
  cost_usd: result.costUsd,
  active_seconds: result.activeSeconds,
  summary: result.summary,
  handoff: result.handoff,
});

export const taskToWire = (task: Task): JsonObject => ({
  id: task.id,
  type: 'task',
  session_id: task.sessionId,
  title: task.title,
  state: task.state,
  says: stateText(task),
  reason: task.reason,
  paused: task.paused,
  repository: task.repository,
  base: task.base,
  branch: task.branch,
  instruction: task.instruction,
  setup: task.setup,
  verify: task.verify,
  harness: task.harness,
  model: task.model,
  limits: {
    wall_ms: task.limits.wallMs,
    turns: task.limits.turns,
    cost_usd: task.limits.costUsd,
    attempts: task.limits.attempts,
  },
  delivery: task.delivery,
  hosts: task.hosts,
  result_schema: task.resultSchema,
  attempts: task.attempts,
  rounds: task.rounds,
  base_commit: task.baseCommit,
  head: task.head,
  trust: task.trust,
  created_by: task.createdBy,
  deliver_to: task.target && placeText(task.target),
  result: task.result && resultToWire(task.result),
  created_at: wire.rfc3339(task.createdAt),
  started_at: wire.orNull(task.startedAt),
  since: wire.rfc3339(task.since),
  last_progress_at: wire.rfc3339(task.lastProgressAt),
  ended_at: wire.orNull(task.endedAt),
});

export const checkpointToWire = (checkpoint: TaskCheckpoint): JsonObject => ({
  id: checkpoint.id,
  type: 'checkpoint',
  created_at: wire.rfc3339(checkpoint.at),
  changes: checkpoint.changes,
  head: checkpoint.head,
});

export const steerParams = z.strictObject({ text: wire.text(20_000) });
/** Pause and stop: why, in a few words. */
export const whyParams = z.strictObject({ why: wire.text(500).nullish() });
export const rollbackParams = z.strictObject({ checkpoint_id: z.string().min(1).max(100) });
