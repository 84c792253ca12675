// The default driver on Linux: bubblewrap. Namespaces, an empty root, no capability, a system call filter; ready in milliseconds.
import { release } from 'node:os';
import { StewardError } from '../../core/errors.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { ProbeReport, Sandbox, SandboxDriver, SandboxSpec } from '../driver.ts';
import type { SnapshotStore } from '../snapshots.ts';
import { createDisk } from './bwrap/disk.ts';
import { collectGarbage, collectRuns, isolateName, strays } from './bwrap/gc.ts';
import { lookAtHost } from './bwrap/host.ts';
import { killExactly } from './bwrap/launch.ts';
import { createLimiter } from './bwrap/limits.ts';
import { type Fit, fitOf, type Prepared, prepare as prepareSandbox, type Shared } from './bwrap/prepare.ts';
import { probeBwrap } from './bwrap/probe.ts';
import { treeOf } from './bwrap/procfs.ts';
import { checkMounts } from './bwrap/profile.ts';
import { makeSandbox, type Source } from './bwrap/sandbox.ts';
import { createSpares } from './bwrap/spare.ts';
import { createStarter } from './bwrap/starter.ts';
import { checkId, folderOf, isSpare, listFolders, makeRoots, readState, runOf, startSocket } from './bwrap/state.ts';
import { createUids } from './bwrap/uids.ts';

export interface BwrapDeps {
  /** The room's folder on the host. A root daemon's has to be one that any uid may walk into. */
  root: string;
  /** Users of sandboxes when this process is root. Default: 10,000 from 400000. */
  uids?: { first: number; count: number };
  now(): Millis;
  snapshots: SnapshotStore;
  log?: { warn(facts: object, message: string): void };
  /** Default: the system's, the only one that distributions allow namespaces to. */
  bwrapPath?: string;
  env?: NodeJS.ProcessEnv;
}

const POOL = { first: 400_000, count: 10_000 };

export function createBwrap(deps: BwrapDeps): SandboxDriver {
  const live = new Map<Id, Sandbox>();
  const making = new Map<Id, Promise<Sandbox>>();
  const env = deps.env ?? process.env;
  const root = deps.root;
  const isRoot = process.getuid?.() === 0;
  const warn = (facts: object, message: string) => deps.log?.warn(facts, message);
  let preparing: Promise<Shared> | null = null;
  let stopping = false;

  const spares = createSpares({ prepare: async (name, fit) => prepareSandbox(await prepare(), name, fit), warn });
  const mine = (id: Id): boolean => live.has(id) || making.has(id) || spares.owns(id);

  /** Looks at the host once; after a failure again, because it may have been mended meanwhile. */
  const prepare = (): Promise<Shared> => {
    preparing ??= (async () => {
      makeRoots(root);
      const [host, limiter] = await Promise.all([
        lookAtHost({
          root,
          ...(deps.bwrapPath === undefined ? {} : { bwrapPath: deps.bwrapPath }),
          pooled: isRoot,
          env,
          execPath: process.execPath,
        }),
        createLimiter({ env, root: isRoot, kernel: release(), trial: `${isolateName(root)}trial-${process.pid}` }),
      ]);
      const uids = isRoot ? createUids(deps.uids ?? POOL) : null;
      for (const { uid } of listFolders(root)) if (uid !== null) uids?.reserve(uid);
      const starter = createStarter({
        perl: '/usr/bin/perl',
        socketPath: startSocket(root),
        lost: () => {
          for (const one of strays(root, new Set(), () => false)) killExactly(one);
        },
      });
      const { snapshots, now } = deps;
      return {
        root,
        host,
        limiter,
        starter,
        disk: createDisk(starter),
        uids,
        snapshots,
        now,
        env,
        warn,
        isolateName: isolateName(root),
      };
    })().catch((error: unknown) => {
      preparing = null;
      throw error;
    });
    return preparing;
  };

  const takeSpare = async (id: Id, fit: Fit): Promise<Prepared | null> =>
    // One whose socket has a place of its own cannot be renamed.
    runOf(root, id).startsWith(folderOf(root, id)) ? spares.take(fit) : null;

  /** `source`: the tree of a fork. `reserve`: whether another one like it is prepared afterwards. */
  const create = async (spec: SandboxSpec, source: Source | null, reserve: boolean): Promise<Sandbox> => {
    if (stopping)
      throw new StewardError('unavailable', 'Steward is stopping.', { op: 'start a sandbox', retryable: true });
    checkId(spec.id);
    checkMounts(spec.mounts);
    if (mine(spec.id))
      throw new StewardError('conflict', `There is a sandbox ${spec.id} already.`, { op: 'start a sandbox' });
    const fit = fitOf(spec);
    const pending = (async () => {
      const shared = await prepare();
      const fork = (from: Source) => (forked: SandboxSpec) => create(forked, from, true);
      const spare = await takeSpare(spec.id, fit);
      // The last user may be the one in reserve.
      if (!spare && shared.uids?.free() === false) await spares.drop();
      return makeSandbox(shared, spec, { source, spare, fork });
    })();
    making.set(spec.id, pending);
    try {
      const sandbox = await pending;
      live.set(spec.id, sandbox);
      void sandbox.ended.then(() => live.delete(spec.id));
      if (reserve && !stopping) spares.refill(fit);
      return sandbox;
    } finally {
      making.delete(spec.id);
    }
  };

  return {
    name: 'bwrap',
    probe: (): Promise<ProbeReport> => probeBwrap({ prepare, create: (spec) => create(spec, null, false) }),
    create: (spec) => create(spec, null, true),
    async list() {
      const infos = [...live.values()].map(({ info }) => info);
      for (const { id } of listFolders(root)) {
        if (mine(id) || isSpare(id)) continue;
        const state = readState(root, id);
        infos.push({ id, labels: state?.labels ?? {}, createdAt: state?.createdAt ?? 0, state: 'gone' });
      }
      return infos;
    },
    async gc(keep) {
      const { limiter, uids, disk, starter } = await prepare();
      const removed = await collectGarbage({
        ...{ root, limiter, disk, uids, warn },
        keep: (id) => keep.has(id) || mine(id),
        ours: () => new Set(starter.pid() === null ? [] : treeOf(starter.pid()!)),
      });
      if (live.size === 0 && making.size === 0) await collectRuns(root, limiter);
      await starter.rest();
      return { removed };
    },
    prune: (lineage, keep) => deps.snapshots.prune(lineage, keep),
    async stop() {
      stopping = true;
      await Promise.allSettled(making.values());
      await spares.drop();
      const ended = await Promise.allSettled([...live.values()].map((sandbox) => sandbox.kill('Steward stops')));
      const shared = await preparing?.catch(() => null);
      await shared?.starter.stop();
      shared?.limiter.stop();
      const failed = ended.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    },
  };
}
