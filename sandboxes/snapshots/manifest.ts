// What a snapshot holds, name by name, as one file; and what differs between two of them. Pure.
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import type { Id, Millis } from '../../core/types.ts';
import { PLACES, type Snapshot } from '../driver.ts';
import type { TreePath } from './listing.ts';
import { inSlices, recordsOf } from './slices.ts';

export type Entry =
  /** `chunks`: hashes of its content, in order. */
  | { kind: 'file'; mode: number; mtime: string; size: number; chunks: readonly string[] }
  | { kind: 'folder'; mode: number; mtime: string }
  | { kind: 'link'; mtime: string; target: string }
  /** Another name of the file at `as`. */
  | { kind: 'same'; as: TreePath };

export type Tree = Map<TreePath, Entry>;

/** Why something that stands in the tree is not in the snapshot, or not surely as it was at one moment. */
export interface Omission {
  path: string;
  why: string;
}

export interface Header {
  id: Id;
  createdAt: Millis;
  label: string | null;
  /** The manifest this one is told against; null: it is complete by itself. */
  base: Id | null;
  left: Omission[];
}

const CODES = { file: 'f', folder: 'd', link: 'l', same: 's' } as const;
const GONE = 'x';
const FIELDS = 5;

/** With a base tree only the differences are written. */
export async function encode(header: Header, tree: Tree, base: Tree | null): Promise<Buffer> {
  const fields = [Buffer.from(JSON.stringify(header)).toString('latin1')];
  for await (const slice of inSlices(tree))
    for (const [path, entry] of slice) {
      const was = base?.get(path);
      if (!was || !equal(was, entry)) fields.push(path, CODES[entry.kind], ...written(entry));
    }
  if (base) for (const path of base.keys()) if (!tree.has(path)) fields.push(path, GONE, '', '', '');
  const bytes = Buffer.from(fields.join('\0'), 'latin1');
  // In one piece: by default the library works in crumbs of 16 KiB.
  return promisify(zstdCompress)(bytes, { chunkSize: bytes.length + 64 * 1024 });
}

const written = (entry: Entry): [string, string, string] => {
  if (entry.kind === 'file')
    return [String(entry.mode), entry.mtime, `${entry.size} ${entry.chunks.join(' ')}`.trimEnd()];
  if (entry.kind === 'folder') return [String(entry.mode), entry.mtime, ''];
  return entry.kind === 'link' ? ['', entry.mtime, entry.target] : ['', '', entry.as];
};

export interface Decoded {
  header: Header;
  /** Onto the tree of the base, or an empty one when there is none. */
  applyTo(tree: Tree): Promise<Tree>;
}

export async function decode(bytes: Buffer): Promise<Decoded> {
  const raw = await promisify(zstdDecompress)(bytes, { chunkSize: bytes.length * 8 + 64 * 1024 });
  const fields = raw.toString('latin1').split('\0');
  const header = JSON.parse(Buffer.from(fields[0]!, 'latin1').toString()) as Header;
  return {
    header,
    async applyTo(tree) {
      for await (const slice of inSlices(recordsOf(fields, 1, FIELDS)))
        for (const record of slice) {
          const [path, code, mode, mtime, rest] = record as [string, string, string, string, string];
          if (code === GONE) tree.delete(path);
          else tree.set(path, read(code, mode, mtime, rest));
        }
      return tree;
    },
  };
}

function read(code: string, mode: string, mtime: string, rest: string): Entry {
  if (code === CODES.folder) return { kind: 'folder', mode: Number(mode), mtime };
  if (code === CODES.link) return { kind: 'link', mtime, target: rest };
  if (code === CODES.same) return { kind: 'same', as: rest };
  const [size, ...chunks] = rest.split(' ');
  return { kind: 'file', mode: Number(mode), mtime, size: Number(size), chunks };
}

const equal = (a: Entry, b: Entry): boolean =>
  a === b || (alike(a, b) && ('mtime' in a ? a.mtime : '') === ('mtime' in b ? b.mtime : ''));

/** Times are carried, but a new time alone is no change. */
export function alike(a: Entry, b: Entry): boolean {
  if (a === b) return true;
  if (a.kind === 'file' && b.kind === 'file') {
    const same = a.chunks === b.chunks || a.chunks.join(' ') === b.chunks.join(' ');
    return same && a.mode === b.mode && a.size === b.size;
  }
  if (a.kind === 'folder' && b.kind === 'folder') return a.mode === b.mode;
  if (a.kind === 'link' && b.kind === 'link') return a.target === b.target;
  return a.kind === 'same' && b.kind === 'same' && a.as === b.as;
}

/** How many entries differ, times included: what a manifest told against `was` would hold. */
export async function distance(was: Tree, is: Tree): Promise<number> {
  let count = 0;
  for await (const slice of inSlices(is))
    for (const [path, entry] of slice) {
      const other = was.get(path);
      if (!other || !equal(other, entry)) count += 1;
    }
  for (const path of was.keys()) if (!is.has(path)) count += 1;
  return count;
}

const SHOWN = 200;

/**
 * For people: paths relative to the workspace; a .git and the home are named as wholes, and a folder only when nothing in it
 * is named. Null when nothing differs.
 */
export async function changesBetween(was: Tree, is: Tree): Promise<Pick<Snapshot, 'changes' | 'more'> | null> {
  const found = new Map<TreePath, Snapshot['changes'][number]['kind']>();
  const note = (path: TreePath, kind: 'added' | 'modified' | 'deleted') => {
    const whole = wholeOf(path);
    if (whole === null) found.set(path, kind);
    else found.set(whole, !was.has(whole) ? 'added' : !is.has(whole) ? 'deleted' : 'modified');
  };
  for await (const slice of inSlices(is))
    for (const [path, entry] of slice) {
      const other = was.get(path);
      if (!other) note(path, 'added');
      else if (!alike(other, entry)) note(path, 'modified');
    }
  for (const path of was.keys()) if (!is.has(path)) note(path, 'deleted');
  if (found.size === 0) return null;

  const parents = new Set<TreePath>();
  for (const path of found.keys())
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      const parent = path.slice(0, cut);
      if (parents.has(parent)) break;
      parents.add(parent);
    }
  const named = [...found].filter(([path, kind]) => kind === 'modified' || !parents.has(path));
  const changes = named.slice(0, SHOWN).map(([path, kind]) => ({ path: shownPath(path), kind }));
  return { changes, more: named.length - changes.length };
}

/** The home or the repository a path is in, when that is what is named. */
function wholeOf(path: TreePath): TreePath | null {
  if (path === 'h' || path.startsWith('h/')) return 'h';
  const git = /^(.*?\/\.git)(?:\/|$)/s.exec(path);
  return git ? git[1]! : null;
}

/** As a person reads it: workspace paths relative, the home by its place inside, bytes that are no UTF-8 replaced. */
export function shownPath(path: TreePath): string {
  const text = Buffer.from(path, 'latin1').toString();
  return text.startsWith('w/') ? text.slice(2) : text === 'w' ? '.' : PLACES.home + text.slice(1);
}
