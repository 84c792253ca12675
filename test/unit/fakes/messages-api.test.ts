// The fake of the Messages API refuses what the real one refuses, accounts as it does and fails on demand: seen by the real SDK.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { lastUserText, type MessagesApi, startMessagesApi, toolResults } from '../../fakes/messages-api.ts';

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const MARK = { cache_control: { type: 'ephemeral' } };
const TOOL = { name: 'look', input_schema: { type: 'object' } };

let api: MessagesApi;
beforeAll(async () => {
  api = await startMessagesApi({ key: 'sk-right', models: ['claude-test'], contextTokens: 20_000 });
});
afterAll(() => api.close());
beforeEach(() => {
  api.faults.clear();
  api.requests.length = 0;
});

function client(options: ConstructorParameters<typeof Anthropic>[0] = {}): Anthropic {
  return new Anthropic({ baseURL: api.url, apiKey: 'sk-right', maxRetries: 0, logLevel: 'off', ...options });
}

type Body = Record<string, unknown>;
const user = (content: unknown) => ({ role: 'user', content });
const assistant = (content: unknown) => ({ role: 'assistant', content });
const call = (id: string, rest: Body = {}) => ({ type: 'tool_use', id, name: 'look', input: {}, ...rest });
const result = (id: string, rest: Body = {}) => ({ type: 'tool_result', tool_use_id: id, content: 'seen', ...rest });
const text = (said: string, rest: Body = {}) => ({ type: 'text', text: said, ...rest });

/** Sends a body the SDK's types may not allow. */
function send(body: Body, headers: Record<string, string | null> = {}, options = {}): Promise<Anthropic.Message> {
  const whole = { model: 'claude-test', max_tokens: 100, messages: [user('hello')], ...body };
  return client(options).messages.create(whole as unknown as Anthropic.MessageCreateParamsNonStreaming, { headers });
}

async function refusal(sent: Promise<unknown>): Promise<{ status: number | undefined; type: string; message: string }> {
  const error = await sent.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof Anthropic.APIError)) throw new Error(`was not refused: ${String(error)}`);
  const body = error.error as { type: string; error: { type: string; message: string }; request_id: string };
  expect(body.type).toBe('error');
  expect(body.request_id).toBe(error.requestID);
  return { status: error.status, ...body.error };
}

describe('refuses', () => {
  test('a missing or a wrong key', async () => {
    expect(await refusal(send({}, {}, { apiKey: '', defaultHeaders: { authorization: null } }))).toEqual({
      status: 401,
      type: 'authentication_error',
      message: 'x-api-key header is required',
    });
    const wrong = { status: 401, type: 'authentication_error', message: 'invalid x-api-key' };
    expect(await refusal(send({}, { authorization: null, 'x-api-key': 'sk-wrong' }))).toEqual(wrong);
    expect(await refusal(send({}, {}, { apiKey: null, authToken: 'sk-wrong' }))).toEqual({
      ...wrong,
      message: 'Invalid bearer token',
    });
    await send({}, { authorization: null, 'x-api-key': 'sk-right' });
  });

  test('a missing or an unknown version', async () => {
    const missing = await refusal(send({}, { 'anthropic-version': null }));
    expect(missing).toMatchObject({ status: 400, message: 'anthropic-version: header is required' });
    const unknown = await refusal(send({}, { 'anthropic-version': '2024-01-01' }));
    expect(unknown.message).toBe('anthropic-version: "2024-01-01" is not a valid version');
  });

  test('an unknown model and an unknown path', async () => {
    expect(await refusal(send({ model: 'claude-other' }))).toEqual({
      status: 404,
      type: 'not_found_error',
      message: 'model: claude-other',
    });
    expect((await refusal(client().get('/v1/nothing'))).status).toBe(404);
  });

  test('a body above 32 MB', async () => {
    const big = await refusal(send({ messages: [user('x'.repeat(32 * 1024 * 1024))] }));
    expect(big).toEqual({ status: 413, type: 'request_too_large', message: 'Request exceeds the maximum size' });
  });

  test('what is not JSON', async () => {
    const headers = { authorization: 'Bearer sk-right', 'anthropic-version': '2026-10-21' };
    const answer = await fetch(`${api.url}/v1/messages`, { method: 'POST', headers, body: '{' });
    expect(answer.status).toBe(400);
  });

  const bodies: [what: string, body: Body, message: string | RegExp][] = [
    ['half an emoji', { messages: [user('cut \ud83d')] }, /not valid JSON: no low surrogate in string/],
    ['no max_tokens', { max_tokens: undefined }, 'max_tokens: Field required'],
    ['a max_tokens of zero', { max_tokens: 0 }, 'max_tokens: must be greater than or equal to 1'],
    ['no model', { model: undefined }, 'model: Field required'],
    ['no messages', { messages: undefined }, 'messages: Field required'],
    ['an unknown field', { thread: {} }, 'thread: Extra inputs are not permitted'],
    ['temperature', { temperature: 1 }, 'temperature: Extra inputs are not permitted'],
    ['top_p', { top_p: 1 }, 'top_p: Extra inputs are not permitted'],
    ['top_k', { top_k: 1 }, 'top_k: Extra inputs are not permitted'],
    ['an empty list of messages', { messages: [] }, 'messages: at least one message is required'],
    [
      'a first message of the assistant',
      { messages: [assistant('hi'), user('x')] },
      'messages: first message must use the "user" role',
    ],
    ['an unknown role', { messages: [user('x'), { role: 'tool', content: 'x' }] }, /Unexpected role "tool"/],
    ['a system role', { messages: [user('x'), { role: 'system', content: 'x' }] }, /top-level `system` parameter/],
    ['an empty message', { messages: [user([])] }, 'messages.0: user messages must have non-empty content'],
    ['an empty string', { messages: [user('')] }, 'messages.0: user messages must have non-empty content'],
    ['an empty text', { messages: [user([text('')])] }, 'messages: text content blocks must be non-empty'],
    [
      'a blank text',
      { messages: [user([text(' \n')])] },
      'messages: text content blocks must contain non-whitespace text',
    ],
    ['an empty system text', { system: [text('')] }, 'system: text content blocks must be non-empty'],
    [
      'an empty text in a tool result',
      { messages: [user('x'), assistant([call('a')]), user([result('a', { content: [text('')] })])] },
      'messages: text content blocks must be non-empty',
    ],
    [
      'a prefilled answer',
      { messages: [user('x'), assistant('The answer is')] },
      'This model does not support assistant message prefill. The conversation must end with a user message.',
    ],
    [
      'an unanswered tool call',
      { messages: [user('x'), assistant([call('a'), call('b')]), user([result('a')])] },
      'messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: b. Each `tool_use` block must have a corresponding `tool_result` block in the next message.',
    ],
    [
      'a tool call answered too late',
      { messages: [user('x'), assistant([call('a')]), user('wait'), user([result('a')])] },
      /^messages\.1: `tool_use` ids were found without `tool_result` blocks immediately after: a\./,
    ],
    [
      'a text before the tool results',
      { messages: [user('x'), assistant([call('a')]), user([text('here'), result('a')])] },
      /^messages\.1: `tool_use` ids were found without `tool_result` blocks immediately after: a\./,
    ],
    [
      'a last message of open tool calls',
      { messages: [user('x'), assistant([call('a')])] },
      /^messages\.1: `tool_use` ids/,
    ],
    [
      'a result without a call',
      { messages: [user([result('a')])] },
      'messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: a. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.',
    ],
    [
      'two results for one call',
      { messages: [user('x'), assistant([call('a')]), user([result('a'), result('a')])] },
      /each tool_use must have a single result/,
    ],
    [
      'a call id used twice',
      {
        messages: [user('x'), assistant([call('a')]), user([result('a')]), assistant([call('a')]), user([result('a')])],
      },
      'messages.3.content.0: `tool_use` ids must be unique',
    ],
    [
      'a call id of other characters',
      { messages: [user('x'), assistant([call('a:b')]), user([result('a:b')])] },
      "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ],
    [
      'a call of a tool name of other characters',
      { messages: [user('x'), assistant([call('a', { name: 'a b' })]), user([result('a')])] },
      /^messages\.1\.content\.0\.tool_use\.name: String should match pattern/,
    ],
    [
      'a call without arguments',
      { messages: [user('x'), assistant([call('a', { input: 'now' })]), user([result('a')])] },
      'messages.1.content.0.tool_use.input: Input should be a valid dictionary',
    ],
    [
      'an error that says nothing',
      { messages: [user('x'), assistant([call('a')]), user([result('a', { content: [], is_error: true })])] },
      /content cannot be empty if `is_error` is true/,
    ],
    [
      'a call by the user',
      { messages: [user([call('a')])] },
      'messages.0: `tool_use` blocks can only be in `assistant` messages',
    ],
    [
      'a result by the assistant',
      { messages: [user('x'), assistant([result('a')])] },
      /`tool_result` blocks can only be in `user` messages/,
    ],
    ['an unknown block', { messages: [user([{ type: 'song' }])] }, /^messages\.0\.content\.0: Input tag 'song' found/],
    [
      'an unknown field in a block',
      { messages: [user([text('x', { raw: 1 })])] },
      'messages.0.content.0.text.raw: Extra inputs are not permitted',
    ],
    [
      'a tool name with a dot',
      { tools: [{ ...TOOL, name: 'a.b' }] },
      "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ],
    [
      'a tool name of 129 characters',
      { tools: [{ ...TOOL, name: 'a'.repeat(129) }] },
      'tools.0.custom.name: String should have at most 128 characters',
    ],
    ['two tools of one name', { tools: [TOOL, TOOL] }, 'tools: Tool names must be unique.'],
    ['a tool without a schema', { tools: [{ name: 'look' }] }, 'tools.0.custom.input_schema: Field required'],
    [
      'a tool whose schema is no object',
      { tools: [{ ...TOOL, input_schema: { type: 'string' } }] },
      "tools.0.custom.input_schema.type: Input should be 'object'",
    ],
    [
      'five cache marks',
      {
        tools: [{ ...TOOL, ...MARK }],
        system: [text('s', MARK)],
        messages: [user([text('a', MARK), text('b', MARK), text('c', MARK)])],
      },
      'A maximum of 4 blocks with cache_control may be provided. Found 5.',
    ],
    [
      'a cache mark of another kind',
      { messages: [user([text('a', { cache_control: { type: 'for ever' } })])] },
      /cache_control\.type: Input should be 'ephemeral'/,
    ],
    [
      'a cache mark on thinking',
      {
        messages: [user('x'), assistant([{ type: 'thinking', thinking: 'hm', signature: 'own', ...MARK }]), user('y')],
      },
      'messages.1.content.0.thinking.cache_control: Extra inputs are not permitted',
    ],
    [
      'an image of another type',
      { messages: [user([{ type: 'image', source: { type: 'base64', media_type: 'image/bmp', data: PNG } }])] },
      "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
    ],
    [
      'an image that is not what it says',
      { messages: [user([{ type: 'image', source: { type: 'base64', media_type: 'image/jpeg', data: PNG } }])] },
      /Image does not match the provided media type image\/jpeg/,
    ],
    [
      'an image that is not base64',
      { messages: [user([{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'no!' } }])] },
      /invalid base64 data/,
    ],
    [
      'thinking without a signature',
      { messages: [user('x'), assistant([{ type: 'thinking', thinking: 'hm' }]), user('y')] },
      'messages.1.content.0.thinking.signature: Field required',
    ],
    [
      'a prompt longer than the context',
      { messages: [user('x '.repeat(50_000))] },
      /^prompt is too long: \d+ tokens > 20000 maximum$/,
    ],
  ];
  test.each(bodies)('%s', async (_what, body, message) => {
    const refused = await refusal(send(body));
    expect(refused).toMatchObject({ status: 400, type: 'invalid_request_error' });
    if (typeof message === 'string') expect(refused.message).toBe(message);
    else expect(refused.message).toMatch(message);
    expect(api.requests.at(-1)).toMatchObject({ status: 400, refused: refused.message });
  });

  test('thinking that was altered', async () => {
    api.script(() => ({
      content: [
        { type: 'thinking', thinking: 'as it was' },
        { type: 'text', text: 'ok' },
      ],
    }));
    const { content } = await send({});
    const again = (blocks: unknown) => send({ messages: [user('x'), assistant(blocks), user('y')] });
    await again(content);
    const altered = content.map((block) => (block.type === 'thinking' ? { ...block, thinking: 'not so' } : block));
    expect((await refusal(again(altered))).message).toBe(
      'messages.1.content.0: Invalid `signature` in `thinking` block',
    );
  });
});

describe('accepts', () => {
  test('sampling parameters under the old version', async () => {
    await send({ temperature: 1 }, { 'anthropic-version': '2023-06-01' });
  });

  test('a whole conversation', async () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } };
    await send({
      system: [text('Be kind.', MARK)],
      tools: [TOOL, { ...TOOL, name: 'listen', ...MARK }],
      messages: [
        user('x'),
        user('and another'),
        assistant([{ type: 'redacted_thinking', data: 'abc' }, text('I look.'), call('a'), call('b')]),
        user([result('b', { content: [text('seen'), image] }), result('a', { content: [] }), text('well?', MARK)]),
        assistant('Yes.'),
        user([text('A backslash is no half emoji: \\ud83d. A whole one: 😀'), { ...image, ...MARK }]),
      ],
    });
    expect(api.requests.at(-1)).toMatchObject({ status: 200, refused: null });
  });
});

describe('answers', () => {
  test('with an echo when nothing is scripted', async () => {
    const other = await startMessagesApi();
    const message = await client({ baseURL: other.url, apiKey: 'any' }).messages.create({
      model: 'any',
      max_tokens: 10,
      messages: [{ role: 'user', content: 'good morning' }],
    });
    await other.close();
    expect(message.content).toEqual([{ type: 'text', text: 'You said: good morning' }]);
    expect(message.stop_reason).toBe('end_turn');
  });

  test('the same thing whole and as a stream', async () => {
    api.script((request) => ({
      content: [
        { type: 'thinking', thinking: 'Let me see. It is a longer thought.', signature: 'own' },
        { type: 'redacted_thinking', data: 'zzz' },
        { type: 'text', text: `You want: ${lastUserText(request)}` },
        { type: 'tool_use', id: 'call_1', name: 'look', input: { where: 'up', deep: [1, { a: '😀' }] } },
      ],
      usage: { output_tokens: 77 },
    }));
    const whole = await send({ messages: [user('to look up')] });
    const body = {
      model: 'claude-test',
      max_tokens: 100,
      messages: [{ role: 'user' as const, content: 'to look up' }],
    };
    const streamed = await client().messages.stream(body).finalMessage();
    expect({ ...streamed, id: '' }).toMatchObject({ ...whole, id: '' });
    expect(whole.stop_reason).toBe('tool_use');
    expect(whole.usage.output_tokens).toBe(77);
  });

  test('with the events of a real stream', async () => {
    api.script(() => ({ content: [{ type: 'text', chunks: ['one ', 'two'] }] }));
    const stream = await fetch(`${api.url}/v1/messages`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-right', 'anthropic-version': '2026-10-21' },
      body: JSON.stringify({ model: 'claude-test', max_tokens: 9, stream: true, messages: [user('x')] }),
    });
    expect(stream.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect([...(await stream.text()).matchAll(/^event: (.+)$/gm)].map(([, type]) => type)).toEqual([
      'message_start',
      'ping',
      'content_block_start',
      'content_block_delta',
      'content_block_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ]);
  });

  test('with invalid tool JSON, ids used twice, and nothing', async () => {
    const deltas = async () => {
      const events = await client().messages.create({
        model: 'claude-test',
        max_tokens: 9,
        stream: true,
        messages: [{ role: 'user', content: 'x' }],
      });
      const seen: string[] = [];
      for await (const event of events) {
        if (event.type === 'content_block_start' && event.content_block.type === 'tool_use')
          seen.push(event.content_block.id);
        if (event.type === 'content_block_delta' && event.delta.type === 'input_json_delta')
          seen.push(event.delta.partial_json);
      }
      return seen.join('');
    };
    api.script(() => ({ content: [{ type: 'tool_use', id: 'same', name: 'look', raw: '{"where": ' }] }));
    expect(await deltas()).toBe('same{"where": ');
    expect(await deltas()).toBe('same{"where": ');
    api.script(() => ({ content: [] }));
    expect(await deltas()).toBe('');
    expect((await send({})).content).toEqual([]);
  });

  test('from what its brain reads of the request', async () => {
    api.script((request) =>
      toolResults(request)
        .map(({ id, text: said, isError }) => `${id}:${said}:${isError}`)
        .join(),
    );
    const messages = [
      user('x'),
      assistant([call('a'), call('b')]),
      user([result('a'), result('b', { is_error: true })]),
    ];
    expect((await send({ messages })).content).toEqual([{ type: 'text', text: 'a:seen:false,b:seen:true' }]);
  });
});

describe('accounts', () => {
  test('writes a marked prefix, reads it again, and counts what follows in full', async () => {
    const long = 'word '.repeat(2_000);
    const usage = async (system: string, said: string) =>
      (await send({ system: [text(system, MARK)], messages: [user(said)] })).usage;
    const first = await usage(long, 'one');
    expect(first.cache_creation_input_tokens).toBeGreaterThan(2_000);
    expect(first.cache_read_input_tokens).toBe(0);
    expect(first.input_tokens).toBeGreaterThan(0);
    const second = await usage(long, 'something else');
    expect(second.cache_read_input_tokens).toBe(first.cache_creation_input_tokens);
    expect(second.cache_creation_input_tokens).toBe(0);
    const changed = await usage(`${long}!`, 'one');
    expect(changed.cache_read_input_tokens).toBe(0);
  });

  test('finds the prefix of the request before when a conversation grows', async () => {
    const turns = [user([text('a '.repeat(4_000), MARK)])];
    const first = (await send({ messages: turns })).usage;
    const grown = [user([text('a '.repeat(4_000))]), assistant('b'), user([text('c', MARK)])];
    const second = (await send({ messages: grown })).usage;
    expect(second.cache_read_input_tokens).toBe(first.cache_creation_input_tokens);
    expect(second.cache_creation_input_tokens).toBeGreaterThan(0);
  });

  test('does not cache a short prefix', async () => {
    const { usage } = await send({ system: [text('short', MARK)] });
    expect(usage).toMatchObject({ cache_creation_input_tokens: 0, cache_read_input_tokens: 0 });
  });

  test('counts tokens without a max_tokens', async () => {
    const { input_tokens } = await client().messages.countTokens({
      model: 'claude-test',
      messages: [{ role: 'user', content: 'x'.repeat(400) }],
    });
    expect(input_tokens).toBeGreaterThan(100);
    expect(input_tokens).toBeLessThan(150);
  });
});

describe('fails on demand', () => {
  test.each([400, 401, 402, 403, 404, 413, 429, 500, 503, 529])('with %i, once', async (status) => {
    api.faults.next({ kind: 'status', status, retryAfter: 7 });
    const error = await send({}).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ status, error: { type: 'error' } });
    expect((error as InstanceType<typeof Anthropic.APIError>).headers?.get('retry-after')).toBe('7');
    await send({});
  });

  test('until it is told to stop, one of its own first', async () => {
    api.faults.stick({ kind: 'status', status: 529 });
    api.faults.next({ kind: 'none' }, { kind: 'status', status: 500 });
    await send({});
    const statuses = [];
    for (let round = 0; round < 3; round += 1) statuses.push((await refusal(send({}))).status);
    expect(statuses).toEqual([500, 529, 529]);
    api.faults.stick(null);
    await send({});
  });

  test('by closing the connection', async () => {
    api.faults.next({ kind: 'drop' });
    await expect(send({})).rejects.toThrow(Anthropic.APIConnectionError);
    expect(api.requests.at(-1)).toMatchObject({ fault: 'drop', raw: '', status: 0 });
  });
});

test('runs as a process of its own and is driven over HTTP', async () => {
  const child = spawn(process.execPath, ['test/fakes/messages-api.ts', '--port', '0', '--key', 'sk-own']);
  try {
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const { url } = JSON.parse(line) as { url: string };
    const own = client({ baseURL: url, apiKey: 'sk-own' });
    const ask = () => own.messages.create({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] });
    const drive = async (order: unknown) =>
      (await fetch(`${url}/__fake/faults`, { method: 'POST', body: JSON.stringify(order) })).json();

    expect(await drive({ next: [{ kind: 'status', status: 500 }], sticky: { kind: 'status', status: 529 } })).toEqual({
      next: [{ kind: 'status', status: 500 }],
      sticky: { kind: 'status', status: 529 },
    });
    await expect(ask()).rejects.toMatchObject({ status: 500 });
    await expect(ask()).rejects.toMatchObject({ status: 529 });
    expect(await drive({ clear: true })).toEqual({ next: [], sticky: null });
    await ask();
    const { data } = (await (await fetch(`${url}/__fake/requests`)).json()) as {
      data: { status: number; body: object }[];
    };
    expect(data.map(({ status }) => status)).toEqual([500, 529, 200]);
    expect(data[2]?.body).toMatchObject({ messages: [{ role: 'user', content: 'hi' }] });
  } finally {
    child.kill('SIGTERM');
  }
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(0);
});

test('says so when its port is taken', async () => {
  const port = new URL(api.url).port;
  const failed = await new Promise<unknown>((resolve) =>
    execFile(process.execPath, ['test/fakes/messages-api.ts', '--port', port], (error) => resolve(error)),
  );
  expect(String(failed)).toContain('EADDRINUSE');
});
