// Code tasks over the wire of a real process: /api/tasks, the command line, and that a refusal leaves nothing half-made.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import { request } from '../helpers/talk.ts';
import { repository } from '../helpers/tasks-house.ts';
import { command } from '../unit/core/cli/stage.ts';

const bwrap = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'bwrap')));

let steward: StewardProcess;
beforeAll(async () => {
  steward = await startSteward();
});
afterAll(() => steward?.stop());

type Shown = Record<string, unknown> & { id: string; session_id: string; state: string };
type Body = Shown & {
  task: Shown;
  is_new: boolean;
  data: Shown[];
  next_page: string | null;
  error: { message: string };
};
const api = async (path: string, options: { method?: string; body?: unknown } = {}) => {
  const { status, body } = await request(steward, `/api/tasks${path}`, options);
  return { status, body: body as Body };
};
/** A second one at work would wait for the first; and what nobody fetches never ends: it stays where it is. */
const wish = { repository: 'https://git.example/acme/app', instruction: 'Upgrade the date library.' };
const ids = async () => (await api('')).body.data.map(({ id }) => id);
const run = (...args: string[]) =>
  command({ STEWARD_HOME: steward.home, STEWARD_PORT: new URL(steward.url).port }, args);
const reached = async (id: string, ...states: string[]) => {
  await expect
    .poll(async () => (await api(`/${id}`)).body.state, { timeout: 30_000 })
    .toSatisfy((state) => states.includes(String(state)));
  return (await api(`/${id}`)).body;
};

describe('/api/tasks', () => {
  it('the same key is the same task', async () => {
    const body = { ...wish, verify: ['npm test'], limits: { turns: 7 }, idempotency_key: 'once' };
    const first = await api('', { body });
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({
      is_new: true,
      task: {
        ...{ type: 'task', title: 'Upgrade the date library.', repository: wish.repository, verify: ['npm test'] },
        ...{ created_by: 'web:api', delivery: 'auto', result: null, limits: { turns: 7, attempts: 3 } },
        branch: expect.stringMatching(/^steward\/task_\w+-upgrade-the-date-library$/),
      },
    });
    const again = await api('', { body: { ...body, instruction: 'Something else' } });
    expect(again.body).toMatchObject({
      is_new: false,
      task: { id: first.body.task.id, title: 'Upgrade the date library.' },
    });
    const other = await api('', { body: { ...body, idempotency_key: 'twice' } });
    expect(other.body.is_new).toBe(true);
    expect(await ids()).toEqual([other.body.task.id, first.body.task.id]);
    const page = await api('?limit=1');
    expect(page.body.data).toMatchObject([{ id: other.body.task.id }]);
    expect((await api(`?limit=1&page=${page.body.next_page}`)).body.data).toMatchObject([{ id: first.body.task.id }]);
    expect((await api(`/${first.body.task.id.slice(-8)}`)).body.id).toBe(first.body.task.id);
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', {}, /repository: .*instruction: /s],
    ['no words', { ...wish, instruction: '  ' }, /instruction: /],
    ['no address', { ...wish, repository: 'ext::sh -c id' }, /no repository address/],
    ['a field there is not', { ...wish, sudo: true }, /sudo/],
    ['a way out there is not', { ...wish, delivery: 'merge' }, /delivery: /],
    ['a harness there is not', { ...wish, harness: 'copilot' }, /There is no harness copilot/],
    ['no time at all', { ...wish, limits: { wall_ms: 0 } }, /The time of a task is between/],
    ['an empty check', { ...wish, verify: [''] }, /verify\.0: /],
    ['a host that is none', { ...wish, hosts: ['not a host'] }, /“not a host” is no host/],
    ['a branch that is an option', { ...wish, base: '--upload-pack=id' }, /\S/],
    ['a place that is none', { ...wish, deliver_to: 'somewhere' }, /deliver_to: must look like/],
    ['two problems', { ...wish, limits: { turns: 0, attempts: 0 } }, /The turns of a task.*The attempts of a task/],
    ['no JSON', '{"repository":', /not valid JSON/],
  ])('refuses %s in a sentence per problem, and keeps no row', async (_, body, said) => {
    const before = await ids();
    const answer = await api('', { body });
    expect(answer.status, JSON.stringify(answer.body)).toBe(400);
    expect(answer.body.error.message).toMatch(said);
    expect(await ids()).toEqual(before);
  });

  it('answers nobody without the token, and 404 for what is not there', async () => {
    const headers = { 'content-type': 'application/json' };
    const stranger = await fetch(`${steward.url}/api/tasks`, { method: 'POST', headers, body: JSON.stringify(wish) });
    expect(stranger.status).toBe(401);
    const wrong = await fetch(`${steward.url}/api/tasks`, { headers: { 'x-api-key': 'wrong' } });
    expect(wrong.status).toBe(401);
    for (const path of ['/task_nope', '/task_nope/diff', '/task_nope/checkpoints'])
      expect((await api(path)).status, path).toBe(404);
    for (const [verb, body] of [
      ['steer', { text: 'x' }],
      ['pause', {}],
      ['resume', {}],
      ['stop', {}],
      ['rollback', { checkpoint_id: 'chkp_1' }],
    ] as const)
      expect((await api(`/task_nope/${verb}`, { body })).status, verb).toBe(404);
    expect((await api('?page=zzz')).status).toBe(400);
    expect((await api('?open=perhaps')).status).toBe(400);
  });
});

describe.skipIf(!bwrap)('a task at work (bubblewrap is needed)', () => {
  it('is steered, paused, resumed, stopped over HTTP', async () => {
    const slow = {
      repository: await repository(),
      instruction: 'Look around.',
      setup: ['sleep 300'],
      delivery: 'patch',
    };
    const { task } = (await api('', { body: slow })).body;
    await reached(task.id, 'setup');
    expect((await api(`/${task.id}/steer`, { body: { text: 'Be brief.' } })).body).toMatchObject({ state: 'setup' });
    expect((await api(`/${task.id}/steer`, { body: { text: ' ' } })).status).toBe(400);
    const paused = await api(`/${task.id}/pause`, { body: { why: 'Not now.' } });
    expect(paused.body).toMatchObject({ paused: 'Not now.', says: 'is paused: Not now.' });
    expect((await api(`/${task.id}/resume`, { method: 'POST' })).body).toMatchObject({ paused: null });
    expect((await api(`/${task.id}/rollback`, { body: { checkpoint_id: 'chkp_nope' } })).status).toBe(404);
    expect((await api(`/${task.id}/stop`, { method: 'POST' })).body).toMatchObject({
      ...{ state: 'cancelled', reason: 'stopped by you' },
    });
    expect((await api(`/${task.id}/steer`, { body: { text: 'more' } })).status).toBe(409);
    expect((await api('?open=true')).body.data.map(({ id }) => id)).not.toContain(task.id);
  });

  it('begins, is listed, watched, shown and steered from the command line', async () => {
    const source = await repository();
    const made = await run('task', 'new', source, 'Only look.', '--verify', 'true', '--key', 'cli', '--json');
    expect(made.code, made.err).toBe(0);
    const { task } = JSON.parse(made.out) as { task: Shown };
    expect((await run('task', 'new', source, 'Only look.', '--key', 'cli')).out).toContain('begun already');
    const watched = await run('task', 'watch', task.id);
    expect(watched.out).toContain('is done: Nothing was changed');
    expect(watched.err).toMatch(/working[\s\S]*verifying[\s\S]*done/);
    expect(watched.code).toBe(0);
    expect((await run('tasks', '--all')).out).toMatch(new RegExp(`${task.id} +done`));
    expect((await run('task', 'show', task.id.slice(-8))).out).toContain('“Only look.”');
    expect((await run('task', 'deny', task.id)).err).toContain('waits for no approval');
    expect((await run('task', 'pause', task.id)).code).toBe(1);
    expect((await run('task', 'show', 'task_nope')).err).toContain('There is no task task_nope');
    expect((await run('task', 'new', source)).code).toBe(2);
    const slow = await run('task', 'new', source, 'Wait.', '--setup', 'sleep 300', '--json');
    const second = (JSON.parse(slow.out) as { task: Shown }).task.id;
    expect((await run('tasks')).out).toContain(second);
    expect((await run('task', 'pause', second, '-m', 'later')).out).toContain('is paused: later');
    expect((await run('task', 'resume', second)).code).toBe(0);
    expect((await run('task', 'stop', second)).out).toContain('was stopped');
  });
});
