// What the rest of Steward needs to know about schedules: the nouns, and what the API, commands and tools may do with them.
import type { Address, Id, JsonObject, Millis, Trust } from './types.ts';

// ---------------------------------------------------------------- when

/** A rule in time. Every kind names a zone: it is what times are shown in, and for `cron` what they mean. */
export type Rule =
  /** Five fields, read on the wall clock of the zone. */
  | { kind: 'cron'; expression: string; timeZone: string }
  /** Elapsed time: `anchor`, `anchor + every`, … whatever clocks on walls do. */
  | { kind: 'interval'; every: Millis; anchor: Millis; timeZone: string }
  | { kind: 'once'; at: Millis; timeZone: string }
  /** No slot of its own: run by hand, or by a webhook. */
  | { kind: 'manual'; timeZone: string };

/** A point in time at which a schedule is due. */
export interface Slot {
  at: Millis;
  /**
   * Unique within its schedule, for ever: local wall time (`2026-10-25T02:30`) for fixed times, so that an hour that comes
   * twice is one slot; the instant (`2026-10-25T00:30:00Z`) for what follows elapsed time.
   */
  key: string;
}

/** What becomes of slots that passed while nobody looked: of those within the window the newest, none, or all (ten at most). */
export type CatchUp = 'latest' | 'none' | 'all';
/** What happens to a slot while an earlier run of the same schedule is still at work. */
export type Overlap = 'skip' | 'queue' | 'replace';

// ---------------------------------------------------------------- what

export const JOBS = ['brief', 'consolidation', 'backup', 'sandbox_sweep', 'retention'] as const;
export type JobName = (typeof JOBS)[number];

export type Starts =
  /** Words for the model. `own`: a fresh session for each run; `main`: the owner's shared conversation. */
  | { kind: 'prompt'; text: string; session: 'main' | 'own' }
  /** A plain message that needs no model. */
  | { kind: 'message'; text: string }
  | { kind: 'job'; job: JobName }
  /** A code task, as `POST /api/tasks` takes it. */
  | { kind: 'task'; task: JsonObject }
  /** A Managed Agents deployment: a fresh session of this agent and environment, begun with these events. */
  | { kind: 'deployment'; agentId: Id; agentVersion: number; environmentId: Id; initialEvents: JsonObject[] };

/** Looked at before a run starts; the model is asked only when one of them has something new. All cost no token. */
export type Condition =
  /** In a sandbox; new when its exit code or output differs from the last look. */
  | { kind: 'command'; command: string }
  /** New when the status or the body differs. */
  | { kind: 'http'; url: string }
  /** A file in Steward's files folder; new when it appeared, changed or went. */
  | { kind: 'file'; path: string }
  /** New when memory has an answer that it had not at the last look. */
  | { kind: 'memory'; query: string }
  /** New when an open loop is due that was not told yet. */
  | { kind: 'loops' };

/** What a run may do without asking; shown and approved once, when the schedule is made or changed. */
export interface Grants {
  hosts: string[];
  tools: string[];
  recipients: Address[];
}

/** Wall-clock times `22:00`; a span that ends before it begins goes over midnight. */
export interface QuietHours {
  from: string;
  to: string;
}

// ---------------------------------------------------------------- schedules and their runs

export interface ScheduleDraft {
  name: string;
  rule: Rule;
  starts: Starts;
  /** Where results go; null: the owner's private chat that was used last, or the console alone. */
  target: Address | null;
  /** A model of its own, by name; null: the configured ones. */
  model: string | null;
  harness: string | null;
  /** The most a run may cost; null: only the day's budget. */
  budgetUsd: number | null;
  overlap: Overlap;
  catchUp: CatchUp;
  /** How old a missed slot may be to be made up for; null: the default for its rule (`windowOf`). */
  windowMs: Millis | null;
  /** Each run starts up to so much later, by the same amount each time for one schedule. */
  jitterMs: Millis;
  /** Of runs due at the same time the higher goes first. */
  priority: number;
  quiet: QuietHours | null;
  /** Waits until no conversation is active, an hour at most. */
  idleOnly: boolean;
  conditions: Condition[];
  grants: Grants;
  /** No slot after it. */
  endsAt: Millis | null;
  description: string | null;
  metadata: Record<string, string>;
}

/** Why it does not run; non-recoverable errors pause a schedule by themselves. */
export type PausedReason =
  | { kind: 'manual' }
  | { kind: 'failing'; streak: number; why: string }
  | { kind: 'error'; code: 'agent_archived' | 'environment_archived' | 'target_gone' | 'unknown'; why: string };

export interface Schedule extends ScheduleDraft {
  id: Id;
  /** `ended`: no slot is left (a `once` that ran, an end date that passed). */
  state: 'active' | 'paused' | 'ended' | 'archived';
  paused: PausedReason | null;
  /** With whose rights it acts: its creator's. */
  trust: Trust;
  /** `telegram:42`, `web:console`, `steward:built-in`, … */
  createdBy: string;
  /** The session whose conversation it was made in; null: not in one. */
  sessionId: Id | null;
  /** Rises with each change. */
  revision: number;
  next: Slot | null;
  failures: number;
  lastRunAt: Millis | null;
  createdAt: Millis;
  updatedAt: Millis;
  archivedAt: Millis | null;
}

export type RunState =
  /** Its slot is taken; it waits for what `reason` says (quiet hours, a busy conversation, an earlier run). */
  | 'waiting'
  | 'running'
  | 'succeeded'
  | 'failed'
  /** Did not run on purpose: overlap, a condition without news, paused in between. */
  | 'skipped'
  /** Steward was not up, and the slot was too old or made up for by a later one. */
  | 'missed'
  /** Ended by the owner or replaced by the next run. */
  | 'cancelled';

/** One row per due slot, and one per run by hand. */
export interface ScheduleRun {
  id: Id;
  scheduleId: Id;
  slot: Slot;
  trigger: 'schedule' | 'catch_up' | 'manual' | 'webhook';
  state: RunState;
  /** Why it is as it is, in words; null when there is nothing to say. */
  reason: string | null;
  /** Counted before it starts. */
  attempts: number;
  /** Earlier slots that this run makes up for as well. */
  missedBefore: number;
  sessionId: Id | null;
  /** The event that began it. */
  eventId: Id | null;
  startedAt: Millis | null;
  endedAt: Millis | null;
  costUsd: number | null;
  /** What it said in the end, shortened. */
  result: string | null;
  createdAt: Millis;
}

/** Who asks for a change: decides what it may contain. */
export interface Author {
  trust: Trust;
  /** As `Schedule.createdBy`. */
  by: string;
  sessionId: Id | null;
  /** Where the wish was said: the default target. */
  here: Address | null;
}

/** What a turn that a schedule began may do and cost; in the origin of its first event, so that the API never takes or shows it. */
export interface Mandate {
  scheduleId: Id;
  runId: Id;
  /** Of the schedule, for people. */
  name: string;
  grants: Grants;
  /** Nobody looks on: what would be asked and was not granted is denied. */
  unattended: boolean;
  model: string | null;
  budgetUsd: number | null;
  /** For a late run, before its first answer: `scheduled 07:30, now 08:10, 1 missed`. */
  label: string | null;
}

/** What a webhook brought: words from outside, laid beside the prompt. The same `dedupe` is the same run. */
export interface RunInput {
  dedupe: string;
  text: string;
}

export interface Upcoming {
  slot: Slot;
  /** In the zone of the schedule: `Mon 2026-12-07 07:30 Europe/Berlin`. */
  local: string;
}

/** What the API, the command line, chat commands and tools offer. Methods throw StewardError; ids that are not there `not_found`. */
export interface SchedulesApi {
  /** Throws `invalid` with one sentence per problem, `forbidden` for what its author may not ask. Nothing half-made. */
  create(draft: Partial<ScheduleDraft> & Pick<ScheduleDraft, 'name' | 'rule' | 'starts'>, author: Author): Schedule;
  update(id: Id, change: Partial<ScheduleDraft>, author: Author): Schedule;
  get(id: Id): Schedule | null;
  need(id: Id): Schedule;
  /** The newest first. */
  list(query: { limit: number; after?: Id; includeArchived?: boolean; state?: Schedule['state'] }): Schedule[];
  pause(id: Id, reason: PausedReason): Schedule;
  /** The next slot is the first from now on; what passed meanwhile is not made up for. */
  resume(id: Id): Schedule;
  /** Ends it for good; its rows stay. */
  archive(id: Id): Schedule;
  /** A run by hand, also of a paused one; for a webhook with what it brought. */
  runNow(id: Id, trigger: 'manual' | 'webhook', input?: RunInput): ScheduleRun;
  /** The next `limit` slots as if it were active. */
  upcoming(id: Id, limit: number): Upcoming[];
  /** Of a rule that is not a schedule yet; `jitter` is not in it. */
  preview(rule: Rule, limit: number): Upcoming[];
  runs(query: {
    scheduleId?: Id;
    limit: number;
    before?: Id;
    since?: Millis;
    states?: readonly RunState[];
  }): ScheduleRun[];
  run(id: Id): ScheduleRun | null;
  /** Explains what happened on a local day (`2026-12-01`), from the rows: each run, or why there was none. */
  why(id: Id, day: string): string;
  /** Reads `in 20 minutes`, `every weekday at 7:30`, `tomorrow at 9`, `30 7 * * 1-5`. Throws `invalid` and says what can be read. */
  readWhen(words: string, options?: { timeZone?: string }): Rule;
}
