// What was taken out of sandboxes, on the host: a bare repository for each task, in which every change that was prepared is kept under its digest.
import { createHash } from 'node:crypto';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StewardError } from '../../core/errors.ts';
import type { Task } from '../../core/tasks.ts';
import type { Sandbox } from '../driver.ts';
import { type Mirrors, repositoryOf } from '../mirrors.ts';
import { takeIn, takeOut } from './bundle.ts';
import { addedLines, type ChangedFile, parseChange } from './change.ts';
import { type HostGit, lastWords } from './host-git.ts';

const OP = 'deliver a task';
const DIFF_BYTES = 32 * 1024 * 1024;
const LINKS = 200;

/** One change, as it lies here. */
export interface Taken {
  dir: string;
  base: string;
  head: string;
  digest: string;
}

export interface Store {
  /** Takes the work branch out of the sandbox. Null: it has nothing its base has not. Errors: conflict, too_large, sandbox_lost. */
  take(task: Task, sandbox: Sandbox, signal: AbortSignal): Promise<Taken | null>;
  /** What was prepared under this digest. Throws `conflict` when it is not there, or is not that. */
  need(task: Task, approved: { head: string; digest: string }, signal: AbortSignal): Promise<Taken>;
  files(taken: Taken, signal: AbortSignal): Promise<ChangedFile[]>;
  /** Lines and messages of every commit. */
  lines(
    taken: Taken,
    signal: AbortSignal,
  ): Promise<{ added: ReturnType<typeof addedLines>; messages: string; cut: boolean }>;
  stat(taken: Taken, signal: AbortSignal): Promise<string>;
  /** Whether this commit is one of ours: prepared once, or part of what is delivered. */
  knows(taken: Taken, commit: string, signal: AbortSignal): Promise<boolean>;
  forget(taskId: string): Promise<void>;
}

const PLAIN = ['--no-ext-diff', '--no-textconv', '--no-color', '--no-renames', '--no-abbrev'];

/** Repositories lie in `root`. */
export function createStore(deps: { root: string; git: HostGit; mirrors: Pick<Mirrors, 'existing'> }): Store {
  const { git } = deps;
  const placeOf = (taskId: string): string => join(deps.root, `${taskId.replace(/[^A-Za-z0-9_-]/g, '_')}.git`);

  const say = async (taken: { dir: string }, args: readonly string[], signal: AbortSignal): Promise<Buffer> => {
    const ended = await git(args, { dir: taken.dir, signal });
    if (ended.code === 0) return ended.stdout;
    throw new StewardError('conflict', `The change could not be read: ${lastWords(ended)}`, { op: OP });
  };

  /** What exactly leaves: from which commit, to which, where to, and every path with mode and content. */
  const digestOf = async (task: Task, change: Omit<Taken, 'digest'>, signal: AbortSignal): Promise<string> => {
    const tree = await say(change, ['diff-tree', '-r', '-z', '--raw', ...PLAIN, change.base, change.head], signal);
    const head = [repositoryOf(task.repository).url, task.branch, change.base, change.head];
    return createHash('sha256')
      .update(`steward-delivery-1\0${head.join('\0')}\0`)
      .update(tree)
      .digest('hex');
  };

  const open = async (task: Task, signal: AbortSignal): Promise<string> => {
    const dir = placeOf(task.id);
    const mirror = await deps.mirrors.existing(task.repository);
    if (!mirror) throw new StewardError('conflict', 'The mirror of the repository is not there any more.', { op: OP });
    if (!(await stat(join(dir, 'HEAD')).catch(() => null))) {
      await rm(dir, { recursive: true, force: true });
      await mkdir(deps.root, { recursive: true, mode: 0o700 });
      const made = await git(['init', '--quiet', '--bare', '--template=', dir], { signal });
      if (made.code !== 0)
        throw new StewardError('unavailable', `No repository could be made: ${lastWords(made)}`, {
          op: OP,
          retryable: true,
        });
    }
    // The objects of the base are read where they are; the mirror's configuration is not.
    await mkdir(join(dir, 'objects', 'info'), { recursive: true });
    await writeFile(join(dir, 'objects', 'info', 'alternates'), `${join(mirror, 'objects')}\n`, { mode: 0o600 });
    return dir;
  };

  return {
    async take(task, sandbox, signal) {
      const base = task.baseCommit;
      if (base === null || !/^[0-9a-f]{40}$/.test(base))
        throw new StewardError('conflict', 'It is not known from which commit this task began.', { op: OP });
      if (!ownBranch(task.branch)) throw foreign(task.branch);
      if (await isBase(sandbox, task.branch, base, signal)) return null;
      const dir = await open(task, signal);
      const file = join(dir, 'incoming.bundle');
      try {
        const header = await takeOut(sandbox, { branch: task.branch, base, file }, signal);
        const head = await takeIn(git, { dir, file, header, base }, signal);
        const digest = await digestOf(task, { dir, base, head }, signal);
        await say({ dir }, ['update-ref', `refs/steward/${digest}`, head], signal);
        return { dir, base, head, digest };
      } finally {
        await rm(file, { force: true });
      }
    },

    async need(task, approved, signal) {
      const dir = placeOf(task.id);
      const gone = new StewardError('conflict', 'What was approved is not there any more.', {
        op: OP,
        hint: 'It is made and asked about again.',
      });
      if (!/^[0-9a-f]{64}$/.test(approved.digest) || task.baseCommit === null) throw gone;
      const kept = await git(['rev-parse', '--quiet', '--verify', `refs/steward/${approved.digest}^{commit}`], {
        dir,
        signal,
      });
      const taken = { dir, base: task.baseCommit, ...approved };
      if (kept.code !== 0 || kept.stdout.toString('utf8').trim() !== approved.head) throw gone;
      if ((await digestOf(task, taken, signal)) !== approved.digest) throw gone;
      return taken;
    },

    async files(taken, signal) {
      const { base, head } = taken;
      const tree = ['diff-tree', '-r', '-z', '--raw', '--numstat', ...PLAIN, base, head];
      const files = parseChange(await say(taken, tree, signal));
      const blobs = files.filter(({ mode }) => mode !== '000000' && mode !== '160000');
      const sizes = await git(['cat-file', '--batch-check=%(objectsize)'], {
        ...{ dir: taken.dir, signal },
        stdin: Buffer.from(blobs.map(({ object }) => `${object}\n`).join('')),
      });
      const numbers = sizes.stdout.toString('utf8').split('\n');
      for (const [index, file] of blobs.entries()) file.bytes = Number.parseInt(numbers[index] ?? '', 10) || 0;
      for (const link of blobs.filter(({ mode }) => mode === '120000').slice(0, LINKS))
        link.target = (await say(taken, ['cat-file', 'blob', link.object], signal)).toString('utf8').toWellFormed();
      return files;
    },

    async lines(taken, signal) {
      const { dir, base, head } = taken;
      const range = [`${base}..${head}`, '--'];
      const flags = ['-p', '-m', '-U0', '--format=', '--no-ext-diff', '--no-textconv', '--no-color', '--no-renames'];
      const [diff, messages] = await Promise.all([
        git(['log', ...flags, ...range], { dir, signal, outputBytes: DIFF_BYTES }),
        say(taken, ['log', '--format=%B', ...range], signal),
      ]);
      if (diff.code !== 0 && diff.limited === null)
        throw new StewardError('conflict', `The change could not be read: ${lastWords(diff)}`, { op: OP });
      return {
        added: addedLines(diff.stdout.toString('utf8')),
        messages: messages.toString('utf8'),
        cut: diff.limited !== null,
      };
    },

    stat: async (taken, signal) =>
      (await say(taken, ['diff', '--stat=100', ...PLAIN, taken.base, taken.head, '--'], signal))
        .toString('utf8')
        .toWellFormed()
        .trimEnd(),

    async knows(taken, commit, signal) {
      const refs = await say(taken, ['for-each-ref', '--format=%(objectname)', 'refs/steward/'], signal);
      if (refs.toString('utf8').split('\n').includes(commit)) return true;
      const part = await git(['merge-base', '--is-ancestor', commit, taken.head], { dir: taken.dir, signal });
      return part.code === 0;
    },

    forget: (taskId) => rm(placeOf(taskId), { recursive: true, force: true }),
  };
}

/** The only names that are ever written to. Pure. */
export const ownBranch = (branch: string): boolean =>
  /^steward\/[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(branch) && !/\.\.|\.lock$|\.$/.test(branch);

export const foreign = (branch: string): StewardError =>
  new StewardError('forbidden', `${branch} is not a branch of Steward's, so nothing is pushed to it.`, { op: OP });

/** Git makes no bundle of nothing. */
async function isBase(sandbox: Sandbox, branch: string, base: string, signal: AbortSignal): Promise<boolean> {
  const running = sandbox.exec(['git', '-C', '/workspace', 'rev-parse', '--verify', `refs/heads/${branch}^{commit}`], {
    ...{ signal, timeoutMs: 60_000, outputBytes: 4_096 },
    env: { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
  });
  let said = '';
  for await (const event of running) if (event.type === 'stdout') said += Buffer.from(event.data).toString('utf8');
  return said.trim() === base;
}
