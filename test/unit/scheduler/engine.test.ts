// What a person counts on: at its time, once, late rather than never, and a row that says so.
import { expect, test } from 'vitest';
import { CHAT, HOUR, MINUTE, MONDAY, openRoom } from '../../helpers/scheduler-room.ts';

test('a message is said at its slot, once, and its row says so', async () => {
  const room = openRoom();
  const { id } = room.make({});
  await room.later(29 * MINUTE);
  expect(room.outbox()).toEqual([]);
  await room.later(MINUTE);
  await room.later(1_000);
  expect(room.outbox()).toEqual([{ to: 'telegram:42', text: 'Good morning' }]);
  const [run] = room.api.runs({ scheduleId: id, limit: 10 });
  expect(run).toMatchObject({
    ...{ slot: { at: MONDAY + 30 * MINUTE, key: '2026-11-23T07:30' }, trigger: 'schedule', state: 'succeeded' },
    ...{ attempts: 1, missedBefore: 0, result: 'Good morning' },
  });
  expect(room.events(run!.sessionId!, 'schedule.message')).toHaveLength(1);
  expect(room.api.need(id).next?.key).toBe('2026-11-24T07:30');
});

test('a message that is due while Steward is down is said once when it is up, with both times', async () => {
  const room = openRoom();
  const { id } = room.make({});
  await room.record.clock.advance(70 * MINUTE);
  const next = room.reborn();
  await next.later(0);
  await next.later(1_000);
  expect(next.outbox().map(({ text }) => text)).toEqual(['Good morning (due 07:30, now 08:10)']);
  expect(next.states(id)).toEqual(['succeeded']);
});

test('days that were missed are one run, and a row each says why', async () => {
  const room = openRoom();
  const { id } = room.make({});
  await room.record.clock.advance(3 * 24 * HOUR + HOUR);
  const next = room.reborn();
  await next.later(0);
  expect(next.outbox().map(({ text }) => text)).toEqual(['Good morning (due 07:30, now 08:00, 3 missed)']);
  expect(next.states(id)).toEqual(['succeeded', 'missed', 'missed', 'missed']);
  expect(next.api.why(id, '2026-11-24')).toContain(
    '07:30 was missed: Steward was not at work then; a later run made up',
  );
});

test('a single reminder is never too old', async () => {
  const room = openRoom();
  const { id } = room.make({ rule: { kind: 'once', at: MONDAY + 20 * MINUTE, timeZone: 'UTC' } });
  await room.record.clock.advance(90 * 24 * HOUR);
  const next = room.reborn();
  await next.later(0);
  expect(next.outbox().map(({ text }) => text)).toEqual(['Good morning (due Mon 2026-11-23 07:20, now 07:00)']);
  expect(next.api.need(id)).toMatchObject({ state: 'ended', next: null });
});

test('a prompt begins a session of its own, is answered to the owner, and ends as its session does', async () => {
  const room = openRoom();
  const { id } = room.make({ starts: { kind: 'prompt', text: 'What is new?', session: 'own' }, target: CHAT });
  await room.later(30 * MINUTE);
  const [run] = room.api.runs({ scheduleId: id, limit: 1 });
  expect(run).toMatchObject({ state: 'running', attempts: 1 });
  expect(room.record.woken).toEqual([run!.sessionId]);
  const session = room.record.sessions.need(run!.sessionId!);
  expect(session).toMatchObject({ title: 'Brief', trust: 'owner' });
  const [event] = room.record.events.queued(session.id);
  expect(event!.origin).toMatchObject({
    ...{ sender: { channel: 'steward', userId: `schedule:${id}`, name: 'Brief' }, address: CHAT, role: 'system' },
    mandate: { scheduleId: id, runId: run!.id, unattended: true, label: null },
  });
  room.scheduler.start();
  room.answer(session.id, 'Nothing much.');
  expect(room.api.run(run!.id)).toMatchObject({ state: 'succeeded', result: 'Nothing much.' });
  await room.scheduler.stop();
});
