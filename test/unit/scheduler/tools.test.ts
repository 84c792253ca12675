// schedule_create, schedule_list, schedule_cancel and /schedules over the real room: what is said, what is refused, what repeats.
import { describe, expect, it } from 'vitest';
import { schedulesCommand } from '../../../core/schedules-command.ts';
import type { Address, Id, JsonObject, Trust } from '../../../core/types.ts';
import { createScheduleTools } from '../../../scheduler/tools/index.ts';
import { draftSession } from '../../helpers/record.ts';
import { CHAT, openRoom } from '../../helpers/scheduler-room.ts';

function open() {
  const room = openRoom();
  const { record, api } = room;
  const now = record.clock.now;
  const tools = createScheduleTools({ schedules: () => api, timeZone: () => 'Europe/Berlin', now });
  const tool = (name: string) => tools.find(({ definition }) => definition.name === name)!;
  const sessions = new Map<Trust, Id>();
  const sessionOf = (trust: Trust) => {
    if (!sessions.has(trust)) sessions.set(trust, record.sessions.create(draftSession(trust)).id);
    return record.sessions.need(sessions.get(trust)!);
  };
  let calls = 0;
  const call = async (
    name: string,
    input: JsonObject,
    { trust = 'owner', here = CHAT, id = `sevt_${++calls}` }: { trust?: Trust; here?: Address; id?: Id } = {},
  ) => {
    const parsed = tool(name).parse(input);
    if (!parsed.ok) return { text: parsed.why, isError: true };
    const { signal } = new AbortController();
    const context = { callId: id, session: sessionOf(trust), replyTo: [here], signal };
    const { content, isError = false } = await tool(name).run(parsed.args, context);
    return { text: content.map((block) => (block.type === 'text' ? block.text : '')).join('\n'), isError };
  };
  const all = () => api.list({ limit: 100 });
  const command = (args: string) => schedulesCommand({ schedules: api, now }, args);
  return { room, api, tool, call, all, command };
}
const idIn = (text: string) => /sched_\w+/.exec(text)![0];
const guest: Address = { channel: 'telegram', chat: '7' };

describe('schedule_create', () => {
  it('tells the next five runs in local time', async () => {
    const { call, all } = open();
    const { text } = await call('schedule_create', { text: 'Stretch', when: 'every weekday at 7:30' });
    expect(text).toMatch(
      /^Scheduled: \[sched_\w+\] “Stretch” – At 07:30.*\nNext runs:\n(?: {2}\w+ \S+ 07:30 Europe\/Berlin\n?){5}$/,
    );
    expect(all()).toMatchObject([{ target: CHAT, createdBy: 'telegram:42', trust: 'owner' }]);
  });

  it('repeated after a crash makes no second one; another call does', async () => {
    const { call, all } = open();
    const input = { text: 'Stretch', in_minutes: 20 };
    const first = await call('schedule_create', input, { id: 'sevt_same' });
    expect((await call('schedule_create', input, { id: 'sevt_same' })).text).toContain(idIn(first.text));
    expect(all()).toHaveLength(1);
    await call('schedule_create', input, { id: 'sevt_other' });
    expect(all()).toHaveLength(2);
  });

  it.each<[string, JsonObject, Trust, RegExp]>([
    ['no time', { text: 'x' }, 'owner', /exactly one of/],
    ['two times', { text: 'x', at: '2027-01-01 10:00', cron: '0 8 * * *' }, 'owner', /exactly one of/],
    ['a day there is not', { text: 'x', at: '2027-02-30 10:00' }, 'owner', /Nothing was scheduled/],
    ['a once in the past', { text: 'x', at: '2001-01-01 10:00' }, 'owner', /Nothing was scheduled: .*past|passed/],
    ['at that repeats', { text: 'x', at: 'every day at 8' }, 'owner', /not one point in time/],
    ['six fields', { text: 'x', cron: '0 0 8 * * *' }, 'owner', /Nothing was scheduled/],
    ['a zone there is not', { text: 'x', cron: '0 8 * * *', time_zone: 'Europe/Berln' }, 'owner', /Europe\/Berlin/],
    ['a guest each minute', { text: 'x', cron: '* * * * *' }, 'guest', /at most once an hour/],
    [
      'a grant for a guest',
      { text: 'x', cron: '0 8 * * *', hosts: ['example.org'] },
      'guest',
      /Only the owner can grant/,
    ],
  ])('refuses %s in a sentence, and keeps no row', async (_, input, trust, said) => {
    const { room, call, all } = open();
    room.record.people.seen(guest, 'guest', 'Bob');
    const answer = await call('schedule_create', input, trust === 'guest' ? { trust, here: guest } : {});
    expect(answer).toMatchObject({ isError: true, text: expect.stringMatching(said) });
    expect(all()).toEqual([]);
  });

  it('shows in its title everything it may do, hosts of its conditions too', () => {
    const { tool } = open();
    const input: JsonObject = {
      ...{ text: 'Look', what: 'prompt', cron: '0 8 * * *', tools: ['bash'], recipients: ['telegram:9'] },
      ...{ deliver_to: 'telegram:8', conditions: [{ kind: 'http', url: 'https://status.example.org/x' }] },
    };
    const title = tool('schedule_create').title(input);
    for (const part of ['status.example.org', 'bash', 'telegram:9', 'telegram:8', 'cron 0 8 * * *'])
      expect(title).toContain(part);
    expect(tool('schedule_create').action(input)).toMatchObject({ grants: { hosts: ['status.example.org'] } });
  });
});

it('a guest sees and ends their own alone', async () => {
  const { room, call, all } = open();
  room.record.people.seen(guest, 'guest', 'Bob');
  const as = { trust: 'guest', here: guest } as const;
  const own = await call('schedule_create', { text: 'Mine', when: 'every day at 8' }, as);
  const owners = await call('schedule_create', { text: 'Secret', when: 'every day at 9' });
  expect((await call('schedule_list', {}, as)).text).not.toContain('Secret');
  expect((await call('schedule_list', {})).text).toContain('Mine');
  expect(await call('schedule_cancel', { id: idIn(owners.text) }, as)).toMatchObject({ isError: true });
  expect((await call('schedule_cancel', { id: idIn(own.text) }, as)).isError).toBe(false);
  expect(all().map(({ name }) => name)).toEqual(['Secret']);
});

it('/schedules lists, shows, pauses, resumes, runs, explains and removes', async () => {
  const { room, call, command } = open();
  expect(command('')).toBe('Nothing is scheduled.');
  const id = idIn((await call('schedule_create', { text: 'Stretch', when: 'every day at 8' })).text);
  expect(command('')).toMatch(new RegExp(`^\\[${id}\\] “Stretch”: .*; next 2026-11-2\\d 08:00$`));
  expect(command('show stretch')).toContain('It says “Stretch”.');
  expect(command(`pause ${id}`)).toContain('is paused');
  expect(command('')).toContain('paused by hand');
  expect(command(`resume ${id}`)).toContain('Next runs:');
  expect(command(`RUN ${id}`)).toContain('succeeded, by hand');
  expect(room.outbox()).toEqual([{ to: 'telegram:42', text: 'Stretch' }]);
  expect(command(`why ${id} today`)).toMatch(/\S/);
  expect(command(`why ${id} 2026-02-30`)).toContain('not a day');
  expect(command('pause nothing')).toContain('There is no schedule nothing');
  expect(command('pause')).toContain('Which one?');
  expect(command('help')).toContain('/schedules why');
  expect(command(`remove ${id}`)).toContain('is removed');
  expect(command('')).toBe('Nothing is scheduled.');
});

it('/schedules means the days of the zone of the schedule, also after one of 23 hours', async () => {
  const { room, call, command } = open();
  await call('schedule_create', { text: 'Stretch', cron: '0 8 * * *', time_zone: 'Pacific/Auckland' });
  await call('schedule_create', { text: 'Walk', cron: '0 8 * * *', time_zone: 'Europe/Berlin' });
  // 20:00 on Monday in UTC is Tuesday in Auckland.
  await room.record.clock.advance(Date.UTC(2026, 10, 23, 20) - room.record.clock.now());
  expect(command('why Stretch')).toContain('on 2026-11-24 (Pacific/Auckland)');
  expect(command('why Stretch yesterday')).toContain('on 2026-11-23 (Pacific/Auckland)');
  // Half past midnight: a day of 23 hours lies behind, and 24 hours ago it was Saturday.
  await room.record.clock.advance(Date.UTC(2027, 2, 28, 22, 30) - room.record.clock.now());
  expect(command('why Walk today')).toContain('on 2027-03-29 (Europe/Berlin)');
  expect(command('why Walk Yesterday')).toContain('on 2027-03-28 (Europe/Berlin)');
});
