// What an import left out, counted by reason: a million lines that are here already are one sentence.
import type { Skipped } from './plan.ts';

export function tally() {
  const counts = new Map<string, { what: string; why: string; n: number }>();
  const plural = (what: string, n: number) =>
    n === 1 ? what : what.endsWith('y') ? `${what.slice(0, -1)}ies` : `${what}s`;
  return {
    add(what: string, why: string): void {
      const key = `${what}\n${why}`;
      const entry = counts.get(key) ?? { what, why, n: 0 };
      entry.n += 1;
      counts.set(key, entry);
    },
    all: (): Skipped[] => [...counts.values()].map(({ what, why, n }) => ({ what: `${n} ${plural(what, n)}`, why })),
  };
}
