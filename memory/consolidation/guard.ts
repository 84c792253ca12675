// How much one run may change: at most a quarter of what is live in a scope, so that no run rewrites a memory by itself. Pure.
import type { Op } from '../types.ts';

const SHARE = 0.25;
/** So that a small memory can still be put right. */
const FEWEST = 3;

/** How many live items of a scope one run may retire, supersede or archive. */
export const allowance = (live: number): number => Math.max(FEWEST, Math.floor(live * SHARE));

/** The live items that are no longer live once this is done. */
export function touchedBy(op: Op): readonly string[] {
  switch (op.kind) {
    case 'add':
      return [];
    case 'supersede':
      return op.ids;
    case 'retire':
    case 'archive':
      return [op.id];
  }
}

/** In their order, as many as fit; the others are held back. What only adds always fits. */
export function guard<O extends Op>(ops: readonly O[], live: number): { taken: O[]; held: O[] } {
  let left = allowance(live);
  const taken: O[] = [];
  const held: O[] = [];
  for (const op of ops) {
    const touched = touchedBy(op).length;
    if (touched > left) held.push(op);
    else {
      left -= touched;
      taken.push(op);
    }
  }
  return { taken, held };
}
