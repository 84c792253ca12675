// Reads the tree of processes below a pid from /proc. Costs what that tree is long, not what the machine runs.
import { readdirSync, readFileSync, statfsSync } from 'node:fs';

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended between two looks.
    return '';
  }
}

/** Children of all threads of a process; null where the kernel does not tell (CONFIG_PROC_CHILDREN). */
function childrenOf(pid: number): number[] | null {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  const all: number[] = [];
  for (const thread of threads) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim();
      if (text !== '') all.push(...text.split(' ').map(Number));
    } catch (error) {
      if (
        (error as NodeJS.ErrnoException).code === 'ENOENT' &&
        thread === String(pid) &&
        read(`/proc/${pid}/stat`) !== ''
      )
        return null;
    }
  }
  return all;
}

/** pid → its children, for every process of the machine. */
function wholeTable(): Map<number, number[]> {
  const table = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (!parent) continue;
    const children = table.get(parent);
    if (children) children.push(Number(name));
    else table.set(parent, [Number(name)]);
  }
  return table;
}

/**
 * The pid and everything below it, at most `most`. Complete for a pid namespace when the pid is its first process:
 * whoever loses its parent in there is given to that one.
 */
export function treeOf(pid: number, most = 20_000): number[] {
  const found = [pid];
  let table: Map<number, number[]> | null = null;
  for (let at = 0; at < found.length && found.length < most; at++) {
    const next = found[at]!;
    let children = table ? (table.get(next) ?? []) : childrenOf(next);
    if (children === null) {
      table = wholeTable();
      children = table.get(next) ?? [];
    }
    found.push(...children);
  }
  return found;
}

export interface TreeUse {
  pids: number;
  /** Resident, shared pages counted once per process. */
  rssBytes: number;
  cpuTicks: number;
  /** In state R: at work, or waiting for its turn on a processor. */
  runnable: number;
  /** In state D: no signal reaches it. */
  blocked: number;
}

export function useOf(pids: readonly number[]): TreeUse {
  let kilobytes = 0;
  let ticks = 0;
  let alive = 0;
  let runnable = 0;
  let blocked = 0;
  for (const pid of pids) {
    const stat = read(`/proc/${pid}/stat`);
    if (stat === '') continue;
    const field = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (field[0] === 'Z' || field[0] === 'X') continue;
    alive++;
    if (field[0] === 'R') runnable++;
    if (field[0] === 'D') blocked++;
    // utime, stime and those of reaped children.
    for (const at of [11, 12, 13, 14]) ticks += Number(field[at]);
    kilobytes += Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
  }
  return { pids: alive, rssBytes: kilobytes * 1024, cpuTicks: ticks, runnable, blocked };
}

/** Like rssBytes, each shared page divided among those who share it; reads much more. 0 where it may not be read. */
export function fairBytes(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids) kilobytes += Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  return kilobytes * 1024;
}

/**
 * Bytes that went into files on disk since these processes and those they reaped began. Does not know of space that was
 * reserved without being written.
 */
export function writtenBytes(pids: readonly number[]): number {
  let bytes = 0;
  for (const pid of pids) bytes += Number(/^write_bytes: (\d+)/m.exec(read(`/proc/${pid}/io`))?.[1] ?? 0);
  return bytes;
}

/** Bytes these processes and those they reaped read and wrote, by whatever call; null where nobody may look. */
export function movedBytes(pids: readonly number[]): number | null {
  let bytes: number | null = null;
  for (const pid of pids)
    for (const [, count] of read(`/proc/${pid}/io`).matchAll(/^[rw]char: (\d+)/gm))
      bytes = (bytes ?? 0) + Number(count);
  return bytes;
}

/** What is in the sandbox's own tmpfs; the root in there cannot be written, so these names are what they were made as. */
export function tmpfsBytes(pid: number): number {
  return ['tmp', 'dev/shm'].reduce((sum, name) => {
    try {
      const { blocks, bfree, bsize } = statfsSync(`/proc/${pid}/root/${name}`);
      return sum + (blocks - bfree) * bsize;
    } catch {
      return sum;
    }
  }, 0);
}
