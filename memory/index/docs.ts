// The search index: catches up with the log, takes items as they are written, and lets go of what is forgotten.
// The only writer of `memory_docs` and `memory_fts`.
import { setImmediate } from 'node:timers/promises';
import type { Blobs } from '../../core/blobs.ts';
import type { Db } from '../../core/db.ts';
import type { MemoryItem } from '../../core/memory.ts';
import type { Id, Millis, Trust } from '../../core/types.ts';
import { scopeOf } from '../scope.ts';
import { createCalendar } from '../text/dates.ts';
import { nameOf } from '../text/tokens.ts';
import type { Authority, ItemIndex, Meta } from '../types.ts';
import { entryOf, FLAG, kindTag, scopeTag } from './entry.ts';
import { type EventRow, isMemoryTool, type Said, SPEAKING, saidIn } from './said.ts';

/** Raised when rows would come out otherwise than before: the index is then built anew. */
const VERSION = 1;
/** A pause after which talk is about something else, and how long one stretch of talk can be. */
const PAUSE_MS = 4 * 3_600_000;
const LONGEST_EPISODE = 200;
const BATCH = 500;
/** Written at a time when the index is merged: a few milliseconds. */
const MERGED_PAGES = 16;

export const META = {
  /** events.row up to which the log is indexed. */
  upTo: 'index.up_to',
  version: 'index.version',
  /** {docs, tokens} */
  size: 'index.size',
  /** Removed rows still have bytes in the file. */
  purge: 'index.purge',
} as const;

export interface IndexSize {
  docs: number;
  tokens: number;
}

export interface Docs extends ItemIndex {
  /**
   * Indexes what the log holds beyond the cursor, at most `limit` events (each batch in one transaction), and returns
   * whether there is more. Also finishes what a crash left: an erasure, an index of an older version.
   */
  catchUp(limit?: number): boolean;
  /**
   * Something that was said before this event is not in the index yet. What this session said after `seen`, a position, does
   * not count: whoever asks has it before his eyes.
   */
  lacks(before: Id, session: Id, seen: number): boolean;
  /** Merges a little of what was written since; returns whether there is more. Searches are quick while this is done now and then. */
  tidy(): boolean;
  /** In the transaction of a redaction. Its bytes are gone right after the commit. */
  removeEvents(ids: readonly Id[]): void;
  forgetSession(sessionId: Id): void;
  /** From nothing, out of events and items. */
  rebuild(): void;
  /** Merges the index into one piece, in small steps; `breathe` between them lets everybody else go first. Ends early when told to. */
  optimize(breathe?: () => Promise<void>, signal?: AbortSignal): Promise<void>;
  size(): IndexSize;
}

interface Row extends EventRow {
  row: number;
  session_id: string;
  blob: string | null;
  position: number | null;
  created_at: number;
  redacted_at: number | null;
}

/** Where a session's talk stands. */
interface Talk {
  scope: string | null;
  turn: number;
  episode: number;
  length: number;
  at: Millis;
}

interface ItemRow {
  row: number;
  scope: string;
  tier: string;
  subject: string | null;
  slot: string | null;
  text: string;
  authority: Authority;
  valid_from: number;
}

export const eventDoc = (row: number): number => row * 2;
export const itemDoc = (row: number): number => row * 2 + 1;

export function createDocs(db: Db, deps: { meta: Meta; blobs: Pick<Blobs, 'get'>; timeZone: string }): Docs {
  const { meta } = deps;
  const dayOf = createCalendar(deps.timeZone);
  const next = db.prepare<[number, number], Row>(
    `SELECT row, session_id, type, payload, blob, position, created_at, origin, tainted, redacted_at FROM events
     WHERE row > ? AND type IN (${SPEAKING.map((type) => `'${type}'`).join(', ')}) ORDER BY row LIMIT ?`,
  );
  const newest = db.prepare<[], { row: number | null }>('SELECT max(row) AS row FROM events');
  const unread = db.prepare<[number, number, string, number], object>(
    `SELECT 1 FROM events WHERE row > ? AND row < ? AND type IN (${SPEAKING.map((type) => `'${type}'`).join(', ')})
     AND NOT (session_id = ? AND coalesce(position, ${Number.MAX_SAFE_INTEGER}) > ?) LIMIT 1`,
  );
  const session = db.prepare<[string], { trust: Trust; metadata: string; deleted_at: number | null }>(
    'SELECT trust, metadata, deleted_at FROM sessions WHERE id = ?',
  );
  const lastTurn = db.prepare<[string], { turn: number; episode: number; at: number }>(
    'SELECT turn, episode, at FROM memory_docs WHERE session_id = ? AND turn IS NOT NULL ORDER BY turn DESC LIMIT 1',
  );
  const episodeLength = db.prepare<[string, number], { n: number }>(
    'SELECT count(*) AS n FROM memory_docs WHERE session_id = ? AND episode = ? AND turn IS NOT NULL',
  );
  const toolOf = db.prepare<[string], { name: string | null }>(
    "SELECT json_extract(payload, '$.name') AS name FROM events WHERE id = ?",
  );
  const compactedBefore = db.prepare<[string, number], { up_to: number }>(
    `SELECT coalesce(json_extract(payload, '$.up_to'), 0) AS up_to FROM events WHERE session_id = ?
     AND type = 'agent.thread_context_compacted' AND position <= ? AND position IS NOT NULL ORDER BY position DESC LIMIT 1`,
  );
  const outsideBetween = db.prepare<[string, number, number], { row: number }>(
    'SELECT row FROM events WHERE session_id = ? AND tainted = 1 AND position > ? AND position <= ? LIMIT 1',
  );
  const putDoc = db.prepare(
    `INSERT OR REPLACE INTO memory_docs (doc, scope, session_id, turn, episode, at, actor, trust, flags, tokens)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const putWords = db.prepare(
    'INSERT OR REPLACE INTO memory_fts (rowid, tags, actor, body, extra, cjk) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const tokensOf = db.prepare<[number], { tokens: number }>('SELECT tokens FROM memory_docs WHERE doc = ?');
  const dropDoc = db.prepare<[number]>('DELETE FROM memory_docs WHERE doc = ?');
  const dropWords = db.prepare<[number]>('DELETE FROM memory_fts WHERE rowid = ?');
  const rowOf = db.prepare<[string], { row: number }>('SELECT row FROM events WHERE id = ?');
  const docsOf = db.prepare<[string], { doc: number }>('SELECT doc FROM memory_docs WHERE session_id = ?');
  const emptyDocs = db.prepare('DELETE FROM memory_docs');
  const emptyWords = db.prepare("INSERT INTO memory_fts (memory_fts) VALUES ('delete-all')");
  const mergePages = db.prepare<[number]>("INSERT INTO memory_fts (memory_fts, rank) VALUES ('merge', ?)");
  const merges = db.prepare<[], { v: number }>("SELECT v FROM memory_fts_config WHERE k = 'automerge'");
  const mergeBySelf = db.prepare("INSERT INTO memory_fts (memory_fts, rank) VALUES ('automerge', 0)");
  const written = db.prepare<[], { n: number }>('SELECT total_changes() AS n');
  const merge = db.prepare("INSERT INTO memory_fts (memory_fts) VALUES ('optimize')");
  const itemRows = db.prepare<[number], ItemRow>(
    'SELECT row, scope, tier, subject, slot, text, authority, valid_from FROM memory_items WHERE row > ? ORDER BY row LIMIT 500',
  );

  const size = (): IndexSize => JSON.parse(meta.get(META.size) ?? '{"docs":0,"tokens":0}') as IndexSize;
  const grow = (docs: number, tokens: number) => {
    if (docs === 0 && tokens === 0) return;
    const now = size();
    meta.set(META.size, JSON.stringify({ docs: now.docs + docs, tokens: now.tokens + tokens }));
  };

  const scopeOfSession = (id: string): string | null => {
    const found = session.get(id);
    if (!found || found.deleted_at !== null) return null;
    return scopeOf({ id, trust: found.trust, metadata: JSON.parse(found.metadata) as Record<string, string> });
  };

  const talkOf = (id: string): Talk => {
    const scope = scopeOfSession(id);
    const last = lastTurn.get(id);
    return {
      scope,
      turn: last?.turn ?? 0,
      episode: last?.episode ?? 0,
      at: last?.at ?? 0,
      length: last ? episodeLength.get(id, last.episode)!.n : 0,
    };
  };

  /** What the agent said while words from outside stood in its context is not its own. */
  const trustOf = (row: Row, said: Said): Authority => {
    if (row.type !== 'agent.message' || said.trust === 'outside' || row.position === null) return said.trust;
    const from = compactedBefore.get(row.session_id, row.position)?.up_to ?? 0;
    return outsideBetween.get(row.session_id, from, row.position) ? 'outside' : said.trust;
  };

  /** Returns the tokens of the new row, null when the event says nothing. */
  const indexEvent = (row: Row, talks: Map<string, Talk>): number | null => {
    if (row.redacted_at !== null) return null;
    const talk = talks.get(row.session_id) ?? talkOf(row.session_id);
    talks.set(row.session_id, talk);
    if (talk.scope === null) return null;
    const payload = row.blob ? new TextDecoder().decode(deps.blobs.get(row.blob) ?? undefined) || '{}' : row.payload;
    const said = saidIn({ ...row, payload });
    if (!said) return null;
    if (said.toolUseId !== null && isMemoryTool(toolOf.get(said.toolUseId)?.name ?? '')) return null;
    const doc = eventDoc(row.row);
    const at = said.at ?? row.created_at;
    if (said.speech) {
      const pause = talk.turn === 0 || Math.abs(at - talk.at) > PAUSE_MS || talk.length >= LONGEST_EPISODE;
      talk.turn += 1;
      talk.at = at;
      talk.length = pause ? 1 : talk.length + 1;
      if (pause) talk.episode = doc;
    }
    const entry = entryOf({ text: said.text, actor: said.who, day: dayOf(at) });
    const turn = said.speech ? talk.turn : null;
    const tags = `${scopeTag(talk.scope)} ${kindTag('event')}`;
    putDoc.run(
      doc,
      talk.scope,
      row.session_id,
      turn,
      talk.episode || doc,
      at,
      nameOf(said.who),
      trustOf(row, said),
      entry.flags,
      entry.tokens,
    );
    putWords.run(doc, tags, entry.actor, entry.body, entry.extra, entry.cjk);
    return entry.tokens;
  };

  const putItem = (row: ItemRow): void => {
    const doc = itemDoc(row.row);
    const entry = entryOf({
      text: row.text,
      actor: row.subject ?? '',
      more: `${row.subject ?? ''} ${row.slot ?? ''}`,
      day: dayOf(row.valid_from),
    });
    const flags = entry.flags | (row.tier === 'archive' ? FLAG.archived : 0);
    const before = tokensOf.get(doc);
    const actor = nameOf(row.subject ?? '');
    putDoc.run(doc, row.scope, null, null, null, row.valid_from, actor, row.authority, flags, entry.tokens);
    putWords.run(doc, `${scopeTag(row.scope)} ${kindTag('item')}`, entry.actor, entry.body, entry.extra, entry.cjk);
    grow(before ? 0 : 1, entry.tokens - (before?.tokens ?? 0));
  };

  /** Removed rows are only marked: merging everything is what takes their bytes. A crash in between is made up for. */
  const purge = () => {
    if (meta.get(META.purge) !== '1') return;
    db.tx(() => {
      merge.run();
      meta.set(META.purge, '0');
    });
    db.checkpoint();
  };
  const purgeAfterCommit = () => {
    meta.set(META.purge, '1');
    // Once for every removal of a transaction; the first of them does the work.
    db.afterCommit(purge);
  };

  const drop = (doc: number): void => {
    const found = tokensOf.get(doc);
    if (!found) return;
    dropDoc.run(doc);
    dropWords.run(doc);
    grow(-1, -found.tokens);
    purgeAfterCommit();
  };

  /** One batch; the number of events looked at. */
  const batch = (most: number): number =>
    db.tx(() => {
      const from = Number(meta.get(META.upTo) ?? 0);
      const rows = next.all(from, most);
      const talks = new Map<string, Talk>();
      let docs = 0;
      let tokens = 0;
      for (const row of rows) {
        const added = indexEvent(row, talks);
        if (added === null) continue;
        docs += 1;
        tokens += added;
      }
      const upTo = rows.length < most ? (newest.get()?.row ?? from) : rows.at(-1)!.row;
      if (upTo > from) meta.set(META.upTo, String(upTo));
      grow(docs, tokens);
      return rows.length;
    });

  const mergeSome = (pages: number): boolean =>
    db.tx(() => {
      const before = written.get()!.n;
      mergePages.run(pages);
      return written.get()!.n - before >= 2;
    });

  const empty = () =>
    db.tx(() => {
      emptyDocs.run();
      emptyWords.run();
      meta.set(META.upTo, '0');
      meta.set(META.size, '{"docs":0,"tokens":0}');
      meta.set(META.version, String(VERSION));
      for (let rows = itemRows.all(0); rows.length > 0; rows = itemRows.all(rows.at(-1)!.row)) rows.forEach(putItem);
    });

  // Left to itself FTS5 merges within the transaction of a write, now and then for a tenth of a second: here `tidy` does it.
  if (merges.get()?.v !== 0) db.tx(() => mergeBySelf.run());

  const docs: Docs = {
    catchUp(limit = Number.MAX_SAFE_INTEGER) {
      if (meta.get(META.version) !== String(VERSION)) empty();
      if (meta.get(META.purge) === '1') db.afterCommit(purge);
      // Nothing new is the common case, and costs two look-ups.
      if ((newest.get()?.row ?? 0) <= Number(meta.get(META.upTo) ?? 0)) return false;
      for (let left = limit; left > 0; ) {
        const most = Math.min(left, BATCH);
        if (batch(most) < most) return false;
        left -= most;
      }
      return true;
    },
    lacks(before, session, seen) {
      const row = rowOf.get(before)?.row ?? 0;
      const upTo = Number(meta.get(META.upTo) ?? 0);
      return upTo < row - 1 && unread.get(upTo, row, session, seen) !== undefined;
    },
    tidy: () => mergeSome(MERGED_PAGES),
    put: (row, item: MemoryItem) =>
      putItem({
        row,
        scope: item.scope,
        tier: item.tier,
        subject: item.subject,
        slot: item.slot,
        text: item.text,
        authority: item.authority,
        valid_from: item.validFrom,
      }),
    remove: (row) => db.tx(() => drop(itemDoc(row))),
    removeEvents: (ids) =>
      db.tx(() => {
        for (const id of ids) {
          const found = rowOf.get(id);
          if (found) drop(eventDoc(found.row));
        }
      }),
    forgetSession: (id) =>
      db.tx(() => {
        for (const { doc } of docsOf.all(id)) drop(doc);
      }),
    rebuild() {
      empty();
      docs.catchUp();
      merge.run();
    },
    async optimize(breathe = setImmediate, signal) {
      // As FTS5 has it: a negative number begins to merge everything, positive ones go on until nothing is written any more.
      let more = mergeSome(-MERGED_PAGES);
      while (more && !signal?.aborted) {
        await breathe();
        more = mergeSome(MERGED_PAGES);
      }
    },
    size,
  };
  return docs;
}
