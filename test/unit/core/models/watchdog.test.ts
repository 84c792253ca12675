// The watchdog ends what stalls, what never ends and what is no longer wanted: over the wire, and with streams that do not listen.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAnthropic } from '../../../../core/models/anthropic.ts';
import { DEFAULT_TIMINGS, type ModelSource, type Timings, watch } from '../../../../core/models/watchdog.ts';
import type { ModelEvent, ModelOutcome, ModelProvider } from '../../../../core/types.ts';
import { type Fault, type MessagesApi, startMessagesApi } from '../../../fakes/messages-api.ts';
import { ask, collect, done, failed, ZERO } from './collect.ts';

const QUICK: Timings = { firstEventMs: 1_000, gapMs: 250, totalMs: 10_000, maxBytes: 64 * 1024 };
const NEVER = new Promise<never>(() => {});
const delta = (text: string): ModelEvent => ({ type: 'delta', text });
const DONE: ModelOutcome = {
  kind: 'done',
  blocks: [{ type: 'text', text: 'ab' }],
  stopReason: 'end_turn',
  usage: ZERO,
};

describe('over the wire', () => {
  let api: MessagesApi;
  let inner: ModelSource;
  beforeAll(async () => {
    api = await startMessagesApi({
      handler: () => ({ content: [{ type: 'text', chunks: ['one ', 'two ', 'three'] }] }),
    });
    inner = createAnthropic({ baseURL: api.url, apiKey: 'k', timings: DEFAULT_TIMINGS });
    done((await collect(inner, ask('load the SDK'))).outcome);
  });
  afterAll(() => api.close());
  beforeEach(() => {
    api.requests.length = 0;
  });

  test('lets a good answer through, and its connection live', async () => {
    api.faults.next({ kind: 'late_end', ms: 30 });
    const { events, text, outcome } = await collect(watch(inner, QUICK), ask('hello'));
    expect(text).toBe('one two three');
    expect(events.map(({ type }) => type)).toEqual(['delta', 'delta', 'delta', 'end']);
    expect(done(outcome).stopReason).toBe('end_turn');
    await expect.poll(() => api.requests[0]?.ended, { interval: 5 }).toBe('complete');
  });

  test.each<[string, Fault, Partial<Timings>, string, string]>([
    ['no headers', { kind: 'hang_before_headers' }, { firstEventMs: 60 }, '', 'sent nothing for 60 ms'],
    ['no first event', { kind: 'hang_before_first_event' }, { firstEventMs: 60 }, '', 'sent nothing for 60 ms'],
    ['pings only', { kind: 'hang_before_first_event', pingMs: 10 }, { firstEventMs: 60 }, '', 'sent nothing'],
    ['a stop in the middle', { kind: 'hang_mid_stream', afterChunks: 5 }, {}, 'one two ', 'nothing for 250 ms'],
    ['a stop with pings', { kind: 'hang_mid_stream', afterChunks: 5, pingMs: 10 }, {}, 'one two ', 'fell silent'],
    [
      'too slow a whole',
      { kind: 'slow', msPerChunk: 50 },
      { totalMs: 250 },
      'one',
      'did not finish its answer within 250 ms',
    ],
    ['no end', { kind: 'endless', msPerChunk: 1 }, { totalMs: 250 }, 'one two threeand so on ', 'did not finish'],
    ['too much', { kind: 'endless' }, {}, 'one two threeand so on ', 'grew past 64 KiB'],
  ])('ends %s', async (_what, fault, timings, partialText, message) => {
    api.faults.next(fault);
    const { text, outcome } = await collect(watch(inner, { ...QUICK, ...timings }), ask('hello'));
    const end = failed(outcome);
    expect(end.failure).toBe('stalled');
    expect(end.message).toContain(message);
    expect(end.partialText.slice(0, partialText.length)).toBe(partialText);
    expect(end.partialText.startsWith(text)).toBe(true);
    if (partialText) expect(end.usage.input_tokens).toBeGreaterThan(0);
    await expect.poll(() => api.requests.map(({ ended }) => ended)).toEqual(['closed']);
  });

  test('gives a slow but steady answer its time', async () => {
    api.faults.next({ kind: 'slow', msPerChunk: 25 });
    const { text } = await collect(watch(inner, QUICK), ask('hello'));
    expect(text).toBe('one two three');
  });

  test('counts the bytes of tool input, which shows nothing', async () => {
    const json = JSON.stringify({ text: 'x'.repeat(100_000) });
    api.script(() => ({ content: [{ type: 'tool_use', name: 'write', raw: json }] }));
    const { outcome } = await collect(watch(inner, QUICK), ask('hello'));
    expect(failed(outcome).message).toContain('grew past 64 KiB');
  });
});

describe('a stream that does not listen', () => {
  const provider = (stream: ModelProvider['stream']): ModelProvider => ({ name: 'deaf', stream });

  test('is left behind when it stalls', async () => {
    let aborted = false;
    const deaf = provider(async function* (_request, signal) {
      signal.addEventListener('abort', () => {
        aborted = true;
      });
      yield delta('a');
      await NEVER;
    });
    const { outcome } = await collect(watch(deaf, QUICK), ask('x'));
    expect(failed(outcome)).toMatchObject({ failure: 'stalled', partialText: 'a' });
    expect(aborted).toBe(true);
  });

  test('is left behind at once when its reader aborts', async () => {
    const deaf = provider(async function* () {
      yield delta('a');
      yield delta('b');
      await NEVER;
    });
    const stop = new AbortController();
    const started = performance.now();
    const { outcome } = await collect(watch(deaf, { ...QUICK, gapMs: 10_000 }), ask('x'), {
      signal: stop.signal,
      onEvent: (event) => event.type === 'delta' && event.text === 'b' && setTimeout(() => stop.abort(), 20),
    });
    expect(failed(outcome)).toMatchObject({ failure: 'aborted', partialText: 'ab' });
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test('is not even started by an aborted signal', async () => {
    let started = false;
    const deaf = provider(async function* () {
      started = true;
      yield delta('a');
    });
    const { outcome } = await collect(watch(deaf, QUICK), ask('x'), { signal: AbortSignal.abort() });
    expect(failed(outcome)).toMatchObject({ failure: 'aborted', partialText: '' });
    expect(started).toBe(false);
  });

  test('that throws, at once or later, is cut', async () => {
    const now = provider(() => {
      throw new Error('broken at once');
    });
    expect(failed((await collect(watch(now, QUICK), ask('x'))).outcome).failure).toBe('cut');
    const later = provider(async function* () {
      yield delta('a');
      throw new Error('broken later');
    });
    const end = failed((await collect(watch(later, QUICK), ask('x'))).outcome);
    expect(end).toMatchObject({ failure: 'cut', partialText: 'a' });
    expect(end.message).toContain('broken later');
  });

  test('that has no end is cut, and what follows an end is dropped', async () => {
    const endless = provider(async function* () {
      yield delta('a');
    });
    expect(failed((await collect(watch(endless, QUICK), ask('x'))).outcome)).toMatchObject({
      failure: 'cut',
      partialText: 'a',
    });
    const twice = provider(async function* () {
      yield { type: 'end', outcome: DONE };
      yield delta('late');
      yield { type: 'end', outcome: DONE };
    });
    expect((await collect(watch(twice, QUICK), ask('x'))).events).toEqual([{ type: 'end', outcome: DONE }]);
  });

  test('that fails after it was left behind disturbs nobody', async () => {
    const unhandled: unknown[] = [];
    const listen = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', listen);
    const late = provider(async function* () {
      yield delta('a');
      await delay(80);
      throw new Error('too late');
    });
    await collect(watch(late, { ...QUICK, gapMs: 40 }), ask('x'));
    await delay(100);
    process.off('unhandledRejection', listen);
    expect(unhandled).toEqual([]);
  });
});

test('does not count the time its reader takes', async () => {
  const inner: ModelProvider = {
    name: 'quick',
    async *stream() {
      yield delta('a');
      yield delta('b');
      yield { type: 'end', outcome: DONE };
    },
  };
  const events: ModelEvent[] = [];
  for await (const event of watch(inner, { ...QUICK, gapMs: 40 }).stream(ask('x'), new AbortController().signal)) {
    events.push(event);
    await delay(60);
  }
  expect(events).toEqual([delta('a'), delta('b'), { type: 'end', outcome: DONE }]);
});

test('takes its hands off the signal when it is done', async () => {
  const listeners = new Set<unknown>();
  const { signal } = new AbortController();
  const add = signal.addEventListener.bind(signal);
  signal.addEventListener = (...given: Parameters<typeof add>) => {
    listeners.add(given[1]);
    add(...given);
  };
  const remove = signal.removeEventListener.bind(signal);
  signal.removeEventListener = (...given: Parameters<typeof remove>) => {
    listeners.delete(given[1]);
    remove(...given);
  };
  const inner: ModelProvider = {
    name: 'quick',
    async *stream() {
      yield { type: 'end', outcome: DONE };
    },
  };
  await collect(watch(inner, QUICK), ask('x'), { signal });
  expect(listeners.size).toBe(0);
});
