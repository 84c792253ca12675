// What Telegram sends becomes what Steward understands, through one gate; what goes wrong on the wire is told apart.
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net';
import { Api } from 'grammy';
import { describe, expect, onTestFinished, test } from 'vitest';
import { toTelegramHtml, visibleText } from '../../../channels/render.ts';
import { failureOf, outcomeOf, type TelegramMessage, type TelegramUpdate } from '../../../channels/telegram/api.ts';
import { cardButtons, cardMarkdown, shownWhole } from '../../../channels/telegram/card.ts';
import { type Parsed, parseUpdate } from '../../../channels/telegram/inbound.ts';
import { startTelegram } from '../../fakes/telegram.ts';

const ME = { id: 4_242, username: 'steward_test_bot' };
const OWNER = { id: 7, is_bot: false, first_name: 'Ada', last_name: 'L.', username: 'ada' };
const OTHER = { id: 8, is_bot: false, first_name: 'Eve' };
const BOT = { id: ME.id, is_bot: true, first_name: 'Steward' };
const PRIVATE = { id: 7, type: 'private' };
const GROUP = { id: -100, type: 'supergroup', title: 'Team' };

const message = (fields: Partial<TelegramMessage>): TelegramMessage => ({
  message_id: 5,
  date: 0,
  from: OWNER,
  chat: PRIVATE,
  text: 'hello',
  ...fields,
});
const update = (fields: Omit<TelegramUpdate, 'update_id'> | Record<string, unknown>): TelegramUpdate =>
  ({ update_id: 31, ...fields }) as TelegramUpdate;
const parse = (fields: Partial<TelegramMessage>): Parsed => parseUpdate(update({ message: message(fields) }), ME);
const text = (parsed: Parsed): string | null =>
  parsed.kind === 'message' && parsed.content[0]?.type === 'text' ? parsed.content[0].text : null;
const command = (value: string, fields: Partial<TelegramMessage> = {}): Parsed => {
  const length = /^\S+/.exec(value)![0].length;
  return parse({ text: value, entities: [{ type: 'bot_command', offset: 0, length }], ...fields });
};
const mention = (value: string, name = `@${ME.username}`) => ({
  text: value,
  entities: [{ type: 'mention', offset: value.indexOf(name), length: name.length }],
});

describe('the gate', () => {
  test('a message: who by the id, where by the chat, once by the update', () => {
    expect(parse({})).toEqual({
      kind: 'message',
      base: {
        dedupe: 'telegram:4242:31',
        sender: { channel: 'telegram', userId: '7', name: 'Ada L.' },
        address: { channel: 'telegram', chat: '7' },
        group: false,
      },
      content: [{ type: 'text', text: 'hello' }],
      tainted: false,
    });
  });

  test('a stranger with the owner’s names is still another id', () => {
    const parsed = parse({ from: { ...OWNER, id: 9 }, chat: { id: 9, type: 'private' } });
    expect(parsed.kind === 'message' && parsed.base.sender.userId).toBe('9');
  });

  test.each<[string, TelegramUpdate]>([
    ['nothing we know', update({ my_chat_member: {} })],
    ['a reaction without chat', update({ message_reaction: { user: OWNER } })],
    ['an inline query', update({ inline_query: { id: '1', from: OWNER, query: 'x' } })],
    ['a poll answer', update({ poll_answer: { user: OWNER } })],
    ['a business message', update({ business_message: message({}) })],
    ['a channel post', update({ channel_post: message({ chat: { id: -5, type: 'channel' } }) })],
    ['a message in a channel', update({ message: message({ chat: { id: -5, type: 'channel' } }) })],
    ['no sender', update({ message: message({ from: undefined as never }) })],
    ['a sender without id', update({ message: message({ from: { is_bot: false } as never }) })],
    ['a sender with an empty id', update({ message: message({ from: { id: '', is_bot: false } as never }) })],
    ['the sender zero', update({ message: message({ from: { ...OWNER, id: 0 } }) })],
    ['no chat', update({ message: message({ chat: undefined as never }) })],
    ['a chat without id', update({ message: message({ chat: { type: 'private' } as never }) })],
    ['a chat of no known type', update({ message: message({ chat: { id: 7, type: '' } }) })],
    ['another bot', update({ message: message({ from: { ...OTHER, is_bot: true } }) })],
    ['ourselves', update({ message: message({ from: BOT }) })],
    [
      'an anonymous administrator',
      update({ message: message({ ...mention('@steward_test_bot hi'), chat: GROUP, sender_chat: GROUP }) }),
    ],
    ['a service message', update({ message: message({ text: undefined as never, new_chat_members: [OTHER] }) })],
    ['a button of an inline message', update({ callback_query: { id: '1', from: OWNER, data: 'a:sevt_1' } })],
    ['a button without data', update({ callback_query: { id: '1', from: OWNER, message: message({}) } })],
    ['a foreign button', update({ callback_query: { id: '1', from: OWNER, message: message({}), data: 'buy:1' } })],
    [
      'a button pressed by a bot',
      update({ callback_query: { id: '1', from: { ...OWNER, is_bot: true }, message: message({}), data: 'a:x' } }),
    ],
  ])('lets nothing in from %s', (_, from) => {
    expect(parseUpdate(from, ME).kind).toBe('ignore');
  });

  test('an edit is a new message that says so, and never a command', () => {
    const edited = (fields: Partial<TelegramMessage>) => parseUpdate(update({ edited_message: message(fields) }), ME);
    expect(text(edited({}))).toBe('(edited)\nhello');
    const entities = [{ type: 'bot_command', offset: 0, length: 8 }];
    expect(text(edited({ text: '/approve', entities }))).toBe('(edited)\n/approve');
    expect(edited({ from: undefined as never }).kind).toBe('ignore');
    expect(edited({ chat: GROUP }).kind).toBe('ignore');
  });

  test('a button belongs to who pressed it, not to who wrote the card', () => {
    const press = (data: string) =>
      parseUpdate(update({ callback_query: { id: '77', from: OTHER, message: message({ from: BOT }), data } }), ME);
    expect(press('a:sevt_1')).toMatchObject({
      kind: 'button',
      base: { sender: { userId: '8' } },
      callbackId: '77',
      toolUseId: 'sevt_1',
      result: 'allow',
    });
    expect(press('d:sevt_1')).toMatchObject({ kind: 'button', result: 'deny' });
  });
});

describe('commands', () => {
  test.each(['start', 'help', 'new', 'stop', 'status', 'approve', 'deny', 'memory', 'schedules', 'incognito'])(
    '/%s',
    (name) => {
      expect(command(`/${name}  with words `)).toMatchObject({ kind: 'command', name, args: 'with words' });
      expect(command(`/${name.toUpperCase()}@Steward_Test_Bot`)).toMatchObject({ kind: 'command', name });
      expect(command(`/${name}@other_bot`)).toEqual({ kind: 'ignore', why: 'for another bot' });
    },
  );

  test('an unknown one, one in the middle, and one that is forwarded are words', () => {
    expect(text(command('/weather'))).toBe('/weather');
    const entities = [{ type: 'bot_command', offset: 4, length: 5 }];
    expect(text(parse({ text: 'say /stop', entities }))).toBe('say /stop');
    // An inline bot writes in the owner's name: what it writes commands nothing and approves nothing.
    expect(command('/approve', { via_bot: { ...BOT, id: 9 } })).toMatchObject({ kind: 'message', tainted: true });
    expect(command('/approve', { forward_origin: { type: 'user', sender_user: OTHER } })).toMatchObject({
      kind: 'message',
      tainted: true,
    });
    // Text that merely looks like one: what counts is what Telegram marked.
    expect(text(parse({ text: '/approve' }))).toBe('/approve');
  });
});

describe('in a group', () => {
  const group = (fields: Partial<TelegramMessage>) => parse({ chat: GROUP, ...fields });
  test('only what is addressed to the bot is read', () => {
    expect(group({}).kind).toBe('ignore');
    expect(group(mention('@steward_test_bot hi')).kind).toBe('message');
    expect(group(mention('and you, @Steward_Test_Bot?', '@Steward_Test_Bot')).kind).toBe('message');
    expect(group(mention('@steward_test_bot2 hi', '@steward_test_bot2')).kind).toBe('ignore');
    expect(group({ text: 'mail me@steward_test_bot' }).kind).toBe('ignore');
    expect(group({ reply_to_message: message({ from: BOT }) }).kind).toBe('message');
    expect(group({ reply_to_message: message({ from: { ...BOT, id: 9 } }) }).kind).toBe('ignore');
    const named = { entities: [{ type: 'text_mention', offset: 0, length: 5, user: BOT }] };
    expect(group(named).kind).toBe('message');
  });

  test('a command counts when it names the bot, or answers it', () => {
    expect(command('/stop', { chat: GROUP }).kind).toBe('ignore');
    expect(command('/stop@steward_test_bot', { chat: GROUP })).toMatchObject({
      kind: 'command',
      base: { group: true },
    });
    expect(command('/stop', { chat: GROUP, reply_to_message: message({ from: BOT }) }).kind).toBe('command');
  });

  test('a topic is a place of its own; in one the bot opened not everything is for the bot', () => {
    const topic = { is_topic_message: true, message_thread_id: 12 };
    expect(group({ ...mention('@steward_test_bot hi'), ...topic })).toMatchObject({
      base: { address: { channel: 'telegram', chat: '-100', thread: '12' } },
    });
    const opening = message({ from: BOT, forum_topic_created: { name: 'x' } });
    expect(group({ ...topic, reply_to_message: opening }).kind).toBe('ignore');
    // A thread of replies is no topic.
    expect(group({ ...mention('@steward_test_bot hi'), message_thread_id: 12 })).toMatchObject({
      base: { address: { channel: 'telegram', chat: '-100' } },
    });
  });
});

describe('whose words', () => {
  const tainted = (parsed: Parsed) => parsed.kind === 'message' && parsed.tainted;
  const said = (from: TelegramMessage['from'], fields: Partial<TelegramMessage> = {}) =>
    message({ text: 'first\nsecond', ...(from ? { from } : {}), ...fields });

  test('a forward is quoted and not the sender’s own', () => {
    const parsed = parse({ text: 'do\nthis', forward_origin: { type: 'user', sender_user: OWNER } });
    expect(text(parsed)).toBe('Forwarded:\n> do\n> this');
    expect(tainted(parsed)).toBe(true);
  });

  test.each<[string, Partial<TelegramMessage>, boolean]>([
    ['to oneself', { reply_to_message: said(OWNER) }, false],
    ['to the bot', { reply_to_message: said(BOT) }, false],
    ['to somebody else', { reply_to_message: said(OTHER) }, true],
    ['to another bot', { reply_to_message: said({ ...BOT, id: 9 }) }, true],
    ['to what one forwarded', { reply_to_message: said(OWNER, { forward_origin: { type: 'channel' } }) }, true],
    ['to what an inline bot wrote for one', { reply_to_message: said(OWNER, { via_bot: { ...BOT, id: 9 } }) }, true],
    ['to an anonymous author', { reply_to_message: { ...said(OWNER), from: undefined as never } }, true],
    [
      'to a channel that speaks here',
      { reply_to_message: said(OWNER, { sender_chat: { id: -3, type: 'channel' } }) },
      true,
    ],
    ['to a message of another chat', { external_reply: { origin: {} }, quote: { text: 'first\nsecond' } }, true],
  ])('a reply %s is quoted', (_, fields, foreign) => {
    const parsed = parse(fields);
    expect(text(parsed)).toMatch(/^In reply to( you)?:\n> first\n> second\nhello$/);
    expect(tainted(parsed)).toBe(foreign);
  });

  test('the part that was quoted stands for the whole', () => {
    const parsed = parse({ reply_to_message: said(BOT), quote: { text: 'second' } });
    expect(text(parsed)).toBe('In reply to you:\n> second\nhello');
  });

  test('what an inline bot wrote is not the sender’s own', () => {
    expect(tainted(parse({ via_bot: { ...BOT, id: 9 } }))).toBe(true);
  });

  test('what cannot be read is named', () => {
    const bare = { text: undefined as never };
    expect(text(parse({ ...bare, photo: [] }))).toBe('[a photo, which cannot be read yet]');
    expect(text(parse({ ...bare, document: {}, caption: 'the plan' }))).toBe(
      '[a file, which cannot be read yet; its caption:]\nthe plan',
    );
  });
});

describe('a card', () => {
  const asked = { title: 'Send a message to telegram:1', why: 'It is outside.', detail: '{"a":1}', expiresAt: 0 };
  const visible = (markdown: string) => visibleText(toTelegramHtml(markdown));

  test('shows everything that is asked for, and nothing in it formats', () => {
    const wild = {
      ...asked,
      title: '**x** [y](http://z)\n# h',
      why: '<b>&amp; `q`',
      detail: '```\n# not a heading\n````',
    };
    expect(visible(cardMarkdown(wild))).toBe(
      '**x** [y](http://z) # h?\n\n<b>&amp; `q`\n\n```\n# not a heading\n````\n\nWithout an answer by 1970-01-01 00:00 UTC it counts as no.',
    );
    expect(cardButtons({ ...asked, id: 'sevt_1' })).toEqual([
      [
        { text: 'Approve', callback_data: 'a:sevt_1' },
        { text: 'Deny', callback_data: 'd:sevt_1' },
      ],
    ]);
  });

  test('that does not show everything cannot be approved', () => {
    const long = { ...asked, detail: 'x'.repeat(3_001) };
    expect(shownWhole(long)).toBe(false);
    expect(cardButtons({ ...long, id: 'sevt_1' })).toEqual([[{ text: 'Deny', callback_data: 'd:sevt_1' }]]);
  });

  test('fits whatever the title and the reason are', () => {
    const huge = { title: '*'.repeat(9_000), why: '_'.repeat(9_000), detail: '`\n'.repeat(1_500), expiresAt: 0 };
    expect(shownWhole(huge)).toBe(true);
    expect(visible(cardMarkdown(huge)).length).toBeLessThanOrEqual(4_096);
    expect(visible(cardMarkdown(huge))).toContain('`\n'.repeat(1_499));
  });
});

describe('what went wrong', () => {
  const listen = async (server: ReturnType<typeof createTcp>): Promise<number> => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port;
  };
  const tcp = (on: (socket: Socket) => void) => listen(createTcp((socket) => on(socket.on('error', () => {}))));
  const answering = (status: number, body: string) =>
    listen(
      createServer((request, response) => {
        request.resume().on('end', () => response.writeHead(status).end(body));
      }) as unknown as ReturnType<typeof createTcp>,
    );
  const TOKEN = '123456:the-secret-token';
  const fail = async (root: string, signal?: AbortSignal) => {
    const api = new Api(TOKEN, { apiRoot: root });
    const call = api.sendMessage(7, 'x', {}, signal as Parameters<Api['getMe']>[0]);
    const failure = failureOf(
      await call.then(
        () => null,
        (error: unknown) => error,
      ),
    );
    expect(JSON.stringify(failure)).not.toContain('secret');
    return { ...failure, send: outcomeOf(failure, 'send').kind, edit: outcomeOf(failure, 'edit').kind };
  };
  const http = (port: number) => `http://127.0.0.1:${port}`;

  test('nobody listens: surely not sent', async () => {
    const port = await tcp(() => {});
    const closed = createTcp().listen(0, '127.0.0.1');
    await new Promise((resolve) => closed.once('listening', resolve));
    const free = (closed.address() as AddressInfo).port;
    await new Promise((resolve) => closed.close(resolve));
    expect(free).not.toBe(port);
    expect(await fail(http(free))).toMatchObject({ code: null, mayHaveArrived: false, send: 'not_sent' });
  });

  test('no such host: surely not sent', async () => {
    expect(await fail('http://steward-test.invalid')).toMatchObject({ mayHaveArrived: false, send: 'not_sent' });
  });

  test('the handshake fails: surely not sent', async () => {
    const cut = await tcp((socket) => socket.destroy());
    expect(await fail(`https://127.0.0.1:${cut}`)).toMatchObject({ mayHaveArrived: false, send: 'not_sent' });
    const plain = await answering(200, 'no TLS here');
    expect(await fail(`https://127.0.0.1:${plain}`)).toMatchObject({ mayHaveArrived: false, send: 'not_sent' });
  });

  test('an attempt to connect that takes too long: surely not sent', () => {
    // As node-fetch hands it on; a real one takes minutes.
    const error = {
      error: { code: 'ETIMEDOUT', message: 'request to … failed, reason: connect ETIMEDOUT 1.2.3.4:443' },
    };
    expect(failureOf(error).mayHaveArrived).toBe(false);
    const read = { error: { code: 'ETIMEDOUT', message: 'request to … failed, reason: read ETIMEDOUT' } };
    expect(failureOf(read).mayHaveArrived).toBe(true);
  });

  test('reset after the request was written: in doubt for a send, to be repeated for an edit', async () => {
    const port = await tcp((socket) => socket.once('data', () => socket.destroy()));
    expect(await fail(http(port))).toMatchObject({
      code: null,
      mayHaveArrived: true,
      send: 'unknown',
      edit: 'not_sent',
    });
  });

  test('no answer in time: in doubt', async () => {
    const port = await tcp((socket) => socket.resume());
    const late = await fail(http(port), AbortSignal.timeout(80));
    expect(late).toMatchObject({ mayHaveArrived: true, send: 'unknown', edit: 'not_sent' });
  });

  test('an answer that breaks off, or is none: in doubt', async () => {
    const half = await tcp((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"ok":')),
    );
    // The library does not notice by itself: every call needs its limit.
    expect(await fail(http(half), AbortSignal.timeout(80))).toMatchObject({ mayHaveArrived: true, send: 'unknown' });
    const page = await answering(502, '<html>Bad Gateway</html>');
    expect(await fail(http(page))).toMatchObject({ mayHaveArrived: true, send: 'unknown' });
  });

  const refused = (code: number, description: string, parameters?: object) =>
    answering(code, JSON.stringify({ ok: false, error_code: code, description, ...(parameters && { parameters }) }));
  test.each([
    [500, 'Internal Server Error', 'unknown', 'not_sent'],
    [502, 'Bad Gateway', 'unknown', 'not_sent'],
    [400, 'Bad Request: chat not found', 'refused', 'refused'],
    [403, 'Forbidden: bot was blocked by the user', 'refused', 'refused'],
    [413, 'Request Entity Too Large', 'refused', 'refused'],
    [401, 'Unauthorized', 'not_sent', 'not_sent'],
    [404, 'Not Found', 'not_sent', 'not_sent'],
  ])('%i %s: %s for a send, %s for an edit', async (code, description, send, edit) => {
    const failure = await fail(http(await refused(code, description)));
    expect(failure).toMatchObject({ code, description, send, edit });
  });

  test('429: not sent, and the wait is exactly what was asked for', async () => {
    const failure = failureOf(
      await new Api(TOKEN, { apiRoot: http(await refused(429, 'Too Many Requests', { retry_after: 35 })) })
        .sendMessage(7, 'x')
        .catch((error: unknown) => error),
    );
    expect(outcomeOf(failure, 'send')).toMatchObject({ kind: 'not_sent', retryAfterMs: 35_000 });
    expect(outcomeOf(failure, 'edit')).toMatchObject({ kind: 'not_sent', retryAfterMs: 35_000 });
  });

  test('the fake says it in the same classes', async () => {
    const fake = await startTelegram();
    onTestFinished(() => fake.close());
    fake.say(7, 'hi');
    const api = new Api(fake.token, { apiRoot: fake.url });
    const classOf = async () =>
      outcomeOf(failureOf(await api.sendMessage(7, 'x').catch((error) => error)), 'send').kind;
    fake.faults.next('sendMessage', { kind: 'drop' });
    fake.faults.next('sendMessage', { kind: 'dropAfter' });
    fake.faults.next('sendMessage', { kind: 'page', code: 502 });
    fake.faults.next('sendMessage', { kind: 'status', code: 503 });
    fake.faults.next('sendMessage', { kind: 'status', code: 429, retryAfter: 3 });
    fake.faults.next('sendMessage', { kind: 'status', code: 403 });
    const classes = [];
    for (let i = 0; i < 6; i++) classes.push(await classOf());
    expect(classes).toEqual(['unknown', 'unknown', 'unknown', 'unknown', 'not_sent', 'refused']);
  });
});
