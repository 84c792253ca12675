// What is in workspace and home at one moment, as one line per entry, and how two moments differ. Pure.
import { posix } from 'node:path';
import { PLACES, type Snapshot } from '../../driver.ts';

/** Paths and link targets are Latin-1 of their bytes, so that a name that is no UTF-8 survives. */
export interface Entry {
  /** Without the leading slash: `workspace/a`. */
  path: string;
  type: 'd' | 'f' | 'l' | 'p';
  /** Octal. */
  mode: string;
  /** Everything a change would show in, also the moment of the last change (ctime): equal means unchanged. */
  mark: string;
}

export type Listing = ReadonlyMap<string, Entry>;

const FORMAT = '%y\\0%m\\0%s\\0%T@\\0%C@\\0%i\\0%l\\0%p\\0';
/** Run inside, with output to parse. It complains, and goes on, about what it may not enter and what went away meanwhile. */
export const FIND = ['find', PLACES.workspace, PLACES.home, '-mindepth', '1', '-printf', FORMAT];
const FIELDS = 8;

/** Sockets and other things that mean nothing without their process are left out. */
export function parseListing(output: Buffer): Listing {
  const fields = output.toString('latin1').split('\0');
  const listing = new Map<string, Entry>();
  for (let at = 0; at + FIELDS < fields.length; at += FIELDS) {
    const [type, mode, size, modified, changed, inode, link, name] = fields.slice(at, at + FIELDS) as [
      string,
      ...string[],
    ];
    if (!(type === 'd' || type === 'f' || type === 'l' || type === 'p')) continue;
    const path = name!.slice(1);
    // Times and size of a folder only repeat what its entries say.
    const rest = type === 'd' ? [] : [size, modified, changed, inode, link];
    listing.set(path, { path, type, mode: mode!, mark: [type, mode, ...rest].join(' ') });
  }
  return listing;
}

export interface Difference {
  /** Added or changed, in the order of the newer listing: folders before what is in them. */
  written: Entry[];
  deleted: Entry[];
}

export function difference(before: Listing, after: Listing): Difference {
  return {
    written: [...after.values()].filter((entry) => before.get(entry.path)?.mark !== entry.mark),
    deleted: [...before.values()].filter((entry) => !after.has(entry.path)),
  };
}

const MOST_NAMED = 200;
const inWorkspace = `${PLACES.workspace.slice(1)}/`;

/** As people see it: files of the workspace by name, repositories' insides and the home as folders. */
export function describeDifference(
  before: Listing,
  { written, deleted }: Difference,
): Pick<Snapshot, 'changes' | 'more'> {
  const changes = new Map<string, Snapshot['changes'][number]>();
  const note = (entry: Entry, kind: 'added' | 'modified' | 'deleted') => {
    const path = shownPath(entry.path);
    const whole = path === entry.path.slice(inWorkspace.length) && entry.path.startsWith(inWorkspace);
    if (whole && entry.type === 'd') return;
    const shown = Buffer.from(path, 'latin1').toString('utf8');
    changes.set(shown, { path: shown, kind: whole ? kind : 'modified' });
  };
  for (const entry of written) note(entry, before.has(entry.path) ? 'modified' : 'added');
  for (const entry of deleted) note(entry, 'deleted');
  const all = [...changes.values()];
  return { changes: all.slice(0, MOST_NAMED), more: Math.max(0, all.length - MOST_NAMED) };
}

function shownPath(path: string): string {
  if (!path.startsWith(inWorkspace)) return PLACES.home;
  const parts = path.slice(inWorkspace.length).split('/');
  const git = parts.indexOf('.git');
  return git < 0 ? parts.join('/') : posix.join(...parts.slice(0, git + 1));
}
