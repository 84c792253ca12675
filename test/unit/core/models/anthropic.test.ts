// The anthropic provider over the real SDK and a real wire: what it sends, how it puts the answer together.
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AnthropicOptions, createAnthropic } from '../../../../core/models/anthropic.ts';
import type { ModelSource } from '../../../../core/models/watchdog.ts';
import type { ModelMessage } from '../../../../core/types.ts';
import { type MessagesApi, type ScriptedBlock, startMessagesApi } from '../../../fakes/messages-api.ts';
import { ask, collect, done, tool } from './collect.ts';

let api: MessagesApi;
beforeAll(async () => {
  api = await startMessagesApi({ key: 'sk-right' });
});
afterAll(() => api.close());
beforeEach(() => {
  api.requests.length = 0;
});

function provider(options: Partial<AnthropicOptions> = {}): ModelSource {
  return createAnthropic({ baseURL: api.url, apiKey: 'sk-right', timings: { totalMs: 5_000 }, ...options });
}

const say = (...content: ScriptedBlock[]) => api.script(() => ({ content }));
const user = (text: string): ModelMessage => ({ role: 'user', content: [{ type: 'text', text }] });
const assistant = (text: string): ModelMessage => ({ role: 'assistant', content: [{ type: 'text', text }] });
const lastBody = () => api.requests.at(-1)?.body as Record<string, unknown>;

describe('an answer', () => {
  test('streams its text and ends with blocks, reason and usage', async () => {
    say({ type: 'text', chunks: ['Good ', 'morning', '!'] });
    const { events, text, outcome } = await collect(provider(), ask('hello'));
    expect(events.filter((event) => event.type === 'delta')).toHaveLength(3);
    expect(text).toBe('Good morning!');
    const { blocks, stopReason, usage } = done(outcome);
    expect(blocks).toEqual([{ type: 'text', text: 'Good morning!' }]);
    expect(stopReason).toBe('end_turn');
    expect(usage.input_tokens).toBeGreaterThan(0);
    expect(usage.output_tokens).toBeGreaterThan(1);
  });

  test('keeps thinking with its signature, redacted thinking, and the order of blocks', async () => {
    say(
      { type: 'thinking', thinking: 'Let me think about it.', signature: 'signed' },
      { type: 'redacted_thinking', data: 'hidden' },
      { type: 'text', text: 'I will look.' },
      { type: 'tool_use', name: 'look', input: { where: 'up', deep: [1, { half: 0.5 }] } },
      { type: 'tool_use', name: 'look', input: {} },
    );
    const { events, text, outcome } = await collect(provider(), ask('hello', { tools: [tool('look')] }));
    expect(text).toBe('I will look.');
    expect(events.filter((event) => event.type === 'thinking')).toHaveLength(2);
    expect(done(outcome)).toMatchObject({ kind: 'done', stopReason: 'tool_use' });
    expect(done(outcome).blocks).toEqual([
      { type: 'thinking', thinking: 'Let me think about it.', signature: 'signed' },
      { type: 'redacted_thinking', data: 'hidden' },
      { type: 'text', text: 'I will look.' },
      { type: 'tool_use', name: 'look', input: { where: 'up', deep: [1, { half: 0.5 }] } },
      { type: 'tool_use', name: 'look', input: {} },
    ]);
  });

  test.each(['{"where": ', '[1]', '"up"', 'null', 'up'])('hands over the tool JSON %s as it came', async (raw) => {
    say({ type: 'tool_use', name: 'look', raw });
    const { outcome } = await collect(provider(), ask('hello'));
    expect(done(outcome).blocks).toEqual([{ type: 'tool_use', name: 'look', input: null, raw }]);
  });

  test('may be empty', async () => {
    say();
    expect(done((await collect(provider(), ask('hello'))).outcome)).toMatchObject({
      blocks: [],
      stopReason: 'end_turn',
    });
  });

  test('that was cut at max_tokens says so', async () => {
    api.script(() => ({ content: [{ type: 'text', text: 'and' }], stop_reason: 'max_tokens' }));
    expect(done((await collect(provider(), ask('hello'))).outcome).stopReason).toBe('max_tokens');
  });

  test('tells the prompt it is billed for before the text', async () => {
    say({ type: 'text', text: 'hi' });
    const { events } = await collect(provider(), ask('hello'));
    expect(events[0]).toMatchObject({ type: 'progress', usage: { input_tokens: expect.any(Number) } });
  });

  test('is a sign of life at every step, also where there is nothing to show', async () => {
    say({ type: 'tool_use', name: 'write', input: { text: 'x'.repeat(1_000) } });
    const { events } = await collect(provider(), ask('hello'));
    const bytes = events.reduce((sum, event) => sum + (event.type === 'progress' ? (event.bytes ?? 0) : 0), 0);
    expect(events.length).toBeGreaterThan(50);
    expect(bytes).toBe(JSON.stringify({ text: 'x'.repeat(1_000) }).length);
  });

  test('is the text that was sent, however the wire cuts it', async () => {
    const cut = (sizes: number[]) =>
      async function (this: unknown, ...sent: Parameters<typeof fetch>) {
        const response = await fetch(...sent);
        return new Response(response.body && inPieces(response.body, sizes), response);
      };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { maxLength: 6 }),
        fc.array(fc.nat(40), { maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
        async (texts, splits, sizes) => {
          api.script(() => ({ content: texts.map((text) => ({ type: 'text', chunks: splitAt(text, splits) })) }));
          const { text, outcome } = await collect(provider({ fetch: cut(sizes) as typeof fetch }), ask('go'));
          expect(text).toBe(texts.join(''));
          expect(done(outcome).blocks).toEqual(texts.map((sent) => ({ type: 'text', text: sent })));
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('a request', () => {
  test('carries key, version and the plain subset only', async () => {
    await collect(
      provider(),
      ask('hello', { system: 'Be kind.', tools: [tool('look', { where: { type: 'string' } })] }),
    );
    const { headers } = api.requests[0]!;
    expect(headers).toMatchObject({ authorization: 'Bearer sk-right', 'anthropic-version': '2026-10-21' });
    expect(headers['anthropic-beta']).toBeUndefined();
    expect(Object.keys(lastBody()).sort()).toEqual(['max_tokens', 'messages', 'model', 'stream', 'system', 'tools']);
    expect(lastBody()).toMatchObject({
      model: 'claude-test',
      max_tokens: 1_000,
      system: [{ type: 'text', text: 'Be kind.' }],
      tools: [{ name: 'look', input_schema: { type: 'object', properties: { where: { type: 'string' } } } }],
    });
  });

  test('may use a token, or nothing, and never what the environment holds', async () => {
    const own = await startMessagesApi();
    process.env.ANTHROPIC_API_KEY = 'sk-of-the-environment';
    try {
      await collect(
        provider({ baseURL: own.url, apiKey: undefined, authToken: 'tok-1' } as Partial<AnthropicOptions>),
        ask('a'),
      );
      await collect(createAnthropic({ baseURL: own.url, timings: { totalMs: 5_000 } }), ask('b'));
    } finally {
      delete process.env.ANTHROPIC_API_KEY;
      await own.close();
    }
    expect(own.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer tok-1', undefined]);
    expect(own.requests.map(({ headers }) => headers['x-api-key'])).toEqual([undefined, undefined]);
  });

  test.each(['/', '/v1', '/v1/'])('finds the server when its address ends in %s', async (end) => {
    await collect(provider({ baseURL: api.url + end }), ask('hello'));
    expect(api.requests.map(({ path, status }) => [path, status])).toEqual([['/v1/messages', 200]]);
  });

  test('marks the last tool, the system and the last two user messages for the cache', async () => {
    const messages = [user('one'), assistant('1'), user('two'), assistant('2'), user('three'), user('four')];
    await collect(provider(), ask('', { system: 'Be kind.', tools: [tool('a'), tool('b')], messages }));
    const marked = { cache_control: { type: 'ephemeral' } };
    const body = lastBody() as Record<'system' | 'tools', object[]> & { messages: { content: object[] }[] };
    expect(body.system).toEqual([{ type: 'text', text: 'Be kind.', ...marked }]);
    expect(body.tools.map((item) => 'cache_control' in item)).toEqual([false, true]);
    expect(body.messages.map(({ content }) => 'cache_control' in content[0]!)).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
    ]);
  });

  test('marks nothing when caching is switched off', async () => {
    await collect(provider({ promptCaching: false }), ask('x', { system: 'Be kind.', tools: [tool('a')] }));
    expect(api.requests[0]?.raw).not.toContain('cache_control');
  });

  test('reads the prefix of the turn before from the cache', async () => {
    say({ type: 'text', text: 'ok' });
    const system = 'Be kind and thorough. '.repeat(300);
    const tools = [tool('look')];
    const first = done((await collect(provider(), ask('', { system, tools, messages: [user('one')] }))).outcome).usage;
    const messages = [user('one'), assistant('ok'), user('two')];
    const second = done((await collect(provider(), ask('', { system, tools, messages }))).outcome).usage;
    expect(first.cache_creation_input_tokens).toBeGreaterThan(1_000);
    expect(first.cache_read_input_tokens).toBe(0);
    expect(second.cache_read_input_tokens).toBe(first.cache_creation_input_tokens);
    expect(second.cache_creation_input_tokens).toBeGreaterThan(0);
    expect(second.input_tokens).toBe(0);
  });

  test('mends what the server would refuse', async () => {
    const messages: ModelMessage[] = [
      { role: 'user', content: [{ type: 'text', text: 'cut \ud83d' }] },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'from a local model', signature: '' },
          { type: 'text', text: '\n\n' },
          { type: 'tool_use', id: 'a', name: 'look', input: { 'k\ud83d': ['\udc00'] } },
          { type: 'tool_use', id: 'b', name: 'look', input: {} },
          { type: 'tool_use', id: 'c', name: 'look', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: '' }], is_error: true },
          { type: 'tool_result', tool_use_id: 'b', content: [{ type: 'text', text: ' ' }], is_error: false },
          { type: 'tool_result', tool_use_id: 'c', content: [{ type: 'text', text: 'half \ude00' }], is_error: false },
        ],
      },
      { role: 'assistant', content: [{ type: 'text', text: '' }] },
      { role: 'user', content: [{ type: 'text', text: ' ' }] },
    ];
    done((await collect(provider(), ask('', { system: '  ', messages }))).outcome);
    expect(lastBody()).toEqual({
      model: 'claude-test',
      max_tokens: 1_000,
      stream: true,
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'cut \ufffd' }] },
        {
          role: 'assistant',
          content: [
            { type: 'tool_use', id: 'a', name: 'look', input: { 'k\ufffd': ['\ufffd'] } },
            { type: 'tool_use', id: 'b', name: 'look', input: {} },
            { type: 'tool_use', id: 'c', name: 'look', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: '(no output)' }], is_error: true },
            { type: 'tool_result', tool_use_id: 'b' },
            {
              type: 'tool_result',
              tool_use_id: 'c',
              content: [{ type: 'text', text: 'half \ufffd' }],
              cache_control: { type: 'ephemeral' },
            },
          ],
        },
        {
          role: 'user',
          content: [{ type: 'text', text: '(empty message)', cache_control: { type: 'ephemeral' } }],
        },
      ],
    });
  });

  test('is well-formed whatever text is in it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0xd7ff, max: 0xe001 }), { maxLength: 8 }), async (units) => {
        const text = `a${String.fromCharCode(...units)}`;
        const { outcome } = await collect(
          provider(),
          ask(text, { system: text, tools: [tool('look', { [text]: text })] }),
        );
        done(outcome);
      }),
      { numRuns: 40 },
    );
  });

  test('leaves its connection for the next ones', async () => {
    const own = await startMessagesApi();
    own.faults.stick({ kind: 'late_end', ms: 20 });
    const one = provider({ baseURL: own.url });
    for (const text of ['a', 'b', 'c', 'd', 'e']) {
      done((await collect(one, ask(text))).outcome);
      await expect.poll(() => own.requests.at(-1)?.ended, { interval: 5 }).toBe('complete');
    }
    await own.close();
    // Node's fetch takes turns with two.
    expect(new Set(own.requests.map(({ connection }) => connection)).size).toBeLessThanOrEqual(2);
  });

  test('does not wait for a server that never closes, and lets go of it soon', async () => {
    api.faults.next({ kind: 'late_end' });
    const started = performance.now();
    done((await collect(provider(), ask('hello'))).outcome);
    expect(performance.now() - started).toBeLessThan(500);
    await expect.poll(() => api.requests[0]?.ended, { timeout: 3_000 }).toBe('closed');
  });

  test('is closed when its reader leaves', async () => {
    api.faults.next({ kind: 'endless' });
    for await (const event of provider().stream(ask('x'), new AbortController().signal)) {
      if (event.type === 'delta') break;
    }
    await expect.poll(() => api.requests[0]?.ended).toBe('closed');
  });
});

describe('a loose server', () => {
  const serve = (body: string, type = 'text/event-stream') =>
    provider({ fetch: async () => new Response(body, { headers: { 'content-type': type } }) });
  const sse = (...events: { type: string }[]) =>
    events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');

  test('may send the tool input at once, part of the usage, and no last event', async () => {
    const body = sse(
      { type: 'message_start', message: { usage: { input_tokens: 12 } } } as { type: string },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'Hm. ' } } as { type: string },
      { type: 'content_block_start', index: 1, content_block: { type: 'tool_use', name: 'look', input: { a: 1 } } } as {
        type: string;
      },
      { type: 'content_block_start', index: 2, content_block: { type: 'novelty' } } as { type: string },
      { type: 'content_block_delta', index: 2, delta: { type: 'text_delta', text: 'unseen' } } as { type: string },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { input_tokens: 0, output_tokens: 5 } } as {
        type: string;
      },
    );
    const { text, outcome } = await collect(serve(body), ask('x'));
    expect(text).toBe('Hm. ');
    expect(done(outcome)).toMatchObject({
      stopReason: 'tool_use',
      usage: { input_tokens: 12, output_tokens: 5, cache_read_input_tokens: 0 },
      blocks: [
        { type: 'text', text: 'Hm. ' },
        { type: 'tool_use', name: 'look', input: { a: 1 } },
      ],
    });
  });

  test('may stop without a reason', async () => {
    const body = sse(
      { type: 'message_start' },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'Hi' } } as { type: string },
      { type: 'message_stop' },
    );
    expect(done((await collect(serve(body), ask('x'))).outcome).stopReason).toBe('end_turn');
  });
});

function splitAt(text: string, at: number[]): string[] {
  const cuts = [0, ...at.map((position) => position % (text.length + 1)).sort((a, b) => a - b), text.length];
  return cuts.slice(1).map((end, index) => text.slice(cuts[index], end));
}

/** The same bytes in pieces of these sizes, over and over. */
function inPieces(body: ReadableStream<Uint8Array>, sizes: number[]): ReadableStream<Uint8Array> {
  let turn = 0;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        for (let at = 0; at < chunk.length; ) {
          const size = sizes[turn++ % sizes.length]!;
          controller.enqueue(chunk.subarray(at, at + size));
          at += size;
        }
      },
    }),
  );
}
