// Control groups of sandboxes, version 1 and 2: found once, then one group per sandbox for limits, figures, freezing and killing.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import type { Limits } from '../../driver.ts';

export const CONTROLLERS = ['memory', 'cpu', 'pids'] as const;
export type Controller = (typeof CONTROLLERS)[number];
type V1Name = Controller | 'cpuacct' | 'freezer';

/** Folders below which groups are made, each ending in `/steward`. */
export interface CgroupPlan {
  /** Version 2: kills and freezes also where the limits are elsewhere. */
  v2: { base: string; controllers: readonly Controller[] } | null;
  v1: Partial<Record<V1Name, string>>;
}

export const NO_CGROUPS: CgroupPlan = { v2: null, v1: {} };
const NAME = 'steward';
const PERIOD = 100_000;

function tryWrite(path: string, text: string): boolean {
  try {
    writeFileSync(path, text);
    return true;
  } catch {
    return false;
  }
}

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
};

/**
 * A group and, where it is not there, the one above. One step at a time: in a file system that refuses for other reasons than
 * a missing parent, Node's recursive mkdir never ends. Another Steward may remove the upper one in between.
 */
function makeFolder(folder: string): void {
  const make = (path: string, forgiven: string): void => {
    try {
      mkdirSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST' && code !== forgiven) throw error;
    }
  };
  for (let tries = 0; tries < 3 && !existsSync(folder); tries++) {
    make(dirname(folder), '');
    make(folder, 'ENOENT');
  }
}

/**
 * Where groups could be made. Root: at the top of each hierarchy, as container engines do; otherwise below the process's own
 * group, which is its to divide only when it was delegated. Pure.
 */
export function candidates(input: { mounts: string; own: string; root: boolean }): CgroupPlan {
  const own = new Map<string, string>();
  for (const line of input.own.split('\n')) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names !== undefined && path !== undefined) for (const name of names.split(',')) own.set(name, path);
  }
  const base = (point: string, name: string): string => join(point, input.root ? '' : (own.get(name) ?? ''), NAME);
  const plan: CgroupPlan = { v2: null, v1: {} };
  for (const line of input.mounts.split('\n')) {
    const [, point, type, options] = line.split(' ');
    if (point === undefined || options === undefined) continue;
    if (type === 'cgroup2') plan.v2 ??= { base: base(point, ''), controllers: [] };
    if (type !== 'cgroup') continue;
    for (const name of ['memory', 'cpu', 'cpuacct', 'pids', 'freezer'] as const)
      if (options.split(',').includes(name)) plan.v1[name] ??= base(point, name);
  }
  return plan;
}

/** Hands controllers down to a group's children. Its own processes move to a leaf beside them: a divided group may have none. */
function delegate(folder: string): void {
  for (const name of CONTROLLERS) {
    if (tryWrite(join(folder, 'cgroup.subtree_control'), `+${name}`)) continue;
    if (!read(join(folder, 'cgroup.controllers')).split(' ').includes(name)) continue;
    const leaf = join(folder, 'daemon');
    try {
      mkdirSync(leaf);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return;
    }
    for (const pid of read(join(folder, 'cgroup.procs')).split('\n').filter(Boolean))
      tryWrite(join(leaf, 'cgroup.procs'), pid);
    tryWrite(join(folder, 'cgroup.subtree_control'), `+${name}`);
  }
}

/** Keeps of the candidates what really works here: a group is made, a process could be put into it, it is removed. */
export function tryCgroups(plan: CgroupPlan, probe: string): CgroupPlan {
  const works = (base: string): boolean => {
    const folder = join(base, probe);
    try {
      makeFolder(folder);
      const procs = join(folder, 'cgroup.procs');
      const usable = existsSync(procs) && tryWrite(procs, '');
      rmdirSync(folder);
      return usable || existsSync(procs);
    } catch {
      return false;
    }
  };
  const v1: CgroupPlan['v1'] = {};
  for (const [name, base] of Object.entries(plan.v1)) if (works(base)) v1[name as V1Name] = base;
  if (!plan.v2 || !works(plan.v2.base)) return { v2: null, v1 };
  const { base } = plan.v2;
  const parent = dirname(base);
  if (CONTROLLERS.some((name) => read(join(parent, 'cgroup.controllers')).split(' ').includes(name))) {
    delegate(parent);
    delegate(base);
  }
  const given = read(join(base, 'cgroup.subtree_control')).split(' ');
  return { v2: { base, controllers: CONTROLLERS.filter((name) => given.includes(name)) }, v1 };
}

/** "cgroup v2", "cgroup v1" or null. */
export function meansOf(plan: CgroupPlan, name: Controller): string | null {
  if (plan.v2?.controllers.includes(name)) return 'cgroup v2';
  return plan.v1[name] ? 'cgroup v1' : null;
}

export interface GroupUse {
  cpuMicros: number | null;
  rssBytes: number | null;
  pids: number | null;
}

export interface Group {
  readonly folders: readonly string[];
  /** The process and all it starts from now on. Throws when a group that carries a limit does not take it. */
  place(pid: number): Promise<void>;
  use(): GroupUse;
  /** Kills everything in it; false where the kernel has no such switch. */
  kill(): boolean;
  /** Null where it cannot. */
  freeze: ((on: boolean) => Promise<void>) | null;
  /** How often the kernel killed in here because the memory was used up. */
  outOfMemory(): number;
  /** Waits for the last process to leave. Resolves false when a folder could not be removed. */
  remove(): Promise<boolean>;
}

/** Files and what is written to them before a process comes in. Pure. */
export function limitFiles(
  plan: CgroupPlan,
  id: string,
  limits: Limits,
): { file: string; text: string; must: boolean }[] {
  const bytes = String(limits.memoryMb * 1024 * 1024);
  const quota = String(Math.max(1_000, Math.round(limits.cpus * PERIOD)));
  // The runner and its relay are processes too.
  const pids = String(limits.pids + 2);
  const at = (base: string, name: string, text: string, must = true) => ({ file: join(base, id, name), text, must });
  const files: { file: string; text: string; must: boolean }[] = [];
  const { v2, v1 } = plan;
  if (v2?.controllers.includes('memory'))
    files.push(at(v2.base, 'memory.max', bytes), at(v2.base, 'memory.swap.max', '0', false));
  else if (v1.memory)
    files.push(
      at(v1.memory, 'memory.limit_in_bytes', bytes),
      at(v1.memory, 'memory.memsw.limit_in_bytes', bytes, false),
    );
  if (v2?.controllers.includes('pids')) files.push(at(v2.base, 'pids.max', pids));
  else if (v1.pids) files.push(at(v1.pids, 'pids.max', pids));
  if (v2?.controllers.includes('cpu')) files.push(at(v2.base, 'cpu.max', `${quota} ${PERIOD}`));
  else if (v1.cpu) files.push(at(v1.cpu, 'cpu.cfs_period_us', String(PERIOD)), at(v1.cpu, 'cpu.cfs_quota_us', quota));
  return files;
}

/** The folders of one sandbox: of version 1 only what version 2 does not do. */
export function groupFolders(plan: CgroupPlan, id: string): string[] {
  const { v2, v1 } = plan;
  const bases = new Set<string>();
  if (v2) bases.add(v2.base);
  for (const name of CONTROLLERS) if (!v2?.controllers.includes(name) && v1[name]) bases.add(v1[name]);
  if (!v2 && v1.cpuacct) bases.add(v1.cpuacct);
  if (!v2 && v1.freezer) bases.add(v1.freezer);
  return [...bases].map((base) => join(base, id));
}

/** Makes the sandbox's groups with their limits. Null when this host has none. */
export function makeGroup(plan: CgroupPlan, id: string, limits: Limits): Group | null {
  const folders = groupFolders(plan, id);
  if (folders.length === 0) return null;
  const group = groupOf(plan, id);
  try {
    for (const folder of folders) makeFolder(folder);
    for (const { file, text, must } of limitFiles(plan, id, limits)) {
      try {
        writeFileSync(file, text);
      } catch (error) {
        if (must) throw error;
      }
    }
  } catch (error) {
    void group.remove();
    throw error;
  }
  return group;
}

/** The groups of a sandbox that was made before, whether or not they still exist. */
export function groupOf(plan: CgroupPlan, id: string): Group {
  const folders = groupFolders(plan, id);
  const unified = plan.v2 ? join(plan.v2.base, id) : null;
  return groupIn({
    folders,
    unified,
    memory: plan.v1.memory && !plan.v2?.controllers.includes('memory') ? join(plan.v1.memory, id) : unified,
    pids: plan.v1.pids && !plan.v2?.controllers.includes('pids') ? join(plan.v1.pids, id) : unified,
    cpuacct: plan.v1.cpuacct ? join(plan.v1.cpuacct, id) : null,
    freezer: plan.v1.freezer ? join(plan.v1.freezer, id) : null,
  });
}

interface GroupPlaces {
  folders: string[];
  unified: string | null;
  memory: string | null;
  pids: string | null;
  cpuacct: string | null;
  freezer: string | null;
}

export function groupIn(places: GroupPlaces): Group {
  const { folders, unified, freezer } = places;
  const number = (text: string): number | null => (/^\d+$/.test(text) ? Number(text) : null);
  const sum = (file: string, names: readonly string[]): number | null => {
    const text = read(file);
    const found = names.map((name) => new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
    return found.every((value) => value === undefined)
      ? null
      : found.reduce((total, value) => total + Number(value ?? 0), 0);
  };
  const until = async (done: () => boolean, ms: number): Promise<boolean> => {
    for (const end = performance.now() + ms; !done(); await after(2)) if (performance.now() > end) return false;
    return true;
  };
  const freezeBy = (file: string, on: string, off: string, frozen: () => boolean) => async (freeze: boolean) => {
    writeFileSync(file, freeze ? on : off);
    if (!(await until(() => frozen() === freeze, 5_000))) throw new Error(`${file} did not take effect`);
  };
  return {
    folders,
    async place(pid) {
      // Not in this thread: moving a process waits for the kernel, for milliseconds when the machine is busy.
      await Promise.all(folders.map((folder) => writeFile(join(folder, 'cgroup.procs'), String(pid))));
    },
    use() {
      const micros = unified ? sum(join(unified, 'cpu.stat'), ['usage_usec']) : null;
      const nanos = places.cpuacct ? number(read(join(places.cpuacct, 'cpuacct.usage'))) : null;
      const memory = places.memory ? join(places.memory, 'memory.stat') : null;
      return {
        cpuMicros: micros ?? (nanos === null ? null : Math.round(nanos / 1000)),
        rssBytes: memory ? (sum(memory, ['anon', 'shmem']) ?? sum(memory, ['total_rss', 'total_shmem'])) : null,
        pids: places.pids ? number(read(join(places.pids, 'pids.current'))) : null,
      };
    },
    kill: () => unified !== null && tryWrite(join(unified, 'cgroup.kill'), '1'),
    freeze:
      unified && existsSync(join(dirname(unified), 'cgroup.freeze'))
        ? freezeBy(join(unified, 'cgroup.freeze'), '1', '0', () =>
            /^frozen 1$/m.test(read(join(unified, 'cgroup.events'))),
          )
        : freezer
          ? freezeBy(
              join(freezer, 'freezer.state'),
              'FROZEN',
              'THAWED',
              () => read(join(freezer, 'freezer.state')) === 'FROZEN',
            )
          : null,
    outOfMemory() {
      if (!places.memory) return 0;
      return (
        sum(join(places.memory, 'memory.events'), ['oom_kill']) ??
        sum(join(places.memory, 'memory.oom_control'), ['oom_kill']) ??
        0
      );
    },
    async remove() {
      const gone = (folder: string): boolean => {
        try {
          rmdirSync(folder);
        } catch (error) {
          return (error as NodeJS.ErrnoException).code === 'ENOENT';
        }
        return true;
      };
      const results = await Promise.all(folders.map((folder) => until(() => gone(folder), 5_000)));
      return results.every(Boolean);
    },
  };
}

/** Names of all groups that begin with `prefix`, in any hierarchy. */
export function groupsNamed(plan: CgroupPlan, prefix: string): string[] {
  const names = [plan.v2?.base, ...Object.values(plan.v1)].flatMap((base) => {
    try {
      return base === undefined ? [] : readdirSync(base);
    } catch {
      return [];
    }
  });
  return [...new Set(names)].filter((name) => name.startsWith(prefix));
}

/** Removes the folders above the groups when no group is left in them; another Steward may have some there. */
export function removeBases(plan: CgroupPlan): void {
  for (const base of [plan.v2?.base, ...Object.values(plan.v1)]) {
    if (base === undefined) continue;
    try {
      if (readdirSync(base, { withFileTypes: true }).some((entry) => entry.isDirectory())) continue;
      rmdirSync(base);
    } catch {
      // Not there, or in use.
    }
  }
}
