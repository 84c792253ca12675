// When consolidation is due, and how much of it one run may do.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ENOUGH,
  type IdleFacts,
  idleDue,
  type NightFacts,
  nightDue,
  nightOf,
  PAUSE_MS,
  pauseAfter,
  REST_MS,
  wallClock,
  weekOf,
} from '../../../../memory/consolidation/clock.ts';
import { allowance, guard, touchedBy } from '../../../../memory/consolidation/guard.ts';
import type { Op } from '../../../../memory/types.ts';

const NOW = Date.UTC(2026, 10, 20, 8);
const idle = (facts: Partial<IdleFacts>) =>
  idleDue({ messages: 4, asked: 2, lastAt: NOW, running: false, urgent: false, tried: null, ...facts }, NOW);

describe('a session', () => {
  it.each<[string, Partial<IdleFacts>, ReturnType<typeof idleDue>]>([
    ['with nothing new is left alone', { messages: 0, asked: 0 }, { kind: 'no' }],
    ['in which nobody spoke is left alone', { asked: 0 }, { kind: 'no' }],
    ['waits until it has rested', {}, { kind: 'at', at: NOW + REST_MS }],
    ['that has rested is due', { lastAt: NOW - REST_MS }, { kind: 'now' }],
    ['at work does not rest', { lastAt: NOW - REST_MS, running: true }, { kind: 'no' }],
    ['that said enough is due after a pause in the talk', { messages: ENOUGH }, { kind: 'at', at: NOW + PAUSE_MS }],
    ['that said enough and paused is due', { messages: ENOUGH, lastAt: NOW - PAUSE_MS }, { kind: 'now' }],
    ['at work that said enough answers first', { messages: ENOUGH, running: true }, { kind: 'no' }],
    ['that was summarised is due after a pause', { urgent: true }, { kind: 'at', at: NOW + PAUSE_MS }],
    ['that is being summarised answers first', { urgent: true, running: true }, { kind: 'no' }],
    ['waits after a failure', { urgent: true, tried: { failures: 1, lastAt: NOW } }, { kind: 'at', at: NOW + 60_000 }],
    [
      'waits longer after more',
      { urgent: true, tried: { failures: 3, lastAt: NOW } },
      { kind: 'at', at: NOW + 240_000 },
    ],
    [
      'is tried again in the end',
      { urgent: true, lastAt: NOW - PAUSE_MS, tried: { failures: 2, lastAt: NOW - 120_000 } },
      { kind: 'now' },
    ],
    ['is not waited for by a clock set back', { lastAt: NOW + 86_400_000 }, { kind: 'now' }],
    [
      'nor is a failure',
      { urgent: true, lastAt: NOW - PAUSE_MS, tried: { failures: 1, lastAt: NOW + 40 * 86_400_000 } },
      { kind: 'now' },
    ],
  ])('%s', (_, facts, due) => {
    expect(idle(facts)).toEqual(due);
  });

  it('is tried at least four times a day, however often it failed', () => {
    expect(pauseAfter(0)).toBe(0);
    for (let failures = 1; failures < 2_000; failures = failures * 2 + 1)
      expect(pauseAfter(failures)).toBeLessThanOrEqual(6 * 3_600_000);
    expect(pauseAfter(1_999)).toBe(6 * 3_600_000);
  });
});

describe('the night', () => {
  const berlin = wallClock('Europe/Berlin');

  it('begins at three, in the owner’s zone', () => {
    expect(nightOf(Date.UTC(2026, 10, 20, 1, 59), berlin)).toBe('2026-11-19');
    expect(nightOf(Date.UTC(2026, 10, 20, 2, 0), berlin)).toBe('2026-11-20');
    expect(nightOf(Date.UTC(2026, 0, 1, 1, 0), wallClock('UTC'))).toBe('2025-12-31');
  });

  it('is one a day, in every zone, over the changes of its clocks', () => {
    for (const zone of ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Pacific/Apia', 'Asia/Kathmandu']) {
      const wall = wallClock(zone);
      const seen: string[] = [];
      for (let at = Date.UTC(2026, 0, 2); at < Date.UTC(2027, 0, 2); at += 15 * 60_000) {
        const night = nightOf(at, wall);
        if (seen.at(-1) !== night) seen.push(night);
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen).toEqual(seen.toSorted());
      expect(seen.length).toBeGreaterThanOrEqual(365);
      expect(seen.length).toBeLessThanOrEqual(366);
    }
  });

  it('belongs to the week of its Monday', () => {
    expect(weekOf('2026-11-23')).toBe('2026-11-23');
    expect(weekOf('2026-11-22')).toBe('2026-11-16');
    expect(weekOf('2026-11-20')).toBe('2026-11-16');
  });

  it.each<[string, Partial<NightFacts>, string]>([
    ['is due when it was not done', {}, 'now'],
    ['is done once', { done: '2026-11-20' }, 'no'],
    ['is done once, with a clock set back, too', { done: '2026-11-21' }, 'no'],
    ['that was missed is due, once for all that were', { done: '2026-11-01' }, 'now'],
    ['is nothing to a home in which nothing was said', { began: null }, 'no'],
    ['is nothing to a home that began after it', { began: '2026-11-20' }, 'no'],
    ['waits after a failure', { tried: { failures: 1, lastAt: NOW } }, 'at'],
  ])('%s', (_, facts, kind) => {
    const all = { key: '2026-11-20', done: '2026-11-19', began: '2026-01-01', tried: null, ...facts };
    expect(nightDue(all, NOW).kind).toBe(kind);
  });
});

describe('the guard', () => {
  const retire = (id: string): Op => ({ kind: 'retire', id, why: 'x' });

  it('lets a quarter of what is live change, and three of little', () => {
    expect([0, 1, 4, 12, 16, 100].map(allowance)).toEqual([3, 3, 3, 3, 4, 25]);
  });

  it('takes in order what fits, holds the rest, and loses none', () => {
    const op = fc.oneof(
      fc.constant<Op>({ kind: 'add', draft: {} as never }),
      fc.string().map(retire),
      fc.string().map((id): Op => ({ kind: 'archive', id, why: 'x' })),
      fc
        .array(fc.string(), { maxLength: 6 })
        .map((ids): Op => ({ kind: 'supersede', ids, draft: {} as never, why: 'x' })),
    );
    fc.assert(
      fc.property(fc.array(op, { maxLength: 60 }), fc.nat(200), (ops, live) => {
        const { taken, held } = guard(ops, live);
        expect(taken.flatMap(touchedBy).length).toBeLessThanOrEqual(Math.max(3, live / 4));
        expect([...taken, ...held]).toHaveLength(ops.length);
        expect(ops.filter((one) => taken.includes(one))).toEqual(taken);
        expect(held.filter((one) => touchedBy(one).length === 0)).toEqual([]);
      }),
    );
  });

  it('would not hold without counting each one of a merge', () => {
    const merge: Op = { kind: 'supersede', ids: ['a', 'b', 'c', 'd'], draft: {} as never, why: 'x' };
    expect(guard([merge], 4)).toEqual({ taken: [], held: [merge] });
  });
});
