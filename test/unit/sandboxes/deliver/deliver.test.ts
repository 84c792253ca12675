// Delivery with real git, real sandboxes and real servers: what was approved leaves once, whatever fails, and nothing of a repository runs on the host.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import type { Task } from '../../../../core/tasks.ts';
import { createDeliver, type Delivery } from '../../../../sandboxes/deliver/index.ts';
import { DEFAULT_LIMITS, type Sandbox, type SandboxDriver } from '../../../../sandboxes/driver.ts';
import { createBwrap } from '../../../../sandboxes/drivers/bwrap.ts';
import { cloneCommands, createMirrors, MIRROR_PLACE, repositoryOf } from '../../../../sandboxes/mirrors.ts';
import { type GitServer, startGitServer } from '../../../fakes/git-https.ts';
import { type FakeGithub, startGithub } from '../../../fakes/github.ts';

const works = process.platform === 'linux' && existsSync('/usr/bin/bwrap');
if (!works) test.skip('bubblewrap is not installed (apt-get install bubblewrap)');

const TOKEN = `ghp_${'c4N4rY'.repeat(6)}`;
const BRANCH = 'steward/task_1-change';
const never = new AbortController().signal;
const uids = { first: 3_000_000 + (process.pid % 10_000) * 20, count: 20 };

interface World {
  base: string;
  driver: SandboxDriver;
  /** The remote, a bare repository. */
  remote: string;
  git(...args: string[]): string;
  deliver: Delivery;
  task(more?: Partial<Task>): Promise<{ task: Task; sandbox: Sandbox; run(script: string): Promise<string> }>;
}
let world: World;
let server: GitServer;
let github: FakeGithub;

const gitIn = (dir: string, args: string[]) =>
  execFileSync('git', ['-C', dir, '-c', 'user.name=A', '-c', 'user.email=a@b', ...args], { encoding: 'utf8' }).trim();

async function output(sandbox: Sandbox, argv: string[]): Promise<string> {
  let said = '';
  let code: number | null = null;
  for await (const event of sandbox.exec(argv, { cwd: '/', timeoutMs: 60_000 })) {
    if (event.type === 'stdout' || event.type === 'stderr') said += Buffer.from(event.data).toString();
    else if (event.type === 'exit') ({ code } = event);
  }
  if (code !== 0) throw new Error(`${argv.join(' ')}: ${said}`);
  return said.trim();
}

async function makeWorld(options: { token?: string | null } = {}): Promise<World> {
  const base = mkdtempSync(join(tmpdir(), 'deliver-'));
  chmodSync(base, 0o711);
  const [root, repositories, seed] = [join(base, 'root'), join(base, 'remote'), join(base, 'seed')];
  for (const folder of [root, repositories, seed]) mkdirSync(folder);
  chmodSync(root, 0o711);
  gitIn(seed, ['init', '-q', '-b', 'trunk']);
  writeFileSync(join(seed, 'file'), 'one\n');
  gitIn(seed, ['add', '.']);
  gitIn(seed, ['commit', '-qm', 'one']);
  const remote = join(repositories, 'o', 'r.git');
  mkdirSync(join(repositories, 'o'));
  execFileSync('git', ['clone', '-q', '--bare', seed, remote]);
  execFileSync('git', ['clone', '-q', '--bare', seed, join(repositories, 'r.git')]);
  server = await startGitServer({ root: repositories, user: 'x-access-token', password: TOKEN });
  github = await startGithub({
    ...{ token: TOKEN, owner: 'o', repo: 'r', defaultBranch: 'trunk' },
    has: (branch) => gitIn(remote, ['for-each-ref', `refs/heads/${branch}`]) !== '',
  });
  const driver = createBwrap({ root, uids, now: Date.now, snapshots: null as never });
  const mirrors = createMirrors({ root });
  // What people and git call this GitHub is where git is served; its API is elsewhere, as it is for github.com.
  const apiUrl = `${server.url}/api/v3`;
  const deliver = createDeliver({
    ...{ home: join(base, 'home'), mirrors, vault: { secretsFor: () => [] } },
    github: { token: options.token === undefined ? TOKEN : options.token, apiUrl },
    fetch: (input, init) => fetch(String(input).replace(apiUrl, github.apiUrl), init),
    env: { GIT_SSL_CAINFO: server.caFile },
  });
  let made = 0;
  return {
    ...{ base, driver, remote, deliver },
    git: (...args) => gitIn(remote, args),
    async task(more = {}) {
      made += 1;
      const repository = more.repository ?? `${server.url}/o/r.git`;
      const known = repositoryOf(repository);
      const mirror = await mirrors.mirror(repository, known.local ? {} : { fetch: deliver.fetchFor(known) });
      const sandbox = await driver.create({
        ...{ id: `sbx_d${made}`, labels: {}, workspace: { type: 'empty' }, env: {}, limits: DEFAULT_LIMITS },
        ...{ mounts: [{ from: mirror, to: MIRROR_PLACE }], profile: 'strict', listen: null },
      });
      for (const argv of cloneCommands(repository, null)) await output(sandbox, argv);
      const run = (script: string) => output(sandbox, ['sh', '-ec', `cd /workspace; ${script}`]);
      await run(`git config user.name S; git config user.email s@h; git checkout -q -b ${BRANCH}`);
      const baseCommit = await run('git rev-parse HEAD');
      const task = {
        id: 'task_1',
        repository,
        base: null,
        branch: BRANCH,
        title: 'Change it',
        delivery: 'auto',
        baseCommit,
      };
      return { task: { ...task, head: null, ...more } as Task, sandbox, run };
    },
  };
}

const commit = (text: string) => `echo ${text} >> file; git add -A; git commit -qm '${text}'`;

async function close(): Promise<void> {
  await world.driver.stop();
  await server.close();
  await github.close();
  rmSync(world.base, { recursive: true, force: true });
}

describe.runIf(works)('a delivery', () => {
  let umask = 0;
  beforeAll(() => {
    umask = process.umask(0o077);
  });
  afterAll(() => void process.umask(umask));
  afterEach(() => close());

  it('pushes the branch that was approved and opens one pull request, however often it is asked', async () => {
    world = await makeWorld();
    const { task, sandbox, run } = await world.task();
    await run(commit('two'));
    const hand = { sandbox };
    const prepared = await world.deliver.prepare(task, hand, never);
    expect(prepared).toMatchObject({
      files: 1,
      insertions: 1,
      deletions: 0,
      findings: [],
      head: await run('git rev-parse HEAD'),
    });
    expect(await world.deliver.prepare(task, hand, never)).toEqual(prepared);
    // The agent goes on; what was approved stays what it was.
    await run(commit('three'));
    await sandbox.kill('no sandbox is needed any more');
    expect(await world.deliver.look(task, prepared, never)).toBeNull();
    const both = await Promise.all([
      world.deliver.deliver(task, prepared, never),
      world.deliver.deliver(task, prepared, never),
    ]);
    expect(both.map(({ pushed, pullRequest }) => [pushed, pullRequest?.number])).toEqual([
      [true, 1],
      [true, 1],
    ]);
    expect(world.git('rev-parse', BRANCH)).toBe(prepared.head);
    expect(github.pulls).toMatchObject([{ title: 'Change it', head: BRANCH, base: 'trunk' }]);
    expect(server.pushes()).toBe(1);
    expect(await world.deliver.look(task, prepared, never)).toMatchObject({
      pushed: true,
      pullRequest: { number: 1, updated: true },
    });
  });

  it('takes no approval of something else', async () => {
    world = await makeWorld();
    const { task, sandbox, run } = await world.task();
    await run(commit('two'));
    const first = await world.deliver.prepare(task, { sandbox }, never);
    await run(commit('three'));
    const second = await world.deliver.prepare(task, { sandbox }, never);
    expect(second.digest).not.toBe(first.digest);
    const wrong = [
      { head: second.head, digest: first.digest },
      { head: first.head, digest: 'f'.repeat(64) },
      { head: first.head, digest: '../heads/x' },
    ];
    for (const approved of wrong)
      await expect(world.deliver.deliver(task, approved, never)).rejects.toMatchObject({ code: 'conflict' });
    await expect(world.deliver.deliver({ ...task, branch: 'trunk' } as Task, second, never)).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(server.pushes()).toBe(0);
  });

  it('says what it was refused for, and does it later, once, when that is over', async () => {
    world = await makeWorld();
    const { task, sandbox, run } = await world.task();
    await run(commit('two'));
    const prepared = await world.deliver.prepare(task, { sandbox }, never);
    const fails = async (code: string, retryable: boolean, says: RegExp) => {
      const error = await world.deliver.deliver(task, prepared, never).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code, retryable, message: expect.stringMatching(says) });
      expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain(TOKEN);
    };
    server.faults('refuse');
    await fails('forbidden', false, /did not let Steward in/);
    server.faults('unwell');
    await fails('unavailable', true, /could not be reached/);
    server.faults('protected');
    await fails('forbidden', false, /protects this branch/);
    server.faults('none');
    github.faults('unwell');
    await fails('unavailable', true, /GitHub is not well/);
    github.faults('secondary_limit');
    await fails('rate_limited', true, /fewer requests/);
    github.faults('lose_answer');
    await fails('unavailable', true, /could not be reached/);
    expect(await world.deliver.deliver(task, prepared, never)).toMatchObject({
      pullRequest: { number: 1, updated: true },
    });
    expect(github.pulls).toHaveLength(1);
    // Refused, protected, and the one that went through.
    expect(world.git('rev-parse', BRANCH)).toBe(prepared.head);
  });

  it('is not pushed twice when the answer was lost, or it was stopped in the middle', async () => {
    world = await makeWorld();
    const { task, sandbox, run } = await world.task();
    await run(commit('two'));
    const prepared = await world.deliver.prepare(task, { sandbox }, never);
    server.faults('hang');
    const stop = new AbortController();
    const begun = world.deliver.deliver(task, prepared, stop.signal);
    stop.abort(new Error('stopped'));
    await expect(begun).rejects.toThrow('stopped');
    server.faults('lose_answer');
    expect(await world.deliver.deliver(task, prepared, never)).toMatchObject({ pushed: true });
    expect(world.git('rev-parse', BRANCH)).toBe(prepared.head);
    // The client may have asked again over a new connection, in vain.
    const tries = server.pushes();
    await world.deliver.deliver(task, prepared, never);
    expect(server.pushes()).toBe(tries);
  });

  it('replaces what it pushed itself, and nobody else’s', async () => {
    world = await makeWorld();
    const { task, sandbox, run } = await world.task();
    await run(commit('two'));
    await world.deliver.deliver(task, await world.deliver.prepare(task, { sandbox }, never), never);
    await run(`git reset -q --hard HEAD~1; ${commit('other')}`);
    const other = await world.deliver.prepare(task, { sandbox }, never);
    expect(await world.deliver.deliver(task, other, never)).toMatchObject({
      pullRequest: { number: 1, updated: true },
    });
    expect(world.git('rev-parse', BRANCH)).toBe(other.head);
    const foreign = world.git('commit-tree', '-m', 'theirs', '-p', other.head, `${other.head}^{tree}`);
    world.git('update-ref', `refs/heads/${BRANCH}`, foreign);
    await expect(world.deliver.deliver(task, other, never)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('Somebody else'),
    });
    expect(world.git('rev-parse', BRANCH)).toBe(foreign);
  });

  it('is a patch where nobody is let in, and a push to a folder of this machine', async () => {
    world = await makeWorld({ token: null });
    const { task, sandbox, run } = await world.task({ repository: world.remote, delivery: 'patch' });
    await run(commit('two'));
    const prepared = await world.deliver.prepare(task, { sandbox }, never);
    const { patch } = await world.deliver.deliver(task, prepared, never);
    const text = readFileSync(join(world.base, 'home', 'files', patch!), 'utf8');
    expect(text).toContain('Subject: [PATCH] two');
    expect(await world.deliver.keep(task, { sandbox }, never)).toBe(patch);
    // A trap in the folder: it would run as whoever pushes.
    const trap = join(world.base, 'sprung');
    for (const name of [
      'pre-receive',
      'update',
      'post-receive',
      'post-update',
      'reference-transaction',
      'proc-receive',
    ]) {
      writeFileSync(join(world.remote, 'hooks', name), `#!/bin/sh\ntouch ${trap}\n`);
      chmodSync(join(world.remote, 'hooks', name), 0o755);
    }
    world.git('config', 'core.fsmonitor', `touch ${trap}`);
    world.git('config', 'core.alternateRefsCommand', `touch ${trap};`);
    const there = await world.deliver.deliver({ ...task, delivery: 'branch' }, prepared, never);
    expect(there).toEqual({ pushed: true, pullRequest: null, patch: null });
    expect(world.git('rev-parse', BRANCH)).toBe(prepared.head);
    expect(existsSync(trap)).toBe(false);
    // And it is one: a plain push springs it.
    const plain = ['push', '-q', world.remote, `${prepared.head}:refs/heads/steward/x`];
    execFileSync('git', ['--git-dir', join(world.base, 'home', 'deliveries', 'task_1.git'), ...plain], {
      stdio: 'ignore',
    });
    expect(existsSync(trap)).toBe(true);
  });

  it('runs nothing of a hostile workspace on the host, and shows what is in it', async () => {
    world = await makeWorld();
    const { task, sandbox, run } = await world.task();
    const trap = join(world.base, 'sprung');
    await run(`
      printf '* filter=x diff=x\\n' > .gitattributes; echo 'KEY=1' > .env; ln -s ../../etc/passwd out
      mkdir -p .github/workflows; echo 'on: push' > .github/workflows/x.yml; printf 'a\\000b' > blob
      echo 'token = "${TOKEN}"' > leak; git add -A; git commit -qm 'leak'; git rm -q leak; ${commit('rest')}
      for key in core.fsmonitor core.sshCommand diff.external diff.x.textconv diff.x.command filter.x.clean filter.x.smudge uploadpack.packObjectsHook core.pager; do git config $key 'touch ${trap}'; done
      git config url.https://evil.invalid/.insteadOf https://
      echo /etc > .git/objects/info/alternates; mkdir -p .git/hooks
      for hook in pre-push post-checkout reference-transaction; do printf '#!/bin/sh\\ntouch ${trap}\\n' > .git/hooks/$hook; chmod +x .git/hooks/$hook; done`);
    const prepared = await world.deliver.prepare(task, { sandbox }, never);
    expect([...new Set(prepared.findings.map(({ kind }) => kind))]).toEqual([
      'secret',
      'forbidden_path',
      'link',
      'ci',
      'hook',
      'binary',
    ]);
    await world.deliver.deliver(task, prepared, never);
    expect(existsSync(trap)).toBe(false);
    const dir = join(world.base, 'home', 'deliveries', 'task_1.git');
    const kept = readFileSync(join(dir, 'config'), 'utf8');
    expect(kept).not.toContain('evil');
    expect(existsSync(join(dir, 'hooks'))).toBe(false);
  });

  it('refuses what is no work branch, is broken, or does not descend from its base', async () => {
    world = await makeWorld();
    const { task, sandbox, run } = await world.task();
    await expect(world.deliver.prepare(task, { sandbox }, never)).rejects.toMatchObject({
      message: expect.stringContaining('Nothing was changed'),
    });
    await expect(world.deliver.prepare({ ...task, branch: 'trunk' } as Task, { sandbox }, never)).rejects.toMatchObject(
      { code: 'forbidden' },
    );
    await run(
      `tree=$(git rev-parse HEAD^{tree}); git update-ref refs/heads/${BRANCH} $(git commit-tree -m alone $tree)`,
    );
    await expect(world.deliver.prepare(task, { sandbox }, never)).rejects.toMatchObject({
      message: expect.stringContaining('does not descend'),
    });
    // A tree with `.git` in it, which a checkout would write.
    await run(`blob=$(echo x | git hash-object -w --stdin)
      bad=$(printf "100644 blob $blob\\t.GIT" | git mktree); git update-ref refs/heads/${BRANCH} $(git commit-tree -m bad -p ${task.baseCommit} $bad)`);
    await expect(world.deliver.prepare(task, { sandbox }, never)).rejects.toMatchObject({
      message: expect.stringContaining("refused by Steward's own git"),
    });
    expect(readdirSync(join(world.base, 'home', 'deliveries', 'task_1.git', 'refs')).sort()).toEqual(['heads', 'tags']);
  });

  it('keeps its credential out of arguments, files and the sandbox', async () => {
    world = await makeWorld();
    const { task, sandbox, run } = await world.task();
    await run(commit('two'));
    const prepared = await world.deliver.prepare(task, { sandbox }, never);
    const encoded = Buffer.from(`x-access-token:${TOKEN}`).toString('base64');
    server.faults('hang');
    const stop = new AbortController();
    const hanging = world.deliver.deliver(task, prepared, stop.signal).catch(() => {});
    const commands = () =>
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => {
          try {
            return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
          } catch {
            return '';
          }
        });
    await expect.poll(() => commands().some((line) => line.includes('remote-https'))).toBe(true);
    for (const line of commands()) expect(line.includes(TOKEN) || line.includes(encoded)).toBe(false);
    stop.abort();
    await hanging;
    server.faults('none');
    await world.deliver.deliver(task, prepared, never);
    const inside = await run(
      'env; cat .git/config; grep -r . /workspace/.git/config /proc/self/environ 2>/dev/null | tr "\\0" "\\n"',
    );
    for (const word of [TOKEN, encoded]) {
      expect(inside).not.toContain(word);
      const found = execFileSync('sh', ['-c', 'grep -rlF -e "$1" "$2" || true', 'sh', word, world.base], {
        encoding: 'utf8',
      });
      expect(found).toBe('');
    }
  });
});
