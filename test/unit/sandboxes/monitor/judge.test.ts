// The judge: a case for each row of its table, the edges between rows, and what holds for all signs.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge, PATIENCE, type Run, type Signs, type VerdictKind } from '../../../../sandboxes/monitor/judge.ts';
import { ago, MINUTE, NOW, runOf, SECOND, signsOf } from './signs-of.ts';

const kind = (signs: Partial<Signs>, run: Partial<Run> = {}): VerdictKind =>
  judge(runOf(run), signsOf(signs), NOW).kind;
const repeat = { kind: 'same_call', why: 'It made the same call 3 times in a row.' } as const;
const event = (ms: number) => ({ lastEventAt: ago(ms) });

const rows: [string, Partial<Signs>, VerdictKind][] = [
  ['output now, computing or not', { ...event(5 * MINUTE), lastOutputAt: ago(SECOND) }, 'healthy'],
  ['an event now', event(SECOND), 'healthy'],
  [
    'output, and a request open',
    { ...event(5 * MINUTE), lastOutputAt: ago(SECOND), requestSince: ago(SECOND) },
    'healthy',
  ],
  ['begun a moment ago', { since: ago(SECOND) }, 'healthy'],
  ['silent for less than two minutes', event(MINUTE), 'quiet'],
  ['silent, seen once', { ...event(5 * MINUTE), cores: null }, 'quiet'],
  ['silent and computing', { ...event(5 * MINUTE), cores: 0.5 }, 'busy'],
  ['silent, starved on a busy machine', { ...event(5 * MINUTE), cores: 0.001, runnable: true }, 'busy'],
  ['silent, and files change', { ...event(5 * MINUTE), lastChangeAt: ago(30 * SECOND) }, 'busy'],
  ['silent, a request open', { ...event(5 * MINUTE), requestSince: ago(4 * MINUTE) }, 'waiting'],
  ['silent, the log waits for the model', { ...event(5 * MINUTE), modelSince: ago(5 * MINUTE) }, 'waiting'],
  ['the owner is asked', { ...event(300 * MINUTE), asksOwner: true }, 'waiting'],
  ['the owner is asked, and the sandbox was put away', { asksOwner: true, sandbox: 'gone' }, 'waiting'],
  ['silent, computing nothing, no request', event(5 * MINUTE), 'stuck'],
  ['a loop that sleeps', { ...event(5 * MINUTE), cores: 0.01 }, 'stuck'],
  ['a request that the broker would have given up', { ...event(20 * MINUTE), requestSince: ago(12 * MINUTE) }, 'stuck'],
  ['a model request beyond every time limit', { ...event(30 * MINUTE), modelSince: ago(30 * MINUTE) }, 'stuck'],
  ['words without a step for a quarter of an hour', { ...event(16 * MINUTE), lastOutputAt: ago(SECOND) }, 'stuck'],
  [
    'words and work without a step for an hour',
    { ...event(61 * MINUTE), lastOutputAt: ago(SECOND), cores: 1 },
    'stuck',
  ],
  ['work without a word for an hour', { ...event(61 * MINUTE), cores: 0.5 }, 'stuck'],
  [
    'a whole core for ten minutes, nothing changed',
    { ...event(11 * MINUTE), cores: 1, hotSince: ago(10.5 * MINUTE) },
    'spinning',
  ],
  ['the same call three times', { ...event(SECOND), repeat }, 'looping'],
  ['gone', { ...event(SECOND), sandbox: 'gone' }, 'lost'],
  ['frozen', { ...event(5 * MINUTE), sandbox: 'paused' }, 'lost'],
  ['three looks without an answer', { ...event(MINUTE), unanswered: 3 }, 'lost'],
  ['all of it in the kernel', { ...event(5 * MINUTE), blockedSince: ago(3 * MINUTE) }, 'lost'],
  ['nothing runs in it', { ...event(MINUTE), emptySince: ago(MINUTE) }, 'lost'],
];

describe('the table', () => {
  it.each(rows)('%s', (_, signs, expected) => {
    expect(kind(signs)).toBe(expected);
  });

  it('what may be used is used up, whatever else is so', () => {
    const limits = { wallMs: 10 * MINUTE, turns: 5, costUsd: 1, attempts: 3 };
    const used = { activeMs: 0, turns: 0, costUsd: 0 };
    const well = { ...event(SECOND) };
    expect(kind(well, { limits, used })).toBe('healthy');
    expect(kind(well, { limits, used: { ...used, activeMs: 10 * MINUTE } })).toBe('over_limit');
    expect(kind(well, { limits, used: { ...used, turns: 5 } })).toBe('over_limit');
    expect(kind(well, { limits, used: { ...used, costUsd: 1 } })).toBe('over_limit');
    expect(kind(well, { limits, used, attempts: 4 })).toBe('over_limit');
    expect(kind(well, { limits, used, attempts: 3 })).toBe('healthy');
    expect(kind({ asksOwner: true }, { limits, used: { ...used, turns: 5 } })).toBe('over_limit');
  });
});

describe('the edges', () => {
  const edges: [string, (at: number) => Partial<Signs>, number, VerdictKind, VerdictKind][] = [
    ['fresh', event, PATIENCE.freshMs, 'healthy', 'quiet'],
    ['soft', event, PATIENCE.softMs, 'quiet', 'stuck'],
    ['talk', (at) => ({ ...event(at), lastOutputAt: NOW }), PATIENCE.talkMs, 'healthy', 'stuck'],
    ['busy', (at) => ({ ...event(at), cores: 0.5 }), PATIENCE.busyMs, 'busy', 'stuck'],
    ['spin', (at) => ({ ...event(20 * MINUTE), cores: 1, hotSince: ago(at) }), PATIENCE.spinMs, 'busy', 'spinning'],
    ['request', (at) => ({ ...event(20 * MINUTE), requestSince: ago(at) }), PATIENCE.requestMs, 'waiting', 'stuck'],
    ['model', (at) => ({ ...event(20 * MINUTE), modelSince: ago(at) }), PATIENCE.modelMs, 'waiting', 'stuck'],
    ['blocked', (at) => ({ ...event(MINUTE), blockedSince: ago(at) }), PATIENCE.blockedMs, 'quiet', 'lost'],
    ['empty', (at) => ({ ...event(MINUTE), emptySince: ago(at) }), PATIENCE.emptyMs, 'quiet', 'lost'],
  ];
  it.each(edges)('%s: a millisecond before, and at it', (_, signs, at, before, then) => {
    expect([kind(signs(at - 1)), kind(signs(at))]).toEqual([before, then]);
  });

  it('looks without an answer, and how much of a core is none', () => {
    expect([2, 3].map((unanswered) => kind({ ...event(MINUTE), unanswered }))).toEqual(['quiet', 'lost']);
    expect([0.0199, 0.02].map((cores) => kind({ ...event(5 * MINUTE), cores }))).toEqual(['stuck', 'busy']);
  });

  it('a core in full use that writes files is no loop, and a verdict says what runs', () => {
    expect(kind({ ...event(11 * MINUTE), cores: 1, hotSince: ago(11 * MINUTE), lastChangeAt: ago(MINUTE) })).toBe(
      'busy',
    );
    const { why } = judge(runOf(), signsOf({ ...event(5 * MINUTE), running: ['`sleep 9000`'] }), NOW);
    expect(why).toMatch(/nothing for 5 minutes.*`sleep 9000`/);
  });
});

/** The higher the worse; equal is equal. */
const BADNESS: Record<VerdictKind, number> = {
  healthy: 0,
  quiet: 1,
  waiting: 2,
  busy: 2,
  stuck: 3,
  spinning: 3,
  looping: 3,
  lost: 4,
  over_limit: 5,
};

const time = fc.option(fc.integer({ min: 0, max: 100 * MINUTE }).map(ago));
const someSigns: fc.Arbitrary<Signs> = fc.record({
  sandbox: fc.constantFrom('none', 'running', 'paused', 'gone'),
  since: fc.integer({ min: 0, max: 100 * MINUTE }).map(ago),
  lastEventAt: time,
  lastOutputAt: time,
  lastChangeAt: time,
  cores: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 4, noNaN: true })),
  runnable: fc.boolean(),
  hotSince: time,
  requestSince: time,
  modelSince: time,
  asksOwner: fc.boolean(),
  unanswered: fc.nat(4),
  blockedSince: time,
  emptySince: time,
  running: fc.constant([]),
  repeat: fc.option(fc.constant(repeat), { freq: 10 }),
});

/** One more sign of life than before. */
const livelier: fc.Arbitrary<(signs: Signs) => Signs> = fc.oneof(
  fc.constantFrom('lastEventAt' as const, 'lastOutputAt' as const, 'lastChangeAt' as const).chain((sign) =>
    fc.integer({ min: 0, max: 100 * MINUTE }).map((ms) => (signs: Signs) => ({
      ...signs,
      [sign]: Math.max(signs[sign] ?? 0, ago(ms)),
    })),
  ),
  // A request that was opened later than the one before, or where there was none.
  fc.constantFrom('requestSince' as const, 'modelSince' as const).chain((sign) =>
    fc.integer({ min: 0, max: 100 * MINUTE }).map((ms) => (signs: Signs) => ({
      ...signs,
      [sign]: Math.max(signs[sign] ?? 0, ago(ms)),
    })),
  ),
  fc.constant((signs: Signs) => ({ ...signs, runnable: true })),
  // Beyond nine tenths of a core it may be a loop; `hotSince` tells that.
  fc.double({ min: 0, max: 4, noNaN: true }).map((more) => (signs: Signs) => ({
    ...signs,
    cores: signs.cores === null ? null : signs.cores + more,
  })),
  fc.constant((signs: Signs) => ({ ...signs, hotSince: null, unanswered: 0, blockedSince: null, emptySince: null })),
);

/** Counterexamples of a judge against what holds for all signs. */
function disproved(judged: typeof judge): boolean {
  const property = fc.property(someSigns, livelier, (signs, more) => {
    const [before, then] = [judged(runOf(), signs, NOW), judged(runOf(), more(signs), NOW)];
    return BADNESS[then.kind] <= BADNESS[before.kind];
  });
  return fc.check(property, { numRuns: 20_000, seed: 6 }).failed;
}

describe('for all signs', () => {
  it('more signs of life never make it worse', () => {
    expect(disproved(judge)).toBe(false);
  });

  it('it never throws, and says why and what next', () => {
    const anyTime = fc.option(fc.oneof(fc.integer(), fc.double(), fc.constant(Number.NaN)));
    const wild = fc.record({
      ...Object.fromEntries(
        [
          'lastEventAt',
          'lastOutputAt',
          'lastChangeAt',
          'hotSince',
          'requestSince',
          'modelSince',
          'blockedSince',
          'emptySince',
          'cores',
        ].map((name) => [name, anyTime]),
      ),
      since: fc.oneof(fc.integer(), fc.double()),
      unanswered: fc.integer(),
    });
    fc.assert(
      fc.property(wild, fc.integer(), (over, now) => {
        const verdict = judge(runOf(), signsOf(over as Partial<Signs>), now);
        expect(verdict.why).not.toBe('');
        expect(['wait', 'unstick', 'replace', 'end']).toContain(verdict.next);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('known-bad judges are caught', () => {
  const fails = (judged: typeof judge): boolean =>
    rows.some(([, signs, expected]) => judged(runOf(), signsOf(signs), NOW).kind !== expected);
  const bad: Record<string, typeof judge> = {
    'blind to open requests': (run, signs, now) => judge(run, { ...signs, requestSince: null }, now),
    'takes every silence for death': (run, signs, now) =>
      judge(run, signs, now, { ...PATIENCE, idleCores: Number.POSITIVE_INFINITY }),
    'takes any tick of the processor for work': (run, signs, now) =>
      judge(run, signs, now, { ...PATIENCE, idleCores: 0.001 }),
    'believes whoever talks': (run, signs, now) =>
      signs.lastOutputAt && now - signs.lastOutputAt < PATIENCE.freshMs
        ? { kind: 'healthy', why: 'It talks.', next: 'wait' }
        : judge(run, signs, now),
    'waits for ever for a request': (run, signs, now) =>
      judge(run, signs, now, { ...PATIENCE, requestMs: Number.POSITIVE_INFINITY }),
    'blind to what starves': (run, signs, now) => judge(run, { ...signs, runnable: false }, now),
  };
  it.each(Object.entries(bad))('%s', (_, judged) => {
    expect(fails(judged)).toBe(true);
  });

  it('one for which an open request is worse than none', () => {
    const harsh: typeof judge = (run, signs, now) =>
      signs.requestSince !== null && now - signs.requestSince >= PATIENCE.requestMs
        ? { kind: 'stuck', why: 'The request takes too long.', next: 'unstick' }
        : judge(run, signs, now);
    expect(disproved(harsh)).toBe(true);
  });
});
