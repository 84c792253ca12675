// What a webhook brought, as text for the model: bounded, nothing hidden in it, and for GitHub only what a person would read. Pure.
import { z } from 'zod';
import { escapeHidden } from '../../core/approvals.ts';
import type { HookFilters } from '../../core/hooks.ts';

/** UTF-16 units. More than a prompt should carry of what strangers wrote. */
const BODY_LIMIT = 16_000;
const EXCERPT_LIMIT = 4_000;
const FIELD_LIMIT = 300;

export const GITHUB_EVENTS = ['ping', 'issues', 'issue_comment', 'pull_request', 'workflow_run'] as const;

const cut = (text: string, limit: number): string =>
  text.length <= limit ? text : `${text.slice(0, limit).toWellFormed()}\n[… ${text.length - limit} more characters]`;

const unixLines = (text: string): string => text.replace(/\r\n/g, '\n');

/** The body of the scheme `steward`: whatever its sender wrote. Bytes that are no UTF-8 become U+FFFD. */
export const stewardText = (body: Uint8Array): string =>
  cut(escapeHidden(unixLines(new TextDecoder().decode(body))), BODY_LIMIT);

const line = (value: string): string => {
  const flat = escapeHidden(value.replace(/\s+/g, ' ').trim());
  return flat.length <= FIELD_LIMIT ? flat : `${flat.slice(0, FIELD_LIMIT).toWellFormed()}…`;
};

// ---------------------------------------------------------------- GitHub

const login = z.looseObject({ login: z.string() }).nullish();
const label = z.looseObject({ name: z.string() });
const words = z.string().nullish();
const about = z.looseObject({
  number: z.number().int().nullish(),
  title: words,
  body: words,
  html_url: words,
  user: login,
  labels: z.array(label).nullish(),
});
const branch = z.looseObject({ ref: z.string() }).nullish();

/** Of a delivery, what is read; everything else passes by. */
export const githubPayload = z.looseObject({
  action: words,
  repository: z.looseObject({ full_name: z.string() }).nullish(),
  sender: login,
  label: label.nullish(),
  issue: about.nullish(),
  pull_request: about.extend({ head: branch, base: branch, merged: z.boolean().nullish() }).nullish(),
  comment: about.nullish(),
  workflow_run: z
    .looseObject({
      name: words,
      display_title: words,
      run_number: z.number().int().nullish(),
      status: words,
      conclusion: words,
      head_branch: words,
      html_url: words,
      actor: login,
      triggering_actor: login,
    })
    .nullish(),
});
export type GithubPayload = z.infer<typeof githubPayload>;

/** Everybody whose words stand in the text or whose deed it was. */
function peopleOf(payload: GithubPayload): string[] {
  const { issue, pull_request: pull, comment, workflow_run: run, sender } = payload;
  const people = [issue?.user, pull?.user, comment?.user, run?.actor, run?.triggering_actor, sender];
  return [...new Set(people.flatMap((person) => (person ? [person.login.toLowerCase()] : [])))];
}

const among = (list: readonly string[], value: string | null | undefined): boolean =>
  value !== null && value !== undefined && list.some((entry) => entry.toLowerCase() === value.toLowerCase());

/** Why a delivery starts nothing, in words; null when it passes. */
export function refusedBy(filters: HookFilters, event: string, payload: GithubPayload): string | null {
  if (!GITHUB_EVENTS.some((known) => known === event)) return `${line(event)} is not an event Steward reads.`;
  if (event === 'ping') return 'GitHub says hello.';
  if (filters.events.length > 0 && !among(filters.events, event)) return `${event} is not among the events.`;
  if (filters.actions.length > 0 && !among(filters.actions, payload.action))
    return 'The action is not among the actions.';
  if (filters.repositories.length > 0 && !among(filters.repositories, payload.repository?.full_name))
    return 'The repository is not among the repositories.';
  if (filters.labels.length > 0) {
    // Where the event is about one label, that one counts and not the others beside it.
    const labels = payload.label ? [payload.label] : [...(payload.issue?.labels ?? payload.pull_request?.labels ?? [])];
    if (!labels.some(({ name }) => among(filters.labels, name))) return 'No label is among the labels.';
  }
  if (filters.authors.includes('*')) return null;
  const people = peopleOf(payload);
  const stranger = people.find((person) => !among(filters.authors, person));
  if (people.length === 0 || stranger !== undefined)
    return `${line(stranger ?? 'Its author')} is not among the authors whose words may start this.`;
  return null;
}

/** One fact a line, so that nothing in a title can pass for another fact; the words people wrote come last. */
export function githubText(event: string, payload: GithubPayload): string {
  const { issue, pull_request: pull, comment, workflow_run: run } = payload;
  const thing = issue ?? pull;
  const facts: [string, string | number | null | undefined][] = [
    ['GitHub event', `${event}${payload.action ? ` (${payload.action})` : ''}`],
    ['Repository', payload.repository?.full_name],
    ['Number', thing?.number ?? run?.run_number],
    ['Title', thing?.title ?? run?.display_title],
    ['Author', (comment ?? thing)?.user?.login ?? run?.actor?.login],
    ['By', payload.sender?.login],
    ['Label', payload.label?.name],
    ['Labels', (thing?.labels ?? []).map(({ name }) => name).join(', ')],
    ['Branch', pull?.head ? `${pull.head.ref} into ${pull.base?.ref ?? '?'}` : run?.head_branch],
    ['Merged', pull?.merged ? 'yes' : null],
    ['Workflow', run?.name],
    ['Conclusion', run ? (run.conclusion ?? run.status) : null],
    ['URL', (comment ?? thing)?.html_url ?? run?.html_url],
  ];
  const lines = facts.flatMap(([name, value]) =>
    value === null || value === undefined || value === '' ? [] : [`${name}: ${line(String(value))}`],
  );
  const body = (comment ?? thing)?.body?.trim();
  return [...lines, ...(body ? ['Body:', cut(escapeHidden(unixLines(body)), EXCERPT_LIMIT)] : [])].join('\n');
}
