// What the harness has read of each session since its last compaction, kept parsed between steps: the log is asked only for what came since.
import type { Bus } from '../bus.ts';
import type { Events } from '../events.ts';
import type { Id, LogEvent } from '../types.ts';
import { contentOf } from './context.ts';

export interface Slice {
  compaction: LogEvent | null;
  /** In order of position, without the compactions themselves. */
  slice: readonly LogEvent[];
}

export interface Slices {
  /** As the log stands now; the same as reading all of it. Not to be called within a transaction, which may yet roll back. */
  load(sessionId: Id): Slice;
}

/** Together about 10 MB of memory: a few long conversations, or very many short ones. */
const KEPT_WEIGHT = 4_000_000;
/** What an event takes beside its text. */
const EVENT_WEIGHT = 600;

/** After these the part of the log that counts begins elsewhere, or reads differently. */
const CHANGES_THE_PAST = new Set(['agent.thread_context_compacted', 'session.redacted']);

interface Kept extends Slice {
  last: LogEvent;
  weight: number;
}

const weightOf = (events: readonly LogEvent[]): number => {
  let weight = 0;
  for (const event of events) {
    weight += EVENT_WEIGHT;
    for (const block of contentOf(event))
      weight += block.type === 'text' ? block.text.length : block.source.data.length;
  }
  return weight;
};

export function createSlices(deps: { events: Pick<Events, 'slice' | 'lastCompaction'>; bus: Bus }): Slices {
  const { events } = deps;
  /** Least recently used first. */
  const known = new Map<Id, Kept>();
  let total = 0;

  const drop = (sessionId: Id): void => {
    total -= known.get(sessionId)?.weight ?? 0;
    known.delete(sessionId);
  };
  // What was redacted is not to stay in memory until the session is at work again.
  deps.bus.subscribe(null, (notice) => {
    if (notice.kind === 'event' && notice.event.type === 'session.redacted') drop(notice.event.sessionId);
  });

  const keep = (sessionId: Id, kept: Kept): Slice => {
    drop(sessionId);
    if (kept.weight <= KEPT_WEIGHT) {
      known.set(sessionId, kept);
      total += kept.weight;
    }
    for (const oldest of known.keys()) {
      if (total <= KEPT_WEIGHT) break;
      drop(oldest);
    }
    return kept;
  };

  const read = (sessionId: Id): Slice => {
    const compaction = events.lastCompaction(sessionId);
    const all = events.slice(sessionId, compaction ? Number(compaction.payload.up_to) : 0);
    const slice = all.filter((event) => event.type !== 'agent.thread_context_compacted');
    const last = all.at(-1);
    return last ? keep(sessionId, { compaction, slice, last, weight: weightOf(slice) }) : { compaction, slice };
  };

  return {
    load(sessionId) {
      const kept = known.get(sessionId);
      if (!kept) return read(sessionId);
      // The last known event is read again: if it is not there as it was, nothing that is kept counts.
      const [same, ...news] = events.slice(sessionId, kept.last.position! - 1);
      if (same?.id !== kept.last.id || news.some((event) => CHANGES_THE_PAST.has(event.type))) return read(sessionId);
      if (news.length === 0) return keep(sessionId, kept);
      return keep(sessionId, {
        compaction: kept.compaction,
        slice: [...kept.slice, ...news],
        last: news.at(-1)!,
        weight: kept.weight + weightOf(news),
      });
    },
  };
}
