// Reading items: what holds now or held then, where it comes from, and everything it was.
import { describe, expect, it } from 'vitest';
import { holdsAt } from '../../../memory/item-rows.ts';
import { knownFor } from '../../../memory/items.ts';
import { openTestMemory } from '../../helpers/memory.ts';

const DAY = 86_400_000;

describe('a listing', () => {
  it('takes every filter, oldest first, in pages', () => {
    const memory = openTestMemory();
    const guest = memory.record.newSession('guest');
    const tea = memory.add('Ann likes tea', { kind: 'preference', subject: 'Tea' });
    const home = memory.add('Ann lives in Oslo', { tier: 'identity', pinned: true });
    const talk = memory.add('A talk', { tier: 'session', kind: 'summary', about: memory.sessionId });
    memory.add('Bob likes tea', { scope: guest });
    const ids = (query: object) => memory.items.list({ scope: 'owner', limit: 10, ...query }).map(({ id }) => id);
    expect(ids({})).toEqual([tea.id, home.id, talk.id]);
    expect(ids({ limit: 1 })).toEqual([tea.id]);
    expect(ids({ after: tea.id })).toEqual([home.id, talk.id]);
    expect(ids({ tiers: ['identity', 'session'] })).toEqual([home.id, talk.id]);
    expect(ids({ kind: 'preference' })).toEqual([tea.id]);
    expect(ids({ subject: 'the tea' })).toEqual([tea.id]);
    expect(ids({ about: memory.sessionId })).toEqual([talk.id]);
    expect(ids({ pinned: true })).toEqual([home.id]);
    expect(ids({ pinned: false })).toEqual([tea.id, talk.id]);
    expect(memory.items.list({ limit: 10 })).toHaveLength(4);
    expect(memory.items.count({ scope: 'owner' })).toBe(3);
    expect(memory.items.count({ tiers: ['reference'] })).toBe(2);
    expect(memory.items.byAbout('owner', 'summary', memory.sessionId)!.id).toBe(talk.id);
    expect(() => memory.items.need('mem_nope')).toThrow('no memory item');
  });

  it('as of March: what held then, as far as is known now', async () => {
    const memory = openTestMemory();
    const march = Date.UTC(2026, 2, 15);
    const slot = { subject: 'owner', slot: 'home' };
    memory.save(memory.draft('Ann lives in Bergen', { ...slot, validFrom: Date.UTC(2026, 0, 1) }));
    const wrong = memory.add('Ann has a dog', { validFrom: Date.UTC(2026, 0, 1) });
    memory.save(memory.draft('Ann lives in Oslo', { ...slot, validFrom: Date.UTC(2026, 5, 1) }));
    // Told only now, about April.
    memory.save(memory.draft('Ann is on holiday', { validFrom: Date.UTC(2026, 3, 1), validTo: Date.UTC(2026, 3, 20) }));
    expect(memory.holds(march)).toEqual(['Ann lives in Bergen', 'Ann has a dog']);
    memory.changes.apply({
      scope: 'owner',
      sessionId: memory.sessionId,
      kind: 'edit',
      ops: [{ kind: 'retire', id: wrong.id, why: 'it is a cat' }],
    });
    expect(memory.holds(march)).toEqual(['Ann lives in Bergen']);
    expect(memory.holds(Date.UTC(2026, 3, 10))).toEqual(['Ann lives in Bergen', 'Ann is on holiday']);
    expect(memory.holds()).toEqual(['Ann lives in Oslo']);
    expect(memory.items.list({ limit: 9, includeRetired: true })).toHaveLength(4);
    const retired = memory.items.need(wrong.id);
    expect(retired).toMatchObject({ retireReason: 'it is a cat' });
    expect(holdsAt(retired, march)).toBe(false);
  });

  it('older knowledge that arrives late is history', async () => {
    const memory = openTestMemory();
    const now = memory.record.clock.now();
    const slot = { subject: 'owner', slot: 'home' };
    memory.save(memory.draft('Ann lives in Oslo', { ...slot, validFrom: now - 10 * DAY }));
    const saved = memory.save(memory.draft('Ann lives in Bergen', { ...slot, validFrom: now - 50 * DAY }));
    expect(saved).toMatchObject({ kind: 'saved', superseded: [], item: { validTo: now - 10 * DAY } });
    expect(memory.holds()).toEqual(['Ann lives in Oslo']);
    expect(memory.holds(now - 20 * DAY)).toEqual(['Ann lives in Bergen']);
    expect(memory.items.bySlot('owner', 'I', 'home')!.text).toBe('Ann lives in Oslo');
    expect(memory.items.values('owner', 'I', 'home').map(({ text }) => text)).toEqual([
      'Ann lives in Bergen',
      'Ann lives in Oslo',
    ]);
  });
});

describe('where it comes from', () => {
  it('is said with who, when and through what', () => {
    const memory = openTestMemory();
    const { record, sessionId } = memory;
    const asked = memory.say('I like tea');
    const [answered, imported, web] = record.events.append(sessionId, [
      { type: 'agent.message', payload: { content: [{ type: 'text', text: 'You like tea.' }] } },
      { type: 'memory.imported', payload: { speaker: 'Bob', text: 'Ann likes tea', at: 77 } },
      {
        type: 'memory.edited',
        payload: { content: [{ type: 'text', text: 'Ann likes tea' }] },
        origin: { sender: { channel: 'web', userId: 'o' }, address: { channel: 'web', chat: 'x' }, role: 'owner' },
      },
    ]);
    const item = memory.add('Ann likes tea', {
      sources: [asked, answered!, imported!, web!].map(({ id }) => ({ eventId: id, quote: 'like' })),
    });
    expect(memory.items.sources(item.id).map(({ who, channel, at }) => [who, channel, at])).toEqual([
      ['Ann', 'telegram', asked.createdAt],
      ['steward', null, asked.createdAt],
      ['Bob', null, 77],
      ['owner', 'web', asked.createdAt],
    ]);
    expect(memory.items.ofEvent(asked.id).map(({ id }) => id)).toEqual([item.id]);
  });

  it('grows when it is said again', () => {
    const memory = openTestMemory();
    const item = memory.add('Ann likes tea');
    const again = memory.save(memory.draft('ann likes tea!'));
    expect(again).toMatchObject({ kind: 'known', item: { id: item.id } });
    expect(memory.items.sources(item.id)).toHaveLength(2);
    expect(memory.changes.list({ limit: 9 })).toHaveLength(1);
  });
});

it('a draft is placed against its slot, what it is about, and the same words', () => {
  const memory = openTestMemory();
  const ids = [
    memory.add('Ann lives in Oslo', { subject: 'owner', slot: 'home' }),
    memory.add('A talk', { tier: 'session', kind: 'summary', about: memory.sessionId }),
    memory.add('Ann likes tea'),
  ].map(({ id }) => id);
  memory.add('Ann likes boats');
  const draft = memory.draft('Ann likes TEA', { subject: 'I', slot: 'Home', kind: 'summary', about: memory.sessionId });
  expect(knownFor(memory.items, draft).map(({ id }) => id)).toEqual(ids);
});

it('pins are told, kept over a change of value, and refused on what is gone', () => {
  const memory = openTestMemory();
  const item = memory.add('Ann likes tea');
  expect(memory.changes.pin(item.id, true).pinned).toBe(true);
  expect(memory.changes.pin(item.id, true).pinned).toBe(true);
  const told = memory.record.events.list({ sessionId: memory.sessionId, types: ['memory.pinned'], limit: 9 });
  expect(told.map(({ payload }) => payload)).toEqual([{ item_id: item.id, pinned: true }]);
  const ops = [{ kind: 'supersede' as const, ids: [item.id], draft: memory.draft('Ann likes coffee'), why: 'new' }];
  const next = memory.changes.apply({ scope: 'owner', sessionId: memory.sessionId, kind: 'edit', ops }).added[0]!;
  expect(next.pinned).toBe(true);
  expect(memory.changes.pin(next.id, false).pinned).toBe(false);
});
