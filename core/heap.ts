// Keeps the heap of a process that mostly waits small: a young generation of 2 MB instead of 16 or more, and code for size.
import { setFlagsFromString } from 'node:v8';

/** To be called before anything large is loaded. Measured: 174 → 112 MB resident after 100 turns, and flat from there. */
export function keepHeapSmall(): void {
  setFlagsFromString('--max-semi-space-size=2');
  setFlagsFromString('--optimize-for-size');
}
