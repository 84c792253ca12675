// Vectors in memory: all of them exactly while they are few, else one bit for each dimension, to choose whom to look at exactly.
import { createBest, type Scored } from './best.ts';

/** 20,000 vectors of 1,024 dimensions. */
export const EXACT_BYTES = 20_000 * 1_024 * 4;
/** How long it computes before everything else gets its turn. Milliseconds. */
const SLICE_MS = 4;
const ROWS_BETWEEN_LOOKS = 128;

export interface Matrix {
  readonly size: number;
  /** Whether scores are cosines; otherwise they only tell who might be near. */
  readonly exact: boolean;
  /** Of length 1. */
  put(doc: number, vector: Float32Array): void;
  remove(doc: number): void;
  has(doc: number): boolean;
  /** The nearest, best first. Gives way to others every few milliseconds. */
  nearest(query: Float32Array, limit: number, pause: () => Promise<void>): Promise<Scored[]>;
  bytes(): number;
}

/** In blocks: growing one piece would copy all of it at once, while everybody waits. */
const BLOCK_BITS = 9;
const BLOCK = 1 << BLOCK_BITS;

/** A row of `width` values for each doc. */
function rowsOf<A extends Float32Array | Uint8Array>(make: (length: number) => A, width: number) {
  const blocks: A[] = [];
  const of = (row: number): A => blocks[row >> BLOCK_BITS]!;
  const from = (row: number): number => (row & (BLOCK - 1)) * width;
  return {
    width,
    of,
    from,
    room(row: number) {
      while (row >> BLOCK_BITS >= blocks.length) blocks.push(make(BLOCK * width));
    },
    /** Copies one row over another and wipes the first. */
    move(row: number, to: number) {
      const source = of(row);
      if (row !== to) of(to).set(source.subarray(from(row), from(row) + width) as never, from(to));
      source.fill(0, from(row), from(row) + width);
    },
    bytes: () => blocks.reduce((sum, block) => sum + block.byteLength, 0),
  };
}

export function createMatrix(dimension: number, options: { exactBytes?: number } = {}): Matrix {
  const most = Math.floor((options.exactBytes ?? EXACT_BYTES) / (dimension * 4));
  let floats: ReturnType<typeof rowsOf<Float32Array>> | null = rowsOf((length) => new Float32Array(length), dimension);
  // Kept beside the numbers from the start: giving those up then takes no time.
  const bits = rowsOf((length) => new Uint8Array(length), Math.ceil(dimension / 8));
  let docs = new Float64Array(64);
  const place = new Map<number, number>();

  const writeBits = (row: number, vector: Float32Array) => {
    const block = bits.of(row);
    const at = bits.from(row);
    for (let byte = 0; byte < bits.width; byte++) {
      let value = 0;
      for (let bit = 0; bit < 8; bit++) if (vector[byte * 8 + bit]! > 0) value |= 1 << bit;
      block[at + byte] = value;
    }
  };

  async function scan(limit: number, scoreOf: (row: number) => number, pause: () => Promise<void>): Promise<Scored[]> {
    const best = createBest(limit);
    let since = performance.now();
    for (let row = 0; row < place.size; row++) {
      best.add(docs[row]!, scoreOf(row));
      if (row % ROWS_BETWEEN_LOOKS !== ROWS_BETWEEN_LOOKS - 1 || performance.now() - since < SLICE_MS) continue;
      await pause();
      since = performance.now();
    }
    // What was removed meanwhile is no answer, and a row that was moved may have been seen twice.
    const seen = new Set<number>();
    return best.list().filter(({ doc }) => place.has(doc) && !seen.has(doc) && seen.add(doc));
  }

  const byFloats = (query: Float32Array) => (row: number) => {
    // Four sums, since each addition waits for the one before it. The rows may have been replaced while others had their turn.
    if (!floats) return Number.NaN;
    const values = floats.of(row);
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    let at = floats.from(row);
    let i = 0;
    for (; i + 3 < dimension; i += 4, at += 4) {
      a += values[at]! * query[i]!;
      b += values[at + 1]! * query[i + 1]!;
      c += values[at + 2]! * query[i + 2]!;
      d += values[at + 3]! * query[i + 3]!;
    }
    for (; i < dimension; i++, at++) a += values[at]! * query[i]!;
    return a + b + c + d;
  };

  /**
   * The question as it is against the signs of a row: much nearer to the cosine than comparing signs with signs. For each
   * byte of a row there is a table of what its 256 values add up to.
   */
  const bySigns = (query: Float32Array) => {
    const { width } = bits;
    const table = new Float32Array(width * 256);
    for (let byte = 0; byte < width; byte++) {
      const from = byte * 256;
      for (let bit = 0; bit < 8; bit++) table[from]! -= query[byte * 8 + bit] ?? 0;
      // Each value is one with a bit less, and that bit turned.
      for (let value = 1; value < 256; value++) {
        const rest = value & (value - 1);
        const bit = 31 - Math.clz32(value ^ rest);
        table[from + value] = table[from + rest]! + 2 * (query[byte * 8 + bit] ?? 0);
      }
    }
    return (row: number) => {
      const values = bits.of(row);
      const from = bits.from(row);
      let score = 0;
      for (let byte = 0; byte < width; byte++) score += table[(byte << 8) | values[from + byte]!]!;
      return score;
    };
  };

  return {
    get size() {
      return place.size;
    },
    get exact() {
      return floats !== null;
    },
    has: (doc) => place.has(doc),
    put(doc, vector) {
      if (vector.length !== dimension) throw new Error(`A vector of ${vector.length} dimensions among ${dimension}.`);
      const row = place.get(doc) ?? place.size;
      if (row >= most) floats = null;
      if (row >= docs.length) {
        const larger = new Float64Array(Math.ceil(docs.length * 1.5));
        larger.set(docs);
        docs = larger;
      }
      docs[row] = doc;
      place.set(doc, row);
      bits.room(row);
      writeBits(row, vector);
      floats?.room(row);
      floats?.of(row).set(vector, floats.from(row));
    },
    remove(doc) {
      const row = place.get(doc);
      if (row === undefined) return;
      const last = place.size - 1;
      floats?.move(last, row);
      bits.move(last, row);
      docs[row] = docs[last]!;
      place.set(docs[row]!, row);
      place.delete(doc);
    },
    async nearest(query, limit, pause) {
      if (place.size === 0 || limit <= 0) return [];
      if (!floats) return scan(limit, bySigns(query), pause);
      const found = await scan(limit, byFloats(query), pause);
      // It grew over the bound while others had their turn.
      return floats ? found : scan(limit, bySigns(query), pause);
    },
    bytes: () => docs.byteLength + bits.bytes() + (floats?.bytes() ?? 0),
  };
}
