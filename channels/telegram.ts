// The Telegram channel: the Bot API through grammY, one request per call and no retries of its own.
import { Api, InputFile } from 'grammy';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Accepted, Address, Channel, Inbound, Millis, Role, Sender } from '../core/types.ts';
import { splitForTelegram } from './render.ts';
import { failureOf, type TelegramApi, type TelegramUpdate, type TextOptions } from './telegram/api.ts';
import { CHAT_TIMINGS, type ChatsDeps, type ChatTimings, createChats } from './telegram/chats.ts';
import { cutMarkdown } from './telegram/cut.ts';
import { POLL_TIMINGS, type Poll, type PollTimings, startPoll } from './telegram/poll.ts';
import { createTalk, type TalkDeps } from './telegram/talk.ts';

/** For everything but polls. */
const CALL_LIMIT_MS: Millis = 30_000;
/** A slow line still gets a large file out. */
const UPLOAD_BYTES_PER_MS = 64;
/** Below Telegram's 4,096; commands answer in plain text. */
const REPLY_LENGTH = 3_900;

export interface TelegramDeps {
  token: string;
  apiRoot: string | null;
  clock: Clock;
  log: Log;
  timings?: Partial<PollTimings & ChatTimings>;
  intake: { accept(inbound: Inbound): Accepted };
  transaction<T>(work: () => T): T;
  cursor: { get(name: string): number | null; set(name: string, value: number): void };
  drafts: ChatsDeps['drafts'];
  blob(hash: string): Uint8Array | null;
  roleOf(sender: Sender): Role | null;
  /** Telegram answers: for the first time, or again. */
  reached(): void;
  commands: Pick<TalkDeps, 'status' | 'newConversation' | 'approvals' | 'memory' | 'schedules' | 'tasks'>;
}

export function createTelegram(deps: TelegramDeps): Channel {
  const api = createApi(deps.token, deps.apiRoot);
  const timings = { ...POLL_TIMINGS, ...CHAT_TIMINGS, ...deps.timings };
  const { clock, log } = deps;
  const closing = new AbortController();
  const { drafts, blob } = deps;
  const chats = createChats({ api, clock, timings, closing: closing.signal, drafts, blob });
  const courtesies = new Set<Promise<unknown>>();
  /** Not owed to anyone: a failure is logged, nothing waits for it. */
  const courtesy = (what: string, work: Promise<unknown>) => {
    const done = work
      .catch((error: unknown) => log.warn({ why: failureOf(error).description }, `${what} failed`))
      .finally(() => courtesies.delete(done));
    courtesies.add(done);
  };
  const reply = async (address: Address, text: string): Promise<void> => {
    for (const part of cutMarkdown(text, REPLY_LENGTH)) await chats.reply(address, part);
  };
  const talk = createTalk({
    intake: deps.intake,
    roleOf: deps.roleOf,
    log,
    ...deps.commands,
    reply: ({ address }, text) => courtesy('a reply', reply(address, text)),
    toast: (id, text) => courtesy('a toast', api.answerCallbackQuery(id, text.slice(0, 190), closing.signal)),
  });
  let poll: Poll | null = null;
  /** In a private chat the chat's id is the person's. Whoever was unpaired while an answer was under way gets none of it. */
  const revoked = ({ chat }: Address) =>
    !chat.startsWith('-') && deps.roleOf({ channel: 'telegram', userId: chat }) === null;

  return {
    name: 'telegram',
    split: splitForTelegram,
    settledByEdit: new Set(['text', 'approval_closed'] as const),
    async start() {
      poll = startPoll({
        api,
        clock,
        log,
        timings,
        cursor: deps.cursor,
        transaction: deps.transaction,
        handle: talk,
        reached: deps.reached,
        hello: () => courtesy('the command menu', api.setMyCommands(MENU, closing.signal)),
      });
    },
    async stop() {
      const timer = setTimeout(() => closing.abort(), timings.graceMs);
      await poll?.stop();
      await Promise.all([chats.stop(), ...courtesies]);
      clearTimeout(timer);
      poll = null;
    },
    deliver: async (item, context) =>
      revoked(item.address)
        ? { kind: 'refused', why: 'this person is no longer paired' }
        : chats.deliver(item, context),
    progress(address, sessionId, progress) {
      if (!revoked(address)) chats.progress(address, sessionId, progress);
    },
    health: (now) =>
      poll?.health(now) ?? { name: 'telegram', state: 'starting', detail: 'not started', lastSuccessAt: null },
  };
}

const UPDATES = ['message', 'edited_message', 'callback_query'] as const;

const MENU = [
  { command: 'new', description: 'Start a fresh conversation' },
  { command: 'stop', description: 'Stop what I am doing' },
  { command: 'status', description: 'Is everything well' },
  { command: 'approve', description: 'Approve what waits' },
  { command: 'deny', description: 'Deny what waits' },
  { command: 'memory', description: 'What I remember' },
  { command: 'schedules', description: 'What is scheduled' },
  { command: 'tasks', description: 'Where code tasks stand' },
  { command: 'incognito', description: 'Keep nothing of what follows' },
  { command: 'help', description: 'What I can do' },
];

type Signal = Parameters<Api['getMe']>[0];

/** Ends the call after its limit or with `signal`, and leaves neither a timer nor a listener behind. */
async function limited<T>(signal: AbortSignal, limitMs: Millis, call: (signal: Signal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = setTimeout(abort, limitMs);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  try {
    return await call(controller.signal as Signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** grammY writes the name as it is into a header of the form: quoted, and without what would end the quotes or the line. */
const headerName = (name: string) => `"${name.replace(/[\p{Cc}"\\]/gu, '_')}"`;

function createApi(token: string, apiRoot: string | null): TelegramApi {
  const api = new Api(token, apiRoot ? { apiRoot } : {});
  const chatOf = (chat: string) => Number(chat);
  const threadOf = (thread?: string) => (thread ? { message_thread_id: Number(thread) } : {});
  const textOptions = ({ thread, html, buttons }: TextOptions) => ({
    ...threadOf(thread),
    ...(html && { parse_mode: 'HTML' as const }),
    ...(buttons && { reply_markup: { inline_keyboard: buttons } }),
    link_preview_options: { is_disabled: true },
  });
  const within = <T>(signal: AbortSignal, call: (signal: Signal) => Promise<T>) => limited(signal, CALL_LIMIT_MS, call);
  return {
    getMe: (signal, limitMs) => limited(signal, limitMs, (inner) => api.getMe(inner)),
    getUpdates: (offset, timeout, signal, limitMs) =>
      limited(signal, limitMs, async (inner) => {
        const options = { ...(offset !== undefined && { offset }), timeout, allowed_updates: UPDATES };
        return (await api.getUpdates(options, inner)) as unknown as TelegramUpdate[];
      }),
    deleteWebhook: async (signal) => void (await within(signal, (inner) => api.deleteWebhook({}, inner))),
    setMyCommands: async (commands, signal) =>
      void (await within(signal, (inner) => api.setMyCommands(commands, {}, inner))),
    sendMessage: (chat, text, options, signal) =>
      within(signal, async (inner) => {
        const message = await api.sendMessage(chatOf(chat), text, textOptions(options), inner);
        return message.message_id;
      }),
    editMessageText: async (chat, message, text, options, signal) =>
      void (await within(signal, (inner) =>
        api.editMessageText(chatOf(chat), message, text, textOptions(options), inner),
      )),
    sendDocument: (chat, data, name, { thread, caption }, signal) =>
      limited(signal, CALL_LIMIT_MS + data.length / UPLOAD_BYTES_PER_MS, async (inner) => {
        const options = { ...threadOf(thread), ...(caption && { caption }) };
        const file = new InputFile(data, headerName(name));
        return (await api.sendDocument(chatOf(chat), file, options, inner)).message_id;
      }),
    sendChatAction: async (chat, thread, signal) =>
      void (await within(signal, (inner) => api.sendChatAction(chatOf(chat), 'typing', threadOf(thread), inner))),
    answerCallbackQuery: async (id, text, signal) =>
      void (await within(signal, (inner) => api.answerCallbackQuery(id, { text }, inner))),
  };
}
