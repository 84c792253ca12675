// Long loops in pieces: the process that saves a big tree also answers people, so none of its turns may last.
import { setImmediate } from 'node:timers/promises';

/** Some milliseconds of the work done here on each. */
const SLICE = 2_000;

/** Between two slices everything else has its turn. */
export async function* inSlices<T>(items: Iterable<T>): AsyncGenerator<T[]> {
  let slice: T[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
    await setImmediate();
  }
  if (slice.length > 0) yield slice;
}

/** `count` fields at a time. */
export function* recordsOf(fields: readonly string[], from: number, count: number): Generator<string[]> {
  for (let at = from; at + count <= fields.length; at += count) yield fields.slice(at, at + count);
}
