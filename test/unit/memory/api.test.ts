// What the console and commands may do, over the room as it is wired: where edits are told, whose they are, and what stays whole.
import { describe, expect, it } from 'vitest';
import type { Saved } from '../../../core/memory.ts';
import { openRoom } from '../../helpers/memory-room.ts';

const DAY = 86_400_000;
const itemOf = (saved: Saved) => {
  if (saved.kind !== 'saved') throw new Error(saved.kind);
  return saved.item;
};

describe('an edit', () => {
  it('is an event of the main conversation, searchable like everything that was said', async () => {
    const room = openRoom();
    const item = itemOf(room.api.save({ text: 'The boat is moored in Hoorn' }));
    const [source] = room.api.show(item.id).sources;
    expect(source).toMatchObject({ sessionId: room.main, quote: item.text, channel: 'web', who: 'owner' });
    expect(room.record.events.get(source!.eventId)).toMatchObject({ type: 'memory.edited', tainted: false });
    const { hits } = await room.api.search({ query: 'boat moored', kinds: ['event'] });
    expect(hits).toMatchObject([{ id: source!.eventId, trust: 'owner' }]);
  });

  it('while the main conversation is incognito outlasts it', async () => {
    const room = openRoom();
    const { id } = room.record.intake.newMain({ incognito: true });
    const item = itemOf(room.api.save({ text: 'The boat is called Rosinante' }));
    const [source] = room.api.show(item.id).sources;
    expect(source!.sessionId).not.toBe(id);
    expect(room.record.sessions.need(source!.sessionId)).toMatchObject({ trust: 'owner', metadata: {} });
    expect((await room.api.search({ query: 'Rosinante' })).hits.length).toBeGreaterThan(0);
    const again = itemOf(room.api.save({ text: 'The boat is white' }));
    expect(room.api.show(again.id).sources[0]!.sessionId).toBe(source!.sessionId);
  });

  it('that is refused leaves nothing behind', () => {
    const room = openRoom();
    const count = () => room.record.events.list({ sessionId: room.main, order: 'asc', limit: 100 }).length;
    const item = itemOf(room.api.save({ text: 'Rent is due on the 1st', subject: 'rent', slot: 'day' }));
    room.api.save({ text: 'Taxes are due in May', subject: 'tax', slot: 'month' });
    const before = count();
    expect(() => room.api.save({ text: '' })).toThrow('the text is empty');
    expect(() => room.api.save({ text: 'x'.repeat(10_000_000) })).toThrow('at most 8,000 characters');
    expect(() => room.api.edit(item.id, { text: '-----BEGIN PRIVATE KEY-----' })).toThrow('steward vault add');
    expect(() => room.api.edit(item.id, { subject: 'tax', slot: 'month' })).toThrow('has a value already');
    expect(() => room.api.edit('mem_nothing', { text: 'x' })).toThrow('There is no memory item');
    expect(() => room.api.retire('mem_nothing', 'x')).toThrow('There is no memory item');
    expect(count()).toBe(before);
    expect(room.api.list({ limit: 10 })).toHaveLength(2);
  });

  it('of the words alone holds from now on; of anything else, as long as the words did', async () => {
    const room = openRoom();
    const first = itemOf(room.api.save({ text: 'The shop opens at nine', pinned: true }));
    await room.record.clock.advance(DAY);
    const typo = itemOf(room.api.edit(first.id, { text: 'The shop opens at nine.' }));
    expect(typo).toMatchObject({ validFrom: first.validFrom, pinned: true });
    const moved = itemOf(room.api.edit(typo.id, { tier: 'state', expiresAt: null }));
    expect(moved).toMatchObject({ validFrom: first.validFrom, tier: 'state', expiresAt: null, pinned: true });
    const later = itemOf(room.api.edit(moved.id, { text: 'The shop opens at ten', pinned: false }));
    expect(later).toMatchObject({ validFrom: first.validFrom + DAY, pinned: false, authority: 'owner' });
    const texts = (asOf?: number) =>
      room.api.list({ limit: 10, ...(asOf !== undefined && { asOf }) }).map(({ text }) => text);
    expect([texts(), texts(first.validFrom)]).toEqual([['The shop opens at ten'], ['The shop opens at nine.']]);
    expect(room.api.show(later.id).history.map(({ id }) => id)).toEqual([first.id, typo.id, moved.id, later.id]);
  });
});

it('the owner sees their own memory unless they ask for another', async () => {
  const room = openRoom();
  const guest = room.session('guest');
  await room.call('memory_save', { text: 'The guest drinks mint tea' }, { in: guest });
  expect(room.api.list({ limit: 10 })).toEqual([]);
  expect(room.api.list({ limit: 10, scope: guest })).toHaveLength(1);
  expect(room.api.list({ limit: 10, scope: '*' })).toHaveLength(1);
  expect((await room.api.search({ query: 'mint tea' })).hits).toEqual([]);
  expect((await room.api.search({ query: 'mint tea' }, guest)).hits.length).toBeGreaterThan(0);
});

it('a long text is found by a quote around what was asked for', async () => {
  const room = openRoom();
  room.say(
    `${'Lorem ipsum dolor sit amet. '.repeat(400)}The tortoise hibernates in the cellar. ${'Consectetur. '.repeat(400)}`,
  );
  const { hits } = await room.api.search({ query: 'where does the tortoise hibernate' });
  expect(hits[0]!.text).toContain('tortoise hibernates');
  expect(hits[0]!.text.length).toBeLessThan(1_100);
});
