// `steward schedule`: what is due, why it ran or did not, and every way to change it.
import { StewardError } from '../errors.ts';
import { dayBefore } from '../schedules-text.ts';
import { calendar } from '../usage.ts';
import type { Client } from './client.ts';
import * as shapes from './schedules-shapes.ts';
import { page } from './shapes.ts';
import { harmless, oneLine, say, sayJson, type Terminal, table } from './terminal.ts';

const ROOT = '/api/schedules';
const WIDTH = 80;
const pathOf = (reference: string, rest = '') => `${ROOT}/${encodeURIComponent(reference)}${rest}`;

export interface Listing {
  json?: boolean;
}

/** In the zone of the schedule, as everything about it. */
const local = (at: string, timeZone: string): string =>
  new Date(at).toLocaleString('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'short' });

function ahead(terminal: Terminal, upcoming: shapes.ShownSchedule['upcoming']): void {
  const runs = upcoming.map((run) => `  ${run.local}`);
  say(terminal, runs.length === 0 ? 'It has no runs of its own ahead.' : harmless(['Next runs:', ...runs].join('\n')));
}

export interface AddOptions extends Listing {
  name?: string;
  tz?: string;
  message?: boolean;
  prompt?: boolean;
  job?: string;
  if?: string[];
  to?: string;
  own?: boolean;
  main?: boolean;
  allowHost?: string[];
  allowTool?: string[];
  allowTo?: string[];
  catchUp?: string;
  overlap?: string;
  quiet?: string;
  until?: string;
  model?: string;
  budget?: number;
  idleOnly?: boolean;
}

function quietOf(text: string): { from: string; to: string } {
  const [, from, to] = /^(\d\d:\d\d)-(\d\d:\d\d)$/.exec(text) ?? [];
  if (from && to) return { from, to };
  throw new StewardError('invalid', `"${text}" is no span of hours.`, {
    op: 'make a schedule',
    hint: 'Write --quiet 22:00-07:00.',
  });
}

/** `loops`, or `kind:what` as `http:https://example.org/feed`. */
function conditionOf(word: string): Record<string, string> {
  const [, kind = word, what = ''] = /^([a-z]+):(.*)$/s.exec(word) ?? [];
  if (kind === 'loops' && what === '') return { kind };
  const field = { command: 'command', http: 'url', file: 'path', memory: 'query' }[kind];
  if (field && what !== '') return { kind, [field]: what };
  throw new StewardError('invalid', `"${word}" is nothing that can be looked at.`, {
    op: 'make a schedule',
    hint: 'Write --if loops, http:https://example.org/feed, file:inbox.txt, memory:"flight times" or command:"git ls-remote …".',
  });
}

/** What the runs may do though nobody looks on: said when it is made, since it is not asked again. */
function may(terminal: Terminal, { grants, starts }: shapes.ShownSchedule): void {
  if (starts.kind === 'message' || starts.kind === 'job') return;
  const allowed = [
    ...grants.hosts.map((host) => `reach ${host}`),
    ...grants.tools.map((tool) => `use ${tool}`),
    ...grants.recipients.map((place) => `write to ${place}`),
  ];
  // In the main conversation somebody may look on; elsewhere nobody does.
  const rest = starts.session === 'main' ? 'waits for it as always' : 'is denied, since nobody looks on';
  say(
    terminal,
    allowed.length === 0
      ? `It was granted nothing: what needs your approval ${rest}.`
      : harmless(`Without asking it may ${allowed.join(', ')}; anything else that needs your approval ${rest}.`),
  );
}

function startsOf(text: string | undefined, { message, main, job }: AddOptions): Record<string, string> {
  if (job) return { kind: 'job', job };
  return message
    ? { kind: 'message', text: text ?? '' }
    : { kind: 'prompt', text: text ?? '', session: main ? 'main' : 'own' };
}

/** `when`: words, or `manual` for what only a person or a webhook begins. `text` may be left out for a job. */
export async function addSchedule(
  client: Client,
  terminal: Terminal,
  { when, text }: { when: string; text: string | undefined },
  options: AddOptions,
): Promise<void> {
  const name = options.name ?? options.job?.replaceAll('_', ' ');
  const { allowHost: hosts = [], allowTool: tools = [], allowTo: recipients = [] } = options;
  const body = {
    ...(when.trim().toLowerCase() === 'manual' ? { rule: { kind: 'manual' } } : { when }),
    starts: startsOf(text, options),
    ...(name && { name }),
    ...(options.if && { conditions: options.if.map(conditionOf) }),
    ...(options.tz && { time_zone: options.tz }),
    ...(options.to && { deliver_to: options.to }),
    ...(options.catchUp && { catch_up: options.catchUp }),
    ...(options.overlap && { overlap: options.overlap }),
    ...(options.quiet && { quiet: quietOf(options.quiet) }),
    ...(options.until && { ends_at: options.until }),
    ...(options.model && { model: options.model }),
    ...(options.budget !== undefined && { budget_usd: options.budget }),
    ...(options.idleOnly && { idle_only: true }),
    grants: { hosts, tools, recipients },
  };
  const made = await client.send('POST', ROOT, body, shapes.shown);
  if (options.json) return sayJson(terminal, made);
  say(terminal, harmless(`${made.id}  “${oneLine(made.name, WIDTH)}”: ${made.when}`));
  ahead(terminal, made.upcoming);
  may(terminal, made);
}

export async function listSchedules(
  client: Client,
  terminal: Terminal,
  options: Listing & { limit: number; all?: boolean },
): Promise<void> {
  const list: shapes.ScheduleView[] = [];
  let cursor: string | null | undefined = '';
  while (typeof cursor === 'string' && list.length < options.limit) {
    const query = new URLSearchParams({
      limit: String(Math.min(200, options.limit - list.length)),
      ...(options.all && { include_archived: 'true' }),
      ...(cursor && { page: cursor }),
    });
    const part = await client.get(`${ROOT}?${query}`, page(shapes.schedule));
    list.push(...part.data);
    cursor = part.next_page;
  }
  if (options.json) return sayJson(terminal, list);
  if (list.length === 0) return say(terminal, 'Nothing is scheduled. steward schedule add "every day at 8" "…"');
  const rows = list.map((one) => [
    one.id,
    one.state,
    one.state === 'active' && one.next ? local(one.next.at, one.rule.time_zone) : '–',
    oneLine(one.name, 40),
    oneLine(one.when, WIDTH),
  ]);
  say(terminal, table(['ID', 'STATE', 'NEXT', 'NAME', 'WHEN'], rows));
  if (typeof cursor === 'string') say(terminal, `… and more: --limit ${options.limit * 4}`);
}

export async function showSchedule(
  client: Client,
  terminal: Terminal,
  reference: string,
  options: Listing,
): Promise<void> {
  const one = await client.get(pathOf(reference), shapes.shown);
  if (options.json) return sayJson(terminal, one);
  const { grants, starts, paused } = one;
  const facts: [string, string | null | undefined][] = [
    ['when', one.when],
    ['state', `${one.state}${paused ? ` (${paused.kind}${paused.why ? `: ${paused.why}` : ''})` : ''}`],
    [starts.kind, starts.text ?? starts.job],
    ['to', one.deliver_to],
    ['may reach', grants.hosts.join(', ') || null],
    ['may use', grants.tools.join(', ') || null],
    ['may write', grants.recipients.join(', ') || null],
  ];
  say(terminal, harmless(`${one.id}  “${one.name}”`));
  for (const [name, value] of facts) if (value) say(terminal, harmless(`  ${name.padEnd(9)} ${value}`));
  ahead(terminal, one.upcoming);
}

export async function showNext(
  client: Client,
  terminal: Terminal,
  reference: string,
  options: Listing & { limit: number },
): Promise<void> {
  const { data } = await client.get(pathOf(reference, `/next?limit=${Math.min(100, options.limit)}`), shapes.next);
  if (options.json) return sayJson(terminal, data);
  ahead(terminal, data);
}

export async function showHistory(
  client: Client,
  terminal: Terminal,
  reference: string,
  options: Listing & { limit: number },
): Promise<void> {
  const path = pathOf(reference, `/runs?limit=${Math.min(200, options.limit)}`);
  const { data } = await client.get(path, page(shapes.run));
  if (options.json) return sayJson(terminal, data);
  if (data.length === 0) return say(terminal, 'It has not run yet.');
  const zone = (await client.get(pathOf(reference), shapes.schedule)).rule.time_zone;
  const rows = data.map((run) => [
    run.id,
    local(run.slot.at, zone),
    run.state,
    run.trigger,
    oneLine([run.reason, run.result].filter(Boolean).join(' – '), WIDTH),
  ]);
  say(terminal, table(['RUN', 'DUE', 'STATE', 'BY', 'WHAT'], rows));
}

/** `today` and `yesterday` are days of the schedule's own zone; left out, the server says today. */
async function dayOf(client: Client, terminal: Terminal, reference: string, day: string): Promise<string> {
  if (!/^(today|yesterday)$/i.test(day)) return day;
  const { rule } = await client.get(pathOf(reference), shapes.schedule);
  const today = calendar(rule.time_zone)(terminal.now());
  return /^t/i.test(day) ? today : dayBefore(today);
}

export async function explainSchedule(
  client: Client,
  terminal: Terminal,
  { reference, day }: { reference: string; day: string | undefined },
  options: Listing,
): Promise<void> {
  const query = day === undefined ? '' : `?day=${encodeURIComponent(await dayOf(client, terminal, reference, day))}`;
  const answer = await client.get(pathOf(reference, `/why${query}`), shapes.why);
  if (options.json) return sayJson(terminal, answer);
  say(terminal, harmless(answer.why));
}

const DONE = {
  pause: 'is paused.',
  resume: 'goes on.',
  remove: 'is removed; its past runs stay.',
} as const;

export async function changeSchedule(
  client: Client,
  terminal: Terminal,
  { reference, verb }: { reference: string; verb: keyof typeof DONE },
  options: Listing,
): Promise<void> {
  const done =
    verb === 'remove'
      ? await client.send('DELETE', pathOf(reference), undefined, shapes.shown)
      : await client.send('POST', pathOf(reference, `/${verb}`), {}, shapes.shown);
  if (options.json) return sayJson(terminal, done);
  say(terminal, harmless(`“${oneLine(done.name, WIDTH)}” (${done.id}) ${DONE[verb]}`));
  if (verb === 'resume') ahead(terminal, done.upcoming);
}

export async function runSchedule(client: Client, terminal: Terminal, reference: string, options: Listing) {
  const run = await client.send('POST', pathOf(reference, '/run'), {}, shapes.run);
  if (options.json) return sayJson(terminal, run);
  say(terminal, harmless(`${run.id} ${run.state}${run.reason ? `: ${oneLine(run.reason, WIDTH)}` : ''}`));
  if (run.session_id) say(terminal, `steward trace ${run.session_id} shows what it does.`);
}

/** `/schedules …` of the conversation in the terminal; false for words it does not know. */
export async function schedulesInChat(client: Client, terminal: Terminal, args: string): Promise<boolean> {
  const [, word = '', rest = ''] = /^(\S*)\s*([\s\S]*)$/.exec(args.trim()) ?? [];
  const verb = word.toLowerCase();
  if (verb === '' || verb === 'list') {
    await listSchedules(client, terminal, { limit: 50 });
    return true;
  }
  if (rest === '') return false;
  switch (verb) {
    case 'show':
      await showSchedule(client, terminal, rest, {});
      return true;
    case 'run':
      await runSchedule(client, terminal, rest, {});
      return true;
    case 'why': {
      const [, reference = rest, day] = /^(.*\S)\s+(today|yesterday|\d{4}-\d\d-\d\d)$/i.exec(rest) ?? [];
      await explainSchedule(client, terminal, { reference, day }, {});
      return true;
    }
    case 'pause':
    case 'resume':
    case 'remove':
      await changeSchedule(client, terminal, { reference: rest, verb }, {});
      return true;
    default:
      return false;
  }
}
