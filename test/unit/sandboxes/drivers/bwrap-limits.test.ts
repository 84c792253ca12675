// The ladder of limits, decided and written down; and real groups where this user may make them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../../sandboxes/driver.ts';
import {
  type CgroupPlan,
  candidates,
  groupFolders,
  groupsNamed,
  limitFiles,
  makeGroup,
  NO_CGROUPS,
  removeBases,
  tryCgroups,
} from '../../../../sandboxes/drivers/bwrap/cgroup.ts';
import { decideLimits, rlimitsFor, scopePrefix } from '../../../../sandboxes/drivers/bwrap/limits.ts';
import { measureAgain, overBudget } from '../../../../sandboxes/drivers/bwrap/watch.ts';

const MIXED = `tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
`;
const OWN = '4:memory:/user/1000\n2:cpu,cpuacct:/user/1000\n0::/user.slice/app.service\n';
const V2 = 'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n';

describe('where groups could be', () => {
  it('are at the top for root, of every hierarchy', () => {
    expect(candidates({ mounts: MIXED, own: OWN, root: true })).toEqual({
      v2: { base: '/sys/fs/cgroup/unified/steward', controllers: [] },
      v1: {
        memory: '/sys/fs/cgroup/memory/steward',
        cpu: '/sys/fs/cgroup/cpu,cpuacct/steward',
        cpuacct: '/sys/fs/cgroup/cpu,cpuacct/steward',
      },
    });
  });
  it('are below its own group for a user', () => {
    const plan = candidates({ mounts: V2, own: OWN, root: false });
    expect(plan).toEqual({ v2: { base: '/sys/fs/cgroup/user.slice/app.service/steward', controllers: [] }, v1: {} });
  });
  it('are nowhere without a mount', () => {
    expect(candidates({ mounts: '', own: OWN, root: true })).toEqual(NO_CGROUPS);
  });
  it('count only when a group could really be made', () => {
    const plan: CgroupPlan = {
      v2: { base: '/proc/nowhere/steward', controllers: [] },
      v1: { memory: '/proc/x/steward' },
    };
    expect(tryCgroups(plan, 'trial')).toEqual(NO_CGROUPS);
  });
});

describe('what is written into a group', () => {
  const limits = { ...DEFAULT_LIMITS, memoryMb: 100, cpus: 0.5, pids: 10 };
  const written = (plan: CgroupPlan) =>
    Object.fromEntries(limitFiles(plan, 'sbx_1', limits).map(({ file, text }) => [file, text]));
  it('in version 2', () => {
    expect(written({ v2: { base: '/c', controllers: ['memory', 'cpu', 'pids'] }, v1: {} })).toEqual({
      '/c/sbx_1/memory.max': '104857600',
      '/c/sbx_1/memory.swap.max': '0',
      '/c/sbx_1/pids.max': '12',
      '/c/sbx_1/cpu.max': '50000 100000',
    });
  });
  it('in version 1, beside a version 2 that only kills and freezes', () => {
    const plan: CgroupPlan = {
      v2: { base: '/u', controllers: [] },
      v1: { memory: '/m', cpu: '/k', cpuacct: '/k', pids: '/p', freezer: '/f' },
    };
    expect(written(plan)).toEqual({
      '/m/sbx_1/memory.limit_in_bytes': '104857600',
      '/m/sbx_1/memory.memsw.limit_in_bytes': '104857600',
      '/p/sbx_1/pids.max': '12',
      '/k/sbx_1/cpu.cfs_period_us': '100000',
      '/k/sbx_1/cpu.cfs_quota_us': '50000',
    });
    expect(groupFolders(plan, 'sbx_1')).toEqual(['/u/sbx_1', '/m/sbx_1', '/k/sbx_1', '/p/sbx_1']);
  });
  it('in version 1 alone also the freezer and the account of time', () => {
    const plan: CgroupPlan = { v2: null, v1: { memory: '/m', cpu: '/k', cpuacct: '/a', freezer: '/f' } };
    expect(groupFolders(plan, 'x')).toEqual(['/m/x', '/k/x', '/a/x', '/f/x']);
  });
});

describe('the ladder', () => {
  const full: CgroupPlan = { v2: { base: '/c', controllers: ['memory', 'cpu', 'pids'] }, v1: {} };
  const base = { cgroups: NO_CGROUPS, systemdRun: null, root: false, kernel: '6.1.0' };

  it('ends at groups where there are all three', () => {
    const plan = decideLimits({ ...base, cgroups: full, systemdRun: '/usr/bin/systemd-run' });
    expect(plan.means).toMatchObject({ memory: 'cgroup v2', cpu: 'cgroup v2', pids: 'cgroup v2' });
    expect(plan.findings).toEqual([]);
    expect(plan.watch).toEqual({ memory: false, pids: false });
    expect(scopePrefix(plan, 'sbx_1', DEFAULT_LIMITS)).toEqual([]);
    expect(rlimitsFor(plan, DEFAULT_LIMITS)).toEqual({ dataBytes: null, processes: null, nice: 0 });
  });

  it('takes a scope of the user’s systemd next', () => {
    const plan = decideLimits({ ...base, systemdRun: '/usr/bin/systemd-run' });
    expect(plan.means).toMatchObject({ memory: 'systemd scope', cpu: 'systemd scope', pids: 'systemd scope' });
    const prefix = scopePrefix(plan, 'sbx_1', { ...DEFAULT_LIMITS, cpus: 1.5 });
    expect(prefix[0]).toBe('/usr/bin/systemd-run');
    expect(prefix).toEqual(
      expect.arrayContaining(['--scope', '--unit=steward-sbx_1', 'CPUQuota=150%', 'MemoryMax=2048M']),
    );
    expect(prefix.at(-1)).toBe('--');
  });

  it('falls to limits per process and a watchdog, and says what that leaves open', () => {
    const plan = decideLimits(base);
    expect(plan.means).toMatchObject({ memory: 'prlimit and watchdog', cpu: null, pids: 'prlimit and watchdog' });
    expect(plan.findings.map(({ level }) => level)).toEqual(['warn', 'warn']);
    for (const { fix } of plan.findings) expect(fix).toContain('Delegate=yes');
    expect(plan.watch).toEqual({ memory: true, pids: true });
    expect(rlimitsFor(plan, { ...DEFAULT_LIMITS, memoryMb: 1, pids: 5 })).toEqual({
      dataBytes: 1024 * 1024,
      processes: 7,
      nice: 19,
    });
  });

  it('does not limit the processes of the whole user on a kernel that would count them', () => {
    const plan = decideLimits({ ...base, kernel: '5.10.0-28' });
    expect(plan.means.pids).toBe('watchdog');
    expect(rlimitsFor(plan, DEFAULT_LIMITS).processes).toBeNull();
    expect(decideLimits({ ...base, kernel: '5.10.0-28', root: true }).means.pids).toBe('prlimit and watchdog');
  });

  it('mixes, when only some of the controllers are there', () => {
    const plan = decideLimits({ ...base, cgroups: { v2: null, v1: { memory: '/m' } } });
    expect(plan.means).toMatchObject({ memory: 'cgroup v1', cpu: null, pids: 'prlimit and watchdog' });
    expect(plan.watch).toEqual({ memory: false, pids: true });
  });
});

describe('the watchdog', () => {
  const limits = { ...DEFAULT_LIMITS, memoryMb: 10, pids: 5 };
  const MB = 1024 * 1024;
  const use = { rssBytes: 5 * MB, pids: 3, tmpfsBytes: 0 };
  it('ends what is over its budget, in what it watches', () => {
    const watch = { memory: true, pids: true };
    expect(overBudget(use, limits, watch)).toBeNull();
    expect(overBudget({ ...use, rssBytes: 11 * MB }, limits, watch)).toBe('memory');
    expect(overBudget({ ...use, tmpfsBytes: 6 * MB }, limits, watch)).toBe('memory');
    expect(overBudget({ ...use, pids: 8 }, limits, watch)).toBe('pids');
    expect(
      overBudget({ rssBytes: 99 * MB, pids: 99, tmpfsBytes: 0 }, limits, { memory: false, pids: false }),
    ).toBeNull();
  });

  it('measures the disk when it could matter', () => {
    const last = { free: { bytes: 1_000 * MB, files: 1_000_000 }, written: 5 * MB, at: 0, used: 20 * MB };
    const ask = (over: { bytes?: number; files?: number; written?: number; at?: number }) =>
      measureAgain(
        {
          free: { bytes: over.bytes ?? last.free.bytes, files: over.files ?? last.free.files },
          written: over.written ?? last.written,
          at: over.at ?? 1_000,
        },
        last,
        100 * MB,
      );
    expect(ask({})).toBe(false);
    expect(ask({ bytes: last.free.bytes - 30 * MB, written: 35 * MB })).toBe(false);
    expect(ask({ bytes: last.free.bytes - 41 * MB })).toBe(true);
    expect(ask({ written: 46 * MB })).toBe(true);
    expect(ask({ files: last.free.files - 60_000 })).toBe(true);
    expect(ask({ at: 31_000 })).toBe(true);
  });
});

const real = tryCgroups(
  candidates({
    mounts: existsSync('/proc/self/mounts') ? readFileSync('/proc/self/mounts', 'utf8') : '',
    own: existsSync('/proc/self/cgroup') ? readFileSync('/proc/self/cgroup', 'utf8') : '',
    root: process.getuid?.() === 0,
  }),
  `trial-${process.pid}`,
);

describe.skipIf(groupFolders(real, 'x').length === 0)('real groups', () => {
  it('hold a process, tell about it, and go', async () => {
    const name = `unit-${process.pid}`;
    const group = makeGroup(real, name, { ...DEFAULT_LIMITS, memoryMb: 64 })!;
    const child = spawn('sleep', ['100'], { stdio: 'ignore' });
    try {
      await group.place(child.pid!);
      for (const folder of group.folders) expect(readFileSync(`${folder}/cgroup.procs`, 'utf8')).toBe(`${child.pid}\n`);
      expect(groupsNamed(real, name)).toEqual([name]);
      const stateOf = () => readFileSync(`/proc/${child.pid}/status`, 'utf8');
      if (group.freeze) {
        await group.freeze(true);
        await group.freeze(false);
      }
      expect(stateOf()).toContain('sleep');
      const ended = once(child, 'exit');
      if (!group.kill()) child.kill('SIGKILL');
      expect(await ended).toEqual([null, 'SIGKILL']);
    } finally {
      child.kill('SIGKILL');
      expect(await group.remove()).toBe(true);
      removeBases(real);
    }
    for (const folder of group.folders) expect(existsSync(folder)).toBe(false);
  });
});
