// The driver's boot check: starts a real sandbox, looks around in it, and tries each limit that can be tried cheaply.
import { once } from 'node:events';
import { chmod } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { release } from 'node:os';
import { StewardError } from '../../../core/errors.ts';
import type { Id } from '../../../core/types.ts';
import { BROKER_PORT, type ProbeReport, type Sandbox, type SandboxDriver, type SandboxSpec } from '../../driver.ts';
import type { ContainerState } from './api-answers.ts';
import type { Surveyed } from './ground.ts';

export interface ProbeDeps {
  newId(): Id;
  ground(): Promise<Surveyed>;
  create: SandboxDriver['create'];
  inspect(id: Id): Promise<ContainerState>;
  prune: SandboxDriver['prune'];
}

type Finding = ProbeReport['findings'][number];

const MEMORY_MB = 128;
const PIDS = 48;
const LIMITS = { memoryMb: MEMORY_MB, cpus: 0.5, pids: PIDS, diskMb: 256, wallMs: 120_000 };
const ECHO = 'the way to the broker';

/** Prints what holds, seen from inside, as lines `name value`. */
const LOOK = String.raw`
sub text { open(my $f, '<', $_[0]) or return ''; local $/; my $t = <$f>; chomp $t; return $t }
my %status = text('/proc/self/status') =~ /^(\w+):\s*(.*)$/mg;
print "uid $>\n", map { "$_ $status{$_}\n" } qw(CapEff CapBnd NoNewPrivs Seccomp);
print "links ", join(',', map { /^\s*([^:\s]+):/ ? $1 : () } split /\n/, text('/proc/net/dev')), "\n";
# As another user it could not write there anyway: what counts is the mount.
my ($options) = text('/proc/self/mountinfo') =~ m{^\S+ \S+ \S+ \S+ / (\S+)}m;
print "root ", ($options =~ /^ro(,|$)/ ? 'closed' : 'writable'), "\n";
print "vsock ", (socket(my $v, 40, 1, 0) ? 'open' : 'refused'), "\n";
print "kernel ", text('/proc/sys/kernel/osrelease'), "\n";
print "files ", (open(my $o, '>', '/workspace/.probe') && open(my $h, '>', "$ENV{HOME}/.probe") ? 'writable' : 'closed'), "\n";
my ($quota, $period) = split ' ', text('/sys/fs/cgroup/cpu.max');
($quota, $period) = map { text("/sys/fs/cgroup/cpu/cpu.cfs_$_") } qw(quota_us period_us) unless $quota;
print "cpu ", ($quota && $period && $quota > 0 ? $quota / $period : ''), "\n";
`;
/** Ends with how many children it could have at once. */
const FORK =
  '$| = 1; my $n = 0; while ($n < 400) { my $p = fork; last unless defined $p; if (!$p) { sleep 60; exit } $n++ } print $n; kill "KILL", -$$';
const FILL = `my @held; push @held, "x" x 1048576 for 1 .. ${MEMORY_MB * 3}; print "held"`;

export async function probeDocker(deps: ProbeDeps): Promise<ProbeReport> {
  const began = performance.now();
  const findings: Finding[] = [];
  const report: ProbeReport = {
    driver: 'docker',
    ok: false,
    isolation: 'none',
    egressLocked: false,
    limits: { memory: null, cpu: null, pids: null, disk: null, wall: null },
    snapshot: false,
    pause: false,
    findings,
    detail: '',
    tookMs: 0,
  };
  const id = deps.newId();
  const lineage = `probe-${id}`;
  const server = createServer((socket) => void socket.on('error', () => {}).end(ECHO));
  let sandbox: Sandbox | null = null;
  try {
    const on = await deps.ground();
    report.detail = detailOf(on);
    const spec: SandboxSpec = {
      id,
      labels: { probe: 'yes' },
      workspace: { type: 'empty' },
      env: {},
      mounts: [],
      limits: LIMITS,
      profile: 'strict',
      listen: (path) => listening(server, path),
    };
    sandbox = await deps.create(spec);
    await lookAround(sandbox, on, await deps.inspect(id), report);
    if (report.ok) await tryOut(sandbox, on, report, lineage);
  } catch (error) {
    report.ok = false;
    findings.unshift(findingOf(error));
  } finally {
    await sandbox?.kill('the look around is over').catch((error) => {
      report.ok = false;
      findings.push(findingOf(error));
    });
    await deps.prune(lineage, new Set()).catch(() => {});
    server.close();
  }
  report.tookMs = performance.now() - began;
  return report;
}

async function listening(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, 'listening');
  // The folder around it is what protects it.
  await chmod(path, 0o777);
}

const findingOf = (error: unknown): Finding => ({
  level: 'error',
  text: error instanceof Error ? error.message : String(error),
  fix: (error instanceof StewardError && error.hint) || 'Look at the log of the daemon (journalctl -u docker).',
});

function detailOf({ version, image, runtime, info, rootless }: Surveyed): string {
  const how = [
    rootless ? 'rootless' : null,
    `runtime ${runtime ?? info.DefaultRuntime ?? 'default'}`,
    `image ${image}`,
  ];
  return `${version.engine} ${version.version} (${how.filter(Boolean).join(', ')})`;
}

/** Isolation and egress. Anything open that has to be closed is an error. */
async function lookAround(sandbox: Sandbox, on: Surveyed, state: ContainerState, report: ProbeReport): Promise<void> {
  const { stdout, code } = await run(sandbox, ['perl', '-e', LOOK]);
  if (code !== 0) throw new StewardError('unavailable', 'The look around in a sandbox failed.', { op: 'probe' });
  const seen = Object.fromEntries(stdout.split('\n').map((line) => line.split(/ (.*)/s, 2)));
  const error = (text: string, fix: string) => report.findings.push({ level: 'error', text, fix });
  const daemon = 'This daemon does not keep what it was asked for: update it, or use another (Docker, Podman, bwrap).';
  const must = (holds: boolean, text: string, fix = daemon) => {
    if (!holds) error(text, fix);
    return holds;
  };
  const { user } = on.identity;
  const held = [
    must(String(seen.uid) === user.split(':')[0], `A sandbox runs as uid ${seen.uid} and not as ${user}.`),
    must(/^0+$/.test(seen.CapEff ?? '') && /^0+$/.test(seen.CapBnd ?? ''), 'A sandbox has capabilities.'),
    must(seen.NoNewPrivs === '1' || on.runtime?.startsWith('runsc') === true, 'A sandbox can gain privileges.'),
    must(seen.root === 'closed', 'The root of a sandbox can be written.'),
    must(
      seen.files === 'writable',
      'A sandbox cannot write its own workspace or home.',
      'Look at who owns the folders under STEWARD_HOME, and at the mapping of users by the daemon.',
    ),
  ];
  report.egressLocked =
    must(
      seen.links === 'lo' && state.HostConfig.NetworkMode === 'none',
      `A sandbox has network devices: ${seen.links}.`,
    ) &&
    must(
      seen.vsock === 'refused',
      'A sandbox can reach the host over vsock.',
      'Use an image and a daemon for amd64 or arm64, where Steward adds a filter of its own.',
    );
  report.isolation = isolationOf(on, String(seen.kernel), report.findings);
  report.ok = held.every(Boolean) && report.egressLocked;
  const { HostConfig: host } = state;
  // What the sandbox sees of its own quota; where it sees nothing, what the daemon says it keeps.
  const quota = seen.cpu
    ? Number(seen.cpu) <= LIMITS.cpus * 1.01
    : on.info.CpuCfsQuota && Boolean(host.NanoCpus || host.CpuQuota);
  report.limits = { memory: null, cpu: quota ? cgroups(on) : null, pids: null, disk: 'watchdog', wall: 'timer' };
}

const cgroups = ({ info }: Surveyed): string => `cgroup v${info.CgroupVersion ?? '?'}`;

/** A kernel of its own has another name. Known only where the daemon shares ours. */
function isolationOf({ runtime, info }: Surveyed, kernel: string, findings: Finding[]): ProbeReport['isolation'] {
  const wanted = /runsc|gvisor/i.test(runtime ?? '') ? 'gvisor' : /kata/i.test(runtime ?? '') ? 'vm' : 'container';
  if (wanted === 'container' || kernel !== (info.KernelVersion ?? release())) return wanted;
  findings.push({
    level: 'warn',
    text: `The runtime ${runtime} was asked for, but a sandbox sees the kernel of the host (${kernel}).`,
    fix: 'Look at the runtimes in /etc/docker/daemon.json.',
  });
  return 'container';
}

/** The limits, the socket, pause and snapshot: each really tried. */
async function tryOut(sandbox: Sandbox, on: Surveyed, report: ProbeReport, lineage: string): Promise<void> {
  const warn = (text: string, fix: string) => report.findings.push({ level: 'warn', text, fix });
  if (!(await reaches(sandbox)))
    warn(
      'The socket of the broker does not reach into a sandbox, so a sandbox has no way out at all.',
      on.runtime === null
        ? 'A daemon in a virtual machine (Docker Desktop, Colima, podman machine) cannot pass unix sockets on; run Steward inside of it, or live without egress.'
        : `Allow ${on.runtime} to use sockets of the host (runsc: --host-uds=open).`,
    );
  const children = Number((await run(sandbox, ['perl', '-e', FORK])).stdout || Number.NaN);
  if (children < PIDS) report.limits.pids = cgroups(on);
  const full = await run(sandbox, ['perl', '-e', FILL]);
  if (full.signal === 'KILL' || full.code === 1) report.limits.memory = cgroups(on);
  const missing = (['memory', 'cpu', 'pids'] as const).filter((name) => report.limits[name] === null);
  if (missing.length > 0)
    warn(
      `Not limited here: ${missing.join(', ')}.`,
      on.rootless
        ? 'A rootless daemon needs cgroup v2 with delegated controllers (systemd: Delegate=cpu memory pids for user@.service).'
        : 'Boot the host with the cgroup controllers memory, cpu and pids.',
    );
  if (on.selinux)
    warn(
      'SELinux labels are off for sandboxes, because they may not reach the socket of the broker.',
      'Nothing to do: the other walls hold.',
    );
  if (on.prctl === null)
    warn(`There is no system call filter of Steward's own for ${on.version.arch}.`, 'Use amd64 or arm64.');

  const saved = await sandbox.snapshot({ lineage }).catch((error: unknown) => {
    warn(`Files cannot be saved: ${(error as Error).message}`, 'Use an image with GNU find and tar (Debian, Ubuntu).');
  });
  report.snapshot = saved?.changed === true;
  if (!sandbox.pause || !sandbox.resume) return;
  try {
    await sandbox.pause();
    const still = !(await sandbox.ping(100));
    await sandbox.resume();
    report.pause = still && (await sandbox.ping(5_000));
  } catch (error) {
    warn(`Sandboxes cannot be paused: ${(error as Error).message}`, 'Boot the host with the cgroup freezer.');
  }
}

async function reaches(sandbox: Sandbox): Promise<boolean> {
  const stream = await sandbox.dial(BROKER_PORT).catch(() => null);
  if (!stream) return false;
  const late = setTimeout(() => stream.destroy(), 3_000);
  let text = '';
  try {
    for await (const piece of stream) text += String(piece);
  } catch {
    // Cut off: what came counts.
  }
  clearTimeout(late);
  return text === ECHO;
}

async function run(
  sandbox: Sandbox,
  argv: string[],
): Promise<{ code: number | null; signal: string | null; stdout: string }> {
  const execution = sandbox.exec(argv, { timeoutMs: 20_000, cwd: '/' });
  let stdout = '';
  for await (const event of execution) if (event.type === 'stdout') stdout += Buffer.from(event.data).toString('utf8');
  const { code, signal } = await execution.result;
  return { code, signal, stdout };
}
