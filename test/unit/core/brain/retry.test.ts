// What follows a failed model request, case by case.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Attempts, afterFailure, CUMULATIVE_DEADLINE_MS } from '../../../../core/brain/retry.ts';

const attempt = (change: Partial<Attempts> = {}): Attempts => ({
  failure: 'overloaded',
  retryAfterMs: null,
  model: 0,
  models: 1,
  failures: 1,
  elapsedMs: 0,
  holds: 0,
  ...change,
});

describe('after a failed request', () => {
  it.each<[string, Partial<Attempts>, object]>([
    ['overloaded: again a little later', {}, { kind: 'retry', delayMs: 500, model: 0 }],
    ['overloaded, third time', { failures: 3 }, { kind: 'retry', delayMs: 2_000, model: 0 }],
    ['overloaded, another model is listed: that one at once', { models: 2 }, { kind: 'retry', delayMs: 0, model: 1 }],
    [
      'overloaded, the last of the list: back to the first, later',
      { models: 2, model: 1, failures: 2 },
      { kind: 'retry', delayMs: 500, model: 0 },
    ],
    [
      'told when to come back',
      { failure: 'rate_limited', retryAfterMs: 7_000 },
      { kind: 'retry', delayMs: 7_000, model: 0 },
    ],
    [
      'told to come back after the deadline',
      { failure: 'rate_limited', retryAfterMs: 90_000 },
      { kind: 'hold', delayMs: 90_000 },
    ],
    ['the deadline is over', { elapsedMs: CUMULATIVE_DEADLINE_MS }, { kind: 'hold', delayMs: 5_000 }],
    ['held again: later', { elapsedMs: CUMULATIVE_DEADLINE_MS, holds: 2 }, { kind: 'hold', delayMs: 20_000 }],
    [
      'held for the hundredth time',
      { elapsedMs: CUMULATIVE_DEADLINE_MS, holds: 100 },
      { kind: 'hold', delayMs: 60_000 },
    ],
    ['unreachable: held soon', { failure: 'unreachable', elapsedMs: 6_000 }, { kind: 'hold', delayMs: 5_000 }],
    ['the key is refused: a person has to act', { failure: 'refused' }, { kind: 'hold', delayMs: 300_000 }],
    [
      'the key is refused, another model is listed',
      { failure: 'refused', models: 2 },
      { kind: 'retry', delayMs: 0, model: 1 },
    ],
    [
      'the key is refused, and the other one too',
      { failure: 'refused', models: 2, model: 1, failures: 2 },
      { kind: 'hold', delayMs: 300_000 },
    ],
    ['nothing was answered', { failure: 'empty' }, { kind: 'retry', delayMs: 0, model: 0 }],
    ['nothing was answered, third time', { failure: 'empty', failures: 3 }, { kind: 'give_up' }],
    ['the request is wrong', { failure: 'invalid' }, { kind: 'give_up' }],
    ['stopped', { failure: 'aborted' }, { kind: 'give_up' }],
    ['broke off', { failure: 'cut' }, { kind: 'retry', delayMs: 500, model: 0 }],
    ['stalled', { failure: 'stalled' }, { kind: 'retry', delayMs: 500, model: 0 }],
  ])('%s', (_, change, expected) => {
    expect(afterFailure(attempt(change), 0.5)).toEqual(expected);
  });

  it('ends within the deadline, whatever fails in whatever order', () => {
    const failure = fc.constantFrom(
      'overloaded',
      'rate_limited',
      'stalled',
      'cut',
      'unreachable',
      'refused',
      'empty',
      'invalid',
    ) as fc.Arbitrary<Attempts['failure']>;
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.tuple(failure, fc.nat(20_000))),
        fc.integer({ min: 1, max: 4 }),
        fc.float({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (stream, models, jitter) => {
          let [elapsedMs, model, failures] = [0, 0, 0];
          for (const [what, retryAfterMs] of stream) {
            failures += 1;
            const verdict = afterFailure(
              attempt({ failure: what, retryAfterMs, model, models, failures, elapsedMs }),
              jitter,
            );
            if (verdict.kind !== 'retry') break;
            expect(verdict.model).toBeLessThan(models);
            elapsedMs += verdict.delayMs + 10;
            model = verdict.model;
            expect(failures).toBeLessThan(200);
          }
          expect(elapsedMs).toBeLessThanOrEqual(CUMULATIVE_DEADLINE_MS + 2_000);
        },
      ),
      { numRuns: 300 },
    );
  });
});
