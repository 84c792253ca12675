// Sessions: bindings, states, generations, and who is to be woken.
import { describe, expect, it } from 'vitest';
import { bindingKey } from '../../../core/sessions.ts';
import { draftSession, openTestRecord } from '../../helpers/record.ts';

describe('where something was said decides who answers', () => {
  it.each([
    ['owner', { channel: 'telegram', chat: '1' }, 'main'],
    ['owner', { channel: 'lark', chat: 'oc_1', thread: 't' }, 'main'],
    ['guest', { channel: 'telegram', chat: '2' }, 'guest:telegram:2'],
    ['group', { channel: 'telegram', chat: '-100' }, 'group:telegram:-100'],
    ['group', { channel: 'telegram', chat: '-100', thread: '7' }, 'group:telegram:-100#7'],
  ] as const)('%s at %o', (trust, address, key) => {
    expect(bindingKey(trust, address)).toBe(key);
  });

  it('one session per place, made when it is needed, made anew when the old one takes no more', () => {
    const record = openTestRecord();
    const { sessions } = record;
    const first = sessions.bound('main', draftSession);
    expect(sessions.bound('main', draftSession).id).toBe(first.id);
    expect(sessions.bound('group:telegram:1', () => draftSession('group')).id).not.toBe(first.id);
    sessions.archive(first.id);
    const second = sessions.bound('main', draftSession);
    expect(second.id).not.toBe(first.id);
    sessions.markDeleted(second.id);
    expect(sessions.bound('main', draftSession).id).not.toBe(second.id);
  });
});

describe('what has something to do', () => {
  it('is woken: queued input, a run cut off in the middle, a wait that is over; and nothing else', () => {
    const record = openTestRecord();
    const { sessions, clock } = record;
    const [idle, queued, running, waiting, later, deleted] = Array.from({ length: 6 }, () => record.newSession());
    record.events.append(queued!, [{ type: 'user.message', queued: true }]);
    sessions.setStatus(running!, 'running', null, null);
    sessions.setStatus(waiting!, 'rescheduling', null, clock.now());
    sessions.setStatus(later!, 'rescheduling', null, clock.now() + 5_000);
    sessions.setStatus(deleted!, 'running', null, 0);
    sessions.markDeleted(deleted!);
    expect(sessions.toWake(clock.now()).sort()).toEqual([queued, running, waiting].sort());
    expect(sessions.nextWakeAt()).toBe(clock.now());
    expect(sessions.toWake(clock.now() + 5_000)).toContain(later);
    expect(sessions.toWake(Number.MAX_SAFE_INTEGER)).not.toContain(idle);
    expect(sessions.counts()).toEqual({ running: 1, rescheduling: 2, total: 5 });
  });
});

describe('the list', () => {
  it('is newest first, pages without gaps, and leaves out what is archived or deleted', () => {
    const record = openTestRecord();
    const { sessions } = record;
    const ids = Array.from({ length: 7 }, () => record.newSession());
    sessions.archive(ids[2]!);
    sessions.markDeleted(ids[4]!);
    const visible = ids.filter((_, index) => index !== 2 && index !== 4);
    const list = (query: object) => sessions.list({ limit: 100, ...query }).map((session) => session.id);
    expect(list({})).toEqual(visible.toReversed());
    expect(list({ order: 'asc' })).toEqual(visible);
    expect(list({ includeArchived: true })).toContain(ids[2]);
    const first = list({ limit: 2 });
    expect([...first, ...list({ from: first[1] })]).toEqual(visible.toReversed());
    sessions.setStatus(ids[0]!, 'running', null, null);
    expect(list({ statuses: ['running', 'rescheduling'] })).toEqual([ids[0]]);
    expect(list({ agentId: 'agent_other' })).toEqual([]);
  });
});
