// `steward chat`: one message to the end of its turn, through approvals, lost answers and restarts of the process.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { command, fail, openStage, type Person, type Stage, serveSession } from './stage.ts';

let stage: Stage;
let session: ReturnType<typeof serveSession>;
beforeEach(async () => {
  stage = await openStage();
  session = serveSession(stage, 'sesn_main', [
    { id: 'sevt_0', type: 'agent.message', content: [{ type: 'text', text: 'long ago' }] },
  ]);
  stage.routes[send] = () => ({ data: [mine] });
});
afterEach(() => stage.end());

const send = 'POST /v1/sessions/sesn_main/events';
const mine = { id: 'sevt_mine', type: 'user.message', processed_at: null };
const read = { ...mine, processed_at: '2026-11-20T08:00:00.000Z' };
const says = (text: string, id = 'sevt_a') => ({ id, type: 'agent.message', content: [{ type: 'text', text }] });
const idle = (type = 'end_turn', event_ids?: string[]) => ({
  id: `sevt_${type}`,
  type: 'session.status_idle',
  stop_reason: { type, event_ids },
});
const chat = (person: Person = {}, ...args: string[]) => command(stage.env(), ['chat', ...args], person);

describe('one message', () => {
  it('is sent once, and its answer is all there is on stdout', async () => {
    session.push(); // Nothing old is shown.
    const heard = chat({}, 'hello');
    await session.watched();
    session.push(
      read,
      { id: 'sevt_t', type: 'agent.tool_use', name: 'web_fetch', input: { url: 'x' } },
      says('Hi.'),
      says('And more.', 'sevt_b'),
      idle(),
    );
    expect(await heard).toEqual({ code: 0, out: 'Hi.\nAnd more.\n', err: '→ web_fetch {"url":"x"}\n' });
    const posts = stage.calls.filter((call) => call.method === 'POST');
    expect(posts).toHaveLength(1);
    expect(posts[0]).toMatchObject({
      key: expect.any(String),
      body: { events: [{ type: 'user.message', content: [{ type: 'text', text: 'hello' }] }] },
    });
  });

  it('does not end with the turn before its own', async () => {
    const heard = chat({}, 'hello');
    await session.watched();
    session.push(says('about something else'), idle());
    await new Promise((resolve) => setImmediate(resolve));
    session.push(read, says('Hi.', 'sevt_b'), idle());
    expect((await heard).out).toBe('about something else\nHi.\n');
  });

  it('can be piped in, and nothing is nothing', async () => {
    const heard = chat({ types: 'from a file\n' });
    await session.watched();
    session.push(read, says('Got it.'), idle());
    expect(await heard).toMatchObject({ code: 0, out: 'Got it.\n' });
    expect(stage.calls.find((call) => call.method === 'POST')?.body).toMatchObject({
      events: [{ content: [{ text: 'from a file' }] }],
    });
    expect(await chat({ types: ' \n' })).toMatchObject({ code: 1, err: expect.stringContaining('nothing to send') });
  });

  it.each([
    ['requires_action', 'waits for your approval'],
    ['retries_exhausted', 'could not be reached'],
    ['budget_reached', 'budget is spent'],
    ['something_new', 'rests: something_new'],
  ])('%s exits 1 and says why', async (reason, why) => {
    const heard = chat({}, 'hello');
    await session.watched();
    session.push(read, idle(reason, ['sevt_x']));
    expect(await heard).toEqual({ code: 1, out: '', err: expect.stringContaining(why) });
  });

  it('a session that is not there is said', async () => {
    expect(await chat({}, 'hello', '-s', 'sesn_gone')).toMatchObject({
      code: 1,
      err: expect.stringContaining('nothing at GET'),
    });
  });
});

describe('at a terminal', () => {
  it('the answer appears as it is written, and only once', async () => {
    const heard = chat({ present: true }, 'hello');
    await session.watched();
    session.preview({ type: 'event_start', event: { id: 'sevt_a', type: 'agent.message' } });
    for (const text of ['One ', 'two '])
      session.preview({ type: 'event_delta', event_id: 'sevt_a', delta: { content: { text } } });
    session.push(read, says('One two three.'), idle());
    expect((await heard).out).toBe('One two three.\n');
  });

  it('an answer that broke off is told apart from the next', async () => {
    const heard = chat({ present: true }, 'hello');
    await session.watched();
    session.preview({ type: 'event_delta', event_id: 'sevt_a', delta: { content: { text: 'On\u001b[2J' } } });
    session.push(
      read,
      { id: 'sevt_s', type: 'span.model_request_end', is_error: true },
      says('One.', 'sevt_b'),
      idle(),
    );
    const { out, err } = await heard;
    expect(out).toBe('On\\u001b[2J\nOne.\n');
    expect(err).toContain('broke off');
  });

  it.each([
    ['y\n', 'allow'],
    ['\n', 'deny'],
    ['yesterday\n', 'deny'],
  ])('an approval answered %j is %s', async (answer, result) => {
    stage.routes['GET /api/approvals'] = () => ({
      data: [
        {
          id: 'sevt_x',
          session_id: 'sesn_main',
          name: 'send',
          title: 'Send it',
          detail: '{"a":1}',
          why: 'outward',
          created_at: null,
          expires_at: null,
        },
        {
          id: 'sevt_y',
          session_id: 'sesn_other',
          name: 'send',
          title: 'Not ours',
          detail: '',
          why: '',
          created_at: null,
          expires_at: null,
        },
      ],
    });
    stage.routes[send] = ({ body }) => {
      const [event] = (body as { events: { type: string }[] }).events;
      if (event!.type === 'user.message') return { data: [mine] };
      session.push(says('Done.'), idle());
      return { data: [] };
    };
    const heard = chat({ present: true, replies: [['Allow? [y/N]', answer]] }, 'hello');
    await session.watched();
    session.push(read, idle('requires_action', ['sevt_x']));
    expect(await heard).toMatchObject({ code: 0, out: 'Done.\n' });
    expect(stage.calls.filter((call) => call.method === 'POST').at(-1)?.body).toEqual({
      events: [{ type: 'user.tool_confirmation', tool_use_id: 'sevt_x', result }],
    });
  });

  it('an approval answered elsewhere meanwhile is no failure', async () => {
    stage.routes['GET /api/approvals'] = () => ({
      data: [
        {
          id: 'sevt_x',
          session_id: 'sesn_main',
          name: 's',
          title: 'Send it',
          detail: '',
          why: '',
          created_at: null,
          expires_at: null,
        },
      ],
    });
    stage.routes[send] = ({ body }, response) => {
      if ((body as { events: { type: string }[] }).events[0]!.type === 'user.message') return { data: [mine] };
      session.push(says('Done.'), idle());
      return fail(response, 409, 'It was answered already.');
    };
    const heard = chat({ present: true, replies: [['Allow?', 'y\n']] }, 'hello');
    await session.watched();
    session.push(read, idle('requires_action', ['sevt_x']));
    expect(await heard).toMatchObject({ code: 0, out: 'Done.\n', err: expect.stringContaining('answered already') });
  });

  it('is a conversation without text, and /quit leaves it', async () => {
    let asked = 0;
    stage.routes[send] = () => {
      const id = `sevt_mine${++asked}`;
      session.push({ ...read, id }, says(`Answer ${asked}.`, `sevt_a${asked}`), idle());
      return { data: [{ ...mine, id }] };
    };
    const replies: [string, string][] = [
      ['› ', 'first\n'],
      ['› ', 'second\n'],
      ['› ', '/quit\n'],
    ];
    const { code, out } = await chat({ present: true, replies });
    expect({ code, out }).toEqual({ code: 0, out: 'Answer 1.\nAnswer 2.\n' });
  });
});

describe('when the process dies in between', () => {
  it('the stream goes on where it was', async () => {
    const heard = chat({}, 'hello');
    await session.watched();
    session.push(read, says('First.'));
    await stage.down();
    await stage.up();
    await session.watched();
    session.push(says('Second.', 'sevt_b'), idle());
    expect(await heard).toMatchObject({ code: 0, out: 'First.\nSecond.\n' });
  });

  it('a lost confirmation is asked for again with the same key', async () => {
    let tries = 0;
    stage.routes[send] = (_, response) => {
      if (++tries > 1) return { data: [mine] };
      response.destroy();
      return undefined;
    };
    const heard = chat({}, 'hello');
    await session.watched();
    session.push(read, says('Hi.'), idle());
    expect(await heard).toMatchObject({ code: 0, out: 'Hi.\n' });
    const keys = stage.calls.filter((call) => call.method === 'POST').map((call) => call.key);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
  });
});
