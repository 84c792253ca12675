// Delivery as a file: the commits of the work branch as a patch below Steward's files folder, kept under its digest until it is approved.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StewardError } from '../../core/errors.ts';
import type { Task } from '../../core/tasks.ts';
import type { Sandbox } from '../driver.ts';
import type { Deliver, Delivered } from '../tasks/delivery.ts';
import { branchHead, measure, patchOf } from '../tasks/workspace.ts';

const LIMIT = 64 * 1024 * 1024;
const OP = 'deliver a task';

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** `filesDir`: Steward's files folder. Paths in results are relative to it. */
export function createPatchDelivery(deps: { filesDir: string }): Deliver {
  const place = ({ branch }: Task): string => join('patches', `${branch}.patch`);
  const waiting = join(deps.filesDir, 'patches', '.waiting');
  const kept = (task: Task, digest: string): string => join(waiting, `${task.id}-${digest}.patch`);
  const as = (task: Task): Delivered => ({ pushed: false, pullRequest: null, patch: place(task) });

  const store = async (path: string, bytes: Buffer): Promise<void> => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.new`, bytes);
    await rename(`${path}.new`, path);
  };
  /** Null when there is none, or another one. */
  const holds = async (path: string, digest: string): Promise<boolean> => {
    const bytes = await readFile(path).catch(() => null);
    return bytes !== null && digestOf(bytes) === digest;
  };

  const take = async (task: Task, sandbox: Sandbox, signal: AbortSignal): Promise<{ head: string; bytes: Buffer }> => {
    const head = await branchHead(sandbox, task.branch, signal);
    if (head === null || task.baseCommit === null)
      throw new StewardError('conflict', `The work branch ${task.branch} is not there any more.`, { op: OP });
    const bytes = await patchOf(sandbox, task.baseCommit, head, LIMIT, signal);
    if (bytes === null)
      throw new StewardError('too_large', `The change is larger than ${LIMIT / 1024 / 1024} MB.`, {
        op: OP,
        hint: 'Look whether files were added that can be made again.',
      });
    return { head, bytes };
  };

  const deliver: Deliver = {
    async prepare(task, { sandbox }, signal) {
      const { head, bytes } = await take(task, sandbox, signal);
      const digest = digestOf(bytes);
      // Those of earlier rounds are not asked about any more.
      for (const name of await readdir(waiting).catch(() => []))
        if (name.startsWith(`${task.id}-`)) await rm(join(waiting, name), { force: true });
      await store(kept(task, digest), bytes);
      return { head, digest, findings: [], ...(await measure(sandbox, task.baseCommit!, head, signal)) };
    },
    look: async (task, { digest }) => ((await holds(join(deps.filesDir, place(task)), digest)) ? as(task) : null),
    async deliver(task, approved, signal) {
      const there = await deliver.look(task, approved, signal);
      if (there) return there;
      const from = kept(task, approved.digest);
      if (!(await holds(from, approved.digest)))
        throw new StewardError('conflict', 'What was approved is not there any more.', {
          op: OP,
          hint: 'It is made and asked about again.',
        });
      const to = join(deps.filesDir, place(task));
      await mkdir(dirname(to), { recursive: true });
      await rename(from, to);
      return as(task);
    },
    async keep(task, { sandbox }, signal) {
      if (task.baseCommit === null) return null;
      const { bytes } = await take(task, sandbox, signal);
      if (bytes.length === 0) return null;
      await store(join(deps.filesDir, place(task)), bytes);
      return place(task);
    },
  };
  return deliver;
}
