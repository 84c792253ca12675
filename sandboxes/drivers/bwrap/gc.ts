// Clears away what an earlier life left: processes by pid and start time, then groups, then folders.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import type { Id } from '../../../core/types.ts';
import type { Disk } from './disk.ts';
import { killExactly, startTicksOf } from './launch.ts';
import type { Limiter } from './limits.ts';
import { clearAway } from './prepare.ts';
import type { ProcessName } from './starter.ts';
import { deadStartSockets, folderOf, isSpare, listFolders, readState, rootMark } from './state.ts';
import type { Uids } from './uids.ts';

/** Two Stewards on one host share the folders of groups: names tell whose an isolated run was. */
export const isolateName = (root: string): string => `run-${rootMark(root)}-`;

/** Waits until neither bwrap nor what it started is there. */
async function ended(processes: readonly ProcessName[]): Promise<void> {
  for (const end = performance.now() + 5_000; performance.now() < end; await after(5)) {
    if (processes.every(({ pid, startTicks }) => startTicksOf(pid) !== startTicks)) return;
  }
}

/**
 * bwraps of this root that nobody looks after: killed in the very moment of a start, one waits for ever for the other.
 * `ours`: processes of this life. `spared`: folders below the root that are to be kept.
 */
export function strays(root: string, ours: ReadonlySet<number>, spared: (folder: string) => boolean): ProcessName[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!/^\d+$/.test(name) || ours.has(pid)) return [];
    let argv: string[];
    try {
      argv = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
    } catch {
      return [];
    }
    const below = argv.filter((word) => word.startsWith(`${root}/`));
    if (!argv.includes('--info-fd') || below.length === 0 || below.some(spared)) return [];
    const startTicks = startTicksOf(pid);
    return startTicks === null ? [] : [{ pid, startTicks }];
  });
}

export async function collectGarbage(deps: {
  root: string;
  limiter: Limiter;
  disk: Disk;
  uids: Uids | null;
  /** Of this life, or to be kept. */
  keep(id: Id): boolean;
  /** Processes of this life. */
  ours(): ReadonlySet<number>;
  warn(facts: object, message: string): void;
}): Promise<Id[]> {
  const removed: Id[] = [];
  const kept = listFolders(deps.root).filter(({ id }) => deps.keep(id));
  const spared = (path: string) => kept.some(({ id }) => path.startsWith(`${folderOf(deps.root, id)}/`));
  const lost = strays(deps.root, deps.ours(), spared);
  for (const one of lost) killExactly(one);
  await ended(lost);
  for (const { id, uid } of listFolders(deps.root)) {
    if (deps.keep(id)) continue;
    try {
      const state = readState(deps.root, id);
      const group = deps.limiter.groupOf(id);
      // The first process inside before bwrap, which reaps it.
      const processes = state ? [state.inside, state.bwrap] : [];
      for (const one of processes) killExactly(one);
      await ended(processes);
      group.kill();
      if (!(await group.remove())) deps.warn({ id }, 'a control group of a sandbox could not be removed');
      await clearAway(deps, id);
      if (uid !== null) deps.uids?.release(uid);
      if (!isSpare(id)) removed.push(id);
    } catch (error) {
      deps.warn({ error, id }, 'what an earlier sandbox left could not be removed');
    }
  }
  return removed;
}

/** Groups of isolated runs, and sockets, of an earlier life; nothing of this life may be at work. */
export async function collectRuns(root: string, limiter: Limiter): Promise<void> {
  for (const socket of deadStartSockets(root)) rmSync(socket, { force: true });
  for (const name of limiter.groupsNamed(isolateName(root))) {
    const group = limiter.groupOf(name);
    group.kill();
    await group.remove();
  }
}
