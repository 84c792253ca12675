// What a sandbox is as a container: the body of the create request, from the spec and what is known of the daemon. Pure.
import { posix } from 'node:path';
import type { Millis } from '../../../core/types.ts';
import { BROKER_PORT, type Mount, PLACES, type SandboxSpec } from '../../driver.ts';
import { runnerArguments } from '../../runner/client.ts';
import { checkMounts } from '../bwrap/profile.ts';

export const LABEL = {
  sandbox: 'steward.sandbox',
  home: 'steward.home',
  created: 'steward.created',
  labels: 'steward.labels',
} as const;

/** Folder of the sandbox's life inside: the runner, its filter and the broker's socket. Read-only. */
export const RUN = posix.dirname(PLACES.brokerSocket);
export const RUNNER_NAME = 'runner.pl';
export const FILTER_NAME = 'filter.bpf';
export const SOCKET_NAME = posix.basename(PLACES.brokerSocket);

/** The daemon and the operator's choices, the same for every sandbox. */
export interface Ground {
  image: string;
  /** A runtime of the daemon (`runsc`, `kata-runtime`); null: its own choice. */
  runtime: string | null;
  identity: Identity;
  /** Number of prctl on the daemon's architecture; null: no filter of ours is known for it. */
  prctl: number | null;
  selinux: boolean;
  /** Tells the containers of one STEWARD_HOME from those of another. */
  home: string;
}

export interface Identity {
  /** `uid:gid` inside. */
  user: string;
  userns: string | null;
  /** Who the folders on the host have to belong to; null: whoever made them. */
  owner: { uid: number; gid: number } | null;
}

/**
 * Who a sandbox is, so that it owns its folders and nothing else. Steward as root: 1000, and the folders are given to 1000.
 * An ordinary user: himself, because he can give nothing away; a rootless Podman maps him to himself, a rootless
 * Docker maps him to the container's uid 0 (which has no capability and is nobody outside of its namespace).
 */
export function identityOf(who: {
  uid: number;
  gid: number;
  engine: 'Docker' | 'Podman';
  rootless: boolean;
}): Identity {
  const own = `${who.uid}:${who.gid}`;
  if (who.rootless && who.engine === 'Docker') return { user: '0:0', userns: null, owner: null };
  if (who.rootless) return { user: own, userns: 'keep-id', owner: null };
  if (who.uid === 0) return { user: '1000:1000', userns: null, owner: { uid: 1000, gid: 1000 } };
  return { user: own, userns: null, owner: null };
}

/** Where the sandbox's folders are on the host. */
export interface Folders {
  workspace: string;
  home: string;
  run: string;
}

/**
 * Puts our system call filter on top of the daemon's own, then becomes the runner: the daemon's lets through AF_VSOCK (which no
 * network namespace holds back), TIOCSTI and ptrace. 22, 2: PR_SET_SECCOMP, SECCOMP_MODE_FILTER.
 */
const ENTER = [
  'my ($filter, $prctl, @runner) = @ARGV;',
  'open(my $file, "<", $filter) or die "no system call filter: $!\\n"; local $/; my $program = <$file>;',
  'my $fprog = pack("S x6 P", length($program) / 8, $program);',
  'syscall($prctl + 0, 22, 2, $fprog) == 0 or die "the system call filter was refused: $!\\n";',
  'exec $^X, @runner; die "no runner: $!\\n";',
].join(' ');

/** Arguments of perl. The container is a process namespace of its own, with the runner as its process 1. */
export function command(prctl: number | null, relay: boolean): string[] {
  const runner = [
    `${RUN}/${RUNNER_NAME}`,
    ...runnerArguments({
      fds: { in: 0, out: 1 },
      ownNamespace: true,
      ...(relay ? { relay: { port: BROKER_PORT, socket: PLACES.brokerSocket } } : {}),
    }),
  ];
  return prctl === null ? runner : ['-e', ENTER, `${RUN}/${FILTER_NAME}`, String(prctl), ...runner];
}

const MB = 1024 * 1024;
const TMP_MOST_MB = 512;
/** Explicit, because what a daemon would choose by itself may be more than it can give. Processes are held by PidsLimit. */
const OPEN_FILES = 16_384;
const USER_PROCESSES = 16_384;

/** Throws `invalid` for a mount of the spec that would cover what holds the sandbox. `shown`: what the operator lays under every sandbox. */
export function containerBody(
  spec: SandboxSpec,
  folders: Folders,
  ground: Ground,
  createdAt: Millis,
  shown: readonly Mount[] = [],
) {
  checkMounts(spec.mounts);
  const { limits } = spec;
  const memory = Math.round(limits.memoryMb * MB);
  return {
    Image: ground.image,
    Hostname: 'sandbox',
    User: ground.identity.user,
    WorkingDir: PLACES.workspace,
    Entrypoint: ['perl'],
    Cmd: command(ground.prctl, spec.listen !== null),
    // The runner's own; what commands get travels with each of them.
    Env: ['HOME=/', 'LC_ALL=C'],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    OpenStdin: true,
    // Steward gone, stdin closed, the runner ends, and with process 1 everything in the container.
    StdinOnce: true,
    Tty: false,
    // The runner cannot be asked to stop; waiting for it would only make a removal slow.
    StopSignal: 'SIGKILL',
    Labels: {
      [LABEL.sandbox]: spec.id,
      [LABEL.home]: ground.home,
      [LABEL.created]: String(createdAt),
      [LABEL.labels]: JSON.stringify(spec.labels),
    },
    HostConfig: {
      NetworkMode: 'none',
      IpcMode: 'private',
      Privileged: false,
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges', ...(ground.selinux ? ['label=disable'] : [])],
      ...(ground.identity.userns === null ? {} : { UsernsMode: ground.identity.userns }),
      ...(ground.runtime === null ? {} : { Runtime: ground.runtime }),
      Memory: memory,
      // The same as Memory: no swap.
      MemorySwap: memory,
      NanoCpus: Math.round(limits.cpus * 1e9),
      PidsLimit: limits.pids,
      ShmSize: Math.min(64, Math.ceil(limits.memoryMb / 4)) * MB,
      Tmpfs: { '/tmp': tmpfs(Math.min(TMP_MOST_MB, Math.ceil(limits.memoryMb / 2))) },
      Ulimits: [limit('nofile', OPEN_FILES), limit('nproc', USER_PROCESSES), limit('core', 0)],
      // Output travels over the attached stream; the daemon is not to keep a copy.
      LogConfig: { Type: 'none' },
      RestartPolicy: { Name: '' },
      Mounts: [
        bind(folders.workspace, PLACES.workspace, false),
        bind(folders.home, PLACES.home, false),
        bind(folders.run, RUN, true),
        ...[...shown, ...spec.mounts].map(({ from, to }) => bind(from, to, true)),
      ],
    },
  };
}

const limit = (Name: string, value: number) => ({ Name, Soft: value, Hard: value });
const tmpfs = (mb: number): string => `rw,exec,nosuid,nodev,size=${mb}m,mode=1777`;
// Without recursion: what is mounted below a folder of the host does not become writable through it.
const bind = (Source: string, Target: string, ReadOnly: boolean) => ({
  Type: 'bind',
  Source,
  Target,
  ReadOnly,
  BindOptions: { Propagation: 'rprivate', NonRecursive: true },
});
