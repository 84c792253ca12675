// The outer loop over real rows and real sandboxes: what it does when things go otherwise than planned.
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { processesSeen } from '../../../helpers/leftovers.ts';
import { repository } from '../../../helpers/tasks-house.ts';
import { OWNER, openTasksRoom } from '../../../helpers/tasks-room.ts';

const limits = { wallMs: 600_000, turns: 50, costUsd: null, attempts: 2 };

describe.skipIf(!existsSync('/usr/bin/bwrap'))('the outer loop', () => {
  it('two tasks in one repository wait for each other, one elsewhere does not', async () => {
    const [a, b] = [await repository(), await repository()];
    const room = openTasksRoom();
    const first = room.create({ repository: a, instruction: 'x\n$ sleep 1; echo x > x' });
    const second = room.create({ repository: `${a}/`, instruction: 'y\n$ echo y > y' });
    const other = room.create({ repository: b, instruction: 'z\n$ echo z > z' });
    const waits = () => expect(room.api.need(second.id).state).toBe('queued');
    await room.reached(other.id, 'awaiting_approval');
    if (room.api.need(first.id).state !== 'awaiting_approval') waits();
    // One that waits for the owner holds no place.
    await room.reached(first.id, 'awaiting_approval');
    await room.reached(second.id, 'awaiting_approval');
    await room.answer(first.id, 'allow');
    expect((await room.reached(first.id, 'done')).result).toMatchObject({ pushed: true, files: 1 });
    expect(room.api.list({ limit: 9, open: true }).map(({ id }) => id)).toEqual([other.id, second.id]);
  });

  it('an end that is away gets the delivery later, once, without a second approval', async () => {
    const room = openTasksRoom();
    const task = room.create({ repository: await repository(), instruction: 'x\n$ echo x > x' });
    room.remote.says = [room.refusal('unavailable', true), room.refusal('unavailable', true)];
    await room.answer(task.id, 'allow');
    const done = await room.reached(task.id, 'done');
    expect(room.remote.tries).toBe(3);
    expect(done.result!.approvals).toMatchObject([{ verdict: 'allow' }]);
  });

  it('an end that refuses for good, and a person who does, leave a hand-off; nothing is delivered', async () => {
    const room = openTasksRoom();
    const source = await repository();
    const refused = room.create({ repository: source, instruction: 'x\n$ echo x > x' });
    room.remote.says = [room.refusal('forbidden', false), room.refusal('forbidden', false)];
    await room.answer(refused.id, 'allow');
    expect((await room.reached(refused.id, 'handed_off')).reason).toContain('The other end says no.');
    const denied = room.create({ repository: source, instruction: 'x\n$ echo x > x' });
    await room.answer(denied.id, 'deny');
    const handed = await room.reached(denied.id, 'handed_off');
    expect(handed).toMatchObject({
      reason: 'The delivery was not approved.',
      result: { patch: 'kept.patch', pushed: false },
    });
    expect(room.remote.has.size).toBe(0);
  });

  it('what was approved and is gone is looked at and asked about again', async () => {
    const room = openTasksRoom();
    const task = room.create({ repository: await repository(), instruction: 'x\n$ echo x > x' });
    room.remote.says = [room.refusal('conflict', false), room.refusal('conflict', false)];
    await room.answer(task.id, 'allow');
    const first = room.question(task.id).id;
    await expect.poll(() => room.question(task.id).id).not.toBe(first);
    await room.answer(task.id, 'allow');
    expect((await room.reached(task.id, 'done')).result!.approvals).toHaveLength(2);
  });

  it('of two answers the first counts, and words after it come too late', async () => {
    const room = openTasksRoom();
    const task = room.create({ repository: await repository(), instruction: 'x\n$ echo x > x' });
    await room.answer(task.id, 'allow');
    expect(() => room.confirm(task.id, 'deny')).toThrow(/already answered/);
    expect(() => room.api.steer(task.id, 'Wait.', OWNER)).toThrow(/being delivered|answered already/);
    await room.reached(task.id, 'done');
    expect(room.remote.tries).toBe(1);
  });

  it('an agent that fails is asked again, and handed off after its attempts', async () => {
    const room = openTasksRoom();
    const task = room.create({ repository: await repository(), instruction: 'It fails.\n$ echo x > x', limits });
    await room.reached(task.id, 'handed_off', 'awaiting_approval');
    expect(room.types(task.id, 'task.attempt').map(({ payload }) => payload.attempt)).toEqual([2]);
  });

  it('a sandbox that dies under the checks is replaced, and they run again', async () => {
    const room = openTasksRoom();
    const task = room.create({
      repository: await repository(),
      instruction: 'x\n$ echo x > x.txt',
      verify: ['test -f x.txt && sleep 2 && cat x.txt'],
    });
    await room.reached(task.id, 'verifying');
    await expect.poll(() => processesSeen().some(({ argv }) => argv.join(' ') === 'sleep 2')).toBe(true);
    const [alive] = room.hands.alive();
    await alive!.sandbox.kill('the test says so');
    const asked = await room.reached(task.id, 'awaiting_approval');
    expect(asked.rounds).toBe(0);
    expect(room.types(task.id, 'sandbox.lost')).toHaveLength(1);
    expect(room.types(task.id, 'task.command')).toHaveLength(1);
  });

  it('a restart begins again from the last checkpoint in a new sandbox, and the last one hands off', async () => {
    const room = openTasksRoom();
    const instruction = 'x\n$ echo x > x\n$ test -f again || { touch /tmp/waiting; sleep 60; }';
    const task = room.create({ repository: await repository(), instruction, limits });
    await room.reached(task.id, 'working');
    await expect.poll(() => processesSeen().some(({ argv }) => argv.join(' ') === 'sleep 60')).toBe(true);
    const [before] = room.hands.alive();
    await room.tasks.control.restart(task.id, 'It waited for nothing.');
    await room.reached(task.id, 'awaiting_approval');
    expect(room.types(task.id, 'task.attempt')).toMatchObject([
      { payload: { attempt: 2, why: 'It waited for nothing.' } },
    ]);
    expect(room.types(task.id, 'sandbox.lost')).toMatchObject([{ payload: { sandbox_id: before!.sandbox.id } }]);
    expect(await room.api.diff(task.id)).toContain('+x');
    const other = room.create({
      repository: await repository(),
      instruction: '$ sleep 61',
      limits: { ...limits, attempts: 1 },
    });
    await expect.poll(() => processesSeen().some(({ argv }) => argv.join(' ') === 'sleep 61')).toBe(true);
    const ended = room.tasks.control.restart(other.id, 'It waited for nothing.');
    for (const { sessionId, sandbox } of room.hands.alive())
      if (sessionId === other.sessionId) await sandbox.kill('it is stuck');
    await ended;
    expect((await room.reached(other.id, 'handed_off')).reason).toContain('It waited for nothing.');
  });

  it('setup may reach registries, the agent may not; a setup that fails says how; a secret in its output is struck out', async () => {
    const room = openTasksRoom();
    const source = await repository();
    const task = room.create({ repository: source, instruction: 'x\n$ echo x > x', setup: ['echo hunter2; echo ok'] });
    await room.reached(task.id, 'awaiting_approval');
    expect(room.egress).toEqual(['grant registries', 'withdraw registries']);
    expect(JSON.stringify(room.types(task.id, 'task.command'))).toContain('[redacted]\\\\nok'.replace('\\\\', '\\'));
    const bad = room.create({ repository: source, instruction: 'x', setup: ['echo no; exit 3', 'echo never'] });
    const failed = await room.reached(bad.id, 'failed');
    expect(failed.reason).toBe('Setup: `echo no; exit 3` ended with code 3.');
    expect(failed.result!.verify).toMatchObject([{ command: 'echo no; exit 3', code: 3, output: 'no\n' }]);
  });

  it('words said while the checks run are the next thing to do, and nothing is asked before', async () => {
    const room = openTasksRoom();
    const task = room.create({ repository: await repository(), instruction: 'x\n$ echo x > x', verify: ['sleep 1'] });
    await room.reached(task.id, 'verifying');
    room.api.steer(task.id, 'And y.\n$ echo y > y', OWNER);
    await room.reached(task.id, 'awaiting_approval');
    expect(await room.api.diff(task.id)).toMatch(/\+x[\s\S]*\+y/);
    expect(room.types(task.id, 'task.prepared')).toHaveLength(1);
  });

  it('only the owner has tasks done; one whose conversation is deleted leaves no words', async () => {
    const room = openTasksRoom();
    const source = await repository();
    for (const trust of ['guest', 'group'] as const)
      expect(() => room.api.create({ repository: source, instruction: 'x' }, { ...OWNER, trust })).toThrow(
        /Only the owner/,
      );
    const task = room.create({ repository: source, instruction: 'A secret plan.\n$ echo x > x' });
    await room.reached(task.id, 'awaiting_approval');
    room.record.db.tx(() => {
      room.record.sessions.markDeleted(task.sessionId);
      room.tasks.forget(task.sessionId);
    });
    expect(JSON.stringify(room.api.need(task.id))).not.toContain('secret plan');
    expect(room.api.need(task.id).endedAt).not.toBeNull();
  });
});
