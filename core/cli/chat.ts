// `steward chat`: one message and its answer, or a conversation in the terminal.
import { createInterface, type Interface } from 'node:readline/promises';
import { text as readAll } from 'node:stream/consumers';
import { z } from 'zod';
import { describeError, EXIT, StewardError } from '../errors.ts';
import { SCHEDULES_HELP } from '../schedules-command.ts';
import { TASKS_HELP } from '../tasks-command.ts';
import type { Client } from './client.ts';
import { listMemory, searchMemory, showMemory } from './memory.ts';
import { forgetMemory } from './memory-edit.ts';
import { schedulesInChat } from './schedules.ts';
import { type ApprovalView, session as sessionShape, status as statusShape } from './shapes.ts';
import { tasksInChat } from './tasks.ts';
import { harmless, note, type Terminal } from './terminal.ts';
import { createTranscript } from './transcript.ts';
import { type Conversation, takeTurn } from './turn.ts';

export interface ChatOptions {
  text: string | undefined;
  /** Another session than the main one. */
  session?: string;
}

/** Returns the exit code: 0 once answered, 1 when it stopped for another reason. */
export async function chat(client: Client, terminal: Terminal, options: ChatOptions): Promise<number> {
  const text = options.text ?? (terminal.stdin.isTTY ? undefined : (await readAll(terminal.stdin)).trim());
  if (text === '')
    throw new StewardError('invalid', 'There is nothing to send.', {
      op: 'chat',
      hint: 'steward chat "What is on today?"',
    });
  const conversation = await open(client, terminal, options.session);
  if (text === undefined) return converse(conversation);

  const prompt = terminal.stdin.isTTY ? createInterface({ input: terminal.stdin, output: terminal.stderr }) : null;
  if (prompt) conversation.askApproval = asking(prompt, terminal);
  const stop = new AbortController();
  const leave = () => stop.abort();
  prompt?.on('SIGINT', leave);
  try {
    const end = await takeTurn(conversation, text, stop.signal);
    if (end.reason) note(terminal, end.reason);
    return end.exitCode;
  } finally {
    prompt?.close();
  }
}

async function open(client: Client, terminal: Terminal, chosen: string | undefined): Promise<Conversation> {
  const sessionId =
    chosen ?? (await client.get('/api/status', statusShape)).main_session_id ?? (await freshSession(client));
  const { last_seq } = await client.get(`/v1/sessions/${encodeURIComponent(sessionId)}`, sessionShape);
  return { client, terminal, transcript: createTranscript(terminal), sessionId, position: last_seq ?? 0 };
}

async function freshSession(client: Client): Promise<string> {
  const shape = z.looseObject({ session_id: z.string() });
  return (await client.send('POST', '/api/main/new', {}, shape)).session_id;
}

/** Ctrl-C interrupts the answer; at the prompt, or a second time, it leaves. */
async function converse(conversation: Conversation): Promise<number> {
  const { client, terminal } = conversation;
  const prompt = createInterface({ input: terminal.stdin, output: terminal.stderr });
  conversation.askApproval = asking(prompt, terminal);
  const leaving = new AbortController();
  let answering = false;
  let interrupted = false;
  prompt.on('SIGINT', () => {
    if (!answering || interrupted) return leaving.abort();
    interrupted = true;
    note(terminal, '(interrupting; Ctrl-C again leaves)');
    const events = [{ type: 'user.interrupt' }];
    client
      .send('POST', `/v1/sessions/${conversation.sessionId}/events`, { events }, z.unknown())
      .catch((error: Error) => note(terminal, error.message));
  });
  prompt.on('close', () => leaving.abort());
  note(
    terminal,
    'Type a message. /new begins a new conversation, /memory shows what is known, /schedules what is due, /tasks what is worked on, /quit or Ctrl-C leaves.',
  );
  try {
    while (!leaving.signal.aborted) {
      const line = (await prompt.question('› ', { signal: leaving.signal })).trim();
      if (line === '/quit') break;
      if (line === '/new') {
        conversation.sessionId = await freshSession(client);
        conversation.position = 0;
        note(terminal, 'A new conversation.');
      } else if (/^\/memory\b/.test(line)) {
        await memory(conversation, line.slice('/memory'.length).trim());
      } else if (/^\/schedules\b/.test(line)) {
        await schedules(conversation, line.slice('/schedules'.length).trim());
      } else if (/^\/tasks?\b/.test(line)) {
        await tasks(conversation, line.replace(/^\/tasks?/, '').trim());
      } else if (line !== '') {
        answering = true;
        interrupted = false;
        const end = await takeTurn(conversation, line, leaving.signal);
        if (end.reason) note(terminal, end.reason);
        answering = false;
      }
    }
  } catch (error) {
    if (!leaving.signal.aborted) throw error;
  } finally {
    prompt.close();
  }
  return EXIT.ok;
}

/** As in the other chats. What is wrong with it is said, and the conversation goes on. */
async function memory({ client, terminal }: Conversation, args: string): Promise<void> {
  const [, verb, id, more = ''] = /^(show|forget)\s+((?:mem|sevt)_\w+)\s*(.*)$/i.exec(args) ?? [];
  try {
    if (args === '') await listMemory(client, terminal, { limit: 50 });
    else if (verb?.toLowerCase() === 'show') await showMemory(client, terminal, id!, {});
    else if (verb?.toLowerCase() === 'forget')
      await forgetMemory(client, terminal, id!, { sources: /\bsources?\b/i.test(more), yes: true });
    else if (/^(show|forget)\b/i.test(args))
      note(terminal, `Which one? Say its id: /memory ${args.split(/\s/, 1)[0]} mem_…`);
    else await searchMemory(client, terminal, args, { limit: 10 });
  } catch (error) {
    note(terminal, describeError(error));
  }
}

async function schedules({ client, terminal }: Conversation, args: string): Promise<void> {
  try {
    if (!(await schedulesInChat(client, terminal, args))) note(terminal, SCHEDULES_HELP);
  } catch (error) {
    note(terminal, describeError(error));
  }
}

async function tasks({ client, terminal }: Conversation, args: string): Promise<void> {
  try {
    if (!(await tasksInChat(client, terminal, args))) note(terminal, TASKS_HELP);
  } catch (error) {
    note(terminal, describeError(error));
  }
}

function asking(prompt: Interface, terminal: Terminal) {
  return async (item: ApprovalView): Promise<boolean> => {
    terminal.stderr.write(`\n${harmless(item.title)}\n${harmless(item.detail)}\n${harmless(item.why)}\n`);
    const answer = await prompt.question('Allow? [y/N] ');
    return /^y(es)?$/i.test(answer.trim());
  };
}
