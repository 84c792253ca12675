// The repository inside the sandbox: cloned from the mirror, committed to the work branch, measured. Git never runs on its files anywhere else.
import { StewardError } from '../../core/errors.ts';
import type { Millis } from '../../core/types.ts';
import { PLACES, type Sandbox } from '../driver.ts';
import { cloneCommands } from '../mirrors.ts';
import { type Ran, run } from './commands.ts';

const CLONE_MS: Millis = 30 * 60_000;
const GIT_MS: Millis = 5 * 60_000;
/** Of a diff that is shown. */
const DIFF_BYTES = 1024 * 1024;
const STAT_LINES = 60;

/** Whatever the repository, or the agent, has configured: no hook, no signature, no pager, nobody to ask. */
export const GIT_ENV: Readonly<Record<string, string>> = (() => {
  const config: [string, string][] = [
    ['core.hooksPath', '/dev/null'],
    ['core.fsmonitor', 'false'],
    ['commit.gpgSign', 'false'],
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['advice.detachedHead', 'false'],
    ['user.name', 'Steward'],
    ['user.email', 'steward@localhost'],
  ];
  return {
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_PAGER: 'cat',
    LC_ALL: 'C.UTF-8',
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(
      config.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
  };
})();

const git = (
  sandbox: Sandbox,
  args: readonly string[],
  options: { signal?: AbortSignal; timeoutMs?: Millis; keepBytes?: number } = {},
): Promise<Ran> =>
  run(sandbox, ['git', '-C', PLACES.workspace, ...args], { timeoutMs: GIT_MS, ...options, env: { ...GIT_ENV } });

const lastWords = ({ stderr, stdout, code, limited }: Ran): string => {
  if (limited === 'time') return 'it did not end in time';
  const lines = (stderr.length > 0 ? stderr : stdout).toString('utf8').trim().split('\n');
  return (lines.at(-1) ?? '').replace(/^(?:fatal|error): /, '').slice(0, 300) || `git ended with ${code}`;
};

const refuse = (message: string, hint: string) =>
  new StewardError('invalid', message, { op: 'prepare the repository of a task', hint });

export interface Place {
  repository: string;
  base: string | null;
  branch: string;
}

/** The work branch, as it stands in this sandbox; null when the workspace is not a clone with it. */
export async function branchHead(sandbox: Sandbox, branch: string, signal?: AbortSignal): Promise<string | null> {
  const seen = await git(sandbox, ['rev-parse', '--quiet', '--verify', `refs/heads/${branch}^{commit}`], {
    ...(signal && { signal }),
  });
  const [line] = seen.stdout.toString('utf8').split('\n');
  return seen.code === 0 && line ? line : null;
}

/**
 * A fresh clone in place of whatever is there, on the work branch; resolves with the commit it begins at. Throws `invalid`
 * with the reason for people: an empty repository, a base that is not there, a branch that is taken.
 */
export async function clone(sandbox: Sandbox, place: Place, signal: AbortSignal): Promise<string> {
  const clear = 'find . -mindepth 1 -maxdepth 1 -exec rm -rf {} +';
  await run(sandbox, ['sh', '-c', clear], { cwd: PLACES.workspace, signal, timeoutMs: CLONE_MS });
  const [fetch, ...rest] = cloneCommands(place.repository, place.base);
  const step = (argv: string[]) => run(sandbox, argv, { signal, timeoutMs: CLONE_MS, env: { ...GIT_ENV } });
  const cloned = await step(fetch!);
  if (cloned.code !== 0)
    throw new StewardError('unavailable', `The repository could not be cloned: ${lastWords(cloned)}`, {
      op: 'prepare the repository of a task',
    });
  const any = await git(sandbox, ['rev-list', '--max-count=1', '--all'], { signal });
  if (any.stdout.length === 0)
    throw refuse('The repository is empty: there is no commit to begin from.', 'Commit something to it first.');
  for (const argv of rest) {
    const ended = await step(argv);
    if (ended.code === 0) continue;
    const why = lastWords(ended);
    if (
      argv.includes('checkout') &&
      /invalid reference|did not match|not a commit|unknown revision|reference/i.test(why)
    )
      throw refuse(
        `The repository has no branch, tag or commit “${place.base}”.`,
        'Name another base, or leave it out to begin at the default branch.',
      );
    throw new StewardError('unavailable', `The repository could not be checked out: ${why}`, {
      op: 'prepare the repository of a task',
    });
  }
  const head = await git(sandbox, ['rev-parse', '--verify', 'HEAD^{commit}'], { signal });
  if (head.code !== 0)
    throw refuse(
      'The default branch of the repository is not there, so it is not known where to begin.',
      'Name the base: a branch, tag or commit.',
    );
  const taken = await git(
    sandbox,
    ['rev-parse', '--quiet', '--verify', `refs/remotes/origin/${place.branch}^{commit}`],
    { signal },
  );
  if (taken.code === 0)
    throw refuse(`The repository has a branch ${place.branch} already.`, 'Remove it there, or begin another task.');
  const made = await git(sandbox, ['checkout', '--quiet', '-b', place.branch], { signal });
  if (made.code !== 0)
    throw new StewardError('unavailable', `The work branch could not be made: ${lastWords(made)}`, {
      op: 'prepare the repository of a task',
    });
  return head.stdout.toString('utf8').trim();
}

/**
 * Whatever the agent did to branches: what lies in the work tree becomes the newest commit of the work branch, which always
 * descends from the base. Half-done merges and rebases are left, a lock nobody holds is removed.
 */
const COMMIT = `set -e
cd ${PLACES.workspace}
branch=$1 base=$2 message=$3
folder=$(git rev-parse --absolute-git-dir)
rm -f "$folder/index.lock" "$folder/HEAD.lock" "$folder/refs/heads/$branch.lock"
for what in merge rebase cherry-pick revert am; do git $what --quit >/dev/null 2>&1 || true; done
git symbolic-ref HEAD "refs/heads/$branch"
git merge-base --is-ancestor "$base" HEAD 2>/dev/null || git update-ref "refs/heads/$branch" "$base"
git add --all
git diff --cached --quiet --no-ext-diff HEAD || git commit --quiet --no-verify -m "$message"
git rev-parse --verify HEAD`;

/** Commits what changed and resolves with the head of the work branch, changed or not. Throws `conflict` with the reason. */
export async function commit(
  sandbox: Sandbox,
  at: { branch: string; base: string; message: string },
  signal: AbortSignal,
): Promise<string> {
  const ended = await run(sandbox, ['sh', '-c', COMMIT, 'sh', at.branch, at.base, at.message], {
    ...{ signal, timeoutMs: GIT_MS, env: { ...GIT_ENV } },
  });
  const head = ended.stdout.toString('utf8').trim().split('\n').at(-1) ?? '';
  if (ended.code === 0 && /^[0-9a-f]{40,64}$/.test(head)) return head;
  throw new StewardError('conflict', `What was changed could not be committed: ${lastWords(ended)}`, {
    op: 'commit the work of a task',
  });
}

export interface Numbers {
  diffstat: string;
  files: number;
  insertions: number;
  deletions: number;
}

/** How much changed between two commits. */
export async function measure(sandbox: Sandbox, base: string, head: string, signal: AbortSignal): Promise<Numbers> {
  const range = ['diff', '--no-ext-diff', '--no-textconv', '--no-color'];
  const [stat, numbers] = await Promise.all([
    git(sandbox, [...range, '--stat=100', base, head, '--'], { signal, keepBytes: 256 * 1024 }),
    git(sandbox, [...range, '--numstat', '-z', '--no-renames', base, head, '--'], { signal }),
  ]);
  const entries = numbers.stdout.toString('utf8').split('\0').filter(Boolean);
  const sum = (column: 0 | 1) =>
    entries.reduce((total, entry) => total + (Number.parseInt(entry.split('\t')[column] ?? '', 10) || 0), 0);
  const lines = stat.stdout.toString('utf8').toWellFormed().trimEnd().split('\n');
  const shown =
    lines.length <= STAT_LINES
      ? lines
      : [...lines.slice(0, STAT_LINES - 2), ` … ${lines.length - STAT_LINES + 1} more`, lines.at(-1)!];
  return { diffstat: shown.join('\n'), files: entries.length, insertions: sum(0), deletions: sum(1) };
}

/** The whole change against the base as it lies in the work tree now, committed or not, at most 1 MB. Moves nothing. */
export async function diffOf(sandbox: Sandbox, base: string): Promise<string> {
  const script = `set -e
cd ${PLACES.workspace}
index=$(mktemp)
cp "$(git rev-parse --absolute-git-dir)/index" "$index"
GIT_INDEX_FILE=$index git add --all
GIT_INDEX_FILE=$index git diff --cached --no-ext-diff --no-textconv --no-color "$1" -- >"$index.diff"
head -c ${DIFF_BYTES + 1} "$index.diff"
rm -f "$index" "$index.diff"`;
  const ended = await run(sandbox, ['sh', '-c', script, 'sh', base], { timeoutMs: GIT_MS, env: { ...GIT_ENV } });
  if (ended.code !== 0)
    throw new StewardError('unavailable', `The change could not be read: ${lastWords(ended)}`, {
      op: 'show the change of a task',
    });
  const text = ended.stdout.subarray(0, DIFF_BYTES).toString('utf8').toWellFormed();
  return ended.stdout.length > DIFF_BYTES ? `${text}\n[cut after 1 MB]\n` : text;
}

/** Takes away what running programs left in the work tree since the last commit; what git ignores stays. */
export async function tidy(sandbox: Sandbox, signal: AbortSignal): Promise<void> {
  await git(sandbox, ['reset', '--quiet', '--hard', 'HEAD'], { signal });
  await git(sandbox, ['clean', '--quiet', '--force', '-d'], { signal });
}
