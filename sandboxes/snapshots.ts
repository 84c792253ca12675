// Saved states of a sandbox's workspace and home, one lineage per session: what a save found, what a restore gives back.

import { readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { StewardError } from '../core/errors.ts';
import type { Id, Millis } from '../core/types.ts';
import type { Snapshot, SnapshotRef } from './driver.ts';
import { lanes } from './lanes.ts';
import { makePassable } from './passable.ts';
import { openChunks } from './snapshots/chunks.ts';
import { compact } from './snapshots/compact.ts';
import { gather, plan, type SaveLimits } from './snapshots/gather.ts';
import { type Lineage, type Live, openLineage, refOf, sweepAll } from './snapshots/lineage.ts';
import { checkInput, type Listing, parseListing } from './snapshots/listing.ts';
import { changesBetween } from './snapshots/manifest.ts';
import { failure, hostFailure, program, type Room, SYSCALLS } from './snapshots/programs.ts';
import { scatter } from './snapshots/scatter.ts';

/**
 * Runs one program in a throw-away sandbox: no network, nothing to see but `/usr` and the folders in `show`, as the uid that
 * owns the workspace. Untrusted trees are read and written only in there. Resolves for any exit code; rejects when
 * the program could not be started.
 */
export type Isolate = (
  argv: string[],
  options: {
    show: { from: string; to: string; write?: boolean }[];
    /** Several: one after the other. */
    stdin?: string | Uint8Array | readonly Uint8Array[];
    env?: Record<string, string>;
  },
) => Promise<{ code: number; stdout: Buffer; stderr: string }>;

/** Calls for one lineage wait for each other. */
export interface SnapshotStore {
  /** Workspace and home as they are; when nothing changed since the last save, that one again. Never fails because files change meanwhile. */
  save(input: {
    lineage: string;
    label?: string;
    workspace: string;
    home: string;
    isolate: Isolate;
  }): Promise<Snapshot>;
  /** Into empty folders; what is written belongs to the uid that owns them. Errors: not_found, unavailable. */
  restore(ref: SnapshotRef, into: { workspace: string; home: string; isolate: Isolate }): Promise<void>;
  /** Drops the snapshots of a lineage that are not in `keep`; an unknown lineage is no error. */
  prune(lineage: string, keep: ReadonlySet<Id>): Promise<void>;
  /** Drops a lineage with everything in it. */
  forget(lineage: string): Promise<void>;
}

const GIB = 1024 ** 3;
const LIMITS: SaveLimits = { fileBytes: GIB, totalBytes: 8 * GIB, entries: 1_000_000 };
/** Named in a snapshot at most. */
const LEFT_SHOWN = 50;

/**
 * The store lies in `root`/snapshots. It has to be on the file system the workspaces are on: their clock is compared with its.
 * What a snapshot does not carry: processes, pipes and sockets, extended attributes, owners, files above the limits.
 */
export function createSnapshots(deps: {
  root: string;
  driver: string;
  now(): Millis;
  newId(): Id;
  limits?: Partial<SaveLimits>;
}): SnapshotStore {
  const folder = join(deps.root, 'snapshots');
  const limits = { ...LIMITS, ...deps.limits };
  const workers = Math.max(2, Math.min(4, availableParallelism()));
  const syscalls = SYSCALLS[process.arch] ?? { statx: 0, utimensat: 0 };
  const lane = lanes();
  let swept: Promise<void> | null = null;
  const inLane = async <T>(name: string, op: string, work: () => Promise<T>): Promise<T> => {
    swept ??= sweepAll(folder);
    await swept;
    return await lane(name, () =>
      work().catch((error: unknown) => {
        throw hostFailure(op, error);
      }),
    );
  };
  const lineageOf = (name: string, make: boolean): Promise<Lineage | null> => openLineage(folder, name, make);

  /** Whether nothing was touched since the last save. Anything odd counts as touched. */
  const still = async (
    live: Live,
    now: bigint,
    places: Pick<Room, 'workspace' | 'home'>,
    isolate: Isolate,
  ): Promise<boolean> => {
    const { sec, nsec } = live.stamp;
    // A clock that was set back would hide changes.
    if (now < BigInt(sec) * 1_000_000_000n + BigInt(nsec)) return false;
    const values = [sec, nsec, workers, syscalls.statx].map(String);
    const show = [places.workspace, places.home].map((path) => ({ from: path, to: path }));
    return (await isolate(program('check', ...values), { show, stdin: live.known })).code === 0;
  };

  const look = async (room: Room, isolate: Isolate): Promise<Listing> => {
    const output = join(room.work, 'listing');
    const ended = await isolate(
      program('list', output, String(workers), String(syscalls.statx), room.workspace, room.home),
      {
        show: [
          { from: room.workspace, to: room.workspace },
          { from: room.home, to: room.home },
          { from: room.work, to: room.work, write: true },
        ],
      },
    );
    if (ended.code !== 0) throw failure('save a snapshot', ended);
    const listing: Listing = new Map();
    for (let part = 0; part <= workers; part++) {
      const whole = await parseListing(await readFile(`${output}.${part}`), listing);
      if (!whole) throw failure('save a snapshot', { code: 0, stderr: 'the listing is not whole' });
      await rm(`${output}.${part}`);
    }
    if (listing.size <= limits.entries) return listing;
    throw new StewardError('too_large', `There are more than ${limits.entries} files in the workspace.`, {
      op: 'save a snapshot',
      hint: 'Delete what can be made again.',
    });
  };

  /** The long way: look at everything, read what is new, and write a snapshot when that makes a difference. */
  const capture = async (
    lineage: Lineage,
    room: Room,
    live: Live | null,
    { label, isolate }: { label?: string; isolate: Isolate },
  ): Promise<Omit<Snapshot, 'tookMs'>> => {
    const stamp = await lineage.stamp();
    const listing = await look(room, isolate);
    const newest = live?.head.id ?? (await lineage.ids()).at(-1);
    const head = newest === undefined ? null : await lineage.load(newest);
    const inodes = head && live ? await live.inodes() : null;
    const was = head && live && inodes ? { tree: head.tree, inodes, stamp: live.stamp } : null;
    const chunks = await openChunks(lineage.folder);
    const id = deps.newId();
    const writer = once(() => chunks.write(id));
    try {
      const wanted = await plan(listing, was, (piece) => chunks.places.has(piece), limits);
      const tree = await gather({ plan: wanted, isolate, room, chunks, limits, writer: writer.get });
      const changes = await changesBetween(head?.tree ?? new Map(), tree);
      let ref = head && refOf(head.header, lineage.name, deps.driver);
      const left = wanted.left.slice(0, LEFT_SHOWN);
      if (!ref || changes) {
        await (await writer.made())?.finish();
        const header = { id, createdAt: deps.now(), label: label ?? null, left };
        await lineage.store(header, tree, head);
        ref = refOf(header, lineage.name, deps.driver);
      }
      await lineage.remember({
        ...{ head: ref, workspace: room.workspace, home: room.home, stamp },
        known: checkInput(listing.keys(), room),
        inodes: inodesOf(listing),
      });
      if (ref.id === id) return { ref, changed: true, changes: [], more: 0, ...changes, left };
      return { ref, changed: false, changes: [], more: 0 };
    } finally {
      await (await writer.made())?.abandon();
      await chunks.close();
    }
  };

  return {
    save: ({ lineage: name, label, workspace, home, isolate }) =>
      inLane(name, 'save a snapshot', async () => {
        const began = deps.now();
        await makePassable(folder);
        const lineage = (await lineageOf(name, true))!;
        const live = await lineage.live(workspace, home);
        const known = live && (await lineage.has(live.head.id)) ? live : null;
        if (known && (await still(known, await lineage.clock(), { workspace, home }, isolate)))
          return { ref: known.head, changed: false, changes: [], more: 0, tookMs: deps.now() - began };
        const taken = await lineage.withWork(workspace, (work) =>
          capture(lineage, { workspace, home, work }, known, { isolate, ...(label === undefined ? {} : { label }) }),
        );
        return { ...taken, tookMs: deps.now() - began };
      }),

    restore: (ref, { workspace, home, isolate }) =>
      inLane(ref.lineage, 'restore a snapshot', async () => {
        const lineage = await lineageOf(ref.lineage, false);
        const loaded = await lineage?.load(ref.id);
        if (!lineage || !loaded) {
          throw new StewardError('not_found', 'This saved state is not there any more.', {
            op: 'restore a snapshot',
            hint: 'Choose another checkpoint.',
          });
        }
        const room = { workspace, home };
        const chunks = await openChunks(lineage.folder);
        try {
          const { tree, header } = loaded;
          const inodes = await scatter({ tree, chunks, room, isolate, workers, utimensat: syscalls.utimensat });
          // So that the first save need not read it all again.
          await lineage.remember({
            ...{ head: refOf(header, ref.lineage, deps.driver), workspace, home, inodes },
            stamp: await lineage.stamp(),
            known: checkInput(tree.keys(), room),
          });
        } finally {
          await chunks.close();
        }
      }),

    prune: (name, keep) =>
      inLane(name, 'prune snapshots', async () => {
        const lineage = await lineageOf(name, false);
        if (!lineage) return;
        await lineage.drop(keep);
        const ids = await lineage.ids();
        if (ids.length === 0) return await rm(lineage.folder, { recursive: true, force: true });
        await compact(lineage, ids, deps.newId);
      }),

    forget: (name) =>
      inLane(name, 'forget snapshots', async () => {
        const lineage = await lineageOf(name, false);
        if (lineage) await rm(lineage.folder, { recursive: true, force: true });
      }),
  };
}

/** Made by the first who asks. */
function once<T>(make: () => Promise<T>): { get(): Promise<T>; made(): Promise<T | null> } {
  let one: Promise<T> | null = null;
  return {
    get() {
      one ??= make();
      return one;
    },
    made: async () => (one ? await one.catch(() => null) : null),
  };
}

const inodesOf = (listing: Listing): Map<string, string> =>
  new Map([...listing].flatMap(([path, { kind, inode }]) => (kind === 'file' ? [[path, inode]] : [])));
