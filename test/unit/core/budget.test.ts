// Money: what a day is, what it has cost, and which requests a spent budget stops.
import { describe, expect, it } from 'vitest';
import { checkBudget, createPurse, type Purse } from '../../../core/budget.ts';
import { nextDay } from '../../../core/usage.ts';
import { openTestRecord, type TestRecord } from '../../helpers/record.ts';

const noon = Date.UTC(2026, 10, 20, 12);
const facts = (change: Partial<Parameters<typeof checkBudget>[0]> = {}) => ({
  model: 'claude-opus-5-5',
  today: { cost_usd: 0 },
  limitUsd: 10,
  timeZone: 'UTC',
  ...change,
});

describe('a budget', () => {
  it.each([
    ['nothing spent', {}, 'go'],
    ['almost all spent', { today: { cost_usd: 9.999999 } }, 'go'],
    ['all spent', { today: { cost_usd: 10 } }, 'stop'],
    ['more than all', { today: { cost_usd: 11 } }, 'stop'],
    ['only requests of unknown price', { today: { cost_usd: null } }, 'go'],
    ['a budget of nothing', { limitUsd: 0 }, 'stop'],
    ['a budget of nothing, and a model that costs nothing', { limitUsd: 0, model: 'offline' }, 'go'],
    ['all spent, and a model of unknown price', { today: { cost_usd: 99 }, model: 'llama-at-home' }, 'go'],
    ['all spent, and a dated model', { today: { cost_usd: 99 }, model: 'claude-haiku-4-5-20251001' }, 'stop'],
  ])('%s', (_, change, kind) => {
    expect(checkBudget(facts(change), noon).kind).toBe(kind);
  });

  it('opens again with the next day of the owner’s zone', () => {
    const stopped = (timeZone: string, at: number) => {
      const verdict = checkBudget(facts({ today: { cost_usd: 10 }, timeZone }), at);
      return verdict.kind === 'stop' ? new Date(verdict.until).toISOString() : verdict.kind;
    };
    expect(stopped('UTC', noon)).toMatch(/^2026-11-21T00:00:00/);
    expect(stopped('America/New_York', noon)).toMatch(/^2026-11-21T05:00:00/);
    expect(stopped('Pacific/Auckland', noon)).toMatch(/^2026-11-21T11:00:00/);
  });
});

describe('the purse', () => {
  const worst = { input_tokens: 0, output_tokens: 50_000, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  const OPUS = 'claude-opus-5-5';
  const open = new AbortController().signal;

  /** Many requests at once, each of which costs a dollar; returns what was spent in the end. */
  const spend = async (limitUsd: number, take: Purse['take'] | null) => {
    let spent = 0;
    let [most, inFlight] = [0, 0];
    const check = (model: string) => checkBudget(facts({ model, limitUsd, today: { cost_usd: spent } }), noon);
    const purse = take ? { take } : createPurse(check);
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const letGo = await purse.take(OPUS, worst, open);
        if (!letGo) return;
        inFlight += 1;
        most = Math.max(most, inFlight);
        await new Promise(setImmediate);
        inFlight -= 1;
        spent += 1;
        letGo();
      }),
    );
    return { spent, most };
  };

  it('lets many go at once while there is enough, and overshoots by one at most', async () => {
    expect(await spend(100, null)).toEqual({ spent: 30, most: 30 });
    expect(await spend(5, null)).toEqual({ spent: 5, most: 5 });
    expect(await spend(4.5, null)).toEqual({ spent: 5, most: 4 });
    expect(await spend(0.000001, null)).toEqual({ spent: 1, most: 1 });
    expect(await spend(0, null)).toEqual({ spent: 0, most: 0 });
  });

  it('would overshoot by as many as there are at once without holding', async () => {
    const naive = async () => () => {};
    expect((await spend(0.000001, naive)).spent).toBe(30);
  });

  it('ends a wait with the run it belongs to, and holds nothing for what is free', async () => {
    const check = (model: string) => checkBudget(facts({ model, limitUsd: 1 }), noon);
    const purse = createPurse(check);
    const first = await purse.take(OPUS, worst, open);
    const stop = new AbortController();
    const waiting = purse.take(OPUS, worst, stop.signal);
    expect(await purse.take('offline', worst, open)).not.toBeNull();
    expect(await purse.take('llama-at-home', worst, open)).not.toBeNull();
    stop.abort();
    expect(await waiting).toBeNull();
    const next = purse.take(OPUS, worst, open);
    first!();
    expect(await next).not.toBeNull();
  });
});

describe('the next day', () => {
  it.each([
    ['the clock is put forward', 'Europe/Berlin', Date.UTC(2026, 2, 28, 23, 30), '2026-03-29T22:00:0'],
    ['the clock is put back', 'Europe/Berlin', Date.UTC(2026, 9, 24, 22, 30), '2026-10-25T23:00:0'],
    ['midnight itself is left out', 'America/Santiago', Date.UTC(2026, 8, 5, 16), '2026-09-06T04:00:0'],
    ['a quarter of an hour off', 'Asia/Kathmandu', noon, '2026-11-20T18:15:0'],
  ])('when %s', (_, zone, at, expected) => {
    expect(new Date(nextDay(at, zone)).toISOString().startsWith(expected)).toBe(true);
  });
});

describe('the ledger', () => {
  const used = (record: TestRecord, session: string, model: string, tokens: number) => {
    const [event] = record.events.append(session, [{ type: 'span.model_request_end' }]);
    const usage = {
      input_tokens: tokens,
      output_tokens: 0,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
    };
    return record.usage.record({ eventId: event!.id, sessionId: session, runId: 'run', model, usage });
  };

  it('adds up by day, model and session, and never calls an unknown price nothing', async () => {
    const record = openTestRecord();
    const [one, two] = [record.newSession(), record.newSession()];
    expect(used(record, one, 'claude-opus-5-5', 1_000_000)).toBe(4);
    expect(used(record, one, 'somebody-elses', 5)).toBeNull();
    await record.clock.advance(24 * 3_600_000);
    expect(used(record, two, 'claude-opus-5-5', 500_000)).toBe(2);
    expect(used(record, two, 'offline', 7)).toBe(0);
    expect(record.usage.today()).toMatchObject({ cost_usd: 2, requests: 2, unpriced_requests: 0 });
    expect(record.usage.ofSession(one)).toMatchObject({
      cost_usd: 4,
      requests: 2,
      unpriced_requests: 1,
      input_tokens: 1_000_005,
    });
    expect(record.usage.byDay(2).map((row) => [row.day, row.model, row.cost_usd])).toEqual([
      ['2026-11-21', 'claude-opus-5-5', 2],
      ['2026-11-21', 'offline', 0],
      ['2026-11-20', 'claude-opus-5-5', 4],
      ['2026-11-20', 'somebody-elses', null],
    ]);
    expect(record.usage.byDay(1).length).toBe(2);
  });
});
