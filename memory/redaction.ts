// Takes events out of a conversation's log so that the brain goes on: no call is left open, no summary with the words in it, no answer without an address.
import { plainDigest } from '../core/brain/compaction.ts';
import type { Db } from '../core/db.ts';
import type { Events, NewEvent } from '../core/events.ts';
import type { Id, JsonObject, LogEvent } from '../core/types.ts';

export interface Redaction {
  /** In one session and one transaction. Returns how many events went, summaries that covered them included. */
  redact(sessionId: Id, ids: readonly Id[]): number;
  isRedacted(id: Id): boolean;
}

/** Rests in a row that wait for an answer of the owner; before them the turn began. */
const MOST_RESTS = 50;

const RESULT_KEYS: Record<string, string> = {
  'agent.tool_result': 'tool_use_id',
  'user.custom_tool_result': 'custom_tool_use_id',
};

export function createRedaction(db: Db, events: Events): Redaction {
  const compactions = db.prepare<[string], { id: string }>(
    "SELECT id FROM events WHERE session_id = ? AND type = 'agent.thread_context_compacted' AND redacted_at IS NULL ORDER BY position",
  );
  const redactedAt = db.prepare<[string], { redacted_at: number | null }>(
    'SELECT redacted_at FROM events WHERE id = ?',
  );
  const isRedacted = (id: Id): boolean => redactedAt.get(id)?.redacted_at != null;

  /** A result that is gone would leave its call open, and a call that is open is carried out. */
  const standIn = (event: LogEvent): NewEvent[] => {
    const key = RESULT_KEYS[event.type];
    const call = key ? event.payload[key] : undefined;
    if (!key || typeof call !== 'string') return [];
    const content = [{ type: 'text', text: '(forgotten)' }];
    return [
      { type: event.type, payload: { [key]: call, content, is_error: false, forgotten: true }, tainted: event.tainted },
    ];
  };

  /** The summaries in which these events are lost: all from the first that covers one of them on. */
  const covering = (sessionId: Id, gone: ReadonlySet<Id>, from: number): LogEvent[] =>
    compactions
      .all(sessionId)
      .map(({ id }) => events.get(id)!)
      .filter((event) => gone.has(event.id) || Number(event.payload.up_to) >= from);

  /** Where the conversation last came to its end. */
  const restOf = (sessionId: Id): number =>
    events
      .list({ sessionId, types: ['session.status_idle'], order: 'desc', limit: MOST_RESTS })
      .find((event) => (event.payload.stop_reason as { type?: string } | undefined)?.type !== 'requires_action')
      ?.position ?? 0;

  /** Redacts in one session; a summary that goes is replaced by a plain one of what is left. */
  const redact = (sessionId: Id, ids: readonly Id[]): number => {
    const found = ids.map((id) => events.get(id)!).filter((event) => !isRedacted(event.id));
    if (found.length === 0) return 0;
    const first = Math.min(...found.map((event) => event.position ?? Number.MAX_SAFE_INTEGER));
    const last = events.lastCompaction(sessionId);
    const wanted = new Set(found.map((event) => event.id));
    const summed = covering(sessionId, wanted, first);
    const all = new Map([...found, ...summed].map((event) => [event.id, event]));
    // Their answers are still to come, and have to find their way.
    const rest = restOf(sessionId);
    const answerTo = found
      .filter((event) => event.type === 'user.message' && (event.position ?? Number.MAX_SAFE_INTEGER) > rest)
      .flatMap((event) => (event.origin ? [event.origin.address] : []));
    events.redact(sessionId, [...all.keys()], 'forgotten', answerTo);
    const replaced = found.flatMap(standIn);
    if (last && all.has(last.id)) {
      const kept = compactions.all(sessionId).at(-1);
      const base = kept ? events.get(kept.id) : null;
      const upTo = Number(last.payload.up_to);
      const older = events
        .slice(sessionId, base ? Number(base.payload.up_to) : 0)
        .filter((event) => event.position! <= upTo && event.type !== 'agent.thread_context_compacted');
      const tainted = last.tainted || older.some((event) => event.tainted);
      const payload: JsonObject = { summary: plainDigest(older, base), up_to: upTo };
      replaced.push({ type: 'agent.thread_context_compacted', payload, tainted });
    }
    if (replaced.length > 0) events.append(sessionId, replaced);
    return all.size;
  };

  return { redact, isRedacted };
}
