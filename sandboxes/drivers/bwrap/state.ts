// What is known of a sandbox on disk, so that a later life can end and remove it: one folder each, with sandbox.json in it.
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { StewardError } from '../../../core/errors.ts';
import type { Id } from '../../../core/types.ts';
import type { Folders } from './profile.ts';

const processName = z.object({ pid: z.number(), startTicks: z.string() });
const schema = z.object({
  id: z.string(),
  labels: z.record(z.string(), z.string()),
  createdAt: z.number(),
  bwrap: processName,
  inside: processName,
});
export type SandboxState = z.infer<typeof schema>;

/** Longest path of a unix socket, without the final NUL. */
const SOCKET_PATH = 107;

/** Different for each root: several Stewards share temp folders and groups. */
export const rootMark = (root: string): string => createHash('sha256').update(root).digest('hex').slice(0, 8);

const fits = (path: string): boolean => Buffer.byteLength(path) <= SOCKET_PATH;

/** The folder of the runner and the broker's socket: beside the sandbox's own when that lies too deep for a socket. */
export function runOf(root: string, id: Id): string {
  const inside = join(folderOf(root, id), 'run');
  return fits(join(inside, 'broker.sock')) ? inside : join(tmpdir(), `steward-${rootMark(root)}-${id}`);
}

export function foldersOf(root: string, id: Id): Folders {
  const folder = folderOf(root, id);
  return { workspace: join(folder, 'workspace'), home: join(folder, 'home'), run: runOf(root, id) };
}

/** Where the starter brings streams of what it started. One per driver. */
export function startSocket(root: string): string {
  const name = `start-${process.pid}-${randomBytes(3).toString('hex')}.sock`;
  const inside = join(root, 'host', name);
  return fits(inside) ? inside : join(tmpdir(), `steward-${rootMark(root)}-${name}`);
}

/** Sockets of starters whose daemon has gone. */
export function deadStartSockets(root: string): string[] {
  const dead = (name: string): boolean => {
    const pid = Number(/start-(\d+)-[0-9a-f]+\.sock$/.exec(name)?.[1]);
    return pid > 0 && !existsSync(`/proc/${pid}`);
  };
  const names = (folder: string, prefix: string): string[] =>
    readdirSync(folder)
      .filter((name) => name.startsWith(prefix) && dead(name))
      .map((name) => join(folder, name));
  return [...names(join(root, 'host'), 'start-'), ...names(tmpdir(), `steward-${rootMark(root)}-start-`)];
}

const ID = /^sbx_[A-Za-z0-9_-]{1,64}$/;

/** How one in reserve is called; it is nobody's and never told. */
const RESERVE = 'sbx_spare_';
export const spareName = (): Id => RESERVE + randomBytes(6).toString('hex');
export const isSpare = (name: Id): boolean => name.startsWith(RESERVE);

/** A name that is one folder, one group and one unit; refused otherwise. */
export function checkId(id: Id): void {
  if (ID.test(id)) return;
  throw new StewardError('invalid', `${JSON.stringify(id)} is no sandbox id.`, { op: 'start a sandbox' });
}

export const folderOf = (root: string, id: Id): string => join(root, 'live', id);

/** Folders that others may pass through and nobody may list: a pooled uid has to reach what is its own. */
export function makeRoots(root: string): void {
  mkdirSync(join(root, 'live'), { recursive: true });
  for (const folder of [root, join(root, 'live')]) chmodSync(folder, 0o711);
}

/**
 * Makes a sandbox's folders: workspace and home are its uid's, the folder above is ours and lets only that uid through.
 * `uid` null: everything is this process's.
 */
export function makeFolders(root: string, id: Id, uid: number | null): Folders {
  const folder = folderOf(root, id);
  try {
    mkdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new StewardError('conflict', `There is a sandbox ${id} already.`, { op: 'start a sandbox', cause: error });
  }
  const folders = foldersOf(root, id);
  mkdirSync(folders.run, { mode: 0o700 });
  // Modes are set apart from making: the umask would take from them.
  for (const own of [folders.workspace, folders.home]) {
    mkdirSync(own);
    chmodSync(own, 0o700);
    if (uid !== null) chownSync(own, uid, uid);
  }
  for (const passed of [folder, folders.run]) {
    if (uid !== null) chownSync(passed, process.getuid?.() ?? 0, uid);
    chmodSync(passed, uid === null ? 0o700 : 0o710);
  }
  return folders;
}

export function writeState(root: string, state: SandboxState): Promise<void> {
  return writeFile(join(folderOf(root, state.id), 'sandbox.json'), JSON.stringify(state), { mode: 0o600 });
}

/** Null when the sandbox never came so far, or the file is broken: then its processes ended with the daemon that made them. */
export function readState(root: string, id: Id): SandboxState | null {
  try {
    return schema.parse(JSON.parse(readFileSync(join(folderOf(root, id), 'sandbox.json'), 'utf8')));
  } catch {
    return null;
  }
}

/** Every sandbox that has a folder, of this life or an earlier one. */
export function listFolders(root: string): { id: Id; uid: number | null }[] {
  let names: string[];
  try {
    names = readdirSync(join(root, 'live'));
  } catch {
    return [];
  }
  return names
    .filter((id) => ID.test(id))
    .map((id) => ({
      id,
      uid: statSync(join(root, 'live', id, 'workspace'), { throwIfNoEntry: false })?.uid ?? null,
    }));
}
