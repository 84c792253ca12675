// Where a conversation may be cut: never through a turn at work, never between a call and its result.
import { describe, expect, it } from 'vitest';
import { compactionPoint } from '../../../../core/brain/compaction.ts';
import { turnStart } from '../../../../core/brain/step.ts';
import { answered, asked, type Draft, logOf, replied, rested, result, said, use } from './logs.ts';

const BUDGET = 2_000;
const long = 'word '.repeat(2_000);
const turn = (text: string): Draft[] => [said(text), asked(), replied(), answered('well'), rested()];

describe('the point of compaction', () => {
  it('keeps the newest turn word for word', () => {
    const log = logOf([...turn(long), ...turn('a'), said('b')]);
    expect(compactionPoint(log, BUDGET)).toBe(5);
  });

  it('comes before the newest turn also when there was no rest between', () => {
    expect(compactionPoint(logOf([said(long), asked(), replied(), answered('well'), said('b')]), BUDGET)).toBe(4);
  });

  it('finds nothing to gain in one turn', () => {
    expect(compactionPoint(logOf([said(long)]), BUDGET)).toBeNull();
  });

  it('does not part a question from the answer it still waits for', () => {
    const working: Draft[] = [said('first'), asked(), replied(), use('call'), result('call', long), said('steered')];
    const log = logOf([...turn(long), ...working]);
    expect(compactionPoint(log, BUDGET)).toBe(5);
    expect(compactionPoint(logOf(working), BUDGET)).toBeNull();
  });

  it('keeps every message of a queue that was read at once', () => {
    const log = logOf([...turn('before'), said(long), said(long), said(long)]);
    expect(compactionPoint(log, BUDGET)).toBe(5);
  });

  it('keeps a call that waits for the owner in sight', () => {
    const log = logOf([
      ...turn(long),
      said('do it'),
      asked(),
      replied(),
      use('call', 'ask'),
      rested('requires_action'),
      ...turn(long),
    ]);
    expect(compactionPoint(log, BUDGET)).toBe(5);
  });
});

describe('the start of the turn at work', () => {
  it('is its first message, over calls and steering', () => {
    const log = logOf([...turn('a'), said('b'), asked(), replied(), use('call'), said('c'), result('call'), asked()]);
    expect(turnStart(log)).toBe(6);
  });

  it('is nothing after a complete answer', () => {
    expect(turnStart(logOf(turn('a')))).toBeNull();
    expect(
      turnStart(
        logOf([said('a'), asked(), replied(), use('call'), result('call'), asked(), replied(), answered('well')]),
      ),
    ).toBeNull();
  });

  it('is the next message when the last was answered without a rest', () => {
    expect(turnStart(logOf([said('a'), asked(), replied(), answered('well'), said('b')]))).toBe(5);
  });

  it('is not moved by the summary that compaction asks for', () => {
    expect(turnStart(logOf([said('a'), asked(), replied({ purpose: 'compaction' })]))).toBe(1);
  });
});
