// The listing and deciding commands: what a person reads, what a program reads, and how each failure sounds.
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { command, fail, openStage, type Stage, status } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.end());
const run = (...args: string[]) => command(stage.env(), args);

const approval = {
  id: 'sevt_1',
  session_id: 'sesn_main',
  name: 'send_message',
  title: 'Send a message to Ann',
  detail: '{"text":"hi\u001b[2J"}',
  why: 'the session is tainted',
  created_at: '2026-11-20T08:00:00.000Z',
  expires_at: null,
};

describe('usage', () => {
  it.each([
    [['nonsense'], "unknown command 'nonsense'"],
    [['usage', '--days', 'many'], 'It must be a whole number'],
    [['deny'], "missing required argument 'id'"],
    [['status', '--nope'], "unknown option '--nope'"],
    [['run', 'fast'], 'too many arguments'],
  ])('%j exits 2', async (args, says) => {
    const { code, err, out } = await run(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(says);
    expect(err).toContain('steward --help lists the commands');
  });

  it('help and version are no mistakes', async () => {
    expect(await run('--version')).toEqual({ code: 0, out: '1.2.3\n', err: '' });
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    for (const name of 'run start stop restart status logs login chat sessions trace approve deny pair usage doctor'.split(
      ' ',
    ))
      expect(out).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
  });

  it('bad settings exit 78, one sentence each', async () => {
    const { code, err } = await command(stage.env({ STEWARD_TZ: 'x', STEWARD_PROT: '1' }), ['status']);
    expect(code).toBe(78);
    expect(err.trim().split('\n')).toHaveLength(2);
  });
});

describe('when it cannot be asked', () => {
  it('is not running', async () => {
    await stage.down();
    expect(await run('status')).toEqual({
      code: 1,
      out: '',
      err: 'Steward is not running. Start it with npm start.\n',
    });
  });

  it('the token is another one', async () => {
    writeFileSync(join(stage.home, 'token'), 'other');
    const { code, err } = await run('sessions');
    expect(code).toBe(1);
    expect(err).toContain(`does not accept the token in ${stage.home}`);
    rmSync(join(stage.home, 'token'));
    expect((await run('sessions')).err).toContain(`There is no token in ${stage.home}`);
  });

  it.skipIf(process.getuid?.() === 0)('the token is for others', async () => {
    chmodSync(join(stage.home, 'token'), 0o000);
    expect((await run('sessions')).err).toContain('cannot be read');
  });

  it('somebody else listens there', async () => {
    await stage.down();
    const other = createServer((_, response) => void response.end('<html>hello</html>'));
    await new Promise<void>((resolve) => other.listen(stage.port(), '127.0.0.1', resolve));
    const { code, err } = await run('status');
    expect(code).toBe(1);
    expect(err).toContain(`Something other than this Steward answers at http://127.0.0.1:${stage.port()}`);
    await new Promise((resolve) => other.close(resolve));
  });

  it("shows the server's own words and hint", async () => {
    stage.routes['GET /api/usage'] = (_, response) => fail(response, 507, 'The disk is full.', 'Free some space.');
    expect(await run('usage')).toEqual({ code: 1, out: '', err: 'The disk is full.\nFree some space.\n' });
  });
});

describe('status', () => {
  it('is a few lines, and JSON on request', async () => {
    const { code, out } = await run('status');
    expect(code).toBe(0);
    expect(out).toContain('Steward    1.2.3, ready');
    expect(out).toContain('$0.2500 of $10.00');
    expect(JSON.parse((await run('status', '--json')).out)).toEqual(status);
  });

  it('says what holds the hands, and what does not', async () => {
    expect((await run('status')).out).toContain(
      'bwrap: isolation by namespaces; no way out but the broker; memory by cgroup v2; no limit on cpu; 1 in use',
    );
    const none = { ...status.hands, driver: 'none', isolation: 'none', egress_locked: false, alive: 0 };
    stage.routes['GET /api/status'] = () => ({ ...status, hands: none });
    expect((await run('status')).out).toContain('none: NOTHING IS ISOLATED; the way out is open');
  });

  it('understands a process older than itself', async () => {
    stage.routes['GET /api/status'] = () => ({ ...status, hands: undefined });
    expect(await run('status')).toMatchObject({ code: 0, out: expect.not.stringContaining('Hands') });
  });

  it('begins with the trouble', async () => {
    stage.routes['GET /api/status'] = () => ({
      ...status,
      safe_mode: { since: '2026-11-20T08:00:00.000Z', why: 'It crashed five times.' },
      disk: { state: 'full' },
      notices: [{ level: 'error', text: 'channel telegram: 409\u001b[31m' }],
    });
    const { out } = await run('status');
    expect(out.split('\n').slice(0, 3)).toEqual([
      'Safe mode: It crashed five times. Only console and status work.',
      'The disk is full: nothing new is accepted until there is space.',
      'Error: channel telegram: 409\\u001b[31m',
    ]);
  });
});

it('sessions lists the latest and passes the limit on', async () => {
  const session = { id: 'sesn_1', title: null, status: 'idle', main: true, updated_at: new Date().toISOString() };
  stage.routes['GET /v1/sessions'] = () => ({
    data: [
      session,
      {
        ...session,
        id: 'sesn_2',
        main: false,
        title: 'A\ttitle\nof two lines',
        stop_reason: { type: 'requires_action' },
      },
    ],
    next_page: null,
  });
  const { out } = await run('sessions', '-n', '2', '--archived');
  expect(out).toMatch(/sesn_1 +idle +0 s ago +the main conversation\n/);
  expect(out).toMatch(/sesn_2 +idle \(requires_action\) +0 s ago +A title of two lines\n/);
  expect(stage.calls.at(-1)?.path).toBe('/v1/sessions?limit=2&order=desc&include_archived=true');
  expect(JSON.parse((await run('sessions', '--json')).out)).toHaveLength(2);
});

it('usage names the unknown price', async () => {
  const row = { day: '2026-11-20', requests: 2, input_tokens: 10, output_tokens: 5 };
  stage.routes['GET /api/usage'] = () => ({
    data: [
      { ...row, model: 'claude', cost_usd: 0.0123 },
      { ...row, model: 'local', cost_usd: null },
    ],
    total_usd: 0.0123,
    unpriced_models: ['local'],
  });
  const { out } = await run('usage', '-d', '7');
  expect(out).toMatch(/claude +2 +10 +5 +\$0\.0123\n/);
  expect(out).toMatch(/local +2 +10 +5 +unknown\n/);
  expect(out).toContain('Total $0.0123 in 7 days. The price of local is unknown and not in it.');
});

it('login prints the link and nothing else', async () => {
  stage.routes['POST /api/login-links'] = () => ({ url: 'http://127.0.0.1:1/login?code=x', expires_at: null });
  expect(await run('login')).toEqual({ code: 0, out: 'http://127.0.0.1:1/login?code=x\n', err: '' });
});

describe('approve and deny', () => {
  beforeEach(() => {
    stage.routes['GET /api/approvals'] = () => ({ data: [approval] });
    stage.routes['POST /v1/sessions/sesn_main/events'] = () => ({ data: [] });
  });

  it('lists in full, harmlessly', async () => {
    const { out } = await run('approve');
    expect(out).toContain('sevt_1  Send a message to Ann');
    expect(out).toContain('  {"text":"hi\\u001b[2J"}');
    expect(out).not.toContain('\u001b');
    expect(JSON.parse((await run('approve', '--json')).out)).toEqual([approval]);
  });

  it.each([
    [['approve', 'sevt_1'], { type: 'user.tool_confirmation', tool_use_id: 'sevt_1', result: 'allow' }, 'Allowed'],
    [
      ['deny', 'sevt_1', '-m', 'not now'],
      { type: 'user.tool_confirmation', tool_use_id: 'sevt_1', result: 'deny', deny_message: 'not now' },
      'Denied',
    ],
  ])('%j', async (args, event, says) => {
    const { code, out } = await run(...args);
    expect({ code, out }).toEqual({ code: 0, out: `${says}: Send a message to Ann\n` });
    expect(stage.calls.at(-1)).toMatchObject({ body: { events: [event] }, key: expect.any(String) });
  });

  it('does not guess', async () => {
    const { code, err } = await run('approve', 'sevt_2');
    expect(code).toBe(1);
    expect(err).toContain('No approval sevt_2 is waiting.');
  });
});

describe('pair', () => {
  beforeEach(() => {
    stage.routes['GET /api/pairings'] = () => ({
      data: [{ code: 'ABC', channel: 'telegram', user_id: '7', name: 'Ann', expires_at: null }],
    });
    stage.routes['GET /api/identities'] = () => ({
      data: [{ channel: 'telegram', user_id: '8', name: 'Bo', role: 'guest', paired_at: null }],
    });
    stage.routes['POST /api/pairings/ABC/approve'] = (call) => ({
      name: 'Ann',
      channel: 'telegram',
      user_id: '7',
      ...(call.body as object),
    });
    stage.routes['POST /api/pairings/ABC/deny'] = () => ({ denied: true });
    stage.routes['DELETE /api/identities/telegram/8'] = () => ({ revoked: true });
  });

  it.each([
    [['pair'], /ABC +telegram +7 +Ann/],
    [['pair', 'ABC'], /^Ann on telegram is now paired as owner\.\n$/],
    [['pair', 'ABC', '--guest'], /^Ann on telegram is now paired as guest\.\n$/],
    [['pair', '--deny', 'ABC'], /^Code ABC is refused\.\n$/],
    [['pair', '--list'], /telegram:8 +guest +– +Bo/],
    [['pair', '--revoke', 'telegram:8'], /^telegram:8 is no longer paired\.\n$/],
  ])('%j', async (args, says) => {
    const { code, out } = await run(...args);
    expect(code).toBe(0);
    expect(out).toMatch(says);
    const asJson = await run(...args, '--json');
    expect(asJson.code).toBe(0);
    expect(JSON.parse(asJson.out)).toBeTruthy();
  });

  it('explains a malformed name', async () => {
    expect((await run('pair', '--revoke', 'telegram')).err).toContain('is not of the form channel:user');
  });
});

describe('trace', () => {
  const at = (ms: number) => new Date(Date.UTC(2026, 10, 20, 8, 0, 0, ms)).toISOString();
  const events = [
    { id: 'sevt_1', type: 'user.message', seq: 1, created_at: at(0), content: [{ type: 'text', text: 'hello\u0007' }] },
    {
      id: 'sevt_2',
      type: 'agent.tool_use',
      seq: 2,
      created_at: at(40),
      name: 'web_fetch',
      input: { url: 'http://x' },
      evaluated_permission: 'allow',
    },
    {
      id: 'sevt_3',
      type: 'span.model_request_end',
      seq: 3,
      created_at: at(90),
      cost_usd: 0.5,
      model: 'm',
      is_error: false,
    },
    { id: 'sevt_4', type: 'something.new', seq: 4, created_at: at(95), colour: 'blue' },
    { id: 'sevt_5', type: 'session.status_idle', seq: 5, created_at: at(99), stop_reason: { type: 'end_turn' } },
  ];

  it('shows time between, cost and types nobody knows', async () => {
    // Two pages of two and one of one, newest first, as the API hands them out.
    stage.routes['GET /v1/sessions/sesn_main/events'] = (call) => {
      const from = Number(new URLSearchParams(call.path.split('?')[1]).get('page') ?? 0);
      const data = [...events].reverse().slice(from, from + 2);
      return { data, next_page: from + 2 < events.length ? String(from + 2) : null };
    };
    const { out } = await run('trace');
    const lines = out
      .trim()
      .split('\n')
      .slice(1)
      .map((line) =>
        line
          .slice(line.indexOf('.') + 4)
          .trim()
          .replace(/ +/g, ' '),
      );
    expect(lines).toEqual([
      'user.message hello\\u0007',
      '40 agent.tool_use web_fetch {"url":"http://x"} [allow]',
      '50 span.model_request_end $0.5000 model=m',
      '5 something.new colour=blue',
      '4 session.status_idle end_turn',
    ]);
    expect(JSON.parse((await run('trace', 'sesn_main', '--json', '-n', '3')).out)).toMatchObject([
      { id: 'sevt_3' },
      { id: 'sevt_4' },
      { id: 'sevt_5' },
    ]);
  });

  it('of an event is its custody', async () => {
    stage.routes['GET /api/events/sevt_1/custody'] = () => ({
      event_id: 'sevt_1',
      steps: [
        { step: 'received', at: at(0), detail: 'telegram:7' },
        { step: 'stored', at: at(3), detail: 'seq 1' },
      ],
    });
    const { out } = await run('trace', 'sevt_1');
    expect(out).toMatch(/received +telegram:7\n/);
    expect(out).toMatch(/ 3 +stored +seq 1\n/);
  });
});
