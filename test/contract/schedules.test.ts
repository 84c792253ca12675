// Schedules over the wire of a real process: /api/schedules, the command line, and that a refusal leaves nothing half-made.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import { request } from '../helpers/talk.ts';
import { command } from '../unit/core/cli/stage.ts';

let steward: StewardProcess;
beforeAll(async () => {
  steward = await startSteward({ env: { STEWARD_TZ: 'Europe/Berlin' } });
});
afterAll(() => steward?.stop());

type Body = Record<string, unknown> & { id: string; upcoming: { local: string }[]; error: { message: string } };
const api = async (path: string, options: { method?: string; body?: unknown } = {}) => {
  const { status, body } = await request(steward, `/api/schedules${path}`, options);
  return { status, body: body as Body };
};
const make = (body: object) => api('', { body: { starts: { kind: 'message', text: 'Stretch' }, ...body } });
const ids = async () => ((await api('')).body.data as { id: string }[]).map(({ id }) => id);
const run = (...args: string[]) =>
  command({ STEWARD_HOME: steward.home, STEWARD_PORT: new URL(steward.url).port }, args);

describe('/api/schedules', () => {
  it('makes one of words or of a rule, and says the next five runs in local time', async () => {
    const { status, body } = await make({ name: 'Weekdays', when: 'every weekday at 7:30' });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      name: 'Weekdays',
      state: 'active',
      rule: { kind: 'cron', time_zone: 'Europe/Berlin' },
    });
    expect(body.upcoming).toHaveLength(5);
    for (const { local } of body.upcoming) expect(local).toMatch(/^(Mon|Tue|Wed|Thu|Fri) \S+ 07:30 Europe\/Berlin$/);
    const exact = await make({ rule: { kind: 'cron', expression: '0 9 * * *', time_zone: 'Asia/Tokyo' } });
    expect(exact.body.upcoming[0]!.local).toMatch(/09:00 Asia\/Tokyo$/);
    expect(exact.body.name).toBe('Stretch');
    const before = await ids();
    const preview = await api('/preview', { body: { when: 'every day at 8' } });
    expect(preview.body.upcoming).toHaveLength(5);
    expect(await ids()).toEqual(before);
  });

  it('is changed, paused, resumed, run, explained and archived, by id or name', async () => {
    const { body } = await make({ name: 'Tea', when: 'every day at 16' });
    expect((await api('/tea', { method: 'PATCH', body: { name: 'Green tea' } })).body).toMatchObject({ revision: 2 });
    expect((await api(`/${body.id}/pause`, { body: {} })).body).toMatchObject({
      state: 'paused',
      paused: { kind: 'manual' },
    });
    expect((await api(`/${body.id}/resume`, { body: {} })).body).toMatchObject({ state: 'active' });
    expect((await api(`/${body.id}/run`, { body: {} })).body).toMatchObject({ trigger: 'manual', state: 'succeeded' });
    expect((await api(`/${body.id}/runs`)).body.data).toMatchObject([{ state: 'succeeded', result: 'Stretch' }]);
    expect((await api(`/${body.id}/next?limit=3`)).body.data).toHaveLength(3);
    expect((await api(`/${body.id}/why`)).body.why).toMatch(/\S/);
    expect((await api(`/${body.id}`, { method: 'DELETE' })).body).toMatchObject({ state: 'archived', upcoming: [] });
    expect(await ids()).not.toContain(body.id);
    expect((await api(`/${body.id}/pause`, { body: {} })).status).toBe(409);
  });

  it.each<[string, object, RegExp]>([
    ['a day there is not', { when: '2027-02-30 10:00' }, /2027-02-30|no such|not a day|is no/i],
    ['a zone there is not', { when: 'every day at 8', time_zone: 'Europe/Berln' }, /Europe\/Berlin/],
    ['six fields', { rule: { kind: 'cron', expression: '0 0 8 * * *' } }, /five fields|5 fields/i],
    ['2^31 of everything', { rule: { kind: 'interval', every_ms: 2 ** 53 } }, /\S/],
    ['a once in the past', { rule: { kind: 'once', at: '2001-01-01T00:00:00Z' } }, /past|passed/i],
    ['words and a rule', { when: 'every day at 8', rule: { kind: 'manual' } }, /not both/],
    ['nothing of when', {}, /does not say when/],
    ['a field there is not', { when: 'every day at 8', sudo: true }, /sudo|unrecognized/i],
    ['a place nobody wrote from', { when: 'every day at 8', deliver_to: 'telegram:99' }, /Nobody is known/],
    ['no words', { when: 'every day at 8', starts: { kind: 'message', text: ' ' } }, /no words/],
  ])('refuses %s in a sentence, and keeps no row', async (_, body, said) => {
    const before = await ids();
    const answer = await make(body);
    expect(answer.status, JSON.stringify(answer.body)).toBe(400);
    expect(answer.body.error.message).toMatch(said);
    expect(await ids()).toEqual(before);
  });

  it('an interval longer than a timer can count is one all the same', async () => {
    const { status, body } = await make({ rule: { kind: 'interval', every_ms: 2 ** 31 } });
    expect(status).toBe(200);
    expect(body.upcoming).toHaveLength(5);
    expect(((await api(`/${body.id}/runs`)).body.data as unknown[]).length).toBe(0);
  });
});

describe('steward schedule', () => {
  it('adds, lists, explains, pauses and removes', async () => {
    const added = await run(
      'schedule',
      'add',
      'every weekday at 7:30',
      'Weather',
      '--name',
      'Brief',
      '--quiet',
      '22:00-07:00',
      '--allow-host',
      'wttr.in',
    );
    expect(added).toMatchObject({ code: 0, err: '' });
    expect(added.out).toMatch(
      /^sched_\w+ {2}“Brief”: .*\nNext runs:\n(?: {2}\w{3} \S+ 07:30 Europe\/Berlin\n){5}Without asking it may reach wttr\.in; .* is denied, since nobody looks on\.\n$/,
    );
    expect((await run('schedules')).out).toMatch(/^ID +STATE +NEXT +NAME +WHEN\n/);
    expect(JSON.parse((await run('schedule', 'list', '--json')).out)).toContainEqual(
      expect.objectContaining({ name: 'Brief', grants: { hosts: ['wttr.in'], tools: [], recipients: [] } }),
    );
    expect((await run('schedule', 'next', 'brief', '-n', '2')).out.match(/07:30/g)).toHaveLength(2);
    expect((await run('schedule', 'why', 'Brief', '2026-01-01')).code).toBe(0);
    expect((await run('schedule', 'pause', 'Brief')).out).toMatch(/is paused\.\n$/);
    expect((await run('schedule', 'resume', 'Brief')).out).toMatch(/goes on\.\nNext runs:/);
    expect((await run('schedule', 'history', 'Brief')).out).toBe('It has not run yet.\n');
    expect((await run('schedule', 'remove', 'Brief')).out).toMatch(/is removed/);
    expect(await run('schedule', 'show', 'Brief')).toMatchObject({
      code: 1,
      err: expect.stringContaining('no schedule'),
    });
    expect((await run('schedule', 'add', 'whenever', 'x')).code).toBe(1);
    expect((await run('schedule', 'add', 'every day at 8')).code).toBe(2);
  });

  it('takes a job, conditions, and what has no time of its own', async () => {
    const brief = JSON.parse((await run('schedule', 'add', 'every day at 6', '--job', 'brief', '--json')).out);
    expect(brief).toMatchObject({ name: 'brief', starts: { kind: 'job', job: 'brief' } });
    const heartbeat = ['schedule', 'add', 'every 30 minutes', 'Anything for me?', '--name', 'Heartbeat'];
    const looks = ['--if', 'loops', '--if', 'http:https://example.org/feed', '--if', 'file:inbox.txt'];
    expect(JSON.parse((await run(...heartbeat, ...looks, '--json')).out).conditions).toEqual([
      { kind: 'loops' },
      { kind: 'http', url: 'https://example.org/feed' },
      { kind: 'file', path: 'inbox.txt' },
    ]);
    const manual = await run('schedule', 'add', 'manual', 'Look at the failed build');
    expect(manual.out).toMatch(/It has no runs of its own ahead\.\nIt was granted nothing: .* is denied/);
    const main = await run('schedule', 'add', 'every day at 9', 'What is next?', '--main');
    expect(main.out).toContain('what needs your approval waits for it as always.');
    const said = await run('schedule', 'add', 'every day at 16', 'Tea', '--message');
    expect(said.out).not.toContain('granted');
    for (const day of ['today', 'yesterday'])
      expect((await run('schedule', 'why', 'Heartbeat', day)).out).toMatch(/^Heartbeat on \d{4}-\d\d-\d\d \(Europe/);
  });

  it.each<[string[], number, string]>([
    [['every day at 8', 'x', '--job', 'brief'], 2, 'say what is to happen'],
    [['every day at 8', '--job', 'laundry'], 2, 'Allowed choices are brief'],
    [['every day at 8', '--job', 'brief', '--message'], 2, 'cannot be used with'],
    [['every day at 8', 'x', '--if', 'weather:fine'], 1, 'is nothing that can be looked at'],
    [['every day at 8', 'x', '--if', 'loops:all'], 1, 'is nothing that can be looked at'],
  ])('add %j is refused, and makes nothing', async (args, code, says) => {
    const before = await ids();
    expect(await run('schedule', 'add', ...args)).toMatchObject({ code, err: expect.stringContaining(says) });
    expect(await ids()).toEqual(before);
  });
});
