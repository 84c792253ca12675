// How runs begin, wait, give way and end, and what follows for their schedule.
import { describe, expect, it } from 'vitest';
import type { ScheduleDraft } from '../../../core/schedules.ts';
import type { JsonObject } from '../../../core/types.ts';
import { CHAT, HOUR, MINUTE, MONDAY, openRoom, type Room } from '../../helpers/scheduler-room.ts';

const every = (minutes: number) =>
  ({ kind: 'interval', every: minutes * MINUTE, anchor: MONDAY, timeZone: 'UTC' }) as const;
const prompt = { kind: 'prompt', text: 'Look around.', session: 'own' } as const;

function prompts(room: Room, draft: Partial<ScheduleDraft> = {}) {
  const { id } = room.make({ rule: every(10), starts: prompt, ...draft });
  return { id, latest: () => room.api.runs({ scheduleId: id, limit: 1 })[0]! };
}
const listening = (room: Room): Room => {
  room.scheduler.start();
  return room;
};

describe('a run that meets an earlier one', () => {
  it('is skipped, and says so', async () => {
    const room = openRoom();
    const { id } = prompts(room);
    await room.later(10 * MINUTE);
    await room.later(10 * MINUTE);
    expect(room.states(id)).toEqual(['skipped', 'running']);
    expect(room.api.runs({ scheduleId: id, limit: 1 })[0]!.reason).toMatch(/earlier run/);
  });

  it('queues until that one has ended', async () => {
    const room = openRoom();
    const { id, latest } = prompts(room, { overlap: 'queue' });
    await room.later(10 * MINUTE);
    const first = latest();
    await room.later(10 * MINUTE);
    expect(room.states(id)).toEqual(['waiting', 'running']);
    listening(room).answer(first.sessionId!, 'Done.');
    await room.later(1_000);
    expect(room.states(id)).toEqual(['running', 'succeeded']);
    await room.scheduler.stop();
  });

  it('takes its place and stops its session', async () => {
    const room = openRoom();
    const { id, latest } = prompts(room, { overlap: 'replace' });
    await room.later(10 * MINUTE);
    const first = latest();
    room.record.db.tx(() => room.record.sessions.setStatus(first.sessionId!, 'running', null, null));
    await room.later(10 * MINUTE);
    expect(room.states(id)).toEqual(['running', 'cancelled']);
    expect(room.record.interrupted).toEqual([first.sessionId]);
    expect(room.events(first.sessionId!, 'user.interrupt')).toHaveLength(1);
  });
});

describe('waiting', () => {
  it('quiet hours put it off, and its row says until when', async () => {
    const room = openRoom();
    const { id } = room.make({ quiet: { from: '22:00', to: '08:00' } });
    await room.later(30 * MINUTE);
    expect(room.outbox()).toEqual([]);
    expect(room.api.runs({ scheduleId: id, limit: 1 })[0]).toMatchObject({ state: 'waiting', reason: 'Quiet hours.' });
    await room.later(30 * MINUTE);
    expect(room.outbox().map(({ text }) => text)).toEqual(['Good morning (due 07:30, now 08:00)']);
  });

  it('for everybody to be done, an hour at most', async () => {
    const room = openRoom();
    const { id } = prompts(room, { idleOnly: true, rule: { kind: 'once', at: MONDAY + MINUTE, timeZone: 'UTC' } });
    const busy = room.record.newSession();
    room.record.sessions.setStatus(busy, 'running', null, null);
    await room.later(MINUTE);
    expect(room.states(id)).toEqual(['waiting']);
    await room.later(59 * MINUTE);
    expect(room.states(id)).toEqual(['waiting']);
    await room.later(MINUTE);
    expect(room.states(id)).toEqual(['running']);
  });

  it('catch-ups of different schedules begin one after the other; messages at once', async () => {
    const room = openRoom();
    const rule = { kind: 'cron', expression: '30 7 * * *', timeZone: 'UTC' } as const;
    const ids = ['a', 'b'].map((name) => room.make({ name, rule, starts: prompt }).id);
    const message = room.make({ name: 'm', rule });
    await room.record.clock.advance(HOUR);
    const next = listening(room.reborn());
    await next.later(0);
    const states = () => ids.map((id) => next.states(id)[0]).sort();
    expect(states()).toEqual(['running', 'waiting']);
    expect(next.states(message.id)).toEqual(['succeeded']);
    const begun = ids.flatMap((id) => next.api.runs({ scheduleId: id, limit: 1 })).find(({ sessionId }) => sessionId)!;
    next.answer(begun.sessionId!, 'Done.');
    await next.later(16_000);
    expect(states()).toEqual(['running', 'succeeded']);
    await next.scheduler.stop();
  });

  it('conditions are looked at first, and no news is no run', async () => {
    const found = [
      { news: false, text: 'The page is as it was.' },
      { news: true, text: 'The page says: launch!' },
    ];
    const room = openRoom({ look: async () => found.shift()! });
    const { id, latest } = prompts(room, { conditions: [{ kind: 'http', url: 'http://example.org/' }] });
    await room.later(10 * MINUTE);
    await room.later(1_000);
    expect(latest()).toMatchObject({ state: 'skipped', reason: 'The page is as it was.', attempts: 0 });
    await room.later(10 * MINUTE);
    await room.later(1_000);
    const queued = room.record.events.queued(latest().sessionId!);
    expect(queued.map(({ tainted }) => tainted)).toEqual([false, true]);
    expect(JSON.stringify(queued[1]!.payload)).toContain('launch!');
    expect(room.states(id)).toEqual(['running', 'skipped']);
  });
});

describe('missed slots', () => {
  const daily = { kind: 'cron', expression: '0 */2 * * *', timeZone: 'UTC' } as const;
  it.each<['all' | 'none' | 'latest', string[], number]>([
    ['all', ['succeeded', 'succeeded', 'succeeded'], 3],
    ['latest', ['succeeded', 'missed', 'missed'], 1],
    ['none', ['missed', 'missed', 'missed'], 0],
  ])('catch up on %s', async (catchUp, states, said) => {
    const room = openRoom();
    const { id } = room.make({ rule: daily, catchUp, windowMs: 24 * HOUR });
    await room.record.clock.advance(6 * HOUR);
    const next = room.reborn();
    await next.later(0);
    expect(next.states(id)).toEqual(states);
    expect(next.outbox()).toHaveLength(said);
  });

  it('of a month away are settled in pieces, and the run knows of all of them', async () => {
    const room = openRoom();
    const { id } = room.make({ rule: every(10) });
    await room.record.clock.advance(30 * 24 * HOUR);
    const next = room.reborn();
    await next.later(0);
    const [run] = next.api.runs({ scheduleId: id, limit: 1, states: ['succeeded'] });
    expect(run!.missedBefore).toBe(30 * 24 * 6 - 1);
    expect(next.outbox()).toHaveLength(1);
  });
});

describe('a session that rests', () => {
  const rest = async (
    reason: { type: string; event_ids?: string[] },
    more: { type: string; payload: JsonObject }[] = [],
  ) => {
    const room = listening(openRoom());
    const { id, latest } = prompts(room, { target: CHAT });
    await room.later(10 * MINUTE);
    room.answer(latest().sessionId!, 'Words.', reason as never, more);
    await room.scheduler.stop();
    return { room, id, run: latest() };
  };

  it('with an answer has succeeded, with its cost and its words', async () => {
    const span = (cost_usd: number) => ({ type: 'span.model_request_end', payload: { is_error: false, cost_usd } });
    const { run } = await rest({ type: 'end_turn' }, [span(0.25), span(0.5)]);
    expect(run).toMatchObject({ state: 'succeeded', costUsd: 0.75, result: 'Words.' });
  });

  it('without having got anywhere has failed, with the reason', async () => {
    const error = { type: 'session.error', payload: { error: { type: 'x', message: 'The model is away.' } } };
    const { run } = await rest({ type: 'retries_exhausted' }, [error]);
    expect(run).toMatchObject({ state: 'failed', reason: 'The model is away.' });
  });

  it('over its budget has failed', async () => {
    const { run } = await rest({ type: 'budget_reached' });
    expect(run).toMatchObject({ state: 'failed', reason: 'The budget was used up.' });
  });

  it('stopped by a person is cancelled', async () => {
    const { run } = await rest({ type: 'end_turn' }, [{ type: 'user.interrupt', payload: {} }]);
    expect(run).toMatchObject({ state: 'cancelled', reason: 'It was stopped.' });
  });

  it('because it asks is shown as waiting, and ends when it is answered', async () => {
    const room = listening(openRoom());
    const { latest } = prompts(room);
    await room.later(10 * MINUTE);
    const { sessionId } = latest();
    const [call] = room.record.events.append(sessionId!, [{ type: 'agent.tool_use', payload: { name: 'x' } }]);
    room.record.events.process(sessionId!, [room.record.events.queued(sessionId!)[0]!.id]);
    const [late] = room.record.events.append(sessionId!, [{ type: 'agent.tool_use', payload: { name: 'y' } }]);
    room.answer(sessionId!, '', { type: 'requires_action', event_ids: [call!.id, late!.id] });
    expect(latest()).toMatchObject({ state: 'waiting', reason: 'It waits for your approval.' });
    room.answer(sessionId!, 'Now it is done.');
    expect(latest()).toMatchObject({ state: 'succeeded', result: 'Now it is done.' });
    await room.scheduler.stop();
  });

  it('while nobody listened is found at the next start', async () => {
    const room = openRoom();
    const { latest } = prompts(room);
    await room.later(10 * MINUTE);
    room.answer(latest().sessionId!, 'Done in the dark.');
    expect(latest().state).toBe('running');
    const { id } = latest();
    const next = listening(room.reborn());
    expect(next.api.run(id)).toMatchObject({ state: 'succeeded', result: 'Done in the dark.' });
    await next.scheduler.stop();
  });

  it('that is deleted ends its run, and the words it said are gone from the row', async () => {
    const { room, run } = await rest({ type: 'end_turn' });
    const said = room.events(run.sessionId!, 'agent.message')[0]!;
    room.record.events.redact(run.sessionId!, [said.id], 'forgotten');
    expect(room.api.run(run.id)!.result).toBeNull();
  });
});

describe('failures', () => {
  const failing = (why = 'The shop is closed.') =>
    openRoom({
      jobs: {
        backup: async () => {
          throw new Error(why);
        },
      },
    });
  const settled = async (room: Room, ms: number) => {
    await room.later(ms);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  };

  it('three in a row are told once, ten pause it', async () => {
    const room = failing();
    const { id } = room.make({ rule: every(10), starts: { kind: 'job', job: 'backup' } });
    for (let i = 0; i < 3; i++) await settled(room, 10 * MINUTE);
    expect(room.outbox()).toHaveLength(1);
    expect(room.outbox()[0]!.text).toMatch(/“Brief” failed 3 times in a row: The shop is closed\./);
    for (let i = 3; i < 12; i++) await settled(room, 10 * MINUTE);
    expect(room.api.need(id)).toMatchObject({
      state: 'paused',
      paused: { kind: 'failing', streak: 10, why: 'The shop is closed.' },
    });
    expect(room.states(id)).toHaveLength(10);
    expect(room.outbox()).toHaveLength(2);
    expect(room.api.resume(id)).toMatchObject({ state: 'active', failures: 0 });
  });

  it('one in between begins a new count', async () => {
    let fails = true;
    const room = openRoom({
      jobs: {
        async backup() {
          if (fails) throw new Error('no');
          return { text: 'Saved.' };
        },
      },
    });
    const { id } = room.make({ rule: every(10), starts: { kind: 'job', job: 'backup' } });
    await settled(room, 10 * MINUTE);
    await settled(room, 10 * MINUTE);
    expect(room.api.need(id).failures).toBe(2);
    fails = false;
    await settled(room, 10 * MINUTE);
    expect(room.api.need(id).failures).toBe(0);
    expect(room.outbox().map(({ text }) => text)).toEqual(['Saved.']);
  });

  it('nobody left to tell, or no agent left to ask, pauses it at once', async () => {
    const room = openRoom();
    const { id } = room.make({ target: CHAT });
    room.record.people.revoke('telegram', '42');
    await room.later(30 * MINUTE);
    expect(room.api.need(id)).toMatchObject({ state: 'paused', paused: { kind: 'error', code: 'target_gone' } });
    expect(room.states(id)).toEqual(['failed']);
  });

  it('an archived agent pauses its deployment', async () => {
    const room = openRoom();
    const { agents } = room.record;
    const agent = agents.create({ ...agents.need('agent_steward').spec, name: 'Other' });
    const events = [{ type: 'user.message', content: [{ type: 'text', text: 'Go.' }] }] as JsonObject[];
    const starts = {
      kind: 'deployment',
      ...{ agentId: agent.id, agentVersion: agent.version, environmentId: 'env_steward', initialEvents: events },
    } as const;
    const { id } = room.make({ rule: every(10), starts });
    agents.archive(agent.id);
    await room.later(10 * MINUTE);
    expect(room.api.need(id)).toMatchObject({ state: 'paused', paused: { kind: 'error', code: 'agent_archived' } });
    expect(room.states(id)).toEqual(['failed']);
    expect(room.outbox()[0]!.text).toMatch(/is paused: The agent agent_\w+ is archived or gone\./);
  });

  it('without anybody who carries code tasks out it says so', async () => {
    const room = openRoom();
    const { id } = room.make({ starts: { kind: 'task', task: { repository: '/srv/app', instruction: 'mend it' } } });
    await room.later(30 * MINUTE);
    expect(room.api.need(id)).toMatchObject({ state: 'paused', paused: { kind: 'error', code: 'unknown' } });
    expect(room.outbox()[0]!.text).toContain('nobody here who could carry a code task out');
  });

  it('a job that is cut off is not begun again, and its row says why', async () => {
    const room = openRoom({ jobs: { backup: () => new Promise(() => {}) } });
    const { id } = room.make({ starts: { kind: 'job', job: 'backup' } });
    await room.later(30 * MINUTE);
    expect(room.states(id)).toEqual(['running']);
    const next = listening(room.reborn());
    expect(next.api.runs({ scheduleId: id, limit: 1 })[0]).toMatchObject({
      ...{ state: 'failed', attempts: 1 },
      reason: 'Steward stopped while it ran. It is not begun again by itself.',
    });
    await next.scheduler.stop();
  });
});

describe('clocks', () => {
  it('set back never says a thing twice, and is noted', async () => {
    const room = openRoom();
    const { id } = room.make({});
    await room.later(31 * MINUTE);
    await room.later(-2 * HOUR);
    await room.later(2 * HOUR + 5 * MINUTE);
    expect(room.outbox()).toHaveLength(1);
    expect(room.states(id)).toEqual(['succeeded']);
  });

  it('that ran a year ahead and came back do not cost a year of mornings', async () => {
    let wall = 0;
    const room = openRoom();
    const { clock } = room.record;
    const shifted = { ...clock, now: () => clock.now() + wall };
    const other = openRoom({ clock: shifted } as never, room.record);
    const { id } = other.make({});
    await other.later(1_000);
    wall = 365 * 24 * HOUR;
    await other.later(1_000);
    expect(other.api.need(id).next!.key).toBe('2027-11-23T07:30');
    wall = 0;
    await other.later(1_000);
    expect(other.api.need(id).next!.key).toBe('2026-11-23T07:30');
    const main = other.record.intake.mainSession().id;
    expect(other.events(main, 'clock.jump')).toHaveLength(2);
    const before = other.outbox().length;
    await other.later(30 * MINUTE);
    expect(other.outbox()).toHaveLength(before + 1);
  });
});

it('in safe mode nothing begins; afterwards it is made up for', async () => {
  let awake = false;
  const room = openRoom({ awake: () => awake });
  const { id } = room.make({});
  await room.later(40 * MINUTE);
  expect(room.states(id)).toEqual([]);
  awake = true;
  await room.later(0);
  expect(room.outbox().map(({ text }) => text)).toEqual(['Good morning (due 07:30, now 07:40)']);
});

it('of what is due at once the more important begins first', async () => {
  const room = openRoom();
  for (const [index, priority] of [0, 5, -3, 9].entries())
    room.make({ name: `n${index}`, priority, starts: { kind: 'message', text: String(priority) } });
  await room.later(30 * MINUTE);
  expect(room.outbox().map(({ text }) => text)).toEqual(['9', '5', '0', '-3']);
});
