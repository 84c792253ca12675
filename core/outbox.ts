// What will be said: rows committed with the event that says it, one strict order per chat.
import type { Db } from './db.ts';
import type { Address, Delivery, DeliveryOutcome, Id, Millis, OutboundBody } from './types.ts';

/** Tries of a surely unsent row before it is given up: with the backoff below about a day. */
const MAX_ATTEMPTS = 30;
const BACKOFF_CAP_MS = 60 * 60_000;

export interface OutboxRow extends Delivery {
  row: number;
  eventId: Id | null;
  state: 'pending' | 'sending' | 'sent' | 'dead';
  attempts: number;
  notBefore: Millis;
  error: string | null;
  createdAt: Millis;
  endedAt: Millis | null;
}

export interface Outbox {
  /** Adds what is to be said, once per `key`; long text becomes one row per chunk. Call inside the event's transaction. */
  enqueue(draft: { sessionId: Id; eventId: Id | null; key: string; to: Address; body: OutboundBody }): void;
  /** The oldest open row of each chat. */
  heads(): OutboxRow[];
  /** Counts the try before it is made. */
  claim(id: Id): OutboxRow;
  placed(id: Id, externalId: string): void;
  settle(id: Id, ending: Ending): OutboxRow;
  /** The channel can be reached again: what waits for its next try need not wait longer. */
  hurry(channel: string): void;
  /** Rows a crash left in the middle of a try. */
  interrupted(): OutboxRow[];
  ofEvent(eventId: Id): OutboxRow[];
  /** The message that shows an approval in a chat, so that it can be closed there. */
  cardsOf(toolUseId: Id): { address: Address; externalId: string | null }[];
  counts(): { pending: number; oldestPendingAt: Millis | null; dead: number };
  /** Remembers a message placed while a run still writes. */
  recordDraft(sessionId: Id, address: Address, externalId: string): void;
  /** The message placed for this session in this chat and not handed over yet, also by an earlier life. */
  draftOf(sessionId: Id, address: Address): string | null;
  /** Drops the words of a deleted session; what was not sent yet is never sent. Returns the blobs nothing refers to any more. */
  forget(sessionId: Id): string[];
  /** Drops the words of these rows; what was not sent yet is never sent. Returns the blobs nothing refers to any more. */
  redact(ids: readonly Id[]): string[];
  /** Hands the placed message over to this row and returns its id. */
  adoptDraft(id: Id): string | null;
}

export type Ending =
  | { state: 'sent'; externalId: string | null }
  | { state: 'pending'; notBefore: Millis; error: string; mark: boolean }
  | { state: 'dead'; error: string };

export const backoff = (attempts: number): Millis => Math.min(1_000 * 2 ** Math.max(0, attempts - 1), BACKOFF_CAP_MS);

/** Pure: what a try's end means for its row. Classes as in the table of ARCHITECTURE ("Delivery"). */
export function afterTry(
  outcome: DeliveryOutcome,
  row: Pick<OutboxRow, 'attempts' | 'externalId' | 'mayRepeat'>,
  repeatable: boolean,
  now: Millis,
): Ending {
  switch (outcome.kind) {
    case 'sent':
      return { state: 'sent', externalId: outcome.externalId ?? row.externalId };
    case 'refused':
      return { state: 'dead', error: outcome.why };
    case 'not_sent':
      if (row.attempts >= MAX_ATTEMPTS) return { state: 'dead', error: outcome.why };
      return {
        state: 'pending',
        notBefore: now + (outcome.retryAfterMs ?? backoff(row.attempts)),
        error: outcome.why,
        mark: false,
      };
    case 'unknown':
      if (row.externalId !== null || repeatable)
        return row.attempts >= MAX_ATTEMPTS
          ? { state: 'dead', error: outcome.why }
          : { state: 'pending', notBefore: now + backoff(row.attempts), error: outcome.why, mark: false };
      if (row.mayRepeat) return { state: 'dead', error: `${outcome.why} (twice; it may have arrived)` };
      return { state: 'pending', notBefore: now + 1_000, error: outcome.why, mark: true };
  }
}

interface Row {
  row: number;
  id: string;
  session_id: string;
  event_id: string | null;
  channel: string;
  chat: string;
  thread: string;
  body: string;
  state: OutboxRow['state'];
  attempts: number;
  repeated: number;
  not_before: number;
  external_id: string | null;
  error: string | null;
  created_at: number;
  ended_at: number | null;
}

const toRow = (row: Row): OutboxRow => ({
  row: row.row,
  id: row.id,
  sessionId: row.session_id,
  eventId: row.event_id,
  address: row.thread
    ? { channel: row.channel, chat: row.chat, thread: row.thread }
    : { channel: row.channel, chat: row.chat },
  body: JSON.parse(row.body) as OutboundBody,
  state: row.state,
  attempts: row.attempts,
  mayRepeat: row.repeated > 0,
  notBefore: row.not_before,
  externalId: row.external_id,
  error: row.error,
  createdAt: row.created_at,
  endedAt: row.ended_at,
});

/** In the very words of the partial index `outbox_open`: SQLite does not see by itself that one state implies it. */
const OPEN = "state IN ('pending', 'sending')";

export function createOutbox(
  db: Db,
  deps: {
    now(): Millis;
    newId(prefix: 'outb'): Id;
    split(channel: string, markdown: string): string[];
    /** Called after the commit that added rows. */
    wake(): void;
  },
): Outbox {
  const insert = db.prepare(
    `INSERT INTO outbox (id, session_id, event_id, dedupe, channel, chat, thread, body, state, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?) ON CONFLICT (dedupe) DO NOTHING`,
  );
  const one = db.prepare<[string], Row>('SELECT * FROM outbox WHERE id = ?');
  const heads = db.prepare<[], Row>(
    `SELECT * FROM outbox WHERE row IN (SELECT min(row) FROM outbox WHERE ${OPEN} GROUP BY channel, chat)`,
  );
  const claim = db.prepare<[string], Row>(
    "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ? RETURNING *",
  );
  const placed = db.prepare<[string, string]>('UPDATE outbox SET external_id = ? WHERE id = ?');
  const sent = db.prepare<[string | null, Millis, string]>(
    "UPDATE outbox SET state = 'sent', external_id = ?, error = NULL, ended_at = ? WHERE id = ?",
  );
  const retry = db.prepare<[Millis, string, number, string]>(
    "UPDATE outbox SET state = 'pending', not_before = ?, error = ?, repeated = repeated + ? WHERE id = ?",
  );
  const dead = db.prepare<[string, Millis, string]>(
    "UPDATE outbox SET state = 'dead', error = ?, ended_at = ? WHERE id = ?",
  );
  const hurry = db.prepare<[string]>(
    `UPDATE outbox SET not_before = 0 WHERE ${OPEN} AND channel = ? AND state = 'pending' AND not_before > 0`,
  );
  const sending = db.prepare<[], Row>(`SELECT * FROM outbox WHERE ${OPEN} AND state = 'sending'`);
  const byEvent = db.prepare<[string], Row>('SELECT * FROM outbox WHERE event_id = ? ORDER BY row');
  const count = db.prepare<[], { pending: number; oldest: number | null }>(
    `SELECT count(*) AS pending, min(created_at) AS oldest FROM outbox WHERE ${OPEN}`,
  );
  const countDead = db.prepare<[Millis], { n: number }>(
    "SELECT count(*) AS n FROM outbox WHERE state = 'dead' AND ended_at > ?",
  );
  const putDraft = db.prepare<[string, string, string, string, string, Millis]>(
    `INSERT INTO drafts (session_id, channel, chat, thread, external_id, created_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (session_id, channel, chat, thread) DO UPDATE SET external_id = excluded.external_id`,
  );
  const draft = db.prepare<[string, string, string, string], { external_id: string }>(
    'SELECT external_id FROM drafts WHERE session_id = ? AND channel = ? AND chat = ? AND thread = ?',
  );
  const takeDraft = db.prepare<[string, string, string, string], { external_id: string }>(
    'DELETE FROM drafts WHERE session_id = ? AND channel = ? AND chat = ? AND thread = ? RETURNING external_id',
  );

  const filesOf = db.prepare<[string], { blob: string }>(
    "SELECT DISTINCT body ->> 'blob' AS blob FROM outbox WHERE session_id = ? AND body ->> 'blob' IS NOT NULL",
  );
  const refersTo = db.prepare<[string], object>("SELECT 1 FROM outbox WHERE body ->> 'blob' = ? LIMIT 1");
  const forgetBodies = db.prepare<[Millis, string]>(
    `UPDATE outbox SET body = '{"kind":"text","markdown":""}', error = NULL, ended_at = coalesce(ended_at, ?),
       state = CASE WHEN state IN ('pending', 'sending') THEN 'dead' ELSE state END WHERE session_id = ?`,
  );
  const fileOf = db.prepare<[string], { blob: string | null }>(
    "SELECT body ->> 'blob' AS blob FROM outbox WHERE id = ?",
  );
  const forgetBody = db.prepare<[Millis, string]>(
    `UPDATE outbox SET body = '{"kind":"text","markdown":""}', error = NULL, ended_at = coalesce(ended_at, ?),
       state = CASE WHEN state IN ('pending', 'sending') THEN 'dead' ELSE state END WHERE id = ?`,
  );
  const forgetDrafts = db.prepare<[string]>('DELETE FROM drafts WHERE session_id = ?');

  const get = (id: Id) => toRow(one.get(id)!);
  return {
    enqueue({ sessionId, eventId, key, to, body }) {
      const bodies: OutboundBody[] =
        body.kind === 'text'
          ? deps.split(to.channel, body.markdown).map((markdown) => ({ kind: 'text', markdown }))
          : [body];
      for (const [index, part] of bodies.entries()) {
        const text = JSON.stringify(part).toWellFormed();
        const place = [to.channel, to.chat, to.thread ?? ''];
        insert.run(deps.newId('outb'), sessionId, eventId, `${key}/${index}`, ...place, text, deps.now());
      }
      db.afterCommit(deps.wake);
    },
    heads: () => heads.all().map(toRow),
    claim: (id) => toRow(claim.get(id)!),
    placed: (id, externalId) => void placed.run(externalId, id),
    settle(id, ending) {
      if (ending.state === 'sent') sent.run(ending.externalId, deps.now(), id);
      else if (ending.state === 'dead') dead.run(ending.error, deps.now(), id);
      else retry.run(ending.notBefore, ending.error, ending.mark ? 1 : 0, id);
      return get(id);
    },
    hurry: (channel) => void hurry.run(channel),
    interrupted: () => sending.all().map(toRow),
    ofEvent: (eventId) => byEvent.all(eventId).map(toRow),
    cardsOf: (toolUseId) =>
      byEvent
        .all(toolUseId)
        .map(toRow)
        .filter((row) => row.body.kind === 'approval')
        .map((row) => ({ address: row.address, externalId: row.externalId })),
    counts() {
      const { pending, oldest } = count.get()!;
      return { pending, oldestPendingAt: oldest, dead: countDead.get(deps.now() - 7 * 86_400_000)!.n };
    },
    forget(sessionId) {
      const files = filesOf.all(sessionId).map(({ blob }) => blob);
      forgetBodies.run(deps.now(), sessionId);
      forgetDrafts.run(sessionId);
      return files.filter((blob) => refersTo.get(blob) === undefined);
    },
    redact(ids) {
      const files = new Set(ids.map((id) => fileOf.get(id)?.blob ?? null).filter((blob) => blob !== null));
      for (const id of ids) forgetBody.run(deps.now(), id);
      return [...files].filter((blob) => refersTo.get(blob) === undefined);
    },
    recordDraft: (sessionId, to, externalId) =>
      void putDraft.run(sessionId, to.channel, to.chat, to.thread ?? '', externalId, deps.now()),
    draftOf: (sessionId, to) => draft.get(sessionId, to.channel, to.chat, to.thread ?? '')?.external_id ?? null,
    adoptDraft: (id) =>
      db.tx(() => {
        const row = get(id);
        const draft = takeDraft.get(row.sessionId, row.address.channel, row.address.chat, row.address.thread ?? '');
        if (!draft) return null;
        placed.run(draft.external_id, id);
        return draft.external_id;
      }),
  };
}
