// Mirrors: one per repository however its address is written, fetched one at a time, cloned inside without a trace of the host.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PLACES } from '../../../sandboxes/driver.ts';
import { cloneCommands, createMirrors, MIRROR_PLACE, repositoryOf } from '../../../sandboxes/mirrors.ts';
import type { Isolate } from '../../../sandboxes/snapshots.ts';
import { bareIsolate, makePlace, type Place } from '../../helpers/isolate.ts';

// As the service has it.
let umask = 0;
beforeAll(() => {
  umask = process.umask(0o077);
});
afterAll(() => void process.umask(umask));

describe('an address', () => {
  it.each([
    ['https://github.com/o/r', 'https://github.com/o/r', 'https://github.com/o/r'],
    ['https://me:secret@GitHub.com:443/o/r.git/', 'https://github.com/o/r.git/', 'https://github.com/o/r'],
    ['https://token@github.com/o/r?x=secret#y', 'https://github.com/o/r', 'https://github.com/o/r'],
    ['http://127.0.0.1:8080/r.git', 'http://127.0.0.1:8080/r.git', 'http://127.0.0.1:8080/r'],
    ['git@github.com:o/r.git', 'git@github.com:o/r.git', 'ssh://git@github.com/o/r'],
    ['ssh://git:secret@github.com:22/o/r', 'ssh://git@github.com:22/o/r', 'ssh://git@github.com/o/r'],
    ['/srv/repos//r/', '/srv/repos/r', 'file:///srv/repos/r'],
    ['file:///srv/repos/r', '/srv/repos/r', 'file:///srv/repos/r'],
  ])('%s', (given, url, key) => {
    expect(repositoryOf(given)).toMatchObject({ url, key });
  });

  it.each([
    '',
    '--upload-pack=touch /tmp/x',
    'ext::sh -c id',
    'relative/path',
    'ftp://h/r',
    'git://h/r',
    'https://h/a\nb',
    '-oProxyCommand=id:x',
    'git@-oProxy:x',
    'host:-x',
    'fd::17',
    'https:///x',
  ])('refused: %j', (given) => expect(() => repositoryOf(given)).toThrow(expect.objectContaining({ code: 'invalid' })));

  it.each(['', '-b', '--orphan', 'a b', 'a..b', 'a:b', 'a~1', 'x@{1}', 'a\nb'])('refused as a base: %j', (base) => {
    expect(() => cloneCommands('https://h/r', base)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});

describe('a mirror', () => {
  let place: Place;
  let source: string;
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', source, ...args], {
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        HOME: place.root,
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_AUTHOR_NAME: 'A',
        GIT_AUTHOR_EMAIL: 'a@b',
        GIT_COMMITTER_NAME: 'A',
        GIT_COMMITTER_EMAIL: 'a@b',
      },
    }).trim();
  const commit = (text: string) => {
    writeFileSync(join(source, 'file'), text);
    git('add', '.');
    git('commit', '-qm', text);
    return git('rev-parse', 'HEAD');
  };
  beforeEach(() => {
    place = makePlace();
    source = join(place.root, 'source');
    mkdirSync(source);
    git('init', '-q', '-b', 'trunk');
  });
  afterEach(() => place.close());

  /** The commands of a clone, each run in a sandbox of another uid with the mirror read-only, as they will be. */
  async function cloned(
    mirror: string,
    url: string,
    base: string | null,
  ): Promise<{ workspace: string; run: (...argv: string[]) => Promise<string> }> {
    const workspace = place.folder();
    const isolate = bareIsolate();
    const run = async (...argv: string[]) => {
      const ended = await isolate(argv, {
        show: [
          { from: workspace, to: PLACES.workspace, write: true },
          { from: mirror, to: MIRROR_PLACE },
        ],
        env: { HOME: '/tmp', GIT_CONFIG_NOSYSTEM: '1' },
      });
      if (ended.code !== 0) throw new Error(`${argv.join(' ')}: ${ended.stderr}`);
      return ended.stdout.toString().trim();
    };
    for (const argv of cloneCommands(url, base)) await run(...argv);
    return { workspace, run };
  }

  it('is fetched from a path, follows it, and drops what is gone there', async () => {
    const one = commit('one');
    git('branch', 'side');
    git('tag', 'v1');
    const mirrors = createMirrors({ root: place.root });
    expect(await mirrors.existing(source)).toBeNull();
    const folder = await mirrors.mirror(source);
    const refs = () =>
      execFileSync('git', ['--git-dir', folder, 'for-each-ref', '--format=%(refname) %(objectname)'], {
        encoding: 'utf8',
      })
        .trim()
        .split('\n');
    expect(refs()).toEqual([`refs/heads/side ${one}`, `refs/heads/trunk ${one}`, `refs/tags/v1 ${one}`]);
    expect(readFileSync(join(folder, 'HEAD'), 'utf8')).toBe('ref: refs/heads/trunk\n');
    const two = commit('two');
    git('branch', '-D', 'side');
    writeFileSync(join(folder, 'HEAD.lock'), '');
    expect(await mirrors.mirror(`file://${source}`)).toBe(folder);
    expect(refs()).toEqual([`refs/heads/trunk ${two}`, `refs/tags/v1 ${one}`]);
    expect(await mirrors.existing(`${source}/`)).toBe(folder);
  });

  it('is cloned whole into a workspace: real origin, no alternates, no link to the host, no credential', async () => {
    const one = commit('one');
    git('checkout', '-qb', 'side');
    const two = commit('two');
    git('checkout', '-q', 'trunk');
    git('tag', 'v1', two);
    const folder = await createMirrors({ root: place.root }).mirror(source);
    const url = 'https://me:hunter2@example.org/o/r.git';
    for (const [base, head, branch] of [
      [null, one, 'trunk'],
      ['side', two, 'side'],
      ['v1', two, ''],
      [two, two, ''],
    ] as const) {
      const { workspace, run } = await cloned(folder, url, base);
      expect(await run('git', '-C', PLACES.workspace, 'rev-parse', 'HEAD')).toBe(head);
      expect(await run('git', '-C', PLACES.workspace, 'branch', '--show-current')).toBe(branch);
      expect(await run('git', '-C', PLACES.workspace, 'remote', '-v')).toBe(
        'origin\thttps://example.org/o/r.git (fetch)\norigin\thttps://example.org/o/r.git (push)',
      );
      expect(await run('git', '-C', PLACES.workspace, 'status', '--porcelain')).toBe('');
      const config = readFileSync(join(workspace, '.git', 'config'), 'utf8');
      expect(config).not.toMatch(/hunter2|me@|steward|mirror/);
      expect(readdirSync(join(workspace, '.git', 'objects', 'info'))).not.toContain('alternates');
      await run(
        'git',
        '-C',
        PLACES.workspace,
        '-c',
        'user.name=A',
        '-c',
        'user.email=a@b',
        'commit',
        '-q',
        '--allow-empty',
        '-m',
        'mine',
      );
      expect(await run('git', '-C', PLACES.workspace, 'fsck')).toBe('');
    }
  });

  it('is fetched by the run it is given, one at a time for a repository, others beside it', async () => {
    commit('one');
    const mirrors = createMirrors({ root: place.root });
    const busy = new Map<string, number>();
    let beside = 0;
    const seen: string[][] = [];
    const fetch: Isolate = async (argv, { show, env }) => {
      const { from } = show[0]!;
      const repository = from.split('.git')[0]!;
      busy.set(repository, (busy.get(repository) ?? 0) + 1);
      expect(busy.get(repository)).toBe(1);
      beside = Math.max(
        beside,
        [...busy.values()].reduce((a, b) => a + b, 0),
      );
      expect(show).toEqual([{ from, to: from, write: true }]);
      expect(env).toMatchObject({
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_TERMINAL_PROMPT: '0',
        GIT_ALLOW_PROTOCOL: 'https:http:ssh',
      });
      seen.push(argv);
      // The wire is elsewhere; here the address leads to the folder.
      const real = argv.map((word) => (word.startsWith('https://') ? source : word));
      const ended = await new Promise<string>((resolve, reject) => {
        try {
          resolve(execFileSync(real[0]!, real.slice(1), { encoding: 'utf8', env: { PATH: process.env.PATH } }));
        } catch (error) {
          reject(error as Error);
        }
      });
      await new Promise((resolve) => setImmediate(resolve));
      busy.set(repository, busy.get(repository)! - 1);
      return { code: 0, stdout: Buffer.from(ended), stderr: '' };
    };
    const url = 'https://user:hunter2@example.org/o/r.git';
    const [a, b, c] = await Promise.all([
      mirrors.mirror(url, { fetch }),
      mirrors.mirror('https://example.org/o/r', { fetch }),
      mirrors.mirror('https://example.org/o/other', { fetch }),
    ]);
    expect(a).toBe(b);
    expect(c).not.toBe(a);
    expect(beside).toBe(2);
    expect(JSON.stringify(seen)).not.toContain('hunter2');
    expect(spawnSync('grep', ['-r', 'hunter2', place.root]).status).toBe(1);
  });

  it('that cannot be fetched says why and leaves nothing; an older one stays as it was', async () => {
    const mirrors = createMirrors({ root: place.root });
    await expect(mirrors.mirror('https://example.org/o/r')).rejects.toMatchObject({ code: 'invalid' });
    const fetch: Isolate = async () => ({
      code: 128,
      stdout: Buffer.alloc(0),
      stderr: 'fatal: could not resolve host\n',
    });
    await expect(mirrors.mirror('https://a:secret@example.org/o/r', { fetch })).rejects.toMatchObject({
      code: 'unavailable',
      message: 'Could not fetch https://example.org/o/r: fatal: could not resolve host',
    });
    expect(readdirSync(join(place.root, 'mirrors'))).toEqual([]);
    await expect(mirrors.mirror(join(place.root, 'nowhere'))).rejects.toMatchObject({ code: 'unavailable' });
    const one = commit('one');
    const folder = await mirrors.mirror(source);
    await expect(mirrors.mirror(source, { fetch })).rejects.toMatchObject({ code: 'unavailable' });
    expect(execFileSync('git', ['--git-dir', folder, 'rev-parse', 'trunk'], { encoding: 'utf8' }).trim()).toBe(one);
  });

  it('of a repository with hooks and filters runs none of them', async () => {
    commit('one');
    const marker = join(place.root, 'ran');
    for (const hook of ['post-checkout', 'reference-transaction', 'pre-receive', 'post-update']) {
      writeFileSync(join(source, '.git', 'hooks', hook), `#!/bin/sh\ntouch ${marker}\n`);
      chmodSync(join(source, '.git', 'hooks', hook), 0o755);
    }
    const mirrors = createMirrors({ root: place.root });
    const folder = await mirrors.mirror(source);
    git('-c', 'core.hooksPath=/dev/null', 'commit', '-q', '--allow-empty', '-m', 'two');
    await mirrors.mirror(source);
    await cloned(folder, source, 'trunk');
    expect(readdirSync(place.root)).not.toContain('ran');
    expect(readdirSync(folder)).not.toContain('hooks');
  });
});
