// A bare mirror on the host for each repository: fetched outside the sandbox that works on it, cloned inside, never a worktree.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chown, readdir, rename, rm, stat } from 'node:fs/promises';
import { isAbsolute, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StewardError } from '../core/errors.ts';
import { PLACES } from './driver.ts';
import { lanes } from './lanes.ts';
import { makePassable } from './passable.ts';
import type { Isolate } from './snapshots.ts';

/** Where a sandbox finds the mirror of the repository it works on. */
export const MIRROR_PLACE = '/opt/steward/mirror.git';

export interface Repository {
  /** What `origin` is set to: as given, without credentials. */
  url: string;
  /** The same for every way to write the same address. */
  key: string;
  /** A folder on this machine. */
  local: boolean;
}

const SCHEMES = ['https:', 'http:', 'ssh:'];
/** `user@host:path`, as git has it. */
const SCP = /^(?:([A-Za-z0-9._-]+)@)?([A-Za-z0-9.-]+):(?!:|\/\/)(.+)$/;

/** Takes https, http, ssh, `user@host:path` and absolute paths; throws `invalid` for the rest. No credential survives. Pure. */
export function repositoryOf(given: string): Repository {
  const refuse = (why: string): StewardError =>
    new StewardError('invalid', `This is no repository address: ${why}.`, {
      op: 'mirror a repository',
      hint: 'Give an https, http or ssh address, or the absolute path of a folder.',
    });
  if (given === '' || /[\x00-\x20\x7f]/.test(given))
    throw refuse('it is empty or has spaces or control characters in it');
  if (isAbsolute(given) || given.startsWith('file:')) {
    let path: string;
    try {
      path = given.startsWith('file:') ? fileURLToPath(given) : given;
    } catch (cause) {
      throw refuse(cause instanceof Error ? cause.message : 'the path cannot be read');
    }
    path = normalize(path).replace(/\/+$/, '');
    return { url: path, key: `file://${path}`, local: true };
  }
  const scp = SCP.exec(given);
  if (scp) {
    const [, user, host, path] = scp as unknown as [string, string | undefined, string, string];
    if (path.startsWith('-') || host.startsWith('-')) throw refuse('a part of it begins with a dash');
    const who = user ? `${user}@` : '';
    return { url: `${who}${host}:${path}`, key: keyOf('ssh:', who, host, path), local: false };
  }
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    throw refuse('it cannot be read');
  }
  if (given.includes(':///')) throw refuse('it names no host');
  if (!SCHEMES.includes(url.protocol)) throw refuse(`${url.protocol} is not fetched`);
  if (url.hostname === '' || url.hostname.startsWith('-')) throw refuse('it names no host');
  url.password = '';
  // A name before ssh's @ says which account, not who asks.
  if (url.protocol !== 'ssh:') url.username = '';
  url.search = '';
  url.hash = '';
  const who = url.username ? `${url.username}@` : '';
  const port = url.protocol === 'ssh:' && url.port === '22' ? '' : url.port;
  return {
    url: url.href,
    key: keyOf(url.protocol, who, url.hostname + (port && `:${port}`), url.pathname),
    local: false,
  };
}

const keyOf = (scheme: string, who: string, host: string, path: string): string =>
  `${scheme}//${who}${host.toLowerCase()}/${path.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '')}`;

/**
 * What makes a normal clone of `given` in an empty workspace, run inside the sandbox with the mirror mounted at MIRROR_PLACE.
 * `base` is a branch, tag or commit; null: the repository's own default. Pure; throws `invalid`.
 */
export function cloneCommands(given: string, base: string | null): string[][] {
  const { url } = repositoryOf(given);
  if (base !== null && (base === '' || base.startsWith('-') || /[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{/.test(base))) {
    throw new StewardError('invalid', `“${base}” is no name of a branch, tag or commit.`, { op: 'clone a repository' });
  }
  const inside = ['git', '-C', PLACES.workspace];
  const trust = `safe.directory=${MIRROR_PLACE}`;
  return [
    [
      // The mirror belongs to somebody else, which git wants to be told of, once for itself and once for the program that
      // serves it. Behind the word clone it would be written into the new repository.
      ...['git', '-c', trust, 'clone', '--quiet', '--no-hardlinks'],
      ...['--upload-pack', `git -c ${trust} upload-pack`, MIRROR_PLACE, PLACES.workspace],
    ],
    [...inside, 'remote', 'set-url', 'origin', url],
    ...(base === null ? [] : [[...inside, 'checkout', '--quiet', base, '--']]),
  ];
}

export interface Mirrors {
  /**
   * Brings the mirror up to date and resolves with its folder, to be mounted read-only at MIRROR_PLACE. `fetch` runs git where
   * the network is (through the broker), with the mirror's folder to write in; only for a path on this machine it may be left
   * out. Fetches of one repository wait for each other. Errors: invalid, unavailable (the mirror is then as it was).
   */
  mirror(given: string, options?: { fetch?: Isolate }): Promise<string>;
  /** The folder of an earlier fetch, or null. */
  existing(given: string): Promise<string | null>;
}

const ENV = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  LC_ALL: 'C',
};
const QUIET = ['-c', 'core.hooksPath=/dev/null', '-c', 'gc.auto=0', '-c', 'maintenance.auto=false'];
const REFS = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'];

/** Mirrors lie in `root`/mirrors. `owner`: who runs the fetches, when that is another uid. */
export function createMirrors(deps: { root: string; owner?: { uid: number; gid: number } }): Mirrors {
  const folder = join(deps.root, 'mirrors');
  const inLane = lanes();
  const placeOf = ({ key }: Repository): string =>
    join(folder, `${createHash('sha256').update(key).digest('hex')}.git`);
  const there = async (path: string): Promise<boolean> => (await stat(path).catch(() => null)) !== null;

  const update = async (repository: Repository, mirror: string, fetch: Isolate): Promise<void> => {
    const git = async (...args: string[]): Promise<string> => {
      const ended = await fetch(['git', ...QUIET, '--git-dir', mirror, ...args], {
        show: [
          { from: mirror, to: mirror, write: true },
          ...(repository.local ? [{ from: repository.url, to: repository.url }] : []),
        ],
        env: { ...ENV, GIT_ALLOW_PROTOCOL: repository.local ? 'file' : 'https:http:ssh' },
      });
      if (ended.code === 0) return ended.stdout.toString();
      const said = ended.stderr.trim().split('\n').at(-1)?.slice(0, 300) || `git ended with ${ended.code}`;
      throw new StewardError('unavailable', `Could not fetch ${repository.url}: ${said}`, {
        op: 'mirror a repository',
        hint: 'Check the address, and that its host is allowed.',
        retryable: true,
      });
    };
    const serve = repository.local ? ['--upload-pack', `git -c safe.directory='*' upload-pack`] : [];
    if (!(await there(join(mirror, 'HEAD')))) await git('init', '--quiet', '--bare', '--template=');
    await git(
      'fetch',
      '--quiet',
      '--prune',
      '--no-write-fetch-head',
      '--no-tags',
      ...serve,
      '--',
      repository.url,
      ...REFS,
    );
    const told = await git('ls-remote', '--symref', ...serve, '--', repository.url, 'HEAD');
    const head = /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(told)?.[1];
    if (head) await git('symbolic-ref', 'HEAD', head);
  };

  return {
    async mirror(given, options = {}) {
      const repository = repositoryOf(given);
      const { fetch = repository.local ? directly : null } = options;
      if (!fetch) {
        throw new StewardError('invalid', 'Nothing was named to fetch this repository with.', {
          op: 'mirror a repository',
        });
      }
      const place = placeOf(repository);
      return await inLane(place, async () => {
        await makePassable(folder);
        if (await there(place)) {
          // Left by a fetch that was cut off; nobody else writes here.
          for (const name of await readdir(place, { recursive: true }))
            if (name.endsWith('.lock')) await rm(join(place, name), { force: true });
          await update(repository, place, fetch);
          return place;
        }
        for (const name of await readdir(folder))
          if (join(folder, name).startsWith(`${place}.new-`))
            await rm(join(folder, name), { recursive: true, force: true });
        const fresh = `${place}.new-${randomBytes(6).toString('hex')}`;
        await makePassable(fresh, 0o755);
        try {
          if (deps.owner) await chown(fresh, deps.owner.uid, deps.owner.gid);
          await update(repository, fresh, fetch);
          await rename(fresh, place);
        } catch (error) {
          await rm(fresh, { recursive: true, force: true });
          throw error;
        }
        return place;
      });
    },
    async existing(given) {
      const place = placeOf(repositoryOf(given));
      return (await there(place)) ? place : null;
    },
  };
}

/** Git on this machine, with nothing of this process's environment. */
const directly: Isolate = ([file, ...args], { env }) =>
  new Promise((resolve) => {
    const options = {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/nonexistent', ...env },
      cwd: '/',
      encoding: 'buffer' as const,
      timeout: 30 * 60_000,
    };
    // What it writes is shown to sandboxes, whose uid is another one.
    const child = execFile(
      '/bin/sh',
      ['-c', 'umask 022; exec "$@"', 'sh', file!, ...args],
      options,
      (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : 1) : 0;
        resolve({ code, stdout, stderr: stderr.toString() || (error?.message ?? '') });
      },
    );
    child.stdin?.end();
  });
