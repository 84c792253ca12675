// What memory knows about the messages of a turn: looked for as soon as they are there, laid beside them once and for all.
import type { BrainMemory, Recalled } from '../memory.ts';
import type { Id, LogEvent, Session } from '../types.ts';
import type { Turn } from './commit.ts';
import { unanswered } from './step.ts';

export interface Recall {
  /** These wait to be read: the search goes on while the run is claimed. `slice`: what was read before them. */
  ahead(session: Session, slice: readonly LogEvent[], queued: readonly LogEvent[]): void;
  /**
   * What was found about the messages that no answer has taken up yet, as an event beside them in the log, so that every
   * later request reads the same. Looked for once per message. Not stored yet: it goes with the beginning of the request.
   */
  about(turn: Turn): Promise<LogEvent | null>;
  /** The run is over: what it did not ask for is dropped. */
  ended(sessionId: Id): void;
}

export function createRecall(deps: { memory: Pick<BrainMemory, 'recall'>; newId(prefix: 'sevt'): Id }): Recall {
  /** One of each session at work, until its run asks for it. */
  const begun = new Map<Id, { about: string; found: Promise<Recalled | null> }>();

  const look = (session: Session, slice: readonly LogEvent[], fresh: readonly LogEvent[]) =>
    deps.memory.recall(session, fresh, idsOf(slice, 'ids'));

  return {
    ahead(session, slice, queued) {
      const done = idsOf(slice, 'for');
      const fresh = [...unanswered(slice), ...queued].filter(
        ({ id, type }) => type === 'user.message' && !done.has(id),
      );
      if (fresh.length > 0) begun.set(session.id, { about: nameOf(fresh), found: look(session, slice, fresh) });
    },
    async about(turn) {
      const { session, slice } = turn;
      const early = begun.get(session.id);
      begun.delete(session.id);
      const done = idsOf(slice, 'for');
      const fresh = unanswered(slice).filter(({ id, type }) => type === 'user.message' && !done.has(id));
      if (fresh.length === 0) return null;
      const found = await (early?.about === nameOf(fresh) ? early.found : look(session, slice, fresh));
      if (!found) return null;
      const payload = {
        for: fresh.map((event) => event.id),
        ids: [...found.ids],
        tokens: found.tokens,
        content: [{ type: 'text', text: found.text }],
      };
      const at = fresh.at(-1)!;
      return { ...at, id: deps.newId('sevt'), type: 'memory.recalled', payload, origin: null, tainted: false };
    },
    ended: (sessionId) => void begun.delete(sessionId),
  };
}

const nameOf = (events: readonly LogEvent[]): string => events.map(({ id }) => id).join(' ');

function idsOf(slice: readonly LogEvent[], key: 'for' | 'ids'): Set<Id> {
  const recalled = slice.filter(({ type }) => type === 'memory.recalled');
  return new Set(recalled.flatMap(({ payload }) => (payload[key] as Id[] | undefined) ?? []));
}
