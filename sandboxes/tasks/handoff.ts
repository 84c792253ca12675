// A hand-off for a colleague: what was wanted, what was tried, what failed, and the state of the repository. Pure, made from the log.
import { isToolUse, textOf } from '../../core/brain/context.ts';
import type { CommandReport, Task } from '../../core/tasks.ts';
import type { LogEvent } from '../../core/types.ts';
import { endOf, passed } from './commands.ts';
import type { Numbers } from './workspace.ts';

const LONGEST = 600;
const short = (text: string): string => {
  const plain = text.trim();
  return plain.length > LONGEST ? `${plain.slice(0, LONGEST - 1).toWellFormed()}…` : plain;
};
const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join('\n');

/** What the calls of the agent were, by name; those of Steward itself do not count. */
export function callsIn(log: readonly LogEvent[]): string[] {
  const counts = new Map<string, number>();
  for (const event of log) {
    if (!isToolUse(event) || event.payload.task_id !== undefined) continue;
    const name = String(event.payload.name);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} × ${name}`);
}

export function handoffText(input: {
  task: Task;
  log: readonly LogEvent[];
  reason: string | null;
  reports: readonly CommandReport[];
  numbers: Numbers | null;
  head: string | null;
  patch: string | null;
}): string {
  const { task, log, reports } = input;
  const said = log.filter(({ type }) => type === 'agent.message').map(textOf);
  const failed = reports.filter((report) => !passed(report));
  const calls = callsIn(log);
  const tried = [
    ...(calls.length > 0 ? [`The agent made these calls: ${calls.join(', ')}.`] : ['The agent made no call.']),
    ...(task.rounds > 0 ? [`The checks failed ${task.rounds === 1 ? 'once' : `${task.rounds} times`}.`] : []),
    ...(said.length > 0 ? [`It said last: ${short(said.at(-1)!).replaceAll('\n', ' ')}`] : []),
  ];
  const failures = [
    ...(input.reason ? [input.reason] : []),
    ...failed.map((report) => `${endOf(report)}${report.output.trim() ? `:\n\n${short(report.output)}\n` : '.'}`),
  ];
  const state = [
    input.head === null || input.head === task.baseCommit
      ? `Nothing was committed to ${task.branch}.`
      : `${task.branch} stands at ${input.head.slice(0, 12)}${task.baseCommit ? `, from ${task.baseCommit.slice(0, 12)}` : ''}.`,
    ...(input.numbers && input.numbers.files > 0
      ? [`${input.numbers.files} files differ (+${input.numbers.insertions} −${input.numbers.deletions}).`]
      : []),
    ...(input.patch ? [`All of it is in the patch ${input.patch} in the files folder.`] : []),
    'Nothing was pushed.',
  ];
  return [
    `## Wanted\n${short(task.instruction)}`,
    `## Tried\n${list(tried)}`,
    `## Failed\n${list(failures.length > 0 ? failures : ['Nothing in particular.'])}`,
    `## State of the repository\n${list(state)}`,
  ].join('\n\n');
}
