// What the rest of Steward needs to know about code tasks: the nouns, and what the API, commands and tools may do with them.
import type { Author } from './schedules.ts';
import type { Address, Id, Millis, Trust } from './types.ts';

/**
 * Where a task stands. `working` and `verifying` may alternate; `awaiting_approval` waits for the owner and nothing else;
 * the last four are for ever. Which step may follow which is a table in sandboxes/tasks/states.ts.
 */
export const TASK_STATES = [
  'queued',
  'provisioning',
  'setup',
  'working',
  'verifying',
  'awaiting_approval',
  'delivering',
  'done',
  'handed_off',
  'cancelled',
  'failed',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** The most a task may use. */
export interface TaskLimits {
  /** From its first step to its end, pauses and waiting for the owner not counted. */
  wallMs: Millis;
  /** Answers of the model, or turns of the harness. */
  turns: number;
  /** Null: only the budget of the day. */
  costUsd: number | null;
  /** Runs of the harness that may die or get stuck before it is handed off. */
  attempts: number;
}

/**
 * How the branch leaves. `auto`: a pull request where the host is known and there is a token for it, else a pushed branch,
 * else a patch. `patch`: a file in Steward's files folder.
 */
export type TaskDelivery = 'auto' | 'pull_request' | 'branch' | 'patch';

export interface TaskDraft {
  /** An https, http or ssh address, `user@host:path`, or the absolute path of a folder. Never with credentials. */
  repository: string;
  /** Branch, tag or commit; null: the repository's own default. */
  base: string | null;
  instruction: string;
  /** Shell lines, run once before the agent; package registries may be reached. */
  setup: string[];
  /** Shell lines that must all end with 0. Run by Steward, after the agent says it is done, as they are here. */
  verify: string[];
  /** By name; null: the configured one. */
  harness: string | null;
  model: string | null;
  limits: TaskLimits;
  delivery: TaskDelivery;
  /** Hosts the agent may reach beside none. */
  hosts: string[];
  /** JSON schema of `result.json` that the agent is asked to write; null: none. */
  resultSchema: import('./types.ts').JsonObject | null;
}

/** What somebody asks for; the rest is as usual. */
export type TaskWish = Pick<TaskDraft, 'repository' | 'instruction'> &
  Partial<Omit<TaskDraft, 'limits'>> & { limits?: Partial<TaskLimits> };

/** One line of setup or verify, as it ended. */
export interface CommandReport {
  command: string;
  /** Null when a signal ended it. */
  code: number | null;
  limited: 'output' | 'time' | null;
  tookMs: Millis;
  /** The end of both streams, as they came; secrets are struck out. */
  output: string;
}

export interface TaskResult {
  branch: string;
  /** Null: nothing was committed. */
  head: string | null;
  pullRequest: { url: string; number: number; updated: boolean } | null;
  /** The branch stands at the repository's `origin`. */
  pushed: boolean;
  /** Path of the patch file below Steward's files folder. */
  patch: string | null;
  /** `git diff --stat` of base to head, shortened. */
  diffstat: string;
  files: number;
  insertions: number;
  deletions: number;
  verify: CommandReport[];
  approvals: { id: Id; title: string; verdict: string }[];
  deniedActions: { name: string; why: string }[];
  deniedHosts: string[];
  checkpoints: number;
  usage: { input_tokens: number; output_tokens: number };
  /** Null: at least one request had no known price. */
  costUsd: number | null;
  /** Time at work; overlapping counts once, waiting does not count. */
  activeSeconds: number;
  /** Made from the log, never from what an agent says of itself. */
  summary: string;
  /** Of a hand-off: what was tried, what failed, and the state of the repository. */
  handoff: string | null;
}

export interface Task extends TaskDraft {
  id: Id;
  sessionId: Id;
  /** `steward/<id>-<slug>`; the only one it may write. */
  branch: string;
  title: string;
  state: TaskState;
  /** Why it is where it is, for people; null when the state says it all. */
  reason: string | null;
  /** Set while nothing goes on: by the owner, or by the monitor. The state is where it goes on from. */
  paused: string | null;
  /** Of the harness, counted before it starts. */
  attempts: number;
  /** Rounds of verify that failed and were given back to the agent. */
  rounds: number;
  baseCommit: string | null;
  head: string | null;
  trust: Trust;
  createdBy: string;
  /** Where it was asked for, and where its card and result go; null: the console alone. */
  target: Address | null;
  result: TaskResult | null;
  createdAt: Millis;
  startedAt: Millis | null;
  /** Of the state. */
  since: Millis;
  lastProgressAt: Millis;
  endedAt: Millis | null;
}

export interface TaskCheckpoint {
  id: Id;
  at: Millis;
  /** What changed since the one before, at most 200 paths. */
  changes: { path: string; kind: string }[];
  /** Of the work branch at that point, when it is known. */
  head: string | null;
}

/** What the API, the command line, chat commands and tools offer. Methods throw StewardError; ids that are not there `not_found`. */
export interface TasksApi {
  /** Throws `invalid` with one sentence per problem, `forbidden` for what its author may not ask. The same key is the same task. */
  create(wish: TaskWish, author: Author, options?: { idempotencyKey?: string }): { task: Task; isNew: boolean };
  get(id: Id): Task | null;
  need(id: Id): Task;
  /** The newest first. `open`: those that have not ended. */
  list(query: { limit: number; before?: Id; open?: boolean }): Task[];
  /** Words for the agent at work; an ended task (but a cancelled one) goes on with them. */
  steer(id: Id, text: string, author: Author): Task;
  pause(id: Id, why: string): Task;
  resume(id: Id): Task;
  /** Ends it; what stands on the branch is kept as a patch in the result. */
  stop(id: Id, why: string): Task;
  checkpoints(id: Id): TaskCheckpoint[];
  /** Back to the files of that checkpoint; the agent hears of it and goes on from there. */
  rollback(id: Id, checkpointId: Id): Promise<Task>;
  /** The whole change against its base as a unified diff, at most 1 MB. Throws `unavailable` when there is none yet. */
  diff(id: Id): Promise<string>;
}
