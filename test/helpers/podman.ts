// A Podman of the test's own: its API on a socket, its storage in a temporary folder, an image made of nothing but links into the host's /usr.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Mount } from '../../sandboxes/driver.ts';

export interface Podman {
  socketPath: string;
  image: string;
  /** The userland the image lacks, for `createDocker({ mounts })`. */
  mounts: Mount[];
  /** A folder of this Podman for what tests keep: a driver's root. */
  folder: string;
  /** With these, `startPodman` in a process started from here gives this one again. */
  env: Record<string, string>;
  /** The service is killed, as it were by a crash of the daemon; what is returned starts it again. */
  crash(): Promise<() => Promise<void>>;
  /** Containers, processes, mounts, folders: nothing is left. */
  stop(): Promise<void>;
}

const SHARED = 'STEWARD_TEST_PODMAN';

const run = promisify(execFile);
const IMAGE = 'localhost/steward-test:latest';
const TRIAL_MS = 30_000;
const PREFIX = 'pod-';
/** Files of a folder: whose it is, and the service in it. */
const OWNER = 'owner.pid';
const SERVICE = 'service.pid';
const EXPLICIT = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];

const programOf = (name: string): string | null =>
  [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/libexec/podman']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path)) ?? null;

const environment = (base: string) => ({
  PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
  HOME: base,
  XDG_RUNTIME_DIR: join(base, 'x'),
  CONTAINERS_CONF: join(base, 'containers.conf'),
  CONTAINERS_STORAGE_CONF: join(base, 'storage.conf'),
});

/** One sentence where it does not start; then nothing is left either. */
export async function startPodman(): Promise<Podman | { missing: string }> {
  const shared = process.env[SHARED];
  if (shared)
    return { ...(JSON.parse(shared) as Omit<Podman, 'env' | 'stop'>), env: { [SHARED]: shared }, stop: async () => {} };
  const podman = programOf('podman');
  if (process.platform !== 'linux' || !podman) return { missing: 'Podman is not installed' };
  // crun refuses machines with both kinds of cgroups, runc takes them.
  const runtime = programOf('runc') ? 'runc' : 'crun';
  await sweep(podman);
  // Real, because mounts are listed by real paths; short, because sockets have 107 bytes.
  const base = realpathSync(mkdtempSync(join(tmpdir(), PREFIX)));
  const socketPath = join(base, 'podman.sock');
  const folder = join(base, 's');
  const env = environment(base);
  await writeFile(join(base, OWNER), String(process.pid));
  const store = (name: string) => JSON.stringify(join(base, name));
  await mkdir(folder, { mode: 0o711 });
  await mkdir(env.XDG_RUNTIME_DIR, { mode: 0o700 });
  await writeFile(
    env.CONTAINERS_CONF,
    // File locks: the others would be shared with every Podman of the machine.
    `[engine]\nruntime = "${runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nlock_type = "file"\ntmp_dir = ${store('t')}\n`,
  );
  await writeFile(
    env.CONTAINERS_STORAGE_CONF,
    `[storage]\ndriver = "overlay"\nrunroot = ${store('r')}\ngraphroot = ${store('g')}\n`,
  );
  let service: ChildProcess | null = null;
  const kill = async () => {
    if (!service || service.exitCode !== null || service.signalCode !== null) return;
    const ended = once(service, 'exit');
    // Its group: an ordinary user's Podman starts itself again in a namespace of its own.
    process.kill(-service.pid!, 'SIGKILL');
    await ended;
  };
  const crash = async () => {
    await kill();
    return async () => {
      service = await serve(podman, socketPath, env);
    };
  };
  const stop = async () => {
    if (service) await run(podman, ['rm', '--all', '--force', '--time=0'], { env, timeout: TRIAL_MS }).catch(() => {});
    await kill();
    await clear(podman, base, env);
  };
  try {
    service = await serve(podman, socketPath, env);
    await importImage(socketPath, base);
    const trial = ['run', '--rm', '--network=none', '--volume=/usr:/usr:ro', ...EXPLICIT, IMAGE, '/usr/bin/true'];
    await run(podman, trial, { env, timeout: TRIAL_MS });
  } catch (error) {
    await stop();
    const { stderr, message } = error as Error & { stderr?: string };
    return { missing: `Podman starts no container here: ${(stderr || message).trim().split('\n').pop()}` };
  }
  const facts = { socketPath, image: IMAGE, mounts: [{ from: '/usr', to: '/usr' }], folder };
  return { ...facts, env: { [SHARED]: JSON.stringify(facts) }, crash, stop };
}

/** Resolves when it says that it listens. */
async function serve(podman: string, socketPath: string, env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const service = spawn(podman, ['--log-level=info', 'system', 'service', '--time=0', `unix://${socketPath}`], {
    env,
    // A container that runs out of memory leaves a file `oom` where the service was started.
    cwd: dirname(socketPath),
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  const listens = new Promise<void>((resolve, reject) => {
    service.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_000);
      if (said.includes('API service listening')) resolve();
    });
    service.once('error', reject);
    service.once('exit', () => reject(new Error(said || 'it ended at once')));
  });
  await listens;
  await writeFile(join(dirname(socketPath), SERVICE), String(service.pid));
  return service;
}

/** A root with the links of a merged /usr and a user, and folders to mount on. */
async function importImage(socketPath: string, base: string): Promise<void> {
  const root = join(base, 'image');
  for (const name of ['usr', 'etc', 'proc', 'sys', 'dev', 'tmp', 'run', 'workspace', 'home/agent'])
    await mkdir(join(root, name), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(root, name));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh\n');
  const { stdout } = await run('tar', ['-C', root, '--owner=0', '--group=0', '-cf', '-', '.'], {
    encoding: 'buffer',
    maxBuffer: 1 << 24,
  });
  const [repo, tag] = IMAGE.split(/:(?=[^:]*$)/);
  const path = `/v1.41/images/create?${new URLSearchParams({ fromSrc: '-', repo: repo!, tag: tag! })}`;
  const sent = request({ socketPath, method: 'POST', path, headers: { 'content-type': 'application/x-tar' } });
  sent.end(stdout);
  const [answer] = await once(sent, 'response');
  let text = '';
  for await (const piece of answer) text += piece;
  if (answer.statusCode !== 200) throw new Error(`the image could not be imported: ${text}`);
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);
const pidIn = (file: string): number | null => (existsSync(file) ? Number(readFileSync(file, 'utf8')) || null : null);

/** What tests left that were killed themselves. */
async function sweep(podman: string): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((one) => one.startsWith(PREFIX))) {
    const base = join(realpathSync(tmpdir()), name);
    try {
      const owner = pidIn(join(base, OWNER));
      if (owner === null || isAlive(owner)) continue;
      const service = pidIn(join(base, SERVICE));
      const isOurs =
        service !== null && isAlive(service) && readFileSync(`/proc/${service}/cmdline`, 'utf8').includes(base);
      if (isOurs) process.kill(-service, 'SIGKILL');
      await clear(podman, base, environment(base));
    } catch {
      // Another user's, or another test is at it.
    }
  }
}

/** Files of other ids can be removed only from the namespace they have these ids in; a process that sleeps keeps it. */
async function leaveNamespace(podman: string, base: string, env: NodeJS.ProcessEnv): Promise<void> {
  await run(podman, ['unshare', 'rm', '-rf', ...['g', 'r', '.local'].map((name) => join(base, name))], { env }).catch(
    () => {},
  );
  const { stdout } = await run('find', [base, '-name', 'pause.pid']).catch(() => ({ stdout: '' }));
  for (const file of stdout.split('\n').filter(Boolean)) process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL');
}

/** What Podman leaves: its store mounted on itself, and an empty group for its containers in each controller. */
async function clear(podman: string, base: string, env: NodeJS.ProcessEnv): Promise<void> {
  if (process.getuid?.() !== 0) await leaveNamespace(podman, base, env);
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${base}/`));
  for (const path of mounted.reverse()) await run('umount', ['-l', path]).catch(() => {});
  const controllers = existsSync('/sys/fs/cgroup') ? readdirSync('/sys/fs/cgroup') : [];
  for (const parent of ['libpod_parent', ...controllers.map((name) => `${name}/libpod_parent`)])
    for (const group of [`${parent}/conmon`, parent]) removeGroup(join('/sys/fs/cgroup', group));
  rmSync(base, { recursive: true, force: true });
}

function removeGroup(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Not there, or in use by another Podman of this machine.
  }
}
