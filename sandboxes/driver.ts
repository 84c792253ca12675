// The contract of a sandbox driver: disposable hands that hold no secret. Types only; test/contract/sandbox.test.ts is its meaning.
import type { Readable } from 'node:stream';
import type { Id, Millis } from '../core/types.ts';

/** What one sandbox may use. Which of them hold, and by what means, is in `ProbeReport.limits`. */
export interface Limits {
  memoryMb: number;
  /** Cores, fractions allowed. */
  cpus: number;
  pids: number;
  /** Workspace and home together. */
  diskMb: number;
  /** Longest life of the sandbox. */
  wallMs: Millis;
}

export const DEFAULT_LIMITS: Readonly<Limits> = {
  memoryMb: 2_048,
  cpus: 2,
  pids: 512,
  diskMb: 4_096,
  wallMs: 24 * 3_600_000,
};

/** Where everything is inside a sandbox, whatever the driver. */
export const PLACES = {
  workspace: '/workspace',
  home: '/home/agent',
  /** The only way out; see sandboxes/broker. The runner forwards 127.0.0.1:BROKER_PORT to it. */
  brokerSocket: '/run/steward/broker.sock',
} as const;
export const BROKER_PORT = 3128;

export interface Mount {
  from: string;
  to: string;
}

/** No field can carry a secret: credentials are added by the broker, outside. */
export interface SandboxSpec {
  /** `sbx_…`, unique for ever: it names directories, cgroups and containers. */
  id: Id;
  /** Shown to people and used by gc; `session` is the session it belongs to. */
  labels: Record<string, string>;
  workspace: { type: 'empty' } | { type: 'snapshot'; ref: SnapshotRef };
  /** Added to the driver's own small environment (PATH, HOME, LANG, TERM). */
  env: Record<string, string>;
  /** Host folders to show read-only: mirrors, dependency caches, a harness's program. */
  mounts: readonly Mount[];
  limits: Limits;
  /** `dev` allows ptrace (strace, gdb); nothing else. */
  profile: 'strict' | 'dev';
  /**
   * Called with the host path at which the broker has to listen before anything runs inside; null: no way out at all.
   * The socket must be connectable by any uid: the folder around it is what protects it.
   */
  listen: ((socketPath: string) => Promise<void>) | null;
}

export interface SandboxInfo {
  id: Id;
  labels: Record<string, string>;
  createdAt: Millis;
  state: 'running' | 'paused' | 'gone';
}

/** A saved state of workspace and home. Lives longer than the sandbox it was taken from; the driver that wrote it reads it. */
export interface SnapshotRef {
  id: Id;
  driver: string;
  /** The lineage it belongs to (the session): snapshots of one lineage share storage. */
  lineage: string;
  createdAt: Millis;
  label: string | null;
}

export interface Snapshot {
  ref: SnapshotRef;
  /** False when the tree is the one of the snapshot before: then `ref` is that one and nothing was written. */
  changed: boolean;
  /** Paths relative to the workspace, at most 200; `more` counts the rest. Home and .git are named as folders. */
  changes: { path: string; kind: 'added' | 'modified' | 'deleted' }[];
  more: number;
  /** What of the tree is not in it, or changed while it was saved, and why; at most 50 named. Left out: nothing. */
  left?: { path: string; why: string }[];
  tookMs: Millis;
}

/** A process that was started inside and is still there; pid and ports as seen inside. */
export interface ProcessEntry {
  pid: number;
  parent: number;
  argv: string[];
  startedAt: Millis;
  /** TCP ports it listens on. */
  ports: number[];
}

export interface Stats {
  cpuMicros: number;
  rssBytes: number;
  pids: number;
  diskBytes: number;
  /** Left out where the driver does not know: processes that want a processor now, and those that wait in the kernel (D). */
  runnable?: number;
  blocked?: number;
  /** Read and written since it began, by whatever call, pipes included. Left out where the driver does not know. */
  ioBytes?: number;
  /** When the last byte of output came. */
  lastOutputAt: Millis | null;
  state: 'running' | 'paused' | 'gone';
}

export interface ExecOptions {
  /** Inside the sandbox; the workspace when left out. */
  cwd?: string;
  env?: Record<string, string>;
  /** `open`: written with `write`, ended with `end`. Default: empty. */
  stdin?: 'open' | 'empty';
  /** SIGTERM to the process group after this time, SIGKILL 2 s later. None when left out. */
  timeoutMs?: Millis;
  /** stdout and stderr together; past it comes a `limit` event and the group is killed. Default 64 MiB. */
  outputBytes?: number;
  signal?: AbortSignal;
}

export type ExecEvent =
  | { type: 'stdout' | 'stderr'; data: Uint8Array }
  | { type: 'limit'; what: 'output' | 'time' }
  | ({ type: 'exit' } & ExecResult);

export interface ExecResult {
  /** null when a signal ended it or the sandbox was lost; 127 or 126, with the reason on stderr, when it could not be started. */
  code: number | null;
  /** Its name without SIG. */
  signal: string | null;
  limited: 'output' | 'time' | null;
}

/**
 * A running command. Iterate it once: the last event is `exit`. What is not read is not taken from the process
 * (back-pressure), beyond a window of 256 KiB. Ending the loop early kills the group.
 */
export interface Execution extends AsyncIterable<ExecEvent> {
  /** Resolves when the bytes were handed over, so that a slow reader slows the writer. */
  write(data: Uint8Array | string): Promise<void>;
  /** Closes stdin. */
  end(): void;
  /** To the whole process group. */
  signal(name: 'INT' | 'TERM' | 'KILL' | 'HUP' | 'STOP' | 'CONT'): void;
  /** Resolves with the exit, whether or not anybody iterates. Rejects with `sandbox_lost` when the sandbox is gone. */
  result: Promise<ExecResult>;
}

export interface FileEntry {
  /** Relative to the listed folder. */
  path: string;
  type: 'file' | 'folder' | 'link' | 'other';
  size: number;
  modifiedAt: Millis;
}

/** Work on files happens inside the sandbox, so that no link in there can lead the host astray. */
export interface Files {
  /** Refuses anything but a regular file, and more than `limit` bytes from `offset`. Errors: not_found, too_large, invalid. */
  read(path: string, options?: { offset?: number; limit?: number }): Promise<Uint8Array>;
  /** Whole or not at all; makes folders on the way. */
  write(path: string, data: Uint8Array | string, options?: { mode?: number }): Promise<void>;
  list(path: string, options?: { depth?: number; limit?: number }): Promise<FileEntry[]>;
  remove(path: string): Promise<void>;
  /** A tar (plain or gzip) into a folder. Refused as a whole: names out of it, links, devices, too many or too big. */
  upload(path: string, tar: Readable): Promise<{ files: number; bytes: number }>;
  /** A tar of a file or folder; what a host unpacks went through the same guard. */
  download(path: string): Readable;
}

export interface Sandbox {
  readonly id: Id;
  readonly info: SandboxInfo;
  /** argv, never a shell string. Throws `sandbox_lost` when it is gone. */
  exec(argv: readonly string[], options?: ExecOptions): Execution;
  readonly files: Files;
  processes(): Promise<ProcessEntry[]>;
  /** With `known`, the size of the files is the last one measured where measuring costs a walk through them. */
  stats(options?: { disk: 'measured' | 'known' }): Promise<Stats>;
  snapshot(options: { lineage: string; label?: string }): Promise<Snapshot>;
  /** A second sandbox with the same files. */
  fork(spec: SandboxSpec): Promise<Sandbox>;
  /** Stops and continues everything inside; null where the kernel does not allow it. */
  pause: (() => Promise<void>) | null;
  resume: (() => Promise<void>) | null;
  /** A connection to 127.0.0.1:port inside. */
  dial(port: number): Promise<import('node:stream').Duplex>;
  /** Answers within `withinMs`, else it is wedged. */
  ping(withinMs: Millis): Promise<boolean>;
  /** Resolves when nothing of it is left: no process, mount, cgroup, socket or folder. Safe to call twice. */
  kill(reason: string): Promise<void>;
  /** Resolves with one sentence when it ended, by whatever cause. */
  readonly ended: Promise<string>;
}

export type LimitName = 'memory' | 'cpu' | 'pids' | 'disk' | 'wall';

export interface ProbeReport {
  driver: string;
  /** False: hands are off. */
  ok: boolean;
  isolation: 'none' | 'namespaces' | 'container' | 'gvisor' | 'vm';
  /** True when a sandbox was seen to reach nothing but its broker socket. */
  egressLocked: boolean;
  /** How each limit is enforced here ("cgroup v1", "prlimit", "watchdog"); null: it is not. */
  limits: Record<LimitName, string | null>;
  snapshot: boolean;
  pause: boolean;
  /** What is wrong or weaker than it could be, each with the exact fix. */
  findings: { level: 'error' | 'warn'; text: string; fix: string }[];
  /** Version of the tool, name of the runtime. */
  detail: string;
  tookMs: Millis;
}

export interface SandboxDriver {
  readonly name: string;
  /** Really starts a sandbox and looks around in it. Never throws. */
  probe(): Promise<ProbeReport>;
  create(spec: SandboxSpec): Promise<Sandbox>;
  list(): Promise<SandboxInfo[]>;
  /** Removes every leftover (of any earlier life) that is not in `keep`: processes, mounts, cgroups, folders, containers. */
  gc(keep: ReadonlySet<Id>): Promise<{ removed: Id[] }>;
  /** Snapshots of a lineage that are not in `keep` are dropped; an unknown lineage is no error. */
  prune(lineage: string, keep: ReadonlySet<Id>): Promise<void>;
  /** Ends everything that is alive. */
  stop(): Promise<void>;
}
