// The Node a sandbox finds at /opt/node: the one this process runs on, with the host's npm, wherever on the host they are.
import { constants, existsSync, lstatSync, realpathSync } from 'node:fs';
import { access, chmod, copyFile, cp, link, mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface NodeFolder {
  /** To be shown at /opt/node. */
  folder: string;
  /** To be shown at /opt/node/bin/node when the folder has only an empty file there. */
  binary: string | null;
}

/** The folder of npm's program; null when the host has none. */
function findNpm(execPath: string, path: string): string | null {
  const beside = join(dirname(dirname(execPath)), 'lib/node_modules/npm');
  const onPath = path
    .split(':')
    .map((folder) => join(folder, 'npm'))
    .filter((program) => existsSync(program))
    .map((program) => dirname(dirname(realpathSync(program))));
  const places = [beside, '/usr/lib/node_modules/npm', '/usr/local/lib/node_modules/npm', ...onPath];
  return places.find((place) => existsSync(join(place, 'bin/npm-cli.js'))) ?? null;
}

/** True when any uid may walk to the file and read it. */
async function openToAll(path: string): Promise<boolean> {
  if (((await stat(path)).mode & 0o005) !== 0o005) return false;
  for (let at = dirname(path); ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
    if (at === '/') return true;
  }
}

/** Into `to` without a second copy where that can be: a hard link, or the file itself shown in its place. */
async function placeBinary(execPath: string, to: string, pooled: boolean): Promise<string | null> {
  try {
    // A link carries the mode of the original.
    if (((await stat(execPath)).mode & 0o005) === 0o005) {
      await link(execPath, to);
      return null;
    }
  } catch {
    // Another file system, or a file of somebody else's that may not be linked.
  }
  if (pooled ? await openToAll(execPath) : await readable(execPath)) {
    await writeFile(to, '');
    await chmod(to, 0o755);
    return execPath;
  }
  await copyFile(execPath, to, constants.COPYFILE_FICLONE);
  await chmod(to, 0o755);
  return null;
}

const readable = (path: string): Promise<boolean> =>
  access(path, constants.R_OK | constants.X_OK).then(
    () => true,
    () => false,
  );

/**
 * Makes the folder below `root` once per version; later calls find it. Null when this Node is under /usr, which a sandbox sees anyway.
 * `pooled`: sandboxes run as other uids than this process.
 */
export async function nodeFolder(input: {
  root: string;
  execPath: string;
  version: string;
  path: string;
  pooled: boolean;
}): Promise<NodeFolder | null> {
  const execPath = realpathSync(input.execPath);
  if (execPath.startsWith('/usr/')) return null;
  const folder = join(input.root, `node-${input.version}`);
  const binary = join(folder, 'bin/node');
  const known = lstatSync(binary, { throwIfNoEntry: false });
  if (known) return { folder, binary: known.size === 0 ? execPath : null };

  const draft = `${folder}.${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  for (const part of ['', 'bin', 'etc', 'lib', 'lib/node_modules']) {
    await mkdir(join(draft, part), { recursive: true });
    await chmod(join(draft, part), 0o755);
  }
  const shown = await placeBinary(execPath, join(draft, 'bin/node'), input.pooled);
  // What is installed globally goes to the home, because /opt/node cannot be written.
  await writeFile(join(draft, 'etc/npmrc'), 'prefix=/home/agent/.local\n');
  await chmod(join(draft, 'etc/npmrc'), 0o644);
  const npm = findNpm(execPath, input.path);
  if (npm) {
    const place = join(draft, 'lib/node_modules/npm');
    if (npm.startsWith('/usr/')) await symlink(npm, place);
    else await cp(npm, place, { recursive: true, verbatimSymlinks: true });
    await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(draft, 'bin/npm'));
    await symlink('../lib/node_modules/npm/bin/npx-cli.js', join(draft, 'bin/npx'));
  }
  await rename(draft, folder).catch(async (error: unknown) => {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(binary)) throw error;
  });
  return { folder, binary: shown };
}
