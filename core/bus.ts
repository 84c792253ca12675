// In-memory fan-out of what just happened: committed events and lossy previews. Never a source of truth.
import type { Id, LogEvent } from './types.ts';

export type Notice =
  /** `queued` is true for the first sight of an input that waits to be read. */
  | { kind: 'event'; event: LogEvent }
  | { kind: 'preview_start'; sessionId: Id; eventId: Id; type: 'agent.message' | 'agent.thinking' }
  | { kind: 'preview_delta'; sessionId: Id; eventId: Id; text: string };

export interface Bus {
  publish(notice: Notice): void;
  /** `sessionId` null listens to everything. Returns the way to stop. Listeners must not throw. */
  subscribe(sessionId: Id | null, listener: (notice: Notice) => void): () => void;
}

const sessionOf = (notice: Notice): Id => (notice.kind === 'event' ? notice.event.sessionId : notice.sessionId);

export function createBus(): Bus {
  const listeners = new Map<Id | null, Set<(notice: Notice) => void>>();
  return {
    publish(notice) {
      for (const key of [sessionOf(notice), null])
        for (const listener of [...(listeners.get(key) ?? [])]) listener(notice);
    },
    subscribe(sessionId, listener) {
      const set = listeners.get(sessionId) ?? new Set();
      set.add(listener);
      listeners.set(sessionId, set);
      return () => {
        set.delete(listener);
        if (set.size === 0) listeners.delete(sessionId);
      };
    },
  };
}
