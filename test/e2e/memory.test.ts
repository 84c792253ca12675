// Memory from the outside: what was said comes back in other conversations and on other channels, to nobody else, and goes for good.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { lastUserText, type MessagesRequest, startMessagesApi, toolResults } from '../fakes/messages-api.ts';
import { type FakeTelegram, startTelegram } from '../fakes/telegram.ts';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import { until } from '../helpers/rig.ts';
import { ask, call, eventsOf, newSession, request } from '../helpers/talk.ts';

const KEY = 'sk-memory-0123456789abcdef';
const OWNER = 7;
const GUEST = 8;
const GROUP = -100;

/** `call name {json}` calls a tool; its result, and anything else, is repeated. A consolidation finds nothing to keep. */
function brain(incoming: MessagesRequest) {
  if ((incoming.tools ?? []).length === 0) return '{"op":"noop"}';
  const [result] = toolResults(incoming);
  const spoken = (incoming.messages.at(-1)!.content as { type: string }[]).some((block) => block.type === 'text');
  if (result && !spoken) return 'Done.';
  const text = lastUserText(incoming);
  const [, name, json] = /^call (\S+) (.+)$/s.exec(text) ?? [];
  return name ? { content: [{ type: 'tool_use' as const, name, raw: json! }] } : 'I see.';
}

async function open(env: Record<string, string> = {}) {
  const model = await startMessagesApi({ key: KEY, handler: brain });
  onTestFinished(() => model.close());
  const settings = { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: model.url, STEWARD_BUDGET_DAY_USD: '1000', ...env };
  const house = {
    model,
    steward: await startSteward({ env: settings }),
    again: async () => {
      house.steward = await startSteward({ home: house.steward.home, env: settings });
    },
    /** The newest request of a conversation to the model. */
    asked: () => model.requests.map(({ body }) => body as MessagesRequest).findLast((body) => body.tools?.length)!,
  };
  onTestFinished(() => house.steward.stop());
  return house;
}

const systemOf = (incoming: MessagesRequest): string => JSON.stringify(incoming.system);
const tool = (name: string, input: object): string => `call ${name} ${JSON.stringify(input)}`;
const lastResult = async (steward: StewardProcess, id: string): Promise<string> => {
  const result = (await eventsOf(steward, id)).findLast((event) => event.type === 'agent.tool_result');
  return (result?.content ?? []).map((block) => block.text ?? '').join('\n');
};
const waitForText = (what: string, look: () => string, text: string) =>
  expect.poll(look, { timeout: 10_000, interval: 20, message: what }).toContain(text);

/** Every file of a data folder that holds these words. */
const holding = (home: string, words: string): string[] =>
  readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.log'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(words));

async function pair(steward: StewardProcess, telegram: FakeTelegram, chat: number, role: string): Promise<void> {
  telegram.say(chat, 'hi');
  const code = await until(`the pairing of ${chat}`, async () => {
    const { data } = await call<{ data: { code: string; user_id: string }[] }>(steward, '/api/pairings');
    return data.find(({ user_id }) => user_id === String(chat))?.code ?? null;
  });
  await call(steward, `/api/pairings/${code}/approve`, { role });
}

it('lays what was said elsewhere beside a question, once and for all, and the log tells of it', async () => {
  const house = await open();
  const { steward } = house;
  await ask(steward, await newSession(steward), 'The spare key for the cellar is with Marta Lindqvist.');
  await steward.kill('SIGKILL');
  await house.again();

  const id = await newSession(house.steward);
  await ask(house.steward, id, 'Who has the spare key for the cellar?');
  const first = JSON.stringify(house.asked().messages);
  expect(first).toMatch(/<memory[^>]*>.*Marta Lindqvist.*<\/memory>.*Who has the spare key/s);
  const events = await eventsOf(house.steward, id);
  const recalled = events.find((event) => event.type === 'memory.recalled')!;
  expect(recalled.ids).toHaveLength(1);
  expect((recalled.for as string[])[0]).toBe(events.find((event) => event.type === 'user.message')!.id);

  // The next request begins with the same bytes, and what stands in the context is not found again.
  await ask(house.steward, id, 'And who is Marta Lindqvist, the one with the spare key?');
  const later = house.asked().messages;
  expect(JSON.stringify(later[0]!.content)).toContain('Marta Lindqvist');
  const texts = (message: unknown) => JSON.stringify(message).replaceAll(/,"cache_control":\{[^}]*\}/g, '');
  expect(texts(later[0])).toBe(texts((JSON.parse(first) as unknown[])[0]));
  expect((await eventsOf(house.steward, id)).filter((event) => event.type === 'memory.recalled')).toHaveLength(1);
});

it('keeps what is saved in every later prompt, replaces it by a newer value, and shows why', async () => {
  const { steward, asked } = await open();
  const first = await newSession(steward);
  await ask(steward, first, 'I moved to Lisbon last week.');
  await ask(steward, first, tool('memory_save', { text: 'The owner lives in Lisbon', subject: 'owner', slot: 'city' }));
  const second = await newSession(steward);
  await ask(steward, second, 'hello');
  expect(systemOf(asked())).toContain('The owner lives in Lisbon');
  await ask(steward, second, 'I have moved to Porto now.');
  await ask(steward, second, tool('memory_save', { text: 'The owner lives in Porto', subject: 'owner', slot: 'city' }));
  await ask(steward, await newSession(steward), 'hello again');
  expect(systemOf(asked())).toContain('The owner lives in Porto');
  expect(systemOf(asked())).not.toContain('Lisbon');

  const { data } = await call<{ data: { id: string; text: string }[] }>(steward, '/api/memory?subject=owner');
  const porto = data.find(({ text }) => text.includes('Porto'))!;
  const shown = await call<{ history: { text: string }[]; sources: { session_id: string }[] }>(
    steward,
    `/api/memory/items/${porto.id}`,
  );
  expect(shown.history.map(({ text }) => text)).toEqual(['The owner lives in Lisbon', 'The owner lives in Porto']);
  expect(shown.sources[0]!.session_id).toBe(second);
});

it('says plainly that nothing was found', async () => {
  const { steward } = await open();
  const id = await newSession(steward);
  await ask(steward, id, 'The boiler was serviced by Hartmann in spring.');
  await ask(steward, id, tool('memory_search', { query: 'passport number of Aunt Ottilie' }));
  expect(await lastResult(steward, id)).toMatch(/^Nothing/);
});

it('forgets for good: not a byte is left in the data folder', async () => {
  const house = await open();
  const id = await newSession(house.steward);
  await ask(house.steward, id, 'Please note: the alarm phrase is purple-walrus-seventeen.');
  await ask(house.steward, id, tool('memory_save', { text: 'The alarm phrase is purple-walrus-seventeen' }));
  await ask(house.steward, await newSession(house.steward), 'what is the alarm phrase?');
  expect(holding(house.steward.home, 'purple-walrus-seventeen')).not.toEqual([]);
  const { data } = await call<{ data: { id: string; text: string }[] }>(house.steward, '/api/memory');
  const item = data.find(({ text }) => text.includes('purple-walrus'))!;
  await call(house.steward, `/api/memory/items/${item.id}?sources=true`, undefined, 'DELETE');
  expect(holding(house.steward.home, 'purple-walrus-seventeen')).toEqual([]);
  await ask(house.steward, await newSession(house.steward), 'what is the alarm phrase?');
  expect(JSON.stringify(house.asked())).not.toContain('purple-walrus');
  await house.steward.kill('SIGTERM');
  expect(holding(house.steward.home, 'purple-walrus-seventeen')).toEqual([]);
  await house.again();
  expect((await request(house.steward, `/api/memory/items/${item.id}`)).status).toBe(404);
});

it('tells groups and guests nothing of the owner, and the owner what they said', async () => {
  const telegram = await startTelegram();
  onTestFinished(() => telegram.close());
  const house = await open({ TELEGRAM_BOT_TOKEN: telegram.token, TELEGRAM_API_ROOT: telegram.url });
  const { steward, asked } = house;
  await pair(steward, telegram, OWNER, 'owner');
  await pair(steward, telegram, GUEST, 'guest');
  const main = (await call<{ main_session_id: string }>(steward, '/api/status')).main_session_id;
  await ask(steward, main, 'My blood pressure medicine is called Ramipril.');
  await ask(steward, main, tool('memory_save', { text: 'The blood pressure medicine is Ramipril' }));

  telegram.say(GUEST, 'which blood pressure medicine is it?');
  await waitForText(
    'the guest is answered',
    () =>
      telegram
        .chat(GUEST)
        .map(({ text }) => text)
        .join('\n'),
    'I see.',
  );
  expect(JSON.stringify(asked())).toContain('which blood pressure medicine');
  expect(JSON.stringify(asked())).not.toContain('Ramipril');

  telegram.say(GROUP, `@${telegram.username} which blood pressure medicine is it, everybody?`, {
    userId: OWNER,
    chatType: 'supergroup',
  });
  await waitForText(
    'the group is answered',
    () =>
      telegram
        .chat(GROUP)
        .map(({ text }) => text)
        .join('\n'),
    'I see.',
  );
  expect(JSON.stringify(asked())).toContain('everybody?');
  expect(JSON.stringify(asked())).not.toContain('Ramipril');

  // The owner, on another channel: the same memory.
  telegram.say(OWNER, 'which blood pressure medicine is mine?');
  await waitForText('the owner is answered', () => JSON.stringify(asked()), 'medicine is mine?');
  expect(JSON.stringify(asked())).toContain('Ramipril');
});

it('leaves nothing of an incognito conversation', async () => {
  const { steward, asked } = await open();
  const { session_id: secret } = await call<{ session_id: string }>(steward, '/api/main/new', { incognito: true });
  await ask(steward, secret, 'I am planning a surprise party at the old lighthouse.');
  await ask(steward, secret, tool('memory_save', { text: 'There is a surprise party at the old lighthouse' }));
  expect(await lastResult(steward, secret)).toMatch(/incognito/);
  const { session_id: next } = await call<{ session_id: string }>(steward, '/api/main/new', {});
  await ask(steward, next, 'where is the surprise party?');
  expect(JSON.stringify(asked())).not.toContain('lighthouse');
  await expect
    .poll(async () => (await request(steward, `/v1/sessions/${secret}`)).status, { timeout: 15_000, interval: 100 })
    .toBe(404);
  expect(holding(steward.home, 'old lighthouse')).toEqual([]);
});

it('is switched off and on again from a phone', async () => {
  const telegram = await startTelegram();
  onTestFinished(() => telegram.close());
  const { steward, asked } = await open({ TELEGRAM_BOT_TOKEN: telegram.token, TELEGRAM_API_ROOT: telegram.url });
  await pair(steward, telegram, OWNER, 'owner');
  const stands = () =>
    telegram
      .chat(OWNER)
      .map(({ text }) => text)
      .join('\n');
  const say = async (text: string) => {
    telegram.say(OWNER, text);
    await waitForText('the message reaches the model', () => JSON.stringify(asked() ?? ''), text);
  };
  telegram.say(OWNER, '/incognito');
  await waitForText('incognito is confirmed', stands, 'nothing is kept');
  await say('The surprise is a trip to Reykjavik.');
  telegram.say(OWNER, '/new');
  await waitForText('the end is confirmed', stands, 'A fresh conversation');
  await say('What trip is the surprise?');
  expect(JSON.stringify(asked())).not.toContain('Reykjavik');
  await expect.poll(() => holding(steward.home, 'Reykjavik'), { timeout: 15_000, interval: 100 }).toEqual([]);
});
