// At write: what the owner plainly says becomes memory right after the message is stored, without a model.

import { textOf } from '../../core/brain/context.ts';
import type { Db } from '../../core/db.ts';
import { StewardError } from '../../core/errors.ts';
import type { Events } from '../../core/events.ts';
import type { Log } from '../../core/log.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Id, LogEvent, Millis } from '../../core/types.ts';
import { STATE_MS } from '../drafts.ts';
import type { Save } from '../save.ts';
import { scopeOf } from '../scope.ts';
import { createCalendar, datesIn } from '../text/dates.ts';
import type { Draft, Meta } from '../types.ts';
import type { ConsolidationPoint } from './failpoints.ts';
import { type Plain, plainStatements } from './patterns.ts';

/** events.row up to which messages were read. */
const CURSOR = 'write.up_to';
/** Rows of one look, and how far the cursor in the file may lag behind: messages that state nothing cost no write. */
const ROWS = 500;
const LAG = 1_000;
const DAY: Millis = 86_400_000;
const CONFIDENCE = 0.9;

const WEEKDAYS = [
  /^(?:next |this |kommenden? )?(?:sunday|sonntag)\b/i,
  /^(?:next |this |kommenden? )?(?:monday|montag)\b/i,
  /^(?:next |this |kommenden? )?(?:tuesday|dienstag)\b/i,
  /^(?:next |this |kommenden? )?(?:wednesday|mittwoch)\b/i,
  /^(?:next |this |kommenden? )?(?:thursday|donnerstag)\b/i,
  /^(?:next |this |kommenden? )?(?:friday|freitag)\b/i,
  /^(?:next |this |kommenden? )?(?:saturday|samstag)\b/i,
];

/** Pure. The last day (since 1970-01-01) that the words of a date name, looking forward from today; null: none. */
export function dueDay(words: string, today: number): number | null {
  if (/^(?:today|tonight|heute)\b/i.test(words)) return today;
  if (/^(?:tomorrow|morgen)\b/i.test(words)) return today + 1;
  const weekday = WEEKDAYS.findIndex((pattern) => pattern.test(words));
  // Day 0 was a Thursday.
  if (weekday >= 0) return today + ((weekday - ((today + 4) % 7) + 6) % 7) + 1;
  const ahead = datesIn(words, today).filter(({ to }) => to >= today);
  return ahead.length > 0 ? Math.min(...ahead.map(({ to }) => to)) : null;
}

export interface Write {
  /** Reads what was stored since, some of it at a time; returns whether there is more. Never throws for what a message says. */
  catchUp(): boolean;
}

export function createWrite(deps: {
  db: Db;
  events: Pick<Events, 'get'>;
  sessions: Pick<Sessions, 'get'>;
  meta: Meta;
  save: Save;
  timeZone: string;
  log: Log;
  crash(point: ConsolidationPoint): void;
}): Write {
  const { db, meta } = deps;
  const today = createCalendar(deps.timeZone);
  const newest = db.prepare<[], { row: number | null }>('SELECT max(row) AS row FROM events');
  const spoken = db.prepare<[number, number], { row: number; id: string }>(
    `SELECT row, id FROM events WHERE row > ? AND row <= ? AND type = 'user.message' AND tainted = 0 AND redacted_at IS NULL ORDER BY row`,
  );
  let stored = Number(meta.get(CURSOR) ?? newest.get()?.row ?? 0);
  // From the beginning of memory on, so that a death before the first message of it is none.
  if (meta.get(CURSOR) === null) db.tx(() => meta.set(CURSOR, String(stored)));
  let cursor = stored;

  const draftOf = (plain: Plain, event: LogEvent, scope: string): Draft | null => {
    const at = event.createdAt;
    const day = plain.due === null ? null : dueDay(plain.due, today(at));
    // A date that cannot be read: whether it is one is not certain.
    if (plain.due !== null && day === null) return null;
    return {
      scope,
      tier: plain.tier,
      kind: plain.kind,
      subject: plain.slot === null ? null : 'owner',
      slot: plain.slot,
      text: plain.text,
      authority: 'owner',
      confidence: CONFIDENCE,
      validFrom: at,
      // A day longer, so that it has ended in every zone.
      expiresAt: plain.tier === 'state' ? (day === null ? at + STATE_MS : (day + 2) * DAY) : null,
      sources: [{ eventId: event.id, quote: plain.quote }],
    };
  };

  const keep = (draft: Draft, sessionId: Id): void => {
    try {
      deps.save(draft, { sessionId, kind: 'save' });
    } catch (error) {
      // A full disk is waited for. A secret, or a slot that a later value holds: nothing to be done, and nothing to stop for.
      if (error instanceof StewardError && error.retryable) throw error;
      if (!(error instanceof StewardError)) deps.log.error({ error }, 'a plain statement could not be kept');
    }
  };

  const read = (row: number, id: Id): void => {
    const event = deps.events.get(id);
    const session = event && deps.sessions.get(event.sessionId);
    // An archived session is a record of earlier talk, such as an import: whatever it said was kept then.
    if (!event || !session || session.archivedAt !== null || event.origin?.role !== 'owner') return;
    const scope = scopeOf(session);
    const plain = scope === null ? [] : plainStatements(textOf(event));
    if (scope === null || plain.length === 0) return;
    const drafts = plain.map((one) => draftOf(one, event, scope)).filter((draft) => draft !== null);
    db.tx(() => {
      for (const draft of drafts) keep(draft, session.id);
      // With what it wrote: a message is read once, so that what is undone or forgotten does not come back.
      meta.set(CURSOR, String(row));
      deps.crash('memory.read_plainly');
    });
    stored = row;
  };

  return {
    catchUp() {
      const end = newest.get()?.row ?? 0;
      const upTo = Math.min(cursor + ROWS, end);
      for (const { row, id } of spoken.all(cursor, upTo)) {
        read(row, id);
        cursor = row;
      }
      cursor = Math.max(cursor, upTo);
      if (cursor - stored > LAG) {
        db.tx(() => meta.set(CURSOR, String(cursor)));
        stored = cursor;
      }
      return cursor < end;
    },
  };
}
