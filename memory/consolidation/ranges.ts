// The part of a session's log that is due for consolidation: who said what, with whose authority, and what of it was only recalled.

import { textOf } from '../../core/brain/context.ts';
import { tokensOf } from '../../core/brain/tokens.ts';
import type { Db } from '../../core/db.ts';
import type { Events } from '../../core/events.ts';
import type { Id, LogEvent, Millis } from '../../core/types.ts';
import type { Authority } from '../types.ts';
import { ENOUGH } from './clock.ts';

/** One message. */
export interface Line {
  /** `e1`, `e2`, … within its range. */
  alias: string;
  eventId: Id;
  position: number;
  who: string;
  at: Millis;
  text: string;
  authority: Authority;
}

export interface Range {
  sessionId: Id;
  /** Exclusive and inclusive positions. */
  from: number;
  upTo: number;
  lines: Line[];
  /** Texts of memory laid before the model in this part: an echo of them is no news. */
  recalled: string[];
  /** Something is left after it. */
  more: boolean;
}

export interface Ranges {
  /** What a session has beyond a mark: messages (counted up to ENOUGH), those of people, the time of the last one. */
  waiting(sessionId: Id, mark: number): { messages: number; asked: number; lastAt: Millis };
  /** Sessions with messages of people beyond their mark. */
  pending(): Id[];
  /** The next part, in at most so many tokens (one message at least), up to a position; null: nothing was said. */
  next(sessionId: Id, mark: number, options: { tokens: number; upTo?: number }): Range | null;
  /** The end of what lies before a position, in about so many tokens; null: nothing. */
  last(sessionId: Id, upTo: number, tokens: number): Range | null;
  /** The part that was read before, as it stands now: what was redacted meanwhile is gone from it. */
  again(range: Pick<Range, 'sessionId' | 'from' | 'upTo'>): Range;
}

const SPOKEN = ['user.message', 'agent.message', 'memory.imported'];
const READ = [...SPOKEN, 'memory.recalled', 'agent.tool_use', 'agent.tool_result'];
const PAGE = 200;
/** Of one message, what the model is shown; a quote from what was left out is still one of the message. */
export const MESSAGE_TOKENS = 1_500;
/** Of one recalled text or result. UTF-16 units. */
const RECALLED_LENGTH = 16_384;
/** However short its messages. */
const MOST_LINES = 120;
/** The end of a session, when only that is asked for. */
const TAIL = 60;

const saidIn = (event: LogEvent): string =>
  event.type === 'memory.imported' ? String(event.payload.text ?? '') : textOf(event).trim();

function whoSaid(event: LogEvent): string {
  if (event.type === 'agent.message') return 'assistant';
  if (event.type === 'memory.imported') return String(event.payload.speaker ?? 'somebody');
  if (event.origin?.role === 'owner') return 'owner';
  return event.origin?.sender.name ?? event.origin?.sender.userId ?? 'somebody';
}

const whenSaid = (event: LogEvent): Millis =>
  event.type === 'memory.imported' && typeof event.payload.at === 'number' ? event.payload.at : event.createdAt;

export function createRanges(db: Db, events: Events): Ranges {
  const spoken = SPOKEN.map((type) => `'${type}'`).join(', ');
  const count = db.prepare<[string, number, number], { messages: number; asked: number; at: number | null }>(
    `SELECT count(*) AS messages, coalesce(sum(type = 'user.message'), 0) AS asked, max(processed_at) AS at FROM (
       SELECT type, processed_at FROM events WHERE session_id = ? AND position > ? AND type IN (${spoken}) AND redacted_at IS NULL
       ORDER BY position LIMIT ?)`,
  );
  const last = db.prepare<[string, number], { at: number }>(
    `SELECT processed_at AS at FROM events WHERE session_id = ? AND position > ? AND type IN (${spoken})
     ORDER BY position DESC LIMIT 1`,
  );
  const back = db.prepare<[string, number, number], { position: number }>(
    `SELECT position FROM events WHERE session_id = ? AND position <= ? AND type IN (${spoken})
     ORDER BY position DESC LIMIT 1 OFFSET ?`,
  );
  const open = db.prepare<[], { id: string }>(
    `SELECT s.id FROM sessions s LEFT JOIN memory_marks m ON m.session_id = s.id
     WHERE s.deleted_at IS NULL AND s.last_seq > coalesce(m.consolidated_upto, 0) AND EXISTS (
       SELECT 1 FROM events e WHERE e.session_id = s.id AND e.position > coalesce(m.consolidated_upto, 0) AND e.type = 'user.message')
     ORDER BY s.id`,
  );
  const taints = db.prepare<[string, number, number], { position: number }>(
    'SELECT position FROM events WHERE session_id = ? AND tainted = 1 AND position > ? AND position < ? ORDER BY position DESC LIMIT 1',
  );
  const compactions = db.prepare<[string, number], { id: string }>(
    `SELECT id FROM events WHERE session_id = ? AND type = 'agent.thread_context_compacted' AND position < ?
     ORDER BY position DESC LIMIT 1`,
  );

  /** Words from outside, or a summary of them, stood in the context when this was said. */
  const taintedThen = (event: LogEvent): boolean => {
    const before = compactions.get(event.sessionId, event.position!);
    const from = before ? Number(events.get(before.id)?.payload.up_to ?? 0) : 0;
    return taints.get(event.sessionId, from, event.position!) !== undefined;
  };

  const authorityOf = (event: LogEvent): Authority => {
    if (event.tainted) return 'outside';
    if (event.type === 'user.message') return event.origin?.role === 'owner' ? 'owner' : 'outside';
    if (event.type === 'memory.imported') return event.payload.own === true ? 'owner' : 'outside';
    return taintedThen(event) ? 'outside' : 'agent';
  };

  const read = (
    sessionId: Id,
    from: number,
    options: { tokens: number; lines: number; upTo: number },
  ): Range | null => {
    const lines: Line[] = [];
    const recalled: string[] = [];
    const memoryCalls = new Set<Id>();
    let tokens = 0;
    let upTo = from;
    let more = false;
    for (let after = from; !more; ) {
      const page = events.list({
        sessionId,
        types: READ,
        order: 'asc',
        after,
        before: Math.min(options.upTo + 1, 2 ** 52),
        limit: PAGE,
      });
      for (const event of page) {
        after = event.position!;
        if (event.type === 'memory.recalled') recalled.push(textOf(event).slice(0, RECALLED_LENGTH));
        else if (event.type === 'agent.tool_use') {
          if (String(event.payload.name).startsWith('memory_')) memoryCalls.add(event.id);
        } else if (event.type === 'agent.tool_result') {
          if (memoryCalls.has(String(event.payload.tool_use_id)))
            recalled.push(textOf(event).slice(0, RECALLED_LENGTH));
        } else {
          const text = saidIn(event);
          const size = Math.min(tokensOf(text), MESSAGE_TOKENS) + 12;
          if (lines.length > 0 && (tokens + size > options.tokens || lines.length >= options.lines)) {
            more = true;
            break;
          }
          upTo = event.position!;
          if (text === '') continue;
          tokens += size;
          lines.push({
            alias: `e${lines.length + 1}`,
            eventId: event.id,
            position: upTo,
            who: whoSaid(event),
            at: whenSaid(event),
            text,
            authority: authorityOf(event),
          });
        }
      }
      if (page.length < PAGE) break;
    }
    return upTo === from ? null : { sessionId, from, upTo, lines, recalled, more };
  };

  return {
    waiting(sessionId, mark) {
      const row = count.get(sessionId, mark, ENOUGH)!;
      const lastAt = row.messages < ENOUGH ? row.at : (last.get(sessionId, mark)?.at ?? row.at);
      return { messages: row.messages, asked: row.asked, lastAt: lastAt ?? 0 };
    },
    pending: () => open.all().map((row) => row.id),
    next: (sessionId, mark, options) =>
      read(sessionId, mark, { tokens: options.tokens, lines: MOST_LINES, upTo: options.upTo ?? 2 ** 52 - 1 }),
    last(sessionId, upTo, tokens) {
      for (let lines = TAIL; ; lines = Math.ceil(lines / 2)) {
        const from = back.get(sessionId, upTo, lines)?.position ?? 0;
        const part = read(sessionId, from, { tokens, lines: MOST_LINES, upTo });
        if (!part?.more || lines === 1) return part;
      }
    },
    again(range) {
      const all = { tokens: Number.POSITIVE_INFINITY, lines: Number.POSITIVE_INFINITY, upTo: range.upTo };
      return read(range.sessionId, range.from, all) ?? { ...range, lines: [], recalled: [], more: false };
    },
  };
}
