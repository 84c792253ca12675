// JSON from outside is bounded in depth before anything walks it.
import { expect, it } from 'vitest';
import { isTooDeep, MAX_JSON_DEPTH } from '../../../core/json.ts';

const nested = (depth: number, wrap: (inner: unknown) => unknown): unknown => {
  let value: unknown = 1;
  for (let n = 0; n < depth; n++) value = wrap(value);
  return value;
};

it.each([
  ['lists', (inner: unknown) => [inner]],
  ['objects', (inner: unknown) => ({ a: inner })],
  ['both, the deep one last', (inner: unknown) => [1, {}, { a: null, b: [inner] }]],
])('%s up to the limit pass, deeper ones do not', (_, wrap) => {
  expect(isTooDeep(nested(10, wrap))).toBe(false);
  expect(isTooDeep(nested(MAX_JSON_DEPTH + 1, wrap))).toBe(true);
  // What the platform's serialiser gives up on is looked at without harm.
  expect(isTooDeep(nested(200_000, wrap))).toBe(true);
});

it('plain values and wide ones are no depth', () => {
  for (const value of [null, 1, 'x', true, undefined, [], {}, Array.from({ length: 100_000 }, () => ({}))])
    expect(isTooDeep(value)).toBe(false);
  expect(isTooDeep(nested(MAX_JSON_DEPTH, (inner) => [inner]))).toBe(false);
});
