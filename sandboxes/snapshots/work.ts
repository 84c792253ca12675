// A folder for the length of one piece of work, which the isolated programs of one uid may write in.
import { randomBytes } from 'node:crypto';
import { chown, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

const PREFIX = 'work-';

/** It belongs to who owns `owner`, is closed to everybody else, and is gone when `work` ends. */
export async function withWork<T>(parent: string, owner: string, work: (folder: string) => Promise<T>): Promise<T> {
  const { uid, gid } = await stat(owner);
  const folder = join(parent, PREFIX + randomBytes(8).toString('hex'));
  await mkdir(folder, { mode: 0o700 });
  try {
    if (process.getuid?.() === 0) await chown(folder, uid, gid);
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a life that was cut off left behind: work folders, and files that were not finished. Only while no work is done. */
export async function sweep(parent: string): Promise<void> {
  for (const entry of await readdir(parent).catch(() => []))
    if (entry.startsWith(PREFIX) || entry.endsWith('.new'))
      await rm(join(parent, entry), { recursive: true, force: true });
}
