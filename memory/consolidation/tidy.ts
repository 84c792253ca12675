// What needs no model to be put in order: what has expired, what is known twice, what has become history. Reads; returns steps.
import type { Db } from '../../core/db.ts';
import type { MemoryItem } from '../../core/memory.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { ItemStore } from '../items.ts';
import type { Authority, Draft, Op, Quote } from '../types.ts';

/** Steps of one kind in one run; the rest waits for the next. */
const MOST = 200;
const COLD_AFTER: Millis = 30 * 86_400_000;
const RANK: Record<Authority, number> = { outside: 0, agent: 1, owner: 2 };

export interface Tidy {
  /** Scopes in which something is known. */
  scopes(): string[];
  /** What was to hold until now: cold from now on. */
  expired(scope: string): Op[];
  /** The same words twice: one line with the sources of all. */
  duplicates(scope: string): Op[];
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
  const twice = db.prepare<[string], { tier: string; text_key: string }>(
    `SELECT tier, text_key FROM memory_items
     WHERE scope = ? AND tier IN ('identity', 'state', 'reference') AND about IS NULL AND ${LIVE}
     GROUP BY tier, text_key HAVING count(*) > 1 ORDER BY min(row) LIMIT ${MOST}`,
  );
  const alike = db.prepare<[string, string, string], { id: string }>(
    `SELECT id FROM memory_items WHERE scope = ? AND tier = ? AND text_key = ? AND about IS NULL AND ${LIVE} ORDER BY row`,
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

  /** Where the slots differ, the same words say different things. */
  const mergeOf = (all: readonly MemoryItem[]): Op | null => {
    const slotted = all.find(({ slot }) => slot !== null) ?? null;
    const same = all.filter(
      ({ subject, slot }) => slot === null || (slot === slotted!.slot && subject === slotted!.subject),
    );
    if (same.length < 2) return null;
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

  const archive = (rows: readonly { id: Id }[], why: string): Op[] =>
    rows.map(({ id }) => ({ kind: 'archive', id, why }));

  return {
    scopes: () => scopes.all().map((row) => row.scope),
    expired: (scope) => archive(over.all(scope, deps.now()), 'expired'),
    duplicates: (scope) =>
      twice
        .all(scope)
        .map((row) => mergeOf(alike.all(scope, row.tier, row.text_key).map(({ id }) => items.need(id))))
        .filter((op) => op !== null),
    oldSummaries: (scope) => {
      const before = deps.now() - COLD_AFTER;
      return archive(silent.all(scope, before, before), 'nobody spoke there for a month');
    },
    history: (scope) => archive(past.all(scope, deps.now() - COLD_AFTER), 'history for a month'),
    knownSince: (scope, from, limit) => since.all(scope, from, deps.now(), limit).map(({ id }) => items.need(id)),
  };
}
