// `steward memory`, changing: saving, editing, pinning, correcting, taking back, answering, consolidating, forgetting for good.
import { createInterface } from 'node:readline/promises';
import { StewardError } from '../errors.ts';
import { forgottenText } from '../memory-text.ts';
import type { Client } from './client.ts';
import { type Listing, pathOf, ROOT, WIDTH } from './memory.ts';
import * as shapes from './memory-shapes.ts';
import { harmless, oneLine, say, sayJson, type Terminal } from './terminal.ts';

/** Consolidating asks a model. Milliseconds. */
const PATIENCE_MS = 30 * 60_000;

export interface Wanted extends Listing {
  tier?: string;
  kind?: string;
  subject?: string;
  slot?: string;
  from?: string;
  expires?: string;
  pin?: boolean;
}

const bodyOf = (text: string | undefined, { tier, kind, subject, slot, from, expires, pin }: Wanted) => ({
  ...(text !== undefined && { text }),
  ...(tier && { tier }),
  ...(kind && { kind }),
  ...(subject !== undefined && { subject: subject === '' ? null : subject }),
  ...(slot !== undefined && { slot: slot === '' ? null : slot }),
  ...(from && { valid_from: from }),
  ...(expires && { expires_at: expires === 'never' ? null : expires }),
  ...(pin && { pinned: true }),
});

function outcome(saved: shapes.SavedView): string {
  switch (saved.result) {
    case 'saved': {
      const gone = saved.superseded.length > 0 ? `; it takes the place of ${saved.superseded.join(', ')}` : '';
      return `Kept as ${saved.item.id}${gone}. steward memory undo ${saved.change_id} takes it back.`;
    }
    case 'known':
      return `Known already: ${saved.item.id}.`;
    case 'asked':
      return `${saved.question.text}\nsteward memory answer ${saved.question.id} yes|no`;
  }
}

function tell(terminal: Terminal, saved: shapes.SavedView, options: Listing): void {
  if (options.json) sayJson(terminal, saved);
  else say(terminal, harmless(outcome(saved)));
}

export async function saveMemory(client: Client, terminal: Terminal, text: string, options: Wanted): Promise<void> {
  tell(terminal, await client.send('POST', ROOT, bodyOf(text, options), shapes.saved), options);
}

export async function editMemory(
  client: Client,
  terminal: Terminal,
  { id, text }: { id: string; text: string | undefined },
  options: Wanted,
): Promise<void> {
  tell(terminal, await client.send('PATCH', pathOf(id), bodyOf(text, options), shapes.saved), options);
}

export async function pinMemory(
  client: Client,
  terminal: Terminal,
  { id, pinned }: { id: string; pinned: boolean },
  options: Listing,
): Promise<void> {
  const item = await client.send('POST', pathOf(id, '/pin'), { pinned }, shapes.item);
  if (options.json) sayJson(terminal, item);
  else say(terminal, pinned ? `${id} is pinned: it comes first.` : `${id} is not pinned any more.`);
}

/** "That is wrong": it holds no longer, and stays in the history; with a text, that one was true all along. */
export async function correctMemory(
  client: Client,
  terminal: Terminal,
  { id, text, reason }: { id: string; text: string | undefined; reason?: string },
  options: Listing,
): Promise<void> {
  if (text !== undefined) {
    const { valid_from } = await client.get(pathOf(id), shapes.item);
    return tell(terminal, await client.send('PATCH', pathOf(id), { text, valid_from }, shapes.saved), options);
  }
  const wrong = await client.send('POST', pathOf(id, '/retire'), reason ? { reason } : {}, shapes.item);
  if (options.json) return sayJson(terminal, wrong);
  say(terminal, `${id} holds no longer. steward memory forget ${id} would remove it for good.`);
}

export interface ForgetOptions extends Listing {
  sources?: boolean;
  yes?: boolean;
}

export async function forgetMemory(
  client: Client,
  terminal: Terminal,
  id: string,
  options: ForgetOptions,
): Promise<void> {
  const isEvent = id.startsWith('sevt_');
  if (!options.yes) {
    const what = isEvent ? id : `“${oneLine((await client.get(pathOf(id), shapes.item)).text, 60)}”`;
    const more = options.sources || isEvent ? ', with every message that says it' : '';
    if (!(await agrees(terminal, `Forget ${harmless(what)} for good${more}? [y/N] `)))
      throw new StewardError('invalid', 'Nothing was forgotten.', {
        op: 'forget a memory',
        hint: 'Answer y, or say --yes.',
      });
  }
  const path = isEvent
    ? `${ROOT}/events/${encodeURIComponent(id)}`
    : pathOf(id, options.sources ? '?sources=true' : '');
  const done = await client.send('DELETE', path, undefined, shapes.forgotten);
  if (options.json) return sayJson(terminal, done);
  say(terminal, harmless(forgottenText(done, [])));
}

async function agrees(terminal: Terminal, question: string): Promise<boolean> {
  if (!terminal.stdin.isTTY) return false;
  const prompt = createInterface({ input: terminal.stdin, output: terminal.stderr });
  try {
    return /^y(es)?$/i.test((await prompt.question(question)).trim());
  } finally {
    prompt.close();
  }
}

export async function undoChange(client: Client, terminal: Terminal, id: string, options: Listing): Promise<void> {
  const done = await client.send('POST', `${ROOT}/changes/${encodeURIComponent(id)}/undo`, {}, shapes.change);
  if (options.json) return sayJson(terminal, done);
  say(
    terminal,
    `Taken back: +${done.added.length} -${done.retired.length}. steward memory undo ${done.id} has it again.`,
  );
}

export async function answerQuestion(
  client: Client,
  terminal: Terminal,
  { id, accept }: { id: string; accept: boolean },
  options: Listing,
): Promise<void> {
  const path = `${ROOT}/questions/${encodeURIComponent(id)}/answer`;
  const done = await client.send('POST', path, { accept }, shapes.answered);
  if (options.json) return sayJson(terminal, done);
  if (done.saved) return tell(terminal, done.saved, options);
  say(terminal, accept ? 'It is so already; nothing changed.' : 'Not kept, and not asked again.');
}

export interface ConsolidateOptions extends Listing {
  dryRun?: boolean;
  session?: string;
}

export async function consolidateMemory(
  client: Client,
  terminal: Terminal,
  kind: string,
  options: ConsolidateOptions,
): Promise<void> {
  const body = {
    kind,
    dry_run: options.dryRun ?? false,
    ...(options.session && { session_id: options.session }),
  };
  const done = await client.send('POST', `${ROOT}/consolidate`, body, shapes.run, undefined, PATIENCE_MS);
  if (options.json) return sayJson(terminal, done);
  const lines = [
    done.summary,
    ...done.added.map((item) => `+ ${oneLine(item.text ?? JSON.stringify(item), WIDTH)}`),
    ...done.retired.map((item) => `- ${item.id}  ${oneLine(item.text, WIDTH)} (${oneLine(item.why, 60)})`),
    ...(done.questions > 0 ? [`${done.questions} questions: steward memory questions`] : []),
    ...done.refused.map((why) => `not taken: ${oneLine(why, WIDTH)}`),
    ...(options.dryRun ? ['Nothing was changed.'] : []),
    ...(done.change_id === null ? [] : [`steward memory undo ${done.change_id} takes it back.`]),
  ];
  say(terminal, harmless(lines.join('\n')));
}
