// Paths of memories: which are allowed, which overlap, and what of a tree a listing shows. Pure.
import { StewardError } from '../../core/errors.ts';
import { STORE_LIMITS } from '../../core/memory-stores.ts';

const wrong = (why: string) =>
  new StewardError('invalid', `path ${why}.`, { op: 'name a memory', hint: 'Like /projects/notes.md.' });

/** Throws `invalid`. */
export function checkPath(path: string): void {
  if (!path.startsWith('/')) throw wrong('must start with /');
  if (Buffer.byteLength(path) > STORE_LIMITS.path) throw wrong(`must be at most ${STORE_LIMITS.path} bytes long`);
  if (!path.isWellFormed() || path !== path.normalize('NFC')) throw wrong('must be in Unicode Normalization Form C');
  if (/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(path)) throw wrong('must not hold control or format characters');
  const segments = path.slice(1).split('/');
  if (segments.length > STORE_LIMITS.segments) throw wrong(`must have at most ${STORE_LIMITS.segments} segments`);
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..'))
    throw wrong('must not have empty segments, . or ..');
}

/** The same, or one inside the other. */
export const overlap = (a: string, b: string): boolean => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);

/** In the order of their characters; a folder stands where its first path would. `after`: the last entry of the page before. */
export function entriesUnder(
  paths: Iterable<string>,
  query: { prefix: string; depth: 0 | 1; after?: string; limit: number },
): { path: string; folder: boolean }[] {
  const found = new Map<string, boolean>();
  for (const path of paths) {
    if (!path.startsWith(query.prefix)) continue;
    const slash = query.depth === 1 ? path.indexOf('/', query.prefix.length) : -1;
    const shown = slash < 0 ? path : path.slice(0, slash + 1);
    if (query.after === undefined || shown > query.after) found.set(shown, slash >= 0);
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, query.limit)
    .map(([path, folder]) => ({ path, folder }));
}
