// May a run begin: overlap, by who asked for the run.
import { describe, expect, it } from 'vitest';
import type { Overlap, ScheduleRun } from '../../../core/schedules.ts';
import { type GateFacts, LONGEST_QUEUE, mayBegin } from '../../../scheduler/gate.ts';

const NOW = Date.UTC(2026, 10, 23, 7);

const facts = (trigger: ScheduleRun['trigger'], overlap: Overlap, more: Partial<GateFacts> = {}): GateFacts => ({
  run: { trigger, createdAt: NOW },
  schedule: {
    state: 'active',
    overlap,
    catchUp: 'latest',
    idleOnly: false,
    starts: { kind: 'prompt', text: 'x', session: 'own' },
  },
  quietUntil: null,
  earlier: 1,
  active: false,
  busy: false,
  catchingUp: false,
  ...more,
});
const kindOf = (given: GateFacts) => {
  const gate = mayBegin(given, NOW);
  return gate.kind === 'begin' && gate.replaces ? 'replace' : gate.kind;
};

describe('an earlier run has not ended', () => {
  it.each([
    ['schedule', 'skip', 'skip'],
    ['schedule', 'queue', 'wait'],
    ['schedule', 'replace', 'replace'],
    ['catch_up', 'skip', 'skip'],
    ['manual', 'skip', 'begin'],
    ['manual', 'queue', 'begin'],
    ['manual', 'replace', 'begin'],
    ['webhook', 'skip', 'wait'],
    ['webhook', 'queue', 'wait'],
    ['webhook', 'replace', 'replace'],
  ] as const)('%s, %s: %s', (trigger, overlap, outcome) => {
    expect(kindOf(facts(trigger, overlap))).toBe(outcome);
    expect(kindOf(facts(trigger, overlap, { earlier: 0 }))).toBe('begin');
  });

  it('passes no delivery of a webhook over, however many wait; slots do not queue without end', () => {
    const earlier = LONGEST_QUEUE + 1;
    expect(kindOf(facts('webhook', 'skip', { earlier }))).toBe('wait');
    expect(kindOf(facts('schedule', 'queue', { earlier }))).toBe('skip');
  });

  it('lets runs that make up for each other follow one another', () => {
    const given = facts('catch_up', 'skip');
    expect(kindOf({ ...given, schedule: { ...given.schedule, catchUp: 'all' } })).toBe('wait');
  });
});
