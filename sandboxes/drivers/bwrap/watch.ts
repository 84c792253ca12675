// The watchdog of a sandbox: looks at what no kernel limit covers here (disk always; memory and processes on some hosts).
import { statSync } from 'node:fs';
import type { Millis } from '../../../core/types.ts';
import type { Limits } from '../../driver.ts';
import { type Disk, deletedBytes, freeOf } from './disk.ts';
import { fairBytes, tmpfsBytes, treeOf, useOf, writtenBytes } from './procfs.ts';

const TREE_MS: Millis = 500;
const DISK_MS: Millis = 1_000;
/** A sandbox whose disk seems not to grow is measured all the same: something else may have freed what it took. */
const DISK_AT_LEAST_MS: Millis = 30_000;
const MANY_FILES = 50_000;
const FILES_PER_MB = 512;

const MB = 1024 * 1024;

export interface Watch {
  /** Bytes of workspace and home, at most two seconds old. */
  diskBytes(): Promise<number>;
  /** As last measured, which is when enough was written or half a minute had passed. Costs nothing. */
  knownBytes(): number;
  stop(): void;
}

/** What a sandbox uses against what it may: the reason to end it, or null. Pure. */
export function overBudget(
  use: { rssBytes: number; pids: number; tmpfsBytes: number },
  limits: Limits,
  watch: { memory: boolean; pids: boolean },
): 'memory' | 'pids' | null {
  if (watch.pids && use.pids > limits.pids + 2) return 'pids';
  return watch.memory && use.rssBytes + use.tmpfsBytes > limits.memoryMb * MB ? 'memory' : null;
}

export interface DiskSigns {
  /** Free on the file system, which others use too. */
  free: { bytes: number; files: number };
  /** What the sandbox has written so far. */
  written: number;
  at: Millis;
}

/**
 * Whether the disk has to be measured again: half of what was left may have been used, many files may have come, or it is long
 * ago. Pure.
 */
export function measureAgain(signs: DiskSigns, last: DiskSigns & { used: number }, limitBytes: number): boolean {
  const half = Math.max(MB, (limitBytes - last.used) / 2);
  return (
    signs.written - last.written > half ||
    last.free.bytes - signs.free.bytes > half ||
    last.free.files - signs.free.files > MANY_FILES ||
    signs.at - last.at > DISK_AT_LEAST_MS
  );
}

export function startWatch(deps: {
  pid: number;
  disk: Disk;
  folders: readonly string[];
  /** False when files were there before it began. */
  empty: boolean;
  limits: Limits;
  watch: { memory: boolean; pids: boolean };
  now(): Millis;
  /** Makes folders readable that their owner has closed. */
  open(): Promise<void>;
  /** Ends the sandbox. */
  exceeded(reason: string): void;
}): Watch {
  const { pid, folders, limits, now } = deps;
  const limitBytes = limits.diskMb * MB;
  let stopped = false;
  let measuring: Promise<number> | null = null;
  const signsNow = (): DiskSigns => ({ free: freeOf(folders[0]!), written: writtenBytes(treeOf(pid)), at: now() });
  let last: (DiskSigns & { used: number }) | null = null;

  const size = async (): Promise<number> => {
    const signs = signsNow();
    let found = await deps.disk.measure(folders);
    if (!found.whole && !stopped) {
      await deps.open();
      found = await deps.disk.measure(folders);
    }
    const device = statSync(folders[0]!, { throwIfNoEntry: false })?.dev ?? 0;
    let bytes = found.bytes + deletedBytes(treeOf(pid), device);
    // Empty files take no blocks, but what they take the disk has only so much of.
    if (last && last.free.files - signs.free.files > MANY_FILES)
      bytes = Math.max(bytes, ((await deps.disk.countInodes(folders)) / FILES_PER_MB) * MB);
    last = { ...signs, used: bytes };
    return bytes;
  };
  const measureOnce = (): Promise<number> => {
    measuring ??= size().finally(() => {
      measuring = null;
    });
    return measuring;
  };

  const disk = setInterval(async () => {
    if (measuring) return;
    try {
      const signs = signsNow();
      if (deps.empty) last ??= { ...signs, written: 0, used: 0 };
      if (last && !measureAgain(signs, last, limitBytes)) return;
      const bytes = await measureOnce();
      if (!stopped && bytes > limitBytes)
        deps.exceeded(`disk limit: its files take more than the ${limits.diskMb} MB they may`);
    } catch {
      // The folder goes away when the sandbox ends.
    }
  }, DISK_MS);
  disk.unref();

  const look = () => {
    const pids = treeOf(pid);
    const use = { ...useOf(pids), tmpfsBytes: deps.watch.memory ? tmpfsBytes(pid) : 0 };
    const over = overBudget(use, limits, deps.watch);
    if (over === 'pids') deps.exceeded(`process limit: it ran more than the ${limits.pids} processes it may`);
    if (over !== 'memory') return;
    // Memory that is shared was counted for each who shares it: look closer before ending anything.
    const fair = fairBytes(pids);
    if (fair === 0 || fair + use.tmpfsBytes > limits.memoryMb * MB)
      deps.exceeded(`memory limit: it used more than the ${limits.memoryMb} MB it may`);
  };
  const tree = deps.watch.memory || deps.watch.pids ? setInterval(look, TREE_MS) : null;
  tree?.unref();

  return {
    async diskBytes() {
      if (last && last.used > 0 && now() - last.at < 2_000) return last.used;
      return measureOnce();
    },
    knownBytes: () => last?.used ?? 0,
    stop() {
      stopped = true;
      clearInterval(disk);
      if (tree) clearInterval(tree);
    },
  };
}
