// From cosines to how much they mean. Models place all texts in one corner, each in its own: a cosine of .6 is a find with one
// and chance with another. What a question has in common with just any text of this memory tells chance from find. Pure.

/** Of texts that are all alike the spread says nothing. */
const LEAST_SPREAD = 0.02;
/** What is usual among models, until there are texts enough to tell: cosines from .1 to .5. */
const BEFORE = Array.from({ length: 21 }, (_, i) => 0.3 + (i % 2 ? 0.01 : -0.01) * (20 - i));
/** Nearer to chance than this is not handed on: fusing ranks would make noise of it. In spreads. */
const LEAST = 2;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return 0;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * `sample`: cosines of the question with texts taken at random out of `count`. Returns 0 to 1, rising with the cosine: 0 at
 * what the best of so many would reach by chance; null for what is not worth naming.
 */
export function createLikeness(sample: readonly number[], count: number): (cosine: number) => number | null {
  const seen = [...BEFORE.slice(sample.length), ...sample];
  const usual = median(seen);
  const spread = Math.max(LEAST_SPREAD, 1.4826 * median(seen.map((value) => Math.abs(value - usual))));
  // The largest of n normal values lies about here.
  const chance = Math.min(0.99, usual + spread * Math.sqrt(2 * Math.log(Math.max(2, count))));
  return (cosine) => {
    if (!(cosine >= usual + LEAST * spread)) return null;
    const beyond = Math.max(0, (cosine - chance) / spread);
    return Math.min(1, 1 - Math.exp(-beyond / 2));
  };
}
