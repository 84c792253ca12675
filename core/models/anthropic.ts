// Speaks the Messages API, Anthropic's or a compatible server's, through the official SDK: one request, no retries.
import type Anthropic from '@anthropic-ai/sdk';
import type { Millis, ModelEvent, ModelRequest } from '../types.ts';
import { createAnswer, type WireEvent } from './answer.ts';
import { endedEarly, type Failure, type FailureFacts, stopped, toFailure } from './failure.ts';
import { toWire } from './prompt.ts';
import type { ModelSource, SourceEvent, Timings } from './watchdog.ts';

export interface AnthropicOptions {
  /** Anthropic's when not given. A trailing `/v1` is dropped: the SDK adds it. */
  baseURL?: string;
  /** Used before `authToken` when both are set. A local server may need neither. */
  apiKey?: string;
  authToken?: string;
  /** Marks what the server may cache; on unless switched off for a server that refuses the marks. */
  promptCaching?: boolean;
  timings: Pick<Timings, 'totalMs'>;
  fetch?: typeof fetch;
  now?: () => Millis;
}

const ANTHROPIC = 'https://api.anthropic.com';
/** How long the rest of a finished stream is read, so that its connection can serve the next request. */
const DRAIN_MS = 1_000;

/** To be watched: the SDK itself does not notice a stream that stalls. */
export function createAnthropic(options: AnthropicOptions): ModelSource {
  const baseURL = (options.baseURL || ANTHROPIC).replace(/\/+$/, '').replace(/\/v1$/, '');
  const server = shown(baseURL);
  const secrets = [options.apiKey, options.authToken, passwordOf(baseURL)].flatMap((secret) =>
    secret ? [secret] : [],
  );
  const hasKey = Boolean(options.apiKey || options.authToken);
  const now = options.now ?? Date.now;
  let client: Promise<Anthropic> | undefined;

  // Loaded by the first request: importing the SDK costs about 100 ms and 25 MB, which an offline Steward never needs.
  const connect = () => {
    client ??= import('@anthropic-ai/sdk').then(
      ({ default: Client }) =>
        new Client({
          baseURL,
          ...credentials(options),
          maxRetries: 0,
          // Until the headers only, and above the watchdog's: the SDK does not see a stream that stalls.
          timeout: Math.ceil(options.timings.totalMs),
          // At "debug" it would write whole conversations to the console, by an environment variable of its own.
          logLevel: 'off',
          openTelemetry: false,
          // A redirected POST would lose its body, or carry the conversation to a host nobody named.
          fetchOptions: { redirect: 'manual' },
          ...(options.fetch ? { fetch: options.fetch } : {}),
        }),
    );
    return client;
  };

  async function* stream(request: ModelRequest, signal: AbortSignal): AsyncGenerator<SourceEvent> {
    const answer = createAnswer();
    const facts: FailureFacts = { server, hasKey, secrets, model: request.model, streaming: false, now: now() };
    const failed = (failure: Failure): ModelEvent => ({
      type: 'end',
      outcome: { kind: 'failed', ...failure, partialText: answer.text(), usage: answer.usage() },
    });
    const whole = (): ModelEvent => {
      const { blocks, stopReason, usage } = answer;
      return { type: 'end', outcome: { kind: 'done', blocks: blocks(), stopReason: stopReason(), usage: usage() } };
    };
    let close = () => {};
    let end: ModelEvent | undefined;
    try {
      signal.throwIfAborted();
      const messages = (await connect()).messages;
      const body = { ...toWire(request, { promptCaching: options.promptCaching ?? true }), stream: true as const };
      const { data, response } = await messages.create(body, { signal }).withResponse();
      facts.streaming = true;
      close = () => data.controller.abort();
      const events = data[Symbol.asyncIterator]();
      let taken = 0;
      for (let next = await events.next(); !next.done; next = await events.next()) {
        taken += 1;
        const event: WireEvent = next.value;
        const seen = answer.take(event);
        if (seen) yield seen;
        if (event.type === 'message_stop') {
          close = () => void drain(events, data.controller);
          break;
        }
      }
      // An aborted SDK stream ends as if it were finished.
      if (signal.aborted) end = failed(stopped());
      else if (answer.complete()) end = whole();
      else end = failed(endedEarly(facts, { contentType: response.headers.get('content-type'), events: taken }));
    } catch (error) {
      if (signal.aborted) end = failed(stopped());
      // What breaks after the stop reason breaks nothing that was said.
      else if (answer.complete()) end = whole();
      else end = failed(toFailure(error, { ...facts, now: now() }));
    } finally {
      close();
    }
    yield end;
  }

  return { name: 'anthropic', stream };
}

/** One credential in code, so that the SDK looks for none in the environment or in files of this machine. */
function credentials(options: AnthropicOptions): { apiKey: string } | { authToken: string } | object {
  if (options.apiKey) return { apiKey: options.apiKey };
  if (options.authToken) return { authToken: options.authToken };
  return { apiKey: '', defaultHeaders: { authorization: null } };
}

async function drain(events: AsyncIterator<unknown>, controller: AbortController): Promise<void> {
  const limit = setTimeout(() => controller.abort(), DRAIN_MS);
  try {
    while (!(await events.next()).done);
  } catch {
    // The answer is complete; how its connection ends is nobody's concern.
  } finally {
    clearTimeout(limit);
  }
}

function passwordOf(address: string): string | undefined {
  return URL.parse(address)?.password;
}

/** A URL for people: an address may carry a user name and a password. */
function shown(address: string): string {
  const url = URL.parse(address);
  return url ? `${url.origin}${url.pathname}`.replace(/\/$/, '') : 'the address in ANTHROPIC_BASE_URL';
}
