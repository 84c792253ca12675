// Talking to a Steward process over its HTTP API: sending, and waiting for what its streams say instead of for time.
import Anthropic from '@anthropic-ai/sdk';
import type { StewardProcess } from './process.ts';

type At = Pick<StewardProcess, 'url' | 'token'>;

export interface WireEvent {
  id: string;
  type: string;
  seq: number;
  position: number | null;
  processed_at: string | null;
  content?: { type: string; text?: string }[];
  [key: string]: unknown;
}

/** One message of an event stream. Previews and pings carry no id. */
export interface Sse {
  id: string | null;
  event: string;
  data: WireEvent;
}

export const AGENT = 'agent_steward';
export const ENVIRONMENT = 'env_steward';

/** The official SDK, pointed at Steward. */
export const sdk = (at: At): Anthropic =>
  new Anthropic({ baseURL: at.url, apiKey: at.token, maxRetries: 0, logLevel: 'off' });

export const textOf = (event: { content?: { text?: string }[] }): string =>
  (event.content ?? []).map((block) => block.text ?? '').join('\n');

export async function request(
  at: At,
  path: string,
  init: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const response = await fetch(`${at.url}${path}`, {
    method: init.method ?? (init.body === undefined ? 'GET' : 'POST'),
    headers: { 'x-api-key': at.token, 'content-type': 'application/json', ...init.headers },
    redirect: 'manual',
    ...(init.body !== undefined && { body: typeof init.body === 'string' ? init.body : JSON.stringify(init.body) }),
  });
  const text = await response.text();
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = { text };
  }
  return { status: response.status, headers: response.headers, body };
}

/** As `request`, and anything but success fails the test. Returns the body. */
export async function call<T = Record<string, unknown>>(
  at: At,
  path: string,
  body?: unknown,
  method?: string,
): Promise<T> {
  const answer = await request(at, path, { body, ...(method && { method }) });
  if (answer.status !== 200)
    throw new Error(`${method ?? ''} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body as T;
}

export async function newSession(at: At, more: object = {}): Promise<string> {
  const { id } = await call<{ id: string }>(at, '/v1/sessions', { agent: AGENT, environment_id: ENVIRONMENT, ...more });
  return id;
}

export async function send(at: At, session: string, ...events: object[]): Promise<WireEvent[]> {
  const { data } = await call<{ data: WireEvent[] }>(at, `/v1/sessions/${session}/events`, { events });
  return data;
}

export const says = (text: string) => ({ type: 'user.message', content: [{ type: 'text', text }] });
export const say = async (at: At, session: string, text: string): Promise<WireEvent> =>
  (await send(at, session, says(text)))[0]!;
export const confirm = (
  at: At,
  session: string,
  tool_use_id: string,
  result: 'allow' | 'deny',
  deny_message?: string,
) => send(at, session, { type: 'user.tool_confirmation', tool_use_id, result, ...(deny_message && { deny_message }) });

/** Everything of a session, in the order it was read. */
export async function eventsOf(at: At, session: string): Promise<WireEvent[]> {
  const all: WireEvent[] = [];
  for (let page: string | null = ''; page !== null; ) {
    const cursor: string = page ? `&page=${encodeURIComponent(page)}` : '';
    const part: { data: WireEvent[]; next_page: string | null } = await call(
      at,
      `/v1/sessions/${session}/events?limit=500${cursor}`,
    );
    all.push(...part.data);
    page = part.next_page;
  }
  return all;
}

/** The raw event stream. Ends when the server or the signal ends it; a break of the connection ends it too. */
export async function* stream(
  at: At,
  session: string,
  options: {
    after?: number;
    lastEventId?: string;
    deltas?: string[];
    signal?: AbortSignal;
    headers?: Record<string, string>;
  } = {},
): AsyncGenerator<Sse> {
  const query = new URLSearchParams();
  if (options.after !== undefined) query.set('after_seq', String(options.after));
  for (const type of options.deltas ?? []) query.append('event_deltas[]', type);
  const response = await fetch(`${at.url}/v1/sessions/${session}/events/stream?${query}`, {
    headers: {
      ...(options.headers ?? { 'x-api-key': at.token }),
      ...(options.lastEventId !== undefined && { 'last-event-id': options.lastEventId }),
    },
    ...(options.signal && { signal: options.signal }),
  });
  if (!response.ok) throw new Error(`stream: ${response.status} ${await response.text()}`);
  let rest = '';
  try {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) {
        const fields = Object.fromEntries(
          part
            .split('\n')
            .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()]),
        );
        yield { id: fields.id ?? null, event: fields.event ?? 'message', data: JSON.parse(fields.data ?? 'null') };
      }
    }
  } catch (error) {
    if (!options.signal?.aborted && (error as Error).message !== 'terminated') throw error;
  }
}

/** The first event, from a point of the log on, that is what is looked for. */
export async function until(
  at: At,
  session: string,
  what: string,
  is: (event: WireEvent) => boolean,
  options: { after?: number; ms?: number } = {},
): Promise<WireEvent> {
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), options.ms ?? 10_000);
  const seen: string[] = [];
  try {
    for await (const { id, data } of stream(at, session, { after: options.after ?? 0, signal: end.signal })) {
      if (id === null) continue;
      if (is(data)) return data;
      seen.push(`${data.seq} ${data.type} ${textOf(data).slice(0, 80)}`);
    }
  } finally {
    clearTimeout(timer);
    end.abort();
  }
  throw new Error(`Waited in vain for ${what}. What came:\n${seen.join('\n')}`);
}

export const untilIdle = (at: At, session: string, after = 0, ms?: number): Promise<WireEvent> =>
  until(at, session, 'rest', (event) => event.type === 'session.status_idle', { after, ...(ms && { ms }) });

/** Says something, waits for the rest after it, and returns what the agent said in between. */
export async function ask(
  at: At,
  session: string,
  text: string,
  ms?: number,
): Promise<{ texts: string[]; idle: WireEvent; sent: WireEvent }> {
  const sent = await say(at, session, text);
  const idle = await untilIdle(at, session, sent.seq, ms);
  const events = await eventsOf(at, session);
  const texts = events
    .filter((event) => event.type === 'agent.message' && event.seq > sent.seq && event.seq < idle.seq)
    .map(textOf);
  return { texts, idle, sent };
}
