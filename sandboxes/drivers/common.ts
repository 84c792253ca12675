// What drivers share: a runner and the driver's own means put together as a Sandbox, with one end for every cause.
import { StewardError } from '../../core/errors.ts';
import type { Id, Millis } from '../../core/types.ts';
import { PLACES, type Sandbox, type SandboxInfo, type SandboxSpec, type Stats } from '../driver.ts';
import { filesOver } from '../files.ts';
import type { Runner } from '../runner/client.ts';

/** The environment every command begins with; the spec's and the call's are added to it. */
export const BASE_ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: PLACES.home,
  LANG: 'C.UTF-8',
  TERM: 'dumb',
};

/** Ids name folders, cgroups and containers: one that could lead elsewhere throws `invalid`. */
export function requireSandboxId(id: Id): void {
  if (/^sbx_[A-Za-z0-9_-]{1,64}$/.test(id)) return;
  throw new StewardError('invalid', `${JSON.stringify(id.slice(0, 100))} is no id of a sandbox.`, {
    op: 'start a sandbox',
  });
}

export interface SandboxParts {
  spec: SandboxSpec;
  createdAt: Millis;
  runner: Runner;
  /** The whole environment of a command but for what the call adds. Default: BASE_ENV and the spec's. */
  env?: Record<string, string>;
  /** Where paths of the contract really are, as folder, file or word of a command; for a driver without a file system of its own. */
  place?: (path: string) => string;
  stats(disk: 'measured' | 'known'): Promise<Omit<Stats, 'lastOutputAt' | 'state'>>;
  snapshot: Sandbox['snapshot'];
  fork: Sandbox['fork'];
  pause: Sandbox['pause'];
  resume: Sandbox['resume'];
  /**
   * Kills and removes everything: processes, mounts, cgroups, sockets, folders. Called once, also when the sandbox ended by
   * itself. Resolves when nothing is left.
   */
  destroy(reason: string): Promise<void>;
  /** One sentence on why the runner went away by itself ("the kernel killed it: out of memory"). */
  cause?: () => string | null;
}

/** Ends itself after `spec.limits.wallMs`. `ended` resolves when the driver has cleaned up, or failed to. */
export function sandboxOver(parts: SandboxParts): Sandbox {
  const { spec, runner } = parts;
  const env = parts.env ?? { ...BASE_ENV, ...spec.env };
  const place = parts.place ?? ((path) => path);
  const ended = Promise.withResolvers<string>();
  const info: SandboxInfo = { id: spec.id, labels: spec.labels, createdAt: parts.createdAt, state: 'running' };
  let ending: Promise<void> | null = null;

  const end = (reason: string): Promise<void> => {
    ending ??= (async () => {
      clearTimeout(wall);
      info.state = 'gone';
      try {
        // First the kill, then the stream: what runs inside gets no chance to act on the closed stream.
        await parts.destroy(reason);
      } finally {
        runner.close();
        ended.resolve(reason);
      }
    })();
    return ending;
  };
  const wall = setTimeout(
    () => void end('it reached the longest life it may have').catch(() => {}),
    Math.min(spec.limits.wallMs, 2_147_483_647),
  );
  wall.unref();
  // An error of the clean-up is told to who calls kill().
  void runner.ended.then(() => end(parts.cause?.() ?? 'its runner ended')).catch(() => {});

  const alive = () => {
    if (info.state === 'gone') {
      throw new StewardError('sandbox_lost', `The sandbox ${spec.id} is gone.`, {
        op: 'use a sandbox',
        retryable: true,
      });
    }
  };
  const exec: Sandbox['exec'] = (argv, options = {}) => {
    alive();
    return runner.exec(argv.map(place), { ...options, cwd: place(options.cwd ?? PLACES.workspace) }, env);
  };
  const switching = (change: (() => Promise<void>) | null, state: SandboxInfo['state']) =>
    change &&
    (async () => {
      alive();
      await change();
      if (info.state !== 'gone') info.state = state;
    });

  return {
    id: spec.id,
    info,
    exec,
    files: filesOver(exec, place),
    ended: ended.promise,
    kill: end,
    async processes() {
      alive();
      return runner.processes();
    },
    async stats({ disk } = { disk: 'measured' }) {
      const lastOutputAt = runner.lastOutputAt();
      if (info.state === 'gone') {
        return { cpuMicros: 0, rssBytes: 0, pids: 0, diskBytes: 0, lastOutputAt, state: 'gone' };
      }
      return { ...(await parts.stats(disk)), lastOutputAt, state: info.state };
    },
    async snapshot(options) {
      alive();
      return parts.snapshot(options);
    },
    async fork(forked) {
      alive();
      return parts.fork(forked);
    },
    pause: switching(parts.pause, 'paused'),
    resume: switching(parts.resume, 'running'),
    async dial(port) {
      alive();
      return runner.dial(port);
    },
    async ping(withinMs) {
      return info.state !== 'gone' && runner.ping(withinMs);
    },
  };
}
