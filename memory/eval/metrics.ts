// Retrieval measured: recall, hits, reciprocal rank, evidence within a budget of tokens, latency. Pure.
import type { RetrievalScores, TurnScores } from '../../core/memory-evaluation.ts';

/** What a question should find, and what came, best first. */
export interface Asked {
  gold: readonly string[];
  /** No id twice. */
  found: readonly string[];
}

export interface AskedTurns extends Asked {
  /** Tokens of each found one, in the same order. */
  tokens: readonly number[];
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

/** |gold ∩ first k| / |gold|. */
export function recallAt({ gold, found }: Asked, k: number): number {
  const first = new Set(found.slice(0, k));
  return gold.filter((id) => first.has(id)).length / gold.length;
}

export function reciprocalRank({ gold, found }: Asked): number {
  const wanted = new Set(gold);
  const index = found.findIndex((id) => wanted.has(id));
  return index < 0 ? 0 : 1 / (index + 1);
}

/** Taken in order until the next one would not fit. */
export function recallWithin({ gold, found, tokens }: AskedTurns, budget: number): number {
  let used = 0;
  let count = 0;
  for (const size of tokens) {
    used += size;
    if (used > budget) break;
    count += 1;
  }
  return recallAt({ gold, found }, count);
}

export function scores(asked: readonly Asked[]): RetrievalScores {
  const at = <T>(measure: (one: Asked, k: number) => T, k: number) => asked.map((one) => measure(one, k));
  const recall = (k: number) => mean(at(recallAt, k));
  const hit = (k: number) => mean(at((one, n) => (recallAt(one, n) > 0 ? 1 : 0), k));
  return {
    questions: asked.length,
    recall: { 1: recall(1), 5: recall(5), 10: recall(10), 20: recall(20) },
    hit: { 1: hit(1), 5: hit(5), 10: hit(10), 20: hit(20) },
    mrr: mean(asked.map(reciprocalRank)),
  };
}

export function turnScores(asked: readonly AskedTurns[]): TurnScores {
  const within = (budget: number) => mean(asked.map((one) => recallWithin(one, budget)));
  return { ...scores(asked), within: { 500: within(500), 1000: within(1_000), 2000: within(2_000) } };
}

/** By the nearest rank; 0 of nothing. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
