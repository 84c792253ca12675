// The folders of a sandbox on the host: made for its user, measured, and removed whatever it did to their modes.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { StewardError } from '../../../core/errors.ts';
import type { Id, Millis } from '../../../core/types.ts';
import { runnerScript } from '../../runner/client.ts';
import { FILTER_NAME, type Folders, type Identity, RUNNER_NAME, SOCKET_NAME } from './spec.ts';

/** Linux: 107 bytes and a NUL; macOS has 4 less. */
const SOCKET_PATH_BYTES = 103;
const MEASURE_MS: Millis = 60_000;
/** Tells ours from those of other drivers over the same root. */
const MARK = 'docker';

export interface SandboxFolders extends Folders {
  /** Where the broker listens. */
  socket: string;
  /** Bytes of workspace and home on the disk. */
  measure(): Promise<number>;
  remove(): Promise<void>;
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Whose folders are there, alive or left over. */
export async function leftFolders(root: string): Promise<Id[]> {
  const names = await readdir(join(root, 'live')).catch((): string[] => []);
  return names.filter((id) => existsSync(join(root, 'live', id, MARK)));
}

export function foldersOf(root: string, id: Id): SandboxFolders {
  const live = join(root, 'live', id);
  const workspace = join(live, 'workspace');
  const home = join(live, 'home');
  const run = join(live, 'run');
  return {
    workspace,
    home,
    run,
    socket: join(run, SOCKET_NAME),
    async measure() {
      // du goes through no link, and by paths of its own: what is inside cannot lead it away.
      const { stdout } = await promisify(execFile)('du', ['-skx', workspace, home], { timeout: MEASURE_MS }).catch(
        // Code 1: something went away while it looked, or may not be read. What it counted is there all the same.
        (error: { stdout?: string; code?: unknown }) => {
          if (error.code === 1 && error.stdout) return { stdout: error.stdout };
          throw error;
        },
      );
      const sizes = stdout.split('\n').map((line) => Number(/^\d+/.exec(line)?.[0] ?? 0));
      return sizes.reduce((sum, size) => sum + size, 0) * 1024;
    },
    async remove() {
      await removeTree(live);
    },
  };
}

/** It names folders and containers. Throws `invalid`. */
export function checkId(id: Id): void {
  if (/^\w{1,64}$/.test(id)) return;
  throw new StewardError('invalid', `${JSON.stringify(id)} cannot name a sandbox.`, { op: 'start a sandbox' });
}

/** Empty folders of a sandbox, with what its first program needs. Throws `conflict` when there are some of this id. */
export async function makeFolders(
  root: string,
  input: { id: Id; identity: Identity; filter: Uint8Array | null },
): Promise<SandboxFolders> {
  const op = 'start a sandbox';
  const folders = foldersOf(root, input.id);
  if (Buffer.byteLength(folders.socket) > SOCKET_PATH_BYTES)
    throw new StewardError('bad_config', `${folders.socket} is too long for a socket.`, {
      op,
      hint: 'Set STEWARD_HOME to a shorter path.',
    });
  const live = join(root, 'live', input.id);
  await mkdir(join(root, 'live'), { recursive: true });
  await mkdir(live, { mode: 0o711 }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw cause;
    throw new StewardError('conflict', `There is a sandbox ${input.id} already.`, { op, cause });
  });
  await writeFile(join(live, MARK), '', { mode: 0o600 });
  for (const folder of [folders.workspace, folders.home, folders.run]) {
    await mkdir(folder);
    // Whatever the umask is: the sandbox may be somebody else.
    await chmod(folder, 0o755);
  }
  const { owner } = input.identity;
  if (owner) for (const folder of [folders.workspace, folders.home]) await chown(folder, owner.uid, owner.gid);
  await give(join(folders.run, RUNNER_NAME), await readFile(runnerScript()));
  if (input.filter) await give(join(folders.run, FILTER_NAME), input.filter);
  return folders;
}

async function give(file: string, bytes: Uint8Array): Promise<void> {
  await writeFile(file, bytes);
  await chmod(file, 0o644);
}

/** Only when nothing runs in there any more. */
async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    // An ordinary user cannot empty a folder that lost its write permission.
    await openUp(path);
    await rm(path, { recursive: true, force: true });
  }
}

async function openUp(folder: string): Promise<void> {
  try {
    await chmod(folder, 0o700);
    for (const entry of await readdir(folder, { withFileTypes: true }))
      if (entry.isDirectory()) await openUp(join(folder, entry.name));
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
