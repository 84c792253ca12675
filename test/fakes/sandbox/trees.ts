// Folders as values: copied with everything in them, and told apart by what every path in them is.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Snapshot } from '../../../sandboxes/driver.ts';

/** Best effort, as a folder may change under it; links stay links. */
export async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await new Promise<void>((resolve) => {
    execFile('cp', ['-a', '--', `${from}/.`, to], () => resolve());
  });
}

/** Every path with what it is. What vanishes meanwhile was not there. */
export async function treeOf(root: string, path = ''): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const entries = await readdir(join(root, path), { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const name = join(path, entry.name);
    const seen = await lstat(join(root, name)).catch(() => null);
    if (!seen) continue;
    const content = entry.isFile()
      ? await readFile(join(root, name)).then(
          (data) => createHash('sha256').update(data).digest('hex'),
          () => 'unread',
        )
      : entry.isSymbolicLink()
        ? await readlink(join(root, name)).catch(() => '')
        : '';
    found.set(name, `${(seen.mode & 0o177777).toString(8)} ${content}`);
    if (entry.isDirectory()) for (const [below, what] of await treeOf(root, name)) found.set(below, what);
  }
  return found;
}

/** Folders count as changes of their own only as `.git`. */
export function changesBetween(before: Map<string, string>, after: Map<string, string>): Snapshot['changes'] {
  const changes: Snapshot['changes'] = [];
  let history = false;
  const isFolder = (what: string | undefined) => what?.startsWith('4') ?? false;
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [was, is] = [before.get(path), after.get(path)];
    if (was === is) continue;
    if (/(^|\/)\.git(\/|$)/.test(path)) history = true;
    else if (!isFolder(is ?? was))
      changes.push({ path, kind: was === undefined ? 'added' : is === undefined ? 'deleted' : 'modified' });
  }
  return history ? [...changes, { path: '.git', kind: 'modified' }] : changes;
}

/** Bytes of all files. */
export async function sizeOf(root: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(root, { withFileTypes: true, recursive: true }).catch(() => []))
    if (entry.isFile())
      sum += await lstat(join(entry.parentPath, entry.name)).then(
        ({ blocks }) => blocks * 512,
        () => 0,
      );
  return sum;
}
