// The reverse routes with the real programs they are for: npm, pip and git, against registries and a git host on loopback.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PRESETS } from '../../../../sandboxes/broker/policy.ts';
import { type HttpsHost, makeAuthority, startHttpsHost } from '../../../fakes/https-host.ts';
import { PATIENCE_MS, type Ran, type Rig, run, startRig, type Way } from './rig.ts';

const found = (name: string) => (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name)));
const npm = found('npm') ? describe : describe.skip;
const git = found('git') ? describe : describe.skip;
const pip = found('python3') && pipWorks() ? describe : describe.skip;
function pipWorks(): boolean {
  try {
    execFileSync('python3', ['-m', 'pip', '--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const SECRET = 'git-canary-5d41402abc4b';
const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

const authority = makeAuthority();
let folder: string;
let host: HttpsHost;
let rig: Rig;

interface Package {
  name: string;
  version: string;
  tarball: Buffer;
}
let packages: Package[] = [];
let wheel: Buffer;

/** A tarball as `npm pack` makes it. */
function pack(name: string, dependencies: Record<string, string>): Package {
  const root = join(folder, 'pack', name.replace('/', '+'));
  mkdirSync(join(root, 'package'), { recursive: true });
  writeFileSync(join(root, 'package/package.json'), JSON.stringify({ name, version: '1.0.0', dependencies }));
  writeFileSync(join(root, 'package/index.js'), `module.exports = '${name}';\n`);
  return { name, version: '1.0.0', tarball: execFileSync('tar', ['-czf', '-', '-C', root, 'package']) };
}
const integrity = ({ tarball }: Package) => `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
const tarballName = ({ name, version }: Package) => `${name}/-/${name.split('/').pop()}-${version}.tgz`;
const dependenciesOf = ({ name }: Package) => (name === 'one' ? { '@scope/two': '^1.0.0' } : {});

/** The registry is at /reg/, the simple index at /idx/simple/ with its files beside it. */
function serve(url: string, reply: (type: string, body: string | Buffer, status?: number) => void): boolean {
  const path = decodeURIComponent(url.split('?')[0]!);
  const base = `https://127.0.0.1:${host.port}`;
  for (const one of packages) {
    if (path === `/reg/${one.name}`) {
      const version = {
        name: one.name,
        version: one.version,
        dependencies: dependenciesOf(one),
        dist: { tarball: `${base}/reg/${tarballName(one)}`, integrity: integrity(one) },
      };
      const body = { name: one.name, 'dist-tags': { latest: one.version }, versions: { [one.version]: version } };
      reply('application/json', JSON.stringify(body));
      return true;
    }
    if (path === `/reg/${tarballName(one)}`) {
      reply('application/octet-stream', one.tarball);
      return true;
    }
  }
  if (path === '/idx/simple/wheelie/') {
    const hash = createHash('sha256').update(wheel).digest('hex');
    reply(
      'text/html',
      `<!DOCTYPE html><a href="../../files/wheelie-1.0-py3-none-any.whl#sha256=${hash}">wheelie-1.0-py3-none-any.whl</a>`,
    );
    return true;
  }
  if (path === '/idx/files/wheelie-1.0-py3-none-any.whl') {
    reply('application/zip', wheel);
    return true;
  }
  return false;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'brk-routes-'));
  packages = [pack('one', { '@scope/two': '^1.0.0' }), pack('@scope/two', {})];
  if (found('python3')) {
    const script = `import zipfile,sys
z=zipfile.ZipFile(sys.argv[1],'w')
z.writestr('wheelie.py','answer=42\\n')
z.writestr('wheelie-1.0.dist-info/METADATA','Metadata-Version: 2.1\\nName: wheelie\\nVersion: 1.0\\n')
z.writestr('wheelie-1.0.dist-info/WHEEL','Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
z.writestr('wheelie-1.0.dist-info/RECORD','')
z.close()`;
    execFileSync('python3', ['-c', script, join(folder, 'wheel.zip')]);
    wheel = readFileSync(join(folder, 'wheel.zip'));
  }
  host = await startHttpsHost({
    authority,
    names: ['127.0.0.1', 'git.test'],
    git: { root: join(folder, 'git'), authorization: basic('steward', SECRET) },
    handler({ url }, response) {
      if (url === '/moved/repo.git/info/refs?service=git-upload-pack') {
        response.writeHead(301, { location: '/repo.git/info/refs?service=git-upload-pack' }).end();
        return;
      }
      return serve(url, (type, body, status = 200) => response.writeHead(status, { 'content-type': type }).end(body))
        ? undefined
        : false;
    },
  });
  rig = await startRig({
    options: { reach: ['git.test'], upstreamCa: authority.pair.cert, names: { 'git.test': [['127.0.0.1']] } },
  });
  const base = `https://127.0.0.1:${host.port}`;
  await rig.broker.setUpstreams({ npm: `${base}/reg/`, pip: `${base}/idx/simple/` });
});
afterAll(async () => {
  await rig?.stop();
  await host?.close();
  rmSync(folder, { recursive: true, force: true });
});

let last = 0;
/** A program in a home of its own. */
function inside(way: Way, argv: string[], cwd: string): Promise<Ran> {
  const home = join(folder, `home-${++last}`);
  mkdirSync(home);
  return run(argv, {
    cwd,
    env: {
      ...way.env,
      HOME: home,
      npm_config_cache: join(home, 'cache'),
      npm_config_update_notifier: 'false',
      npm_config_omit_lockfile_registry_resolved: 'false',
    },
  });
}
function project(manifest: object, lock?: object): string {
  const path = mkdtempSync(join(folder, 'project-'));
  writeFileSync(join(path, 'package.json'), JSON.stringify(manifest));
  if (lock) writeFileSync(join(path, 'package-lock.json'), JSON.stringify(lock));
  return path;
}

npm('npm', { timeout: PATIENCE_MS }, () => {
  const manifest = { name: 'app', version: '1.0.0', dependencies: { one: '^1.0.0' } };

  it('installs, and its lock file names no door of the sandbox', async () => {
    const way = await rig.way({ allow: PRESETS.registries });
    const path = project(manifest);
    const { code, stderr } = await inside(way, ['npm', 'install', '--no-audit', '--no-fund'], path);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(existsSync(join(path, 'node_modules/@scope/two/index.js'))).toBe(true);
    const lock = readFileSync(join(path, 'package-lock.json'), 'utf8');
    expect(lock).toContain('https://registry.npmjs.org/@scope/two/-/two-1.0.0.tgz');
    expect(lock).not.toContain('127.0.0.1');
    expect(rig.audit.some(({ sandbox, path: asked }) => sandbox === way.id && asked === '/reg/one')).toBe(true);
  });

  it('npm ci works with a lock file that names the public registry', async () => {
    const way = await rig.way({ allow: PRESETS.registries });
    const locked = Object.fromEntries(
      packages.map((one) => [
        `node_modules/${one.name}`,
        {
          version: one.version,
          resolved: `https://registry.npmjs.org/${tarballName(one)}`,
          integrity: integrity(one),
          dependencies: dependenciesOf(one),
        },
      ]),
    );
    const path = project(manifest, {
      name: 'app',
      version: '1.0.0',
      lockfileVersion: 3,
      packages: { '': manifest, ...locked },
    });
    const { code, stderr } = await inside(way, ['npm', 'ci', '--no-audit', '--no-fund'], path);
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(readFileSync(join(path, 'node_modules/one/index.js'), 'utf8')).toContain('one');
    expect(rig.audit.filter(({ sandbox, verdict }) => sandbox === way.id && verdict !== 'allowed')).toEqual([]);
  });

  it('is told why, where registries are not allowed', async () => {
    const way = await rig.way();
    const { code, stderr } = await inside(
      way,
      ['npm', 'install', '--no-audit', '--no-fund', '--fetch-retries=0'],
      project(manifest),
    );
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/403/);
    expect(await rig.entry(({ sandbox }) => sandbox === way.id)).toMatchObject({
      verdict: 'denied',
      host: 'registry.npmjs.org',
    });
  });

  it('what drops the path of the registry, and what asks for it over TLS, is served too', async () => {
    const way = await rig.way({ allow: PRESETS.registries });
    expect((await way.send('GET', `/${tarballName(packages[1]!)}`)).status).toBe(200);
    const code = `const r = await fetch('https://127.0.0.1:${way.port}/npm/one'); console.log(r.status);`;
    const { stdout, stderr } = await run([process.execPath, '--input-type=module', '-e', code], { env: way.env });
    expect(stdout + stderr).toBe('200\n');
  });

  it('other clients are sent back to the route', async () => {
    const way = await rig.way({ allow: PRESETS.registries });
    const reply = await way.send('GET', '/npm/@scope%2ftwo', {
      headers: { 'user-agent': 'pnpm/10.0.0', host: '127.0.0.1:3128' },
    });
    expect(JSON.parse(reply.body).versions['1.0.0'].dist.tarball).toBe(
      'http://127.0.0.1:3128/npm/@scope/two/-/two-1.0.0.tgz',
    );
  });
});

pip('pip', { timeout: PATIENCE_MS }, () => {
  it('installs from the index and its files', async () => {
    const way = await rig.way({ allow: PRESETS.registries });
    const target = mkdtempSync(join(folder, 'site-'));
    const { code, stderr } = await inside(
      way,
      [
        'python3',
        '-m',
        'pip',
        '--isolated',
        'install',
        '--no-input',
        '--disable-pip-version-check',
        '--index-url',
        way.env.PIP_INDEX_URL!,
        '--target',
        target,
        'wheelie',
      ],
      folder,
    );
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: expect.any(String) });
    expect(readFileSync(join(target, 'wheelie.py'), 'utf8')).toBe('answer=42\n');
    expect(
      rig.audit.some(({ sandbox, path }) => sandbox === way.id && path === '/idx/files/wheelie-1.0-py3-none-any.whl'),
    ).toBe(true);
  });
});

git('git', { timeout: PATIENCE_MS }, () => {
  let remote: string;
  const allow = () => [{ host: 'git.test', ports: [host.port] }];
  const sh = (way: Way, script: string, cwd: string) => inside(way, ['sh', '-ec', script], cwd);
  const identity = 'git config user.name t; git config user.email t@t;';

  beforeAll(async () => {
    remote = `https://git.test:${host.port}/repo.git`;
    const seed = join(folder, 'seed');
    execFileSync(
      'sh',
      [
        '-ec',
        `mkdir -p "$1/git" "$2"; git init -q --bare "$1/git/repo.git"; git -C "$1/git/repo.git" symbolic-ref HEAD refs/heads/main
       cd "$2"; git init -q -b main; git config user.name t; git config user.email t@t
       echo hello > file; head -c 3000000 /dev/urandom > big; git add .; git commit -qm first; git push -q "$1/git/repo.git" main`,
        'sh',
        folder,
        seed,
      ],
      { env: { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' } },
    );
    await rig.broker.setCredentials([
      { id: 'cred_git', hosts: ['git.test'], header: 'Authorization', value: basic('steward', SECRET) },
    ]);
  });

  it('clones and pushes with credentials it never sees', async () => {
    const way = await rig.way({ allow: allow(), push: ['git.test'] });
    const cwd = mkdtempSync(join(folder, 'clone-'));
    const { code, stdout, stderr } = await sh(
      way,
      `git clone -q ${remote} work; cd work; ${identity} cat file; git remote get-url origin; git config --get remote.origin.url
       echo more >> file; head -c 2500000 /dev/urandom > other; git add .; git commit -qm second; git push -q origin main; env; cat .git/config`,
      cwd,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^hello\n/);
    expect(stdout).toContain(`url = ${remote}`);
    expect(stdout).not.toContain(SECRET);
    expect(stdout).not.toContain(basic('steward', SECRET).slice(6));
    const log = execFileSync(
      'git',
      ['-c', 'safe.directory=*', '--git-dir', join(folder, 'git/repo.git'), 'log', '--format=%s'],
      { encoding: 'utf8' },
    );
    expect(log).toBe('second\nfirst\n');
    // A push larger than git's buffer is sent in chunks.
    expect(
      host.seen.some(
        ({ url, headers }) => url.endsWith('git-receive-pack') && headers['transfer-encoding'] === 'chunked',
      ),
    ).toBe(true);
    expect(
      await rig.entry(({ sandbox, path }) => sandbox === way.id && path === '/repo.git/git-receive-pack'),
    ).toMatchObject({
      host: 'git.test',
      verdict: 'allowed',
      why: expect.stringContaining('cred_git'),
    });
  });

  it('goes through an opened tunnel as well', async () => {
    const way = await rig.way({ allow: allow() });
    const cwd = mkdtempSync(join(folder, 'clone-'));
    const { code, stderr } = await sh(
      way,
      `export GIT_CONFIG_COUNT=0; git clone -q ${remote} work; cat work/file`,
      cwd,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('a password of the program’s own does not count', async () => {
    const way = await rig.way({ allow: allow() });
    const cwd = mkdtempSync(join(folder, 'clone-'));
    const { code, stderr } = await sh(way, `git clone -q https://evil:own@git.test:${host.port}/repo.git work`, cwd);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(host.seen.some(({ headers }) => headers.authorization === basic('evil', 'own'))).toBe(false);
  });

  it('follows a move on the same host, on the route', async () => {
    const way = await rig.way({ allow: allow() });
    const cwd = mkdtempSync(join(folder, 'clone-'));
    const { code } = await sh(
      way,
      `git clone -q https://git.test:${host.port}/moved/repo.git work; cat work/file`,
      cwd,
    );
    expect(code).toBe(0);
  });

  it('reads the refusal, for a host and for a path', async () => {
    const cwd = mkdtempSync(join(folder, 'clone-'));
    const offline = await rig.way();
    const refused = await sh(offline, `git clone -q ${remote} work`, cwd);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(`Steward: git.test:${host.port} is not allowed in this sandbox.`);
    const limited = await rig.way({ allow: [{ host: 'git.test', ports: [host.port], paths: ['/mine'] }] });
    const other = await sh(limited, `git clone -q ${remote} work`, cwd);
    expect(other.stderr).toMatch(/it may be reached under \/mine/);
    expect((await sh(limited, `git clone -q https://git.test:${host.port}/mine/../repo.git work`, cwd)).code).not.toBe(
      0,
    );
  });

  it('a host that wants a password and has no credential fails at once', async () => {
    await rig.broker.setCredentials([]);
    const way = await rig.way({ allow: allow() });
    const { code, stderr } = await sh(way, `git clone -q ${remote} work`, mkdtempSync(join(folder, 'clone-')));
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/could not read Username|Authentication failed/);
  });
});
