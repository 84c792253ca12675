// The ladder of limits: what this host can enforce and by which means, decided once; then what each start needs for it.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Id } from '../../../core/types.ts';
import type { LimitName, Limits, ProbeReport } from '../../driver.ts';
import {
  type CgroupPlan,
  candidates,
  type Group,
  groupIn,
  groupOf,
  groupsNamed,
  makeGroup,
  meansOf,
  removeBases,
  tryCgroups,
} from './cgroup.ts';
import type { Rlimits } from './profile.ts';

export interface LimitPlan {
  means: Record<LimitName, string | null>;
  findings: ProbeReport['findings'];
  cgroups: CgroupPlan;
  /** A program that makes a scope of the user's systemd and becomes bwrap in it; null: not used. */
  systemdRun: string | null;
  /** What has to be summed up and checked from outside. */
  watch: { memory: boolean; pids: boolean };
  /** RLIMIT_NPROC set inside counts only what is inside (Linux 5.14). */
  countsPerNamespace: boolean;
}

export interface Abilities {
  cgroups: CgroupPlan;
  systemdRun: string | null;
  root: boolean;
  /** os.release() */
  kernel: string;
}

const atLeast = (kernel: string, major: number, minor: number): boolean => {
  const [, a, b] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  return Number(a) > major || (Number(a) === major && Number(b) >= minor);
};

const FIX_LIMITS =
  'Run Steward where its group is delegated to it (a systemd unit with Delegate=yes), inside a systemd user session (loginctl enable-linger), or as root.';

/** Pure. */
export function decideLimits(abilities: Abilities): LimitPlan {
  const { cgroups } = abilities;
  const groups = { memory: meansOf(cgroups, 'memory'), cpu: meansOf(cgroups, 'cpu'), pids: meansOf(cgroups, 'pids') };
  const missing = Object.values(groups).some((means) => means === null);
  const systemdRun = missing ? abilities.systemdRun : null;
  const countsPerNamespace = atLeast(abilities.kernel, 5, 14) || abilities.root;
  const scope = systemdRun && 'systemd scope';
  const memory = groups.memory ?? scope;
  const pids = groups.pids ?? scope;
  const cpu = groups.cpu ?? scope;
  const findings: LimitPlan['findings'] = [];
  if (!cpu)
    findings.push({
      level: 'warn',
      text: 'A busy sandbox is not held to its share of the processor; it only runs at the lowest priority.',
      fix: FIX_LIMITS,
    });
  if (!memory)
    findings.push({
      level: 'warn',
      text: 'Memory is limited per process, and for the whole sandbox by looking twice a second.',
      fix: FIX_LIMITS,
    });
  return {
    means: {
      memory: memory ?? 'prlimit and watchdog',
      cpu,
      pids: pids ?? (countsPerNamespace ? 'prlimit and watchdog' : 'watchdog'),
      disk: 'watchdog',
      wall: 'timer',
    },
    findings,
    cgroups,
    systemdRun,
    watch: { memory: !memory, pids: !pids },
    countsPerNamespace,
  };
}

export function rlimitsFor(plan: LimitPlan, limits: Limits): Rlimits {
  return {
    dataBytes: plan.watch.memory ? limits.memoryMb * 1024 * 1024 : null,
    processes: plan.watch.pids && plan.countsPerNamespace ? limits.pids + 2 : null,
    nice: plan.means.cpu === null ? 19 : 0,
  };
}

/** What comes before bwrap on the command line. */
export function scopePrefix(plan: LimitPlan, id: Id, limits: Limits): string[] {
  if (!plan.systemdRun) return [];
  const properties = [
    `MemoryMax=${limits.memoryMb}M`,
    'MemorySwapMax=0',
    `CPUQuota=${Math.max(1, Math.round(limits.cpus * 100))}%`,
    // bwrap itself, the runner and its relay.
    `TasksMax=${limits.pids + 3}`,
  ];
  return [
    ...[plan.systemdRun, '--user', '--scope', '--quiet', '--collect', `--unit=steward-${id}`],
    ...properties.flatMap((property) => ['-p', property]),
    '--',
  ];
}

/** The group a process is in, when the user's systemd made it. */
function scopeGroup(pid: number, mounts: string): Group | null {
  const point = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
  const path = /^0::(.*\.scope)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
  if (point === undefined || path === undefined) return null;
  const folder = join(point, path);
  const places = { unified: folder, memory: folder, pids: folder, cpuacct: null, freezer: null };
  // systemd removes it when the last process has gone.
  return groupIn({ ...places, folders: [] });
}

export interface Limiter {
  plan: LimitPlan;
  /** What comes before bwrap on the command line. */
  prefix(id: Id, limits: Limits): string[];
  /** With its limits, and nobody in it yet. Null where there are none, or the prefix makes it. */
  makeGroup(id: Id, limits: Limits): Group | null;
  /** Puts the first process in, before anything untrusted of it has run. */
  place(group: Group | null, pid: number): Promise<Group | null>;
  /** Of an earlier life. */
  groupOf(id: Id): Group;
  /** Names of groups that begin so. */
  groupsNamed(prefix: string): string[];
  stop(): void;
}

/** Environment without which systemd-run finds no user session. */
export const scopeEnv = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    ['XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS'].flatMap((name) => (env[name] ? [[name, env[name]]] : [])),
  );

async function findSystemdRun(env: NodeJS.ProcessEnv): Promise<string | null> {
  const program = '/usr/bin/systemd-run';
  if (!env.XDG_RUNTIME_DIR || !existsSync(program)) return null;
  const argv = ['--user', '--scope', '--quiet', '--collect', '-p', 'MemoryMax=512M', '--', '/bin/true'];
  return promisify(execFile)(program, argv, { env: scopeEnv(env), cwd: '/', timeout: 3_000 }).then(
    () => program,
    () => null,
  );
}

/** Tries the ladder on this host. Never throws. */
export async function createLimiter(deps: {
  env: NodeJS.ProcessEnv;
  root: boolean;
  kernel: string;
  /** A name for the group that is made to try it. */
  trial: string;
}): Promise<Limiter> {
  const mounts = readFileSync('/proc/self/mounts', 'utf8');
  const own = readFileSync('/proc/self/cgroup', 'utf8');
  const cgroups = tryCgroups(candidates({ mounts, own, root: deps.root }), deps.trial);
  const enough = (['memory', 'cpu', 'pids'] as const).every((name) => meansOf(cgroups, name) !== null);
  const systemdRun = enough || deps.root ? null : await findSystemdRun(deps.env);
  const plan = decideLimits({ cgroups, systemdRun, root: deps.root, kernel: deps.kernel });
  return {
    plan,
    prefix: (id, limits) => scopePrefix(plan, id, limits),
    makeGroup: (id, limits) => (plan.systemdRun ? null : makeGroup(cgroups, id, limits)),
    async place(group, pid) {
      await group?.place(pid);
      return plan.systemdRun ? scopeGroup(pid, mounts) : group;
    },
    groupOf: (id) => groupOf(cgroups, id),
    groupsNamed: (prefix) => groupsNamed(cgroups, prefix),
    stop: () => removeBases(cgroups),
  };
}
