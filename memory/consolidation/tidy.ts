// What needs no model to be put in order: what has expired, what is known twice, what has become history. Reads; returns steps.
import type { Db } from '../../core/db.ts';
import type { MemoryItem } from '../../core/memory.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { ItemStore } from '../items.ts';
import type { Authority, Draft, Op, Quote } from '../types.ts';

/** Steps of one kind in one run, which is one transaction; the rest waits for the next. */
const MOST = 50;
/** Rows looked at in one piece when all of them are. */
const PIECE = 500;
const COLD_AFTER: Millis = 30 * 86_400_000;
const RANK: Record<Authority, number> = { outside: 0, agent: 1, owner: 2 };

export interface Tidy {
  /** Scopes in which something is known. */
  scopes(): string[];
  /** What was to hold until now: cold from now on. */
  expired(scope: string): Op[];
  /**
   * The same words twice: one line with the sources of all. Looks through everything, with a breath after every few
   * milliseconds: what it found must be looked at again before it is done.
   */
  duplicates(scope: string, breathe: () => Promise<void>): Promise<Op[]>;
  /** Summaries of sessions that nobody spoke in for a month. */
  oldSummaries(scope: string): Op[];
  /** What something else took the place of a month ago. */
  history(scope: string): Op[];
  /** Live items recorded since, of what is known for good, newest first. */
  knownSince(scope: string, since: Millis, limit: number): MemoryItem[];
}

const LIVE = "retired_at IS NULL AND valid_to IS NULL AND tier <> 'archive'";

export function createTidy(db: Db, deps: { items: ItemStore; now(): Millis }): Tidy {
  const { items } = deps;
  const scopes = db.prepare<[], { scope: string }>('SELECT DISTINCT scope FROM memory_items ORDER BY scope');
  const over = db.prepare<[string, Millis], { id: string }>(
    `SELECT id FROM memory_items WHERE scope = ? AND expires_at <= ? AND ${LIVE} ORDER BY expires_at, row LIMIT ${MOST}`,
  );
  const texts = db.prepare<[string, string, number], { text_key: string; n: number }>(
    `SELECT text_key, count(*) AS n FROM (SELECT text_key FROM memory_items WHERE scope = ? AND text_key > ? ORDER BY text_key LIMIT ?)
     GROUP BY text_key ORDER BY text_key`,
  );
  const alike = db.prepare<[string, string], { id: string; tier: string; subject: string | null; slot: string | null }>(
    `SELECT id, tier, subject, slot FROM memory_items
     WHERE scope = ? AND text_key = ? AND tier IN ('identity', 'state', 'reference') AND about IS NULL AND ${LIVE} ORDER BY row`,
  );
  const silent = db.prepare<[string, Millis, Millis], { id: string }>(
    `SELECT i.id FROM memory_items i LEFT JOIN sessions s ON s.id = i.about
     WHERE i.scope = ? AND i.tier = 'session' AND i.recorded_at < ? AND coalesce(s.updated_at, 0) < ?
       AND i.retired_at IS NULL AND i.valid_to IS NULL ORDER BY i.row LIMIT ${MOST}`,
  );
  const past = db.prepare<[string, Millis], { id: string }>(
    // What says the same as its successor is no history.
    `SELECT i.id FROM memory_items i JOIN memory_items n ON n.id = i.superseded_by
     WHERE i.scope = ? AND n.recorded_at < ? AND n.text_key <> i.text_key AND i.retired_at IS NULL
       AND i.tier IN ('identity', 'state', 'reference') AND i.kind <> 'file' ORDER BY i.row LIMIT ${MOST}`,
  );
  const since = db.prepare<[string, Millis, Millis, number], { id: string }>(
    `SELECT id FROM memory_items WHERE scope = ? AND recorded_at >= ? AND tier IN ('identity', 'reference') AND kind <> 'file' AND ${LIVE}
       AND (expires_at IS NULL OR expires_at > ?) ORDER BY row DESC LIMIT ?`,
  );

  /** Of one tier and text. Where the slots differ, the same words say different things. */
  const mergeOf = (rows: readonly { id: Id; subject: string | null; slot: string | null }[]): Op | null => {
    const named = rows.find(({ slot }) => slot !== null) ?? null;
    const ids = rows.filter(
      ({ subject, slot }) => slot === null || (slot === named!.slot && subject === named!.subject),
    );
    if (ids.length < 2) return null;
    const same = ids.map(({ id }) => items.need(id));
    const slotted = same.find(({ slot }) => slot !== null) ?? null;
    const best = same.toSorted(
      (a, b) => RANK[b.authority] - RANK[a.authority] || Number(b.slot !== null) - Number(a.slot !== null),
    )[0]!;
    const sources = new Map<Id, Quote>(
      same.flatMap(({ id }) => items.quotes(id)).map((quote) => [quote.eventId, quote]),
    );
    const forEver = same.some(({ expiresAt }) => expiresAt === null);
    const draft: Draft = {
      scope: best.scope,
      tier: best.tier,
      kind: best.kind,
      subject: slotted?.subject ?? best.subject,
      slot: slotted?.slot ?? null,
      text: best.text,
      authority: best.authority,
      confidence: Math.max(...same.map(({ confidence }) => confidence)),
      validFrom: Math.max(...same.map(({ validFrom }) => validFrom)),
      expiresAt: forEver ? null : Math.max(...same.map(({ expiresAt }) => expiresAt!)),
      sources: [...sources.values()],
      parents: same.map(({ id }) => id),
    };
    return { kind: 'supersede', ids: same.map(({ id }) => id), draft, why: 'known twice' };
  };

  const mergesOf = (scope: string, key: string): Op[] => {
    const rows = alike.all(scope, key);
    const tiers = [...new Set(rows.map(({ tier }) => tier))];
    return tiers.flatMap((tier) => mergeOf(rows.filter((row) => row.tier === tier)) ?? []);
  };

  const archive = (rows: readonly { id: Id }[], why: string): Op[] =>
    rows.map(({ id }) => ({ kind: 'archive', id, why }));

  return {
    scopes: () => scopes.all().map((row) => row.scope),
    expired: (scope) => archive(over.all(scope, deps.now()), 'expired'),
    async duplicates(scope, breathe) {
      const found: Op[] = [];
      for (let after = '', piece = PIECE; found.length < MOST; await breathe()) {
        const keys = texts.all(scope, after, piece);
        const rows = keys.reduce((sum, { n }) => sum + n, 0);
        // The last text of a full piece may go on in the next one.
        const whole = rows < piece ? keys : keys.slice(0, -1);
        for (const { text_key, n } of whole) if (n > 1) found.push(...mergesOf(scope, text_key));
        if (rows < piece) break;
        // One text fills the whole piece.
        piece = whole.length === 0 ? piece * 2 : PIECE;
        after = whole.at(-1)?.text_key ?? after;
      }
      return found.slice(0, MOST);
    },
    oldSummaries: (scope) => {
      const before = deps.now() - COLD_AFTER;
      return archive(silent.all(scope, before, before), 'nobody spoke there for a month');
    },
    history: (scope) => archive(past.all(scope, deps.now() - COLD_AFTER), 'history for a month'),
    knownSince: (scope, from, limit) => since.all(scope, from, deps.now(), limit).map(({ id }) => items.need(id)),
  };
}
