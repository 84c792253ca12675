// The console's view of the HTTP contract: what /v1 and /api answer. Types only.

export type SessionStatus = 'idle' | 'running' | 'rescheduling' | 'terminated';
export type Trust = 'owner' | 'guest' | 'group';
export type Role = 'owner' | 'guest';

export interface StopReason {
  type: string;
  event_ids?: string[];
}

export interface Session {
  id: string;
  title: string | null;
  status: SessionStatus;
  created_at: string;
  updated_at: string;
  archived_at: string | null;
  agent: { id: string; name: string; model?: { id: string } };
  usage?: { input_tokens?: number; output_tokens?: number; list_cost?: { amount: string; currency: string } | null };
  kind: 'chat' | 'task';
  trust: Trust;
  main: boolean;
  stop_reason: StopReason | null;
  tainted: boolean;
  last_seq: number;
  metadata?: Record<string, string>;
}

/**
 * One event of a log, as it came over the wire. Only the envelope is trusted to be there: everything else is read
 * through fields.ts, because an unknown or redacted event must be shown and never crash the page.
 */
export interface SessionEvent {
  id: string;
  type: string;
  /** Where it was stored. */
  seq: number;
  /** Where it was read: what a conversation is ordered by. Null or missing while queued; else seq where it was never queued. */
  position?: number | null;
  created_at: string;
  /** Null while an input waits in the queue; the same id comes again once it was read. */
  processed_at: string | null;
  [field: string]: unknown;
}

export interface Origin {
  channel: string;
  user_id: string;
  name?: string;
  role?: string;
}

export interface Page<T> {
  data: T[];
  next_page: string | null;
}

export interface Approval {
  /** The id of the agent.tool_use event that waits. */
  id: string;
  session_id: string;
  name: string;
  title: string;
  /** The full arguments; control characters come escaped. */
  detail: string;
  why: string;
  created_at: string;
  expires_at: string;
}

export interface ChannelStatus {
  name: string;
  state: 'off' | 'starting' | 'ok' | 'failing';
  detail: string;
  last_success_at: string | null;
}

/** What a sandbox that was really started showed about this machine. */
export interface HandsStatus {
  driver: string;
  state: 'starting' | 'on' | 'off';
  isolation: string;
  egress_locked: boolean;
  /** By what means each limit holds; null: it does not. */
  limits: Record<string, string | null>;
  findings: { level: 'error' | 'warn'; text: string; fix: string }[];
  detail: string;
  broker: { state: string; detail: string };
  probed_at: string | null;
  alive: number;
}

export interface Status {
  version: string;
  ready: boolean;
  started_at: string;
  safe_mode: null | { since: string; why: string };
  model: {
    configured: string[];
    provider: string;
    state: 'ok' | 'unreachable' | 'unknown';
    detail: string;
    last_success_at: string | null;
  };
  channels: ChannelStatus[];
  hands: HandsStatus;
  main_session_id: string;
  sessions: { running: number; rescheduling: number; total: number };
  approvals_pending: number;
  outbox: { pending: number; oldest_pending_at: string | null; dead: number };
  budget: { day_limit_usd: number; day_spent_usd: number; unpriced_requests: number };
  disk: { state: 'ok' | 'full' };
  notices: { level: 'warn' | 'error'; text: string }[];
}

export interface UsageRow {
  day: string;
  model: string;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cache_read_input_tokens: number;
  cache_creation_input_tokens: number;
  cost_usd: number | null;
}

export interface Usage {
  data: UsageRow[];
  total_usd: number;
  unpriced_models: string[];
}

export interface Pairing {
  code: string;
  channel: string;
  user_id: string;
  name: string | null;
  created_at: string;
  expires_at: string;
}

export interface Identity {
  channel: string;
  user_id: string;
  name: string | null;
  role: Role;
  paired_at: string;
}

export interface Setting {
  key: string;
  label: string;
  secret: boolean;
  set: boolean;
  source: string;
  /** Never present for a secret. */
  value?: string;
  hint: string;
}

export interface CustodyStep {
  step: string;
  at: string;
  detail: string;
}

export type Tier = 'identity' | 'state' | 'reference' | 'session' | 'archive';
/** Whose words: the owner's, the agent's own, anybody else's. */
export type Authority = 'owner' | 'agent' | 'outside';

export interface MemoryItem {
  id: string;
  scope: string;
  tier: Tier;
  kind: string;
  subject: string | null;
  slot: string | null;
  text: string;
  authority: Authority;
  confidence: number;
  pinned: boolean;
  /** In the world. */
  valid_from: string;
  valid_to: string | null;
  /** In the record. */
  recorded_at: string;
  retired_at: string | null;
  retire_reason: string | null;
  superseded_by: string | null;
  expires_at: string | null;
  about: string | null;
  change_id: string;
}

export interface MemorySource {
  event_id: string;
  session_id: string;
  quote: string;
  at: string;
  channel: string | null;
  who: string;
}

export interface MemoryShown extends MemoryItem {
  sources: MemorySource[];
  /** The whole chain it belongs to, oldest first. */
  history: MemoryItem[];
  /** What was made from it. */
  derived: MemoryItem[];
}

export interface MemoryHit {
  kind: 'event' | 'item';
  id: string;
  text: string;
  /** 0 to 1. */
  score: number;
  at: string;
  who: string;
  trust: Authority;
  session_id: string | null;
  channel: string | null;
  tier: Tier | null;
}

export interface MemoryFound {
  data: MemoryHit[];
  weak: boolean;
  degraded: string | null;
  took_ms: number;
}

export interface MemoryChange {
  id: string;
  kind: string;
  at: string;
  event_id: string;
  undone_by: string | null;
  added: string[];
  retired: string[];
  erased: number;
}

export interface MemoryChangeShown extends MemoryChange {
  added_items: MemoryItem[];
  retired_items: MemoryItem[];
}

export interface MemoryQuestion {
  id: string;
  kind: string;
  text: string;
  item: MemoryItem | null;
  created_at: string;
}

export type MemorySaved =
  | { result: 'saved'; item: MemoryItem; superseded: string[] }
  | { result: 'known'; item: MemoryItem }
  | { result: 'asked'; question: MemoryQuestion };

/** What a person writes of an item; what is left out stays, or has a default. */
export interface MemoryDraft {
  text?: string;
  tier?: 'identity' | 'state' | 'reference';
  subject?: string | null;
  slot?: string | null;
}

export interface MemoryForgotten {
  items: number;
  events: number;
  /** What still says it. */
  remains: string[];
}

export interface MemoryStats {
  items: Partial<Record<Tier, number>>;
  indexed: number;
  questions: number;
}

export interface TaskReport {
  command: string;
  code: number | null;
  limited: 'output' | 'time' | null;
  output: string;
}

/** A code task, as /api/tasks shows it. */
export interface Task {
  id: string;
  session_id: string;
  title: string;
  state: string;
  /** Where it stands, in words. */
  says: string;
  paused: string | null;
  repository: string;
  base: string | null;
  branch: string;
  instruction: string;
  attempts: number;
  rounds: number;
  created_at: string;
  last_progress_at: string;
  ended_at: string | null;
  result: {
    pull_request: { url: string; number: number } | null;
    pushed: boolean;
    patch: string | null;
    diffstat: string;
    files: number;
    insertions: number;
    deletions: number;
    verify: TaskReport[];
    denied_hosts: string[];
    cost_usd: number | null;
    active_seconds: number;
    summary: string;
    handoff: string | null;
  } | null;
}

export interface TaskCheckpoint {
  id: string;
  created_at: string;
  changes: { path: string; kind: string }[];
  head: string | null;
}
