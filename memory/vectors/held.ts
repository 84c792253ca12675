// What of the vectors is held in memory for searching: the matrix, and a few of them taken at random. Rows stay the truth.
import { createMatrix, type Matrix } from './matrix.ts';
import type { Store } from './store.ts';

const SAMPLE = 256;
const PAGE = 100;

export interface Held {
  readonly matrix: Matrix;
  readonly ready: boolean;
  /** Reads all rows, a page at a time. Rows that come meanwhile are to be put. */
  load(pause: () => Promise<void>, signal: AbortSignal): Promise<void>;
  put(doc: number, vector: Float32Array): void;
  remove(doc: number): void;
  /** Of docs that are still there. */
  sample(): Float32Array[];
}

export function createHeld(
  store: Store,
  dimension: number,
  deps: { random(): number; exactBytes?: number | undefined },
): Held {
  const matrix = createMatrix(dimension, deps.exactBytes === undefined ? {} : { exactBytes: deps.exactBytes });
  const sample: { doc: number; vector: Float32Array }[] = [];
  let seen = 0;
  let ready = false;
  const put = (doc: number, vector: Float32Array) => {
    // Half a vector was a vector of another model.
    if (vector.length !== dimension) return;
    matrix.put(doc, vector);
    seen += 1;
    if (sample.length < SAMPLE) return void sample.push({ doc, vector });
    const place = Math.floor(deps.random() * seen);
    if (place < SAMPLE) sample[place] = { doc, vector };
  };
  return {
    matrix,
    get ready() {
      return ready;
    },
    async load(pause, signal) {
      for (let after: number | null = -1; after !== null && !signal.aborted; ) {
        const page = store.page(after, PAGE);
        for (const { doc, vector } of page.rows) if (!matrix.has(doc)) put(doc, vector);
        after = page.last;
        await pause();
      }
      ready = !signal.aborted;
    },
    put,
    remove: (doc) => matrix.remove(doc),
    sample: () => sample.filter(({ doc }) => matrix.has(doc)).map(({ vector }) => vector),
  };
}
