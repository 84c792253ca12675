// Tasks in lines for people: what chats and tools say about where one stands and how it ended is worded here once. Pure.
import { escapeHidden } from './approvals.ts';
import type { CommandReport, Task, TaskResult, TaskState } from './tasks.ts';
import type { Millis } from './types.ts';

const SAID = 1_500;
const FAILED_OUTPUT = 600;

const cut = (text: string, length: number): string => {
  const chars = [...escapeHidden(text).trim()];
  return chars.length > length ? `${chars.slice(0, length - 1).join('')}…` : chars.join('');
};
const flat = (text: string, length: number): string => cut(text.replace(/\s+/g, ' '), length);

const STATES: Record<TaskState, string> = {
  queued: 'waits for its turn',
  provisioning: 'gets its workspace',
  setup: 'is being set up',
  working: 'is being worked on',
  verifying: 'is being checked',
  awaiting_approval: 'waits for your approval',
  delivering: 'is being delivered',
  done: 'is done',
  handed_off: 'was handed off',
  cancelled: 'was stopped',
  failed: 'failed',
};

export const isOver = ({ state }: Pick<Task, 'state'>): boolean =>
  state === 'done' || state === 'handed_off' || state === 'cancelled' || state === 'failed';

export const spanText = (ms: Millis): string => {
  const minutes = Math.round(ms / 60_000);
  if (ms < 60_000) return `${Math.max(0, Math.round(ms / 1_000))} s`;
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
};

export function stateText(task: Pick<Task, 'state' | 'paused' | 'reason'>): string {
  const why = task.paused ?? task.reason;
  const state = task.paused !== null && !isOver(task) ? 'is paused' : STATES[task.state];
  return `${state}${why ? `: ${flat(why, 300)}` : ''}`;
}

/** One line for a listing. */
export const taskLine = (task: Task): string => `“${flat(task.title, 80)}” ${stateText(task)} [${task.id}]`;

export const checksText = (reports: readonly CommandReport[]): string => {
  if (reports.length === 0) return 'No checks were given.';
  const failed = reports.filter(({ code }) => code !== 0);
  if (failed.length === 0) return reports.length === 1 ? 'Its check passed.' : `All ${reports.length} checks passed.`;
  return failed
    .map(
      ({ command, code, limited, output }) =>
        `✗ ${flat(command, 200)} (${limited === 'time' ? 'took too long' : code === null ? 'was ended' : `code ${code}`})\n${cut(output.slice(-FAILED_OUTPUT), FAILED_OUTPUT)}`,
    )
    .join('\n');
};

export const costText = (usd: number | null): string => (usd === null ? 'cost unknown' : `$${usd.toFixed(2)}`);

/** Where what was made can be found. */
export function whereText(result: TaskResult): string {
  if (result.pullRequest)
    return `${result.pullRequest.updated ? 'Updated' : 'Opened'} pull request ${result.pullRequest.url}`;
  if (result.pushed) return `Pushed as ${result.branch}.`;
  if (result.patch) return `A patch lies in Steward’s files: ${result.patch}`;
  return 'Nothing was delivered.';
}

export const sizeText = ({ files, insertions, deletions }: TaskResult): string =>
  files === 0 ? 'nothing changed' : `${files} ${files === 1 ? 'file' : 'files'}, +${insertions} −${deletions}`;

/** How it ended: what a chat hears. */
export function resultText(task: Task): string {
  const { result } = task;
  const mark = { done: '✓', handed_off: '↩', cancelled: '■', failed: '✗' }[task.state as 'done'] ?? '·';
  const head = `${mark} Task “${flat(task.title, 80)}” ${stateText(task)}`;
  if (!result) return head;
  return [
    head,
    whereText(result),
    `${sizeText(result)} · ${spanText(result.activeSeconds * 1_000)} at work · ${costText(result.costUsd)}`,
    checksText(result.verify),
    ...(result.deniedHosts.length > 0 ? [`Not let through: ${flat(result.deniedHosts.join(', '), 300)}`] : []),
    ...(result.summary ? ['', cut(result.summary, SAID)] : []),
    ...(result.handoff ? ['', cut(result.handoff, SAID)] : []),
    '',
    task.id,
  ].join('\n');
}

/** All about one, in a few lines. */
export function taskText(task: Task, now: Millis): string {
  if (isOver(task) && task.result) return resultText(task);
  return [
    `“${flat(task.title, 120)}” ${stateText(task)} [${task.id}]`,
    `${task.repository}${task.base ? ` at ${task.base}` : ''}, branch ${task.branch}`,
    `In this state for ${spanText(now - task.since)}, last progress ${spanText(now - task.lastProgressAt)} ago${
      task.rounds > 0 ? `, ${task.rounds} rounds of checks failed` : ''
    }${task.attempts > 1 ? `, attempt ${task.attempts}` : ''}.`,
  ].join('\n');
}
