// A branch of Steward's to its remote: looks first, overwrites only what it put there itself, and says in words what the remote had against it.
import { StewardError } from '../../core/errors.ts';
import type { Millis } from '../../core/types.ts';
import { type Credential, type HostGit, lastWords } from './host-git.ts';
import { foreign, ownBranch } from './store.ts';

const LOOK_MS: Millis = 2 * 60_000;
const PUSH_MS: Millis = 20 * 60_000;
const OP = 'push the branch of a task';

export interface Remote {
  /** Where it is shown and pushed to; never with credentials. */
  url: string;
  local: boolean;
  credential: Credential | null;
}

const protocolsOf = ({ url, local }: Remote) =>
  local ? ('file' as const) : /^https?:/.test(url) ? ('https:http' as const) : ('ssh' as const);

/** For a folder of this machine, its own configuration and hooks are as foreign as any. */
const HARMLESS = [
  ...['core.hooksPath=/dev/null', 'core.fsmonitor=false', 'core.alternateRefsCommand=true'],
  ...['receive.denyCurrentBranch=refuse', 'receive.autogc=false', 'receive.fsckObjects=true', 'gc.auto=0'],
];
const served = (command: string): string =>
  `git -c safe.directory='*' ${HARMLESS.map((pair) => `-c ${pair}`).join(' ')} ${command}`;

/** The commits of these branches at the remote, null where there is none. Throws as `push` does. */
export async function look(
  git: HostGit,
  remote: Remote,
  branches: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string | null>> {
  const serve = remote.local ? ['--upload-pack', served('upload-pack')] : [];
  const refs = branches.map((branch) => `refs/heads/${branch}`);
  const ended = await git(['ls-remote', '--refs', ...serve, '--', remote.url, ...refs], {
    ...{ protocols: protocolsOf(remote), credential: remote.credential, timeoutMs: LOOK_MS, signal },
  });
  if (ended.code !== 0) throw failureOf(remote, ended);
  const said = ended.stdout.toString('utf8').split('\n');
  return new Map(
    branches.map((branch) => {
      const line = said.find((one) => one.endsWith(`\trefs/heads/${branch}`));
      return [branch, line?.slice(0, line.indexOf('\t')) ?? null];
    }),
  );
}

/**
 * Resolves when the branch stands at `head` at the remote, whoever put it there. Errors: forbidden (refused, protected),
 * conflict (somebody else's commits are there, or were a moment ago), not_found, unavailable (retryable).
 */
export async function push(
  git: HostGit,
  at: { dir: string; branch: string; head: string; remote: Remote; ours(commit: string): Promise<boolean> },
  signal: AbortSignal,
): Promise<{ already: boolean }> {
  const { dir, branch, head, remote } = at;
  if (!ownBranch(branch)) throw foreign(branch);
  const there = (await look(git, remote, [branch], signal)).get(branch) ?? null;
  if (there === head) return { already: true };
  if (there !== null && !(await at.ours(there)))
    throw new StewardError('conflict', `Somebody else has pushed to ${branch}, and that is not overwritten.`, {
      op: OP,
      hint: 'Merge or remove what is there, then deliver again.',
    });
  const ref = `refs/heads/${branch}`;
  const serve = remote.local ? ['--receive-pack', served('receive-pack')] : [];
  const lease = `--force-with-lease=${ref}:${there ?? ''}`;
  const pushed = await git(
    ['push', '--porcelain', '--no-verify', '--no-signed', lease, ...serve, '--', remote.url, `${head}:${ref}`],
    { dir, protocols: protocolsOf(remote), credential: remote.credential, timeoutMs: PUSH_MS, signal },
  );
  if (pushed.code === 0) return { already: false };
  // Its answer may have been lost on the way.
  const now = await look(git, remote, [branch], signal).catch(() => null);
  if (now?.get(branch) === head) return { already: false };
  throw failureOf(remote, { ...pushed, stderr: `${pushed.stderr}\n${pushed.stdout.toString('utf8')}` });
}

/** Pure. */
export function failureOf(
  { url }: Pick<Remote, 'url'>,
  ended: { code: number | null; limited: 'output' | 'time' | null; stderr: string },
): StewardError {
  const text = ended.stderr;
  const fail = (code: 'forbidden' | 'conflict' | 'not_found' | 'unavailable', message: string, hint: string) =>
    new StewardError(code, message, { op: OP, hint, retryable: code === 'unavailable' });
  const said = saidBy(text);
  if (/protected branch|GH006|GH013|rule violations/i.test(text))
    return fail('forbidden', `${url} protects this branch: ${said}`, 'Let branches below steward/ be pushed to.');
  if (/stale info|fetch first|non-fast-forward|cannot lock ref|incorrect old value/i.test(text))
    return fail('conflict', 'The branch was changed by somebody else a moment ago.', 'Look at it, then deliver again.');
  if (
    /Authentication failed|could not read Username|returned error: 40[13]|Permission denied|Invalid username/i.test(
      text,
    )
  )
    return fail(
      'forbidden',
      `${url} did not let Steward in: ${said}`,
      'Set GITHUB_TOKEN, or put a password for this host into the vault: steward vault add NAME --host HOST --basic USER.',
    );
  if (/Host key verification failed/i.test(text))
    return fail('forbidden', `The ssh key of ${url} is not known here.`, 'Connect to it once by hand with ssh.');
  if (/remote rejected|hook declined|pre-receive|unpacker error/i.test(text))
    return fail('forbidden', `${url} refused the branch: ${said}`, 'Its own rules say why.');
  if (/not found|does not exist|does not appear to be a git repository|returned error: 404/i.test(text))
    return fail(
      'not_found',
      `There is no repository at ${url} that Steward may see.`,
      'Check the address and the token.',
    );
  return fail('unavailable', `${url} could not be reached: ${lastWords(ended)}`, 'It is tried again.');
}

/** The line that says why, without git's own frame around it. */
function saidBy(text: string): string {
  const lines = text.split('\n').map((line) => line.trim());
  const remote =
    lines.find((line) => /^remote: (?:error|GH0)/.test(line)) ?? lines.find((line) => line.startsWith('remote: '));
  const line = remote ?? lines.find((one) => /rejected|fatal:|error:/.test(one)) ?? 'no reason was given';
  return line.replace(/^(?:remote: |fatal: |error: )+/, '').slice(0, 300);
}
