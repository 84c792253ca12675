// From a log to what a reader sees: calls with their outcome, reasons of rest in words, unknown events never lost.
import { describe, expect, it } from 'vitest';
import { activityOf, type SessionState, stateOf } from '../../../../channels/console/src/activity.ts';
import { conversation, type Item } from '../../../../channels/console/src/conversation.ts';
import type { SessionEvent } from '../../../../channels/console/src/types.ts';

const idle: SessionState = { status: 'idle', stopReason: null, since: '' };

/** A log from shorthand: positions and ids count up from 1. */
function log(...rows: [type: string, fields?: Record<string, unknown>][]): SessionEvent[] {
  return rows.map(([type, fields], index) => {
    const at = new Date(1_790_000_000_000 + index * 1000).toISOString();
    return { id: `e${index + 1}`, type, seq: index + 1, created_at: at, processed_at: at, ...fields };
  });
}

const text = (value: string) => ({ content: [{ type: 'text', text: value }] });

function statusOfCall(...rows: Parameters<typeof log>): string | undefined {
  const item = conversation(log(...rows)).find((candidate) => candidate.kind === 'tool');
  return item?.kind === 'tool' ? item.call.status : undefined;
}

describe('a tool call', () => {
  const call: [string, Record<string, unknown>] = [
    'agent.tool_use',
    { name: 'bash', input: { command: 'ls' }, evaluated_permission: 'allow' },
  ];
  const ask: [string, Record<string, unknown>] = [
    'agent.tool_use',
    { name: 'bash', input: {}, evaluated_permission: 'ask' },
  ];

  it('runs, then is done or failed', () => {
    expect(statusOfCall(call)).toBe('running');
    expect(statusOfCall(call, ['agent.tool_result', { tool_use_id: 'e1', is_error: false }])).toBe('done');
    expect(statusOfCall(call, ['agent.tool_result', { tool_use_id: 'e1', is_error: true }])).toBe('failed');
  });

  it('in doubt stays in doubt, whatever else the result says', () => {
    expect(statusOfCall(call, ['agent.tool_result', { tool_use_id: 'e1', is_error: true, status: 'in_doubt' }])).toBe(
      'in_doubt',
    );
  });

  it('waits for a person; the answer decides', () => {
    const waits: [string, Record<string, unknown>] = [
      'session.status_idle',
      { stop_reason: { type: 'requires_action', event_ids: ['e1'] } },
    ];
    expect(statusOfCall(ask, waits)).toBe('waiting');
    expect(statusOfCall(ask, waits, ['user.tool_confirmation', { tool_use_id: 'e1', result: 'allow' }])).toBe(
      'running',
    );
    const denied = conversation(
      log(
        ask,
        waits,
        ['user.tool_confirmation', { tool_use_id: 'e1', result: 'deny', deny_message: 'not now' }],
        ['agent.tool_result', { tool_use_id: 'e1', is_error: true }],
      ),
    );
    expect(denied).toMatchObject([{ kind: 'tool', call: { status: 'denied', denyMessage: 'not now' } }]);
  });

  it('a confirmation of one call leaves the others alone', () => {
    const items = conversation(log(ask, ask, ['user.tool_confirmation', { tool_use_id: 'e2', result: 'allow' }]));
    expect(items.map((item) => item.kind === 'tool' && item.call.status)).toEqual(['waiting', 'running']);
  });

  it('that policy refused is denied without a question', () => {
    expect(statusOfCall(['agent.tool_use', { evaluated_permission: 'deny', reason: 'never' }])).toBe('denied');
  });

  it('without a result when the session rests, got none', () => {
    expect(statusOfCall(call, ['session.status_idle', { stop_reason: { type: 'end_turn' } }])).toBe('stopped');
    expect(statusOfCall(call, ['session.status_idle', { stop_reason: { type: 'requires_action' } }])).toBe('running');
  });

  it('goes on waiting for a person while other turns come and go', () => {
    expect(statusOfCall(ask, ['session.status_idle', { stop_reason: { type: 'end_turn' } }])).toBe('waiting');
  });

  it('a result whose call is on a page not loaded is passed over', () => {
    expect(conversation(log(['agent.tool_result', { tool_use_id: 'elsewhere' }]))).toEqual([]);
  });
});

describe('what a reader sees', () => {
  const kinds = (items: Item[]) => items.map((item) => item.kind);

  it('messages of both sides, with their origin', () => {
    const items = conversation(
      log(
        ['user.message', { ...text('hi'), origin: { channel: 'telegram', user_id: '1', name: 'Ola' } }],
        ['agent.message', text('hello')],
      ),
    );
    expect(items).toMatchObject([
      { kind: 'user', text: 'hi', origin: { channel: 'telegram' }, queued: false },
      { kind: 'answer', text: 'hello', interrupted: false },
    ]);
  });

  it('shows unknown types instead of dropping them', () => {
    expect(conversation(log(['comet.sighted', { brightness: 4 }]))).toMatchObject([
      { kind: 'unknown', event: { brightness: 4 } },
    ]);
  });

  it('keeps bookkeeping out', () => {
    expect(
      conversation(
        log(
          ['span.model_request_start'],
          ['span.model_request_end'],
          ['session.status_running'],
          ['agent.thinking'],
          ['session.updated'],
        ),
      ),
    ).toEqual([]);
  });

  it('says in words why it rests', () => {
    const [retries, budget, fine] = (['retries_exhausted', 'budget_reached', 'end_turn'] as const).map((type) =>
      conversation(log(['session.status_idle', { stop_reason: { type } }])),
    );
    expect(retries).toMatchObject([{ kind: 'note', tone: 'warn', text: expect.stringContaining('several times') }]);
    expect(budget).toMatchObject([{ kind: 'note', tone: 'warn', text: expect.stringContaining('budget') }]);
    expect(fine).toEqual([]);
  });

  it('an error that is retried is a note, once; one that ends the try is a card with its hint', () => {
    const retrying: [string, Record<string, unknown>] = [
      'session.error',
      { error: { type: 'overloaded_error', message: 'busy', retry_status: { type: 'retrying' } } },
    ];
    const items = conversation(
      log(retrying, retrying, retrying, [
        'session.error',
        {
          error: { type: 'billing_error', message: 'no credit', retry_status: { type: 'terminal' } },
          hint: 'Add credit.',
        },
      ]),
    );
    expect(items).toMatchObject([
      { kind: 'note' },
      { kind: 'error', message: 'no credit', hint: 'Add credit.', title: 'billing error' },
    ]);
  });

  it('survives events without the fields they should have', () => {
    const types = [
      'user.message',
      'agent.message',
      'agent.tool_use',
      'agent.tool_result',
      'user.tool_confirmation',
      'session.error',
      'session.status_idle',
      'delivery.failed',
      'budget.alert',
      'session.tainted',
      'session.redacted',
      'agent.thread_context_compacted',
    ];
    for (const broken of [
      {},
      { content: 7, error: null, stop_reason: 'x', input: null },
      { content: [null, { type: 'image' }] },
    ]) {
      expect(() =>
        kinds(conversation(log(...types.map((type): [string, Record<string, unknown>] => [type, broken])))),
      ).not.toThrow();
    }
  });
});

describe('state and activity', () => {
  it('the last status event wins; without one the session’s own status holds', () => {
    expect(
      stateOf(log(['session.status_running'], ['session.status_idle', { stop_reason: { type: 'end_turn' } }]), idle),
    ).toMatchObject({
      status: 'idle',
      stopReason: { type: 'end_turn' },
    });
    expect(stateOf(log(['user.message']), { ...idle, status: 'rescheduling' }).status).toBe('rescheduling');
  });

  it('tells thinking from writing from running a tool', () => {
    const events = log(
      ['session.status_running'],
      ['agent.tool_use', { name: 'web_fetch', evaluated_permission: 'allow' }],
    );
    const running: SessionState = { status: 'running', stopReason: null, since: '' };
    const of = (list: SessionEvent[], previews: { id: string; text: string; partial: boolean }[] = []) =>
      activityOf({ events: list, previews }, conversation(list), running);
    expect(of(events.slice(0, 1)).kind).toBe('thinking');
    expect(of(events)).toMatchObject({ kind: 'tool', name: 'web_fetch' });
    expect(of(events, [{ id: 'x', text: 'Hel', partial: false }]).kind).toBe('writing');
  });

  it('a session that waits says for what', () => {
    const empty = { events: [], previews: [] };
    expect(activityOf(empty, [], { ...idle, status: 'rescheduling' }).kind).toBe('waiting_for_model');
    expect(activityOf(empty, [], { ...idle, stopReason: { type: 'requires_action', event_ids: ['e1'] } })).toEqual({
      kind: 'waiting_for_you',
      ids: ['e1'],
    });
    expect(activityOf(empty, [], idle).kind).toBe('rest');
  });
});

describe('what sandboxes do', () => {
  const items = (type: string, fields: Record<string, unknown> = {}) => conversation(log([type, fields]));

  it.each(['sandbox.started', 'sandbox.ended', 'checkpoint.created'])('%s is not talked about', (type) => {
    expect(items(type)).toEqual([]);
  });

  it('is talked about when something is gone or was refused', () => {
    expect(items('sandbox.lost', { reason: 'memory limit' })).toMatchObject([{ tone: 'warn', detail: 'memory limit' }]);
    expect(items('checkpoint.failed', { reason: 'disk full' })).toMatchObject([{ tone: 'warn', detail: 'disk full' }]);
    const hosts = [
      { host: 'good.example', verdict: 'allowed' },
      { host: 'bad.example', verdict: 'denied' },
    ];
    expect(items('sandbox.egress', { hosts })).toMatchObject([{ text: expect.stringContaining('bad.example') }]);
    expect(items('sandbox.egress', { hosts: hosts.slice(0, 1) })).toEqual([]);
  });
});
