// Whatever is done to memory in whatever order: chains never cycle, every live item reaches an event, one value per slot at every
// time, an undo takes back exactly its change, what fails changes nothing, what is forgotten is nowhere. Each promise with a variant that breaks it.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StewardError } from '../../../core/errors.ts';
import type { MemoryItem } from '../../../core/memory.ts';
import type { ItemStore } from '../../../memory/items.ts';
import type { Authority, Draft, Op } from '../../../memory/types.ts';
import { openTestMemory, type TestMemory } from '../../helpers/memory.ts';

const HOUR = 3_600_000;

type Step =
  | {
      kind: 'save';
      slot: number | null;
      value: number;
      authority: Authority;
      tier: 'identity' | 'state' | 'reference';
      ago: number;
    }
  | {
      kind: 'apply';
      op: 'add' | 'supersede' | 'retire' | 'archive' | 'merge';
      at: number[];
      slot: number | null;
      value: number;
      ago: number;
      ends: boolean;
    }
  | { kind: 'undo'; at: number }
  | { kind: 'pin'; at: number; on: boolean }
  | { kind: 'answer'; at: number; accept: boolean }
  | { kind: 'forget'; at: number; sources: boolean }
  | { kind: 'time'; hours: number };

const slot = fc.option(fc.nat(2), { nil: null });
const value = fc.nat(4);
const ago = fc.integer({ min: -2, max: 40 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('save' as const),
      slot,
      value,
      authority: fc.constantFrom<Authority>('owner', 'owner', 'agent', 'outside'),
      tier: fc.constantFrom('identity' as const, 'state' as const, 'reference' as const),
      ago,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('apply' as const),
      op: fc.constantFrom(
        'add' as const,
        'supersede' as const,
        'supersede' as const,
        'retire' as const,
        'archive' as const,
        'merge' as const,
      ),
      at: fc.array(fc.nat(30), { minLength: 1, maxLength: 3 }),
      slot,
      value,
      ago,
      ends: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('undo' as const), at: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pin' as const), at: fc.nat(30), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('answer' as const), at: fc.nat(3), accept: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), at: fc.nat(30), sources: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('time' as const), hours: fc.integer({ min: -30, max: 100 }) }),
  },
);

const all = (memory: TestMemory): MemoryItem[] => memory.items.list({ includeRetired: true, limit: 100_000 });
const textOf = (place: number | null, what: number): string =>
  `value ${what} of ${place === null ? 'no slot' : `slot ${place}`}`;

/** What the record says, whatever the ids are. */
const content = (memory: TestMemory): string[] =>
  all(memory)
    .filter((item) => item.retiredAt === null)
    .map((item) => {
      const { id: _, changeId: __, recordedAt: ___, retireReason: ____, supersededBy: _____, ...said } = item;
      return JSON.stringify([said, memory.items.quotes(item.id)]);
    })
    .sort();

/** Every row of memory, for showing that nothing changed. */
const dump = (memory: TestMemory): string =>
  JSON.stringify(
    ['memory_items', 'memory_sources', 'memory_parents', 'memory_pins', 'memory_changes', 'memory_questions'].map(
      (table) => memory.record.db.prepare(`SELECT * FROM ${table}`).all(),
    ),
  );

function violations(memory: TestMemory): string[] {
  const found: string[] = [];
  const items = all(memory);
  const byId = new Map(items.map((item) => [item.id, item]));
  for (const item of items) {
    const seen = new Set<string>();
    for (let at: MemoryItem | undefined = item; at; at = at.supersededBy ? byId.get(at.supersededBy) : undefined) {
      if (seen.has(at.id)) {
        found.push(`the chain of ${item.id} is a circle`);
        break;
      }
      seen.add(at.id);
      if (at.supersededBy && !byId.has(at.supersededBy)) found.push(`${at.id} is superseded by nothing`);
      if (at.supersededBy && at.retiredAt === null && at.validTo === null)
        found.push(`${at.id} is superseded and open`);
    }
    const reaches = (id: string, path: readonly string[] = []): boolean =>
      memory.items.sources(id).length > 0 ||
      memory.items.parents(id).some((parent) => !path.includes(parent) && reaches(parent, [...path, id]));
    if (item.retiredAt === null && !reaches(item.id)) found.push(`${item.id} comes from nowhere`);
  }
  const times = [...new Set(items.flatMap((item) => [item.validFrom, item.validTo ?? item.validFrom]))];
  for (const at of times) {
    const held = items.filter(
      (item) =>
        item.tier !== 'archive' &&
        item.slot !== null &&
        item.retiredAt === null &&
        item.validFrom <= at &&
        (item.validTo === null || item.validTo > at),
    );
    const places = held.map((item) => `${item.scope}/${item.subject}/${item.slot}`);
    if (new Set(places).size < places.length) found.push(`two values of one slot hold at ${at}`);
  }
  const indexed = [...memory.indexed.values()].map((item) => item.id).sort();
  if (JSON.stringify(indexed) !== JSON.stringify(items.map((item) => item.id).sort()))
    found.push('the index holds others');
  return found;
}

/** Carries a step out; what was refused must have changed nothing. */
async function carryOut(memory: TestMemory, move: Step): Promise<string[]> {
  const { changes, questions, forget, sessionId } = memory;
  const now = memory.record.clock.now();
  // Mostly of what the record still says; the rest is refused.
  const pick = (at: number): MemoryItem | undefined => {
    const list = all(memory).filter((item) => at % 6 === 0 || item.retiredAt === null);
    return list[at % Math.max(1, list.length)];
  };
  const draftOf = (place: number | null, what: number, more: Partial<Draft>): Draft =>
    memory.draft(textOf(place, what), {
      ...(place === null ? {} : { subject: 'thing', slot: `slot ${place}` }),
      ...more,
    });
  const twice = (work: () => { change: { id: string } } | null): string[] => {
    const before = content(memory);
    const done = work();
    if (!done) return [];
    const after = content(memory);
    const undone = changes.undo(done.change.id);
    if (JSON.stringify(content(memory)) !== JSON.stringify(before)) return ['an undo did not bring back what was'];
    changes.undo(undone.change.id);
    return JSON.stringify(content(memory)) === JSON.stringify(after) ? [] : ['an undo of an undo is not what it was'];
  };
  const attempt = (): string[] => {
    switch (move.kind) {
      case 'save':
        return twice(() => {
          const draft = draftOf(move.slot, move.value, {
            authority: move.authority,
            tier: move.tier,
            validFrom: now - move.ago * HOUR,
          });
          const saved = memory.save(draft);
          return saved.kind === 'saved' ? { change: { id: saved.changeId } } : null;
        });
      case 'apply':
        return twice(() => {
          const chosen = move.at.flatMap((at) => pick(at)?.id ?? []);
          const validFrom = now - move.ago * HOUR;
          const more: Partial<Draft> = { validFrom, validTo: move.ends ? validFrom + 5 * HOUR : null };
          const ids = [...new Set(chosen)];
          const ops: Record<typeof move.op, () => Op[]> = {
            add: () => [{ kind: 'add', draft: draftOf(move.slot, move.value, more) }],
            supersede: () => [
              { kind: 'supersede', ids: ids.slice(0, 1), draft: draftOf(move.slot, move.value, more), why: 'new' },
            ],
            retire: () => ids.map((id) => ({ kind: 'retire', id, why: 'wrong' })),
            archive: () => ids.map((id) => ({ kind: 'archive', id, why: 'old' })),
            merge: () => [
              {
                kind: 'supersede',
                ids,
                draft: draftOf(move.slot, move.value, { ...more, parents: ids, sources: [] }),
                why: 'merged',
              },
            ],
          };
          return changes.apply({ scope: 'owner', sessionId, kind: 'save', ops: ops[move.op]() });
        });
      case 'undo': {
        const change = changes.list({ limit: 100 })[move.at];
        return change ? twice(() => changes.undo(change.id)) : [];
      }
      case 'pin': {
        const item = pick(move.at);
        if (item) changes.pin(item.id, move.on);
        return [];
      }
      case 'answer': {
        const question = questions.list()[move.at];
        return question ? twice(() => questions.answer(question.id, move.accept)) : [];
      }
      case 'forget': {
        const item = pick(move.at);
        if (!item) return [];
        forget.forget(item.id, { sources: move.sources, sessionId });
        const left = all(memory).filter((other) => other.text === item.text);
        return left.length > 0 ? ['a forgotten text is there'] : [];
      }
      case 'time':
        return [];
    }
  };
  if (move.kind === 'time') await memory.record.clock.advance(move.hours * HOUR);
  const before = dump(memory);
  try {
    return [...attempt(), ...violations(memory)];
  } catch (error) {
    if (!(error instanceof StewardError) || error.code === 'internal') throw error;
    return [...(dump(memory) === before ? [] : [`a refused ${move.kind} changed something`]), ...violations(memory)];
  }
}

const holds = (open: () => TestMemory) =>
  fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30, size: 'max' }), async (steps) => {
    const memory = open();
    try {
      for (const move of steps) expect(await carryOut(memory, move)).toEqual([]);
    } finally {
      memory.record.db.close();
    }
  });

describe('whatever is done in whatever order', () => {
  it('keeps every promise', async () => {
    await fc.assert(holds(openTestMemory), { numRuns: 60 });
  }, 60_000);

  it.each<[string, (items: ItemStore) => Partial<ItemStore>]>([
    ['a slot that is not looked at', () => ({ overlapping: () => [] })],
    ['sources that are lost', (items) => ({ insert: (item) => items.insert({ ...item, sources: [], parents: [] }) })],
    [
      'a closing that is forgotten',
      (items) => ({ setStanding: (id, to) => items.setStanding(id, { ...to, validTo: undefined }) }),
    ],
    ['an erasure that stops at the first', (items) => ({ erase: (ids) => items.erase(ids.slice(0, 1)) })],
    ['copies without an end', (items) => ({ insert: (item) => items.insert({ ...item, validTo: null }) })],
  ])(
    'would catch %s',
    async (_, broken) => {
      const result = await fc.check(
        holds(() => openTestMemory({ broken })),
        { numRuns: 120, endOnFailure: true },
      );
      expect(result.failed).toBe(true);
    },
    60_000,
  );
});

describe('words that were forgotten with their sources', () => {
  const word = fc.stringMatching(/^[a-z]{3,9}$/);
  const code = fc.stringMatching(/^[a-z]{4}[0-9]{4}[a-z]{3}$/);
  it('are nowhere in the file', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(code, fc.array(word, { maxLength: 30 }), fc.boolean()), { minLength: 1, maxLength: 8 }),
        (said) => {
          const memory = openTestMemory();
          const saved = said.map(([secret, words, later]) => {
            const item = memory.add(`The code of ${words.join(' ')} is ${secret}`);
            if (later) memory.say(`By the way, the code of ${words.join(' ')} is ${secret.toUpperCase()}!`);
            return { secret, item };
          });
          for (const { secret, item } of saved) {
            if (memory.items.get(item.id))
              memory.forget.forget(item.id, { sources: true, sessionId: memory.sessionId });
            for (const file of [memory.record.db.file, `${memory.record.db.file}-wal`])
              expect(readFileSync(file, 'latin1').toLowerCase()).not.toContain(secret);
          }
          memory.record.db.close();
        },
      ),
      { numRuns: 25 },
    );
  }, 60_000);
});
