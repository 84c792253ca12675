// What a sandbox sees and may do, as arguments of bwrap: a pure function of the sandbox's folders and what the host has.
import { StewardError } from '../../../core/errors.ts';
import { BROKER_PORT, type Limits, type Mount, PLACES } from '../../driver.ts';
import { runnerArguments } from '../../runner/client.ts';
import type { Etc } from './etc.ts';
import type { NodeFolder } from './node.ts';
import type { Arch } from './seccomp-tables.ts';

/** A top-level name that belongs to /usr: a link on merged-usr systems, else a folder of its own. */
export type UsrLink = { path: string; target: string } | { path: string; target: null };

/** What the host has; looked at once. */
export interface HostFacts {
  arch: Arch;
  perl: string;
  links: readonly UsrLink[];
  /** A made-up /etc, and what of the host's is shown in it. */
  etc: Etc;
  /** What to show at /opt/node; null when this Node is under /usr. */
  node: NodeFolder | null;
  /** `--disable-userns` is known to this bwrap. */
  disableUserns: boolean;
}

export interface Folders {
  workspace: string;
  home: string;
  /** Holds the runner, and the broker's socket. */
  run: string;
}

/** File descriptors of the launch: bwrap tells its child's pid on INFO and reads the filter from SECCOMP; STREAM is the runner's. */
const FD = { INFO: 3, SECCOMP: 5, STREAM: 6 } as const;

export const RUN = '/run/steward';
export const UID = 1000;
const PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin';
/** Where `npm install --global` and `pip install --user` put programs. */
const HOME_BIN = `${PLACES.home}/.local/bin`;

/** What every command of a sandbox gets before the spec's own; nothing of the daemon's. */
export function baseEnv(facts: Pick<HostFacts, 'node'>): Record<string, string> {
  return {
    PATH: [...(facts.node === null ? [] : ['/opt/node/bin']), HOME_BIN, PATH].join(':'),
    HOME: PLACES.home,
    LANG: 'C.UTF-8',
    TERM: 'dumb',
  };
}

const MB = 1024 * 1024;

/** Sizes of the two tmpfs, bytes: together within the memory, because what is in them is memory. */
export const tmpfsSizes = (memoryMb: number): { tmp: number; shm: number } => ({
  tmp: Math.max(16, Math.floor(memoryMb / 2)) * MB,
  shm: Math.max(8, Math.floor(memoryMb / 4)) * MB,
});

const TAKEN = /^\/(?:usr|bin|sbin|lib[^/]*|etc|proc|dev|sys|tmp|run|var|workspace|home|opt\/node)(?:\/|$)/;

/** Read-only folders go beside the sandbox's own: inside a folder it can write, a link could lead the mount astray. */
export function checkMounts(mounts: readonly Mount[]): void {
  for (const { from, to } of mounts) {
    const plain = (path: string): boolean =>
      path.startsWith('/') && path.length > 1 && !path.includes('\0') && !/\/(?:\.{0,2})(?:\/|$)/.test(path);
    if (plain(from) && plain(to) && !TAKEN.test(to)) continue;
    throw new StewardError('invalid', `${from} cannot be shown at ${to} in a sandbox.`, {
      op: 'show a folder in a sandbox',
      hint: 'Name absolute paths, and a place such as /mnt/… that no other part of the sandbox uses.',
    });
  }
}

interface BaseInput {
  facts: HostFacts;
  /** Bytes. */
  tmp: number;
  shm: number;
  binds: readonly { from: string; to: string; write: boolean }[];
  chdir: string;
  env: Record<string, string>;
}

/** Everything but the command: the common part of a sandbox and of an isolated run. */
function base(input: BaseInput): string[] {
  const { facts } = input;
  return [
    // Spelled out beside --unshare-all, which would only try it.
    ...['--unshare-all', '--unshare-user', '--die-with-parent', '--new-session', '--as-pid-1'],
    ...(facts.disableUserns ? ['--disable-userns'] : []),
    ...['--hostname', 'sandbox', '--uid', String(UID), '--gid', String(UID), '--cap-drop', 'ALL', '--clearenv'],
    ...Object.entries(input.env).flatMap(([name, value]) => ['--setenv', name, value]),
    ...['--ro-bind', '/usr', '/usr'],
    ...facts.links.flatMap(({ path, target }) =>
      target === null ? ['--ro-bind', path, path] : ['--symlink', target, path],
    ),
    ...['--ro-bind', facts.etc.folder, '/etc'],
    ...facts.etc.shown.flatMap(({ from, to }) => ['--ro-bind', from, to]),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['--perms', '1777', '--size', String(input.shm), '--tmpfs', '/dev/shm', '--remount-ro', '/dev'],
    ...['--perms', '1777', '--size', String(input.tmp), '--tmpfs', '/tmp'],
    ...['--dir', '/run', '--dir', '/var', '--symlink', '../tmp', '/var/tmp', '--symlink', '../run', '/var/run'],
    ...input.binds.flatMap(({ from, to, write }) => [write ? '--bind' : '--ro-bind', from, to]),
    // The root is a tmpfs without a size: nothing may be written there.
    ...['--remount-ro', '/', '--chdir', input.chdir],
    ...['--info-fd', String(FD.INFO), '--seccomp', String(FD.SECCOMP), '--'],
  ];
}

/** Resource limits the first program sets for itself, and so for all that follow it. Null: left as they are. */
export interface Rlimits {
  dataBytes: number | null;
  processes: number | null;
  /** 0 is normal, 19 the least. */
  nice: number;
}

const PRLIMIT64: Record<Arch, number> = { x64: 302, arm64: 261 };
const RLIMIT = { DATA: 2, CORE: 4, NPROC: 6 } as const;

/**
 * Perl text that runs before the program, in the same process, and so before anything untrusted. It says that everything is in
 * place and waits for one byte of the stream, which comes when the process is in its groups. Limits are set in here and not before
 * bwrap, because RLIMIT_NPROC counts per user namespace (Linux 5.14): from outside it would count the whole user's processes.
 */
export const WAITING = 'w';
export function prelude(arch: Arch, limits: Rlimits): string {
  const set = (what: number, value: number): string =>
    `my $l=pack("QQ",${value},${value});syscall(${PRLIMIT64[arch]},0,${what},$l,0)==0 or die "limit ${what}: $!\\n";`;
  return [
    `{open(my $go,"+<&",${FD.STREAM})or die "no stream: $!\\n";syswrite($go,"${WAITING}");sysread($go,my $byte,1)or exit 1;}`,
    'umask 18;',
    limits.nice > 0 ? `setpriority(0,0,${limits.nice});` : '',
    `{${set(RLIMIT.CORE, 0)}}`,
    limits.dataBytes === null ? '' : `{${set(RLIMIT.DATA, limits.dataBytes)}}`,
    limits.processes === null ? '' : `{${set(RLIMIT.NPROC, limits.processes)}}`,
  ].join('');
}

function nodeBinds(node: NodeFolder | null): { from: string; to: string; write: boolean }[] {
  if (!node) return [];
  const folder = { from: node.folder, to: '/opt/node', write: false };
  return node.binary === null ? [folder] : [folder, { from: node.binary, to: '/opt/node/bin/node', write: false }];
}

/** What lies in the run folder as runner.pl: the same process waits, limits itself and becomes the runner. */
export const runnerText = (arch: Arch, rlimits: Rlimits, runner: string): string =>
  `${prelude(arch, rlimits)}\n#line 1\n${runner}`;

/** Arguments of bwrap for a sandbox: the runner is its first process and, as pid 1, cannot be killed from inside. */
export function sandboxArguments(input: {
  facts: HostFacts;
  folders: Folders;
  mounts: readonly Mount[];
  limits: Limits;
  /** False: no socket, no relay, no way out. */
  relay: boolean;
}): string[] {
  const { facts, folders } = input;
  return [
    ...base({
      facts,
      ...tmpfsSizes(input.limits.memoryMb),
      binds: [
        { from: folders.workspace, to: PLACES.workspace, write: true },
        { from: folders.home, to: PLACES.home, write: true },
        { from: folders.run, to: RUN, write: false },
        ...nodeBinds(facts.node),
        ...input.mounts.map((mount) => ({ ...mount, write: false })),
      ],
      chdir: PLACES.workspace,
      env: { PATH },
    }),
    facts.perl,
    `${RUN}/runner.pl`,
    ...runnerArguments({
      ...(input.relay ? { relay: { port: BROKER_PORT, socket: PLACES.brokerSocket } } : {}),
      ownNamespace: true,
    }),
  ];
}

/** What an isolated program's start says on the stream: a byte before it is tried, another when it could not be. */
export const STARTED = 's';
const BECOME =
  `open(my $stream,"+<&=",${FD.STREAM});fcntl($stream,2,1);syswrite($stream,"${STARTED}");` +
  'exec {$ARGV[0]} @ARGV;my $why=$!;syswrite($stream,"f");die "$ARGV[0]: $why\\n"';

/** Arguments of bwrap for one program that sees nothing but /usr and the folders named. */
export function isolatedArguments(input: {
  facts: HostFacts;
  show: readonly { from: string; to: string; write?: boolean }[];
  env: Record<string, string>;
  limits: Limits;
  rlimits: Rlimits;
  argv: readonly string[];
}): string[] {
  const { facts } = input;
  const { tmp } = tmpfsSizes(input.limits.memoryMb);
  const env = { PATH, HOME: '/tmp', LANG: 'C.UTF-8', ...input.env };
  const binds = input.show.map(({ from, to, write }) => ({ from, to, write: write === true }));
  return [
    ...base({ facts, tmp, shm: tmp, binds, chdir: '/', env }),
    facts.perl,
    '-e',
    prelude(facts.arch, input.rlimits) + BECOME,
    ...input.argv,
  ];
}
