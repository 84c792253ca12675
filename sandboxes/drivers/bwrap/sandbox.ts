// One live sandbox: what was prepared becomes somebody's, is watched, and ends with nothing of it left.
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { StewardError } from '../../../core/errors.ts';
import type { Id, Millis } from '../../../core/types.ts';
import { DEFAULT_LIMITS, type Sandbox, type SandboxSpec } from '../../driver.ts';
import { connectRunner, type Runner } from '../../runner/client.ts';
import type { Isolate } from '../../snapshots.ts';
import { sandboxOver } from '../common.ts';
import type { Group } from './cgroup.ts';
import { killAll, unwind } from './end.ts';
import { continueTree, stopTree } from './freeze.ts';
import { createIsolate } from './isolate.ts';
import { type Launched, launch, startFailure, startTicksOf } from './launch.ts';
import { rlimitsFor, scopeEnv } from './limits.ts';
import { fitOf, type Prepared, prepare, rename, type Shared } from './prepare.ts';
import { movedBytes, treeOf, useOf } from './procfs.ts';
import { baseEnv, type Folders, isolatedArguments } from './profile.ts';
import { folderOf, writeState } from './state.ts';
import { startWatch } from './watch.ts';

/** The tree a fork begins with. */
export interface Source {
  folders: Folders;
  uid: number | null;
  isolate: Isolate;
}

const TICK_MICROS = 10_000;

/** A program in a throw-away sandbox as that uid, under the default limits. */
function isolateAs(shared: Shared, uid: number | null): Isolate {
  const limits = DEFAULT_LIMITS;
  return createIsolate(async (argv, { show, env = {} }) => {
    const name = `${shared.isolateName}${randomBytes(6).toString('hex')}`;
    const facts = await shared.host.facts();
    const prefix = shared.limiter.prefix(name, limits);
    let group: Group | null = null;
    const clear = async () => void (await group?.remove());
    try {
      const launched = await launch(shared.starter, {
        bwrap: shared.host.bwrap,
        argv: isolatedArguments({ facts, show, env, limits, rlimits: rlimitsFor(shared.limiter.plan, limits), argv }),
        prefix,
        prefixEnv: prefix.length > 0 ? scopeEnv(shared.env) : {},
        filter: shared.host.filters.strict,
        uid,
        pipes: true,
      });
      try {
        group = shared.limiter.makeGroup(name, limits);
        group = await shared.limiter.place(group, launched.inside.pid);
      } catch (error) {
        // It ended of itself: that is told by its exit.
        if (startTicksOf(launched.inside.pid) === launched.inside.startTicks) {
          await killAll(launched, group);
          throw error;
        }
      }
      // What it could not become is told by how it ended.
      await launched.waiting.catch(() => {});
      launched.go();
      return { launched, clear };
    } catch (error) {
      await clear();
      throw error;
    }
  });
}

/** Written as the old owner, given to the new one afterwards: neither may read the other's. */
async function copyFrom(source: Source, folders: Folders, shared: Shared, id: Id, uid: number | null): Promise<void> {
  const { isolate } = source;
  // The old owner may pass for so long; nothing of the new one runs yet.
  if (uid !== null) chmodSync(folderOf(shared.root, id), 0o711);
  for (const name of ['workspace', 'home'] as const) {
    if (uid !== null && source.uid !== null) await shared.disk.give(folders[name], source.uid);
    const ran = await isolate(['cp', '-a', '--reflink=auto', '/from/.', '/to/'], {
      show: [
        { from: source.folders[name], to: '/from' },
        { from: folders[name], to: '/to', write: true },
      ],
    });
    if (ran.code !== 0) shared.warn({ said: ran.stderr.slice(0, 500) }, 'not every file of a sandbox could be copied');
    if (uid !== null) await shared.disk.give(folders[name], uid);
  }
  if (uid !== null) chmodSync(folderOf(shared.root, id), 0o710);
}

/**
 * Makes `prepared`, or one that is prepared now, the sandbox of this spec. Errors: invalid, conflict, unavailable (with the
 * fix), not_found (the snapshot). Leaves nothing when it fails.
 */
export async function makeSandbox(
  shared: Shared,
  spec: SandboxSpec,
  options: { source: Source | null; spare: Prepared | null; fork(source: Source): Sandbox['fork'] },
): Promise<Sandbox> {
  const { limits } = spec;
  const { limiter, root, now } = shared;
  const { source, spare } = options;
  const createdAt = now();
  const prepared = spare ?? (await prepare(shared, spec.id, fitOf(spec)));
  try {
    if (spare) rename(root, spare, spec.id);
    const { uid, folders, launched } = prepared;
    const isolate = isolateAs(shared, uid);
    // What fills its folders changes their owner and rights on the way; bwrap has to be in them before.
    if (source || spec.workspace.type === 'snapshot') await launched.waiting;
    if (source) {
      await copyFrom(source, folders, shared, spec.id, uid);
    } else if (spec.workspace.type === 'snapshot') {
      await shared.snapshots.restore(spec.workspace.ref, { ...folders, isolate });
    }
    const { bwrap, inside } = launched;
    const place = async () => {
      try {
        prepared.group = limiter.makeGroup(spec.id, limits);
        prepared.group = await limiter.place(prepared.group, inside.pid);
      } catch (cause) {
        throw new StewardError('unavailable', `The limits of ${spec.id} could not be put around it.`, {
          op: 'start a sandbox',
          hint: 'steward doctor says which control groups there are.',
          retryable: true,
          cause,
        });
      }
    };
    await Promise.all([
      place(),
      writeState(root, { id: spec.id, labels: spec.labels, createdAt, bwrap, inside }),
      spec.listen?.(join(folders.run, 'broker.sock')),
      launched.waiting,
    ]);
    launched.go();
    const runner = await readyRunner(launched, now);
    const empty = spec.workspace.type === 'empty' && !source;
    return assemble(shared, spec, { createdAt, prepared, isolate, runner, empty, fork: options.fork });
  } catch (error) {
    // When it is dying, soon.
    const exit = await Promise.race([prepared.launched.exited, after(500, null)]);
    await unwind(prepared.undo).catch((left: unknown) =>
      shared.warn({ error: left, id: spec.id }, 'a sandbox left something behind'),
    );
    // bwrap gave up meanwhile: what it said explains more than what could not be done to it.
    throw exit && exit.said !== '' ? startFailure(exit.said, error) : error;
  }
}

async function readyRunner(launched: Launched, now: () => Millis): Promise<Runner> {
  try {
    // A stream that has closed already would never tell it.
    if (launched.stream.destroyed) throw startFailure('');
    const ready = connectRunner(launched.stream, { now });
    launched.stream.resume();
    return await ready;
  } catch (error) {
    // What bwrap or the runner said says more than the end of the stream.
    const exit = await Promise.race([launched.exited, after(500, null, { ref: false })]);
    throw exit && exit.said !== '' ? startFailure(exit.said, error) : error;
  }
}

interface Parts {
  createdAt: Millis;
  prepared: Prepared;
  isolate: Isolate;
  runner: Runner;
  /** Nothing was in its folders when it began. */
  empty: boolean;
  fork(source: Source): Sandbox['fork'];
}

function assemble(shared: Shared, spec: SandboxSpec, parts: Parts): Sandbox {
  const { isolate, runner } = parts;
  const { group, folders, uid, launched } = parts.prepared;
  const { pid } = launched.inside;
  const { plan } = shared.limiter;
  let stopped: number[] = [];
  let exceeded: string | null = null;

  const watch = startWatch({
    pid,
    disk: shared.disk,
    folders: [folders.workspace, folders.home],
    empty: parts.empty,
    limits: spec.limits,
    watch: plan.watch,
    now: shared.now,
    open: () => openFolders(isolate, folders),
    exceeded: (reason) => {
      exceeded ??= reason;
      void sandbox
        .kill(reason)
        .catch((error: unknown) => shared.warn({ error, id: spec.id }, 'a sandbox left something behind'));
    },
  });

  const sandbox = sandboxOver({
    spec,
    createdAt: parts.createdAt,
    runner,
    env: { ...baseEnv(shared.host), ...spec.env },
    async stats(disk) {
      const use = group?.use() ?? { cpuMicros: null, rssBytes: null, pids: null };
      const below = treeOf(pid);
      const tree = useOf(below);
      const ioBytes = movedBytes(below);
      return {
        cpuMicros: use.cpuMicros ?? tree.cpuTicks * TICK_MICROS,
        // A group does not count what its processes had before they came in; the tree does not count what lies in tmpfs.
        rssBytes: Math.max(use.rssBytes ?? 0, tree.rssBytes),
        pids: use.pids ?? tree.pids,
        diskBytes: disk === 'known' ? watch.knownBytes() : await watch.diskBytes(),
        runnable: tree.runnable,
        blocked: tree.blocked,
        ...(ioBytes !== null && { ioBytes }),
      };
    },
    snapshot: ({ lineage, label }) =>
      shared.snapshots.save({
        lineage,
        ...(label === undefined ? {} : { label }),
        workspace: folders.workspace,
        home: folders.home,
        isolate,
      }),
    fork: parts.fork({ folders, isolate, uid }),
    async pause() {
      if (group?.freeze) await group.freeze(true);
      // Paused twice, the first pause's are still to be continued.
      else stopped = [...stopped, ...stopTree(pid)];
    },
    async resume() {
      if (group?.freeze) await group.freeze(false);
      else continueTree(pid, stopped);
      stopped = [];
    },
    cause: () =>
      exceeded ??
      ((group?.outOfMemory() ?? 0) > 0
        ? `memory limit: it used more than the ${spec.limits.memoryMb} MB it may`
        : null),
    destroy: async () => {
      watch.stop();
      await unwind(parts.prepared.undo);
    },
  });
  return sandbox;
}

/** A folder without its owner's rights cannot be measured or removed by an ordinary user. In there, no link leads out. */
async function openFolders(isolate: Isolate, folders: Folders): Promise<void> {
  const find = [
    'find',
    '/workspace',
    '/home/agent',
    '-type',
    'd',
    '!',
    '-perm',
    '-u=rwx',
    '-exec',
    'chmod',
    'u+rwx',
    '{}',
    '+',
  ];
  await isolate(find, {
    show: [
      { from: folders.workspace, to: '/workspace', write: true },
      { from: folders.home, to: '/home/agent', write: true },
    ],
  });
}
