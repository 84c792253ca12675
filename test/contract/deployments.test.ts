// Deployments as the official SDK meets them: made, changed, paused, run, listed and archived, with runs and refusals.
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import { sdk } from '../helpers/talk.ts';

let steward: StewardProcess;
let client: Anthropic;
beforeAll(async () => {
  steward = await startSteward();
  client = sdk(steward);
});
afterAll(() => steward?.stop());

const base = {
  agent: 'agent_steward',
  environment_id: 'env_steward',
  initial_events: [{ type: 'user.message' as const, content: [{ type: 'text' as const, text: 'hello' }] }],
};
const cron = (expression: string, timezone = 'Europe/Berlin') => ({ type: 'cron' as const, expression, timezone });
const statusOf = async (work: PromiseLike<unknown>) => {
  try {
    await work;
    return 200;
  } catch (error) {
    if (error instanceof Anthropic.APIError) return error.status;
    throw error;
  }
};

it('is made, changed, paused, unpaused and archived', async () => {
  const { deployments } = client.beta;
  const made = await deployments.create({
    ...base,
    name: 'Morning',
    schedule: cron('30 7 * * 1-5'),
    metadata: { a: '1', b: '2' },
  });
  expect(made).toMatchObject({
    type: 'deployment',
    agent: { id: 'agent_steward', type: 'agent', version: expect.any(Number) },
    status: 'active',
    paused_reason: null,
    archived_at: null,
    description: null,
    resources: [],
    vault_ids: [],
    initial_events: base.initial_events,
    schedule: { ...cron('30 7 * * 1-5'), last_run_at: null },
  });
  expect(made.schedule!.upcoming_runs_at).toHaveLength(5);
  expect(await deployments.retrieve(made.id)).toEqual(made);
  const changed = await deployments.update(made.id, { name: 'Later', metadata: { a: null }, schedule: null });
  expect(changed).toMatchObject({ name: 'Later', metadata: { b: '2' }, schedule: null });
  expect(await deployments.pause(made.id)).toMatchObject({ status: 'paused', paused_reason: { type: 'manual' } });
  expect((await deployments.list({ status: 'paused' })).data.map(({ id }) => id)).toEqual([made.id]);
  expect(await deployments.unpause(made.id)).toMatchObject({ status: 'active', paused_reason: null });
  expect(await deployments.archive(made.id)).toMatchObject({ status: 'active', archived_at: expect.any(String) });
  expect((await deployments.list()).data).toEqual([]);
  expect((await deployments.list({ include_archived: true })).data.map(({ id }) => id)).toEqual([made.id]);
});

it('runs by hand, with a session and its trigger, and runs are listed', async () => {
  const { deployments, deploymentRuns } = client.beta;
  const { id } = await deployments.create({ ...base, name: 'By hand' });
  const run = await deployments.run(id);
  expect(run).toMatchObject({
    type: 'deployment_run',
    deployment_id: id,
    error: null,
    trigger_context: { type: 'manual' },
  });
  expect(run.session_id).toMatch(/^sesn_/);
  expect(await deploymentRuns.retrieve(run.id)).toEqual(run);
  await deployments.run(id);
  const all = [];
  for await (const entry of deploymentRuns.list({ deployment_id: id, limit: 1 })) all.push(entry.id);
  expect(all).toHaveLength(2);
  expect((await deploymentRuns.list({ deployment_id: id, has_error: true })).data).toEqual([]);
  expect((await deploymentRuns.list({ deployment_id: id, trigger_type: 'schedule' })).data).toEqual([]);
  expect((await deploymentRuns.list({ deployment_id: 'depl_none' })).data).toEqual([]);
  expect((await client.beta.sessions.retrieve(run.session_id!)).agent.id).toBe('agent_steward');
});

it('pages, and refuses what does not fit', async () => {
  const { deployments } = client.beta;
  for (const name of ['one', 'two', 'three']) await deployments.create({ ...base, name });
  const names = [];
  for await (const { name } of deployments.list({ limit: 2 })) names.push(name);
  expect(names.slice(0, 3)).toEqual(['three', 'two', 'one']);
  const count = names.length;
  for (const wrong of [
    { ...base, name: '' },
    { ...base, name: 'x', agent: 'agent_none' },
    { ...base, name: 'x', environment_id: 'env_none' },
    { ...base, name: 'x', initial_events: [] },
    { ...base, name: 'x', schedule: cron('0 0 8 * * *') },
    { ...base, name: 'x', schedule: cron('0 8 * * *', 'Europe/Berln') },
    { ...base, name: 'x', vault_ids: ['vlt_1'] },
    { ...base, name: 'x', surprise: true },
  ])
    expect([400, 404], JSON.stringify(wrong)).toContain(await statusOf(deployments.create(wrong)));
  expect(await statusOf(deployments.retrieve('sched_none'))).toBe(404);
  expect(await statusOf(deployments.list({ status: 'paused', include_archived: true }))).toBe(400);
  const after = [];
  for await (const { name } of deployments.list()) after.push(name);
  expect(after).toHaveLength(count);
});
