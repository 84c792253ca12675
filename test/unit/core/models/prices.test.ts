// What a request costs, checked against sums done by hand.
import { expect, test } from 'vitest';
import { costOf } from '../../../../core/models/prices.ts';
import { ZERO } from './collect.ts';

const MILLION = { ...ZERO, input_tokens: 1_000_000 };
const EACH = {
  input_tokens: 1_000_000,
  output_tokens: 1_000_000,
  cache_creation_input_tokens: 1_000_000,
  cache_read_input_tokens: 1_000_000,
};

test.each([
  ['claude-fable-5-1', 10 + 50 + 12.5 + 0.25],
  ['claude-fable-5', 10 + 50 + 12.5 + 1],
  ['claude-opus-5-5', 4 + 20 + 5 + 0.2],
  ['claude-opus-5', 5 + 25 + 6.25 + 0.5],
  ['claude-opus-4-5', 5 + 25 + 6.25 + 0.5],
  ['claude-sonnet-5-5', 2 + 10 + 2.5 + 0.1],
  ['claude-sonnet-5', 2 + 10 + 2.5 + 0.2],
  ['claude-sonnet-4-6', 3 + 15 + 3.75 + 0.3],
  ['claude-haiku-4-5', 1 + 5 + 1.25 + 0.1],
  ['offline', 0],
])('%s costs %d USD for a million of each', (model, usd) => {
  expect(costOf(model, EACH)).toBeCloseTo(usd, 10);
});

test('a dated id costs what its base costs', () => {
  expect(costOf('claude-haiku-4-5-20251001', MILLION)).toBe(1);
  expect(costOf('claude-opus-4-5-20251101', MILLION)).toBe(5);
});

test('the whole prompt, cached or not, decides the tier of the whole request', () => {
  const usage = {
    input_tokens: 40_000,
    cache_read_input_tokens: 50_000,
    cache_creation_input_tokens: 10_000,
    output_tokens: 1_000,
  };
  const small = (40_000 * 0.1 + 50_000 * 0.01 + 10_000 * 0.125 + 1_000 * 0.5) / 1e6;
  expect(costOf('claude-haiku-5-5', usage)).toBeCloseTo(small, 12);
  const large = (40_001 * 0.5 + 50_000 * 0.05 + 10_000 * 0.625 + 1_000 * 2.5) / 1e6;
  expect(costOf('claude-haiku-5-5', { ...usage, input_tokens: 40_001 })).toBeCloseTo(large, 12);
});

test.each(['claude-fable-5-2', 'claude-mythos-5', 'llama3', 'constructor', 'claude-haiku-4-5-2025'])(
  'the price of %s is not known, which is not zero',
  (model) => {
    expect(costOf(model, MILLION)).toBeNull();
  },
);
