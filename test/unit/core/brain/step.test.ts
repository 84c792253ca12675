// What a session needs next, as a table over logs and as properties of random ones.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextStep, openCalls, type Step, unanswered } from '../../../../core/brain/step.ts';
import {
  answered,
  anyLog,
  asked,
  confirmed,
  customResult,
  customUse,
  type Draft,
  failed,
  logOf,
  replied,
  rested,
  result,
  said,
  use,
} from './logs.ts';

/** A step in short: the ids it is about. */
const short = (step: Step): string => {
  switch (step.kind) {
    case 'execute':
      return `execute ${step.calls.map((call) => call.id)}`;
    case 'refuse':
      return `refuse ${step.calls.map(({ call, reason }) => `${call.id}${reason ? `: ${reason}` : ''}`)}`;
    case 'request':
      return 'request';
    case 'idle':
      return `idle ${step.reason.type}${step.reason.type === 'requires_action' ? ` ${step.reason.event_ids}` : ''}`;
  }
};

const interrupt: Draft = { type: 'user.interrupt' };
const compactionSpan = replied({ purpose: 'compaction' });

describe('the next step', () => {
  it.each<[string, Draft[], string]>([
    ['an empty log', [], 'idle end_turn'],
    ['a message', [said('a')], 'request'],
    ['a request was begun and lost', [said('a'), asked()], 'request'],
    [
      'a request failed and is tried again',
      [said('a'), asked(), { type: 'span.model_request_end', payload: { is_error: true } }],
      'request',
    ],
    ['held: the model is away', [said('a'), failed('retrying', { told: true })], 'request'],
    ['an answer', [said('a'), replied(), answered('b')], 'idle end_turn'],
    ['an answer, and more was said', [said('a'), replied(), answered('b'), said('c')], 'request'],
    ['a summary is no answer', [said('a'), compactionSpan], 'request'],
    ['a call', [said('a'), replied(), use('c1')], 'execute c1'],
    ['two calls', [said('a'), replied(), use('c1'), use('c2')], 'execute c1,c2'],
    ['one of two done', [said('a'), replied(), use('c1'), use('c2'), result('c1')], 'execute c2'],
    ['both done', [said('a'), replied(), use('c1'), use('c2'), result('c2'), result('c1')], 'request'],
    ['a call refused by policy', [said('a'), replied(), use('c1', 'deny'), result('c1')], 'request'],
    ['more was said while a tool ran: the tool first', [said('a'), replied(), use('c1'), said('b')], 'execute c1'],
    ['a call that waits', [said('a'), replied(), use('c1', 'ask')], 'idle requires_action c1'],
    ['two that wait', [said('a'), replied(), use('c1', 'ask'), use('c2', 'ask')], 'idle requires_action c1,c2'],
    [
      'one waits, one is done',
      [said('a'), replied(), use('c1', 'ask'), use('c2'), result('c2')],
      'idle requires_action c1',
    ],
    ['one waits, one may act', [said('a'), replied(), use('c1', 'ask'), use('c2')], 'execute c2'],
    ['one waits, more was said', [said('a'), replied(), use('c1', 'ask'), said('b')], 'request'],
    [
      'one waits, that was answered',
      [said('a'), replied(), use('c1', 'ask'), said('b'), replied(), answered('c')],
      'idle requires_action c1',
    ],
    ['allowed', [said('a'), replied(), use('c1', 'ask'), confirmed('c1', 'allow')], 'execute c1'],
    ['denied', [said('a'), replied(), use('c1', 'ask'), confirmed('c1', 'deny')], 'refuse c1'],
    [
      'denied with a reason',
      [said('a'), replied(), use('c1', 'ask'), confirmed('c1', 'deny', 'why')],
      'refuse c1: why',
    ],
    [
      'one allowed, one denied: the refusal first',
      [said('a'), replied(), use('c1', 'ask'), use('c2', 'ask'), confirmed('c1', 'allow'), confirmed('c2', 'deny')],
      'refuse c2',
    ],
    [
      'a confirmation of another call',
      [said('a'), replied(), use('c1', 'ask'), confirmed('c9', 'allow')],
      'idle requires_action c1',
    ],
    [
      'a denied call cannot be allowed by confirming',
      [said('a'), replied(), use('c1', 'deny'), result('c1'), confirmed('c1', 'allow')],
      'request',
    ],
    ['a custom tool', [said('a'), replied(), customUse('c1')], 'idle requires_action c1'],
    [
      'a custom tool is not run by confirming',
      [said('a'), replied(), customUse('c1'), confirmed('c1', 'allow')],
      'idle requires_action c1',
    ],
    ['a custom tool answered', [said('a'), replied(), customUse('c1'), customResult('c1')], 'request'],
    ['stopped', [said('a'), interrupt], 'idle end_turn'],
    ['stopped, then more', [said('a'), interrupt, rested(), said('b')], 'request'],
    ['failed for good', [said('a'), failed()], 'idle retries_exhausted'],
    ['failed for good, then more', [said('a'), failed(), said('b')], 'request'],
    ['set aside', [said('a'), failed('terminal', { quarantined_event_ids: ['e1'] })], 'idle retries_exhausted'],
    ['over budget', [said('a'), { type: 'budget.alert' }, rested('budget_reached')], 'request'],
  ])('%s', (_, drafts, expected) => {
    expect(short(nextStep(logOf(drafts)))).toBe(expected);
  });
});

describe('whatever the log', () => {
  it('a call is carried out only when allowed, never twice, and nothing is asked of the model while one can act', () => {
    fc.assert(
      fc.property(anyLog, (log) => {
        const step = nextStep(log);
        const open = new Set(openCalls(log).map((call) => call.id));
        if (step.kind === 'execute')
          for (const call of step.calls) {
            expect(open.has(call.id)).toBe(true);
            expect(call.type).toBe('agent.tool_use');
            const allowed = log.some(
              (event) => event.payload.tool_use_id === call.id && event.payload.result === 'allow',
            );
            expect(call.payload.evaluated_permission === 'allow' || allowed).toBe(true);
          }
        if (step.kind === 'request') {
          expect(unanswered(log).length).toBeGreaterThan(0);
          for (const id of open) {
            const call = log.find((event) => event.id === id)!;
            expect(call.payload.evaluated_permission).not.toBe('allow');
          }
        }
        if (step.kind === 'idle' && step.reason.type !== 'requires_action') {
          expect(open.size).toBe(0);
          expect(unanswered(log)).toEqual([]);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
