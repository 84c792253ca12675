// Stops and continues a tree of processes by signals, where no control group can freeze it.
import { readFileSync } from 'node:fs';
import { treeOf } from './procfs.ts';

function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  } catch {
    return '';
  }
}

function send(pid: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended meanwhile.
  }
}

/**
 * Stops the tree below `pid` and gives back those it stopped. From the top down, again and again until no new one is found:
 * a stopped process starts nobody.
 */
export function stopTree(pid: number): number[] {
  const stopped: number[] = [];
  const known = new Set<number>();
  for (let fresh = true; fresh; ) {
    fresh = false;
    for (const each of treeOf(pid)) {
      if (known.has(each)) continue;
      known.add(each);
      fresh = true;
      // One that was stopped inside stays so afterwards.
      if (stateOf(each) === 'T') continue;
      send(each, 'SIGSTOP');
      stopped.push(each);
    }
  }
  return stopped;
}

/** Only those still below `pid`: another process may have been given a number since. */
export function continueTree(pid: number, stopped: readonly number[]): void {
  const there = new Set(treeOf(pid));
  for (const each of [...stopped].reverse()) if (there.has(each)) send(each, 'SIGCONT');
}
