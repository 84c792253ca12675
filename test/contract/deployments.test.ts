// Deployments and their runs as the official SDK meets them: made, listed, paused, run by hand, run by time, archived.
import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastUserText, type MessagesApi, startMessagesApi } from '../fakes/messages-api.ts';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import { AGENT, ENVIRONMENT, request, sdk, textOf } from '../helpers/talk.ts';

let model: MessagesApi;
let steward: StewardProcess;
let client: Anthropic;

beforeAll(async () => {
  model = await startMessagesApi();
  model.script((asked) => `Report on: ${lastUserText(asked).split('\n').at(-1)}`);
  steward = await startSteward({
    env: { ANTHROPIC_API_KEY: 'sk-test-1', ANTHROPIC_BASE_URL: model.url, STEWARD_BUDGET_DAY_USD: '1000' },
  });
  client = sdk(steward);
});
afterAll(async () => {
  await steward?.stop();
  await model?.close();
});

const deployment = (more: Partial<Anthropic.Beta.DeploymentCreateParams> = {}) =>
  client.beta.deployments.create({
    name: 'Morning report',
    agent: AGENT,
    environment_id: ENVIRONMENT,
    initial_events: [{ type: 'user.message', content: [{ type: 'text', text: 'the night' }] }],
    schedule: { type: 'cron', expression: '30 7 * * 1-5', timezone: 'Europe/Berlin' },
    ...more,
  });
const all = async <T>(pages: AsyncIterable<T>): Promise<T[]> => {
  const list: T[] = [];
  for await (const one of pages) list.push(one);
  return list;
};

describe('deployments', () => {
  it('is made with five upcoming runs, each on a weekday at half past seven in its zone', async () => {
    const made = await deployment({ description: 'What broke', metadata: { team: 'home' } });
    expect(made).toMatchObject({
      type: 'deployment',
      name: 'Morning report',
      description: 'What broke',
      agent: { type: 'agent', id: AGENT, version: 1 },
      environment_id: ENVIRONMENT,
      status: 'active',
      paused_reason: null,
      archived_at: null,
      metadata: { team: 'home' },
      resources: [],
      vault_ids: [],
    });
    expect(made.schedule).toMatchObject({ type: 'cron', expression: '30 7 * * 1-5', last_run_at: null });
    const upcoming = made.schedule!.upcoming_runs_at!;
    expect(upcoming).toHaveLength(5);
    const local = new Intl.DateTimeFormat('en-GB', {
      timeZone: 'Europe/Berlin',
      weekday: 'short',
      timeStyle: undefined,
      hour: '2-digit',
      minute: '2-digit',
    });
    for (const at of upcoming) expect(local.format(new Date(at))).toMatch(/^(Mon|Tue|Wed|Thu|Fri) 07:30$/);
    expect(upcoming.toSorted()).toEqual(upcoming);
    expect(await client.beta.deployments.retrieve(made.id)).toEqual(made);
  });

  it('begins a fresh session when it is run by hand, also while it is paused', async () => {
    const { id } = await deployment({ name: 'By hand', schedule: null });
    const paused = await client.beta.deployments.pause(id);
    expect(paused).toMatchObject({ status: 'paused', paused_reason: { type: 'manual' }, schedule: null });
    const run = await client.beta.deployments.run(id);
    expect(run).toMatchObject({
      type: 'deployment_run',
      deployment_id: id,
      trigger_context: { type: 'manual' },
      error: null,
    });
    const session = run.session_id!;
    await expect
      .poll(async () => (await client.beta.sessions.retrieve(session)).status, { timeout: 15_000 })
      .toBe('idle');
    const events = await all(client.beta.sessions.events.list(session));
    const answer = events.find(({ type }) => type === 'agent.message');
    expect(textOf(answer as never)).toBe('Report on: the night');
    expect((await client.beta.deployments.run(id)).session_id).not.toBe(session);
    expect(await client.beta.deploymentRuns.retrieve(run.id)).toEqual(run);
    const resumed = await client.beta.deployments.unpause(id);
    expect(resumed).toMatchObject({ status: 'active', paused_reason: null });
  });

  it('changes what is given and keeps the rest; a schedule of null leaves it to be run by hand', async () => {
    const made = await deployment({ name: 'Changing', metadata: { a: '1', b: '2' } });
    const changed = await client.beta.deployments.update(made.id, {
      name: 'Changed',
      metadata: { a: null, c: '3' },
      budget: { type: 'limit', max_list_cost: { amount: '250', currency: 'USD' } },
    });
    expect(changed).toMatchObject({
      name: 'Changed',
      metadata: { b: '2', c: '3' },
      budget: { type: 'limit', max_list_cost: { amount: '250', currency: 'USD' } },
      initial_events: made.initial_events,
    });
    expect(changed.schedule).toMatchObject({ expression: '30 7 * * 1-5' });
    expect((await client.beta.deployments.update(made.id, { schedule: null })).schedule).toBeNull();
  });

  it('lists in pages, by state and agent, without the archived ones unless they are asked for', async () => {
    const made = await Promise.all([1, 2, 3].map((n) => deployment({ name: `Listed ${n}` })));
    const archived = await client.beta.deployments.archive(made[0]!.id);
    expect(archived.archived_at).not.toBeNull();
    expect(archived).toMatchObject({ status: 'active', schedule: { upcoming_runs_at: [] } });
    await client.beta.deployments.pause(made[1]!.id);
    const ids = async (params: Anthropic.Beta.DeploymentListParams) =>
      (await all(client.beta.deployments.list(params))).map(({ id }) => id);
    const listed = await ids({ limit: 2 });
    expect(listed).not.toContain(made[0]!.id);
    expect(listed).toContain(made[2]!.id);
    expect(new Set(listed).size).toBe(listed.length);
    expect(await ids({ include_archived: true })).toContain(made[0]!.id);
    expect(await ids({ status: 'paused' })).toEqual([made[1]!.id]);
    expect(await ids({ agent_id: 'agent_other' })).toEqual([]);
  });

  it('lists runs by deployment, trigger and error', async () => {
    const { id } = await deployment({ name: 'Runs', schedule: null });
    const made = [];
    for (let n = 0; n < 3; n++) made.push((await client.beta.deployments.run(id)).id);
    const ids = async (params: Anthropic.Beta.DeploymentRunListParams) =>
      (await all(client.beta.deploymentRuns.list(params))).map((run) => run.id);
    expect(await ids({ deployment_id: id, limit: 2 })).toEqual(made.toReversed());
    expect(await ids({ deployment_id: id, trigger_type: 'schedule' })).toEqual([]);
    expect(await ids({ deployment_id: id, has_error: true })).toEqual([]);
    expect(await ids({ deployment_id: id, has_error: false })).toHaveLength(3);
    expect(await ids({ deployment_id: 'sched_none' })).toEqual([]);
  });

  it.each([
    ['an impossible date', { schedule: { type: 'cron', expression: '0 0 30 2 *', timezone: 'UTC' } }, /never|February/],
    ['six fields', { schedule: { type: 'cron', expression: '0 0 7 * * *', timezone: 'UTC' } }, /five fields/],
    [
      'an unknown zone',
      { schedule: { type: 'cron', expression: '0 7 * * *', timezone: 'Europe/Berlim' } },
      /Europe\/Berlin/,
    ],
    ['no events', { initial_events: [] }, /initial_events/],
    ['another environment', { environment_id: 'env_none' }, /env_none/],
    ['another agent', { agent: 'agent_none' }, /agent_none/],
    ['resources', { resources: [{ type: 'file', file_id: 'x' }] }, /not supported/],
  ] as const)('refuses %s in a sentence, and makes nothing', async (_, more, words) => {
    const before = (await all(client.beta.deployments.list())).length;
    const refused = await deployment(more as never).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Anthropic.APIError);
    expect((refused as InstanceType<typeof Anthropic.APIError>).status).toBeGreaterThanOrEqual(400);
    expect((refused as Error).message).toMatch(words);
    expect((await all(client.beta.deployments.list())).length).toBe(before);
  });

  it('knows only deployments under these paths', async () => {
    const message = await request(steward, '/api/schedules', { body: { when: 'every day at 8', text: 'Tea' } });
    await expect(client.beta.deployments.retrieve(String(message.body.id))).rejects.toThrow(/no deployment/);
    await expect(client.beta.deploymentRuns.retrieve('srun_none')).rejects.toThrow(/no deployment run/);
  });
});
