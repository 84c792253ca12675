// Telegram end to end: a real process, a real Bot API client, and people who write, press, block and come from elsewhere.

import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { lastUserText, type MessagesApi, type Scripted, startMessagesApi, toolResults } from '../fakes/messages-api.ts';
import { type FakeTelegram, startTelegram } from '../fakes/telegram.ts';
import { runSteward, type StewardProcess, startSteward } from '../helpers/process.ts';

const KEY = 'sk-test-telegram-0000000000';
const OWNER = 7;
const PHONE = 70;
const GUEST = 8;
const STRANGER = 9;
const GROUP = -100;

interface Household {
  steward: StewardProcess;
  model: MessagesApi;
  telegram: FakeTelegram;
  api<T = Record<string, unknown>>(path: string, method?: string, body?: unknown): Promise<T>;
  /** What a person sees in a chat: text of the bot's messages. */
  texts(chat: number): string[];
  pair(chat: number, role?: 'owner' | 'guest'): Promise<void>;
  close(): Promise<void>;
}

const until = (what: () => unknown, timeout = 10_000) => expect.poll(what, { timeout, interval: 20 });

async function household(env: Record<string, string> = {}): Promise<Household> {
  const model = await startMessagesApi({ key: KEY });
  const telegram = await startTelegram();
  const steward = await startSteward({
    env: {
      ANTHROPIC_API_KEY: KEY,
      ANTHROPIC_BASE_URL: model.url,
      TELEGRAM_BOT_TOKEN: telegram.token,
      TELEGRAM_API_ROOT: telegram.url,
      STEWARD_BUDGET_DAY_USD: '1000',
      ...env,
    },
  });
  const house: Household = {
    steward,
    model,
    telegram,
    async api<T>(path: string, method = 'GET', body?: unknown) {
      const response = await fetch(`${steward.url}${path}`, {
        method,
        headers: { 'x-api-key': steward.token, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    },
    texts: (chat) => telegram.chat(chat).map((message) => message.text),
    async pair(chat, role = 'owner') {
      this.telegram.say(chat, 'hello');
      const find = async () => {
        const { data } = await house.api<{ data: { code: string; user_id: string }[] }>('/api/pairings');
        return data.find((pairing) => pairing.user_id === String(chat))?.code;
      };
      await until(find).toBeDefined();
      await house.api(`/api/pairings/${await find()}/approve`, 'POST', { role });
    },
    async close() {
      await steward.stop();
      await Promise.all([model.close(), telegram.close()]);
    },
  };
  return house;
}

interface ChannelView {
  name: string;
  state: string;
  detail: string;
}
const channelOf = async (house: Household): Promise<ChannelView> => {
  const { channels } = await house.api<{ channels: ChannelView[] }>('/api/status');
  return channels.find(({ name }) => name === 'telegram')!;
};
interface SessionView {
  id: string;
  trust: string;
  main: boolean;
  tainted: boolean;
}
const sessionsOf = async (house: Household) => (await house.api<{ data: SessionView[] }>('/v1/sessions')).data;
interface EventView {
  id: string;
  type: string;
  content?: { text?: string }[];
  [key: string]: unknown;
}
const eventsOf = async (house: Household, sessionId: string) =>
  (await house.api<{ data: EventView[] }>(`/v1/sessions/${sessionId}/events?limit=1000`)).data;
const wordsOf = (event: EventView) => (event.content ?? []).map((block) => block.text ?? '').join('');

describe('a household', () => {
  let house: Household;
  const say = (text: string) => house.telegram.say(OWNER, text);
  const texts = () => house.texts(OWNER);
  const approvals = async () => (await house.api<{ data: { id: string }[] }>('/api/approvals')).data;

  beforeAll(async () => {
    house = await household();
  });
  afterAll(() => house.close());

  test('a stranger gets one reply with a code, then silence; the code lets them in, by the command line', async () => {
    say('hello, it is me');
    await until(texts).toHaveLength(1);
    const code = /npx steward pair ([A-Z0-9]{8})$/.exec(texts()[0]!)![1]!;
    expect(texts()[0]).toContain(`\n${code}\n`);
    say('anybody there?');
    say('/status');
    await until(house.telegram.pending).toBe(0);
    expect(texts()).toHaveLength(1);
    expect(house.model.requests).toEqual([]);
    expect((await sessionsOf(house)).length).toBeLessThanOrEqual(1);

    const pair = (word: string) =>
      runSteward({
        home: house.steward.home,
        args: ['core/cli.ts', 'pair', word],
        env: { STEWARD_PORT: new URL(house.steward.url).port },
      });
    expect(await pair('AAAAAAAA')).toMatchObject({
      code: 1,
      output: expect.stringContaining('wrong, used or expired'),
    });
    expect(await pair(code)).toMatchObject({ code: 0, output: expect.stringContaining('is now paired as owner') });
    expect((await pair(code)).code).toBe(1);
  });

  test('an answer streams into one message and ends as the whole', async () => {
    const chunks = Array.from({ length: 40 }, (_, i) => `word${i} `);
    house.model.script(() => ({ content: [{ type: 'text', chunks: ['**Slowly:** ', ...chunks, 'the end.'] }] }));
    house.model.faults.next({ kind: 'slow', msPerChunk: 90 });
    const before = texts().length;
    say('tell me slowly');
    await until(() => texts().at(-1)).toMatch(/^Slowly: word0 .* …$/);
    await until(() => texts().at(-1)).toMatch(/the end\.$/);
    const [message] = house.telegram.chat(OWNER).slice(before);
    expect(texts()).toHaveLength(before + 1);
    expect(message!.text).toBe(`Slowly: ${chunks.join('')}the end.`);
    // A placeholder, and partial texts that only grow.
    const [placeholder, ...partial] = message!.history;
    expect(placeholder).toBe('…');
    expect(partial.length).toBeGreaterThanOrEqual(2);
    for (const [index, text] of partial.entries()) {
      const shown = text.replace(/ …$/, '');
      expect(message!.text.slice(0, shown.length)).toBe(shown);
      expect(shown.length).toBeGreaterThan(partial[index - 1]?.replace(/ …$/, '').length ?? 0);
    }
    expect(house.telegram.calls.map(({ method }) => method)).toContain('sendChatAction');
  });

  test('it is the conversation the console shows', async () => {
    house.model.script((request) => `You said: ${lastUserText(request).split('\n').at(-1)}`);
    const { main_session_id: main } = await house.api<{ main_session_id: string }>('/api/status');
    const events = await eventsOf(house, main);
    expect(events.filter(({ type }) => type === 'user.message').map(wordsOf)).toEqual(['tell me slowly']);
    expect(wordsOf(events.find(({ type }) => type === 'agent.message')!)).toMatch(/the end\.$/);
    // What is asked there is answered there, and does not spill into the chat.
    const before = texts().length;
    await house.api(`/v1/sessions/${main}/events`, 'POST', {
      events: [{ type: 'user.message', content: [{ type: 'text', text: 'from the console' }] }],
    });
    await until(async () => (await eventsOf(house, main)).map(wordsOf)).toContain('You said: from the console');
    say('from the phone');
    await until(() => texts().at(-1)).toBe('You said: from the phone');
    expect(texts()).toHaveLength(before + 1);
    expect((await sessionsOf(house)).filter((session) => session.main)).toHaveLength(1);
  });

  test('a long answer comes in several messages, in order and whole', async () => {
    const lines = Array.from({ length: 300 }, (_, i) => `const line_${i} = "${'x'.repeat(20)}";`);
    house.model.script(() => `Here:\n\n\`\`\`js\n${lines.join('\n')}\n\`\`\`\n\nThat is all.`);
    const before = texts().length;
    say('something long');
    await until(() => texts().at(-1)).toMatch(/That is all\.$/);
    const parts = house.telegram.chat(OWNER).slice(before);
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts) expect(part.raw).toContain('<pre><code class="language-js">');
    expect(parts.flatMap((part) => part.text.match(/line_\d+/g) ?? [])).toEqual(lines.map((_, i) => `line_${i}`));
    house.model.script((request) => `You said: ${lastUserText(request).split('\n').at(-1)}`);
  });

  test('/help, /status, /new', async () => {
    say('/help');
    await until(() => texts().at(-1)).toContain('/new – start a fresh conversation');
    say('/status');
    await until(() => texts().at(-1)).toMatch(
      /Steward is up\.[\s\S]*✓ database[\s\S]*channel telegram: @steward_test_bot/,
    );
    const main = async () => (await house.api<{ main_session_id: string }>('/api/status')).main_session_id;
    const old = await main();
    say('/new');
    await until(() => texts().at(-1)).toContain('A fresh conversation');
    expect(await main()).not.toBe(old);
    say('first words here');
    await until(() => texts().at(-1)).toBe('You said: first words here');
    const inNew = await eventsOf(house, await main());
    expect(inNew.filter(({ type }) => type === 'user.message').map(wordsOf)).toEqual(['first words here']);
  });

  test('/stop ends what is under way and keeps what was written', async () => {
    house.model.script(() => ({
      content: [{ type: 'text', chunks: Array.from({ length: 400 }, (_, i) => `part${i} `) }],
    }));
    house.model.faults.next({ kind: 'slow', msPerChunk: 60 });
    say('go on for ever');
    await until(() => texts().at(-1)).toMatch(/part3/);
    say('/stop');
    await until(() => texts().at(-1)).toMatch(/part3 [\s\S]*\(stopped\)$/);
    house.model.script((request) => `You said: ${lastUserText(request).split('\n').at(-1)}`);
    say('/stop');
    await until(() => texts().at(-1)).toBe('Nothing is running.');
  });

  describe('approvals', () => {
    let wanted: string;
    const card = () => house.telegram.chat(OWNER).findLast((message) => message.buttons.length > 0);
    const askFor = async (words: string) => {
      wanted = words;
      house.model.script((request): Scripted | string => {
        const results = toolResults(request);
        if (results.length > 0) return `Done: ${results[0]!.isError ? 'refused' : 'sent'}`;
        return {
          content: [{ type: 'tool_use', name: 'send_message', input: { to: `telegram:${GUEST}`, text: wanted } }],
        };
      });
      say(`please send ${words}`);
      await until(() => card()?.text).toContain(words);
      return card()!;
    };
    const data = (label: string) =>
      card()!
        .buttons.flat()
        .find((button) => button.text === label)!.callback_data;

    test('a press by another person is refused; by the owner it decides, once', async () => {
      await house.pair(GUEST, 'guest');
      const before = house.texts(GUEST).length;
      const asked = await askFor('greetings');
      const approve = data('Approve');
      house.telegram.press(OWNER, asked.id, approve, STRANGER);
      house.telegram.press(OWNER, asked.id, approve, GUEST);
      await until(() => house.telegram.toasts.map((toast) => toast.text)).toEqual([
        'Not yours to answer.',
        'Not yours to answer.',
      ]);
      expect(await approvals()).toHaveLength(1);
      house.telegram.press(OWNER, asked.id, approve);
      await until(() => house.texts(GUEST).slice(before)).toEqual(['greetings']);
      await until(() => texts().at(-1)).toBe('Done: sent');
      const closed = house.telegram.chat(OWNER).find((message) => message.id === asked.id)!;
      expect(closed).toMatchObject({ buttons: [], text: expect.stringContaining('Approved') });
      house.telegram.press(OWNER, asked.id, approve);
      await until(() => house.telegram.toasts.at(-1)?.text).toContain('already answered');
      expect(house.texts(GUEST).slice(before)).toEqual(['greetings']);
    });

    test('/deny with a reason, /approve, and nothing left', async () => {
      await askFor('first');
      say('/deny not today');
      await until(() => texts().at(-1)).toBe('Done: refused');
      await askFor('second');
      say('/approve');
      await until(() => house.texts(GUEST).at(-1)).toBe('second');
      await until(() => texts().at(-1)).toBe('Done: sent');
      expect(house.texts(GUEST)).not.toContain('first');
      say('/approve');
      await until(() => texts().at(-1)).toBe('Nothing waits for approval.');
    });

    test('neither a guest nor words that look like a command decide', async () => {
      await askFor('third');
      house.telegram.say(GUEST, '/approve');
      await until(() => house.texts(GUEST).at(-1)).toContain('Only the owner');
      house.model.script(() => '/approve');
      house.telegram.say(GUEST, 'say it');
      await until(() => house.texts(GUEST).at(-1)).toBe('/approve');
      expect(await approvals()).toHaveLength(1);
      say('/deny');
      await until(async () => (await approvals()).length).toBe(0);
      house.model.script((request) => `You said: ${lastUserText(request).split('\n').at(-1)}`);
    });
  });

  test('a group has a conversation of its own, holds words of others, and answers only whom it knows', async () => {
    const group = (text: string, userId: number) => house.telegram.say(GROUP, text, { userId });
    house.model.script((request) => `Group: ${lastUserText(request).split('\n').at(-1)}`);
    group('among ourselves', OWNER);
    group('@steward_test_bot who are you?', STRANGER);
    group('@steward_test_bot what time is it?', OWNER);
    await until(() => house.texts(GROUP)).toEqual(['Group: @steward_test_bot what time is it?']);
    group('/approve@steward_test_bot', OWNER);
    await until(() => house.texts(GROUP).at(-1)).toContain('in a private chat');
    await until(house.telegram.pending).toBe(0);
    const session = (await sessionsOf(house)).find(({ trust }) => trust === 'group')!;
    expect(session).toMatchObject({ main: false, tainted: true });
    const messages = (await eventsOf(house, session.id)).filter(({ type }) => type === 'user.message');
    expect(messages.map(wordsOf)).toEqual(['@steward_test_bot what time is it?']);
    expect(house.texts(GROUP)).toHaveLength(2);
    expect(house.texts(STRANGER)).toEqual([]);
    const main = (await sessionsOf(house)).find((entry) => entry.main)!;
    expect((await eventsOf(house, main.id)).map(wordsOf).join()).not.toContain('what time is it');
    house.model.script((request) => `You said: ${lastUserText(request).split('\n').at(-1)}`);
  });

  test('a chat that blocks the bot: the answer is given up, and the owner hears of it in another', async () => {
    await house.pair(PHONE);
    const outbox = async () => (await house.api<{ outbox: { dead: number; pending: number } }>('/api/status')).outbox;
    await until(outbox).toMatchObject({ dead: 0, pending: 0 });
    house.telegram.block(OWNER);
    const main = (await house.api<{ main_session_id: string }>('/api/status')).main_session_id;
    say('can you still reach me?');
    await until(() => house.texts(PHONE).at(-1)).toMatch(/telegram:7 could not be delivered: .*blocked/);
    const failed = (await eventsOf(house, main)).find(({ type }) => type === 'delivery.failed');
    expect(failed).toMatchObject({ channel: 'telegram', chat: '7', why: expect.stringContaining('blocked') });
    await until(outbox).toMatchObject({ dead: 1, pending: 0 });
    house.telegram.block(OWNER, false);
    say('and now?');
    await until(() => texts().at(-1)).toBe('You said: and now?');
  });

  test('whoever is unpaired while an answer is under way gets none of it, and the owner hears why', async () => {
    const { promise: unpaired, resolve: go } = Promise.withResolvers<void>();
    house.model.script(() => 'the code of the safe is nine four');
    const asked = house.model.requests.length;
    house.model.faults.next({ kind: 'hold', afterChunks: 0, until: unpaired });
    house.telegram.say(GUEST, 'what is the code?');
    await until(() => house.model.requests.length).toBe(asked + 1);
    await house.api(`/api/identities/telegram/${GUEST}`, 'DELETE');
    go();
    await until(() => texts().at(-1)).toMatch(/telegram:8 could not be delivered: this person is no longer paired/);
    expect(house.texts(GUEST).join()).not.toContain('nine four');
    house.model.script((request) => `You said: ${lastUserText(request).split('\n').at(-1)}`);
  });

  test('another program that polls the bot is named', async () => {
    await until(async () => {
      await fetch(`${house.telegram.url}/bot${house.telegram.token}/getUpdates`, { method: 'POST' });
      return channelOf(house);
    }).toMatchObject({ state: 'failing', detail: expect.stringContaining('Another program polls this bot') });
    // A watcher hears of it; the rest goes on.
    const ready = await fetch(`${house.steward.url}/readyz`, { headers: { 'x-api-key': house.steward.token } });
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ ready: true });
  });

  test('nothing that was written to the log holds the token', () => {
    expect(house.steward.output()).not.toContain(house.telegram.token);
    expect(house.steward.output()).not.toContain(house.telegram.token.split(':')[1]);
  });
});

describe('starting', () => {
  const talks = async (house: Household) => {
    await house.pair(OWNER);
    house.telegram.say(OWNER, 'well?');
    await until(() => house.texts(OWNER).at(-1)).toBe('You said: well?');
  };
  const echo = (house: Household) =>
    house.model.script((request) => `You said: ${lastUserText(request).split('\n').at(-1)}`);

  test('a wrong token is said, the rest works, and the right one is taken without a restart', async () => {
    const wrong = '999:a-wrong-token-of-the-right-length-00';
    const house = await household({ TELEGRAM_BOT_TOKEN: '' });
    onTestFinished(() => house.close());
    echo(house);
    expect(await channelOf(house)).toMatchObject({ state: 'off', detail: expect.stringContaining('@BotFather') });
    await house.api('/api/settings', 'PUT', { telegram_bot_token: wrong });
    await until(() => channelOf(house)).toMatchObject({
      state: 'failing',
      detail: expect.stringContaining('refuses the bot token'),
    });
    const { main_session_id: main } = await house.api<{ main_session_id: string }>('/api/status');
    await house.api(`/v1/sessions/${main}/events`, 'POST', {
      events: [{ type: 'user.message', content: [{ type: 'text', text: 'still here?' }] }],
    });
    await until(async () => (await eventsOf(house, main)).map(wordsOf)).toContain('You said: still here?');
    const { data } = await house.api<{ data: { key: string; set: boolean; value?: string }[] }>('/api/settings');
    expect(data.find(({ key }) => key === 'telegram_bot_token')).toMatchObject({ set: true });
    expect(JSON.stringify(data)).not.toContain(wrong);

    await house.api('/api/settings', 'PUT', { telegram_bot_token: house.telegram.token });
    await until(() => channelOf(house)).toMatchObject({ state: 'ok', detail: '@steward_test_bot' });
    await talks(house);
    await house.api('/api/settings', 'PUT', { telegram_bot_token: null });
    expect(await channelOf(house)).toMatchObject({ state: 'off' });
    expect(house.steward.output()).not.toContain(wrong);
  });

  test('Telegram may be away at the start and come later', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => gone.once('listening', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    const house = await household({ TELEGRAM_API_ROOT: `http://127.0.0.1:${port}` });
    onTestFinished(() => house.close());
    echo(house);
    await until(() => channelOf(house)).toMatchObject({
      state: 'failing',
      detail: expect.stringContaining('Telegram cannot be reached'),
    });
    const late = await startTelegram({ port });
    onTestFinished(() => late.close());
    await until(() => channelOf(house)).toMatchObject({ state: 'ok' });
    await talks({ ...house, telegram: late, texts: (chat) => late.chat(chat).map((message) => message.text) });
  });

  test('a kill in the middle of an answer leaves one message, and it is the whole', async () => {
    const house = await household();
    onTestFinished(() => house.close());
    await house.pair(OWNER);
    const chunks = Array.from({ length: 60 }, (_, i) => `word${i} `);
    house.model.script(() => ({ content: [{ type: 'text', chunks }] }));
    house.model.faults.next({ kind: 'slow', msPerChunk: 60 });
    const before = house.texts(OWNER).length;
    house.telegram.say(OWNER, 'tell me');
    await until(() => house.texts(OWNER).at(-1)).toMatch(/word3 .*…$/);
    await house.steward.kill();
    const { home } = house.steward;
    const env = {
      ANTHROPIC_API_KEY: KEY,
      ANTHROPIC_BASE_URL: house.model.url,
      TELEGRAM_BOT_TOKEN: house.telegram.token,
      TELEGRAM_API_ROOT: house.telegram.url,
    };
    const next = await startSteward({ home, env });
    onTestFinished(() => next.stop());
    await until(() => house.texts(OWNER).slice(before)).toEqual([chunks.join('').trim()]);
  });
});
