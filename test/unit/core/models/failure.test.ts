// Every way a request to a model server can fail, seen through the anthropic provider: its class, its sentence, one request.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AnthropicOptions, createAnthropic } from '../../../../core/models/anthropic.ts';
import type { ModelSource } from '../../../../core/models/watchdog.ts';
import type { ModelFailure } from '../../../../core/types.ts';
import { type Fault, type MessagesApi, startMessagesApi } from '../../../fakes/messages-api.ts';
import { ask, collect, failed, ZERO } from './collect.ts';

const KEY = 'sk-ant-very-secret';
const NOW = Date.parse('2026-11-20T12:00:00Z');

let api: MessagesApi;
beforeAll(async () => {
  api = await startMessagesApi({ key: KEY });
});
afterAll(() => api.close());
beforeEach(() => {
  api.faults.clear();
  api.requests.length = 0;
  api.script(() => ({ content: [{ type: 'text', chunks: ['one ', 'two ', 'three'] }] }));
});

function provider(options: Partial<AnthropicOptions> = {}): ModelSource {
  return createAnthropic({ baseURL: api.url, apiKey: KEY, timings: { totalMs: 5_000 }, now: () => NOW, ...options });
}

async function failure(fault: Fault, options: Partial<AnthropicOptions> = {}) {
  api.faults.next(fault);
  const { text, outcome } = await collect(provider(options), ask('hello'));
  const end = failed(outcome);
  expect(end.partialText).toBe(text);
  expect(end.message).not.toContain(KEY);
  expect(end.message).toContain(api.url);
  expect(api.requests).toHaveLength(1);
  return end;
}

describe('a status', () => {
  test.each<[number, ModelFailure, string]>([
    [400, 'invalid', 'does not accept the request (400: Your request was malformed.)'],
    [401, 'refused', 'refused the key (401: invalid x-api-key). Set ANTHROPIC_API_KEY'],
    [402, 'refused', 'Check its credit and its spend limits.'],
    [403, 'refused', 'Check what the key may use, or set STEWARD_MODEL'],
    [404, 'invalid', 'does not know the model claude-test (404: Not found). Check STEWARD_MODEL.'],
    [408, 'overloaded', 'is overloaded (408'],
    [413, 'invalid', 'The request is too large'],
    [418, 'invalid', 'does not accept the request (418'],
    [429, 'rate_limited', 'asks to slow down (429: This request would exceed'],
    [500, 'overloaded', 'failed (500: Internal server error)'],
    [502, 'overloaded', 'failed (502'],
    [503, 'overloaded', 'is overloaded (503'],
    [504, 'overloaded', 'failed (504'],
    [529, 'overloaded', 'is overloaded (529: Overloaded)'],
    [302, 'invalid', 'sends requests elsewhere (302'],
  ])('%i is %s', async (status, expected, message) => {
    const end = await failure({ kind: 'status', status });
    expect(end).toMatchObject({ failure: expected, partialText: '', usage: ZERO });
    expect(end.message).toContain(message);
    expect(end.retryAfterMs).toBeUndefined();
  });

  test.each<[string | number, number | undefined]>([
    [7, 7_000],
    ['0.5', 500],
    [0, 0],
    ['Fri, 20 Nov 2026 12:01:30 GMT', 90_000],
    ['Fri, 20 Nov 2026 11:00:00 GMT', 0],
    ['soon', undefined],
    [-3, undefined],
  ])('with retry-after %s waits %s ms', async (retryAfter, expected) => {
    for (const status of [429, 529]) {
      api.requests.length = 0;
      expect((await failure({ kind: 'status', status, retryAfter })).retryAfterMs).toBe(expected);
    }
  });

  test.each([
    [400, 'Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.'],
    [400, 'You have reached your specified API usage limits. You will regain access on 2026-12-01.'],
    [429, 'The organization has reached its monthly spend limit.'],
  ])('%i about money is for a person to solve', async (status, message) => {
    const end = await failure({ kind: 'status', status, message });
    expect(end.failure).toBe('refused');
    expect(end.message).toContain(message);
  });

  test('of a server without a key asks for one', async () => {
    const end = failed((await collect(provider({ apiKey: '' }), ask('hello'))).outcome);
    expect(end).toMatchObject({ failure: 'refused' });
    expect(end.message).toContain(
      'wants a key, and none is set (401: x-api-key header is required). Set ANTHROPIC_API_KEY',
    );
  });

  test('never shows the key, however the server repeats it', async () => {
    const end = await failure({
      kind: 'status',
      status: 401,
      message: `Received API Key = ${KEY}, which is\nnot known`,
    });
    expect(end.message).toContain('Received API Key = [key], which is not known');
  });

  test('is cut to a readable length', async () => {
    const end = await failure({ kind: 'status', status: 400, message: 'x'.repeat(10_000) });
    expect(end.message.length).toBeLessThan(500);
  });

  test('hides the password of the address', async () => {
    const url = api.url.replace('//', '//anna:hunter2@');
    const end = failed((await collect(provider({ baseURL: url }), ask('hello'))).outcome);
    expect(end.message).not.toContain('hunter2');
  });
});

describe('a connection', () => {
  test('that nobody accepts is unreachable', async () => {
    const closed = await startMessagesApi();
    await closed.close();
    const end = failed((await collect(provider({ baseURL: closed.url }), ask('hello'))).outcome);
    expect(end).toMatchObject({ failure: 'unreachable', partialText: '' });
    expect(end.message).toContain(`${closed.url} does not answer (connection refused)`);
    expect(end.message).toContain('ANTHROPIC_BASE_URL');
  });

  test('to a host without a name is unreachable', async () => {
    const end = failed((await collect(provider({ baseURL: 'http://no-such-host.invalid' }), ask('hello'))).outcome);
    expect(end.failure).toBe('unreachable');
  });

  test('to an address that is none is unreachable', async () => {
    const end = failed((await collect(provider({ baseURL: 'not an address' }), ask('hello'))).outcome);
    expect(end.failure).toBe('unreachable');
  });

  test('dropped before the headers is unreachable', async () => {
    expect((await failure({ kind: 'drop' })).failure).toBe('unreachable');
  });

  test('without headers in the time of the whole call is unreachable', async () => {
    const end = await failure({ kind: 'hang_before_headers' }, { timings: { totalMs: 50 } });
    expect(end.failure).toBe('unreachable');
    await expect.poll(() => api.requests[0]?.ended).toBe('closed');
  });

  test('dropped after the headers is cut, with nothing', async () => {
    expect(await failure({ kind: 'drop_after_headers' })).toMatchObject({ failure: 'cut', partialText: '' });
  });

  test.each([
    [1, ''],
    [4, 'one '],
    [5, 'one two '],
    [7, 'one two three'],
  ])('cut after %i chunks keeps what came', async (afterChunks, partialText) => {
    const end = await failure({ kind: 'cut', afterChunks });
    expect(end).toMatchObject({ failure: 'cut', partialText });
    expect(end.usage.input_tokens).toBeGreaterThan(0);
    expect(end.message).toContain('broke off in the middle of the answer');
  });
});

test('a break after the stop reason breaks nothing', async () => {
  api.faults.next({ kind: 'cut', afterChunks: 8 });
  const { outcome } = await collect(provider(), ask('hello'));
  expect(outcome).toMatchObject({ kind: 'done', stopReason: 'end_turn', blocks: [{ text: 'one two three' }] });
});

describe('a stream', () => {
  test.each<[string, ModelFailure]>([
    ['overloaded_error', 'overloaded'],
    ['api_error', 'overloaded'],
    ['timeout_error', 'overloaded'],
    ['rate_limit_error', 'rate_limited'],
    ['invalid_request_error', 'invalid'],
    ['authentication_error', 'refused'],
    ['billing_error', 'refused'],
    ['new_kind_of_error', 'overloaded'],
  ])('with the error event %s is %s and keeps what came', async (type, expected) => {
    const end = await failure({ kind: 'error_event', type, afterChunks: 5 });
    expect(end).toMatchObject({ failure: expected, partialText: 'one two ' });
  });

  test('that just ends is cut', async () => {
    const body = 'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3}}}\n\n';
    const fetch = async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } });
    const end = failed((await collect(provider({ fetch }), ask('hello'))).outcome);
    expect(end).toMatchObject({ failure: 'cut', usage: { ...ZERO, input_tokens: 3 } });
  });

  test('of broken events is cut', async () => {
    const fetch = async () =>
      new Response('event: message_start\ndata: {oops\n\n', { headers: { 'content-type': 'text/event-stream' } });
    expect(failed((await collect(provider({ fetch }), ask('hello'))).outcome).failure).toBe('cut');
  });

  describe('of another server', () => {
    let website: Server;
    let location: string | undefined;
    beforeAll(async () => {
      website = createServer((_request, response) => {
        response.writeHead(location ? 307 : 200, { 'content-type': 'text/html', ...(location && { location }) });
        response.end('<html>Welcome</html>');
      });
      await new Promise<void>((resolve) => website.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => void website.close());

    const ended = async () => {
      const url = `http://127.0.0.1:${(website.address() as AddressInfo).port}`;
      return failed((await collect(provider({ baseURL: url }), ask('hello'))).outcome);
    };

    test('is not followed to another address', async () => {
      location = `${api.url}/v1/messages`;
      const end = await ended();
      location = undefined;
      expect(end.failure).toBe('invalid');
      expect(end.message).toContain('sends requests elsewhere (307');
      expect(api.requests).toHaveLength(0);
    });

    test('is a wrong address', async () => {
      const end = await ended();
      expect(end.failure).toBe('invalid');
      expect(end.message).toContain('not as a model server (text/html). Check that ANTHROPIC_BASE_URL');
    });
  });
});

describe('an abort', () => {
  test('before the request sends none', async () => {
    const end = failed((await collect(provider(), ask('hello'), { signal: AbortSignal.abort() })).outcome);
    expect(end.failure).toBe('aborted');
    expect(api.requests).toHaveLength(0);
  });

  test.each<Fault>([{ kind: 'hang_before_headers' }, { kind: 'hang_before_first_event' }])(
    'while the server is silent ($kind) closes the connection',
    async (fault) => {
      api.faults.next(fault);
      const stop = new AbortController();
      const collected = collect(provider(), ask('hello'), { signal: stop.signal });
      await expect.poll(() => api.requests.length).toBe(1);
      stop.abort();
      expect(failed((await collected).outcome).failure).toBe('aborted');
      await expect.poll(() => api.requests[0]?.ended).toBe('closed');
    },
  );

  test('in the middle keeps what came', async () => {
    api.faults.next({ kind: 'hang_mid_stream', afterChunks: 5 });
    const stop = new AbortController();
    const { outcome } = await collect(provider(), ask('hello'), {
      signal: stop.signal,
      onEvent: (event) => event.type === 'delta' && event.text === 'two ' && stop.abort(),
    });
    expect(failed(outcome)).toMatchObject({ failure: 'aborted', partialText: 'one two ' });
    expect(failed(outcome).usage.input_tokens).toBeGreaterThan(0);
  });
});
