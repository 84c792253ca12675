// Logs of a session for tests: written by hand, or random as a harness could have left them.
import fc from 'fast-check';
import type { JsonObject, LogEvent } from '../../../../core/types.ts';

export interface Draft {
  type: string;
  payload?: JsonObject;
  id?: string;
  tainted?: boolean;
  origin?: LogEvent['origin'];
}

/** Positions rise by one; ids are `e1`, `e2` … unless given. */
export function logOf(drafts: readonly Draft[]): LogEvent[] {
  return drafts.map((draft, index) => ({
    id: draft.id ?? `e${index + 1}`,
    sessionId: 's',
    seq: index + 1,
    position: index + 1,
    type: draft.type,
    payload: draft.payload ?? {},
    createdAt: Date.UTC(2026, 10, 20, 8, index),
    processedAt: Date.UTC(2026, 10, 20, 8, index),
    runId: null,
    origin: draft.origin ?? null,
    tainted: draft.tainted ?? false,
  }));
}

const content = (text: string) => ({ content: [{ type: 'text', text }] });
export const owner: LogEvent['origin'] = {
  sender: { channel: 'web', userId: 'owner' },
  address: { channel: 'web', chat: 's' },
  role: 'owner',
};
export const said = (text: string, more: Partial<Draft> = {}): Draft => ({
  type: 'user.message',
  payload: content(text),
  origin: owner,
  ...more,
});
export const answered = (text: string): Draft => ({ type: 'agent.message', payload: content(text) });
export const asked = (): Draft => ({ type: 'span.model_request_start', payload: { model: 'm' } });
export const replied = (more: JsonObject = {}): Draft => ({
  type: 'span.model_request_end',
  payload: { is_error: false, ...more },
});
export const use = (id: string, permission = 'allow', name = 'tool'): Draft => ({
  id,
  type: 'agent.tool_use',
  payload: { name, input: { a: 1 }, evaluated_permission: permission },
});
export const customUse = (id: string): Draft => ({
  id,
  type: 'agent.custom_tool_use',
  payload: { name: 'custom', input: {} },
});
export const result = (id: string, text = 'out'): Draft => ({
  type: 'agent.tool_result',
  payload: { tool_use_id: id, is_error: false, ...content(text) },
});
export const customResult = (id: string): Draft => ({
  type: 'user.custom_tool_result',
  payload: { custom_tool_use_id: id, is_error: false, ...content('out') },
});
export const confirmed = (id: string, verdict: string, message?: string): Draft => ({
  type: 'user.tool_confirmation',
  payload: { tool_use_id: id, result: verdict, ...(message && { deny_message: message }) },
});
export const rested = (reason = 'end_turn'): Draft => ({
  type: 'session.status_idle',
  payload: { stop_reason: { type: reason } },
});
export const failed = (status = 'exhausted', more: JsonObject = {}): Draft => ({
  type: 'session.error',
  payload: { error: { type: 'unknown_error', message: 'm', retry_status: { type: status } }, ...more },
});

const words = fc.oneof(
  fc.constantFrom('', ' \n ', 'hello', 'x'.repeat(5_000), '你好'.repeat(300), '👋 \ud800 half'),
  fc.string({ maxLength: 20 }),
);

/** One step of a session: what a person, the model or time may add. The number picks among the calls that are open. */
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('say' as const),
      text: words,
      image: fc.boolean(),
      tainted: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      text: words,
      thinking: fc.boolean(),
      calls: fc.array(fc.constantFrom('allow', 'ask', 'deny', 'custom'), { maxLength: 3 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('result' as const), pick: fc.nat(), text: words }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('confirm' as const), pick: fc.nat(), allow: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'interrupt' as const,
        'error' as const,
        'rest' as const,
        'note' as const,
        'failed request' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('quarantine' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('redact' as const), pick: fc.nat() }) },
);

/**
 * Random logs. Results come in any order, late, or never; a result never comes twice. This is wider than what the harness
 * writes: what holds here holds there.
 */
export const anyLog: fc.Arbitrary<LogEvent[]> = fc.array(step, { maxLength: 30 }).map((steps) => {
  const drafts: Draft[] = [];
  const open: Draft[] = [];
  let serial = 0;
  for (const one of steps)
    switch (one.kind) {
      case 'say':
        drafts.push(
          said(one.text, {
            tainted: one.tainted,
            ...(one.image && {
              payload: {
                content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } }],
              },
            }),
          }),
        );
        break;
      case 'answer': {
        drafts.push(replied());
        if (one.thinking)
          drafts.push({
            type: 'agent.thinking',
            payload: { blocks: [{ type: 'thinking', thinking: 'hm', signature: 'sig' }] },
          });
        if (one.text.trim() !== '') drafts.push(answered(one.text));
        for (const kind of one.calls) {
          serial += 1;
          const call = kind === 'custom' ? customUse(`c${serial}`) : use(`c${serial}`, kind);
          drafts.push(call);
          if (kind === 'deny') drafts.push(result(call.id!, 'no'));
          else open.push(call);
        }
        break;
      }
      case 'result': {
        const [call] = open.splice(one.pick % (open.length || 1), 1);
        if (!call) break;
        const event = call.type === 'agent.custom_tool_use' ? customResult(call.id!) : result(call.id!);
        drafts.push({ ...event, payload: { ...event.payload, ...content(one.text) } });
        break;
      }
      case 'confirm': {
        const call = open[one.pick % (open.length || 1)];
        if (call) drafts.push(confirmed(call.id!, one.allow ? 'allow' : 'deny'));
        break;
      }
      case 'interrupt':
        drafts.push({ type: 'user.interrupt' });
        break;
      case 'error':
        drafts.push(failed());
        break;
      case 'rest':
        drafts.push(rested());
        break;
      case 'note':
        drafts.push({ type: 'session.tainted', payload: { why: 'x' } });
        break;
      case 'failed request':
        drafts.push(asked(), { type: 'span.model_request_end', payload: { is_error: true } });
        break;
      case 'quarantine':
        drafts.push(failed('terminal', { quarantined_event_ids: [`e${(one.pick % (drafts.length || 1)) + 1}`] }));
        break;
      case 'redact': {
        const event = drafts[one.pick % (drafts.length || 1)];
        if (event?.type === 'user.message' || event?.type === 'agent.message') event.payload = { redacted: true };
        break;
      }
    }
  return logOf(drafts);
});
