// What a session is doing right now, from its log and what is being written: its state, and the line under the conversation. Pure.
import type { Item } from './conversation.ts';
import { stopReasonOf } from './fields.ts';
import { isQueued, type Log } from './reduce.ts';
import type { SessionEvent, SessionStatus, StopReason } from './types.ts';

export type Activity =
  | { kind: 'rest' }
  | { kind: 'thinking'; since: string }
  | { kind: 'writing' }
  | { kind: 'tool'; name: string; since: string }
  | { kind: 'waiting_for_model'; since: string }
  | { kind: 'waiting_for_you'; ids: string[] }
  | { kind: 'ended' };

export interface SessionState {
  status: SessionStatus;
  stopReason: StopReason | null;
  since: string;
}

const STATUS: Record<string, SessionStatus> = {
  'session.status_running': 'running',
  'session.status_idle': 'idle',
  'session.status_rescheduled': 'rescheduling',
  'session.status_terminated': 'terminated',
};

/** The state the log says the session is in; `fallback` when no loaded event says so. */
export function stateOf(events: readonly SessionEvent[], fallback: SessionState): SessionState {
  for (let i = events.length - 1; i >= 0; i--) {
    const event = events[i]!;
    const status = STATUS[event.type];
    if (status) {
      return { status, stopReason: status === 'idle' ? stopReasonOf(event) : null, since: event.created_at };
    }
  }
  return fallback;
}

/** What is going on right now, for the line under the conversation. */
export function activityOf(log: Log, items: readonly Item[], state: SessionState): Activity {
  switch (state.status) {
    case 'terminated':
      return { kind: 'ended' };
    case 'rescheduling':
      return { kind: 'waiting_for_model', since: state.since };
    case 'idle':
      return state.stopReason?.type === 'requires_action'
        ? { kind: 'waiting_for_you', ids: state.stopReason.event_ids ?? [] }
        : { kind: 'rest' };
    case 'running': {
      if (log.previews.some((preview) => preview.text !== '')) return { kind: 'writing' };
      const open = items.findLast((item) => item.kind === 'tool' && item.call.status === 'running');
      if (open?.kind === 'tool') return { kind: 'tool', name: open.call.name, since: open.call.startedAt };
      return { kind: 'thinking', since: log.events.findLast((e) => !isQueued(e))?.created_at ?? state.since };
    }
  }
}
