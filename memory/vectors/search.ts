// Which docs mean what a question asks: its vector against all of them. Late, down or half built is an answer, too, never an error.
import type { Clock } from '../../core/clock.ts';
import type { Millis } from '../../core/types.ts';
import type { Embed, Source } from './client.ts';
import type { Held } from './held.ts';
import { createLikeness } from './likeness.ts';
import type { Store } from './store.ts';

/** Longest wait for the vector of a question. */
const PATIENCE: Millis = 800;
/** After a failure nobody waits again for so long; doubled with each further one. */
const REST: Millis = 5_000;
const LONGEST_REST: Millis = 300_000;
/** A trouble that nobody ran into again for so long is past. */
const SHOWN: Millis = 600_000;
/** Signs choose so many, of which cosines choose the best. */
const CANDIDATES = 500;
const READ = 50;
const CACHED = 100;
/** With more than this share, and number, of docs still to come, what is missing would look like what is not there. */
const BEHIND_SHARE = 0.1;
const BEHIND_DOCS = 100;

/** Scores from .5, which chance would reach, to 1. */
export type Near = { doc: number; score: number }[] | { failed: string };

export interface VectorSearch {
  search(query: string, limit: number): Promise<Near>;
  /** Resolves when no question is under way: the background lets them go first. */
  quiet(): Promise<void>;
  /** Why a question of the last minutes could not be asked; null once one could. */
  trouble(): string | null;
}

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

export function createVectorSearch(deps: {
  source: Source;
  store: Store;
  /** Null while there is no model yet. */
  held(): Held | null;
  /** Every doc has its vector. */
  complete(): boolean;
  embed: Embed;
  clock: Pick<Clock, 'now'>;
  signal: AbortSignal;
  /** Lets everybody else have a turn. */
  pause(): Promise<void>;
  succeeded(): void;
  patienceMs?: Millis | undefined;
}): VectorSearch {
  const { store, clock } = deps;
  const cache = new Map<string, Float32Array>();
  let failures = 0;
  let restUntil: Millis = 0;
  let trouble: string | null = null;
  let troubleAt: Millis = 0;
  const asking = new Set<Promise<unknown>>();

  const vectorOf = async (query: string, dimension: number): Promise<Float32Array | { failed: string }> => {
    const known = cache.get(query);
    if (known?.length === dimension) {
      // The newest stands last.
      cache.delete(query);
      cache.set(query, known);
      return known;
    }
    if (trouble !== null && clock.now() < restUntil) return { failed: trouble };
    const timeoutMs = deps.patienceMs ?? PATIENCE;
    const request = deps.embed(deps.source, { texts: [query], use: 'query', signal: deps.signal, timeoutMs });
    asking.add(request);
    const answer = await request;
    asking.delete(request);
    const why =
      answer.kind === 'failed'
        ? answer.why
        : answer.dimension !== dimension
          ? `The model makes vectors of ${answer.dimension} numbers now, not ${dimension}.`
          : null;
    if (why !== null) {
      trouble = why;
      troubleAt = clock.now();
      restUntil = clock.now() + Math.min(LONGEST_REST, REST * 2 ** failures);
      failures += 1;
      return { failed: why };
    }
    failures = 0;
    trouble = null;
    deps.succeeded();
    const vector = (answer as Extract<typeof answer, { kind: 'vectors' }>).vectors[0]!;
    cache.set(query, vector);
    if (cache.size > CACHED) cache.delete(cache.keys().next().value!);
    return vector;
  };

  const nearest = async (query: string, limit: number): Promise<Near> => {
    const text = query.trim();
    if (text === '' || limit <= 0) return [];
    const held = deps.held();
    if (!held?.ready) return { failed: trouble ?? 'The vectors are being read.' };
    const { docs, of } = store.behind();
    if (!deps.complete() && docs > Math.max(BEHIND_DOCS, of * BEHIND_SHARE))
      return { failed: `The vectors are being made: ${docs} of ${of} to go.` };
    const dimension = store.model()?.dimension ?? 0;
    const vector = await vectorOf(text, dimension);
    if ('failed' in vector) return vector;
    const { matrix } = held;
    const wanted = matrix.exact ? limit : Math.max(CANDIDATES, 2 * limit);
    const near = await matrix.nearest(vector, wanted, deps.pause);
    const found: { doc: number; score: number }[] = [];
    for (let from = 0; from < near.length; from += READ) {
      const part = near.slice(from, from + READ);
      const rows = store.vectors(part.map(({ doc }) => doc));
      for (const { doc } of part) {
        const row = rows.get(doc);
        // What has no row any more was forgotten.
        if (row?.length === vector.length) found.push({ doc, score: dot(vector, row) });
        else matrix.remove(doc);
      }
      await deps.pause();
    }
    const likeness = createLikeness(
      held.sample().map((one) => dot(vector, one)),
      matrix.size,
    );
    return found
      .sort((a, b) => b.score - a.score || a.doc - b.doc)
      .slice(0, limit)
      .flatMap(({ doc, score }) => {
        const like = likeness(score);
        return like === null ? [] : [{ doc, score: (1 + like) / 2 }];
      });
  };

  return {
    async search(query, limit) {
      try {
        return await nearest(query, limit);
      } catch (error) {
        return { failed: deps.signal.aborted ? 'Steward is stopping.' : (error as Error).message };
      }
    },
    async quiet() {
      while (asking.size > 0) await Promise.race(asking);
    },
    trouble: () => (trouble !== null && clock.now() < troubleAt + SHOWN ? trouble : null),
  };
}
