// Sandboxes as containers of Docker or Podman, over the Docker API: the same runner inside, reached by the container's attached stream.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { StewardError } from '../../core/errors.ts';
import { createIds } from '../../core/ids.ts';
import type { Log } from '../../core/log.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { Mount, Sandbox, SandboxDriver, SandboxInfo, SandboxSpec } from '../driver.ts';
import { type Api, createApi } from './docker/api.ts';
import type { ContainerRow } from './docker/api-answers.ts';
import { createArchive } from './docker/archive.ts';
import { foldersOf, leftFolders } from './docker/folders.ts';
import { type Surveyed, survey } from './docker/ground.ts';
import { DEFAULT_IMAGE, removeContainers } from './docker/launch.ts';
import { probeDocker } from './docker/probe.ts';
import { makeSandbox, nameOf } from './docker/sandbox.ts';
import { findSocket } from './docker/socket.ts';
import { LABEL } from './docker/spec.ts';

export interface DockerDeps {
  root: string;
  now(): Millis;
  /** STEWARD_HOME, by which its containers are known; `root` when left out. */
  home?: string;
  /** Looked for when left out; see docker/socket.ts. */
  socketPath?: string;
  image?: string;
  /** A runtime of the daemon: `runsc` (gVisor), `kata-runtime` (a virtual machine). Its default when left out. */
  runtime?: string;
  /** Folders of the host to show in every sandbox, read-only: a userland, where no image with one can be had. */
  mounts?: readonly Mount[];
  /** Where DOCKER_HOST and XDG_RUNTIME_DIR are looked up. */
  env?: Readonly<Record<string, string | undefined>>;
  user?: { uid: number; gid: number };
  log?: Log;
}

export function createDocker(deps: DockerDeps): SandboxDriver {
  const { root, now, env = process.env, log } = deps;
  const { uid, gid } = deps.user ?? { uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 };
  const home = deps.home ?? root;
  const choice = { image: deps.image ?? DEFAULT_IMAGE, runtime: deps.runtime ?? null, home, uid, gid };
  const ids = createIds(now);
  const archive = createArchive({ root, driver: 'docker', now, newId: () => ids('ckpt') });
  const live = new Map<Id, Sandbox>();
  const making = new Set<Id>();
  let client: Api | null = null;
  let surveyed: Promise<Surveyed> | null = null;

  const api = (): Api => {
    const place = { env, platform: process.platform, home: homedir(), uid, exists: existsSync };
    client ??= createApi({ socketPath: deps.socketPath ?? findSocket(place) });
    return client;
  };
  const ground = (): Promise<Surveyed> => {
    surveyed ??= (async () => survey(api(), choice))();
    surveyed.catch(lookAgain);
    return surveyed;
  };
  /** After every failure, because people mend the daemon while Steward runs. */
  const lookAgain = () => {
    client = null;
    surveyed = null;
  };
  const rows = async (id?: Id): Promise<ContainerRow[]> =>
    api().list([`${LABEL.home}=${home}`, id === undefined ? LABEL.sandbox : `${LABEL.sandbox}=${id}`]);

  const create = async (spec: SandboxSpec): Promise<Sandbox> => {
    const gone = (id: Id) => void live.delete(id);
    const shop = { root, api, ground, rows, archive, mounts: deps.mounts, now, log, create, gone };
    making.add(spec.id);
    try {
      const sandbox = await makeSandbox(shop, spec);
      if (sandbox.info.state !== 'gone') live.set(spec.id, sandbox);
      return sandbox;
    } catch (error) {
      const asked = error instanceof StewardError && (error.code === 'invalid' || error.code === 'conflict');
      if (!asked) lookAgain();
      throw error;
    } finally {
      making.delete(spec.id);
    }
  };

  return {
    name: 'docker',
    create,
    prune: archive.prune,
    probe: () => {
      lookAgain();
      const inspect = (id: Id) => api().inspect(nameOf(id));
      return probeDocker({ newId: () => ids('sbx'), ground, create, inspect, prune: archive.prune });
    },
    async list() {
      // A daemon that does not answer has none that anybody could use.
      const there = await rows().catch((): ContainerRow[] => []);
      const found = new Map<Id, SandboxInfo>(there.map((row) => [idOf(row), infoOf(row)]));
      for (const [id, { info }] of live) found.set(id, { ...info });
      return [...found.values()];
    },
    async gc(keep) {
      const byId = Map.groupBy(await rows(), idOf);
      const found = new Set([...byId.keys(), ...(await leftFolders(root))]);
      const removed = [...found].filter((id) => !keep.has(id) && !live.has(id) && !making.has(id));
      for (const id of removed) {
        await removeContainers(api(), byId.get(id) ?? []);
        await foldersOf(root, id).remove();
      }
      return { removed };
    },
    async stop() {
      const ends = await Promise.allSettled([...live.values()].map((sandbox) => sandbox.kill('Steward stopped')));
      for (const end of ends)
        if (end.status === 'rejected') log?.error({ error: end.reason }, 'a sandbox could not be removed');
    },
  };
}

const idOf = ({ Labels: labels }: ContainerRow): Id => labels?.[LABEL.sandbox] ?? '';

function infoOf(row: ContainerRow): SandboxInfo {
  const { State: state, Labels: labels } = row;
  let own: Record<string, string> = {};
  try {
    own = JSON.parse(labels?.[LABEL.labels] ?? '{}') as Record<string, string>;
  } catch {
    // Somebody else's container with our label: shown without.
  }
  return {
    id: idOf(row),
    labels: own,
    createdAt: Number(labels?.[LABEL.created] ?? 0),
    state: state === 'running' || state === 'paused' ? state : 'gone',
  };
}
