// The vocabulary: the nouns every room shares. Types only, no behaviour.
import type { Mandate } from './schedules.ts';

/** Epoch milliseconds; every stored time. */
export type Millis = number;
/** Prefixed and sorted by time: `sesn_…`, `sevt_…`, `run_…`. */
export type Id = string;

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Where something was said and where an answer goes. Web addresses have no outbox: the console reads the log. */
export interface Address {
  channel: string;
  chat: string;
  thread?: string;
}

/** Whose words these are. Bound to an immutable platform id, never to a display name. */
export interface Sender {
  channel: string;
  userId: string;
  /** Shown to people, quoted, never trusted. */
  name?: string;
}

export type Trust = 'owner' | 'guest' | 'group';
export type Role = 'owner' | 'guest';

export interface TextBlock {
  type: 'text';
  text: string;
}
export interface ImageBlock {
  type: 'image';
  source: { type: 'base64'; media_type: string; data: string };
}
export type ContentBlock = TextBlock | ImageBlock;

// ---------------------------------------------------------------- sessions and events

export type SessionStatus = 'idle' | 'running' | 'rescheduling' | 'terminated';

export type StopReason =
  | { type: 'end_turn' }
  | { type: 'requires_action'; event_ids: Id[] }
  | { type: 'retries_exhausted' }
  | { type: 'budget_reached' };

export interface Session {
  id: Id;
  kind: 'chat' | 'task';
  title: string | null;
  status: SessionStatus;
  stopReason: StopReason | null;
  trust: Trust;
  agentId: Id;
  agentVersion: number;
  environmentId: Id;
  metadata: Record<string, string>;
  /** Rises with each run that takes the session; a commit of an older generation is refused. */
  generation: number;
  /** The highest position used in this session's log. */
  lastSeq: number;
  createdAt: Millis;
  updatedAt: Millis;
  archivedAt: Millis | null;
}

/**
 * One immutable row of a session's log.
 * `seq` is where it was stored; `position` is where the harness read it (null: still queued). The conversation, and every
 * listing, is ordered by position; an event that was never queued has position = seq.
 */
export interface LogEvent<P extends JsonObject = JsonObject> {
  id: Id;
  sessionId: Id;
  seq: number;
  position: number | null;
  type: string;
  payload: P;
  createdAt: Millis;
  processedAt: Millis | null;
  /** Who caused it: the run that wrote it, the person it came from. */
  runId: Id | null;
  origin: Origin | null;
  /** Set when the text comes from outside the owner's own words (web, files, groups, tools). */
  tainted: boolean;
}

/** Where an input came from; stored beside the event, outside the payload the API serves. */
export interface Origin {
  sender: Sender;
  address: Address;
  role: Role | 'group' | 'system';
  /** Set when a schedule began it: what the turn may do without asking, and its limits. */
  mandate?: Mandate;
}

// ---------------------------------------------------------------- intake

export type InboundBody =
  | { type: 'message'; content: ContentBlock[] }
  | { type: 'interrupt' }
  | { type: 'confirmation'; toolUseId: Id; result: 'allow' | 'deny'; denyMessage?: string }
  | { type: 'custom_tool_result'; toolUseId: Id; content: ContentBlock[]; isError: boolean };

/** Something a person or program said to Steward, before anyone knows whether it may. */
export interface Inbound {
  /** Unique per origin (`telegram:<bot>:<update>`, `http:<client>:<key>`): the same one twice is one event. */
  dedupe: string;
  sender: Sender;
  address: Address;
  /** True for a chat with more than two parties. */
  group: boolean;
  /** Set by callers that already hold a session (HTTP); otherwise the address decides. */
  sessionId?: Id;
  /** True when part of the text is not the sender's own words (a forward, a quoted third person). Groups always count so. */
  tainted?: boolean;
  body: InboundBody;
}

export type Accepted =
  | { kind: 'stored'; eventId: Id; sessionId: Id; duplicate: boolean }
  /** Nothing was stored but the pairing itself; `code` is set when a reply is due (at most one an hour). */
  | { kind: 'stranger'; code: string | null; expiresAt: Millis }
  | { kind: 'refused'; why: string };

// ---------------------------------------------------------------- outbox and channels

export type OutboundBody =
  | { kind: 'text'; markdown: string }
  /** A file of the blob store. */
  | { kind: 'file'; blob: string; name: string; mediaType: string; caption?: string }
  | { kind: 'approval'; toolUseId: Id; title: string; detail: string; why: string; expiresAt: Millis }
  /** For programs: what happened, as JSON. Only the channel `webhook` takes it. */
  | { kind: 'webhook'; type: string; at: Millis; data: JsonObject }
  /** Replaces the buttons of the card sent for `toolUseId` by its outcome. */
  | { kind: 'approval_closed'; toolUseId: Id; title: string; verdict: string };

/** One row of the outbox as a channel sees it. */
export interface Delivery {
  /** Stable over retries: use it as the platform's idempotency key where it has one. */
  id: Id;
  sessionId: Id;
  address: Address;
  body: OutboundBody;
  /** A message that already stands in the chat for this row (placeholder or card): edit it instead of sending. */
  externalId: string | null;
  /** True when an earlier try may have reached the person: mark the text visibly as a possible repeat. */
  mayRepeat: boolean;
}

/** How a try ended. `unknown` is never retried blindly; research and rule: docs/delivery in ARCHITECTURE. */
export type DeliveryOutcome =
  | { kind: 'sent'; externalId: string | null }
  /** The platform surely did not take it: safe to try again. `retryAfterMs` is obeyed exactly. */
  | { kind: 'not_sent'; why: string; retryAfterMs?: Millis }
  /** The request left and no answer came: in doubt. */
  | { kind: 'unknown'; why: string }
  /** The platform refuses for good (blocked by the user, chat gone). */
  | { kind: 'refused'; why: string };

export interface DeliveryContext {
  signal: AbortSignal;
  /**
   * Persist the id of a message that now stands in the chat for this row, before going on.
   * After it a crash or a lost answer is no longer in doubt: the row is finished by an idempotent edit.
   */
  placed(externalId: string): void;
}

/** What a run shows while it works. Lossy: never a source of truth. */
export type Progress = { kind: 'working' } | { kind: 'text'; text: string } | { kind: 'ended' };

export interface ChannelHealth {
  name: string;
  /** `off` = not configured, `starting` = no success yet, `ok`, `failing` = progress is overdue. */
  state: 'off' | 'starting' | 'ok' | 'failing';
  /** One sentence for a person: what is wrong and what to do, or who we are (`@my_bot`). */
  detail: string;
  lastSuccessAt: Millis | null;
}

/** A way in and out. A factory returns this object; no base class, no self-registration. */
export interface Channel {
  readonly name: string;
  /** Cuts a long answer into messages the platform takes; one outbox row each. */
  split?(markdown: string): string[];
  /**
   * Kinds whose content only ever travels by an idempotent edit after `placed`: for them a lost answer or a crash
   * is never in doubt, so a retry needs no mark.
   */
  readonly settledByEdit?: ReadonlySet<OutboundBody['kind']>;
  /** The other side drops what it has already, by `Delivery.id`: no retry is ever in doubt. */
  readonly keyed?: boolean;
  /** Resolves once it is receiving (or will retry by itself); throws only for a configuration no retry can mend. */
  start(): Promise<void>;
  /** Leaves nothing behind: no timer, no socket, no poll in flight. */
  stop(): Promise<void>;
  /** Sends or finishes one outbox row. Calls for one chat never overlap. Never throws. */
  deliver(item: Delivery, context: DeliveryContext): Promise<DeliveryOutcome>;
  /** Typing, partial text; best effort, must return at once. */
  progress(address: Address, sessionId: Id, progress: Progress): void;
  health(now: Millis): ChannelHealth;
}

// ---------------------------------------------------------------- models

export interface ModelUsage {
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
}

/** A block of a finished model answer. Tool input that did not parse arrives as `input: null` with the raw text. */
export type AnswerBlock =
  | { type: 'text'; text: string }
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'redacted_thinking'; data: string }
  | { type: 'tool_use'; name: string; input: JsonObject | null; raw?: string };

export type ModelMessageBlock =
  | { type: 'text'; text: string }
  | ImageBlock
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'redacted_thinking'; data: string }
  | { type: 'tool_use'; id: Id; name: string; input: JsonObject }
  | { type: 'tool_result'; tool_use_id: Id; content: ContentBlock[]; is_error: boolean };

export interface ModelMessage {
  role: 'user' | 'assistant';
  content: ModelMessageBlock[];
}

export interface ToolDefinition {
  name: string;
  description: string;
  input_schema: JsonObject;
}

export interface ModelRequest {
  model: string;
  system: string;
  messages: ModelMessage[];
  tools: ToolDefinition[];
  /** Upper bound of the answer, tokens. */
  maxTokens: number;
}

export type ModelFailure =
  /** Nothing answered: refused, DNS, timeout before the first byte. */
  | 'unreachable'
  | 'overloaded'
  | 'rate_limited'
  /** 401, 403, billing: a person has to act. */
  | 'refused'
  /** The server rejects this request and would reject it again. */
  | 'invalid'
  /** The watchdog ended a stream that stopped making progress, or that never ended. */
  | 'stalled'
  /** The stream broke off in the middle. */
  | 'cut'
  /** A complete answer with nothing in it. */
  | 'empty'
  | 'aborted';

export type ModelEvent =
  | { type: 'delta'; text: string }
  | { type: 'thinking' }
  /** A call of this tool begins; its arguments are still to come. */
  | { type: 'tool'; name: string }
  /** Always the last event, exactly once. */
  | { type: 'end'; outcome: ModelOutcome };

export type ModelOutcome =
  | { kind: 'done'; blocks: AnswerBlock[]; stopReason: string; usage: ModelUsage }
  | {
      kind: 'failed';
      failure: ModelFailure;
      message: string;
      retryAfterMs?: Millis;
      partialText: string;
      usage: ModelUsage;
    };

/**
 * A model behind a wire. Contract: `stream` must not throw or reject; every failure is the `end` event.
 * It makes one request and no retries of its own: retry, failover and budget belong to the brain.
 */
export interface ModelProvider {
  readonly name: string;
  stream(request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelEvent>;
}

// ---------------------------------------------------------------- tools

/** What a repeat after a crash may do: see the effect table in ARCHITECTURE. */
export type Effect = 'pure' | 'keyed' | 'verifiable' | 'unsafe';

/** What a tool call would do to the world, as policy sees it. */
export type Action =
  | { type: 'send'; to: Address | 'here'; what: 'message' | 'file' }
  | { type: 'fetch'; host: string }
  /** Works in the session's sandbox; `hosts` are those the command wants to reach. `isolated` is false under STEWARD_SANDBOX=none. */
  | { type: 'hands'; hosts: readonly string[]; isolated: boolean }
  /** Works on what this conversation's scope remembers; `text` is what would be known from then on. */
  | { type: 'memory'; what: 'search' | 'forget' }
  | { type: 'memory'; what: 'save'; tier: 'identity' | 'state' | 'reference'; text: string }
  /** Works on what is due later; a guest's reaches the guest's own schedules alone. */
  | { type: 'schedule'; what: 'list' }
  | { type: 'schedule'; what: 'cancel' }
  /** `to`: where results go; `grants`: what its runs may then do without asking. */
  | {
      type: 'schedule';
      what: 'create';
      starts: 'message' | 'prompt';
      to: Address | 'here';
      grants: { hosts: readonly string[]; tools: readonly string[]; recipients: readonly Address[] };
    }
  /** Works on code tasks. `what: 'look'` changes nothing. */
  | { type: 'task'; what: 'look' | 'steer' | 'cancel' }
  /** `hosts`: those its agent may reach. */
  | { type: 'task'; what: 'create'; repository: string; hosts: readonly string[] }
  | { type: 'tool'; name: string };

export interface ToolResult {
  content: ContentBlock[];
  isError?: boolean;
  /** True when the content comes from outside: the session is tainted from here on. */
  tainted?: boolean;
}
