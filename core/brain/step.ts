// What a session needs next, as a pure function of its log.
import type { Id, LogEvent, StopReason } from '../types.ts';
import { answeredBy, byProgram, isToolUse, quarantined } from './context.ts';

export type Step =
  /** Calls that may act now: allowed by policy, or approved. */
  | { kind: 'execute'; calls: LogEvent[] }
  /** Calls the owner refused; each is answered with a refusal. */
  | { kind: 'refuse'; calls: { call: LogEvent; reason: string }[] }
  | { kind: 'request' }
  | { kind: 'idle'; reason: StopReason };

/** Where the conversation last came to a rest: a complete answer, an interrupt, or an error that ended the turn. */
const closesTurn = (event: LogEvent): boolean =>
  (event.type === 'span.model_request_end' &&
    event.payload.is_error === false &&
    event.payload.purpose === undefined) ||
  event.type === 'user.interrupt' ||
  (event.type === 'session.error' && retryStatus(event) !== 'retrying');

const retryStatus = (event: LogEvent): string =>
  ((event.payload.error as { retry_status?: { type?: string } } | undefined)?.retry_status?.type ?? '') as string;

/** Calls without a result, in order. What a program called, it carried out itself: such a call is never open. */
export function openCalls(slice: readonly LogEvent[]): LogEvent[] {
  const answered = new Set(slice.map(answeredBy));
  return slice.filter((event) => isToolUse(event) && !byProgram(event) && !answered.has(event.id));
}

/** A call that Steward itself asks for on behalf of a task: its end is for whoever asked, and calls for no answer of the model. */
const ofTask = (event: LogEvent): boolean => isToolUse(event) && event.payload.task_id !== undefined;

/** Messages and results that no answer of the model has taken up yet. */
export function unanswered(slice: readonly LogEvent[]): LogEvent[] {
  const skip = quarantined(slice);
  const asides = new Set(slice.filter(ofTask).map(({ id }) => id));
  const rest = slice.findLast(closesTurn)?.position ?? 0;
  return slice.filter(
    (event) =>
      event.position! > rest &&
      !skip.has(event.id) &&
      // What stands in for a forgotten result calls for no answer.
      event.payload.forgotten !== true &&
      (event.type === 'user.message' ||
        (answeredBy(event) !== null && !byProgram(event) && !asides.has(answeredBy(event)!))),
  );
}

/** Where the turn at work began: its first message. Null when the last answer was complete; one that calls a tool is not. */
export function turnStart(slice: readonly LogEvent[]): number | null {
  let start: number | null = null;
  let complete = false;
  for (const event of slice) {
    if (closesTurn(event)) complete = true;
    else if (isToolUse(event) && !ofTask(event)) complete = false;
    else if (event.type === 'user.message') {
      if (complete) start = null;
      complete = false;
      start ??= event.position;
    }
  }
  return complete ? null : start;
}

export function nextStep(slice: readonly LogEvent[]): Step {
  const confirmations = new Map<Id, LogEvent>(
    slice
      .filter((event) => event.type === 'user.tool_confirmation')
      .map((event) => [event.payload.tool_use_id as Id, event]),
  );
  const execute: LogEvent[] = [];
  const refuse: { call: LogEvent; reason: string }[] = [];
  const waiting: LogEvent[] = [];
  for (const call of openCalls(slice)) {
    const answer = confirmations.get(call.id);
    // Forgotten before it was carried out: nobody knows any more what it asked for.
    if (call.payload.redacted) refuse.push({ call, reason: 'what this call was about has been forgotten' });
    else if (call.type === 'agent.custom_tool_use') waiting.push(call);
    else if (call.payload.evaluated_permission === 'allow' || answer?.payload.result === 'allow') execute.push(call);
    else if (answer) refuse.push({ call, reason: String(answer.payload.deny_message ?? '') });
    else waiting.push(call);
  }
  if (refuse.length > 0) return { kind: 'refuse', calls: refuse };
  if (execute.length > 0) return { kind: 'execute', calls: execute };

  const rest = slice.findLast(closesTurn);
  const fresh = unanswered(slice);
  const spoken = fresh.some((event) => event.type === 'user.message');
  if (waiting.length > 0 && !spoken)
    return { kind: 'idle', reason: { type: 'requires_action', event_ids: waiting.map((call) => call.id) } };
  if (fresh.length > 0) return { kind: 'request' };
  return {
    kind: 'idle',
    reason: rest?.type === 'session.error' ? { type: 'retries_exhausted' } : { type: 'end_turn' },
  };
}
