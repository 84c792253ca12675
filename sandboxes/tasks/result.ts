// The result of a task as a pure function of its log and of what was measured; the agent's own word is not used.
import { answeredBy } from '../../core/brain/context.ts';
import type { CommandReport, TaskResult, TaskState } from '../../core/tasks.ts';
import type { Id, LogEvent } from '../../core/types.ts';
import { endOf, passed } from './commands.ts';
import type { Delivered } from './delivery.ts';
import { callsIn, handoffText } from './handoff.ts';
import { minutes } from './limits.ts';
import type { TaskRow } from './rows.ts';
import type { Numbers } from './workspace.ts';

export interface ResultFacts {
  task: TaskRow;
  /** How it ends. */
  to: TaskState;
  reason: string | null;
  log: readonly LogEvent[];
  head: string | null;
  numbers: Numbers | null;
  delivered: Delivered | null;
  /** Of a task that was not delivered. */
  patch: string | null;
  approvals: readonly { id: Id; title: string; verdict: string }[];
  deniedHosts: readonly string[];
  usage: { input_tokens: number; output_tokens: number; costUsd: number | null };
}

/** Reports of the newest verification in the log. */
export function lastReports(log: readonly LogEvent[], phase: 'setup' | 'verify'): CommandReport[] {
  const from = log.findLastIndex(
    ({ type, payload }) => type === 'task.status' && payload.to === (phase === 'verify' ? 'verifying' : 'setup'),
  );
  return log
    .slice(from + 1)
    .filter(({ type, payload }) => type === 'task.command' && payload.phase === phase)
    .map(({ payload }) => payload.report as unknown as CommandReport);
}

function deniedActions(log: readonly LogEvent[]): { name: string; why: string }[] {
  const words = new Map(log.map((event) => [answeredBy(event), event]));
  const confirmations = new Map(
    log.filter(({ type }) => type === 'user.tool_confirmation').map(({ payload }) => [payload.tool_use_id, payload]),
  );
  return log
    .filter(({ type }) => type === 'agent.tool_use')
    .flatMap(({ id, payload }) => {
      const answer = confirmations.get(id);
      if (payload.evaluated_permission === 'deny' && words.has(id))
        return [{ name: String(payload.name), why: String(payload.reason ?? '') }];
      if (answer?.result === 'deny')
        return [{ name: String(payload.name), why: String(answer.deny_message ?? 'The owner said no.') }];
      return [];
    })
    .slice(0, 100);
}

function summaryOf(facts: ResultFacts, reports: readonly CommandReport[]): string {
  const { task, numbers, delivered, to } = facts;
  const heads: Partial<Record<TaskState, string>> = {
    done: 'Done.',
    handed_off: 'Handed off: it could not be finished.',
    cancelled: 'Stopped.',
    failed: 'Failed.',
  };
  const lines = [[heads[to] ?? '', to === 'done' ? '' : (facts.reason ?? '')].filter(Boolean).join(' ')];
  if (numbers && numbers.files > 0)
    lines.push(
      `${numbers.files} ${numbers.files === 1 ? 'file' : 'files'} changed (+${numbers.insertions} −${numbers.deletions}) on ${task.branch}.`,
    );
  else if (to === 'done') lines.push('Nothing was changed.');
  if (reports.length > 0)
    lines.push(
      `Checks: ${reports.map(endOf).join('; ')}${task.rounds > 0 ? `, after ${task.rounds} that failed` : ''}.`,
    );
  else if (task.verify.length === 0 && to === 'done') lines.push('No checks were given.');
  if (delivered?.pullRequest)
    lines.push(`Pull request ${delivered.pullRequest.updated ? 'updated' : 'opened'}: ${delivered.pullRequest.url}`);
  else if (delivered?.pushed) lines.push(`The branch was pushed.`);
  const patch = delivered?.patch ?? facts.patch;
  if (patch) lines.push(`Patch: ${patch} in the files folder.`);
  const calls = callsIn(facts.log);
  const cost = facts.usage.costUsd === null ? 'cost not known' : `$${facts.usage.costUsd.toFixed(2)}`;
  lines.push(
    `${minutes(task.activeMs)} at work, ${calls.length > 0 ? calls.join(', ') : 'no call'}, ${facts.usage.input_tokens + facts.usage.output_tokens} tokens, ${cost}.`,
  );
  return lines.join('\n');
}

export function resultOf(facts: ResultFacts): TaskResult {
  const { task, log, numbers, delivered } = facts;
  const reports = lastReports(log, 'verify');
  const shown =
    reports.length > 0 || facts.to === 'done' ? reports : lastReports(log, 'setup').filter((report) => !passed(report));
  const patch = delivered?.patch ?? facts.patch;
  return {
    branch: task.branch,
    head: facts.head === task.baseCommit ? null : facts.head,
    pullRequest: delivered?.pullRequest ?? null,
    pushed: delivered?.pushed ?? false,
    patch,
    diffstat: numbers?.diffstat ?? '',
    files: numbers?.files ?? 0,
    insertions: numbers?.insertions ?? 0,
    deletions: numbers?.deletions ?? 0,
    verify: shown,
    approvals: [...facts.approvals],
    deniedActions: deniedActions(log),
    deniedHosts: [...facts.deniedHosts],
    checkpoints: log.filter(({ type }) => type === 'checkpoint.created').length,
    usage: { input_tokens: facts.usage.input_tokens, output_tokens: facts.usage.output_tokens },
    costUsd: facts.usage.costUsd,
    activeSeconds: Math.round(task.activeMs / 1_000),
    summary: summaryOf(facts, shown),
    handoff:
      facts.to === 'handed_off' || facts.to === 'failed'
        ? handoffText({ ...facts, reports: shown, patch: facts.patch })
        : null,
  };
}
