// Builds the console when it is missing or older than its sources.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedEnvironment, pinnedNode, projectRoot, SetupError } from './node.mjs';

/** True when it built. Throws a SetupError with the builder's own words. */
export function ensureConsole({ root = projectRoot, log = console.error } = {}) {
  const folder = join(root, 'channels', 'console');
  // Beside the packages, not in dist/: that folder is served.
  const stamp = join(root, 'node_modules', '.steward-console');
  const wanted = sourceHash(folder, join(root, 'package-lock.json'));
  if (existsSync(join(folder, 'dist', 'index.html')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted)
    return false;

  log('Building the console …');
  const node = pinnedNode({ root });
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const args = [vite, 'build', '--config', join(folder, 'vite.config.ts'), '--logLevel', 'warn'];
  const result = spawnSync(node, args, { cwd: root, env: pinnedEnvironment(node, { root }), encoding: 'utf8' });
  if (result.status !== 0)
    throw new SetupError(
      `${result.stdout}${result.stderr}\nBuilding the console failed: the builder's words are above.`.trim(),
      1,
    );
  writeFileSync(stamp, wanted);
  return true;
}

/** Changes with every source file's name and content and with the versions of the packages. */
function sourceHash(folder, lockFile) {
  const hash = createHash('sha256').update(readFileSync(lockFile));
  const visit = (path) => {
    const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const inner = join(path, entry.name);
      if (entry.isDirectory()) {
        if (entry.name !== 'dist' && entry.name !== 'node_modules') visit(inner);
      } else hash.update(`\0${inner.slice(folder.length)}\0`).update(readFileSync(inner));
    }
  };
  visit(folder);
  return hash.digest('hex');
}
