// One line for every event, known or not; nothing in it can reorder the line.
import { describe, expect, it } from 'vitest';
import { groupOf, inputSummary, summarise } from '../../../../channels/console/src/summary.ts';
import type { SessionEvent } from '../../../../channels/console/src/types.ts';

const at = (second: number) => new Date(1_790_000_000_000 + second * 1000).toISOString();
const event = (type: string, fields: Record<string, unknown> = {}): SessionEvent => ({
  id: 'e1',
  type,
  seq: 1,
  created_at: at(0),
  processed_at: at(0),
  ...fields,
});
const none = () => undefined;

describe('a line', () => {
  it('tells tokens, time and cost of a request, and says when no price is known', () => {
    const start = event('span.model_request_start', { id: 's', model: 'm-1' });
    const end = event('span.model_request_end', {
      created_at: at(2),
      model_request_start_id: 's',
      is_error: false,
      model_usage: {
        input_tokens: 200,
        output_tokens: 50,
        cache_read_input_tokens: 4000,
        cache_creation_input_tokens: 0,
      },
      cost_usd: null,
    });
    expect(summarise(end, (id) => (id === 's' ? start : undefined))).toBe(
      'm-1 · 4.2k in · 4.0k cached · 50 out · 2.0 s · price unknown',
    );
  });

  it('names the call of a result and how it ended', () => {
    const call = event('agent.tool_use', { id: 'c', name: 'bash' });
    const result = event('agent.tool_result', {
      tool_use_id: 'c',
      created_at: at(1),
      is_error: true,
      content: [{ type: 'text', text: 'boom' }],
    });
    expect(summarise(result, () => call)).toBe('bash · failed · 1.0 s · boom');
    expect(summarise({ ...result, status: 'in_doubt' }, () => call)).toContain('in doubt');
  });

  it('shows the fields of an event nobody knows', () => {
    expect(summarise(event('comet.sighted', { tail: 'long', deg: 4 }), none)).toBe('tail: long · deg: 4');
    expect(groupOf('comet.sighted')).toBe('other');
  });

  it('holds on to one line and cannot be reordered', () => {
    const line = summarise(
      event('agent.message', { content: [{ type: 'text', text: `a\n\nb\u202E${'x'.repeat(5000)}` }] }),
      none,
    );
    expect(line).toMatch(/^a b⟨U\+202E⟩x+…$/);
    expect(line.length).toBeLessThanOrEqual(300);
  });

  it('survives empty events of every type', () => {
    for (const type of [
      'user.message',
      'agent.tool_use',
      'agent.tool_result',
      'session.error',
      'span.model_request_end',
      'user.tool_confirmation',
      'delivery.failed',
    ]) {
      expect(() => summarise(event(type), none)).not.toThrow();
    }
  });
});

describe('what a call is about', () => {
  it('is its most telling argument, or all of them', () => {
    expect(inputSummary({ timeout: 5, command: 'ls  -la\n| wc' })).toBe('ls -la | wc');
    expect(inputSummary({ a: 1, b: [2] })).toBe('{"a":1,"b":[2]}');
    expect(inputSummary({})).toBe('');
    expect(inputSummary('raw')).toBe('"raw"');
    expect(inputSummary({ command: 'x'.repeat(500) })).toHaveLength(120);
  });
});
