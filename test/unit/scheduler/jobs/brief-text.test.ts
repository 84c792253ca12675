// The words of the morning brief: short, what waits first, what is empty left out, nothing hidden in it.
import { describe, expect, it } from 'vitest';
import { type BriefFacts, briefText } from '../../../../scheduler/jobs/brief-text.ts';

const facts = (some: Partial<BriefFacts> = {}): BriefFacts => ({
  ...{ now: Date.UTC(2026, 11, 1, 6, 30), timeZone: 'Europe/Berlin' },
  ...{ approvals: [], questions: [], loops: [], today: [], learnt: [], trouble: [] },
  night: { succeeded: 0, failed: [], missed: [] },
  cost: { yesterdayUsd: 0, todayUsd: 0, limitUsd: 10, unpriced: 0 },
  ...some,
});

describe('the brief', () => {
  it('of a quiet night is one line', () => {
    expect(briefText(facts())).toBe('**Good morning. Tuesday 1 December.** A quiet night: nothing waits for you.');
    expect(briefText(facts({ night: { succeeded: 3, failed: [], missed: [] } }))).toBe(
      '**Good morning. Tuesday 1 December.** A quiet night: 3 scheduled runs, all well; nothing waits for you.',
    );
  });

  it('says everything there is, what waits for the owner first', () => {
    const text = briefText(
      facts({
        approvals: ['bash: rm -r build'],
        questions: ['Is it Berlin or Paris?'],
        loops: ['Call the bank'],
        today: [
          { time: '09:00', name: 'Stand-up', times: 1 },
          { time: '10:00', name: 'Water', times: 6 },
        ],
        night: {
          succeeded: 1,
          failed: [{ name: 'News', why: 'no model', times: 2 }],
          missed: [{ name: 'Mail', why: '', times: 1 }],
        },
        learnt: ['Likes tea'],
        trouble: ['telegram: no answer since 03:00'],
        cost: { yesterdayUsd: 1.234, todayUsd: 0.01, limitUsd: 10, unpriced: 1 },
      }),
    );
    expect(text).toBe(
      [
        '**Good morning. Tuesday 1 December.**',
        '',
        '**Waiting for you**',
        '- to approve: bash: rm -r build',
        '- to decide: Is it Berlin or Paris?',
        '',
        '**Went wrong**',
        '- failed: News (2 times): no model',
        '- missed: Mail',
        '- telegram: no answer since 03:00',
        '',
        '1 other run went well.',
        '',
        '**Today**',
        '- 09:00 Stand-up',
        '- 10:00 Water, 6 times today',
        '',
        '**Still open**',
        '- Call the bank',
        '',
        '**Learnt**',
        '- Likes tea',
        '',
        'Cost: $1.23 yesterday, $0.01 today of $10.00, and 1 request of unknown price.',
      ].join('\n'),
    );
  });

  it('stays short, one line each, with nothing hidden', () => {
    const text = briefText(
      facts({ loops: Array.from({ length: 50 }, (_, at) => `loop ${at}\n\n# and \u202e${'x'.repeat(500)}`) }),
    );
    expect(text).toContain('- and 45 more');
    expect(text.length).toBeLessThan(1_000);
    expect(text).toContain('loop 0 # and \\u{202e}xxx');
    expect(text.split('\n').every((line) => [...line].length <= 145)).toBe(true);
  });
});
