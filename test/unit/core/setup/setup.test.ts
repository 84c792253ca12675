// The first steps on a machine: real npm, real processes, and stand-ins only for what would change the machine.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setupFile, setupModule } from './modules.ts';

let root: string;
let said: string[];
const log = (line: string) => void said.push(line);
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'steward-setup-')));
  said = [];
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string, mode = 0o644): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text, { mode });
  return file;
}

describe('the packages', async () => {
  const { ensureInstalled } = await setupModule('install');

  /** A project with one dependency, which lies in a folder of it: npm needs no network for that. */
  function project(version: string) {
    write('package.json', JSON.stringify({ name: 'p', version: '1.0.0', dependencies: { part: 'file:part' } }));
    write('part/package.json', JSON.stringify({ name: 'part', version }));
    const packages = {
      '': { name: 'p', version: '1.0.0', dependencies: { part: 'file:part' } },
      'node_modules/part': { resolved: 'part', link: true },
      part: { version },
    };
    write(
      'package-lock.json',
      JSON.stringify({ name: 'p', version: '1.0.0', lockfileVersion: 3, requires: true, packages }),
    );
  }

  it('are installed once, and again when the lock file changes', () => {
    project('1.0.0');
    expect(ensureInstalled({ root, log })).toBe(true);
    expect(existsSync(join(root, 'node_modules', 'part', 'package.json'))).toBe(true);
    expect(said).toHaveLength(1);
    expect(ensureInstalled({ root, log })).toBe(false);
    project('2.0.0');
    expect(ensureInstalled({ root, log })).toBe(true);
    expect(said).toHaveLength(2);
  });

  it('are left alone when somebody ran npm ci by hand', () => {
    project('1.0.0');
    expect(spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root }).status).toBe(0);
    ensureInstalled({ root, log });
    expect(said).toEqual([]);
  });

  it("fail with npm's own words", () => {
    project('1.0.0');
    write('package-lock.json', '{"lockfileVersion": 3, "packages": {"": {"dependencies": {"other": "1.0.0"}}}}');
    expect(() => ensureInstalled({ root, log })).toThrow(/npm error[\s\S]*Installing the packages failed/);
    expect(() => ensureInstalled({ root, log, env: { PATH: root } })).toThrow(/npm could not be started/);
  });
});

describe('the pinned Node', async () => {
  const { pinnedNode } = await setupModule('node');
  const place = `node_modules/node-${process.platform}-${process.arch}/bin/node`;

  it('is the packaged one when it runs', () => {
    const node = write(place, '#!/bin/sh\necho v24', 0o755);
    expect(pinnedNode({ root, version: '18.0.0' })).toBe(node);
  });

  it('is the running one when that is new enough', () => {
    expect(pinnedNode({ root, version: '24.1.0', execPath: '/a/node' })).toBe('/a/node');
    write(place, '#!/bin/sh\nexit 1', 0o755);
    expect(pinnedNode({ root, version: '26.0.0', execPath: '/a/node' })).toBe('/a/node');
  });

  it('else there is one sentence, exit code 78', () => {
    expect(() => pinnedNode({ root, version: '20.0.0' })).toThrow(
      expect.objectContaining({ exitCode: 78, message: expect.stringContaining('this Node is 20.0.0') }),
    );
  });

  it('runs scripts as if they were started themselves: signals, exit code, PATH', async () => {
    const script = write(
      'script.mjs',
      `process.on('SIGTERM', () => process.exit(7)); console.log(process.env.PATH.split(':')[0]); setInterval(() => {}, 1000);`,
    );
    const driver = write(
      'driver.mjs',
      `import { reexec } from '${setupFile('node')}'; process.exitCode = await reexec('${script}', []);`,
    );
    const child = spawn(process.execPath, [driver], { stdio: ['ignore', 'pipe', 'inherit'] });
    const path = await new Promise<string>((resolve) =>
      child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim())),
    );
    child.kill('SIGTERM');
    const code = await new Promise((resolve) => child.once('exit', resolve));
    expect([code, join(path, 'node')]).toEqual([7, pinnedNode({ root: dirname(dirname(dirname(setupFile('node')))) })]);
  });

  const old = (process.env.PATH ?? '')
    .split(':')
    .filter((entry) => !entry.includes('node_modules'))
    .map((entry) => join(entry, 'node'))
    .find(existsSync);
  it.skipIf(!old)("the steward command works with this machine's own Node", () => {
    const run = (...args: string[]) => spawnSync(old!, [setupFile('steward'), ...args], { encoding: 'utf8' });
    expect(run('--version')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    expect(run('nonsense')).toMatchObject({ status: 2, stdout: '' });
  });
});

it('tests see no setting of whoever runs them', async () => {
  const { testEnvironment } = await setupModule('node');
  const env = {
    PATH: '/bin',
    STEWARD_HOME: 'h',
    STEWARD_TEST_SEED: '1',
    TELEGRAM_BOT_TOKEN: 't',
    ANTHROPIC_API_KEY: 'k',
  };
  expect(testEnvironment({ env, isTTY: true })).toEqual({ PATH: '/bin', STEWARD_TEST_SEED: '1' });
  expect(testEnvironment({ env: {}, isTTY: false })).toEqual({ NO_COLOR: '1' });
});

describe('the console', async () => {
  const { ensureConsole } = await setupModule('console');

  it('is built when it is missing or its sources changed, and only then', () => {
    write('package-lock.json', '{}');
    write('channels/console/src/main.ts', 'one');
    write('channels/console/vite.config.ts', '');
    write(
      'node_modules/vite/bin/vite.js',
      `const { mkdirSync, writeFileSync } = require('node:fs'); mkdirSync('channels/console/dist', { recursive: true }); writeFileSync('channels/console/dist/index.html', process.argv.slice(2).join(' '));`,
    );
    expect(ensureConsole({ root, log })).toBe(true);
    expect(readFileSync(join(root, 'channels/console/dist/index.html'), 'utf8')).toMatch(
      /^build --config .*vite\.config\.ts/,
    );
    expect(ensureConsole({ root, log })).toBe(false);
    write('channels/console/src/main.ts', 'two');
    expect(ensureConsole({ root, log })).toBe(true);
    rmSync(join(root, 'channels/console/dist'), { recursive: true });
    expect(ensureConsole({ root, log })).toBe(true);
    write('node_modules/vite/bin/vite.js', `console.error('main.ts:1 is wrong'); process.exit(1);`);
    write('channels/console/src/main.ts', 'three');
    expect(() => ensureConsole({ root, log })).toThrow(/main\.ts:1 is wrong[\s\S]*Building the console failed/);
    expect(() => ensureConsole({ root, log })).toThrow();
  });
});

describe('system packages', async () => {
  const { ensureSystemPackages } = await setupModule('system-packages');
  const done = () =>
    existsSync(join(root, 'done')) ? readFileSync(join(root, 'done'), 'utf8').trim().split('\n') : [];
  /** A program that writes down how it was called; `then` is what else it does. */
  const program = (name: string, then = '') =>
    write(`bin/${name}`, `#!/bin/sh\necho "${name} $*" >> "${root}/done"\n${then}\n`, 0o755);
  const bwrap = () => `printf '#!/bin/sh\\n' > "${root}/bin/bwrap"; /bin/chmod 755 "${root}/bin/bwrap"`;
  const ensure = (options: { isRoot: boolean; env?: Record<string, string> }) =>
    ensureSystemPackages(['bubblewrap'], {
      log,
      isRoot: options.isRoot,
      env: { PATH: join(root, 'bin'), HOME: root, ...options.env },
    });

  it('that are there need nothing', () => {
    program('bwrap');
    program('apt-get');
    expect(ensure({ isRoot: true })).toEqual([]);
    expect([...said, ...done()]).toEqual([]);
  });

  it('are installed by root with apt, after one line that says so', () => {
    program('apt-get', `case "$*" in *install*) ${bwrap()};; esac`);
    expect(ensure({ isRoot: true })).toEqual([]);
    expect(said).toEqual(['Installing bubblewrap (it isolates the code the agent runs) with apt-get …']);
    expect(done()).toEqual([
      expect.stringMatching(/^apt-get .*update$/),
      expect.stringMatching(/^apt-get install .*--no-upgrade.* bubblewrap$/),
    ]);
  });

  it('bring what they are no use without, by the name each manager has for it', () => {
    const names = (manager: string) => {
      rmSync(join(root, 'bin'), { recursive: true, force: true });
      program(manager);
      expect(
        ensureSystemPackages(['perl', 'podman'], { log, isRoot: true, env: { PATH: join(root, 'bin'), HOME: root } }),
      ).toEqual(['perl', 'podman']);
      expect(said.at(-1)).toContain('Until then code tools are off and the container tests are skipped.');
      return done().at(-1);
    };
    expect(names('apt-get')).toMatch(/ perl podman runc uidmap$/);
    expect(said.at(-1)).toMatch(/install -y --no-install-recommends perl podman runc uidmap$/);
    expect(names('dnf')).toBe('dnf install -y -q perl podman');
  });

  it('are installed with dnf', () => {
    program('dnf', bwrap());
    expect(ensure({ isRoot: true })).toEqual([]);
    expect(done()).toEqual(['dnf install -y -q bubblewrap']);
  });

  it('are installed with sudo where it asks for no password', () => {
    program('sudo', 'shift; case "$1" in *=*) shift;; esac; "$@"');
    program('true');
    program('apt-get', `case "$*" in *install*) ${bwrap()};; esac`);
    expect(ensure({ isRoot: false })).toEqual([]);
    expect(done()).toContainEqual(expect.stringMatching(/^sudo -n DEBIAN_FRONTEND=noninteractive apt-get install/));
  });

  it.each([
    ['sudo asks for a password', () => program('sudo', 'exit 1'), /it takes root/],
    ['there is no sudo', () => '', /it takes root/],
  ])('are named with the command when %s', (_, prepare, why) => {
    program('apt-get');
    prepare();
    expect(ensure({ isRoot: false })).toEqual(['bubblewrap']);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(why);
    expect(said[0]).toContain(
      'Until then code tools are off. To install: sudo apt-get update && sudo apt-get install -y',
    );
    expect(done().filter((line) => line.startsWith('apt-get'))).toEqual([]);
  });

  it('say so when installing failed, and the start goes on', () => {
    program('apt-get', 'echo "E: no space left" >&2; exit 100');
    expect(ensure({ isRoot: true })).toEqual(['bubblewrap']);
    expect(said[1]).toContain('apt-get failed (E: no space left)');
  });

  it('are named on a system without apt or dnf', () => {
    expect(ensure({ isRoot: true })).toEqual(['bubblewrap']);
    expect(said[0]).toContain('no apt-get or dnf was found');
  });

  it.each([
    ['the environment', { STEWARD_SYSTEM_PACKAGES: 'no' }, null],
    ['.env', {}, ['.steward/.env', 'A=1\nSTEWARD_SYSTEM_PACKAGES="no"\n']],
    ['config.json', {}, ['.steward/config.json', '{\n  "STEWARD_SYSTEM_PACKAGES": "no",\n  "A": 1\n}\n']],
  ])('are not installed when %s says no', (_, env, file) => {
    if (file) write(file[0]!, file[1]!);
    program('apt-get', bwrap());
    expect(ensure({ isRoot: true, env })).toEqual(['bubblewrap']);
    expect(said[0]).toContain('STEWARD_SYSTEM_PACKAGES is no');
    expect(done()).toEqual([]);
  });
});
