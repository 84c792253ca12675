// What a harness other than our own loop is made of: types only.
import type { Id, JsonObject, LogEvent, ModelUsage } from '../../core/types.ts';
import type { ModelRoute } from '../broker/policy.ts';
import type { Sandbox } from '../driver.ts';
import type { ProgramName } from './programs.ts';

/** What somebody who chooses one may count on. */
export interface Capabilities {
  /** Takes further messages while it works; otherwise they are given to it when it has answered. */
  steering: boolean;
  /** Asks before its calls. Without, the walls of the sandbox are the boundary. */
  approvals: boolean;
  /** Goes on with a conversation of its own after a restart; otherwise it is given the transcript. */
  resume: boolean;
  /** Where its program runs. */
  where: 'sandbox';
}

/** What it did, in the words of no vendor. Ids are the program's own; a call and its result share one. */
export type HarnessEvent =
  /** The conversation as the program knows it, to be gone on with. */
  | { type: 'session'; id: string }
  | { type: 'text'; text: string }
  | { type: 'call'; id: string; name: string; input: JsonObject }
  | { type: 'result'; id: string; text: string; isError: boolean }
  /** A request to its model has ended; the same id again corrects it. */
  | ({ type: 'step'; id: string } & Spent)
  /** It has answered, or says why it cannot. `text`: what it said last, when it was not told before. */
  | { type: 'end'; ok: boolean; text: string | null; total: Spent | null };

/** `costUsd`: by the program's own price list; null when it names none. */
export interface Spent {
  model: string | null;
  usage: ModelUsage;
  costUsd: number | null;
}

/** One piece of work for a harness: from what was said to its answer. */
export interface Work {
  sandbox: Sandbox;
  /** What is asked, as one text; with `transcript` before it when the program does not know the conversation. */
  prompt: string;
  /** What was said and done before, for a program that begins anew; empty when there was nothing. */
  transcript: string;
  /** The program's own name of the conversation it goes on with. */
  resume: string | null;
  /** Null: the program's own choice. */
  model: string | null;
  /** The log since the last rest, and up to which position its changes are in the files (null: all). For `script`. */
  turn: readonly LogEvent[];
  upTo: number | null;
  /** Interrupted, or Steward stops: the program and all it started have to end. */
  signal: AbortSignal;
  /** Takes what is said meanwhile. Returns the way to stop taking it; only called by those that can be steered. */
  onMessage(take: (text: string) => Promise<void>): () => void;
}

/**
 * Carries a turn on. The last event is `end`; ending without one means that it died. Throws `sandbox_lost` when the sandbox went,
 * and StewardError for whatever else keeps it from working.
 */
export interface Adapter {
  name: string;
  capabilities: Capabilities;
  /** What has to be installed; null: nothing. */
  program: ProgramName | null;
  /** The model server it talks to; null: none. */
  door: ModelRoute | null;
  run(work: Work): AsyncIterable<HarnessEvent>;
}

/** How a vendor's program is started and understood. Pure. */
export interface ProgramAdapter extends Omit<Adapter, 'run' | 'program' | 'door'> {
  program: ProgramName;
  door: ModelRoute;
  /** `bin`: where its program is inside. `text`: what it is to hear first. */
  command(start: { bin: string; text: string; resume: string | null; model: string | null }): {
    argv: string[];
    env: Record<string, string>;
    /** Written to it at once. It is left open for those that can be steered. */
    stdin: string;
    /** Written before it starts, by path. */
    files: Record<string, string>;
  };
  /** One line of its standard output; what cannot be understood is nothing. */
  parse(line: string): HarnessEvent[];
  /** What is written to its input for a further message. */
  steer?(text: string): string;
  /** Its way to end well is to exit with 0; there is no event for it. */
  endsByExit: boolean;
  /** It says that it knows no such conversation: it is started anew. */
  forgot(said: string): boolean;
}

/** Whose conversation the program has: said in the log so that a later life goes on with it. */
export const SESSION_EVENT = 'harness.session';
export const vendorSessionOf = (event: LogEvent): { harness: string; id: Id } | null =>
  event.type === SESSION_EVENT
    ? { harness: String(event.payload.harness), id: String(event.payload.vendor_session_id) }
    : null;
