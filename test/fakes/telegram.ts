// A strict Telegram Bot API on loopback: real long polls, confirmation by offset, the server's own refusals, and faults on demand.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { readAll, readBody } from './telegram/body.ts';
import { parseHtml } from './telegram/entities.ts';
import { createUpdateQueue, type Update } from './telegram/updates.ts';

export type TelegramFault =
  /** An error answer; nothing took effect. `retryAfter` in seconds goes with 429. */
  | { kind: 'status'; code: number; description?: string; retryAfter?: number }
  /** An error page of a proxy in front of the server; `took` when the server behind it did its work. */
  | { kind: 'page'; code: number; took?: boolean }
  /** The connection breaks and nothing took effect. */
  | { kind: 'drop' }
  /** It took effect, and the connection breaks before the answer. */
  | { kind: 'dropAfter' }
  | { kind: 'hang' }
  | { kind: 'slow'; ms: number };

export interface FakeMessage {
  id: number;
  text: string;
  /** What was sent, before its entities were parsed. */
  raw: string;
  history: string[];
  buttons: { text: string; callback_data: string }[][];
  thread?: number;
  document?: { name: string; size: number; text: string };
  deleted?: boolean;
}

export interface Call {
  method: string;
  body: Record<string, unknown>;
  at: number;
  answered: number | 'none';
}

export interface SayOptions {
  userId?: number;
  name?: string;
  username?: string;
  chatType?: 'private' | 'group' | 'supergroup' | 'channel';
  updateId?: number;
  /** Merged over the message, for photos, replies, forwards, edits. */
  message?: Record<string, unknown>;
  edited?: boolean;
}

export interface FakeTelegram {
  url: string;
  token: string;
  username: string;
  /** A person writes; returns the update's id. */
  say(chatId: number, text: string, options?: SayOptions): number;
  /** A person presses a button under a message of the bot. */
  press(chatId: number, messageId: number, data: string, userId?: number): number;
  /** Any update as it is, for kinds nobody here makes. */
  offer(update: Update): number;
  /** The person blocks the bot, or lets it in again. */
  block(chatId: number, on?: boolean): void;
  /** What stands in a chat now, oldest first. */
  chat(chatId: number): FakeMessage[];
  calls: Call[];
  toasts: { id: string; text: string }[];
  faults: {
    next(method: string, fault: TelegramFault, times?: number): void;
    stick(method: string, fault: TelegramFault | null): void;
    clear(): void;
  };
  /** Updates not confirmed yet. */
  pending(): number;
  close(): Promise<void>;
}

class Refusal extends Error {
  readonly code: number;
  readonly retryAfter: number | undefined;
  constructor(code: number, description: string, retryAfter?: number) {
    super(description);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const BOT_ID = 4_242;
/** White space, control and zero-width characters alone are an empty text. */
const SHOWS = /[^\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/u;

export async function startTelegram(options: { token?: string; port?: number } = {}): Promise<FakeTelegram> {
  const token = options.token ?? `${BOT_ID}:fake-token-of-the-test-bot-0123456789`;
  const username = 'steward_test_bot';
  const chats = new Map<number, FakeMessage[]>();
  const blocked = new Set<number>();
  const calls: Call[] = [];
  const toasts: { id: string; text: string }[] = [];
  const updates = createUpdateQueue();
  const oneShot = new Map<string, TelegramFault[]>();
  const sticky = new Map<string, TelegramFault>();
  let nextUpdate = 1_000;
  let nextMessage = 1;
  let nextCallback = 1;
  let webhook = '';

  const bad = (description: string) => new Refusal(400, `Bad Request: ${description}`);
  const chatOf = (body: Record<string, unknown>): FakeMessage[] => {
    const id = Number(body.chat_id);
    if (blocked.has(id)) throw new Refusal(403, 'Forbidden: bot was blocked by the user');
    const chat = chats.get(id);
    if (!chat) throw bad('chat not found');
    return chat;
  };
  const textOf = (body: Record<string, unknown>): string => {
    const raw = String(body.text ?? '');
    if (!raw.isWellFormed()) throw bad('text must be encoded in UTF-8');
    const parsed = body.parse_mode === 'HTML' ? parseHtml(raw) : { text: raw };
    if ('error' in parsed) throw new Refusal(400, parsed.error);
    if (!SHOWS.test(parsed.text)) throw bad('message text is empty');
    if (parsed.text.length > 4_096) throw bad('message is too long');
    return parsed.text.trim();
  };
  const buttonsOf = (body: Record<string, unknown>): FakeMessage['buttons'] => {
    const markup = body.reply_markup as { inline_keyboard?: FakeMessage['buttons'] } | string | undefined;
    const keyboard =
      (typeof markup === 'string' ? (JSON.parse(markup) as { inline_keyboard?: FakeMessage['buttons'] }) : markup)
        ?.inline_keyboard ?? [];
    for (const button of keyboard.flat())
      if (Buffer.byteLength(button.callback_data ?? '') > 64) throw bad('BUTTON_DATA_INVALID');
    return keyboard;
  };
  const threadOf = (body: Record<string, unknown>) =>
    body.message_thread_id === undefined ? {} : { thread: Number(body.message_thread_id) };
  const wire = (chatId: number, message: FakeMessage) => ({
    message_id: message.id,
    date: Math.floor(Date.now() / 1_000),
    chat: { id: chatId, type: chatId < 0 ? 'group' : 'private' },
    from: { id: BOT_ID, is_bot: true, first_name: 'Steward' },
    text: message.text,
  });
  const find = (body: Record<string, unknown>, what: string): FakeMessage => {
    const message = chatOf(body).find((entry) => entry.id === Number(body.message_id) && !entry.deleted);
    if (!message) throw bad(`message to ${what} not found`);
    return message;
  };

  type Method = (body: Record<string, unknown>, response: ServerResponse) => unknown | Promise<unknown>;
  const methods: Record<string, Method> = {
    getMe: () => ({ id: BOT_ID, is_bot: true, first_name: 'Steward', username, can_join_groups: true }),
    deleteWebhook: () => {
      webhook = '';
      return true;
    },
    setWebhook: (body) => {
      webhook = String(body.url);
      return true;
    },
    setMyCommands: () => true,
    getUpdates: async (body, response) => {
      if (webhook)
        throw new Refusal(
          409,
          "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
        );
      response.on('close', () => {
        if (!response.writableFinished) updates.abandon();
      });
      const answer = await updates.poll({
        offset: body.offset === undefined ? null : Number(body.offset),
        limit: Number(body.limit ?? 100),
        timeoutS: Number(body.timeout ?? 0),
      });
      if (answer === 'conflict')
        throw new Refusal(
          409,
          'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
        );
      return answer;
    },
    sendMessage: (body) => {
      const chat = chatOf(body);
      const message: FakeMessage = {
        id: nextMessage++,
        text: textOf(body),
        raw: String(body.text),
        history: [],
        buttons: buttonsOf(body),
        ...threadOf(body),
      };
      chat.push(message);
      return wire(Number(body.chat_id), message);
    },
    editMessageText: (body) => {
      const message = find(body, 'edit');
      const text = textOf(body);
      const buttons = buttonsOf(body);
      if (
        text === message.text &&
        String(body.text) === message.raw &&
        JSON.stringify(buttons) === JSON.stringify(message.buttons)
      )
        throw bad(
          'message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message',
        );
      message.history.push(message.text);
      message.text = text;
      message.raw = String(body.text);
      message.buttons = buttons;
      return wire(Number(body.chat_id), message);
    },
    editMessageReplyMarkup: (body) => {
      const message = find(body, 'edit');
      message.buttons = buttonsOf(body);
      return wire(Number(body.chat_id), message);
    },
    deleteMessage: (body) => {
      find(body, 'delete').deleted = true;
      return true;
    },
    sendChatAction: (body) => {
      chatOf(body);
      return true;
    },
    sendDocument: (body) => {
      const chat = chatOf(body);
      const file = body.document as FakeMessage['document'];
      if (!file || file.size === 0) throw bad('file must be non-empty');
      if (file.size > 50_000_000) throw new Refusal(413, 'Request Entity Too Large');
      if (String(body.caption ?? '').length > 1_024) throw bad('message caption is too long');
      const message: FakeMessage = {
        id: nextMessage++,
        text: String(body.caption ?? ''),
        raw: '',
        history: [],
        buttons: [],
        document: file,
        ...threadOf(body),
      };
      chat.push(message);
      return { ...wire(Number(body.chat_id), message), document: { file_name: file.name, file_size: file.size } };
    },
    answerCallbackQuery: (body) => {
      toasts.push({ id: String(body.callback_query_id), text: String(body.text ?? '') });
      return true;
    },
  };

  const offer: FakeTelegram['offer'] = (update) => {
    updates.push(update);
    return update.update_id;
  };
  const block: FakeTelegram['block'] = (chatId, on = true) => void (on ? blocked.add(chatId) : blocked.delete(chatId));
  const say: FakeTelegram['say'] = (chatId, text, say = {}) => {
    const type = say.chatType ?? (chatId < 0 ? 'group' : 'private');
    if (!chats.has(chatId)) chats.set(chatId, []);
    const entities = /^\/[a-z]+(@\w+)?/i.exec(text);
    const mentions = [...text.matchAll(/@\w+/g)].map((match) => ({
      type: 'mention',
      offset: match.index,
      length: match[0].length,
    }));
    const message = {
      message_id: nextMessage++,
      date: Math.floor(Date.now() / 1_000),
      chat: { id: chatId, type },
      from: {
        id: say.userId ?? Math.abs(chatId),
        is_bot: false,
        first_name: say.name ?? `User ${chatId}`,
        ...(say.username && { username: say.username }),
      },
      text,
      entities: [...(entities ? [{ type: 'bot_command', offset: 0, length: entities[0].length }] : []), ...mentions],
      ...say.message,
    };
    const updateId = say.updateId ?? nextUpdate++;
    return offer({ update_id: updateId, [say.edited ? 'edited_message' : 'message']: message });
  };
  const press: FakeTelegram['press'] = (chatId, messageId, data, userId) =>
    offer({
      update_id: nextUpdate++,
      callback_query: {
        id: String(nextCallback++),
        from: { id: userId ?? Math.abs(chatId), is_bot: false, first_name: 'Presser' },
        message: { message_id: messageId, date: 0, chat: { id: chatId, type: chatId < 0 ? 'group' : 'private' } },
        data,
      },
    });

  const faults: FakeTelegram['faults'] = {
    next(method, fault, times = 1) {
      oneShot.set(method, [...(oneShot.get(method) ?? []), ...Array.from({ length: times }, () => fault)]);
    },
    stick: (method, fault) => void (fault ? sticky.set(method, fault) : sticky.delete(method)),
    clear() {
      oneShot.clear();
      sticky.clear();
    },
  };

  /** For drivers in another process: faults, words, presses, the state. */
  const control = async (path: string, request: IncomingMessage): Promise<unknown> => {
    if (path === '/__fake/state')
      return {
        chats: Object.fromEntries([...chats].map(([id, messages]) => [id, messages])),
        pending: updates.size(),
        calls: calls.length,
        toasts,
      };
    const body = JSON.parse((await readAll(request)).toString() || '{}') as Record<string, unknown>;
    if (path === '/__fake/say')
      return { update_id: say(Number(body.chat), String(body.text), body.options as SayOptions) };
    if (path === '/__fake/press')
      return {
        update_id: press(Number(body.chat), Number(body.message), String(body.data), body.user as number | undefined),
      };
    if (path === '/__fake/block') {
      block(Number(body.chat), body.on !== false);
      return {};
    }
    if (path === '/__fake/faults') {
      if (body.clear) faults.clear();
      if (body.next) faults.next(String(body.method), body.next as TelegramFault, body.times as number | undefined);
      if ('sticky' in body) faults.stick(String(body.method), body.sticky as TelegramFault | null);
      return {};
    }
    throw new Refusal(404, 'Not Found');
  };

  const answer = (response: ServerResponse, code: number, body: unknown) => {
    if (response.destroyed) return;
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const refuse = (response: ServerResponse, error: unknown) => {
    const known = error instanceof Refusal ? error : new Refusal(500, `Internal Server Error: ${String(error)}`);
    const parameters = known.retryAfter === undefined ? {} : { parameters: { retry_after: known.retryAfter } };
    answer(response, known.code, { ok: false, error_code: known.code, description: known.message, ...parameters });
  };

  const FAULT_WORDS: Record<number, string> = {
    401: 'Unauthorized',
    403: 'Forbidden: bot was blocked by the user',
    409: 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
  };
  const asRefusal = ({ code, description, retryAfter }: Extract<TelegramFault, { kind: 'status' }>): Refusal => {
    const words = code === 429 ? `Too Many Requests: retry after ${retryAfter ?? 1}` : FAULT_WORDS[code];
    return new Refusal(code, description ?? words ?? 'Bad Gateway', code === 429 ? (retryAfter ?? 1) : retryAfter);
  };

  const carryOut = async (call: Call, given: string, request: IncomingMessage, response: ServerResponse) => {
    if (given !== token) throw new Refusal(401, 'Unauthorized');
    const handler = methods[call.method];
    if (!handler) throw new Refusal(404, 'Not Found: method not found');
    const fault = oneShot.get(call.method)?.shift() ?? sticky.get(call.method);
    if (fault?.kind === 'drop') return void request.socket.destroy();
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'status') throw asRefusal(fault);
    if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.ms));
    const result = fault?.kind === 'page' && !fault.took ? null : await handler(call.body, response);
    if (fault?.kind === 'dropAfter') return void request.socket.destroy();
    if (fault?.kind === 'page') {
      call.answered = fault.code;
      response.writeHead(fault.code, { 'content-type': 'text/html' });
      return void response.end('<html><body>Bad Gateway</body></html>');
    }
    call.answered = 200;
    answer(response, 200, { ok: true, result });
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = new URL(request.url ?? '/', 'http://fake').pathname;
    if (path.startsWith('/__fake/')) return answer(response, 200, await control(path, request));
    const [, given = '', method = ''] = /^\/bot([^/]+)\/(\w+)$/.exec(path) ?? [];
    const call: Call = { method, body: {}, at: Date.now(), answered: 'none' };
    try {
      call.body = await readBody(request).catch(() => {
        throw bad("can't parse the request");
      });
      calls.push(call);
      await carryOut(call, given, request, response);
    } catch (error) {
      if (error instanceof Refusal) call.answered = error.code;
      throw error;
    }
  };

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => refuse(response, error));
  });
  // A connection that is closed while idle, in the moment it is used again, is a fault: here only those that a test asks for.
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    token,
    username,
    say,
    press,
    offer,
    block,
    chat: (id) => (chats.get(id) ?? []).filter((message) => !message.deleted),
    calls,
    toasts,
    faults,
    pending: updates.size,
    close: () =>
      new Promise((resolve) => {
        updates.abandon();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { port: { type: 'string' }, token: { type: 'string' } } });
  const fake = await startTelegram({
    ...(values.port && { port: Number(values.port) }),
    ...(values.token && { token: values.token }),
  });
  process.stdout.write(`${JSON.stringify({ url: fake.url, token: fake.token })}\n`);
}
