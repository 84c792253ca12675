// Says something to a person without a model: an event in the conversation, and the outbox row that brings it to them.
import type { Events } from '../core/events.ts';
import type { Outbox } from '../core/outbox.ts';
import type { Address, Id, LogEvent } from '../core/types.ts';
import type { Places } from './places.ts';

export interface Telling {
  scheduleId: Id;
  runId: Id | null;
  /** Of the schedule. */
  name: string;
  kind: 'message' | 'alert';
  text: string;
  /** Holds words from outside. */
  tainted: boolean;
  target: Address | null;
  trust: 'owner' | 'guest' | 'group';
  /** Once per key. */
  key: string;
}

export type Tell = (telling: Telling) => LogEvent;

/** Call within a transaction. The event is no answer of the model and calls for none: it may stand anywhere in a turn. */
export const createTell =
  (deps: { events: Events; outbox: Outbox; places: Places }): Tell =>
  (telling) => {
    const { scheduleId, runId, name, kind, text, tainted, target } = telling;
    const session = deps.places.conversationAt(target, telling.trust);
    const payload = {
      ...{ schedule_id: scheduleId, run_id: runId, name, kind },
      content: [{ type: 'text', text: text.toWellFormed() }],
    };
    const [event] = deps.events.append(session.id, [{ type: 'schedule.message', payload, tainted }]);
    if (target)
      deps.outbox.enqueue({
        sessionId: session.id,
        eventId: event!.id,
        key: `schedule:${telling.key}`,
        to: target,
        body: { kind: 'text', markdown: text },
      });
    return event!;
  };
