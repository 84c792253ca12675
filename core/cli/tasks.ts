// `steward tasks` and `steward task …`: code tasks begun, watched, steered, taken back, and their delivery decided.
import { systemClock } from '../clock.ts';
import { EXIT, StewardError } from '../errors.ts';
import type { Client } from './client.ts';
import { follow } from './follow.ts';
import { decide } from './people.ts';
import { page } from './shapes.ts';
import * as shapes from './tasks-shapes.ts';
import { ago, dollars, harmless, note, oneLine, say, sayJson, type Terminal, table } from './terminal.ts';
import { createTranscript } from './transcript.ts';
import { pendingApprovals } from './turn.ts';

const ROOT = '/api/tasks';
const WIDTH = 80;
const pathOf = (reference: string, rest = '') => `${ROOT}/${encodeURIComponent(reference)}${rest}`;
/** Files are taken back in a new sandbox. */
const ROLLBACK_MS = 120_000;

export interface Listing {
  json?: boolean;
}

export interface NewOptions extends Listing {
  base?: string;
  setup?: string[];
  verify?: string[];
  harness?: string;
  model?: string;
  delivery?: string;
  allowHost?: string[];
  minutes?: number;
  turns?: number;
  budget?: number;
  to?: string;
  key?: string;
}

const isOver = ({ ended_at }: shapes.TaskView): boolean => ended_at !== null;

export async function newTask(
  client: Client,
  terminal: Terminal,
  { repository, instruction }: { repository: string; instruction: string },
  options: NewOptions,
): Promise<void> {
  const limits = {
    ...(options.minutes !== undefined && { wall_ms: options.minutes * 60_000 }),
    ...(options.turns !== undefined && { turns: options.turns }),
    ...(options.budget !== undefined && { cost_usd: options.budget }),
  };
  const body = {
    ...{ repository, instruction },
    ...(options.base && { base: options.base }),
    ...(options.setup && { setup: options.setup }),
    ...(options.verify && { verify: options.verify }),
    ...(options.harness && { harness: options.harness }),
    ...(options.model && { model: options.model }),
    ...(options.delivery && { delivery: options.delivery }),
    ...(options.allowHost && { hosts: options.allowHost }),
    ...(Object.keys(limits).length > 0 && { limits }),
    ...(options.to && { deliver_to: options.to }),
    ...(options.key && { idempotency_key: options.key }),
  };
  const made = await client.send('POST', ROOT, body, shapes.made);
  if (options.json) return sayJson(terminal, made);
  const { task } = made;
  say(terminal, harmless(`${task.id}  “${oneLine(task.title, WIDTH)}” ${task.says}`));
  if (!made.is_new) say(terminal, 'It was begun already, under the same key.');
  say(terminal, `steward task watch ${task.id} shows what it does.`);
}

export async function listTasks(
  client: Client,
  terminal: Terminal,
  options: Listing & { limit: number; all?: boolean },
): Promise<void> {
  const list: shapes.TaskView[] = [];
  let cursor: string | null | undefined = '';
  while (typeof cursor === 'string' && list.length < options.limit) {
    const query = new URLSearchParams({
      limit: String(Math.min(200, options.limit - list.length)),
      ...(!options.all && { open: 'true' }),
      ...(cursor && { page: cursor }),
    });
    const part = await client.get(`${ROOT}?${query}`, page(shapes.task));
    list.push(...part.data);
    cursor = part.next_page;
  }
  if (options.json) return sayJson(terminal, list);
  if (list.length === 0)
    return say(
      terminal,
      options.all
        ? 'There is no task yet. steward task new REPOSITORY "what is to be done"'
        : 'No task is under way; --all shows those that have ended.',
    );
  const rows = list.map((one) => [
    one.id,
    one.state,
    ago(one.ended_at ?? one.last_progress_at, terminal.now()),
    oneLine(one.title, 50),
    oneLine(one.repository, WIDTH),
  ]);
  say(terminal, table(['ID', 'STATE', 'LAST', 'WHAT', 'REPOSITORY'], rows));
  if (typeof cursor === 'string') say(terminal, `… and more: --limit ${options.limit * 4}`);
}

const deliveryOf = (result: NonNullable<shapes.TaskView['result']>): string =>
  result.pull_request?.url ?? (result.pushed ? 'pushed' : result.patch ? `patch ${result.patch}` : 'nothing');

function tell(terminal: Terminal, one: shapes.TaskView): void {
  const { result } = one;
  const facts: [string, string | null | undefined][] = [
    ['state', one.says],
    ['in', `${one.repository}${one.base ? ` at ${one.base}` : ''}`],
    ['branch', one.branch],
    ['progress', isOver(one) ? null : ago(one.last_progress_at, terminal.now())],
    ['rounds', one.rounds > 0 ? `${one.rounds} failed checks were given back` : null],
    ['attempts', one.attempts > 1 ? String(one.attempts) : null],
    ['delivery', result && deliveryOf(result)],
    ['cost', result && `${dollars(result.cost_usd)}, ${Math.round(result.active_seconds)} s at work`],
    ['denied', result?.denied_hosts.join(', ') || null],
  ];
  say(terminal, harmless(`${one.id}  “${oneLine(one.title, WIDTH)}”`));
  for (const [name, value] of facts) if (value) say(terminal, harmless(`  ${name.padEnd(9)} ${value}`));
  for (const { command, code, limited } of result?.verify ?? [])
    say(
      terminal,
      harmless(`  ${code === 0 ? '✓' : '✗'} ${oneLine(command, WIDTH)}${code === 0 ? '' : ` (${limited ?? code})`}`),
    );
  for (const text of [result?.diffstat, result?.summary, result?.handoff])
    if (text) say(terminal, `\n${harmless(text.trimEnd())}`);
}

export async function showTask(client: Client, terminal: Terminal, reference: string, options: Listing): Promise<void> {
  const one = await client.get(pathOf(reference), shapes.task);
  if (options.json) return sayJson(terminal, one);
  tell(terminal, one);
  const asked = (await pendingApprovals(client)).find(({ session_id }) => session_id === one.session_id);
  if (asked) say(terminal, `steward task approve ${one.id} or steward task deny ${one.id} decides what it waits for.`);
}

/** Resolves with the exit code: 0 for a task that is done, or when watching was ended; 1 for any other end. */
export async function watchTask(
  client: Client,
  terminal: Terminal,
  reference: string,
  signal: AbortSignal,
): Promise<number> {
  const one = await client.get(pathOf(reference), shapes.task);
  const transcript = createTranscript(terminal);
  const stop = new AbortController();
  signal.addEventListener('abort', () => stop.abort(), { once: true });
  const ended = async () => isOver(await client.get(pathOf(one.id), shapes.task));
  const frames = follow(client, one.session_id, {
    ...{ after: 0, signal: stop.signal, now: terminal.now },
    sleep: systemClock.sleep,
  });
  for await (const frame of frames) {
    transcript.show(frame);
    if (frame.kind === 'preview' || frame.event.type !== 'task.status') continue;
    const { to, reason } = frame.event as { to?: unknown; reason?: unknown };
    note(terminal, harmless(`— ${String(to)}${typeof reason === 'string' ? `: ${oneLine(reason, 200)}` : ''}`));
    // Of the steps that are read again only the last one can be the end it has come to.
    if (END.has(String(to)) && (await ended())) break;
  }
  stop.abort();
  if (signal.aborted) return EXIT.ok;
  const last = await client.get(pathOf(one.id), shapes.task);
  tell(terminal, last);
  return last.state === 'done' ? EXIT.ok : EXIT.failed;
}

const END = new Set(['done', 'handed_off', 'cancelled', 'failed']);

export async function changeTask(
  client: Client,
  terminal: Terminal,
  { reference, verb, body }: { reference: string; verb: 'steer' | 'pause' | 'resume' | 'stop'; body: object },
  options: Listing,
): Promise<void> {
  const done = await client.send('POST', pathOf(reference, `/${verb}`), body, shapes.task);
  if (options.json) return sayJson(terminal, done);
  say(terminal, harmless(`“${oneLine(done.title, WIDTH)}” (${done.id}) ${done.says}.`));
}

/** Without a checkpoint: those there are, the newest first. */
export async function rollbackTask(
  client: Client,
  terminal: Terminal,
  { reference, checkpoint }: { reference: string; checkpoint: string | undefined },
  options: Listing,
): Promise<void> {
  if (checkpoint === undefined) {
    const { data } = await client.get(pathOf(reference, '/checkpoints'), shapes.checkpoints);
    if (options.json) return sayJson(terminal, data);
    if (data.length === 0) return say(terminal, 'It has no checkpoint yet.');
    const rows = data
      .toReversed()
      .map((one) => [
        one.id,
        ago(one.created_at, terminal.now()),
        one.head?.slice(0, 12) ?? '–',
        oneLine(one.changes.map(({ path }) => path).join(', ') || '–', WIDTH),
      ]);
    say(terminal, table(['CHECKPOINT', 'MADE', 'HEAD', 'CHANGED'], rows));
    return say(terminal, `steward task rollback ${reference} CHECKPOINT goes back to one.`);
  }
  const path = pathOf(reference, '/rollback');
  const done = await client.send('POST', path, { checkpoint_id: checkpoint }, shapes.task, undefined, ROLLBACK_MS);
  if (options.json) return sayJson(terminal, done);
  say(terminal, harmless(`“${oneLine(done.title, WIDTH)}” (${done.id}) went back to ${checkpoint}; it ${done.says}.`));
}

export async function showDiff(client: Client, terminal: Terminal, reference: string, options: Listing): Promise<void> {
  const answer = await client.get(pathOf(reference, '/diff'), shapes.diff);
  if (options.json) return sayJson(terminal, answer);
  // What goes into a file or a pipe is the patch itself; on a screen nothing in it may steer the screen.
  terminal.stdout.write(terminal.stdout.isTTY ? harmless(answer.diff) : answer.diff);
}

/** What a task waits for, decided by the task’s id. */
export async function decideTask(
  client: Client,
  terminal: Terminal,
  { reference, allow, message }: { reference: string; allow: boolean; message?: string },
  options: Listing,
): Promise<void> {
  const one = await client.get(pathOf(reference), shapes.task);
  const asked = (await pendingApprovals(client)).filter(({ session_id }) => session_id === one.session_id);
  if (asked.length !== 1)
    throw new StewardError(
      asked.length === 0 ? 'not_found' : 'conflict',
      asked.length === 0 ? `The task ${one.id} waits for no approval.` : `The task ${one.id} waits for several.`,
      { op: 'decide', hint: 'steward approve lists all that waits, each with an id of its own.' },
    );
  await decide(client, terminal, { id: asked[0]!.id, allow, ...(message !== undefined && { message }), ...options });
}

/** `/tasks` and `/task …` of the conversation in the terminal; false for words it does not know. */
export async function tasksInChat(client: Client, terminal: Terminal, args: string): Promise<boolean> {
  const text = args.trim();
  if (text === '' || /^(?:list|open|all)$/i.test(text)) {
    await listTasks(client, terminal, { limit: 20, all: /^all$/i.test(text) });
    return true;
  }
  const [, word = '', reference = '', words = ''] = /^(\S+)\s+(\S+)\s*([\s\S]*)$/.exec(text) ?? [];
  const verb = word.toLowerCase();
  switch (verb) {
    case 'show':
      await showTask(client, terminal, reference, {});
      return true;
    case 'diff':
      await showDiff(client, terminal, reference, {});
      return true;
    case 'steer':
      if (words === '') return false;
      await changeTask(client, terminal, { reference, verb, body: { text: words } }, {});
      return true;
    case 'pause':
    case 'resume':
    case 'stop':
      await changeTask(client, terminal, { reference, verb, body: {} }, {});
      return true;
    case 'back':
    case 'checkpoints':
      await rollbackTask(client, terminal, { reference, checkpoint: words === '' ? undefined : words }, {});
      return true;
  }
  const [, repository, instruction] = /^(\S+?):\s+(\S[\s\S]*)$/.exec(text) ?? [];
  if (!repository || !instruction) return false;
  await newTask(client, terminal, { repository, instruction }, {});
  return true;
}
