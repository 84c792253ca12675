// A draft of a schedule: its defaults, and everything that is wrong with it in sentences. Pure but for what it is told to look up.
import { StewardError } from '../core/errors.ts';
import { JOBS, type Rule, type ScheduleDraft, type Starts } from '../core/schedules.ts';
import { taskProblems } from '../core/tasks-shapes.ts';
import type { Address, Id, Millis } from '../core/types.ts';
import { checkQuiet } from './quiet.ts';
import { problemsOf } from './rules.ts';

const DAY: Millis = 86_400_000;
const LONGEST_NAME = 120;
const LONGEST_TEXT = 20_000;
const MOST_GRANTS = 100;
const MOST_CONDITIONS = 10;
const MOST_EVENTS = 50;
const HOST = /^(?:push:)?(?:\*\.)?[a-z0-9][a-z0-9.-]*(?::\d+)?$|^(?:push:)?\[[0-9a-f:]+\](?::\d+)?$/;

export type Wanted = Partial<ScheduleDraft> & Pick<ScheduleDraft, 'name' | 'rule' | 'starts'>;

const DEFAULTS: Omit<ScheduleDraft, 'name' | 'rule' | 'starts'> = {
  target: null,
  model: null,
  harness: null,
  budgetUsd: null,
  overlap: 'skip',
  catchUp: 'latest',
  windowMs: null,
  jitterMs: 0,
  priority: 0,
  quiet: null,
  idleOnly: false,
  conditions: [],
  grants: { hosts: [], tools: [], recipients: [] },
  endsAt: null,
  description: null,
  metadata: {},
};

/** What is left out, or given as undefined, is as usual. */
export function completed(wanted: Wanted): ScheduleDraft {
  const given = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  return { ...DEFAULTS, ...given } as ScheduleDraft;
}

/** The fields of a schedule that a draft has, and no others. */
export function draftOf(schedule: ScheduleDraft): ScheduleDraft {
  const keys = ['name', 'rule', 'starts', ...Object.keys(DEFAULTS)] as (keyof ScheduleDraft)[];
  return Object.fromEntries(keys.map((key) => [key, schedule[key]])) as unknown as ScheduleDraft;
}

export interface Lookup {
  now: Millis;
  /** Somebody known is there. */
  knowsPlace(place: Address): boolean;
  agentProblem(agentId: Id, version: number): string | null;
  environmentProblem(environmentId: Id): string | null;
}

/** One sentence per problem. `unchanged`: the rule is in force already, and may lie in the past. */
export function draftProblems(draft: ScheduleDraft, look: Lookup, unchanged?: Rule): string[] {
  const problems: string[] = [];
  const unless = (fine: boolean, problem: string) => {
    if (!fine) problems.push(problem);
  };
  unless(draft.name.trim() !== '', 'A schedule needs a name.');
  unless(draft.name.length <= LONGEST_NAME, `A name has at most ${LONGEST_NAME} characters.`);
  if (!unchanged || JSON.stringify(unchanged) !== JSON.stringify(draft.rule))
    problems.push(...problemsOf(draft.rule, look.now));
  problems.push(...startsProblems(draft.starts, look));
  const placeProblem = (place: Address) =>
    place.channel === 'web' || look.knowsPlace(place)
      ? []
      : [`Nobody is known at ${place.channel}:${place.chat}: the person has to write from there first.`];
  if (draft.target) problems.push(...placeProblem(draft.target));
  problems.push(...draft.grants.recipients.flatMap(placeProblem));
  const hosts = draft.grants.hosts.filter((host) => !HOST.test(host));
  for (const host of hosts)
    problems.push(`"${host.slice(0, 80)}" is not the name of a host; write it like example.org.`);
  const granted = draft.grants.hosts.length + draft.grants.tools.length + draft.grants.recipients.length;
  unless(granted <= MOST_GRANTS, `At most ${MOST_GRANTS} things can be granted.`);
  if (draft.quiet) problems.push(...checkQuiet(draft.quiet));
  unless(draft.budgetUsd === null || draft.budgetUsd > 0, 'A budget is more than 0 USD.');
  unless(draft.windowMs === null || draft.windowMs >= 0, 'The window for missed runs cannot be negative.');
  unless(
    Number.isInteger(draft.jitterMs) && draft.jitterMs >= 0 && draft.jitterMs <= DAY,
    'Jitter is between nothing and a day.',
  );
  unless(
    Number.isInteger(draft.priority) && Math.abs(draft.priority) <= 100,
    'A priority is a whole number from -100 to 100.',
  );
  unless(draft.endsAt === null || draft.endsAt > look.now || unchanged !== undefined, 'Its end has passed already.');
  unless(draft.conditions.length <= MOST_CONDITIONS, `A schedule has at most ${MOST_CONDITIONS} conditions.`);
  unless(
    draft.harness === null || draft.harness === 'native' || draft.starts.kind === 'task',
    `Only code tasks can use the harness ${draft.harness}.`,
  );
  return problems;
}

function startsProblems(starts: Starts, look: Lookup): string[] {
  switch (starts.kind) {
    case 'message':
    case 'prompt': {
      if (starts.text.trim() === '') return ['There are no words to start with.'];
      return starts.text.length > LONGEST_TEXT ? [`Its words have at most ${LONGEST_TEXT} characters.`] : [];
    }
    case 'job':
      return JOBS.includes(starts.job) ? [] : [`There is no job ${String(starts.job)}; there are ${JOBS.join(', ')}.`];
    case 'task':
      return taskProblems(starts.task);
    case 'deployment': {
      const { agentId, agentVersion, environmentId, initialEvents } = starts;
      const found = [look.agentProblem(agentId, agentVersion), look.environmentProblem(environmentId)];
      const problems = found.filter((problem) => problem !== null);
      if (initialEvents.length === 0 || initialEvents.length > MOST_EVENTS)
        problems.push(`A deployment begins with 1 to ${MOST_EVENTS} events.`);
      if (!initialEvents.some(({ type }) => type === 'user.message'))
        problems.push('A deployment begins with at least one user.message.');
      return problems;
    }
  }
}

export function refuseProblems(problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new StewardError('invalid', problems.join(' '), { op: 'change a schedule' });
}
