// How a finished task leaves the sandbox: the contract between the outer loop and whoever delivers. Types only.
import type { Task, TaskResult } from '../../core/tasks.ts';
import type { JsonObject } from '../../core/types.ts';
import type { Sandbox } from '../driver.ts';

/** Something about a change that the person who approves it should see first. */
export interface Finding {
  /** `secret`, `forbidden_path`, `lockfile`, `ci`, `size`, … */
  kind: string;
  path: string | null;
  /** One sentence. */
  text: string;
}

/** The change as it stands when approval is asked for. */
export interface Prepared {
  /** Commit of the work branch. */
  head: string;
  /** Of exactly what would leave. */
  digest: string;
  /** `git diff --stat`, shortened. */
  diffstat: string;
  files: number;
  insertions: number;
  deletions: number;
  findings: Finding[];
}

/** What was approved. */
export interface Approved {
  head: string;
  digest: string;
}

export type Delivered = Pick<TaskResult, 'pushed' | 'pullRequest' | 'patch'>;

export interface Deliver {
  /**
   * Takes what would leave out of the sandbox and keeps it on the host under its digest, so that what is approved is what is
   * delivered, whatever happens to the sandbox. The same commit again gives the same digest.
   */
  prepare(task: Task, hand: { sandbox: Sandbox }, signal: AbortSignal): Promise<Prepared>;
  /** What an earlier try has done already, or null. Changes nothing. */
  look(task: Task, approved: Approved, signal: AbortSignal): Promise<Delivered | null>;
  /** At most once in effect: looks first. `retryable` errors may be tried again; `conflict`: what was approved is not there any more. */
  deliver(task: Task, approved: Approved, signal: AbortSignal): Promise<Delivered>;
  /** A patch of what stands on the branch, for a task that ends without an approval; null when nothing does. Nothing leaves the machine. */
  keep(task: Task, hand: { sandbox: Sandbox }, signal: AbortSignal): Promise<string | null>;
}

/** Arguments of the call `task_deliver`, which is what the owner approves. */
export interface DeliverCall extends JsonObject {
  task_id: string;
  repository: string;
  branch: string;
  base: string;
  head: string;
  digest: string;
  delivery: string;
  diffstat: string;
  verify: string[];
  findings: string[];
}
