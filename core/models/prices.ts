// What a model request costs, in USD. One table; pure.
import type { ModelUsage } from '../types.ts';

/** USD per million tokens. `cacheWrite` is the five-minute cache. */
export interface Price {
  input: number;
  output: number;
  cacheWrite: number;
  cacheRead: number;
}

const price = (input: number, output: number, cacheWrite: number, cacheRead: number): Price => ({
  input,
  output,
  cacheWrite,
  cacheRead,
});

const FREE = price(0, 0, 0, 0);
const OPUS = price(5, 25, 6.25, 0.5);
const SONNET_4 = price(3, 15, 3.75, 0.3);

/**
 * Source: Anthropic's public pricing page, as of 2026-10-24.
 * A model that is not here has no known price: its cost is null, never a guess and never zero.
 */
const PRICES: Record<string, (promptTokens: number) => Price> = {
  offline: () => FREE,
  'claude-fable-5-1': () => price(10, 50, 12.5, 0.25),
  'claude-fable-5': () => price(10, 50, 12.5, 1),
  'claude-opus-5-5': () => price(4, 20, 5, 0.2),
  'claude-opus-5': () => OPUS,
  'claude-opus-4-8': () => OPUS,
  'claude-opus-4-7': () => OPUS,
  'claude-opus-4-6': () => OPUS,
  'claude-opus-4-5': () => OPUS,
  'claude-sonnet-5-5': () => price(2, 10, 2.5, 0.1),
  'claude-sonnet-5': () => price(2, 10, 2.5, 0.2),
  'claude-sonnet-4-6': () => SONNET_4,
  'claude-sonnet-4-5': () => SONNET_4,
  // The size of the prompt sets the price of the whole request, its answer included.
  'claude-haiku-5-5': (promptTokens) =>
    promptTokens <= 100_000 ? price(0.1, 0.5, 0.125, 0.01) : price(0.5, 2.5, 0.625, 0.05),
  'claude-haiku-4-5': () => price(1, 5, 1.25, 0.1),
};

/** USD for one request; null = the price of this model is not known. A dated id (`…-20251001`) costs what its base costs. */
export function costOf(model: string, usage: ModelUsage): number | null {
  const name = model.replace(/-\d{8}$/, '');
  const priceFor = Object.hasOwn(PRICES, name) ? PRICES[name] : undefined;
  if (!priceFor) return null;
  const prompt = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens;
  const { input, output, cacheWrite, cacheRead } = priceFor(prompt);
  return (
    (usage.input_tokens * input +
      usage.output_tokens * output +
      usage.cache_creation_input_tokens * cacheWrite +
      usage.cache_read_input_tokens * cacheRead) /
    1_000_000
  );
}
