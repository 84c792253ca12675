// A sandbox up to the point where it becomes somebody's: folders, user and bwrap are there, its first program waits for a byte.
import { copyFileSync, existsSync, linkSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { StewardError } from '../../../core/errors.ts';
import type { Id, Millis } from '../../../core/types.ts';
import type { SandboxSpec } from '../../driver.ts';
import type { SnapshotStore } from '../../snapshots.ts';
import type { Group } from './cgroup.ts';
import type { Disk } from './disk.ts';
import { killAll, unwind } from './end.ts';
import type { Host } from './host.ts';
import { type Launched, launch } from './launch.ts';
import { type Limiter, rlimitsFor, scopeEnv } from './limits.ts';
import { type Folders, sandboxArguments } from './profile.ts';
import type { Starter } from './starter.ts';
import { folderOf, foldersOf, makeFolders, runOf } from './state.ts';
import type { Uids } from './uids.ts';

/** What all sandboxes of a driver share. */
export interface Shared {
  root: string;
  host: Host;
  limiter: Limiter;
  starter: Starter;
  disk: Disk;
  /** Null when this process is not root: then every sandbox runs as its user. */
  uids: Uids | null;
  /** How the groups of isolated runs begin, different for each root. */
  isolateName: string;
  snapshots: SnapshotStore;
  env: NodeJS.ProcessEnv;
  now(): Millis;
  warn(facts: object, message: string): void;
}

/** What of a spec is fixed before it is known whose the sandbox will be. */
export type Fit = Pick<SandboxSpec, 'profile' | 'mounts' | 'limits'> & { relay: boolean };

export const fitOf = ({ profile, mounts, limits, listen }: SandboxSpec): Fit => ({
  profile,
  mounts,
  limits,
  relay: listen !== null,
});

export interface Prepared {
  /** The sandbox's id, or a name until it has one. */
  name: Id;
  uid: number | null;
  folders: Folders;
  launched: Launched;
  /** Made when it becomes somebody's. */
  group: Group | null;
  /** Takes back all of it, the last step first. */
  undo: (() => unknown)[];
}

/** A link where it can be: it takes no space and no time. */
function placeFile(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

/** The folder last: as long as it is there, a later life finds what else is left. */
export async function clearAway({ root, disk }: Pick<Shared, 'root' | 'disk'>, id: Id): Promise<void> {
  const run = runOf(root, id);
  const folder = folderOf(root, id);
  if (!run.startsWith(folder)) await disk.remove(run);
  await disk.remove(folder);
}

/** Errors: conflict, unavailable (with the fix). Leaves nothing when it fails. */
export async function prepare(shared: Shared, name: Id, fit: Fit): Promise<Prepared> {
  const { limiter, host, root } = shared;
  const { mounts, limits, relay } = fit;
  const undo: (() => unknown)[] = [];
  try {
    const uid = shared.uids?.take() ?? null;
    if (uid !== null) undo.push(() => shared.uids?.release(uid));
    const folders = makeFolders(root, name, uid);
    let prepared: Prepared | null = null;
    undo.push(() => clearAway(shared, prepared?.name ?? name));
    placeFile(host.runner(rlimitsFor(limiter.plan, limits)), join(folders.run, 'runner.pl'));
    const facts = await host.facts();
    const prefix = limiter.prefix(name, limits);
    const launched = await launch(shared.starter, {
      bwrap: host.bwrap,
      argv: sandboxArguments({ facts, folders, mounts, limits, relay }),
      prefix,
      prefixEnv: prefix.length > 0 ? scopeEnv(shared.env) : {},
      filter: host.filters[fit.profile],
      uid,
      pipes: false,
    });
    const made: Prepared = { name, uid, folders, launched, group: null, undo };
    prepared = made;
    undo.push(
      () => made.group?.remove(),
      () => killAll(launched, made.group),
    );
    return made;
  } catch (error) {
    await unwind(undo).catch((left: unknown) => shared.warn({ error: left }, 'a sandbox left something behind'));
    throw error;
  }
}

/** Gives a prepared sandbox its id. What is shown inside stays shown: mounts hold folders, not their names. */
export function rename(root: string, prepared: Prepared, id: Id): void {
  const folder = folderOf(root, id);
  if (existsSync(folder))
    throw new StewardError('conflict', `There is a sandbox ${id} already.`, { op: 'start a sandbox' });
  renameSync(folderOf(root, prepared.name), folder);
  prepared.name = id;
  prepared.folders = foldersOf(root, id);
}
