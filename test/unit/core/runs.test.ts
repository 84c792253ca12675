// Leases, and how often the process died on a message.
import { describe, expect, it } from 'vitest';
import { LEASE_MS } from '../../../core/runs.ts';
import { openTestRecord, type TestRecord } from '../../helpers/record.ts';

/** A life that dies while a run of this message is at work. */
function crashOn(record: TestRecord, session: string, event: string, commits = 0): TestRecord {
  const run = record.runs.claim(session, 'native', event);
  for (let n = 0; n < commits; n++) record.runs.progress(run.id);
  const next = record.reopen();
  next.runs.sweep();
  return next;
}

const begin = () => {
  const record = openTestRecord();
  const session = record.newSession();
  const [event] = record.events.append(session, [{ type: 'user.message' }]);
  return { record, session, event: event!.id };
};

describe('a lease', () => {
  it('raises the generation each time, counts the attempt at once and is renewed by progress', () => {
    const { record, session, event } = begin();
    const first = record.runs.claim(session, 'native', event);
    const second = record.runs.claim(session, 'native', event);
    expect([first.generation, second.generation]).toEqual([1, 2]);
    expect(record.runs.of(session, 10).map((run) => run.id)).toEqual([second.id, first.id]);
    void record.clock.advance(5_000);
    record.runs.progress(second.id);
    expect(record.runs.get(second.id)).toMatchObject({ commits: 1, lastProgressAt: record.clock.now(), endedAt: null });
    const lease = () =>
      record.db.prepare<[string], { lease_until: number }>('SELECT lease_until FROM runs WHERE id = ?').get(second.id)!
        .lease_until;
    expect(lease()).toBe(record.clock.now() + LEASE_MS);
    void record.clock.advance(5_000);
    record.runs.renewOpen();
    expect(lease()).toBe(record.clock.now() + LEASE_MS);
  });

  it('is swept when its life is over, and only then', () => {
    const { record, session, event } = begin();
    const run = record.runs.claim(session, 'native', event);
    expect(record.runs.sweep()).toEqual([]);
    const next = record.reopen();
    expect(next.runs.sweep().map((swept) => swept.id)).toEqual([run.id]);
    expect(next.runs.get(run.id)?.outcome).toBe('lost');
    expect(next.runs.sweep()).toEqual([]);
  });

  it('ends once: the first outcome stays', () => {
    const { record, session } = begin();
    const run = record.runs.claim(session, 'native', null);
    record.runs.end(run.id, 'idle');
    record.runs.end(run.id, 'failed');
    expect(record.runs.get(run.id)?.outcome).toBe('idle');
  });
});

describe('crashes on a message', () => {
  it('are the lives in a row that died under it without a commit', () => {
    let { record, session, event } = begin();
    expect(record.runs.crashesOn(event)).toBe(0);
    for (let n = 1; n <= 3; n++) {
      record = crashOn(record, session, event);
      expect(record.runs.crashesOn(event)).toBe(n);
    }
  });

  it('do not count when the run got something done, or ended by itself', () => {
    let { record, session, event } = begin();
    record = crashOn(record, session, event);
    record = crashOn(record, session, event, 1);
    expect(record.runs.crashesOn(event)).toBe(0);
    record = crashOn(record, session, event);
    expect(record.runs.crashesOn(event)).toBe(1);
    record.runs.end(record.runs.claim(session, 'native', event).id, 'shutdown');
    expect(record.runs.crashesOn(event)).toBe(0);
  });

  it('count one for a life, however many of its runs a full disk left open', () => {
    let { record, session, event } = begin();
    for (let n = 0; n < 5; n++) record.runs.claim(session, 'native', event);
    record = record.reopen();
    record.runs.sweep();
    expect(record.runs.crashesOn(event)).toBe(1);
  });

  it('are of this message alone', () => {
    let { record, session, event } = begin();
    record = crashOn(record, session, 'sevt_other');
    expect(record.runs.crashesOn(event)).toBe(0);
    session = record.newSession();
    record = crashOn(record, session, event);
    expect(record.runs.crashesOn(event)).toBe(1);
  });
});
