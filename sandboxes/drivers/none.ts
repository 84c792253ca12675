// The driver without walls, for STEWARD_SANDBOX=none: commands run on the host as the daemon's own user, in folders of their own.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { StewardError } from '../../core/errors.ts';
import type { Id, Millis } from '../../core/types.ts';
import {
  BROKER_PORT,
  DEFAULT_LIMITS,
  PLACES,
  type ProbeReport,
  type Sandbox,
  type SandboxDriver,
  type SandboxSpec,
} from '../driver.ts';
import { connectRunner, runnerArguments, runnerScript } from '../runner/client.ts';
import type { Isolate, SnapshotStore } from '../snapshots.ts';
import { BASE_ENV, requireSandboxId, sandboxOver } from './common.ts';
import { killMarked, usageOf } from './none/processes.ts';

/** How long the runner gets to end what it started before it is ended itself. */
const END_MS: Millis = 2_000;

export interface NoneDeps {
  root: string;
  now(): Millis;
  /** Left out: nothing is saved. */
  snapshots?: SnapshotStore;
}

export function createNone(deps: NoneDeps): SandboxDriver {
  const { snapshots } = deps;
  const live = join(deps.root, 'live');
  const alive = new Map<Id, Sandbox>();

  /** Everything of a sandbox, of this life or an earlier one: processes are known by their marks. */
  const clear = async (id: Id, session: number | null = null): Promise<void> => {
    const folder = join(live, id);
    await killMarked({ home: join(folder, 'home'), folder, session });
    await removeFolder(folder);
  };

  const create = async (spec: SandboxSpec): Promise<Sandbox> => {
    requireSandboxId(spec.id);
    if (spec.workspace.type === 'snapshot' && !snapshots) throw noSnapshots();
    const folder = join(live, spec.id);
    const [workspace, home, socket] = [join(folder, 'workspace'), join(folder, 'home'), join(folder, 'broker.sock')];
    const createdAt = deps.now();
    await mkdir(live, { recursive: true, mode: 0o700 });
    await mkdir(folder, { mode: 0o700 });
    try {
      await Promise.all([mkdir(workspace), mkdir(home)]);
      if (spec.workspace.type === 'snapshot') {
        await snapshots?.restore(spec.workspace.ref, { workspace, home, isolate: onHost });
      }
      await spec.listen?.(socket);
      const { runner, pid, end } = await startRunner({
        home,
        workspace,
        socket: spec.listen ? socket : null,
        now: deps.now,
      });
      const env = placedEnv(spec, { home, relayPort: runner.relayPort });
      const sandbox = sandboxOver({
        spec,
        createdAt,
        runner,
        env,
        place: placer({ workspace, home }),
        async stats() {
          const pids = (await runner.processes()).map((process) => process.pid);
          const [usage, diskBytes] = await Promise.all([usageOf(pid, pids), sizeOf([workspace, home])]);
          return { ...usage, diskBytes };
        },
        async snapshot(options) {
          if (!snapshots) throw noSnapshots();
          return snapshots.save({ ...options, workspace, home, isolate: onHost });
        },
        async fork(forked) {
          if (!snapshots) throw noSnapshots();
          // A lineage for this one time.
          const lineage = `fork-${forked.id}`;
          try {
            const { ref } = await snapshots.save({ lineage, workspace, home, isolate: onHost });
            return await create({ ...forked, workspace: { type: 'snapshot', ref } });
          } finally {
            await snapshots.forget(lineage);
          }
        },
        pause: null,
        resume: null,
        async destroy() {
          await end();
          await clear(spec.id, pid);
          alive.delete(spec.id);
        },
      });
      alive.set(spec.id, sandbox);
      return sandbox;
    } catch (error) {
      await clear(spec.id);
      throw error;
    }
  };

  return {
    name: 'none',
    create,
    async probe() {
      const began = performance.now();
      const report = await look(create, `sbx_probe-${process.pid}-${Math.trunc(began)}`);
      return { ...report, snapshot: snapshots !== undefined, tookMs: performance.now() - began };
    },
    list: async () => [...alive.values()].map(({ info }) => ({ ...info })),
    async gc(keep) {
      const names = await readdir(live).catch(() => []);
      const removed = names.filter((id) => !keep.has(id) && !alive.has(id));
      for (const id of removed) await clear(id);
      return { removed };
    },
    async prune(lineage, keep) {
      await snapshots?.prune(lineage, keep);
    },
    async stop() {
      await Promise.all([...alive.values()].map((sandbox) => sandbox.kill('Steward stops')));
    },
  };
}

interface Start {
  home: string;
  workspace: string;
  /** The broker's; null: the runner keeps no way to it. */
  socket: string | null;
  now(): Millis;
}

async function startRunner({ home, workspace, socket, now }: Start) {
  // Several share the host's loopback, so the way to the broker has whatever port is free.
  const argv = [runnerScript(), ...runnerArguments(socket === null ? {} : { relay: { port: 0, socket } })];
  const child = spawn('perl', argv, {
    cwd: workspace,
    // A session of its own: one more mark to tell what came from it.
    detached: true,
    env: { ...BASE_ENV, HOME: home },
    stdio: ['ignore', 'ignore', 'ignore', 'ignore', 'ignore', 'ignore', 'pipe'],
  });
  const stream = child.stdio.at(6) as Duplex;
  const exited = once(child, 'close').catch(() => {});
  await once(child, 'spawn').catch((cause) => {
    throw new StewardError('unavailable', 'Perl could not be started, and without it nothing runs commands.', {
      op: 'start a sandbox',
      hint: 'Install perl (Debian, Ubuntu: apt install perl-base).',
      cause,
    });
  });
  /** The runner ends everything it started when its stream ends; one that cannot is killed. */
  const end = async (): Promise<void> => {
    stream.destroy();
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    await exited;
    clearTimeout(timer);
  };
  try {
    return { runner: await connectRunner(stream, { now }), pid: child.pid ?? 0, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** There is no /workspace on a host: paths of the contract, and only they, are somewhere else here. */
function placer(folders: { workspace: string; home: string }): (path: string) => string {
  return (path) => {
    for (const name of ['workspace', 'home'] as const) {
      const from = PLACES[name];
      if (path === from || path.startsWith(`${from}/`)) return folders[name] + path.slice(from.length);
    }
    return path;
  };
}

/** The environment, with the broker's address and shown folders where they are on the host. */
function placedEnv(spec: SandboxSpec, here: { home: string; relayPort: number }): Record<string, string> {
  const placed = Object.entries(spec.env).map(([name, value]): [string, string] => {
    const relayed = value.replaceAll(`127.0.0.1:${BROKER_PORT}`, `127.0.0.1:${here.relayPort}`);
    const mount = spec.mounts.find(({ to }) => relayed === to || relayed.startsWith(`${to}/`));
    return [name, mount ? mount.from + relayed.slice(mount.to.length) : relayed];
  });
  // The home is what processes are told by, so it is not for the spec to say.
  return { ...BASE_ENV, ...Object.fromEntries(placed), HOME: here.home };
}

async function look(create: SandboxDriver['create'], id: Id): Promise<Omit<ProbeReport, 'tookMs' | 'snapshot'>> {
  const report = {
    driver: 'none',
    isolation: 'none',
    egressLocked: false,
    limits: { memory: null, cpu: null, pids: null, disk: null, wall: 'timer' },
    pause: false,
  } as const;
  const warning = {
    level: 'error',
    text: 'There is no isolation: commands run on this machine as the user Steward runs as, with all its files and the network.',
    fix: 'Take STEWARD_SANDBOX=none out of the settings, and install bubblewrap (apt install bubblewrap).',
  } as const;
  try {
    const sandbox = await create({
      id,
      labels: { probe: 'true' },
      workspace: { type: 'empty' },
      env: {},
      mounts: [],
      limits: DEFAULT_LIMITS,
      profile: 'strict',
      listen: null,
    });
    try {
      const { code } = await sandbox.exec(['true']).result;
      if (code !== 0) throw new Error(`A command that does nothing ended with ${code}`);
    } finally {
      await sandbox.kill('the probe is over');
    }
    return { ...report, ok: true, findings: [warning], detail: 'commands run on the host' };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const fix = error instanceof StewardError && error.hint ? error.hint : 'Use STEWARD_SANDBOX=bwrap.';
    return { ...report, ok: false, findings: [{ level: 'error', text, fix }, warning], detail: text };
  }
}

/** What elsewhere looks at an untrusted tree behind walls. There are none here. */
const onHost: Isolate = (argv, { stdin, env }) => {
  const [program = '', ...words] = argv;
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<Isolate>>>();
  const child = spawn(program, words, { cwd: '/', env: { PATH: BASE_ENV.PATH, LANG: BASE_ENV.LANG, ...env } });
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (data: Buffer) => stdout.push(data));
  child.stderr.on('data', (data: Buffer) => stderr.push(data));
  child.on('error', reject);
  child.on('close', (code) =>
    resolve({ code: code ?? 1, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() }),
  );
  // It may end before it has read everything; its exit code tells.
  child.stdin.on('error', () => {});
  for (const part of [stdin ?? []].flat()) child.stdin.write(part);
  child.stdin.end();
  return promise;
};

async function sizeOf(folders: string[]): Promise<number> {
  // A folder that vanishes on the way makes du complain, not fail to count the rest.
  const { stdout } = await promisify(execFile)('du', ['-sk', '--', ...folders]).catch((error) => ({
    stdout: String(error.stdout ?? ''),
  }));
  return stdout.split('\n').reduce((sum, line) => sum + (Number.parseInt(line, 10) || 0) * 1_024, 0);
}

/** Also where a command took away its own permissions. Links are removed, never followed. */
async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(async () => {
    await promisify(execFile)('chmod', ['-R', 'u+rwX', '--', folder]).catch(() => {});
    await rm(folder, { recursive: true, force: true });
  });
}

function noSnapshots(): StewardError {
  return new StewardError('unavailable', 'Nothing is saved here, and nothing restored.', {
    op: 'save a sandbox',
    hint: 'Use STEWARD_SANDBOX=bwrap.',
  });
}
