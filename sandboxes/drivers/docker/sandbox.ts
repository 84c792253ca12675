// One container as a Sandbox: its folders, its runner, what it costs, its saves, and its end.
import { existsSync } from 'node:fs';
import { StewardError } from '../../../core/errors.ts';
import type { Log } from '../../../core/log.ts';
import type { Id, Millis } from '../../../core/types.ts';
import type { Mount, Sandbox, SandboxDriver, SandboxSpec } from '../../driver.ts';
import { sandboxOver } from '../common.ts';
import type { Api } from './api.ts';
import type { ContainerRow } from './api-answers.ts';
import type { Archive } from './archive.ts';
import { checkId, makeFolders } from './folders.ts';
import type { Surveyed } from './ground.ts';
import type { Exec } from './inside.ts';
import { type Launched, launch, removeContainers } from './launch.ts';
import { countInside, usageOf } from './usage.ts';

export interface Workshop {
  root: string;
  api(): Api;
  ground(): Promise<Surveyed>;
  /** Containers of one sandbox, whatever they do. */
  rows(id: Id): Promise<ContainerRow[]>;
  archive: Archive;
  mounts: readonly Mount[] | undefined;
  now(): Millis;
  log: Log | undefined;
  /** A sandbox of the same driver, for forks. */
  create: SandboxDriver['create'];
  /** Nothing of it is left, or what is left was told. */
  gone(id: Id): void;
}

/** How often the disk is measured: at most this often, and never more than a twentieth of the time. */
const MEASURE_MS: Millis = 2_000;
const MEASURE_SHARE = 20;
/** Measures that fail in a row, until what cannot be measured is ended. */
const MOST_UNMEASURED = 5;
const MB = 1024 * 1024;

/** For people who look at `docker ps`; a label has the whole id. Podman's monitor bears it for a moment longer than there is a container. */
export const nameOf = (id: Id): string => `steward-${id.slice(-16)}`;

/** Errors: invalid, conflict, not_found, unavailable (with the fix). Leaves nothing when it fails. */
export async function makeSandbox(shop: Workshop, spec: SandboxSpec): Promise<Sandbox> {
  const { api, archive, now, log } = shop;
  // What can be said without the daemon, first.
  checkId(spec.id);
  if (spec.workspace.type === 'snapshot') await archive.check(spec.workspace.ref);
  // Podman would make it.
  for (const { from } of spec.mounts)
    if (!existsSync(from))
      throw new StewardError('not_found', `There is no ${from} to show in a sandbox.`, { op: 'start a sandbox' });
  const ground = await shop.ground();
  const createdAt = now();
  const folders = await makeFolders(shop.root, {
    id: spec.id,
    identity: ground.identity,
    filter: ground.filters?.[spec.profile] ?? null,
  });
  const clear = async () => {
    await removeContainers(api(), await shop.rows(spec.id));
    await folders.remove();
  };
  const start = (name: string, over: SandboxSpec): Promise<Launched> =>
    launch(api(), { name, spec: over, folders, ground, createdAt, mounts: shop.mounts, now, log });
  try {
    await spec.listen?.(folders.socket);
    const { container, runner, words } = await start(nameOf(spec.id), spec);
    const env = { ...ground.env, ...spec.env };
    const execOf =
      (of: Launched['runner']): Exec =>
      (argv, options) =>
        of.exec(argv, options, env);
    const tracked = archive.track(spec.limits);
    if (spec.workspace.type === 'snapshot') await tracked.restore(spec.workspace.ref, execOf(runner));

    let paused = false;
    let helpers = 0;
    const snapshot: Sandbox['snapshot'] = async (options) => {
      if (!paused) return await tracked.save(options, execOf(runner));
      // Nothing inside can run; another container over the same folders can.
      const helper = await start(`${nameOf(spec.id)}-save-${++helpers}`, { ...spec, listen: null });
      try {
        return await tracked.save(options, execOf(helper.runner));
      } finally {
        await api().remove(helper.container);
      }
    };
    let watch: NodeJS.Timeout | undefined;
    const sandbox = sandboxOver({
      spec,
      createdAt,
      runner,
      env,
      snapshot,
      async stats() {
        const counted = ground.counts ? api().stats(container).then(usageOf) : countInside(execOf(runner));
        const [used, diskBytes] = await Promise.all([counted, folders.measure()]);
        return { ...used, diskBytes };
      },
      async fork(forked) {
        const lineage = `fork-${forked.id}`;
        try {
          const { ref } = await snapshot({ lineage });
          return await shop.create({ ...forked, workspace: { type: 'snapshot', ref } });
        } finally {
          await archive.prune(lineage, new Set());
        }
      },
      pause: ground.pause
        ? async () => {
            if (!paused) await api().pause(container);
            paused = true;
          }
        : null,
      resume: ground.pause
        ? async () => {
            if (paused) await api().resume(container);
            paused = false;
          }
        : null,
      cause: () => (words() === '' ? null : `its runner ended: ${words()}`),
      async destroy() {
        clearTimeout(watch);
        await clear().finally(() => shop.gone(spec.id));
      },
    });

    let unmeasured = 0;
    const watchDisk = (afterMs: Millis) => {
      watch = setTimeout(async () => {
        const began = performance.now();
        const bytes = await folders.measure().catch(() => null);
        unmeasured = bytes === null ? unmeasured + 1 : 0;
        if (sandbox.info.state === 'gone') return;
        const over = bytes !== null && bytes > spec.limits.diskMb * MB;
        if (!over && unmeasured < MOST_UNMEASURED)
          return watchDisk(Math.max(MEASURE_MS, (performance.now() - began) * MEASURE_SHARE));
        const why = over
          ? `it used ${Math.round(bytes / MB)} MB of disk where ${spec.limits.diskMb} are allowed`
          : 'its disk use could not be measured';
        sandbox.kill(why).catch((error) => log?.error({ error }, 'a sandbox over its limit could not be ended'));
      }, afterMs);
      watch.unref();
    };
    watchDisk(MEASURE_MS);
    return sandbox;
  } catch (error) {
    await clear().catch((left) => log?.error({ error: left, sandbox: spec.id }, 'a failed start left something'));
    throw error;
  }
}
