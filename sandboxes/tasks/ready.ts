// A workspace to work in: the mirror brought up to date on the host, the clone inside the sandbox, setup run in it; again when it was lost.
import { stat } from 'node:fs/promises';
import { StewardError } from '../../core/errors.ts';
import type { CommandReport } from '../../core/tasks.ts';
import type { JsonObject, Millis, Session } from '../../core/types.ts';
import type { Hands } from '../hands.ts';
import { type Mirrors, type Repository, repositoryOf } from '../mirrors.ts';
import type { Isolate } from '../snapshots.ts';
import { passed, runLine } from './commands.ts';
import type { Rows, TaskRow } from './rows.ts';
import { branchHead, clone } from './workspace.ts';

/** A line of setup or verify that takes longer is killed; so is one that outlives the time of its task. */
const LINE_MS: Millis = 30 * 60_000;

export const lineLimit = (task: TaskRow): Millis =>
  Math.max(1_000, Math.min(LINE_MS, task.limits.wallMs - task.activeMs));

export interface Ready {
  /** The mirror as it is at the repository now. Throws `unavailable`, `invalid`, `not_found`. */
  mirror(task: TaskRow, signal: AbortSignal): Promise<void>;
  /** The work branch is there: cloned when it is not. Says whether it had to be. */
  workspace(task: TaskRow, session: Session, signal: AbortSignal): Promise<{ fresh: boolean; base: string }>;
  /** Runs setup; the report of the line that failed, or null. */
  setup(task: TaskRow, session: Session, signal: AbortSignal): Promise<CommandReport | null>;
}

export function createReady(deps: {
  rows: Rows;
  hands: Pick<Hands, 'work' | 'save' | 'isolated'>;
  mirrors: Mirrors;
  /** Runs git where a repository that is not on this machine can be reached. */
  fetchFor?(repository: Repository): Isolate | undefined;
  redact(text: string): string;
}): Ready {
  const { rows, hands, mirrors } = deps;

  const ready: Ready = {
    async mirror(task, signal) {
      if (!hands.isolated())
        throw new StewardError('unavailable', 'There is no isolation here, so no code task is run.', {
          op: 'begin a task',
          hint: 'Set STEWARD_SANDBOX to bwrap or docker (steward doctor says what is missing).',
        });
      const repository = repositoryOf(task.repository);
      if (repository.local && !(await stat(repository.url).catch(() => null)))
        throw new StewardError('not_found', `There is no folder ${repository.url}.`, {
          op: 'mirror a repository',
          hint: 'Give the absolute path of a git repository on this machine.',
        });
      const fetch = repository.local ? undefined : deps.fetchFor?.(repository);
      // A fetch that nobody waits for any more ends by itself.
      await orAborted(mirrors.mirror(task.repository, fetch ? { fetch } : {}), signal);
    },

    async workspace(task, session, signal) {
      const by = task.id;
      const there =
        task.baseCommit !== null &&
        (await hands.work(session, { by, reads: true }, ({ sandbox }) => branchHead(sandbox, task.branch, signal)));
      if (there) return { fresh: false, base: task.baseCommit! };
      if ((await mirrors.existing(task.repository)) === null) await ready.mirror(task, signal);
      const base = await hands.work(session, { by }, ({ sandbox }) =>
        // From where it began before, even if the repository has moved on since.
        clone(sandbox, { ...task, base: task.baseCommit ?? task.base }, signal),
      );
      await hands.save(session.id);
      return { fresh: true, base };
    },

    async setup(task, session, signal) {
      for (const line of task.setup) {
        const wants = { by: task.id, hosts: ['registries', ...task.hosts] };
        const report = await hands.work(session, wants, ({ sandbox }) =>
          runLine(sandbox, line, { timeoutMs: lineLimit(task), signal, redact: deps.redact }),
        );
        signal.throwIfAborted();
        rows.put(task.id, {}, commandEvent(task, 'setup', report));
        if (!passed(report)) return report;
      }
      await hands.save(session.id);
      return null;
    },
  };
  return ready;
}

export const commandEvent = (task: TaskRow, phase: 'setup' | 'verify', report: CommandReport) => ({
  type: 'task.command',
  payload: { task_id: task.id, phase, report: report as unknown as JsonObject },
});

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return await new Promise<T>((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
