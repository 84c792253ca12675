// Result, summary and hand-off: made from the log and from what was measured, never from what an agent says of itself.
import { describe, expect, it } from 'vitest';
import type { CommandReport } from '../../../../core/tasks.ts';
import type { JsonObject, LogEvent } from '../../../../core/types.ts';
import { exceeded, usedIn } from '../../../../sandboxes/tasks/limits.ts';
import { restOf } from '../../../../sandboxes/tasks/rest.ts';
import { type ResultFacts, resultOf } from '../../../../sandboxes/tasks/result.ts';
import type { TaskRow } from '../../../../sandboxes/tasks/rows.ts';

function logOf(...events: [type: string, payload?: JsonObject][]): LogEvent[] {
  return events.map(([type, payload = {}], index) => ({
    ...{ id: `sevt_${index + 1}`, sessionId: 'sesn_1', seq: index + 1, position: index + 1, type, payload },
    ...{ createdAt: 0, processedAt: 0, runId: null, origin: null, tainted: false },
  }));
}
const report = (command: string, code: number, output = ''): CommandReport => ({
  command,
  code,
  limited: null,
  tookMs: 1_500,
  output,
});
const verify = (...reports: CommandReport[]): [string, JsonObject][] =>
  reports.map((one) => ['task.command', { phase: 'verify', report: one as unknown as JsonObject }]);
const says = (text: string): JsonObject => ({ content: [{ type: 'text', text }] });

const task = {
  ...{ id: 'task_1', sessionId: 'sesn_1', branch: 'steward/task_1-x', title: 'X', instruction: 'Upgrade it.' },
  ...{ verify: ['npm test'], rounds: 0, baseCommit: 'b'.repeat(40), head: null, activeMs: 90_000 },
} as unknown as TaskRow;

const facts = (log: LogEvent[], more: Partial<ResultFacts> = {}): ResultFacts => ({
  ...{ task, to: 'done', reason: null, log, head: 'c'.repeat(40), patch: null, approvals: [], deniedHosts: [] },
  numbers: { diffstat: ' a.txt | 2 +-', files: 1, insertions: 1, deletions: 1 },
  delivered: { pushed: false, pullRequest: null, patch: 'patches/x.patch' },
  usage: { input_tokens: 900, output_tokens: 100, costUsd: 0.25 },
  ...more,
});

describe('the result of a task', () => {
  it('tells what happened, by the evidence', () => {
    const log = logOf(
      ['task.status', { to: 'verifying' }],
      ...verify(report('npm test', 1, 'broken')),
      ['agent.message', says('All tests pass, 400 files changed!')],
      ['agent.tool_use', { name: 'bash', evaluated_permission: 'deny', reason: 'Not allowed here.' }],
      ['agent.tool_result', { tool_use_id: 'sevt_4' }],
      ['agent.tool_use', { name: 'task_deliver', evaluated_permission: 'ask', task_id: 'task_1' }],
      ['checkpoint.created'],
      ['task.status', { to: 'verifying' }],
      ...verify(report('npm test', 0)),
    );
    const result = resultOf(facts(log, { task: { ...task, rounds: 1 } }));
    expect(result).toMatchObject({
      ...{ branch: task.branch, files: 1, patch: 'patches/x.patch', checkpoints: 1, costUsd: 0.25, activeSeconds: 90 },
      verify: [{ command: 'npm test', code: 0 }],
      deniedActions: [{ name: 'bash', why: 'Not allowed here.' }],
      handoff: null,
    });
    expect(result.summary).toBe(
      [
        'Done.',
        '1 file changed (+1 −1) on steward/task_1-x.',
        'Checks: `npm test` passed (1.5 s), after 1 that failed.',
        'Patch: patches/x.patch in the files folder.',
        '2 minutes at work, 1 × bash, 1000 tokens, $0.25.',
      ].join('\n'),
    );
    expect(result.summary).not.toContain('400');
  });

  it('hands off with what was wanted, tried and failed, and how the repository stands', () => {
    const log = logOf(
      ['task.status', { to: 'verifying' }],
      ['agent.message', says('I could not find the cause.')],
      ...verify(report('npm test', 1, 'Error: no such module')),
    );
    const { handoff, summary } = resultOf(
      facts(log, { to: 'handed_off', reason: 'The checks still fail.', delivered: null, patch: 'patches/x.patch' }),
    );
    for (const part of [
      'Upgrade it.',
      'I could not find the cause.',
      'Error: no such module',
      'patches/x.patch',
      'cccccccccccc',
    ])
      expect(handoff).toContain(part);
    expect(summary).toMatch(/^Handed off: it could not be finished. The checks still fail./);
  });

  it('of nothing committed says so, and of an unknown price, too', () => {
    const { head, summary, costUsd } = resultOf(
      facts(logOf(), {
        head: task.baseCommit,
        numbers: null,
        delivered: null,
        usage: { input_tokens: 1, output_tokens: 1, costUsd: null },
      }),
    );
    expect({ head, costUsd }).toEqual({ head: null, costUsd: null });
    expect(summary).toContain('Nothing was changed.');
    expect(summary).toContain('cost not known');
  });
});

describe('the limits of a task', () => {
  const limits = { wallMs: 60_000, turns: 2, costUsd: 0.5, attempts: 3 };
  const end = (cost_usd: number | null): [string, JsonObject] => [
    'span.model_request_end',
    { is_error: false, cost_usd },
  ];

  it('count from when it was queued last; failed requests are no turns', () => {
    const log = logOf(end(9), ['task.status', { to: 'queued' }], end(0.1), end(null), [
      'span.model_request_end',
      { is_error: true },
    ]);
    expect(usedIn(log, 5)).toEqual({ activeMs: 5, turns: 2, costUsd: 0.1 });
  });

  it.each([
    [{ activeMs: 60_000, turns: 0, costUsd: 0 }, 'time'],
    [{ activeMs: 0, turns: 2, costUsd: 0 }, 'turns'],
    [{ activeMs: 0, turns: 0, costUsd: 0.5 }, 'budget'],
    [{ activeMs: 59_999, turns: 1, costUsd: 0.49 }, null],
  ])('%j: %s', (used, what) => {
    const why = exceeded(limits, used);
    if (what === null) expect(why).toBeNull();
    else expect(why).toContain(what);
  });
});

describe('how the agent of a task stands', () => {
  const idle = (type: string): [string, JsonObject] => ['session.status_idle', { stop_reason: { type } }];
  const look = (stop: string, events: LogEvent[], more: Partial<Parameters<typeof restOf>[0]> = {}) =>
    restOf({
      session: { status: 'idle', stopReason: { type: stop } as never },
      ...{ queued: 0, began: logOf(['user.message'])[0]!, after: events, ...more },
    }).kind;

  it.each([
    ['done', 'end_turn', logOf(['span.model_request_end'], idle('end_turn'))],
    ['waits', 'requires_action', logOf(idle('requires_action'))],
    ['waits', 'budget_reached', logOf(idle('budget_reached'))],
    ['failed', 'retries_exhausted', logOf(['session.error'], idle('retries_exhausted'))],
    ['stopped', 'end_turn', logOf(['user.interrupt'], idle('end_turn'))],
    ['done', 'end_turn', logOf(['user.interrupt'], idle('end_turn'), ['user.message'], idle('end_turn'))],
    ['open', 'end_turn', logOf(idle('end_turn'), ['user.message'])],
  ])('%s after %s', (kind, stop, events) => {
    expect(look(stop, events)).toBe(kind);
  });

  it('open while anything waits to be read, or it is at work', () => {
    const after = logOf(idle('end_turn'));
    expect(look('end_turn', after, { queued: 1 })).toBe('open');
    expect(look('end_turn', after, { session: { status: 'running', stopReason: null } })).toBe('open');
    expect(look('end_turn', after, { began: { ...logOf(['user.message'])[0]!, position: null } })).toBe('open');
  });
});
