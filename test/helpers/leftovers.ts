// What a sandbox may leave behind on a machine, looked for from outside: processes, mounts, cgroups, sockets, folders.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** How the things of some sandboxes are told from everything else on the machine. */
export interface Traces {
  /** Texts that stand in a command line, an environment, a path, a mount, the name of a cgroup or of a socket. */
  marks: readonly string[];
  /** Processes of these uids belong to them, whatever they call themselves. */
  uids?: { first: number; count: number };
  /** Folders whose entries must not carry a mark (`live/`, a temp folder). */
  folders?: readonly string[];
}

export type LeftoverKind = 'process' | 'zombie' | 'mount' | 'cgroup' | 'socket' | 'folder';
export interface Leftover {
  kind: LeftoverKind;
  what: string;
}

/** What cannot be read (it ended meanwhile, it is not ours) has nothing to say. */
function quiet<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
const text = (path: string) => quiet(() => readFileSync(path, 'latin1'), '');

export interface ProcessSeen {
  pid: number;
  parent: number;
  uid: number;
  /** R, S, D, T, Z … */
  state: string;
  name: string;
  argv: string[];
}

/** Null when it is gone. */
export function processSeen(pid: number): ProcessSeen | null {
  const status = text(`/proc/${pid}/status`);
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
  if (status === '') return null;
  const line = text(`/proc/${pid}/cmdline`);
  return {
    pid,
    parent: Number(field('PPid')),
    uid: Number(field('Uid')),
    state: field('State'),
    name: field('Name'),
    argv: line === '' ? [] : line.replace(/\0$/, '').split('\0'),
  };
}

export function processesSeen(): ProcessSeen[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processSeen(Number(name)) ?? []);
}

/** Processes of the machine whose command line has this text; never the one that asks. */
export const processesWith = (mark: string): ProcessSeen[] =>
  processesSeen().filter(({ pid, argv }) => pid !== process.pid && argv.some((one) => one.includes(mark)));

function foldersBelow(root: string): string[] {
  const entries = quiet(() => readdirSync(root, { withFileTypes: true }), []);
  return entries
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(root, entry.name), ...foldersBelow(join(root, entry.name))]);
}

/** Everything of these traces that is on the machine now. */
export function leftovers({ marks, uids, folders = [] }: Traces): Leftover[] {
  const marked = (value: string) => marks.some((mark) => value.includes(mark));
  const found: Leftover[] = [];
  for (const seen of processesSeen()) {
    const { pid, uid, state, name, argv } = seen;
    if (pid === process.pid) continue;
    const links = ['cwd', 'root', 'exe'].map((link) => quiet(() => readlinkSync(`/proc/${pid}/${link}`), ''));
    const theirs = uids !== undefined && uid >= uids.first && uid < uids.first + uids.count;
    if (!theirs && !marked([...argv, text(`/proc/${pid}/environ`), ...links].join('\0'))) continue;
    found.push({
      kind: state === 'Z' ? 'zombie' : 'process',
      what: `${pid} ${name} ${state} uid ${uid}: ${argv.join(' ')}`.slice(0, 300),
    });
  }
  const lines = (path: string) => text(path).split('\n');
  for (const line of lines('/proc/self/mountinfo')) if (marked(line)) found.push({ kind: 'mount', what: line });
  for (const line of lines('/proc/net/unix')) if (marked(line)) found.push({ kind: 'socket', what: line });
  for (const path of foldersBelow('/sys/fs/cgroup')) if (marked(path)) found.push({ kind: 'cgroup', what: path });
  for (const folder of folders)
    for (const name of quiet(() => readdirSync(folder), []))
      if (marked(name)) found.push({ kind: 'folder', what: join(folder, name) });
  return found;
}

/**
 * Rejects with the list when something is left. A zombie is nothing but a row in the table until init reads it: those get
 * time, everything else has to be gone now.
 */
export async function nothingLeft(traces: Traces, zombiesMs = 8_000): Promise<void> {
  const end = performance.now() + zombiesMs;
  for (;;) {
    const found = leftovers(traces);
    const lasting = found.filter(({ kind }) => kind !== 'zombie');
    if (found.length === 0) return;
    if (lasting.length > 0 || performance.now() > end)
      throw new Error(`Left behind:\n${found.map(({ kind, what }) => `  ${kind} ${what}`).join('\n')}`);
    await delay(50);
  }
}

/** For an end nobody reports (a killed daemon): as nothingLeft, but everything gets `withinMs` to go. */
export async function soonNothingLeft(traces: Traces, withinMs: number): Promise<void> {
  const end = performance.now() + withinMs;
  while (leftovers(traces).length > 0 && performance.now() < end) await delay(20);
  await nothingLeft(traces, 0);
}
