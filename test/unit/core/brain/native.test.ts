// The loop over a real record, with a model that does something in the one moment that counts.
import { describe, expect, it } from 'vitest';
import { createNative } from '../../../../core/brain/native.ts';
import { NO_USAGE } from '../../../../core/models/answer.ts';
import { toolsOf } from '../../../../core/tools/toolset.ts';
import type { Id, ModelEvent, ModelProvider, ModelRequest } from '../../../../core/types.ts';
import { openTestRecord } from '../../../helpers/record.ts';

const isSummary = (request: ModelRequest): boolean =>
  JSON.stringify(request.messages.at(-1)).includes('Summarise the conversation above');

function house(during: (request: ModelRequest) => void) {
  const record = openTestRecord();
  const sessionId = record.newSession();
  const provider: ModelProvider = {
    name: 'scripted',
    async *stream(request): AsyncGenerator<ModelEvent> {
      during(request);
      const text = isSummary(request) ? 'what was said' : 'yes';
      const usage = { ...NO_USAGE, output_tokens: 7 };
      yield { type: 'end', outcome: { kind: 'done', blocks: [{ type: 'text', text }], stopReason: 'end_turn', usage } };
    },
  };
  const model = { name: 'scripted', provider };
  const native = createNative({
    ...record,
    ...toolsOf([], record.agents),
    hooks: { toolNamed() {}, asking() {}, rested() {} },
    memory: { block: () => ({ text: '', itemIds: [] }), recall: async () => null, compacting() {}, rested() {} },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    crash() {},
    random: () => 0.5,
    observed() {},
    timeZone: 'UTC',
    contextTokens: 2_000,
    quarantineAfter: 0,
    models: () => [model],
    namedModel: () => model,
    budget: () => ({ kind: 'go', leftUsd: Number.POSITIVE_INFINITY }),
    progress() {},
  });
  const queue = (type: string, payload = {}) => record.events.append(sessionId, [{ type, payload, queued: true }]);
  const say = (text: string) => queue('user.message', { content: [{ type: 'text', text }] });
  const all = () => record.events.list({ sessionId, limit: 1_000 });
  return { record, sessionId, native, queue, say, all };
}

/** Requests without their end. */
const open = (events: readonly { id: Id; type: string; payload: Record<string, unknown> }[]): Id[] => {
  const ended = new Set(events.map(({ payload }) => payload.model_request_start_id));
  return events.filter(({ id, type }) => type === 'span.model_request_start' && !ended.has(id)).map(({ id }) => id);
};

describe('a stop in the moment a summary has come', () => {
  it('keeps the summary, which is paid for, leaves no request open and ends the turn', async () => {
    const stop = new AbortController();
    const { native, sessionId, queue, say, all, record } = house((request) => {
      if (!isSummary(request)) return;
      queue('user.interrupt');
      stop.abort('interrupt');
    });
    let turns = 0;
    while (!all().some(({ type }) => type === 'user.interrupt')) {
      say(`message ${turns} ${'x'.repeat(800)}`);
      await native.carry(sessionId, stop.signal);
      turns += 1;
      expect(turns).toBeLessThan(30);
    }
    const events = all();
    expect(open(events)).toEqual([]);
    expect(events.filter(({ type }) => type === 'agent.thread_context_compacted')).toHaveLength(1);
    expect(events.filter(({ type }) => type === 'agent.message')).toHaveLength(turns - 1);
    expect(record.usage.today().output_tokens).toBe(7 * turns);
    expect(events.at(-1)).toMatchObject({
      type: 'session.status_idle',
      payload: { stop_reason: { type: 'end_turn' } },
    });
  });
});
