// Installs the project's packages when they are missing or other than package-lock.json asks for.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot, runScript, SetupError } from './node.mjs';

/** Says one line and runs `npm ci` when needed; true when it did. Throws a SetupError with npm's own words. */
export function ensureInstalled({ root = projectRoot, log = console.error, env = process.env } = {}) {
  const stamp = join(root, 'node_modules', '.steward-lock');
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (readText(stamp) === wanted) return false;
  if (!asLocked(root)) {
    log('Installing the packages (once, about half a minute) …');
    npmCi(root, env);
  }
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, wanted);
  return true;
}

/** True when what npm says it installed is what the lock file lists, as after an `npm ci` by hand. */
function asLocked(root) {
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'));
  const wanted = packagesOf(join(root, 'package-lock.json'));
  if (!installed || !wanted) return false;
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const found = installed[path];
    // A package of another platform is listed and rightly not there.
    if (!found) return entry.optional === true || entry.devOptional === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

function npmCi(root, env) {
  // npm must not run on a Node that lies in the folder it is about to empty.
  const path = (env.PATH ?? '').split(delimiter).filter((entry) => !entry.startsWith(join(root, 'node_modules')));
  const result = spawnSync(
    'npm',
    ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: root,
      env: { ...env, PATH: path.join(delimiter) },
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    },
  );
  if (result.error)
    throw new SetupError(`npm could not be started (${result.error.message}). Install npm and try again.`, 1);
  if (result.status !== 0)
    throw new SetupError(
      `${result.stdout}${result.stderr}\nInstalling the packages failed: npm's words are above.`.trim(),
      1,
    );
}

function packagesOf(file) {
  const text = readText(file);
  return text === null ? null : JSON.parse(text).packages;
}

function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  await runScript(async () => {
    ensureInstalled();
    return 0;
  });
