// What JSON from outside may look like: bounded in depth, since everything that walks it later recurses.

export const MAX_JSON_DEPTH = 100;

/** Walks without recursion: the parser of the platform takes any depth, its serialiser does not give it back. */
export function isTooDeep(value: unknown, limit = MAX_JSON_DEPTH): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true;
    level = level.flatMap((entry) => (entry !== null && typeof entry === 'object' ? Object.values(entry) : []));
  }
  return false;
}
