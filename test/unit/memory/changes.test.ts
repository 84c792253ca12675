// Changes: all or nothing, one value per slot at every time, and each has an inverse.
import { describe, expect, it } from 'vitest';
import type { StewardError } from '../../../core/errors.ts';
import type { MemoryItem } from '../../../core/memory.ts';
import type { Op } from '../../../memory/types.ts';
import { openTestMemory, type TestMemory } from '../../helpers/memory.ts';

const DAY = 86_400_000;
const refusedWith = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return `${(error as StewardError).code}: ${(error as StewardError).message}`;
  }
  return 'nothing was thrown';
};

describe('a change', () => {
  it('writes the item, its sources, the index and an event without words', () => {
    const memory = openTestMemory();
    const item = memory.add('Ann lives in Bergen', { subject: 'I', slot: 'Home town' });
    expect(item).toMatchObject({ subject: 'owner', slot: 'home town', text: 'Ann lives in Bergen', validTo: null });
    expect(memory.items.sources(item.id)).toMatchObject([
      { quote: 'Ann lives in Bergen', who: 'Ann', channel: 'telegram' },
    ]);
    expect([...memory.indexed.values()]).toEqual([item]);
    const change = memory.changes.get(item.changeId)!;
    const told = memory.record.events.get(change.eventId)!;
    expect(told).toMatchObject({ type: 'memory.written', sessionId: memory.sessionId });
    expect(told.payload).toMatchObject({ change_id: change.id, added: [item.id], retired: [] });
    expect(JSON.stringify(told.payload)).not.toContain('Bergen');
  });

  it('supersedes: the old value held until the new one does, and both can be asked for', async () => {
    const memory = openTestMemory();
    const place = { subject: 'owner', slot: 'home' };
    const from = memory.record.clock.now();
    const old = memory.add('Ann lives in Bergen', place);
    await memory.record.clock.advance(30 * DAY);
    const draft = memory.draft('Ann lives in Oslo', place);
    const { added, retired } = memory.changes.apply({
      scope: 'owner',
      sessionId: memory.sessionId,
      kind: 'edit',
      ops: [{ kind: 'supersede', ids: [old.id], draft, why: 'moved' }],
    });
    expect(retired).toMatchObject([
      { id: old.id, validTo: draft.validFrom, retiredAt: null, supersededBy: added[0]!.id },
    ]);
    expect(memory.holds()).toEqual(['Ann lives in Oslo']);
    expect(memory.holds(from + DAY)).toEqual(['Ann lives in Bergen']);
    expect(memory.holds(from - 1)).toEqual([]);
    expect(memory.items.history(old.id).map(({ text }) => text)).toEqual(['Ann lives in Bergen', 'Ann lives in Oslo']);
    memory.changes.undo(added[0]!.changeId);
    expect(memory.holds()).toEqual(['Ann lives in Bergen']);
    const back = memory.changes.list({ limit: 1 })[0]!;
    memory.changes.undo(back.id);
    expect(memory.holds()).toEqual(['Ann lives in Oslo']);
    expect(memory.holds(from + DAY)).toEqual(['Ann lives in Bergen']);
    expect(refusedWith(() => memory.changes.undo(back.id))).toContain('conflict: ');
  });
});

/** Every row of memory. */
const dump = (memory: TestMemory): string =>
  JSON.stringify(
    ['memory_items', 'memory_sources', 'memory_changes', 'events'].map((table) =>
      memory.record.db.prepare(`SELECT * FROM ${table}`).all(),
    ),
  );
const slot = { subject: 'owner', slot: 'home' };
const at = { scope: 'owner', kind: 'save' };

describe('what does not fit', () => {
  it.each<[string, string, (memory: TestMemory, item: MemoryItem) => readonly Op[]]>([
    ['nothing at all', 'invalid', () => []],
    ['an item that is not there', 'not_found', () => [{ kind: 'retire', id: 'mem_nope', why: '' }]],
    ['a slot that is taken', 'conflict', (memory) => [{ kind: 'add', draft: memory.draft('Ann lives in Rome', slot) }]],
    [
      'a slot that was taken at that time',
      'conflict',
      (memory, item) => [
        {
          kind: 'add',
          draft: memory.draft('Ann lives in Rome', {
            ...slot,
            validFrom: item.validFrom - DAY,
            validTo: item.validFrom + 1,
          }),
        },
      ],
    ],
    [
      'an event that is not there',
      'invalid',
      (memory) => [{ kind: 'add', draft: memory.draft('x', { sources: [{ eventId: 'sevt_nope', quote: 'x' }] }) }],
    ],
    [
      'words that were not said',
      'invalid',
      (memory) => [
        { kind: 'add', draft: memory.draft('x', { sources: [{ eventId: memory.say('tea').id, quote: 'Tea' }] }) },
      ],
    ],
    ['no source', 'invalid', (memory) => [{ kind: 'add', draft: memory.draft('x', { sources: [] }) }]],
    [
      'a parent of another scope',
      'invalid',
      (memory) => [{ kind: 'add', draft: memory.draft('x', { parents: ['mem_nope'] }) }],
    ],
    ['another scope', 'invalid', (memory) => [{ kind: 'add', draft: memory.draft('x', { scope: 'sesn_x' }) }]],
    ['an end before its beginning', 'invalid', (memory) => [{ kind: 'add', draft: memory.draft('x', { validTo: 1 }) }]],
    ['half a time', 'invalid', (memory) => [{ kind: 'add', draft: memory.draft('x', { validFrom: 1.5 }) }]],
    [
      'an absurd confidence',
      'invalid',
      (memory) => [{ kind: 'add', draft: memory.draft('x', { confidence: Number.NaN }) }],
    ],
    ['10 MB', 'invalid', (memory) => [{ kind: 'add', draft: memory.draft('x'.repeat(10_000_000), { sources: [] }) }]],
    ['a secret', 'invalid', (memory) => [{ kind: 'add', draft: memory.draft('password: abc123456') }]],
    [
      'the archive from nowhere',
      'invalid',
      (memory) => [{ kind: 'add', draft: memory.draft('x', { tier: 'archive' }) }],
    ],
    [
      'the same twice',
      'conflict',
      (_, item) => [
        { kind: 'retire', id: item.id, why: '' },
        { kind: 'retire', id: item.id, why: '' },
      ],
    ],
    [
      'a successor of nothing',
      'invalid',
      (memory) => [{ kind: 'supersede', ids: [], draft: memory.draft('x'), why: '' }],
    ],
    [
      'a good step before a bad one',
      'not_found',
      (memory, item) => [
        { kind: 'add', draft: memory.draft('Ann likes tea') },
        { kind: 'retire', id: item.id, why: '' },
        { kind: 'archive', id: 'mem_nope', why: '' },
      ],
    ],
  ])('%s is refused, and nothing changed', (_, code, ops) => {
    const memory = openTestMemory();
    const item = memory.add('Ann lives in Bergen', slot);
    const steps = ops(memory, item);
    const before = dump(memory);
    expect(refusedWith(() => memory.changes.apply({ ...at, sessionId: memory.sessionId, ops: steps }))).toMatch(
      new RegExp(`^${code}: `),
    );
    expect(dump(memory)).toBe(before);
    expect(memory.holds()).toEqual(['Ann lives in Bergen']);
  });

  it('an item of another conversation', () => {
    const memory = openTestMemory();
    const guest = memory.record.newSession('guest');
    const item = memory.add('Bob likes tea', { scope: guest });
    const ops: Op[] = [{ kind: 'retire', id: item.id, why: '' }];
    expect(refusedWith(() => memory.changes.apply({ ...at, sessionId: memory.sessionId, ops }))).toContain('conflict');
  });

  it('rows that are edited behind its back', () => {
    const memory = openTestMemory();
    memory.add('Ann lives in Bergen', slot);
    const { db } = memory.record;
    for (const set of [
      "text = 'x'",
      "scope = 'x'",
      'valid_from = 1',
      "tier = 'identity'",
      "authority = 'outside'",
      "change_id = 'x'",
    ])
      expect(() => db.prepare(`UPDATE memory_items SET ${set}`).run()).toThrow('immutable');
    db.prepare('UPDATE memory_items SET valid_to = 9').run();
    expect(() => db.prepare('UPDATE memory_items SET valid_to = NULL').run()).toThrow('immutable');
    expect(() => db.prepare('UPDATE memory_items SET valid_to = 10').run()).toThrow('immutable');
  });
});

describe('undo', () => {
  it('names what stands on a change', () => {
    const memory = openTestMemory();
    const first = memory.add('Ann lives in Bergen', slot);
    const ops: Op[] = [
      { kind: 'supersede', ids: [first.id], draft: memory.draft('Ann lives in Oslo', slot), why: 'moved' },
    ];
    const second = memory.changes.apply({ ...at, sessionId: memory.sessionId, ops });
    expect(refusedWith(() => memory.changes.undo(first.changeId))).toContain(`stand on it: ${second.change.id} (save)`);
    memory.changes.undo(second.change.id);
    // What was brought back is of the undo: that one has to go first, too.
    expect(refusedWith(() => memory.changes.undo(first.changeId))).toContain('conflict');
    expect(memory.changes.get(second.change.id)!.undoneBy).toBe(memory.changes.list({ limit: 1 })[0]!.id);
  });

  it('names who took the place meanwhile', () => {
    const memory = openTestMemory();
    const first = memory.add('Ann lives in Bergen', slot);
    const gone = memory.changes.apply({
      ...at,
      sessionId: memory.sessionId,
      ops: [{ kind: 'retire', id: first.id, why: 'wrong' }],
    });
    const other = memory.add('Ann lives in Oslo', slot);
    expect(refusedWith(() => memory.changes.undo(gone.change.id))).toContain(other.changeId);
    expect(memory.holds()).toEqual(['Ann lives in Oslo']);
  });

  it('brings back pins, sources and merged ones', () => {
    const memory = openTestMemory();
    const tea = memory.add('Ann likes tea', { pinned: true });
    const green = memory.add('Ann likes green tea');
    const draft = memory.draft('Ann likes green tea most', { parents: [tea.id, green.id], sources: [] });
    const merged = memory.changes.apply({
      ...at,
      sessionId: memory.sessionId,
      kind: 'nightly',
      ops: [{ kind: 'supersede', ids: [tea.id, green.id], draft, why: 'merged' }],
    });
    expect(merged.added[0]).toMatchObject({ pinned: true });
    expect(memory.items.derived(tea.id)).toHaveLength(1);
    const back = memory.changes.undo(merged.change.id);
    expect(back.added.map(({ text, pinned }) => [text, pinned])).toEqual([
      ['Ann likes tea', true],
      ['Ann likes green tea', false],
    ]);
    expect(memory.items.sources(back.added[0]!.id)).toHaveLength(1);
    expect(memory.holds()).toEqual(['Ann likes tea', 'Ann likes green tea']);
  });

  it('of the archive, and of what was partly forgotten', () => {
    const memory = openTestMemory();
    const [tea, boats] = [memory.add('Ann likes green tea'), memory.add('Ann likes old boats')];
    const ops: Op[] = [tea, boats].map(({ id }) => ({ kind: 'archive', id, why: 'old' }));
    const cold = memory.changes.apply({ ...at, sessionId: memory.sessionId, kind: 'weekly', ops });
    expect(cold.added.map(({ tier, text }) => [tier, text])).toEqual([
      ['archive', tea.text],
      ['archive', boats.text],
    ]);
    memory.forget.forget(cold.added[0]!.id, { sources: false, sessionId: memory.sessionId });
    memory.changes.undo(cold.change.id);
    expect(memory.items.list({ scope: 'owner', limit: 9 }).map(({ tier, text }) => [tier, text])).toEqual([
      ['reference', 'Ann likes old boats'],
    ]);
  });
});

describe('time', () => {
  it('does not run backwards when the clock does', async () => {
    const memory = openTestMemory();
    const item = memory.add('Ann lives in Bergen', slot);
    await memory.record.clock.advance(-40 * DAY);
    expect(memory.holds()).toEqual(['Ann lives in Bergen']);
    const saved = memory.save(memory.draft('Ann lives in Oslo', slot));
    expect(saved).toMatchObject({ kind: 'saved', superseded: [item.id] });
    expect(memory.holds()).toEqual(['Ann lives in Oslo']);
    const [last, first] = memory.changes.list({ limit: 2 });
    expect(last!.at).toBeGreaterThanOrEqual(first!.at);
  });

  it('ends what expires', async () => {
    const memory = openTestMemory();
    memory.add('Ann waits for the plumber', { tier: 'state', expiresAt: memory.record.clock.now() + DAY });
    expect(memory.holds()).toHaveLength(1);
    await memory.record.clock.advance(DAY);
    expect(memory.holds()).toEqual([]);
    expect(memory.save(memory.draft('Ann waits for the plumber', { tier: 'state' })).kind).toBe('saved');
  });
});

describe('a listing of changes', () => {
  it('is newest first, in pages', () => {
    const memory = openTestMemory();
    const ids = ['a', 'b', 'c'].map((text) => memory.add(text).changeId);
    const [last, middle] = memory.changes.list({ limit: 2 });
    expect([last!.id, middle!.id]).toEqual([ids[2], ids[1]]);
    expect(memory.changes.list({ limit: 5, before: middle!.id }).map(({ id }) => id)).toEqual([ids[0]]);
    expect(memory.changes.get('mchg_nope')).toBeNull();
  });
});
