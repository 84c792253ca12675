// Questions for the owner: asked once, in words, carried out with the owner's authority, or never again.
import { describe, expect, it } from 'vitest';
import type { Saved } from '../../../core/memory.ts';
import { openTestMemory, type TestMemory } from '../../helpers/memory.ts';

const slot = { subject: 'owner', slot: 'home' };
const asked = (saved: Saved) => {
  if (saved.kind !== 'asked') throw new Error(`it was ${saved.kind}`);
  return saved.question;
};
const outside = (memory: TestMemory, text: string, more = {}) =>
  memory.save(memory.draft(text, { authority: 'outside', ...more }));

describe('a question', () => {
  it('about words from outside: yes makes them the owner’s, with the yes as a source', () => {
    const memory = openTestMemory();
    const question = asked(outside(memory, 'Ann was born in 1980'));
    expect(question).toMatchObject({ kind: 'promotion', item: null });
    expect(question.text).toContain('Words from outside say: “Ann was born in 1980”');
    expect(memory.holds()).toEqual([]);
    const { added, change } = memory.questions.answer(question.id, true)!;
    expect(added).toMatchObject([{ text: 'Ann was born in 1980', authority: 'owner' }]);
    expect(memory.items.sources(added[0]!.id)).toHaveLength(2);
    expect(change.kind).toBe('answer');
    expect(memory.questions.list()).toEqual([]);
    expect(() => memory.questions.answer(question.id, true)).toThrow('answered already');
    memory.changes.undo(change.id);
    expect(memory.holds()).toEqual([]);
  });

  it('of a contradiction: the old value stays until the owner decides', () => {
    const memory = openTestMemory();
    const old = memory.add('Ann lives in Bergen', slot);
    const question = asked(memory.save(memory.draft('Ann lives in Oslo', { ...slot, authority: 'agent' })));
    expect(question.text).toBe(
      'Your agent noted “Ann lives in Oslo”, but “Ann lives in Bergen” is known. Does the new one hold instead?',
    );
    expect(memory.holds()).toEqual(['Ann lives in Bergen']);
    expect(memory.questions.answer(question.id, true)!.retired).toMatchObject([{ id: old.id }]);
    expect(memory.holds()).toEqual(['Ann lives in Oslo']);
  });

  it('about the past: the value of that time is cut, or taken back', () => {
    const memory = openTestMemory();
    const day = 86_400_000;
    const now = memory.record.clock.now();
    memory.save(memory.draft('Ann lives in Bergen', { ...slot, validFrom: now - 90 * day }));
    memory.save(memory.draft('Ann lives in Oslo', { ...slot, validFrom: now - 10 * day }));
    const question = asked(memory.save(memory.draft('Ann lives in Rome', { ...slot, validFrom: now - 50 * day })));
    memory.questions.answer(question.id, true);
    expect([80, 40, 5].map((days) => memory.holds(now - days * day))).toEqual([
      ['Ann lives in Bergen'],
      ['Ann lives in Rome'],
      ['Ann lives in Oslo'],
    ]);
  });

  it('is asked once, and after a no never again', () => {
    const memory = openTestMemory();
    const first = asked(outside(memory, 'Ann was born in 1980'));
    expect(asked(outside(memory, 'ann was born in 1980!')).id).toBe(first.id);
    expect(memory.questions.answer(first.id, false)).toBeNull();
    expect(() => outside(memory, 'Ann was born in 1980')).toThrow('said no');
    expect(memory.holds()).toEqual([]);
    // The owner's own word is another matter.
    expect(memory.save(memory.draft('Ann was born in 1980')).kind).toBe('saved');
  });

  it('is moot when it came true in the meantime', () => {
    const memory = openTestMemory();
    const question = asked(outside(memory, 'Ann was born in 1980'));
    memory.add('Ann was born in 1980');
    expect(memory.questions.answer(question.id, true)).toBeNull();
    expect(memory.holds()).toEqual(['Ann was born in 1980']);
  });

  it('of a merge takes the place of what is left of its parents', () => {
    const memory = openTestMemory();
    const parents = ['Ann likes tea', 'Ann likes green tea', 'Ann drinks tea'].map((text) => memory.add(text).id);
    const proposal = memory.draft('Ann likes green tea most', { authority: 'agent', parents, sources: [] });
    const open = () => memory.questions.open({ scope: 'owner', kind: 'merge', proposal, itemId: null });
    const question = open();
    memory.changes.apply({
      scope: 'owner',
      sessionId: memory.sessionId,
      kind: 'edit',
      ops: [{ kind: 'retire', id: parents[2]!, why: 'no' }],
    });
    expect(memory.questions.answer(question.id, true)!.retired.map(({ id }) => id)).toEqual(parents.slice(0, 2));
    expect(memory.holds()).toEqual(['Ann likes green tea most']);
    const other = open();
    expect(memory.questions.answer(other.id, true)).toBeNull();
  });

  it('still stands when its source was redacted, and goes with the item it is about', () => {
    const memory = openTestMemory();
    const item = memory.add('Ann lives in Bergen', slot);
    const said = memory.say('Ann lives in Oslo');
    const draft = memory.draft('Ann lives in Oslo', {
      ...slot,
      authority: 'agent',
      sources: [{ eventId: said.id, quote: 'Oslo' }],
    });
    const question = asked(memory.save(draft));
    memory.record.events.redact(memory.sessionId, [said.id], 'test');
    expect(memory.questions.answer(question.id, true)!.added).toMatchObject([{ text: 'Ann lives in Oslo' }]);
    const second = asked(memory.save({ ...memory.draft('Ann lives in Rome', slot), authority: 'agent' }));
    expect(second.item!.text).toBe('Ann lives in Oslo');
    memory.forget.forget(second.item!.id, { sources: false, sessionId: memory.sessionId });
    expect(memory.questions.list()).toEqual([]);
    expect(() => memory.questions.need(second.id)).toThrow('no question');
    expect(memory.items.get(item.id)).not.toBeNull();
  });

  it('belongs to its scope', () => {
    const memory = openTestMemory();
    const guest = memory.record.newSession('guest');
    const event = memory.say('Bob was born in 1970', guest);
    outside(memory, 'Bob was born in 1970', { scope: guest, sources: [{ eventId: event.id, quote: '1970' }] });
    outside(memory, 'Ann was born in 1980');
    expect(memory.questions.list()).toHaveLength(2);
    expect(memory.questions.list(guest)).toHaveLength(1);
    const told = memory.record.events.list({ sessionId: guest, types: ['memory.asked'], limit: 5 });
    expect(told).toHaveLength(1);
    expect(JSON.stringify(told[0]!.payload)).not.toContain('1970');
  });
});
