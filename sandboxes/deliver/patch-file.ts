// The commits of a change as a file for `git am`, below Steward's files folder: whole or not at all.
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StewardError } from '../../core/errors.ts';
import type { Task } from '../../core/tasks.ts';
import { type HostGit, lastWords } from './host-git.ts';
import type { Taken } from './store.ts';

const LIMIT = 64 * 1024 * 1024;
const OP = 'make a patch';

export interface PatchFiles {
  /** Path below the files folder. */
  write(task: Task, taken: Taken, signal: AbortSignal): Promise<string>;
  /** The path when the file is there and is exactly this change; else null. */
  existing(task: Task, taken: Taken, signal: AbortSignal): Promise<string | null>;
}

export function createPatchFiles(deps: { filesDir: string; git: HostGit }): PatchFiles {
  const { git } = deps;
  const placeOf = ({ branch }: Task): string => join('patches', `${branch.replace(/[^A-Za-z0-9._-]+/g, '-')}.patch`);

  const make = async ({ dir, base, head }: Taken, signal: AbortSignal): Promise<Buffer> => {
    const merges = await git(['rev-list', '--merges', '--max-count=1', `${base}..${head}`], { dir, signal });
    const plain = ['--binary', '--full-index', '--no-ext-diff', '--no-textconv', '--no-color', '--no-renames'];
    // Mails cannot carry a merge: then it is one diff.
    const argv =
      merges.stdout.length === 0
        ? ['format-patch', '--stdout', '--no-signature', '--no-attach', ...plain, `${base}..${head}`]
        : ['diff', ...plain, base, head, '--'];
    const made = await git(argv, { dir, signal, outputBytes: LIMIT });
    if (made.limited === 'output')
      throw new StewardError('too_large', `The patch is larger than ${LIMIT / 1024 / 1024} MB.`, {
        op: OP,
        hint: 'Look whether files were committed that can be made again.',
      });
    if (made.code !== 0) throw new StewardError('conflict', `No patch could be made: ${lastWords(made)}`, { op: OP });
    return made.stdout;
  };

  return {
    async write(task, taken, signal) {
      const place = placeOf(task);
      const path = join(deps.filesDir, place);
      const bytes = await make(taken, signal);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const file = await open(`${path}.new`, 'w', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
      return place;
    },
    async existing(task, taken, signal) {
      const place = placeOf(task);
      const there = await readFile(join(deps.filesDir, place)).catch(() => null);
      return there?.equals(await make(taken, signal)) ? place : null;
    },
  };
}
