// The Managed Agents API as its official SDK meets it: shapes, paging, streaming, replay, approvals, custom tools, steering.
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastUserText, type MessagesApi, startMessagesApi, toolResults } from '../fakes/messages-api.ts';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import {
  AGENT,
  ask,
  ENVIRONMENT,
  eventsOf,
  newSession,
  request,
  say,
  sdk,
  send,
  stream,
  textOf,
  until,
  untilIdle,
  type WireEvent,
} from '../helpers/talk.ts';

let model: MessagesApi;
let steward: StewardProcess;
let client: Anthropic;

beforeAll(async () => {
  model = await startMessagesApi();
  model.script((request) => {
    const text = lastUserText(request);
    const [result] = text.endsWith('meanwhile') ? [] : toolResults(request);
    if (result) return `The tool says: ${result.text}`;
    if (text.includes('weather') && request.tools?.some((tool) => tool.name === 'get_weather'))
      return {
        content: [
          { type: 'text', text: 'Looking.' },
          { type: 'tool_use', name: 'get_weather', input: { city: 'Oslo' } },
        ],
      };
    if (text.includes('think about it'))
      return {
        content: [
          { type: 'thinking', thinking: 'hm' },
          { type: 'thinking', thinking: 'and hm' },
          { type: 'text', text: 'Thought.' },
        ],
      };
    if (text.includes('send it'))
      return { content: [{ type: 'tool_use', name: 'send_message', input: { to: 'telegram:7', text: 'hi' } }] };
    return { content: [{ type: 'text', chunks: ['You ', 'said: ', text] }] };
  });
  steward = await startSteward({
    env: { ANTHROPIC_API_KEY: 'sk-test-1', ANTHROPIC_BASE_URL: model.url, STEWARD_BUDGET_DAY_USD: '1000' },
  });
  client = sdk(steward);
});
afterAll(async () => {
  await steward?.stop();
  await model?.close();
});

const statusOf = async (work: PromiseLike<unknown>): Promise<number | string> => {
  try {
    await work;
  } catch (error) {
    return error instanceof Anthropic.APIError ? (error.status ?? 'no status') : String(error);
  }
  return 'no error';
};
const collect = async <T>(list: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const item of list) all.push(item);
  return all;
};
const create = (more: object = {}) =>
  client.beta.sessions.create({ agent: AGENT, environment_id: ENVIRONMENT, ...more });

describe('agents', () => {
  it('one exists from the first start', async () => {
    const agents = await collect(client.beta.agents.list());
    expect(agents.find((agent) => agent.id === AGENT)).toMatchObject({
      type: 'agent',
      name: 'Steward',
      version: 1,
      archived_at: null,
    });
  });

  it('are made, read, changed in versions, and archived', async () => {
    const made = await client.beta.agents.create({
      name: 'Helper',
      model: 'claude-opus-5-5',
      system: 'Be brief.',
      metadata: { a: '1', b: '2' },
    });
    expect(made).toMatchObject({
      type: 'agent',
      name: 'Helper',
      version: 1,
      model: { id: 'claude-opus-5-5' },
      system: 'Be brief.',
    });
    const changed = await client.beta.agents.update(made.id, {
      version: 1,
      name: 'Helper 2',
      metadata: { a: null, c: '3' },
    });
    expect(changed).toMatchObject({ version: 2, name: 'Helper 2', system: 'Be brief.', metadata: { b: '2', c: '3' } });
    expect(await statusOf(client.beta.agents.update(made.id, { version: 1, name: 'late' }))).toBe(409);
    expect(await client.beta.agents.retrieve(made.id, { version: 1 })).toMatchObject({ name: 'Helper', version: 1 });
    const versions = await collect(client.beta.agents.versions.list(made.id));
    expect(versions.map((agent) => agent.version)).toEqual([2, 1]);
    expect((await client.beta.agents.archive(made.id)).archived_at).not.toBeNull();
    const ids = async (include: boolean) =>
      (await collect(client.beta.agents.list({ include_archived: include }))).map((agent) => agent.id);
    expect(await ids(false)).not.toContain(made.id);
    expect(await ids(true)).toContain(made.id);
    expect(await statusOf(create({ agent: made.id }))).toBe(400);
    expect(await statusOf(client.beta.agents.update(made.id, { version: 2, name: 'x' }))).toBe(409);
    expect(await statusOf(client.beta.agents.retrieve('agent_none'))).toBe(404);
  });
});

describe('environments', () => {
  it('are made, read, changed, archived and deleted', async () => {
    expect((await collect(client.beta.environments.list())).map((environment) => environment.id)).toContain(
      ENVIRONMENT,
    );
    const made = await client.beta.environments.create({
      name: 'Bench',
      config: { type: 'self_hosted' },
      metadata: { a: '1' },
    });
    expect(made).toMatchObject({ type: 'environment', name: 'Bench', archived_at: null });
    expect(await client.beta.environments.update(made.id, { name: 'Bench 2' })).toMatchObject({
      name: 'Bench 2',
      metadata: { a: '1' },
    });
    expect(await client.beta.environments.retrieve(made.id)).toMatchObject({ name: 'Bench 2' });
    expect((await client.beta.environments.archive(made.id)).archived_at).not.toBeNull();
    expect(await statusOf(create({ environment_id: made.id }))).toBe(400);
    expect(await client.beta.environments.delete(made.id)).toMatchObject({ id: made.id, type: 'environment_deleted' });
    expect(await statusOf(client.beta.environments.retrieve(made.id))).toBe(404);
  });

  it('the one every conversation is made with stays', async () => {
    expect(await statusOf(client.beta.environments.delete(ENVIRONMENT))).toBe(409);
    expect(await statusOf(client.beta.agents.archive(AGENT))).toBe(409);
  });
});

describe('sessions', () => {
  it('are made, read, changed, archived', async () => {
    const made = await create({ title: 'A title', metadata: { a: '1', b: '2' } });
    expect(made).toMatchObject({
      type: 'session',
      status: 'idle',
      title: 'A title',
      environment_id: ENVIRONMENT,
      agent: { id: AGENT, type: 'agent', version: 1 },
    });
    expect(made).toMatchObject({ main: false, kind: 'chat', trust: 'owner', last_seq: 0 });
    const changed = await client.beta.sessions.update(made.id, { title: 'Another', metadata: { a: null } });
    expect(changed).toMatchObject({ title: 'Another', metadata: { b: '2' } });
    expect(await client.beta.sessions.retrieve(made.id)).toMatchObject({ title: 'Another' });
    expect((await client.beta.sessions.archive(made.id)).archived_at).not.toBeNull();
    expect(
      await statusOf(
        client.beta.sessions.events.send(made.id, {
          events: [{ type: 'user.message', content: [{ type: 'text', text: 'x' }] }],
        }),
      ),
    ).toBe(409);
    expect(await statusOf(client.beta.sessions.retrieve('sesn_none'))).toBe(404);
    expect(await statusOf(create({ agent: 'agent_none' }))).toBe(404);
    expect(await statusOf(create({ environment_id: 'env_none' }))).toBe(404);
  });

  it('page in both orders, newest first unless asked otherwise, archived ones on request', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 7; n++) ids.push((await create({ title: `page ${n}` })).id);
    await client.beta.sessions.archive(ids[3]!);
    const list = async (params: object) =>
      (await collect(client.beta.sessions.list({ limit: 3, ...params })))
        .map((session) => session.id)
        .filter((id) => ids.includes(id));
    const visible = ids.filter((_, n) => n !== 3);
    expect(await list({})).toEqual(visible.toReversed());
    expect(await list({ order: 'asc' })).toEqual(visible);
    expect(await list({ include_archived: true })).toEqual(ids.toReversed());
    const first = await client.beta.sessions.list({ limit: 2 });
    expect(first.data.length).toBe(2);
    expect(first.hasNextPage()).toBe(true);
    expect(await statusOf(client.beta.sessions.list({ limit: 0 }))).toBe(400);
  });

  it('the same Idempotency-Key makes one session with one first message', async () => {
    const events = [{ type: 'user.message' as const, content: [{ type: 'text' as const, text: 'first words' }] }];
    const options = { headers: { 'idempotency-key': 'make-once' } };
    const params = { agent: AGENT, environment_id: ENVIRONMENT, initial_events: events };
    const made = await Promise.all([1, 2, 3].map(() => client.beta.sessions.create(params, options)));
    expect(new Set(made.map((session) => session.id)).size).toBe(1);
    await untilIdle(steward, made[0]!.id);
    const texts = (await eventsOf(steward, made[0]!.id)).filter((event) => event.type.endsWith('.message')).map(textOf);
    expect(texts).toEqual(['first words', expect.stringContaining('first words')]);
  });

  it('a deleted one leaves nothing', async () => {
    const { id } = await create({ title: 'secret title' });
    await ask(steward, id, 'canary-in-a-message');
    expect(await client.beta.sessions.delete(id)).toMatchObject({ id, type: 'session_deleted' });
    const { sessions } = client.beta;
    expect(await statusOf(sessions.retrieve(id))).toBe(404);
    expect(await statusOf(sessions.events.list(id))).toBe(404);
    expect(await statusOf(sessions.events.stream(id))).toBe(404);
    expect(await statusOf(sessions.delete(id))).toBe(404);
    expect(
      (await collect(client.beta.sessions.list({ include_archived: true }))).map((session) => session.id),
    ).not.toContain(id);
  });

  it('count what their answers cost', async () => {
    const { id } = await create();
    await ask(steward, id, 'count this');
    const session = await client.beta.sessions.retrieve(id);
    // A long enough prompt is written to the cache, and then counts there.
    const { input_tokens = 0, cache_creation } = session.usage ?? {};
    const cached = Object.values(cache_creation ?? {}).reduce((sum: number, tokens) => sum + Number(tokens ?? 0), 0);
    expect(input_tokens + cached).toBeGreaterThan(0);
    expect(session.usage?.output_tokens).toBeGreaterThan(0);
    expect(session).toMatchObject({ stop_reason: { type: 'end_turn' }, usage: { list_cost: { currency: 'USD' } } });
  });
});

describe('events', () => {
  it('send, and stream the answer with previews', async () => {
    const { id } = await create();
    const events = await client.beta.sessions.events.stream(id, { event_deltas: ['agent.message'] });
    const sent = await client.beta.sessions.events.send(id, {
      events: [{ type: 'user.message', content: [{ type: 'text', text: 'hello' }] }],
    });
    expect(sent.data).toMatchObject([
      { type: 'user.message', processed_at: null, content: [{ type: 'text', text: 'hello' }] },
    ]);
    const seen: { type: string; [key: string]: unknown }[] = [];
    for await (const event of events) {
      seen.push(event as never);
      if (event.type === 'session.status_idle') break;
    }
    const types = seen.map((event) => event.type);
    expect(types.filter((type) => type !== 'event_delta')).toEqual([
      'user.message',
      'session.status_running',
      'user.message',
      'span.model_request_start',
      'event_start',
      'span.model_request_end',
      'agent.message',
      'session.status_idle',
    ]);
    const start = seen.find((event) => event.type === 'event_start') as unknown as { event: { id: string } };
    const message = seen.find((event) => event.type === 'agent.message') as unknown as WireEvent;
    const deltas = seen.filter((event) => event.type === 'event_delta') as unknown as {
      event_id: string;
      delta: { content: { text: string } };
    }[];
    expect(start.event.id).toBe(message.id);
    expect(new Set(deltas.map((delta) => delta.event_id))).toEqual(new Set([message.id]));
    expect(deltas.map((delta) => delta.delta.content.text).join('')).toBe(textOf(message));
    expect(seen.at(-1)).toMatchObject({ stop_reason: { type: 'end_turn' } });
    const spans = seen.filter((event) => event.type.startsWith('span.'));
    expect(spans[1]).toMatchObject({
      model_request_start_id: spans[0]!.id,
      is_error: false,
      model_usage: { output_tokens: expect.any(Number) },
    });
  });

  it('thinking is announced once, under the id its event will have', async () => {
    const { id } = await create();
    const events = await client.beta.sessions.events.stream(id, { event_deltas: ['agent.thinking'] });
    await say(steward, id, 'think about it');
    const seen: { type: string; [key: string]: unknown }[] = [];
    for await (const event of events) {
      seen.push(event as never);
      if (event.type === 'session.status_idle') break;
    }
    const start = seen.filter((event) => event.type === 'event_start') as unknown as {
      event: { id: string; type: string };
    }[];
    const final = seen.filter((event) => event.type === 'agent.thinking');
    expect(start.map(({ event }) => [event.type, event.id])).toEqual([['agent.thinking', final[0]!.id]]);
    expect(seen.some((event) => event.type === 'event_delta')).toBe(false);
  });

  it('without being asked for, previews are not sent', async () => {
    const { id } = await create();
    const end = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { event } of stream(steward, id, { signal: end.signal })) {
        seen.push(event);
        if (event === 'session.status_idle') break;
      }
    })();
    await until(steward, id, 'nothing yet', () => true, { ms: 50 }).catch(() => {});
    await say(steward, id, 'quietly');
    await reading;
    expect(seen).not.toContain('event_start');
    expect(seen).not.toContain('event_delta');
  });

  it('list in both orders, in pages, by type and by time', async () => {
    const { id } = await create();
    for (let n = 0; n < 4; n++) await ask(steward, id, `message ${n}`);
    const all = await eventsOf(steward, id);
    const listed = await collect(client.beta.sessions.events.list(id, { limit: 3 }));
    expect(listed.map((event) => event.id)).toEqual(all.map((event) => event.id));
    const desc = await collect(client.beta.sessions.events.list(id, { limit: 5, order: 'desc' }));
    expect(desc.map((event) => event.id)).toEqual(all.map((event) => event.id).toReversed());
    const messages = await collect(
      client.beta.sessions.events.list(id, { limit: 2, types: ['user.message', 'agent.message'] }),
    );
    expect(messages.map((event) => event.type)).toEqual(Array(4).fill(['user.message', 'agent.message']).flat());
    const middle = all[10]!;
    const at = new Date(middle.created_at as string).toISOString();
    const after = await collect(client.beta.sessions.events.list(id, { 'created_at[gt]': at }));
    expect(
      after.every((event) => Date.parse((event as unknown as WireEvent).created_at as string) > Date.parse(at)),
    ).toBe(true);
    const from = await collect(client.beta.sessions.events.list(id, { 'created_at[gte]': at, 'created_at[lte]': at }));
    expect(from.map((event) => event.id)).toContain(middle.id);
    expect(await statusOf(client.beta.sessions.events.list(id, { 'created_at[gt]': 'yesterday' }))).toBe(400);
    const rest = await request(steward, `/v1/sessions/${id}/events?after_seq=${all[5]!.seq}`);
    expect((rest.body.data as WireEvent[]).map((event) => event.id)).toEqual(
      all.filter((event) => event.position! > all[5]!.position!).map((event) => event.id),
    );
  });

  it('the same Idempotency-Key is one event, also when the first answer was never seen', async () => {
    const { id } = await create();
    const events = [{ type: 'user.message' as const, content: [{ type: 'text' as const, text: 'only once' }] }];
    const options = { headers: { 'idempotency-key': 'once' } };
    const sent = await Promise.all(
      Array.from({ length: 5 }, () => client.beta.sessions.events.send(id, { events }, options)),
    );
    expect(new Set(sent.map((answer) => answer.data![0]!.id)).size).toBe(1);
    await untilIdle(steward, id);
    await client.beta.sessions.events.send(id, { events }, options);
    expect((await eventsOf(steward, id)).filter((event) => event.type === 'user.message').length).toBe(1);
    // The key is the session's own: nobody can hold back a message of another conversation.
    const other = await create();
    await client.beta.sessions.events.send(other.id, { events }, options);
    await untilIdle(steward, other.id);
    expect((await eventsOf(steward, other.id)).filter((event) => event.type === 'user.message').length).toBe(1);
  });

  it('several events in one request are all stored, or none', async () => {
    const { id } = await create();
    const good = { type: 'user.message', content: [{ type: 'text', text: 'good' }] };
    const bad = { type: 'user.tool_confirmation', tool_use_id: 'sevt_none', result: 'allow' };
    expect((await request(steward, `/v1/sessions/${id}/events`, { body: { events: [good, bad] } })).status).toBe(404);
    expect(await eventsOf(steward, id)).toEqual([]);
  });
});

describe('replay', () => {
  it('is complete and without doubles, wherever the reader broke off and came back', async () => {
    const { id } = await create();
    const seen = new Map<string, WireEvent>();
    const cuts: number[] = [];
    let last: string | undefined;
    let idles = 0;
    const talking = (async () => {
      for (let n = 0; n < 6; n++) await ask(steward, id, `line ${n}`);
    })();
    for (let round = 0; idles < 6; round++) {
      const end = new AbortController();
      let budget = (round * 7) % 5;
      const options = last === undefined ? { after: 0 } : round % 2 ? { lastEventId: last } : { after: Number(last) };
      for await (const { id: at, event, data } of stream(steward, id, {
        ...options,
        deltas: ['agent.message'],
        signal: end.signal,
      })) {
        if (at === null) continue;
        expect(seen.has(at), `${at} came twice`).toBe(false);
        expect(Number(at)).toBeGreaterThan(Number(last ?? 0));
        seen.set(at, data);
        last = at;
        if (event === 'session.status_idle') idles += 1;
        if (idles === 6 || budget-- === 0) break;
      }
      end.abort();
      cuts.push(Number(last ?? 0));
    }
    await talking;
    const whole: string[] = [];
    const end = new AbortController();
    for await (const { id: at, event } of stream(steward, id, { after: 0, signal: end.signal })) {
      if (at === null) continue;
      whole.push(at);
      if (Number(at) >= Number(last)) end.abort();
      void event;
    }
    expect([...seen.keys()]).toEqual(whole);
    expect(cuts.length).toBeGreaterThan(6);
    // Every input is seen twice: when it was stored, and when it was read.
    const inputs = [...seen.values()].filter((event) => event.type === 'user.message');
    expect(inputs.filter((event) => event.processed_at === null).length).toBe(6);
    expect(inputs.filter((event) => event.processed_at !== null).length).toBe(6);
  });

  it('is needed: a reader that does not say where it was misses what happened meanwhile', async () => {
    const { id } = await create();
    await ask(steward, id, 'before');
    const end = new AbortController();
    const seen: string[] = [];
    for await (const { id: at, event } of stream(steward, id, { signal: end.signal })) {
      if (at === null) await say(steward, id, 'after');
      else seen.push(event);
      if (event === 'session.status_idle') end.abort();
    }
    expect(seen.filter((type) => type === 'session.status_idle').length).toBe(1);
  });

  it('refuses a position that is none', async () => {
    const { id } = await create();
    for (const after of ['x', '-1', '1.5', '1e3', '99999999999999999999'])
      expect((await request(steward, `/v1/sessions/${id}/events/stream?after_seq=${after}`)).status, after).toBe(400);
    expect((await request(steward, `/v1/sessions/${id}/events?after_seq=x`)).status).toBe(400);
    expect((await request(steward, `/v1/sessions/${id}/events?page=%21%21`)).status).toBe(400);
  });
});

describe('approvals', () => {
  const waiting = async () => {
    const id = await newSession(steward);
    await say(steward, id, 'send it');
    const idle = await untilIdle(steward, id);
    const [use] = (await eventsOf(steward, id)).filter((event) => event.type === 'agent.tool_use');
    return { id, idle, use: use! };
  };

  it('a call waits, is allowed with the SDK, runs once, and its result reaches the model', async () => {
    const { id, idle, use } = await waiting();
    expect(idle.stop_reason).toEqual({ type: 'requires_action', event_ids: [use.id] });
    expect(use).toMatchObject({
      name: 'send_message',
      evaluated_permission: 'ask',
      input: { to: 'telegram:7', text: 'hi' },
    });
    expect(await client.beta.sessions.retrieve(id)).toMatchObject({
      status: 'idle',
      stop_reason: { type: 'requires_action' },
    });
    const list = (await request(steward, '/api/approvals')).body.data as unknown as { id: string; detail: string }[];
    expect(list.find((entry) => entry.id === use.id)?.detail).toContain('telegram:7');
    await client.beta.sessions.events.send(id, {
      events: [{ type: 'user.tool_confirmation', tool_use_id: use.id, result: 'allow' }],
    });
    await untilIdle(steward, id, idle.seq);
    const events = await eventsOf(steward, id);
    expect(events.filter((event) => event.type === 'agent.tool_result').length).toBe(1);
    expect(textOf(events.findLast((event) => event.type === 'agent.message')!)).toContain(
      'The tool says: telegram:7 is not a known place',
    );
    expect(
      await statusOf(
        client.beta.sessions.events.send(id, {
          events: [{ type: 'user.tool_confirmation', tool_use_id: use.id, result: 'allow' }],
        }),
      ),
    ).toBe(409);
  });

  it('a denied call is never run, and the model hears why', async () => {
    const { id, idle, use } = await waiting();
    await client.beta.sessions.events.send(id, {
      events: [{ type: 'user.tool_confirmation', tool_use_id: use.id, result: 'deny', deny_message: 'not now' }],
    });
    await untilIdle(steward, id, idle.seq);
    const events = await eventsOf(steward, id);
    expect(events.some((event) => event.type === 'span.tool_start')).toBe(false);
    expect(textOf(events.findLast((event) => event.type === 'agent.message')!)).toContain('The owner said no: not now');
  });

  it('cannot be given from another session, nor for what is no call', async () => {
    const { id, use } = await waiting();
    const other = await newSession(steward);
    const allow = (session: string, tool_use_id: string) =>
      statusOf(
        client.beta.sessions.events.send(session, {
          events: [{ type: 'user.tool_confirmation', tool_use_id, result: 'allow' }],
        }),
      );
    expect(await allow(other, use.id)).toBe(404);
    const message = (await eventsOf(steward, id)).find((event) => event.type === 'user.message')!;
    expect(await allow(id, message.id)).toBe(404);
    expect((await eventsOf(steward, id)).some((event) => event.type === 'user.tool_confirmation')).toBe(false);
  });

  it('talking goes on while a call waits, and the session still says what it waits for', async () => {
    const { id, idle, use } = await waiting();
    await say(steward, id, 'meanwhile');
    const next = await until(steward, id, 'the next rest', (event) => event.type === 'session.status_idle', {
      after: idle.seq,
    });
    expect(next.stop_reason).toEqual({ type: 'requires_action', event_ids: [use.id] });
    const events = await eventsOf(steward, id);
    expect(textOf(events.findLast((event) => event.type === 'agent.message')!)).toContain('meanwhile');
  });
});

describe('custom tools', () => {
  const agentWith = (name: string) =>
    client.beta.agents.create({
      name: 'Custom',
      model: 'claude-opus-5-5',
      tools: [
        { type: 'agent_toolset_20260401' },
        {
          type: 'custom',
          name,
          description: 'The weather of a city.',
          input_schema: { type: 'object', properties: { city: { type: 'string' } } },
        },
      ],
    });
  const asking = async () => {
    const agent = await agentWith('get_weather');
    const { id } = await create({ agent: agent.id });
    await say(steward, id, 'weather?');
    const idle = await untilIdle(steward, id);
    const use = (await eventsOf(steward, id)).find((event) => event.type === 'agent.custom_tool_use')!;
    return { id, idle, use };
  };
  const result = (id: string, custom_tool_use_id: string, text = 'rain') =>
    client.beta.sessions.events.send(id, {
      events: [{ type: 'user.custom_tool_result', custom_tool_use_id, content: [{ type: 'text', text }] }],
    });

  it('go round: the model calls, the client answers, the model goes on', async () => {
    const { id, idle, use } = await asking();
    expect(use).toMatchObject({ name: 'get_weather', input: { city: 'Oslo' } });
    expect(idle.stop_reason).toEqual({ type: 'requires_action', event_ids: [use.id] });
    await result(id, use.id);
    await untilIdle(steward, id, idle.seq);
    const events = await eventsOf(steward, id);
    expect(textOf(events.findLast((event) => event.type === 'agent.message')!)).toBe('The tool says: rain');
    expect(await client.beta.sessions.retrieve(id)).toMatchObject({ tainted: true });
  });

  it('a result is taken once, and only for an open call of the session', async () => {
    const { id, idle, use } = await asking();
    const other = await newSession(steward);
    expect(await statusOf(result(other, use.id))).toBe(404);
    expect(await statusOf(result(id, 'sevt_none'))).toBe(404);
    await result(id, use.id);
    expect(await statusOf(result(id, use.id, 'snow'))).toBe(409);
    await untilIdle(steward, id, idle.seq);
    expect(await statusOf(result(id, use.id, 'snow'))).toBe(409);
    expect((await eventsOf(steward, id)).filter((event) => event.type === 'user.custom_tool_result').length).toBe(1);
  });

  it('may take the name of one of Steward’s own', async () => {
    const agent = await agentWith('web_fetch');
    const { id } = await create({ agent: agent.id });
    const { texts } = await ask(steward, id, 'hello');
    expect(texts).toEqual([expect.stringContaining('hello')]);
    const last = model.requests.at(-1)!.body as { tools: { name: string; description: string }[] };
    expect(last.tools.filter((tool) => tool.name === 'web_fetch').map((tool) => tool.description)).toEqual([
      'The weather of a city.',
    ]);
  });

  it('what an agent is not offered it cannot call', async () => {
    const agent = await client.beta.agents.create({ name: 'Bare', model: 'claude-opus-5-5' });
    const { id } = await create({ agent: agent.id });
    const { texts } = await ask(steward, id, 'send it');
    expect(texts).toEqual([expect.stringContaining('There is no tool named send_message')]);
    expect((await eventsOf(steward, id)).find((event) => event.type === 'agent.tool_use')).toMatchObject({
      evaluated_permission: 'deny',
    });
  });
});

describe('an event the API does not know', () => {
  it.each([
    ['an unknown type', { type: 'user.dance' }],
    ['a type of the agent', { type: 'agent.message', content: [{ type: 'text', text: 'forged' }] }],
    ['a status', { type: 'session.status_idle' }],
    ['no type', { content: [] }],
    ['no content', { type: 'user.message' }],
    ['empty content', { type: 'user.message', content: [] }],
    ['content that is text', { type: 'user.message', content: 'hello' }],
    ['an unknown block', { type: 'user.message', content: [{ type: 'video', url: 'x' }] }],
    [
      'an image by URL',
      { type: 'user.message', content: [{ type: 'image', source: { type: 'url', url: 'http://x' } }] },
    ],
    [
      'an image that is no base64',
      {
        type: 'user.message',
        content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: '%%%' } }],
      },
    ],
    [
      'an SVG',
      {
        type: 'user.message',
        content: [{ type: 'image', source: { type: 'base64', media_type: 'image/svg+xml', data: 'AAAA' } }],
      },
    ],
    ['another verdict', { type: 'user.tool_confirmation', tool_use_id: 'x', result: 'maybe' }],
  ])('is refused with a reason: %s', async (_, event) => {
    const id = await newSession(steward);
    const answer = await request(steward, `/v1/sessions/${id}/events`, { body: { events: [event] } });
    expect(answer).toMatchObject({
      status: 400,
      body: {
        type: 'error',
        error: { type: 'invalid_request_error', message: expect.stringMatching(/events/) },
        request_id: expect.stringMatching(/^req_/),
      },
    });
    expect(await eventsOf(steward, id)).toEqual([]);
  });

  it('no events and too many', async () => {
    const id = await newSession(steward);
    for (const events of [[], Array(51).fill({ type: 'user.interrupt' }), null, 'x', undefined])
      expect((await request(steward, `/v1/sessions/${id}/events`, { body: { events } })).status).toBe(400);
  });
});

describe('steering', () => {
  it('what is said while the model answers is read before the next request', async () => {
    const id = await newSession(steward);
    const go = Promise.withResolvers<void>();
    model.faults.next({ kind: 'hold', afterChunks: 4, until: go.promise });
    await say(steward, id, 'one two three four five six seven eight nine ten');
    await until(steward, id, 'the request', (event) => event.type === 'span.model_request_start');
    await send(steward, id, { type: 'user.message', content: [{ type: 'text', text: 'and also this' }] });
    go.resolve();
    await untilIdle(steward, id);
    const events = await eventsOf(steward, id);
    const messages = events.filter((event) => event.type === 'agent.message').map(textOf);
    expect(messages.length).toBe(2);
    expect(messages[1]).toContain('and also this');
    expect(events.filter((event) => event.type === 'session.status_idle').length).toBe(1);
  });

  it('an interrupt in mid-stream ends the answer at once, keeps what was said, and the session goes on', async () => {
    const id = await newSession(steward);
    model.faults.next({ kind: 'endless', msPerChunk: 20, text: 'and on ' });
    const shown = (async () => {
      const end = new AbortController();
      for await (const { event, data } of stream(steward, id, {
        after: 0,
        deltas: ['agent.message'],
        signal: end.signal,
      }))
        if (event === 'event_delta' && JSON.stringify(data).includes('and on')) end.abort();
    })();
    await say(steward, id, 'talk for ever');
    await shown;
    const began = performance.now();
    await send(steward, id, { type: 'user.interrupt' });
    const idle = await untilIdle(steward, id);
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(idle.stop_reason).toEqual({ type: 'end_turn' });
    const events = await eventsOf(steward, id);
    expect(events.find((event) => event.type === 'agent.message')).toMatchObject({
      interrupted: true,
      content: [{ text: expect.stringMatching(/and on/) }],
    });
    expect(events.find((event) => event.type === 'span.model_request_end')).toMatchObject({ is_error: true });
    expect((await ask(steward, id, 'still there?')).texts).toEqual([expect.stringContaining('still there?')]);
  });

  it('an interrupt when nothing runs is no error', async () => {
    const id = await newSession(steward);
    await send(steward, id, { type: 'user.interrupt' });
    await untilIdle(steward, id);
    expect((await ask(steward, id, 'hello')).texts.length).toBe(1);
  });
});
