// The parts that decide without asking anybody: the best of many, likeness, pauses, and the matrix.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBest } from '../../../../memory/vectors/best.ts';
import { pauseAfter } from '../../../../memory/vectors/embed.ts';
import { modelIdOf, providers } from '../../../../memory/vectors/index.ts';
import { createLikeness } from '../../../../memory/vectors/likeness.ts';
import { createMatrix } from '../../../../memory/vectors/matrix.ts';
import { dot } from '../../../../memory/vectors/search.ts';

function unit(random: () => number, dimension: number, near?: Float32Array): Float32Array {
  const raw = Float32Array.from({ length: dimension }, (_, i) => random() - 0.5 + (near?.[i] ?? 0) * 4);
  const length = Math.hypot(...raw);
  return raw.map((value) => value / length);
}
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

it('the best of many is what sorting them all gives', () => {
  const scores = fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.double(), fc.constant(Number.NaN)), {
    maxLength: 400,
  });
  fc.assert(
    fc.property(scores, fc.integer({ min: 0, max: 20 }), (list, limit) => {
      const best = createBest(limit);
      for (const [doc, score] of list.entries()) best.add(doc, score);
      const sorted = list
        .map((score, doc) => ({ doc, score }))
        .filter(({ score }) => !Number.isNaN(score))
        .sort((a, b) => (a.score === b.score ? a.doc - b.doc : b.score > a.score ? 1 : -1));
      expect(best.list().map(({ doc }) => doc)).toEqual(sorted.slice(0, limit).map(({ doc }) => doc));
    }),
  );
});

describe('likeness', () => {
  const random = randomOf(7);
  /** Texts that have nothing to do with the question: around a place of the model's own. */
  const chance = (middle: number, spread: number, count: number) =>
    Array.from(
      { length: count },
      () => middle + spread * (random() + random() + random() + random() - 2) * Math.sqrt(3),
    );

  it.each([
    ['a model that uses little of its space', 0.72, 0.03, 0.88],
    ['one that uses all of it', 0.1, 0.08, 0.55],
  ])('%s: chance is weak, a find is not', (_, middle, spread, find) => {
    const like = createLikeness(chance(middle, spread, 256), 10_000);
    const best = Math.max(...chance(middle, spread, 10_000));
    expect(like(best) ?? 0).toBeLessThan(0.2);
    expect(like(find)).toBeGreaterThan(0.4);
    expect(like(middle)).toBeNull();
  });

  it('is between 0 and 1, rises, and takes any sample', () => {
    const cosine = fc.double({ min: -1, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(cosine, { maxLength: 50 }), fc.nat(1_000_000), cosine, cosine, (sample, count, a, b) => {
        const like = createLikeness(sample, count);
        const [low, high] = [Math.min(a, b), Math.max(a, b)].map((value) => like(value) ?? -1) as [number, number];
        expect(low <= high && high <= 1 && !Number.isNaN(high)).toBe(true);
      }),
    );
    expect(createLikeness([], 0)(Number.NaN)).toBeNull();
  });

  it('of the first few texts is told without others to compare with', () => {
    expect(createLikeness([0.7], 1)(0.7)).toBeGreaterThan(0.35);
    expect(createLikeness([0.2], 1)(0.2)).toBeNull();
  });
});

it('pauses grow to five minutes, are longer for a wrong key, and as long as asked within an hour', () => {
  const later = { failure: 'unavailable', retryAfterMs: null } as const;
  expect([1, 2, 3, 9, 10, 1_000].map((tries) => pauseAfter(tries, later, 0.5))).toEqual([
    1_000, 2_000, 4_000, 256_000, 300_000, 300_000,
  ]);
  expect(pauseAfter(1, { ...later, failure: 'denied' }, 0.5)).toBe(60_000);
  expect(pauseAfter(1, { ...later, retryAfterMs: 42_000 }, 0.5)).toBe(42_000);
  expect(pauseAfter(1, { ...later, retryAfterMs: 1e12 }, 0.5)).toBe(3_600_000);
  expect(pauseAfter(3, later, 0)).toBeLessThan(pauseAfter(3, later, 1));
});

it('a model is its provider, its name and its prefixes', () => {
  const id = (name: keyof typeof providers, model: string) => modelIdOf({ provider: providers[name], model });
  expect(id('voyage', 'voyage-4')).toBe('voyage:voyage-4:field');
  expect(id('ollama', 'bge-m3')).toBe('ollama:bge-m3:plain');
  expect(id('ollama', 'nomic-embed-text')).toMatch(/^ollama:nomic-embed-text:[0-9a-f]{8}$/);
  expect(Object.entries(providers).map(([name, provider]) => name === provider.name)).toEqual([true, true, true]);
});

describe('the matrix', () => {
  it('holds what a plain list holds, through any order of putting and removing, by numbers and by signs', async () => {
    const step = fc.record({ doc: fc.nat(30), seed: fc.integer({ min: 1, max: 1_000 }), remove: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), fc.constantFrom(0, 10, 1_000), async (steps, exactRows) => {
        const dimension = 13;
        const matrix = createMatrix(dimension, { exactBytes: exactRows * dimension * 4 });
        const plain = new Map<number, Float32Array>();
        for (const { doc, seed, remove } of steps) {
          if (remove) {
            matrix.remove(doc);
            plain.delete(doc);
          } else {
            const vector = unit(randomOf(seed), dimension);
            matrix.put(doc, vector);
            plain.set(doc, vector);
          }
        }
        const query = unit(randomOf(5), dimension);
        const found = await matrix.nearest(query, 50, turn);
        expect(found.map(({ doc }) => doc).sort()).toEqual([...plain.keys()].sort());
        expect(matrix.size).toBe(plain.size);
        for (const { doc, score } of matrix.exact ? found : [])
          expect(score).toBeCloseTo(dot(query, plain.get(doc)!), 5);
      }),
      { numRuns: 60 },
    );
  });

  it('by signs the nearest are among few candidates', async () => {
    const random = randomOf(3);
    const dimension = 256;
    const topics = Array.from({ length: 60 }, () => unit(random, dimension));
    const exact = createMatrix(dimension);
    const signs = createMatrix(dimension, { exactBytes: 0 });
    const vectors = Array.from({ length: 6_000 }, (_, i) => unit(random, dimension, topics[i % 60]));
    for (const [doc, vector] of vectors.entries()) {
      exact.put(doc, vector);
      signs.put(doc, vector);
    }
    expect([exact.exact, signs.exact]).toEqual([true, false]);
    expect(signs.bytes()).toBeLessThan(exact.bytes() / 8);
    let hits = 0;
    for (let i = 0; i < 20; i++) {
      const query = unit(random, dimension, topics[i]);
      const wanted = await exact.nearest(query, 20, turn);
      const candidates = new Set((await signs.nearest(query, 500, turn)).map(({ doc }) => doc));
      hits += wanted.filter(({ doc }) => candidates.has(doc)).length;
    }
    expect(hits / 400).toBeGreaterThan(0.97);
  });

  it('lets others have their turn, and answers with what is left when it is back', async () => {
    const dimension = 512;
    const matrix = createMatrix(dimension, { exactBytes: 1e9 });
    const random = randomOf(9);
    const some = Array.from({ length: 50 }, () => unit(random, dimension));
    for (let doc = 0; doc < 40_000; doc++) matrix.put(doc, some[doc % 50]!);
    let turns = 0;
    const found = await matrix.nearest(some[7]!, 100, async () => {
      turns += 1;
      if (turns === 1) for (let doc = 7; doc < 40_000; doc += 100) matrix.remove(doc);
      await turn();
    });
    expect(turns).toBeGreaterThan(0);
    expect(found.filter(({ doc }) => doc % 100 === 7)).toEqual([]);
  });

  it('refuses a vector of another length', () => {
    expect(() => createMatrix(4).put(1, new Float32Array(5))).toThrow('5 dimensions among 4');
  });
});
