// How a task's branch leaves: taken out of the sandbox, looked through, and after approval pushed, proposed or written as a patch from the host.
import { join } from 'node:path';
import { StewardError } from '../../core/errors.ts';
import type { Task } from '../../core/tasks.ts';
import type { Vault } from '../../core/vault.ts';
import { lanes } from '../lanes.ts';
import { type Mirrors, type Repository, repositoryOf } from '../mirrors.ts';
import type { Isolate } from '../snapshots.ts';
import type { Approved, Deliver, Delivered } from '../tasks/delivery.ts';
import { apiToken, credentialFor, type GithubSettings, githubRepository } from './credentials.ts';
import { createGithub, type PullDraft } from './github.ts';
import { createHostGit, fetchWith } from './host-git.ts';
import { createPatchFiles } from './patch-file.ts';
import { look, push, type Remote } from './push.ts';
import { scan } from './scan.ts';
import { createStore, type Taken } from './store.ts';

const OP = 'deliver a task';
const STAT_LINES = 60;

export interface DeliverDeps {
  /** Steward's data folder. */
  home: string;
  mirrors: Pick<Mirrors, 'existing'>;
  vault: Pick<Vault, 'secretsFor'>;
  github: GithubSettings;
  fetch: typeof fetch;
  /** Of this process: only what says how the network is reached is passed on to git. */
  env: Readonly<Record<string, string | undefined>>;
}

export interface Delivery extends Deliver {
  /** For `mirrors.mirror(…, {fetch})`. */
  fetchFor(repository: Repository): Isolate;
  /** Drops what was kept for a task. */
  forget(taskId: string): Promise<void>;
}

type Way =
  | { kind: 'patch' }
  | { kind: 'branch'; remote: Remote }
  | { kind: 'pull_request'; remote: Remote; at: Pick<PullDraft, 'owner' | 'repo'>; token: string };

export function createDeliver(deps: DeliverDeps): Delivery {
  const { github } = deps;
  const git = createHostGit({ env: deps.env });
  const store = createStore({ root: join(deps.home, 'deliveries'), git, mirrors: deps.mirrors });
  const patches = createPatchFiles({ filesDir: join(deps.home, 'files'), git });
  const inLane = lanes();
  const secrets = () => deps.vault.secretsFor('all');

  const wayOf = (task: Task): Way => {
    const { url, local } = repositoryOf(task.repository);
    if (task.delivery === 'patch') return { kind: 'patch' };
    const remote: Remote = { url, local, credential: local ? null : credentialFor(url, secrets(), github) };
    const at = local ? null : githubRepository(url, github.apiUrl);
    const token = apiToken(secrets(), github);
    if (at && token !== null && task.delivery !== 'branch') return { kind: 'pull_request', remote, at, token };
    if (task.delivery === 'pull_request')
      throw new StewardError('invalid', `A pull request cannot be opened for ${url}.`, {
        op: OP,
        hint: at ? 'Set GITHUB_TOKEN.' : 'It is not on GitHub; for an Enterprise server set GITHUB_API_URL.',
      });
    // Over http nobody is let in to write without a name; ssh has the keys of the account Steward runs as.
    const knocks = local || remote.credential !== null || !/^https?:/.test(url);
    return task.delivery === 'branch' || knocks ? { kind: 'branch', remote } : { kind: 'patch' };
  };

  const hub = (token: string) => createGithub({ fetch: deps.fetch, apiUrl: github.apiUrl, token });

  const propose = async (
    task: Task,
    taken: Taken,
    { remote, at, token }: Extract<Way, { kind: 'pull_request' }>,
    signal: AbortSignal,
  ) => {
    // A base that is a tag or a commit has no pull request to it: then it is the default branch.
    const { base } = task;
    const isBranch = base !== null && ((await look(git, remote, [base], signal)).get(base) ?? null) !== null;
    const body = `${task.title}\n\n\`\`\`\n${shorten(await store.stat(taken, signal))}\n\`\`\`\n\nMade by Steward, task ${task.id}. It does not merge.\n`;
    const draft = { ...at, branch: task.branch, base: isBranch ? base : null, title: task.title, body };
    return await hub(token).open(draft, signal);
  };

  const carryOut = async (task: Task, approved: Approved, signal: AbortSignal): Promise<Delivered> => {
    const taken = await store.need(task, approved, signal);
    const way = wayOf(task);
    if (way.kind === 'patch') {
      const there = await patches.existing(task, taken, signal);
      return { pushed: false, pullRequest: null, patch: there ?? (await patches.write(task, taken, signal)) };
    }
    const { remote } = way;
    const ours = (commit: string) => store.knows(taken, commit, signal);
    await push(git, { dir: taken.dir, branch: task.branch, head: taken.head, remote, ours }, signal);
    const pullRequest = way.kind === 'pull_request' ? await propose(task, taken, way, signal) : null;
    return { pushed: true, pullRequest, patch: null };
  };

  return {
    prepare: (task, { sandbox }, signal) =>
      inLane(task.id, async () => {
        const taken = await store.take(task, sandbox, signal);
        if (!taken)
          throw new StewardError('conflict', 'Nothing was changed, so there is nothing to deliver.', { op: OP });
        const { head, digest } = taken;
        const [files, lines, stat] = await Promise.all([
          store.files(taken, signal),
          store.lines(taken, signal),
          store.stat(taken, signal),
        ]);
        const sum = (what: 'insertions' | 'deletions') => files.reduce((total, file) => total + file[what], 0);
        return {
          ...{ head, digest, diffstat: shorten(stat), files: files.length },
          insertions: sum('insertions'),
          deletions: sum('deletions'),
          findings: scan({ files, ...lines }),
        };
      }),

    async look(task, approved, signal) {
      const taken = await store.need(task, approved, signal);
      const way = wayOf(task);
      if (way.kind === 'patch') {
        const patch = await patches.existing(task, taken, signal);
        return patch === null ? null : { pushed: false, pullRequest: null, patch };
      }
      const there = (await look(git, way.remote, [task.branch], signal)).get(task.branch);
      if (there !== taken.head) return null;
      if (way.kind === 'branch') return { pushed: true, pullRequest: null, patch: null };
      const pullRequest = await hub(way.token).find({ ...way.at, branch: task.branch }, signal);
      return pullRequest && { pushed: true, pullRequest, patch: null };
    },

    deliver: (task, approved, signal) => inLane(task.id, () => carryOut(task, approved, signal)),

    keep: (task, { sandbox }, signal) =>
      inLane(task.id, async () => {
        if (task.baseCommit === null) return null;
        const taken = await store.take(task, sandbox, signal);
        return taken && (await patches.write(task, taken, signal));
      }),

    fetchFor: ({ url, local }) => fetchWith(git, local ? null : credentialFor(url, secrets(), github), local),
    forget: (taskId) => inLane(taskId, () => store.forget(taskId)),
  };
}

function shorten(stat: string): string {
  const lines = stat.split('\n');
  if (lines.length <= STAT_LINES) return stat;
  const head = lines.slice(0, STAT_LINES - 2);
  return [...head, ` … ${lines.length - STAT_LINES + 1} more`, lines.at(-1)!].join('\n');
}
