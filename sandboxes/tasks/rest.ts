// How the agent of a task stands, read from its session and log: at work, at rest, stopped, failed, waiting. Pure.
import type { Id, LogEvent, Session } from '../../core/types.ts';

export type Rest =
  /** It works, or is about to. */
  | { kind: 'open' }
  /** It waits for a person, or for the budget of tomorrow. */
  | { kind: 'waits'; why: string }
  | { kind: 'done' }
  /** Somebody said stop. */
  | { kind: 'stopped' }
  | { kind: 'failed'; why: string };

/** `began`: the message it was given; `after`: everything read since. */
export function restOf(input: {
  session: Pick<Session, 'status' | 'stopReason'>;
  queued: number;
  began: LogEvent;
  after: readonly LogEvent[];
}): Rest {
  const { session, began, after } = input;
  if (session.status !== 'idle' || input.queued > 0 || began.position === null) return { kind: 'open' };
  const idle = after.findLastIndex(({ type }) => type === 'session.status_idle');
  const spoken = after.findLastIndex(({ type }) => type === 'user.message');
  if (idle < 0 || idle < spoken) return { kind: 'open' };
  switch (session.stopReason?.type) {
    case 'requires_action':
      return { kind: 'waits', why: 'A call waits for your approval.' };
    case 'budget_reached':
      return { kind: 'waits', why: 'The budget of the day is used up.' };
    case 'retries_exhausted': {
      const error = after.findLast(({ type }) => type === 'session.error')?.payload.error as
        | { message?: string }
        | undefined;
      return { kind: 'failed', why: error?.message ?? 'The turn could not be finished.' };
    }
    default: {
      const interrupt = after.findLastIndex(({ type }) => type === 'user.interrupt');
      return interrupt > spoken ? { kind: 'stopped' } : { kind: 'done' };
    }
  }
}

/** Events after which a task may have something to do. */
export const MOVES: ReadonlySet<string> = new Set([
  'session.status_idle',
  'session.status_running',
  'session.status_terminated',
  'session.deleted',
  'user.tool_confirmation',
  'agent.tool_result',
  'span.model_request_end',
]);

export const messageKey = (task: { id: Id; messages: number }): string => `task:${task.id}:work:${task.messages}`;
