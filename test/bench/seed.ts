// A record with a long past: a thousand sessions of a thousand events, in the shapes the brain writes, made by raw SQL.
import { join } from 'node:path';
import { DEFAULT_AGENT, DEFAULT_ENVIRONMENT } from '../../core/agents.ts';
import { systemClock } from '../../core/clock.ts';
import { createIds } from '../../core/ids.ts';
import { openRecord } from '../../core/record.ts';
import { openSqlite, type Sqlite } from '../../core/sqlite.ts';
import type { Id, JsonObject, Millis } from '../../core/types.ts';
import { calendar } from '../../core/usage.ts';
import { createDocs } from '../../memory/index/docs.ts';
import { createItems } from '../../memory/items.ts';
import { createMeta } from '../../memory/meta.ts';

const DAY_MS = 86_400_000;
/** Sessions that are at work in the same days: their rows lie between each other in the file, as they do in life. */
const AT_ONCE = 25;

export interface Seeded {
  home: string;
  events: number;
  /** A thousand events each, none of them compacted: about half of the context's budget. */
  thousand: Id[];
  /** Just below the size at which the context is compacted. */
  full: Id[];
  /** The rest; a compaction in the middle of each. */
  bulk: Id[];
}

type Kind = 'bulk' | 'thousand' | 'full';

/** Characters of a question and of its answer. A thousand events are about 160 turns; four characters make a token. */
const SIZES: Record<Kind, { asked: number; answered: number }> = {
  bulk: { asked: 900, answered: 2_600 },
  thousand: { asked: 400, answered: 1_100 },
  full: { asked: 500, answered: 1_850 },
};

const PROSE =
  'The boiler was serviced on Tuesday and the invoice came to 184 euros; ask again in March whether the pump still hums. ' +
  'Flights to Lisbon are cheapest on the 14th, the hotel near the river holds the room until noon, and Ana wants the window seat. ' +
  'In the second draft the argument about latency stands on one measurement only, so repeat it on the slower disk before Friday. ';
const POOL = PROSE.repeat(40);

interface Writing {
  id: Id;
  kind: Kind;
  seq: number;
  events: number;
  turn: number;
  telegram: boolean;
  compacted: boolean;
}

const INSERTS = {
  session: `INSERT INTO sessions (id, kind, title, status, stop_reason, trust, agent_id, agent_version, environment_id, metadata,
    generation, last_seq, created_at, updated_at) VALUES (?, 'chat', ?, 'idle', '{"type":"end_turn"}', 'owner', ?, 1, ?, '{}', 0, 0, ?, ?)`,
  event: `INSERT INTO events (id, session_id, seq, position, type, payload, created_at, processed_at, dedupe, run_id, origin)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  run: `INSERT INTO runs (id, session_id, harness, generation, boot_id, trigger_event, started_at, lease_until, last_progress_at,
    commits, ended_at, outcome) VALUES (?, ?, 'native', ?, 'boot_seed', ?, ?, ?, ?, 1, ?, 'idle')`,
  usage: `INSERT INTO usage (event_id, session_id, run_id, day, model, input_tokens, output_tokens, cache_creation_input_tokens,
    cache_read_input_tokens, cost_microusd, at) VALUES (?, ?, ?, ?, 'claude-sonnet-5-5', 900, 350, 400, 20000, 14000, ?)`,
  call: `INSERT INTO tool_calls (id, session_id, name, effect, args_hash, state, started_at, ended_at)
    VALUES (?, ?, 'web_fetch', 'pure', ?, 'done', ?, ?)`,
  outbox: `INSERT INTO outbox (id, session_id, event_id, dedupe, channel, chat, body, state, attempts, external_id, created_at, ended_at)
    VALUES (?, ?, ?, ?, 'telegram', '4711', ?, 'sent', 1, ?, ?, ?)`,
  boot: 'INSERT INTO boots (id, started_at, ready_at, ended_at) VALUES (?, ?, ?, ?)',
} as const;

/** Fills `home` with `sessions` × `eventsEach` events ending now. Durability is off while it writes. */
export function seed(home: string, options: { sessions: number; eventsEach: number; special: number }): Seeded {
  // The program's own schema, triggers, indexes and first rows.
  const empty = openRecord(home, {
    clock: systemClock,
    timeZone: 'UTC',
    safeModeAfter: 0,
    split: (_, text) => [text],
    wakeDelivery: () => {},
  });
  empty.boots.end();
  empty.db.close();

  const db = openSqlite(join(home, 'steward.db'));
  db.pragma('journal_mode = OFF');
  db.pragma('synchronous = OFF');
  db.pragma('cache_size = -400000');
  db.pragma('foreign_keys = ON');
  const result: Seeded = { home, events: 0, thousand: [], full: [], bulk: [] };
  fill(db, options, result);
  db.pragma('journal_mode = WAL');
  db.close();
  remember(home, Math.floor(result.events / 10), result);
  return result;
}

/** What memory has of such a past: everything indexed, and an item for each tenth event. */
function remember(home: string, count: number, { bulk }: Seeded): void {
  const record = openRecord(home, {
    clock: systemClock,
    timeZone: 'UTC',
    safeModeAfter: 0,
    split: (_, text) => [text],
    wakeDelivery: () => {},
  });
  const { db } = record;
  const docs = createDocs(db, { meta: createMeta(db), blobs: record.blobs, timeZone: 'UTC' });
  const items = createItems(db, { now: Date.now });
  docs.catchUp();
  const said = db
    .prepare<[string], { id: Id }>("SELECT id FROM events WHERE session_id = ? AND type = 'user.message' LIMIT 1")
    .get(bulk[0]!)!;
  const at = Date.now();
  db.tx(() => {
    for (let index = 0; index < count; index++) {
      const item = items.insert({
        ...{ id: record.newId('mem'), scope: 'owner', tier: 'reference', kind: 'fact' },
        ...{ subject: `thing ${index}`, slot: 'note', text: POOL.slice(index % 1_000, (index % 1_000) + 90) },
        ...{ authority: 'owner', confidence: 1, validFrom: at, validTo: null, recordedAt: at, supersededBy: null },
        ...{ expiresAt: null, about: null, changeId: 'mchg_seed', parents: [], pinned: false },
        sources: [{ eventId: said.id, quote: '' }],
      });
      docs.put(items.rowOf(item.id)!, item);
    }
  });
  db.prepare<[]>("INSERT INTO memory_fts (memory_fts) VALUES ('optimize')").run();
  db.close();
}

function fill(db: Sqlite, options: { sessions: number; eventsEach: number; special: number }, result: Seeded): void {
  const { sessions, eventsEach, special } = options;
  const days = 100;
  const began = Date.now() - days * DAY_MS;
  let at: Millis = began;
  const newId = createIds(() => at);
  const put = Object.fromEntries(
    Object.entries(INSERTS).map(([name, sql]) => [name, db.prepare<(string | number | null)[]>(sql)]),
  ) as Record<keyof typeof INSERTS, ReturnType<typeof db.prepare<(string | number | null)[]>>>;
  const groups = Math.ceil(sessions / AT_ONCE);
  const turnMs = (days * DAY_MS) / (sessions * (eventsEach / 6.2));
  const prose = (length: number) => POOL.slice((at * 31) % 1_000, ((at * 31) % 1_000) + length);

  const open = (index: number): Writing => {
    const kind: Kind = index < special ? 'thousand' : index < 2 * special ? 'full' : 'bulk';
    const id = newId('sesn');
    put.session.run(id, `Conversation ${index}`, DEFAULT_AGENT, DEFAULT_ENVIRONMENT, at, at);
    result[kind].push(id);
    return { id, kind, seq: 0, events: 0, turn: 0, telegram: index % 5 === 4, compacted: false };
  };

  const writeTurn = (session: Writing): void => {
    const size = SIZES[session.kind];
    const runId = newId('run');
    const left = () => eventsEach - session.events;
    const event = (type: string, payload: JsonObject, more: { queued?: boolean } = {}): Id => {
      const id = newId('sevt');
      const seq = ++session.seq;
      const position = more.queued ? ++session.seq : seq;
      const input = more.queued ?? false;
      const place = session.telegram ? { channel: 'telegram', chat: '4711' } : { channel: 'web', chat: session.id };
      const origin = { sender: { channel: place.channel, userId: 'owner' }, address: place, role: 'owner' };
      put.event.run(
        id,
        session.id,
        seq,
        position,
        type,
        JSON.stringify(payload),
        at,
        at,
        input ? `http:${session.id}:${id}:0` : null,
        input ? null : runId,
        input ? JSON.stringify(origin) : null,
      );
      session.events += 1;
      result.events += 1;
      return id;
    };
    const asked = event('user.message', { content: [{ type: 'text', text: prose(size.asked) }] }, { queued: true });
    put.run.run(runId, session.id, ++session.turn, asked, at, at, at, at);
    event('session.status_running', {});
    if (session.turn % 6 === 0 && left() > 12) {
      const before = event('span.model_request_start', { model: 'claude-sonnet-5-5' });
      spanEnd(session, event, before, runId, 'tool_use');
      const input = { url: 'https://example.org/news' };
      const use = { name: 'web_fetch', input, evaluated_permission: 'allow', reason: 'The owner named this host.' };
      const call = event('agent.tool_use', use);
      put.call.run(call, session.id, 'f'.repeat(64), at, at);
      event('span.tool_start', { tool_use_id: call });
      const content = [{ type: 'text', text: prose(session.kind === 'bulk' ? 4_000 : 400) }];
      event('agent.tool_result', { tool_use_id: call, content, is_error: false });
    }
    const start = event('span.model_request_start', { model: 'claude-sonnet-5-5' });
    spanEnd(session, event, start, runId, 'end_turn');
    const text = prose(size.answered);
    const answer = event('agent.message', { content: [{ type: 'text', text }] });
    if (session.telegram) {
      const body = JSON.stringify({ kind: 'text', markdown: text });
      put.outbox.run(newId('outb'), session.id, answer, `${answer}:telegram:4711:/0`, body, '1', at, at);
    }
    event('session.status_idle', { stop_reason: { type: 'end_turn' }, stop_details: null });
    if (session.kind === 'bulk' && !session.compacted && session.events > eventsEach / 2) {
      session.compacted = true;
      event('agent.thread_context_compacted', { summary: prose(2_500), up_to: session.seq - 100 });
    }
    at = Math.min(at + turnMs, Date.now());
  };

  const spanEnd = (
    session: Writing,
    event: (type: string, payload: JsonObject) => Id,
    start: Id,
    runId: Id,
    stop: string,
  ): void => {
    const id = event('span.model_request_end', {
      model_request_start_id: start,
      is_error: false,
      model: 'claude-sonnet-5-5',
      model_usage: {
        input_tokens: 900,
        output_tokens: 350,
        cache_creation_input_tokens: 400,
        cache_read_input_tokens: 20_000,
      },
      cost_usd: 0.014,
      stop_reason: stop,
    });
    put.usage.run(id, session.id, runId, dayOf(at), at);
  };
  const dayOf = calendar('UTC');
  const close = db.prepare<[number, number, Millis, Id]>(
    'UPDATE sessions SET last_seq = ?, generation = ?, updated_at = ? WHERE id = ?',
  );
  for (let group = 0; group < groups; group++)
    db.transaction(() => {
      const index = group * AT_ONCE;
      const members = Array.from({ length: Math.min(AT_ONCE, sessions - index) }, (_, i) => open(index + i));
      put.boot.run(newId('boot'), at, at, at);
      let busy = members;
      while (busy.length > 0) {
        for (const session of busy) writeTurn(session);
        busy = busy.filter((session) => session.events < eventsEach);
      }
      for (const session of members) close.run(session.seq, session.turn, at, session.id);
    })();
}
