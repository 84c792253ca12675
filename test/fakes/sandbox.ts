// A sandbox driver for tests of what sits above drivers: real processes in a temp folder, no isolation, and faults on demand.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { StewardError } from '../../core/errors.ts';
import type { Id, Millis } from '../../core/types.ts';
import {
  PLACES,
  type ProbeReport,
  type Sandbox,
  type SandboxDriver,
  type SandboxSpec,
  type Snapshot,
  type SnapshotRef,
} from '../../sandboxes/driver.ts';
import { BASE_ENV, requireSandboxId, sandboxOver } from '../../sandboxes/drivers/common.ts';
import { connectRunner, runnerArguments, runnerScript } from '../../sandboxes/runner/client.ts';
import { processesSeen, processesWith } from '../helpers/leftovers.ts';
import { changesBetween, copyTree, sizeOf, treeOf } from './sandbox/trees.ts';
import { createTroubles, type Troubles, troubled } from './sandbox/troubles.ts';

export { type Call, diskFull, type Trouble } from './sandbox/troubles.ts';

const GUARD = fileURLToPath(new URL('./sandbox/guard.pl', import.meta.url));

export interface FakeSandboxes extends SandboxDriver, Troubles {
  /** It is gone as if it had died by itself, whatever ran in it. */
  lose(id: Id): void;
  /** Its runner answers nothing from now on; only a kill helps. */
  wedge(id: Id): void;
}

export interface FakeDeps {
  /** A folder of its own; the test removes it. */
  root: string;
  now(): Millis;
  newId(): Id;
}

interface Live {
  sandbox: Sandbox;
  guard: number;
}

/** What stands under a process, the nearest first. */
function below(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const seen of processesSeen())
    if (seen.state !== 'Z') children.set(seen.parent, [...(children.get(seen.parent) ?? []), seen.pid]);
  const found: number[] = [];
  for (let open = [pid]; open.length > 0; ) {
    open = open.flatMap((one) => children.get(one) ?? []);
    found.push(...open);
  }
  return found;
}

function signalAll(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended.
    }
  }
}

async function usageOf(pids: readonly number[]): Promise<{ cpuMicros: number; rssBytes: number }> {
  let [ticks, pages] = [0, 0];
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // utime, stime, and those of children that were waited for.
    for (const at of [11, 12, 13, 14]) ticks += Number(fields[at] ?? 0);
    pages += Number(fields[21] ?? 0);
  }
  return { cpuMicros: ticks * 10_000, rssBytes: pages * 4_096 };
}

export function createFakeSandboxes({ root, now, newId }: FakeDeps): FakeSandboxes {
  const live = new Map<Id, Live | null>();
  const troubles = createTroubles((id) => lose(id));
  const folderOf = (id: Id) => join(root, 'live', id);
  const savedAt = ({ lineage, id }: Pick<SnapshotRef, 'lineage' | 'id'>) =>
    join(root, 'snapshots', encodeURIComponent(lineage), encodeURIComponent(id));

  const lose = (id: Id) => {
    const one = live.get(id);
    if (one) signalAll(below(one.guard).slice(0, 1), 'SIGKILL');
  };

  async function make(spec: SandboxSpec, fill: (workspace: string, home: string) => Promise<void>): Promise<Sandbox> {
    const { id } = spec;
    requireSandboxId(id);
    if (live.has(id))
      throw new StewardError('conflict', `The sandbox ${id} is there already.`, { op: 'start a sandbox' });
    live.set(id, null);
    const folder = folderOf(id);
    const places: Record<string, string> = {
      [PLACES.workspace]: join(folder, 'workspace'),
      [PLACES.home]: join(folder, 'home'),
    };
    try {
      for (const path of [...Object.values(places), join(folder, 'run')]) await mkdir(path, { recursive: true });
      await fill(places[PLACES.workspace]!, places[PLACES.home]!);
      const socket = join(folder, 'run', 'broker.sock');
      await spec.listen?.(socket);
      return await start(spec, folder, places, socket);
    } catch (error) {
      live.delete(id);
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async function start(
    spec: SandboxSpec,
    folder: string,
    places: Record<string, string>,
    socket: string,
  ): Promise<Sandbox> {
    const { id } = spec;
    const relay = spec.listen ? { relay: { port: 0, socket } } : {};
    const guard = spawn('perl', [GUARD, id, 'perl', runnerScript(), '6', ...runnerArguments(relay)], {
      stdio: ['pipe', 'ignore', 'ignore', 'ignore', 'ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH, FAKE_SANDBOX: id },
      cwd: '/',
    });
    const exited = once(guard, 'exit');
    const lifeline = guard.stdin!.on('error', () => {});
    const [, , , , , , stream] = guard.stdio as unknown as Duplex[];
    const runner = await connectRunner(stream!, { now }).catch((error) => {
      lifeline.end();
      throw error;
    });
    // Nobody mounts anything here, so the places are put in for their names.
    const place = (word: string): string => {
      const name = Object.keys(places).find((one) => word === one || word.startsWith(`${one}/`));
      return name ? places[name]! + word.slice(name.length) : word;
    };
    const inside = () => below(guard.pid!);
    const sandbox = sandboxOver({
      spec,
      createdAt: now(),
      runner,
      env: {
        ...BASE_ENV,
        PATH: process.env.PATH ?? BASE_ENV.PATH!,
        HOME: places[PLACES.home]!,
        FAKE_SANDBOX: id,
        ...spec.env,
      },
      place,
      async stats() {
        const pids = inside();
        return { ...(await usageOf(pids)), pids: pids.length - 1, diskBytes: await sizeOf(folder) };
      },
      snapshot: ({ lineage, label }) => save(id, lineage, label ?? null, places),
      fork: (forked) =>
        make(forked, async (workspace, home) => {
          await copyTree(places[PLACES.workspace]!, workspace);
          await copyTree(places[PLACES.home]!, home);
        }),
      pause: async () => signalAll(inside(), 'SIGSTOP'),
      resume: async () => signalAll(inside(), 'SIGCONT'),
      async destroy() {
        lifeline.end();
        // A guard that somebody stopped still has to end.
        const stubborn = setTimeout(() => signalAll([...inside(), guard.pid!], 'SIGKILL'), 3_000);
        await exited;
        clearTimeout(stubborn);
        // A folder without rights cannot be emptied.
        await new Promise((resolve) =>
          spawn('chmod', ['-R', 'u+rwX', folder], { stdio: 'ignore' }).once('exit', resolve),
        );
        await rm(folder, { recursive: true, force: true });
        live.delete(id);
      },
    });
    const shown = troubled(sandbox, troubles);
    live.set(id, { sandbox: shown, guard: guard.pid! });
    return shown;
  }

  async function save(
    id: Id,
    lineage: string,
    label: string | null,
    places: Record<string, string>,
  ): Promise<Snapshot> {
    const began = now();
    const folder = join(root, 'snapshots', encodeURIComponent(lineage));
    await mkdir(folder, { recursive: true });
    const newest = (await readdir(folder))
      .filter((name) => !name.startsWith('.'))
      .sort()
      .at(-1);
    const before = newest === undefined ? null : join(folder, newest);
    const draft = join(folder, `.${id}`);
    await rm(draft, { recursive: true, force: true });
    await copyTree(places[PLACES.workspace]!, join(draft, 'workspace'));
    await copyTree(places[PLACES.home]!, join(draft, 'home'));
    const tree = async (of: string | null, part: string) => (of ? treeOf(join(of, part)) : new Map<string, string>());
    const changes = changesBetween(await tree(before, 'workspace'), await tree(draft, 'workspace'));
    const same = async (part: string) =>
      JSON.stringify([...(await tree(before, part))].sort()) === JSON.stringify([...(await tree(draft, part))].sort());
    const sameHome = await same('home');
    if (before && sameHome && (await same('workspace'))) {
      await rm(draft, { recursive: true, force: true });
      const ref = JSON.parse(await readFile(join(before, 'ref.json'), 'utf8')) as SnapshotRef;
      return { ref, changed: false, changes: [], more: 0, tookMs: now() - began };
    }
    if (!sameHome) changes.push({ path: PLACES.home, kind: 'modified' });
    const ref: SnapshotRef = { id: newId(), driver: 'fake', lineage, createdAt: began, label };
    await writeFile(join(draft, 'ref.json'), JSON.stringify(ref));
    await rename(draft, savedAt(ref));
    const named = changes.slice(0, 200);
    return { ref, changed: true, changes: named, more: changes.length - named.length, tookMs: now() - began };
  }

  const driver: FakeSandboxes = {
    name: 'fake',
    trouble: troubles.trouble,
    calm: troubles.calm,
    calls: troubles.calls,
    lose,
    wedge(id) {
      const one = live.get(id);
      if (one) signalAll(below(one.guard).slice(0, 1), 'SIGSTOP');
    },
    async probe(): Promise<ProbeReport> {
      const broken = troubles.next('probe', null);
      return {
        driver: 'fake',
        ok: broken === null,
        isolation: 'none',
        egressLocked: false,
        limits: { memory: null, cpu: null, pids: null, disk: null, wall: 'timer' },
        snapshot: true,
        pause: true,
        findings: broken
          ? [{ level: 'error', text: 'The fake was told not to work.', fix: 'Take the trouble back.' }]
          : [{ level: 'warn', text: 'This is a fake: nothing is isolated.', fix: 'Use it in tests only.' }],
        detail: 'fake',
        tookMs: 1,
      };
    },
    async create(spec) {
      await troubles.meet('create', spec.id);
      return make(spec, async (workspace, home) => {
        if (spec.workspace.type === 'empty') return;
        await troubles.meet('restore', spec.id);
        const saved = savedAt(spec.workspace.ref);
        await readFile(join(saved, 'ref.json')).catch(() => {
          throw new StewardError('not_found', 'There is no such snapshot.', { op: 'restore a sandbox' });
        });
        await copyTree(join(saved, 'workspace'), workspace);
        await copyTree(join(saved, 'home'), home);
      });
    },
    async list() {
      return [...live.values()].flatMap((one) => (one ? [one.sandbox.info] : []));
    },
    async gc(keep) {
      const names = await readdir(join(root, 'live')).catch(() => []);
      const removed = names.filter((id) => !keep.has(id) && !live.has(id));
      for (const id of removed) {
        // The guard of a dead daemon has seen its end and is at work.
        while (processesWith(id).some(({ argv }) => argv.includes(GUARD)))
          await new Promise((resolve) => setTimeout(resolve, 10));
        await rm(folderOf(id), { recursive: true, force: true });
      }
      return { removed };
    },
    async prune(lineage, keep) {
      const folder = join(root, 'snapshots', encodeURIComponent(lineage));
      for (const name of await readdir(folder).catch(() => []))
        if (!keep.has(decodeURIComponent(name))) await rm(join(folder, name), { recursive: true, force: true });
    },
    async stop() {
      await Promise.all([...live.values()].map((one) => one?.sandbox.kill('the driver was stopped')));
    },
  };
  return driver;
}
