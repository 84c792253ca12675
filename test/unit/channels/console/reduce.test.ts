// The reduction of a session's log: order, duplicates, queue, previews; the same end state however the events arrive.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  cursorOf,
  emptyLog,
  type Input,
  inputOf,
  isQueued,
  type Log,
  merge,
  reduce,
} from '../../../../channels/console/src/reduce.ts';
import type { SessionEvent } from '../../../../channels/console/src/types.ts';

function event(seq: number, type: string, fields: Record<string, unknown> = {}): SessionEvent {
  const at = new Date(1_790_000_000_000 + seq * 1000).toISOString();
  return { id: `sevt_${seq}`, type, seq, created_at: at, processed_at: at, ...fields };
}

const stored = (...events: SessionEvent[]): Input[] => events.map((e) => ({ kind: 'event', event: e }));
const ids = (log: Log) => log.events.map((e) => e.id);
const start = (id: string): Input => ({ kind: 'preview_start', id });
const delta = (id: string, text: string): Input => ({ kind: 'preview_delta', id, text });

describe('stored events', () => {
  it('stand in the order of their positions, however they arrive', () => {
    const log = reduce(
      emptyLog,
      stored(event(3, 'agent.message'), event(1, 'user.message'), event(2, 'session.status_running')),
    );
    expect(ids(log)).toEqual(['sevt_1', 'sevt_2', 'sevt_3']);
  });

  it('count once: a replay changes nothing and draws nothing', () => {
    const first = reduce(emptyLog, stored(event(1, 'user.message'), event(2, 'agent.message')));
    expect(reduce(first, stored(event(2, 'agent.message'), event(1, 'user.message')))).toBe(first);
  });

  it('a queued input waits at the end and moves to where it was read', () => {
    const queued = event(2, 'user.message', { processed_at: null });
    let log = reduce(emptyLog, stored(event(1, 'user.message'), queued, event(3, 'agent.tool_use')));
    expect(ids(log)).toEqual(['sevt_1', 'sevt_3', 'sevt_2']);
    expect(log.events.filter(isQueued)).toHaveLength(1);

    log = reduce(log, stored({ ...queued, seq: 4, processed_at: '2026-11-20T10:00:00Z' }, event(5, 'agent.message')));
    expect(ids(log)).toEqual(['sevt_1', 'sevt_3', 'sevt_2', 'sevt_5']);
    expect(log.events.filter(isQueued)).toHaveLength(0);
  });

  it('where an input was read, not where it was stored, orders the conversation', () => {
    const queued = event(2, 'user.message', { processed_at: null, position: null });
    const read = { ...queued, position: 5, processed_at: '2026-11-20T10:00:00Z' };
    const log = reduce(emptyLog, stored(queued, event(3, 'agent.tool_use'), event(4, 'agent.message'), read));
    expect(ids(log)).toEqual(['sevt_3', 'sevt_4', 'sevt_2']);
    expect(cursorOf(log.events)).toBe(5);
  });

  it('what is forgotten leaves the page too, also when it comes after the redaction', () => {
    const secret = event(1, 'user.message', { content: [{ type: 'text', text: 'my pin is 1234' }] });
    const redaction = event(2, 'session.redacted', { event_ids: ['sevt_1'] });
    for (const order of [
      [secret, redaction],
      [redaction, secret],
    ]) {
      const log = order.reduce((before, next) => reduce(before, stored(next)), emptyLog);
      expect(JSON.stringify(log)).not.toContain('1234');
      expect(log.events[0]).toMatchObject({ id: 'sevt_1', redacted: true });
    }
  });

  it('a queued copy that comes late does not undo that it was read', () => {
    const queued = event(2, 'user.message', { processed_at: null });
    const read = { ...queued, seq: 4, processed_at: '2026-11-20T10:00:00Z' };
    const log = reduce(emptyLog, stored(read));
    expect(reduce(log, stored(queued))).toBe(log);
  });

  it('an older page goes in front and leaves a preview alone', () => {
    const log = reduce(emptyLog, [...stored(event(10, 'user.message')), start('sevt_11'), delta('sevt_11', 'Hel')]);
    const merged = merge(log, [event(9, 'agent.message'), event(8, 'user.message'), event(10, 'user.message')]);
    expect(ids(merged)).toEqual(['sevt_8', 'sevt_9', 'sevt_10']);
    expect(merged.previews).toEqual(log.previews);
    expect(cursorOf(merged.events)).toBe(10);
    expect(cursorOf([])).toBe(0);
  });

  it('a page that holds the finished answer ends its preview', () => {
    const log = reduce(emptyLog, [start('sevt_2'), delta('sevt_2', 'Hel')]);
    expect(merge(log, [event(2, 'agent.message')]).previews).toEqual([]);
  });

  it('ends the same for every order, cut and repetition', () => {
    const versions = [
      ...Array.from({ length: 8 }, (_, i) => event(i + 1, i % 2 ? 'agent.message' : 'session.status_running')),
      event(20, 'user.message', { processed_at: null }),
      { ...event(20, 'user.message'), seq: 21 },
    ];
    const expected = reduce(emptyLog, stored(...versions)).events;
    fc.assert(
      fc.property(fc.array(fc.nat(versions.length - 1), { maxLength: 40 }), fc.array(fc.nat(9)), (order, cuts) => {
        const arriving = [...order.map((i) => versions[i]!), ...versions];
        let log = emptyLog;
        let at = 0;
        for (const cut of [...cuts, arriving.length]) {
          log = reduce(log, stored(...arriving.slice(at, at + cut)));
          at += cut;
        }
        expect(log.events).toEqual(expected);
      }),
    );
  });
});

describe('previews', () => {
  it('grow with the deltas and give way to the message with the same id', () => {
    let log = reduce(emptyLog, [start('sevt_5'), delta('sevt_5', 'Hel'), delta('sevt_5', 'lo')]);
    expect(log.previews).toEqual([{ id: 'sevt_5', text: 'Hello', partial: false }]);
    log = reduce(log, stored(event(5, 'agent.message')));
    expect(log.previews).toEqual([]);
    expect(ids(log)).toEqual(['sevt_5']);
  });

  it('a delta after the final message brings nothing back', () => {
    const log = reduce(emptyLog, stored(event(5, 'agent.message')));
    expect(reduce(log, [delta('sevt_5', 'late'), start('sevt_5')])).toBe(log);
  });

  it('a failed model request closes the orphan, a successful one leaves it for its message', () => {
    const log = reduce(emptyLog, [start('sevt_5'), delta('sevt_5', 'Hel')]);
    expect(reduce(log, stored(event(6, 'span.model_request_end', { is_error: true }))).previews).toEqual([]);
    expect(reduce(log, stored(event(6, 'span.model_request_end', { is_error: false }))).previews).toHaveLength(1);
  });

  it.each(['session.status_idle', 'session.status_terminated', 'session.status_rescheduled'])(
    '%s ends them',
    (type) => {
      const log = reduce(emptyLog, [start('sevt_5'), delta('sevt_5', 'Hel')]);
      expect(reduce(log, stored(event(6, type))).previews).toEqual([]);
    },
  );

  it('after a gap, the rest of an answer is shown as a part', () => {
    const log = reduce(emptyLog, [start('sevt_5'), delta('sevt_5', 'Hel'), { kind: 'gap' }, delta('sevt_5', 'world')]);
    expect(log.previews).toEqual([{ id: 'sevt_5', text: 'world', partial: true }]);
  });
});

describe('reading the stream', () => {
  it('knows events, previews and what to pass over', () => {
    expect(inputOf('agent.message', event(1, 'agent.message'))).toMatchObject({ kind: 'event' });
    expect(inputOf('event_start', { event: { id: 'sevt_1', type: 'agent.message' } })).toEqual(start('sevt_1'));
    expect(inputOf('event_start', { event: { id: 'sevt_1', type: 'agent.thinking' } })).toBeNull();
    expect(inputOf('event_delta', { event_id: 'sevt_1', delta: { content: { type: 'text', text: 'a' } } })).toEqual(
      delta('sevt_1', 'a'),
    );
  });

  it.each([null, 1, 'x', {}, { id: 1 }, { id: 'a', type: 'b' }])('takes no harm from %j', (data) => {
    expect(inputOf('message', data)).toBeNull();
    expect(inputOf('event_start', data)).toBeNull();
    expect(inputOf('event_delta', data)).toBeNull();
  });
});
