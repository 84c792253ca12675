// The drivers the suite is about, each with what it needs here. One more driver is one more entry.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../core/clock.ts';
import { StewardError } from '../../../core/errors.ts';
import { createIds } from '../../../core/ids.ts';
import { createBwrap } from '../../../sandboxes/drivers/bwrap.ts';
import { createDocker } from '../../../sandboxes/drivers/docker.ts';
import { createNone } from '../../../sandboxes/drivers/none.ts';
import { createSnapshots } from '../../../sandboxes/snapshots.ts';
import { createFakeSandboxes } from '../../fakes/sandbox.ts';
import { type Podman, startPodman } from '../../helpers/podman.ts';
import type { Harness } from './stage.ts';

const { now } = systemClock;
const isRoot = process.getuid?.() === 0;

const fake: Harness = {
  name: 'fake',
  missing: async () => null,
  open(root) {
    const ids = createIds(now);
    return createFakeSandboxes({ root, now, newId: () => ids('ckpt') });
  },
  openBroken(root) {
    const ids = createIds(now);
    const broken = createFakeSandboxes({ root, now, newId: () => ids('ckpt') });
    const error = new StewardError('unavailable', 'The fake was told not to work.', { op: 'start a sandbox' });
    broken.trouble('probe', { type: 'error', error });
    broken.trouble('create', { type: 'error', error }, 10);
    return broken;
  },
};

const none: Harness = {
  name: 'none',
  missing: async () => null,
  open: (root) => createNone({ root, now }),
};

/** Users that nobody else on the machine is likely to be; another life of the same suite gets them from its parent. */
function ownUids(): { first: number; count: number } {
  const [first, count] = (process.env.SANDBOX_UIDS ?? '').split(':').map(Number);
  if (first && count) return { first, count };
  return { first: 600_000 + (process.pid % 20_000) * 60, count: 60 };
}

function bwrap(): Harness {
  const uids = ownUids();
  const open = (root: string, bwrapPath?: string) => {
    const ids = createIds(now);
    const snapshots = createSnapshots({ root, driver: 'bwrap', now, newId: () => ids('ckpt') });
    return createBwrap({ root, now, snapshots, uids, ...(bwrapPath && { bwrapPath }) });
  };
  return {
    name: 'bwrap',
    ...(isRoot && { uids }),
    async missing() {
      if (process.platform !== 'linux') return 'bwrap is for Linux';
      return existsSync('/usr/bin/bwrap') ? null : 'bubblewrap is not installed (apt-get install bubblewrap)';
    },
    open: (root) => open(root),
    openBroken: (root) => open(root, '/nowhere/bwrap'),
  };
}

/** Over a Podman of its own, which answers as Docker does. */
function docker(): Harness {
  let podman: Podman | null = null;
  const open = (root: string, socketPath = podman?.socketPath) =>
    createDocker({
      root,
      now,
      ...(socketPath && { socketPath }),
      ...(podman && { image: podman.image, mounts: podman.mounts }),
    });
  return {
    name: 'docker',
    async missing() {
      const started = await startPodman();
      if ('missing' in started) return started.missing;
      podman = started;
      return null;
    },
    folder: () => podman?.folder ?? null,
    env: () => podman?.env ?? {},
    stop: async () => podman?.stop(),
    open: (root) => open(root),
    openBroken: (root) => open(root, '/nowhere/docker.sock'),
  };
}

export const HARNESSES: readonly Harness[] = [fake, none, bwrap(), docker()];

export function harnessCalled(name: string): Harness {
  const found = HARNESSES.find((one) => one.name === name);
  if (!found) throw new Error(`there is no driver called ${name}`);
  return found;
}

/** A uid that owns nothing here, for what an ordinary user can do; null when this process cannot become another user. */
export const ordinaryUid = isRoot ? 300_000 + (process.pid % 90_000) : null;

/** Why a process of that user could not even start; null: it can. */
export function whyNotAs(uid: number): string | null {
  const here = fileURLToPath(new URL('../../../sandboxes/driver.ts', import.meta.url));
  const script = `require('node:fs').readFileSync(${JSON.stringify(here)})`;
  const { status } = spawnSync(process.execPath, ['-e', script], { uid, gid: uid, cwd: '/', stdio: 'ignore' });
  return status === 0 ? null : 'an ordinary user may not read this checkout';
}
