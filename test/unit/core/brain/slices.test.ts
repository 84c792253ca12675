// The kept slice of a session is never anything but what the log says.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSlices, type Slice } from '../../../../core/brain/slices.ts';
import { forgetSession } from '../../../../core/forget.ts';
import { openTestRecord, type TestRecord } from '../../../helpers/record.ts';

const text = (words: string) => ({ content: [{ type: 'text', text: words }] });

/** The whole log read anew, as a process that just started would. */
const fresh = (record: TestRecord, id: string): Slice => createSlices(record).load(id);

/** Everything that can happen to a log between two looks of the harness. */
const happenings = fc.array(
  fc.oneof(
    fc.record({ what: fc.constant('append' as const), text: fc.string() }),
    fc.record({ what: fc.constant('queue' as const), text: fc.string() }),
    fc.record({ what: fc.constantFrom('read', 'look', 'redact', 'compact', 'roll back', 'none') }),
  ),
  { maxLength: 25 },
);

function apply(record: TestRecord, id: string, step: { what: string; text?: string }, pick: (n: number) => number) {
  const { events } = record;
  const all = events.slice(id, 0);
  switch (step.what) {
    case 'append':
      return void events.append(id, [{ type: 'agent.message', payload: text(step.text!) }]);
    case 'queue':
      return void events.append(id, [{ type: 'user.message', payload: text(step.text!), queued: true }]);
    case 'read':
      return void events.process(
        id,
        events.queued(id).map((event) => event.id),
      );
    case 'redact':
      if (all.length > 0) events.redact(id, [all[pick(all.length)]!.id], 'test');
      return;
    case 'compact':
      if (all.length > 0) {
        const payload = { summary: 'so far', up_to: all[pick(all.length)]!.position! };
        events.append(id, [{ type: 'agent.thread_context_compacted', payload }]);
      }
      return;
    case 'roll back':
      try {
        record.db.tx(() => {
          events.append(id, [{ type: 'agent.message', payload: text('never happened') }]);
          throw new Error('rolled back');
        });
      } catch {
        // Its numbers are free again.
      }
  }
}

describe('the kept slice', () => {
  it('equals the log after anything that can happen to it', () => {
    const record = openTestRecord();
    fc.assert(
      fc.property(happenings, fc.infiniteStream(fc.nat()), (steps, chances) => {
        const id = record.newSession();
        const slices = createSlices(record);
        for (const step of steps) {
          apply(record, id, step, (n) => chances.next().value % n);
          if (step.what === 'look') slices.load(id);
        }
        expect(slices.load(id)).toEqual(fresh(record, id));
        expect(slices.load(id)).toEqual(fresh(record, id));
      }),
      { numRuns: 60 },
    );
  });

  it('reads only what is new', () => {
    const record = openTestRecord();
    const id = record.newSession();
    for (let i = 0; i < 20; i++) record.events.append(id, [{ type: 'agent.message', payload: text(`message ${i}`) }]);
    const asked: number[] = [];
    const slices = createSlices({
      bus: record.bus,
      events: {
        lastCompaction: record.events.lastCompaction,
        slice: (session, after) => {
          const read = record.events.slice(session, after);
          asked.push(read.length);
          return read;
        },
      },
    });
    slices.load(id);
    record.events.append(id, [{ type: 'agent.message', payload: text('one more') }]);
    expect(slices.load(id).slice).toHaveLength(21);
    expect(asked).toEqual([20, 2]);
  });

  it('does not change under the one who holds it', () => {
    const record = openTestRecord();
    const id = record.newSession();
    record.events.append(id, [{ type: 'agent.message', payload: text('first') }]);
    const slices = createSlices(record);
    const held = slices.load(id);
    record.events.append(id, [{ type: 'agent.message', payload: text('second') }]);
    slices.load(id);
    expect(held.slice).toHaveLength(1);
  });

  it('forgets a deleted session at once', () => {
    const record = openTestRecord();
    const id = record.newSession();
    record.events.append(id, [{ type: 'agent.message', payload: text('a secret') }]);
    const asked: number[] = [];
    const slices = createSlices({
      bus: record.bus,
      events: {
        lastCompaction: record.events.lastCompaction,
        slice: (session, after) => {
          asked.push(after);
          return record.events.slice(session, after);
        },
      },
    });
    slices.load(id);
    forgetSession(record, id);
    slices.load(id);
    // Both times from the beginning: nothing was there to go on from.
    expect(asked).toEqual([0, 0]);
  });

  it('is bounded: what is too large to keep is read anew and is right all the same', () => {
    const record = openTestRecord();
    const slices = createSlices(record);
    const ids = Array.from({ length: 6 }, () => record.newSession());
    for (const id of ids) record.events.append(id, [{ type: 'agent.message', payload: text('x'.repeat(1_500_000)) }]);
    for (const id of [...ids, ...ids.toReversed()]) expect(slices.load(id)).toEqual(fresh(record, id));
  });
});
