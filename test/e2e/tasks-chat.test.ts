// A code task from the phone: begun by /task or by a tool, its delivery approved by a button, its end told in the chat and to a webhook.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startTelegram } from '../fakes/telegram.ts';
import { startReceiver } from '../fakes/webhook-receiver.ts';
import { until } from '../helpers/rig.ts';
import { ask, call, confirm, eventsOf, request } from '../helpers/talk.ts';
import { bash, openTasksHouse, repository, write } from '../helpers/tasks-house.ts';

const bwrap = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'bwrap')));
const ADA = 7;

async function openPhone() {
  const telegram = await startTelegram();
  onTestFinished(() => telegram.close());
  const house = await openTasksHouse({ TELEGRAM_BOT_TOKEN: telegram.token, TELEGRAM_API_ROOT: telegram.url });
  const say = (text: string) => telegram.say(ADA, text, { userId: ADA, name: 'Ada' });
  const heard = (text: string) => telegram.chat(ADA).filter((message) => message.text.includes(text));
  say('hello');
  const pairing = await until('the pairing', async () => {
    const { data } = (await request(house.steward, '/api/pairings')).body as { data: { code: string }[] };
    return data[0];
  });
  await request(house.steward, `/api/pairings/${pairing.code}/approve`, { body: { role: 'owner' } });
  return { telegram, house, say, heard };
}

describe.skipIf(!bwrap)('a code task from a chat (bubblewrap is needed)', () => {
  it('/task begins it once, a button approves it, and its end is told once in the chat and to a webhook', async () => {
    const { telegram, house, say, heard } = await openPhone();
    const receiver = await startReceiver();
    onTestFinished(() => receiver.close());
    const body = { name: 'ci', url: receiver.url, events: ['task.*'], allow_private: true };
    receiver.secret = (await call<{ secret: string }>(house.steward, '/api/webhooks', body)).secret;
    const source = await repository({ 'greet.sh': 'echo hello\n' });
    const updateId = say(`/task ${source}: Greet the world.\n${write('greet.sh', 'echo hi\n')}`);
    await until('the answer', () => heard('Begun: “Greet the world.”')[0]);
    // Telegram may offer the same message again.
    telegram.say(ADA, `/task ${source}: Greet the world.`, { userId: ADA, name: 'Ada', updateId });
    const card = await until('the card', () => telegram.chat(ADA).find(({ buttons }) => buttons.length > 0));
    say('/tasks');
    await until('where it stands', () => heard('waits for your approval')[0]);
    telegram.press(ADA, card.id, card.buttons.flat()[0]!.callback_data, ADA);
    const end = await until('the end', () => heard('✓ Task “Greet the world.” is done')[0]);
    expect(end.text).toContain('1 file, +1 −1');
    expect(end.text).toMatch(/Pushed/);
    const all = (await call<{ data: { id: string; created_by: string }[] }>(house.steward, '/api/tasks')).data;
    expect(all).toMatchObject([{ created_by: `telegram:${ADA}`, deliver_to: `telegram:${ADA}` }]);
    say(`/task diff ${all[0]!.id.slice(-8)}`);
    await until('the diff', () => heard('+echo hi')[0]);
    say('/task stop Greet the world.');
    await until('that it is over', () => heard('“Greet the world.” is done')[1]);
    await until('the announcement', () => receiver.kept().find(({ body }) => body.type === 'task.done'));
    const types = receiver.kept().map(({ body }) => body.type);
    const steps = [
      'queued',
      'provisioning',
      'setup',
      'working',
      'verifying',
      'awaiting_approval',
      'delivering',
      'done',
    ];
    expect(types).toEqual(steps.map((state) => `task.${state}`));
    expect(receiver.kept().at(-1)!.body.data).toMatchObject({ task_id: all[0]!.id, result: { files: 1 } });
    expect(receiver.complaints).toEqual([]);
    expect(heard('✓ Task “Greet the world.” is done')).toHaveLength(1);
    say('/task nonsense');
    await until('the help', () => heard('/task REPOSITORY: what is to be done')[0]);
    say(`/task ext::sh: id`);
    await until('the refusal', () => heard('no repository address')[0]);
  });

  it('a tool begins one that the owner named, and asks for one that nobody did; steers, looks and ends', async () => {
    const { house } = await openPhone();
    const { main_session_id: main } = await call<{ main_session_id: string }>(house.steward, '/api/status');
    const source = await repository();
    const create = (from: string) =>
      `call task_create ${JSON.stringify({ repository: from, instruction: `Wait.\n${bash('sleep 300')}`, delivery: 'patch' })}`;
    const tasks = async () =>
      (await call<{ data: { id: string; state: string; created_by: string }[] }>(house.steward, '/api/tasks')).data;

    const unnamed = await ask(house.steward, main, create(source), 30_000);
    expect(unnamed.idle.stop_reason).toMatchObject({ type: 'requires_action' });
    expect(await tasks()).toEqual([]);
    const asked = (await eventsOf(house.steward, main)).findLast(({ type }) => type === 'agent.tool_use')!;
    const { data: waiting } = await call<{ data: { why: string }[] }>(house.steward, '/api/approvals');
    expect(waiting[0]!.why).toContain('You did not name the repository');
    await confirm(house.steward, main, asked.id, 'deny', 'Not that one.');
    const named = await ask(house.steward, main, `In ${source}, please.\n${create(source)}`, 30_000);
    expect(named.idle.stop_reason).toMatchObject({ type: 'end_turn' });
    const [task] = await tasks();
    expect(task).toMatchObject({ created_by: 'web:console' });

    const result = async (text: string) => {
      await ask(house.steward, main, text, 30_000);
      return JSON.stringify((await eventsOf(house.steward, main)).findLast(({ type }) => type === 'agent.tool_result'));
    };
    expect(await result('call task_status {}')).toContain(task!.id);
    expect(await result(`call task_steer ${JSON.stringify({ id: task!.id, text: 'Be quick.' })}`)).toContain(
      'It was told',
    );
    expect(await result('call task_steer {"id":"task_nope","text":"x"}')).toContain('There is no task task_nope');
    expect(await result(`call task_cancel ${JSON.stringify({ id: task!.id })}`)).toContain('is stopped');
    expect(await tasks()).toMatchObject([{ state: 'cancelled' }]);
  });

  it('a schedule begins one, and its run ends as the task does', async () => {
    const house = await openTasksHouse();
    const source = await repository();
    const make = (task: object) =>
      request(house.steward, '/api/schedules', {
        body: { name: 'Nightly', rule: { kind: 'manual' }, starts: { kind: 'task', task } },
      });
    const refused = await make({ repository: source });
    expect(refused.status).toBe(400);
    expect(JSON.stringify(refused.body)).toContain('The task’s instruction');
    const instruction = `Write.\n${write('a.txt', 'a\n')}`;
    const { body: schedule } = await make({ repository: source, instruction, delivery: 'patch' });
    await call(house.steward, `/api/schedules/${String(schedule.id)}/run`, {});
    const run = async () =>
      (
        await call<{ data: { state: string; session_id: string }[] }>(
          house.steward,
          `/api/schedules/${String(schedule.id)}/runs`,
        )
      ).data[0]!;
    const waits = await until('the question', async () => {
      const now = await run();
      return now.state === 'waiting' ? now : null;
    });
    const [task] = (await call<{ data: { id: string; session_id: string }[] }>(house.steward, '/api/tasks')).data;
    expect(task!.session_id).toBe(waits.session_id);
    await house.answer(task!.id, 'allow');
    await until('the end of the run', async () => (await run()).state === 'succeeded');
  });
});
