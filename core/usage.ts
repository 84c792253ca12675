// The ledger of model requests: tokens and cost by day, model and session. Cost is null where a price is not known.
import type { Db } from './db.ts';
import { costOf } from './models/prices.ts';
import type { Id, Millis, ModelUsage } from './types.ts';

export interface UsageRow {
  day: string;
  model: string;
  requests: number;
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
  cost_usd: number | null;
}

export interface UsageTotals extends Omit<UsageRow, 'day' | 'model'> {
  unpriced_requests: number;
}

export interface Usage {
  /**
   * Records one request, inside the transaction of its event. Returns the cost in USD, null = unknown. `costUsd`: what a program
   * says it cost, for a model that is not on our list.
   */
  record(entry: {
    eventId: Id;
    sessionId: Id;
    runId: Id | null;
    model: string;
    usage: ModelUsage;
    costUsd?: number;
  }): number | null;
  today(): UsageTotals;
  byDay(days: number): UsageRow[];
  ofSession(sessionId: Id): UsageTotals;
}

/** The calendar day of an instant in a zone: `2026-11-20`. Making the calendar is slow, asking it is not. */
export function calendar(timeZone: string): (at: Millis) => string {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  return (at) => format.format(at);
}

/** The first instant of the next calendar day in a zone, found within a minute: zones change their offset. */
export function nextDay(at: Millis, timeZone: string): Millis {
  const dayOf = calendar(timeZone);
  const today = dayOf(at);
  let low = at;
  let high = at + 27 * 3_600_000;
  while (high - low > 1_000) {
    const middle = Math.floor((low + high) / 2);
    if (dayOf(middle) === today) low = middle;
    else high = middle;
  }
  return high;
}

const SUMS = `count(*) AS requests, coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
  coalesce(sum(cache_creation_input_tokens), 0) AS cache_creation_input_tokens,
  coalesce(sum(cache_read_input_tokens), 0) AS cache_read_input_tokens,
  sum(cost_microusd) / 1000000.0 AS cost_usd, count(*) - count(cost_microusd) AS unpriced_requests`;

/** One more request; cost in whole millionths, as the ledger has it. */
const plus = (totals: UsageTotals, usage: ModelUsage, micros: number | null): UsageTotals => ({
  requests: totals.requests + 1,
  input_tokens: totals.input_tokens + usage.input_tokens,
  output_tokens: totals.output_tokens + usage.output_tokens,
  cache_creation_input_tokens: totals.cache_creation_input_tokens + usage.cache_creation_input_tokens,
  cache_read_input_tokens: totals.cache_read_input_tokens + usage.cache_read_input_tokens,
  cost_usd: micros === null ? totals.cost_usd : (Math.round((totals.cost_usd ?? 0) * 1_000_000) + micros) / 1_000_000,
  unpriced_requests: totals.unpriced_requests + (micros === null ? 1 : 0),
});

export function createUsage(db: Db, deps: { now(): Millis; timeZone: string }): Usage {
  const dayOf = calendar(deps.timeZone);
  const insert = db.prepare(
    `INSERT INTO usage (event_id, session_id, run_id, day, model, input_tokens, output_tokens,
       cache_creation_input_tokens, cache_read_input_tokens, cost_microusd, at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  /** Asked before every request; a day can hold thousands of rows. */
  let known: { day: string; totals: UsageTotals } | null = null;
  const ofDay = db.prepare<[string], UsageTotals>(`SELECT ${SUMS} FROM usage WHERE day = ?`);
  const ofSession = db.prepare<[string], UsageTotals>(`SELECT ${SUMS} FROM usage WHERE session_id = ?`);
  const byDay = db.prepare<[string], UsageRow>(
    `SELECT day, model, ${SUMS} FROM usage WHERE day >= ? GROUP BY day, model ORDER BY day DESC, model`,
  );
  return {
    record({ eventId, sessionId, runId, model, usage, costUsd }) {
      const cost = costOf(model, usage) ?? costUsd ?? null;
      const micros = cost === null ? null : Math.round(cost * 1_000_000);
      const at = deps.now();
      insert.run(
        eventId,
        sessionId,
        runId,
        dayOf(at),
        model,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
        micros,
        at,
      );
      // Once it is committed: what rolls back was never spent.
      db.afterCommit(() => {
        if (known?.day === dayOf(at)) known = { day: known.day, totals: plus(known.totals, usage, micros) };
      });
      return cost;
    },
    today() {
      const day = dayOf(deps.now());
      if (known?.day === day) return known.totals;
      const totals = ofDay.get(day)!;
      db.afterCommit(() => {
        known = { day, totals };
      });
      return totals;
    },
    byDay: (days) => byDay.all(dayOf(deps.now() - (days - 1) * 86_400_000)),
    ofSession: (sessionId) => ofSession.get(sessionId)!,
  };
}

/** The first instant of a calendar day (`2026-11-20`) in a zone, exactly. Null for a day there is not. */
export function startOfDay(day: string, timeZone: string): Millis | null {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day) ?? [];
  const utc = Date.UTC(Number(year), Number(month) - 1, Number(date));
  if (Number.isNaN(utc) || new Date(utc).toISOString().slice(0, 10) !== day) return null;
  const dayOf = calendar(timeZone);
  // No zone is further ahead than 14 hours: there it is the day before, or the one before that.
  let at = utc - 14 * 3_600_000 - 1;
  while (dayOf(at) < day) at = nextDay(at, timeZone);
  // Found within a second after it.
  for (let step = 512; step >= 1; step /= 2) if (dayOf(at - step) >= day) at -= step;
  return at;
}

const DAY = /^\d{4}-\d\d-\d\d$/;

/** A moment as people and programs write it: a day (its beginning in the zone) or RFC 3339. Null for anything else. */
export function momentOf(text: string, timeZone: string): Millis | null {
  if (DAY.test(text)) return startOfDay(text, timeZone);
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? null : at;
}
