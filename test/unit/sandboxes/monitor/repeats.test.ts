// Circles in calls: which are told, and which honest repetition is not one.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CallSeen, repeats, resultDigest } from '../../../../sandboxes/monitor/repeats.ts';

const call = (name: string, result = 'r', failed = false, input = ''): CallSeen => ({ name, input, result, failed });
const kindOf = (...calls: CallSeen[]) => repeats(calls)?.kind ?? null;
const test = call('bash', 'FAIL', true, 'npm test');

describe('circles', () => {
  it('the same call three times, not twice', () => {
    expect(kindOf(call('a'), call('a'))).toBeNull();
    expect(kindOf(call('b'), call('a'), call('a'), call('a'))).toBe('same_call');
    expect(kindOf(call('a'), call('a'), call('b'), call('a'))).toBeNull();
    expect(kindOf(call('a'), call('a', 'r', false, 'other'), call('a'))).toBeNull();
  });

  it('two calls back and forth six times, not five', () => {
    const turns = [call('a'), call('b'), call('a'), call('b'), call('a'), call('b')];
    expect(kindOf(...turns)).toBe('alternating');
    expect(kindOf(...turns.slice(1))).toBeNull();
    expect(kindOf(...turns.with(3, call('b', 'changed')))).toBeNull();
  });

  it('the same error three times, whatever was called', () => {
    expect(kindOf(call('a', 'E', true), call('b', 'E', true), call('c', 'E', true))).toBe('same_error');
    expect(kindOf(call('a', 'E', true), call('b', 'F', true), call('c', 'E', true))).toBeNull();
    expect(kindOf(call('a', 'E', true), call('b', 'E'), call('c', 'E', true))).toBeNull();
  });

  it('polling what changes is none; nor are edits between tests that go on failing', () => {
    expect(kindOf(...[1, 2, 3, 4, 5, 6].map((n) => call('status', `${n}0 %`)))).toBeNull();
    const edits = [1, 2, 3].map((n) => call('edit', 'ok', false, `change ${n}`));
    expect(kindOf(...edits.flatMap((edit) => [edit, test]))).toBeNull();
  });

  it('results that differ in time alone say the same; in a count they do not', () => {
    const same = (a: string, b: string) => resultDigest(a) === resultDigest(b);
    expect(same('1 failed in 3.21s', '1 failed in 12 s')).toBe(true);
    expect(same('2026-12-01T05:00:01.123Z down', '2026-12-01T06:00:09.001Z down')).toBe(true);
    expect(same('at 0x7ffe12', 'at 0x55aa00')).toBe(true);
    expect(same('step 3 of 10', 'step 4 of 10')).toBe(false);
    expect(same(`${'x'.repeat(50_000)}a`, `${'x'.repeat(50_000)}b`)).toBe(false);
  });

  it('never throws, and nothing is a circle among calls that all differ', () => {
    const some = fc.record({ name: fc.string(), input: fc.string(), result: fc.string(), failed: fc.boolean() });
    fc.assert(fc.property(fc.array(some), (calls) => void repeats(calls)));
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string(), { maxLength: 20 }),
        (all) => repeats(all.map((r) => call('a', r))) === null,
      ),
    );
  });
});
