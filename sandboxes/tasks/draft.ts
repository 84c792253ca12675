// What may be asked for as a task: checked in one place, one sentence per problem, with the defaults filled in. Pure.
import { StewardError } from '../../core/errors.ts';
import type { TaskDraft, TaskLimits, TaskWish } from '../../core/tasks.ts';
import type { Id, Millis } from '../../core/types.ts';
import { cloneCommands, repositoryOf } from '../mirrors.ts';
import { DEFAULT_TASK_LIMITS } from './limits.ts';

const LINES = 20;
const LINE_LENGTH = 10_000;
const INSTRUCTION_LENGTH = 100_000;
const DAY: Millis = 24 * 3_600_000;
const TITLE_LENGTH = 60;
const HOST =
  /^(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,62})\.)+[a-z0-9-]{2,63}(?::\d{1,5})?$|^\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?$|^(?:registries|git|docs)$/i;

const said = (work: () => unknown): string[] => {
  try {
    work();
    return [];
  } catch (error) {
    return [error instanceof StewardError ? error.message : String(error)];
  }
};

function limitProblems({ wallMs, turns, costUsd, attempts }: TaskLimits): string[] {
  const whole = (value: number, from: number, to: number) => Number.isInteger(value) && value >= from && value <= to;
  return [
    ...(whole(wallMs, 1_000, 7 * DAY) ? [] : ['The time of a task is between a second and a week.']),
    ...(whole(turns, 1, 10_000) ? [] : ['The turns of a task are between 1 and 10,000.']),
    ...(whole(attempts, 1, 20) ? [] : ['The attempts of a task are between 1 and 20.']),
    ...(costUsd === null || (costUsd > 0 && costUsd <= 10_000)
      ? []
      : ['The budget of a task is above $0 and at most $10,000.']),
  ];
}

const lineProblems = (what: string, lines: readonly string[]): string[] => [
  ...(lines.length > LINES ? [`There are at most ${LINES} lines of ${what}.`] : []),
  ...(lines.some((line) => line.trim() === '' || line.length > LINE_LENGTH || line.includes('\0'))
    ? [`A line of ${what} is empty, or longer than ${LINE_LENGTH} characters.`]
    : []),
];

/** Throws `invalid` with everything that is wrong. `harnesses`: those there are. */
export function completeDraft(given: TaskWish, harnesses: readonly string[]): TaskDraft {
  const draft: TaskDraft = {
    repository: given.repository,
    base: given.base ?? null,
    instruction: given.instruction.trim().toWellFormed(),
    setup: given.setup ?? [],
    verify: given.verify ?? [],
    harness: given.harness ?? null,
    model: given.model ?? null,
    limits: { ...DEFAULT_TASK_LIMITS, ...given.limits },
    delivery: given.delivery ?? 'auto',
    hosts: (given.hosts ?? []).map((host) => host.toLowerCase()),
    resultSchema: given.resultSchema ?? null,
  };
  const problems = [
    ...said(() => repositoryOf(draft.repository)),
    // A name with which git could be told something else is caught before anything is fetched.
    ...said(() => cloneCommands('/any', draft.base)),
    ...(draft.instruction === '' ? ['Say what is to be done.'] : []),
    ...(draft.instruction.length > INSTRUCTION_LENGTH
      ? [`The instruction has more than ${INSTRUCTION_LENGTH} characters.`]
      : []),
    ...lineProblems('setup', draft.setup),
    ...lineProblems('verify', draft.verify),
    ...limitProblems(draft.limits),
    ...draft.hosts.filter((host) => !HOST.test(host)).map((host) => `“${host}” is no host.`),
    ...(draft.harness !== null && !harnesses.includes(draft.harness)
      ? [`There is no harness ${draft.harness}; there are ${harnesses.join(', ')}.`]
      : []),
  ];
  if (problems.length > 0) throw new StewardError('invalid', problems.join(' '), { op: 'create a task' });
  // What is kept, shown and set as `origin` never holds a password.
  return { ...draft, repository: repositoryOf(draft.repository).url };
}

/** The first line of what is wanted, shortened. */
export function titleOf(instruction: string): string {
  const chars = [...(instruction.trim().split('\n', 1)[0] ?? '').trim()];
  return chars.length > TITLE_LENGTH ? `${chars.slice(0, TITLE_LENGTH - 1).join('')}…` : chars.join('');
}

/** `steward/<id>-<slug>`: what a person recognises, in letters every file system and git host takes. */
export function branchOf(id: Id, title: string): string {
  const slug = title
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/ß/g, 'ss')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40)
    .replace(/-+$/, '');
  return `steward/${id}${slug ? `-${slug}` : ''}`;
}
