// What stands in workspace and home at one moment, as tree.pl tells it: names, kinds, times, inodes. Pure.
import { inSlices, recordsOf } from './slices.ts';

/**
 * Names are bytes, held one to a character (latin1): not every file name is UTF-8. `w` is the workspace, `w/a` a file in it,
 * `h` the home.
 */
export type TreePath = string;

export interface Listed {
  kind: 'file' | 'folder' | 'link' | 'other';
  mode: number;
  size: number;
  /** `seconds.nanoseconds`. */
  mtime: string;
  /** Set by the kernel alone, by every change of content, mode or name. */
  ctime: string;
  inode: string;
  /** Names it has. */
  links: number;
  /** Of a symbolic link. */
  target: string;
}

export type Listing = Map<TreePath, Listed>;

const FIELDS = 9;

/** What `list` wrote, into the listing. False when it does not end as it should. */
export async function parseListing(bytes: Buffer, listing: Listing): Promise<boolean> {
  for await (const slice of inSlices(recordsOf(bytes.toString('latin1').split('\0'), 0, FIELDS)))
    for (const record of slice) {
      const [path, kind, mode, size, mtime, ctime, inode, links, target] = record as [
        ...[string, Listed['kind'] | 'end', string, string],
        ...[string, string, string, string, string],
      ];
      if (kind === 'end') return true;
      listing.set(path, {
        kind,
        mode: Number(mode),
        size: Number(size),
        mtime,
        ctime,
        inode,
        links: Number(links),
        target,
      });
    }
  return false;
}

/** A moment of the file system's clock: what is changed from then on has a later ctime. */
export interface Stamp {
  sec: number;
  nsec: number;
}

/** Whether what has this ctime was left alone since the stamp. */
export function untouched(ctime: string, stamp: Stamp): boolean {
  const dot = ctime.indexOf('.');
  const sec = Number(ctime.slice(0, dot));
  return sec < stamp.sec || (sec === stamp.sec && Number(ctime.slice(dot + 1)) <= stamp.nsec);
}

/** The kernel takes 4,096 bytes, and a tree may be restored below a longer name. */
export const LONGEST = 3_500;

/** The input of `check`: every known name under its folder. A new name shows in the time of its folder. */
export function checkInput(paths: Iterable<TreePath>, places: { workspace: string; home: string }): Buffer {
  const groups = new Map<TreePath, string[]>([
    ['w', ['.']],
    ['h', ['.']],
  ]);
  for (const path of paths) {
    const cut = path.lastIndexOf('/');
    if (cut < 0 || path.length > LONGEST) continue;
    const folder = path.slice(0, cut);
    const name = path.slice(cut + 1);
    const group = groups.get(folder);
    if (group) group.push(name);
    else groups.set(folder, [name]);
  }
  const hostPath = hostPaths(places);
  const text = [...groups].map(([folder, names]) => `${hostPath(folder)}\0${names.join('\0')}`);
  return Buffer.from(text.join('\0\0'), 'latin1');
}

/** Where a path of the tree is on the host, one byte a character as the path itself. */
export function hostPaths(places: { workspace: string; home: string }): (path: TreePath) => string {
  const [workspace, home] = [places.workspace, places.home].map((path) => Buffer.from(path).toString('latin1'));
  return (path) => (path.startsWith('w') ? workspace : home) + path.slice(1);
}
