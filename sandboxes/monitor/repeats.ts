// Does a run go in circles? Pure: looks at its last calls, what they were asked and what came of them.
import { createHash } from 'node:crypto';

/** A call that has its result. */
export interface CallSeen {
  name: string;
  /** Digests: equal when they say the same. */
  input: string;
  result: string;
  failed: boolean;
}

export interface Repeat {
  kind: 'same_call' | 'alternating' | 'same_error';
  /** One sentence. */
  why: string;
}

/** In a row. */
const SAME_CALL = 3;
const SAME_ERROR = 3;
const ALTERNATING = 6;
/** How many calls a rule looks back at most. */
export const LOOK_BACK = ALTERNATING;

const same = (a: CallSeen, b: CallSeen): boolean => a.name === b.name && a.input === b.input && a.result === b.result;
const allSame = (calls: readonly CallSeen[]): boolean => calls.every((call) => same(call, calls[0]!));

/**
 * The calls in their order, since anybody said something new. Asking again for what changes meanwhile is no circle: the
 * results differ.
 */
export function repeats(calls: readonly CallSeen[]): Repeat | null {
  const end = (count: number): readonly CallSeen[] | null => (calls.length < count ? null : calls.slice(-count));
  const last = calls.at(-1);
  if (!last) return null;
  const calledAgain = end(SAME_CALL);
  if (calledAgain && allSame(calledAgain)) {
    const why = `It made the same call ${SAME_CALL} times in a row (${last.name}), and each time the same came of it.`;
    return { kind: 'same_call', why };
  }
  const failedAgain = end(SAME_ERROR);
  if (failedAgain?.every(({ failed, result }) => failed && result === last.result))
    return { kind: 'same_error', why: `Its last ${SAME_ERROR} calls failed with the same error.` };
  const between = end(ALTERNATING);
  if (between) {
    const [odd, even] = [0, 1].map((from) => between.filter((_, at) => at % 2 === from)) as [CallSeen[], CallSeen[]];
    if (allSame(odd) && allSame(even)) {
      const why = `Its last ${ALTERNATING} calls went back and forth between two (${odd[0]!.name}, ${even[0]!.name}), with the same results.`;
      return { kind: 'alternating', why };
    }
  }
  return null;
}

/** What differs between two results that say the same: how long it took, when it was, and where in memory. */
const MOMENTS =
  /\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?Z?\b|\b\d{1,2}:\d\d:\d\d(?:[.,]\d+)?\b|\b\d+(?:[.,]\d+)? ?(?:ms|s|secs?|seconds?|m|mins?|minutes?)\b|\b0x[0-9a-f]+\b/gi;
/** Of a long text the beginning and the end are looked at. */
const PART = 20_000;

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 22);

/** Of what came of a call. */
export function resultDigest(text: string): string {
  const looked = text.length <= 2 * PART ? text : `${text.length}\n${text.slice(0, PART)}\n${text.slice(-PART)}`;
  return digest(looked.replace(MOMENTS, '#').trim());
}
