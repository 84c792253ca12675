// The end of what was launched: every process inside is dead and reaped before anything else of it is removed.
import { setTimeout as after } from 'node:timers/promises';
import { StewardError } from '../../../core/errors.ts';
import type { Millis } from '../../../core/types.ts';
import type { Group } from './cgroup.ts';
import { killExactly, type Launched, startTicksOf } from './launch.ts';
import { useOf } from './procfs.ts';
import type { ProcessName } from './starter.ts';

/** Waits until the process has gone or is only a name in its parent's books. */
async function gone({ pid, startTicks }: ProcessName, withinMs: Millis): Promise<boolean> {
  for (const end = performance.now() + withinMs; startTicksOf(pid) === startTicks; await after(2)) {
    if (useOf([pid]).pids === 0) return true;
    if (performance.now() > end) return false;
  }
  return true;
}

/**
 * Kills the first process inside, and the kernel all others with it; bwrap reaps it and ends, and is reaped by the starter, so
 * that no zombie stays. Throws `internal` when the kernel does not let go of it.
 */
export async function killAll({ inside, bwrap, exited }: Launched, group: Group | null): Promise<void> {
  const ended = (ms: Millis) => Promise.race([exited.then(() => true), after(ms, false, { ref: false })]);
  killExactly(inside);
  // A group of version 1 that is frozen keeps its dead.
  await group?.freeze?.(false).catch(() => {});
  if (!(await ended(2_000))) {
    group?.kill();
    killExactly(bwrap);
    await ended(2_000);
  }
  if (await gone(inside, 5_000)) return;
  throw new StewardError('internal', `Process ${inside.pid} of a sandbox cannot be killed; the kernel holds it.`, {
    op: 'end a sandbox',
    hint: 'If it stays, restart the machine.',
  });
}

/** The last step first. It ends at one that fails: what lives keeps its group, its folder and its uid, for gc to find. */
export async function unwind(undo: (() => unknown)[]): Promise<void> {
  for (let step = undo.pop(); step; step = undo.pop()) await step();
}
