// Finds every place in the record that holds what is to be forgotten: events, messages on their way out, approvals, titles. Reads only.
import type { Blobs } from '../core/blobs.ts';
import type { Db } from '../core/db.ts';
import type { Id, JsonObject } from '../core/types.ts';
import { isMemoryTool } from './index/said.ts';
import { stringsIn, type Words } from './words.ts';

/** A file above this is no text that somebody said. Bytes. */
const FILE_LIMIT = 8 * 1024 * 1024;

export interface Trace {
  id: Id;
  sessionId: Id;
  type: string;
}

export interface Traces {
  /** What memory itself laid into the log: recalled lines, calls of its tools and their results, that quote these or say it. */
  /** `everywhere`: also in logs that came from an export, whose calls are not in the ledger; that reads the whole log. */
  echoes(words: Words, quoted: ReadonlySet<Id>, everywhere: boolean): Trace[];
  /** Whatever says it, in this session or in all. */
  events(words: Words, sessionId: Id | null): Trace[];
  /** What the agent made of it: in the turns of these events, whatever of its own shares a telling word with them. */
  answers(around: readonly Trace[], words: Words): Trace[];
  outbox(words: Words, sessionId: Id | null): Id[];
  approvals(words: Words, sessionId: Id | null): Id[];
  /** Sessions whose title says it, or begins with one of these texts. */
  titles(words: Words, firstLines: readonly string[]): Id[];
  items(words: Words, scope: string | null): Id[];
  reasons(words: Words): Id[];
}

interface Row {
  id: string;
  session_id: string;
  type: string;
  payload: string;
  blob: string | null;
}

const IDS = /\b(?:mem|sevt)_[0-9A-HJKMNP-TV-Z]{26}\b/g;
/** They tell how a turn went, in numbers; without them a turn would begin again. */
const NO_WORDS =
  "type NOT LIKE 'span.%' AND type NOT LIKE 'session.status%' AND type NOT IN ('session.redacted', 'memory.written')";

export function createTraces(db: Db, blobs: Pick<Blobs, 'get'>): Traces {
  const recalled = db.prepare<[], Row>(
    `SELECT id, session_id, type, payload, blob FROM events WHERE type = 'memory.recalled' AND redacted_at IS NULL`,
  );
  const calls = db.prepare<[], Row & { name: string; position: number; redacted_at: number | null }>(
    `SELECT e.id, e.session_id, e.type, e.payload, e.blob, e.position, e.redacted_at, t.name
     FROM tool_calls t JOIN events e ON e.id = t.id WHERE t.name >= 'memory' AND t.name < 'memorz'`,
  );
  const restored = db.prepare<[], Row & { position: number; redacted_at: number | null }>(
    `SELECT id, session_id, type, payload, blob, position, redacted_at FROM events e WHERE type = 'agent.tool_use'
     AND redacted_at IS NULL AND (blob IS NOT NULL OR payload ->> '$.name' LIKE 'memory%')
     AND NOT EXISTS (SELECT 1 FROM tool_calls t WHERE t.id = e.id)`,
  );
  const results = db.prepare<[string, number], Row & { redacted_at: number | null }>(
    `SELECT id, session_id, type, payload, blob, redacted_at FROM events
     WHERE session_id = ? AND position > ? AND type = 'agent.tool_result' ORDER BY position`,
  );
  const place = db.prepare<[string], { position: number | null }>('SELECT position FROM events WHERE id = ?');
  const turnFrom = db.prepare<[string, number], { position: number }>(
    `SELECT position FROM events WHERE session_id = ? AND position <= ? AND type = 'user.message' ORDER BY position DESC LIMIT 1`,
  );
  const turnTo = db.prepare<[string, number], { position: number }>(
    `SELECT position FROM events WHERE session_id = ? AND position > ? AND type = 'user.message' ORDER BY position LIMIT 1`,
  );
  const turn = db.prepare<[string, number, number], Row>(
    `SELECT id, session_id, type, payload, blob FROM events WHERE session_id = ? AND position > ? AND position < ?
     AND redacted_at IS NULL AND type LIKE 'agent.%' AND type <> 'agent.thread_context_compacted'`,
  );
  const fileSize = db.prepare<[string], { size: number }>('SELECT size FROM blobs WHERE hash = ?');

  const payloadOf = (row: Row): JsonObject =>
    JSON.parse(row.blob ? new TextDecoder().decode(blobs.get(row.blob) ?? new Uint8Array([123, 125])) : row.payload);
  const trace = (row: Row): Trace => ({ id: row.id, sessionId: row.session_id, type: row.type });

  /** `column LIKE …` for each pattern, or everything where a pattern cannot tell. */
  const like = (words: Words, column: string): { where: string; values: readonly string[] } =>
    words.likes === null || words.likes.length === 0
      ? { where: words.likes === null ? '1' : '0', values: [] }
      : { where: `(${words.likes.map(() => `${column} LIKE ?`).join(' OR ')})`, values: words.likes };

  /** Calls of the tools of memory, and their results: read on from each call until its result comes. */
  function* toolEvents(everywhere: boolean): Iterable<Row> {
    const others = everywhere ? restored.all().map((row) => ({ ...row, name: String(payloadOf(row).name) })) : [];
    for (const call of [...calls.all(), ...others]) {
      if (!isMemoryTool(call.name)) continue;
      if (call.redacted_at === null) yield call;
      for (const row of results.iterate(call.session_id, call.position)) {
        if (row.redacted_at !== null || payloadOf(row).tool_use_id !== call.id) continue;
        yield row;
        break;
      }
    }
  }

  return {
    echoes(words, quoted, everywhere) {
      const found: Trace[] = [];
      for (const row of [...recalled.all(), ...toolEvents(everywhere)]) {
        const payload = payloadOf(row);
        // A call that names an item says nothing of it; lines that were found for it do.
        const { tool_use_id: _, for: __, ...lines } = payload;
        const named = row.type === 'agent.tool_use' ? [] : (JSON.stringify(lines).match(IDS) ?? []);
        const said = Object.values((payload.input as JsonObject | undefined) ?? {});
        const exactly = said.some((value) => typeof value === 'string' && words.is(value));
        if (exactly || named.some((id) => quoted.has(id)) || words.inPayload(payload)) found.push(trace(row));
      }
      return found;
    },
    events(words, sessionId) {
      const { where, values } = like(words, 'payload');
      const rows = db
        .prepare<(string | null)[], Row>(
          `SELECT id, session_id, type, payload, blob FROM events
           WHERE redacted_at IS NULL AND session_id = coalesce(?, session_id) AND ${NO_WORDS}
           AND (blob IS NOT NULL OR ${where})`,
        )
        .iterate(sessionId, ...values);
      const found: Trace[] = [];
      for (const row of rows) if (words.inPayload(payloadOf(row))) found.push(trace(row));
      return found;
    },
    answers(around, words) {
      const found = new Map<Id, Trace>();
      for (const { id, sessionId } of around) {
        const position = place.get(id)?.position;
        if (position == null) continue;
        const from = turnFrom.get(sessionId, position)?.position ?? position;
        const to = turnTo.get(sessionId, position)?.position ?? Number.MAX_SAFE_INTEGER;
        for (const row of turn.all(sessionId, from, to))
          if ([...stringsIn(payloadOf(row), true)].some(words.touches)) found.set(row.id, trace(row));
      }
      return [...found.values()];
    },
    outbox(words, sessionId) {
      const { where, values } = like(words, 'body');
      const rows = db
        .prepare<(string | null)[], { id: string; body: string }>(
          `SELECT id, body FROM outbox WHERE session_id = coalesce(?, session_id) AND (body ->> 'blob' IS NOT NULL OR ${where})`,
        )
        .all(sessionId, ...values);
      const inFile = (hash: string): boolean => {
        const size = fileSize.get(hash)?.size ?? 0;
        return size > 0 && size <= FILE_LIMIT && words.among(new TextDecoder().decode(blobs.get(hash)!));
      };
      return rows
        .filter(({ body }) => {
          const said = JSON.parse(body) as JsonObject;
          return words.inPayload(said) || (typeof said.blob === 'string' && inFile(said.blob));
        })
        .map(({ id }) => id);
    },
    approvals: (words, sessionId) =>
      db
        .prepare<[string | null], { id: string; said: string }>(
          `SELECT id, title || char(10) || detail || char(10) || why || char(10) || coalesce(reason, '') AS said
           FROM approvals WHERE session_id = coalesce(?, session_id) AND title <> ''`,
        )
        .all(sessionId)
        .filter(({ said }) => words.among(said))
        .map(({ id }) => id),
    titles: (words, firstLines) =>
      db
        .prepare<[], { id: string; title: string }>('SELECT id, title FROM sessions WHERE title IS NOT NULL')
        .all()
        .filter(({ title }) => {
          const begins = title.replace(/…$/, '').trim();
          return words.among(title) || (begins !== '' && firstLines.some((line) => line.startsWith(begins)));
        })
        .map(({ id }) => id),
    items(words, scope) {
      const { where, values } = like(words, 'text');
      return db
        .prepare<(string | null)[], { id: string; text: string }>(
          `SELECT id, text FROM memory_items WHERE scope = coalesce(?, scope) AND ${where}`,
        )
        .all(scope, ...values)
        .filter(({ text }) => words.among(text))
        .map(({ id }) => id);
    },
    reasons: (words) =>
      db
        .prepare<[], { id: string; reason: string }>(
          "SELECT id, retire_reason AS reason FROM memory_items WHERE retire_reason IS NOT NULL AND retire_reason <> ''",
        )
        .all()
        .filter(({ reason }) => words.among(reason))
        .map(({ id }) => id),
  };
}
