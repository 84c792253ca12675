// What the log of a session says of the run at work in it: its last step, what it waits for, its last calls. Pure.
import { argsHash } from '../../core/approvals.ts';
import { answeredBy, textOf } from '../../core/brain/context.ts';
import type { Id, JsonObject, LogEvent, Millis } from '../../core/types.ts';
import { type CallSeen, LOOK_BACK, resultDigest } from './repeats.ts';

export interface LogSigns {
  lastEventAt: Millis | null;
  modelSince: Millis | null;
  asksOwner: boolean;
  /** The turn came to a rest: nothing has to run. */
  rested: boolean;
  /** Finished since anybody last said something, in the order of their ends. */
  calls: readonly CallSeen[];
  /** The last call that was made, as a digest: where it is. `start` before the first. */
  point: string;
  /** Made and without a result. */
  open: ReadonlyMap<Id, { name: string; input: string }>;
}

export const NOTHING_SEEN: LogSigns = {
  lastEventAt: null,
  modelSince: null,
  asksOwner: false,
  rested: false,
  calls: [],
  point: 'start',
  open: new Map(),
};

/** What a run did itself; what others told it, or we noted, is no sign of life. */
const isStep = ({ type }: LogEvent): boolean =>
  type.startsWith('agent.') ||
  type.startsWith('span.') ||
  type.startsWith('session.status_') ||
  type === 'task.status' ||
  type === 'sandbox.started' ||
  type === 'checkpoint.created';

function withCall(seen: LogSigns, { id, payload }: LogEvent): LogSigns {
  const name = String(payload.name ?? 'a call');
  const input = argsHash('', name, (payload.input ?? {}) as JsonObject);
  return { ...seen, point: `${name} ${input.slice(0, 16)}`, open: new Map(seen.open).set(id, { name, input }) };
}

function withResult(seen: LogSigns, call: Id, event: LogEvent): LogSigns {
  const made = seen.open.get(call);
  if (!made) return seen;
  const open = new Map(seen.open);
  open.delete(call);
  const ended = { ...made, result: resultDigest(textOf(event)), failed: event.payload.is_error === true };
  return { ...seen, open, calls: [...seen.calls, ended].slice(-LOOK_BACK) };
}

/** One event further. */
export function seeEvent(before: LogSigns, event: LogEvent): LogSigns {
  const seen = isStep(event) ? { ...before, lastEventAt: Math.max(before.lastEventAt ?? 0, event.createdAt) } : before;
  const answered = answeredBy(event);
  if (answered !== null) return withResult({ ...seen, rested: false }, answered, event);
  switch (event.type) {
    case 'user.message':
      return { ...seen, calls: [] };
    case 'user.tool_confirmation':
    case 'session.status_running':
      return { ...seen, asksOwner: false, rested: false };
    case 'span.model_request_start':
      return { ...seen, modelSince: event.createdAt, asksOwner: false, rested: false };
    case 'span.model_request_end':
      return { ...seen, modelSince: null };
    // A model that cannot be reached is tried again, with each try a sign in the log.
    case 'session.status_rescheduled':
      return { ...seen, modelSince: event.createdAt };
    case 'session.status_idle': {
      const reason = event.payload.stop_reason as JsonObject | undefined;
      return { ...seen, modelSince: null, rested: true, asksOwner: reason?.type === 'requires_action' };
    }
    case 'agent.tool_use':
    case 'agent.mcp_tool_use':
    case 'agent.custom_tool_use':
      return withCall({ ...seen, rested: false }, event);
    default:
      return seen;
  }
}
