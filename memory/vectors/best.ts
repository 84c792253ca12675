// The best few of many scores, without sorting them all. Pure.

export interface Scored {
  doc: number;
  score: number;
}

export interface Best {
  add(doc: number, score: number): void;
  /** Best first; equal ones by the older doc. */
  list(): Scored[];
}

export function createBest(limit: number): Best {
  let kept: Scored[] = [];
  let floor = Number.NEGATIVE_INFINITY;
  const prune = () => {
    kept.sort((a, b) => b.score - a.score || a.doc - b.doc);
    kept = kept.slice(0, limit);
    if (kept.length === limit) floor = kept[limit - 1]?.score ?? Number.POSITIVE_INFINITY;
  };
  return {
    add(doc, score) {
      // As good as the worst kept may still be the older one; NaN is nowhere.
      if (!(score >= floor)) return;
      kept.push({ doc, score });
      if (kept.length >= 4 * limit + 64) prune();
    },
    list() {
      prune();
      return [...kept];
    },
  };
}
