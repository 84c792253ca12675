// Programs of the operating system Steward can use: installs what is missing where it may, says the command where not.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** By package name, which is the same for apt and dnf; `also` is what a package only recommends and is no use without. */
const catalogue = {
  bubblewrap: { programs: ['bwrap'], why: 'it isolates the code the agent runs', without: 'code tools are off' },
  perl: {
    programs: ['perl'],
    why: 'it starts what the agent runs inside a sandbox',
    without: 'code tools are off',
  },
  chromium: {
    programs: ['chromium', 'chromium-browser', 'google-chrome'],
    why: 'the tests drive the console in a real browser',
    without: 'the browser tests are skipped',
  },
  podman: {
    programs: ['podman'],
    also: { 'apt-get': ['runc', 'uidmap'] },
    why: 'the tests start sandboxes in containers',
    without: 'the container tests are skipped',
  },
};

const managers = [
  {
    program: 'apt-get',
    // Bounded waits: without a network the start must go on after seconds, not minutes.
    refresh: ['-qq', '-o', 'Acquire::Retries=0', '-o', 'Acquire::http::Timeout=10', 'update'],
    install: ['install', '-y', '-qq', '--no-install-recommends', '--no-upgrade', '-o', 'DPkg::Lock::Timeout=60'],
    byHand: (names) => `apt-get update && sudo apt-get install -y --no-install-recommends ${names}`,
  },
  { program: 'dnf', install: ['install', '-y', '-q'], byHand: (names) => `dnf install -y ${names}` },
];

const tenMinutes = 600_000;

/** Names of packages that are still missing afterwards. A failure is said and never thrown: the start goes on without. */
export function ensureSystemPackages(names, options = {}) {
  const { env = process.env, log = console.error, isRoot = process.getuid?.() === 0 } = options;
  const missing = () => names.filter((name) => !catalogue[name].programs.some((program) => findProgram(program, env)));
  const wanted = missing();
  if (wanted.length === 0) return [];

  const manager = managers.find((candidate) => findProgram(candidate.program, env));
  const prefix = isRoot ? [] : sudoPrefix(env);
  const about = wanted.map((name) => `${name} (${catalogue[name].why})`).join(' and ');
  let why = manager ? 'it takes root' : 'no apt-get or dnf was found';
  if (!allowed(env)) why = 'STEWARD_SYSTEM_PACKAGES is no';
  else if (manager && prefix) {
    log(`Installing ${about} with ${manager.program} …`);
    why = install(manager, prefix, packagesOf(wanted, manager), env) ?? 'the program is still not there';
    if (missing().length === 0) return [];
  }
  const command = manager
    ? `sudo ${manager.byHand(packagesOf(wanted, manager).join(' '))}`
    : `install ${wanted.join(' ')} with your package manager`;
  log(
    `${wanted.join(', ')} not installed: ${why}. Until then ${[...new Set(wanted.map((name) => catalogue[name].without))].join(' and ')}. To install: ${command}`,
  );
  return missing();
}

const packagesOf = (names, manager) =>
  names.flatMap((name) => [name, ...(catalogue[name].also?.[manager.program] ?? [])]);

/** The path of a program, null when it is not on PATH. */
export function findProgram(program, env = process.env) {
  for (const folder of (env.PATH ?? '').split(delimiter).filter(Boolean)) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** Undefined when it went well, else the last words of what failed. */
function install(manager, prefix, names, env) {
  for (const args of [manager.refresh, [...(manager.install ?? []), ...names]].filter(Boolean)) {
    const [program, ...rest] = [...prefix, manager.program, ...args];
    const result = spawnSync(program, rest, {
      env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
      encoding: 'utf8',
      timeout: tenMinutes,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // A failed refresh may still leave lists good enough to install from.
    if (result.status !== 0 && args !== manager.refresh)
      return `${manager.program} failed (${`${result.stdout ?? ''}${result.stderr ?? ''}`.trim().split('\n').pop() || result.error?.message || 'no reason given'})`;
  }
  return undefined;
}

function sudoPrefix(env) {
  const sudo = findProgram('sudo', env);
  if (!sudo || spawnSync(sudo, ['-n', 'true'], { env, stdio: 'ignore' }).status !== 0) return null;
  return [sudo, '-n', 'DEBIAN_FRONTEND=noninteractive'];
}

/** The setting as this script can see it: before the packages are installed there is no loader. */
function allowed(env) {
  if (env.STEWARD_SYSTEM_PACKAGES) return env.STEWARD_SYSTEM_PACKAGES !== 'no';
  const home = env.STEWARD_HOME || join(env.HOME || homedir(), '.steward');
  const written = ['config.json', '.env'].map((name) => {
    try {
      return readFileSync(join(home, name), 'utf8');
    } catch {
      return '';
    }
  });
  return !/^\s*"?STEWARD_SYSTEM_PACKAGES"?\s*[:=]\s*["']?no["']?\s*,?\s*$/m.test(written.join('\n'));
}
