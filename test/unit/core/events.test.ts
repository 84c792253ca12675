// The log: append-only, ordered, fenced, and redacted without a trace.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Notice } from '../../../core/bus.ts';
import type { StewardError } from '../../../core/errors.ts';
import { forgetSession } from '../../../core/forget.ts';
import type { LogEvent } from '../../../core/types.ts';
import { openTestRecord, type TestRecord } from '../../helpers/record.ts';

const say = (text: string) => ({ type: 'user.message', payload: { content: [{ type: 'text', text }] }, queued: true });
const raw = (record: TestRecord, sql: string) => record.db.tx(() => record.db.prepare(sql).run());

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as StewardError).code;
  }
  return 'nothing was thrown';
}

describe('append-only', () => {
  it.each([
    ['DELETE', 'DELETE FROM events'],
    ['a changed payload', `UPDATE events SET payload = '{"x":1}'`],
    ['a changed type', `UPDATE events SET type = 'user.interrupt'`],
    ['a changed time', 'UPDATE events SET created_at = 1'],
    ['a changed place', 'UPDATE events SET position = 99 WHERE position IS NOT NULL'],
    ['a changed seq', 'UPDATE events SET seq = 99'],
    ['another session', "UPDATE events SET session_id = 'sesn_x'"],
    ['another id', "UPDATE events SET id = 'sevt_x'"],
    ['a removed taint', 'UPDATE events SET tainted = 0 WHERE tainted = 1'],
    ['a second reading', 'UPDATE events SET processed_at = 5, position = 90 WHERE position IS NOT NULL'],
    [
      'a reading that changes the words',
      `UPDATE events SET processed_at = 5, position = 90, payload = '{}' WHERE position IS NULL`,
    ],
    ['a queued input read without a place', 'UPDATE events SET processed_at = 5 WHERE position IS NULL'],
    ['a redaction that leaves words', `UPDATE events SET redacted_at = 5, payload = '{"some":"words"}', origin = NULL`],
    [
      'a redaction that leaves its origin',
      `UPDATE events SET redacted_at = 5, payload = '{"redacted":true}' WHERE origin IS NOT NULL`,
    ],
    ['a tombstone that is opened again', `UPDATE events SET redacted_at = NULL WHERE redacted_at IS NOT NULL`],
  ])('refuses %s through raw SQL', (_, sql) => {
    const record = openTestRecord();
    const id = record.newSession();
    const origin = {
      sender: { channel: 'web', userId: 'owner' },
      address: { channel: 'web', chat: id },
      role: 'owner' as const,
    };
    const [first] = record.events.append(id, [{ ...say('one'), origin, tainted: true }]);
    record.events.process(id, [first!.id]);
    const [second] = record.events.append(id, [{ ...say('two') }, { ...say('three'), origin }]);
    record.events.process(id, [second!.id]);
    record.events.redact(id, [second!.id], 'test');
    const before = record.db.prepare('SELECT * FROM events ORDER BY row').all();
    expect(() => raw(record, sql)).toThrow('append-only');
    expect(record.db.prepare('SELECT * FROM events ORDER BY row').all()).toEqual(before);
  });

  it('would be no promise without the triggers', () => {
    const record = openTestRecord();
    record.events.append(record.newSession(), [say('one')]);
    raw(record, 'DROP TRIGGER events_never_deleted');
    expect(() => raw(record, 'DELETE FROM events')).not.toThrow();
  });
});

describe('order', () => {
  it('is the order of reading: what waits stands last, and gets its place when it is read', () => {
    const record = openTestRecord();
    const id = record.newSession();
    const [a, b] = record.events.append(id, [say('a'), say('b')]);
    const [note] = record.events.append(id, [{ type: 'session.status_running' }]);
    expect(record.events.list({ sessionId: id, limit: 10 }).map((event) => event.id)).toEqual([note!.id, a!.id, b!.id]);
    expect(record.events.queued(id).map((event) => event.id)).toEqual([a!.id, b!.id]);
    record.events.process(id, [b!.id]);
    expect(record.events.slice(id, 0).map((event) => event.id)).toEqual([note!.id, b!.id]);
    expect(record.events.queued(id).map((event) => event.id)).toEqual([a!.id]);
    expect(record.events.list({ sessionId: id, limit: 10 }).map((event) => event.id)).toEqual([note!.id, b!.id, a!.id]);
    expect(record.events.list({ sessionId: id, limit: 10, order: 'desc' }).map((event) => event.id)).toEqual([
      a!.id,
      b!.id,
      note!.id,
    ]);
  });

  it('is told to listeners in the order of the numbers, also when a listener appends', () => {
    const record = openTestRecord();
    const id = record.newSession();
    const heard: number[] = [];
    let answered = false;
    record.bus.subscribe(id, (notice) => {
      if (notice.kind !== 'event') return;
      heard.push(notice.event.position ?? notice.event.seq);
      if (answered) return;
      answered = true;
      record.db.tx(() =>
        record.events.process(
          id,
          record.events.queued(id).map((event) => event.id),
        ),
      );
    });
    record.events.append(id, [say('a'), say('b'), say('c')]);
    expect(heard).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('the same dedupe key is stored once', () => {
    const record = openTestRecord();
    const id = record.newSession();
    record.events.append(id, [{ ...say('a'), dedupe: 'x' }]);
    expect(() => record.events.append(id, [{ ...say('a'), dedupe: 'x' }])).toThrow('UNIQUE');
    expect(record.events.byDedupe('x')?.seq).toBe(1);
  });

  it('pages through everything once, in both directions, whatever waits', () => {
    const record = openTestRecord();
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('queued', 'read', 'note'), { maxLength: 25 }),
        fc.integer({ min: 1, max: 7 }),
        (kinds, limit) => {
          const id = record.newSession();
          for (const kind of kinds) {
            const [event] = record.events.append(id, [
              kind === 'note' ? { type: 'session.status_running' } : say(kind),
            ]);
            if (kind === 'read') record.events.process(id, [event!.id]);
          }
          const all = record.events.list({ sessionId: id, limit: 1_000 });
          expect(all.length).toBe(kinds.length);
          for (const order of ['asc', 'desc'] as const) {
            const seen: string[] = [];
            let bound: number | undefined;
            for (let turns = 0; turns < 40; turns++) {
              const page = record.events.list({
                sessionId: id,
                order,
                limit,
                ...(bound !== undefined && (order === 'asc' ? { after: bound } : { before: bound })),
              });
              seen.push(...page.map((event) => event.id));
              if (page.length < limit) break;
              const last = page.at(-1)!;
              bound = last.position ?? 2 ** 52 + last.seq;
            }
            const ids = all.map((event) => event.id);
            expect(seen).toEqual(order === 'asc' ? ids : ids.toReversed());
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('filters by type and by time', () => {
    const record = openTestRecord();
    const id = record.newSession();
    record.events.append(id, [say('a')]);
    void record.clock.advance(1_000);
    record.events.append(id, [{ type: 'session.updated' }, say('b')]);
    const at = record.clock.now();
    const types = (query: object) =>
      record.events.list({ sessionId: id, limit: 9, ...query }).map((event) => event.type);
    expect(types({ types: ['session.updated', 'nothing'] })).toEqual(['session.updated']);
    expect(types({ createdAfter: at - 1 })).toEqual(['session.updated', 'user.message']);
    expect(types({ createdBefore: at })).toEqual(['user.message']);
  });
});

describe('replay', () => {
  /** What a reader of the live stream gets: each event at the place where it happened. */
  const live = (record: TestRecord, id: string) => {
    const seen: { at: number; event: LogEvent }[] = [];
    record.bus.subscribe(id, (notice: Notice) => {
      if (notice.kind === 'event') seen.push({ at: notice.event.position ?? notice.event.seq, event: notice.event });
    });
    return seen;
  };

  it('after any point is what the live stream said after it', () => {
    const record = openTestRecord();
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('say', 'read', 'note'), { maxLength: 25 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(50),
        (steps, limit, from) => {
          const id = record.newSession();
          const heard = live(record, id);
          for (const step of steps) {
            if (step === 'say') record.events.append(id, [say('x')]);
            else if (step === 'note') record.events.append(id, [{ type: 'session.updated' }]);
            else {
              const waiting = record.events.queued(id).map((event) => event.id);
              if (waiting.length > 0) record.events.process(id, waiting);
            }
          }
          const replayed: { at: number; event: LogEvent }[] = [];
          for (let cursor = from; ; ) {
            const page = record.events.since(id, cursor, limit);
            replayed.push(...page);
            if (page.length < limit) break;
            cursor = page.at(-1)!.at;
          }
          expect(replayed).toEqual(heard.filter((entry) => entry.at > from));
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('the fence', () => {
  it('refuses an older generation and stores nothing of it', () => {
    const record = openTestRecord();
    const id = record.newSession();
    const old = record.runs.claim(id, 'native', null);
    const [waiting] = record.events.append(id, [say('a')]);
    record.events.append(id, [{ type: 'x' }], { runId: old.id, generation: old.generation });
    const young = record.runs.claim(id, 'native', null);
    const by = { runId: old.id, generation: old.generation };
    const before = record.events.list({ sessionId: id, limit: 99 });
    expect(codeOf(() => record.events.append(id, [{ type: 'y' }], by))).toBe('stale_run');
    expect(codeOf(() => record.events.process(id, [waiting!.id], by))).toBe('stale_run');
    expect(record.events.list({ sessionId: id, limit: 99 })).toEqual(before);
    expect(record.sessions.need(id).lastSeq).toBe(2);
    record.events.append(id, [{ type: 'z' }], { runId: young.id, generation: young.generation });
  });
});

describe('redaction', () => {
  const CANARY = 'canary-7f3a91-wonderful-secret';
  /** Whether the words stand anywhere in the folder: the database, its WAL, its index, anything. */
  const found = (home: string): string[] =>
    readdirSync(home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => readFileSync(file).includes(CANARY));

  const words = (size: number) => `${CANARY} ${'x'.repeat(size)} ${CANARY}`;

  it.each([
    ['in a row', 10],
    ['over several pages', 12_000],
    ['in a blob', 60_000],
  ])('leaves no bytes %s', (_, size) => {
    const record = openTestRecord();
    const id = record.newSession();
    const [event, kept] = record.events.append(id, [say(words(size)), say('kept')]);
    record.events.process(id, [event!.id, kept!.id]);
    expect(found(record.home).length).toBeGreaterThan(0);
    record.events.redact(id, [event!.id], 'asked to forget');
    expect(found(record.home)).toEqual([]);
    expect(record.events.get(event!.id)?.payload).toEqual({ redacted: true });
    expect(record.events.get(kept!.id)?.payload).toEqual(say('kept').payload);
    expect(record.events.list({ sessionId: id, limit: 9 }).at(-1)).toMatchObject({
      type: 'session.redacted',
      payload: { event_ids: [event!.id], why: 'asked to forget' },
    });
  });

  it('keeps a blob that another event still needs', () => {
    const record = openTestRecord();
    const id = record.newSession();
    const [one, two] = record.events.append(id, [say(words(30_000)), say(words(30_000))]);
    record.events.redact(id, [one!.id], 'test');
    expect(record.events.get(two!.id)?.payload).toEqual(say(words(30_000)).payload);
    record.events.redact(id, [two!.id], 'test');
    expect(found(record.home)).toEqual([]);
  });

  it('does not reach into another session', () => {
    const record = openTestRecord();
    const [mine, theirs] = [record.newSession(), record.newSession()];
    const [event] = record.events.append(theirs, [say(CANARY)]);
    record.events.redact(mine, [event!.id], 'test');
    expect(record.events.get(event!.id)?.payload).toEqual(say(CANARY).payload);
  });

  it('the check finds what a plain change of the row leaves behind', () => {
    const record = openTestRecord();
    const id = record.newSession();
    const [event] = record.events.append(id, [say(words(9_000))]);
    record.db.prepare('PRAGMA secure_delete = OFF').get();
    record.db.tx(() =>
      record.db
        .prepare(
          `UPDATE events SET payload = '{"redacted":true}', blob = NULL, origin = NULL, redacted_at = 1 WHERE id = ?`,
        )
        .run(event!.id),
    );
    expect(found(record.home).length).toBeGreaterThan(0);
  });

  it('deleting a session removes its words wherever they went', () => {
    const record = openTestRecord();
    const id = record.newSession();
    record.intake.accept({
      dedupe: 'x',
      sender: { channel: 'web', userId: 'owner' },
      address: { channel: 'web', chat: id },
      group: false,
      sessionId: id,
      body: { type: 'message', content: [{ type: 'text', text: CANARY }] },
    });
    record.sessions.setMetadata(id, { note: CANARY });
    const [use] = record.events.append(id, [
      { type: 'agent.tool_use', payload: { name: 'send_file', input: { to: CANARY } } },
    ]);
    record.db.tx(() => {
      record.approvals.open({
        id: use!.id,
        sessionId: id,
        name: 'x',
        argsHash: 'h',
        title: CANARY,
        detail: CANARY,
        why: CANARY,
      });
      const blob = record.blobs.put(Buffer.from(words(10)));
      const to = { channel: 'telegram', chat: '1' };
      record.outbox.enqueue({
        sessionId: id,
        eventId: use!.id,
        key: 'text',
        to,
        body: { kind: 'text', markdown: CANARY },
      });
      const file = { kind: 'file', blob, name: CANARY, mediaType: 'text/plain' } as const;
      record.outbox.enqueue({ sessionId: id, eventId: use!.id, key: 'file', to, body: file });
    });
    record.outbox.settle(record.outbox.heads()[0]!.id, { state: 'pending', notBefore: 0, error: CANARY, mark: false });
    expect(record.sessions.need(id).title).toContain(CANARY);
    forgetSession(record, id);
    expect(found(record.home)).toEqual([]);
    expect(record.outbox.counts().pending).toBe(0);
    expect(record.approvals.pending()).toEqual([]);
    expect(codeOf(() => record.sessions.need(id))).toBe('not_found');
  });

  it('keeps a sent file that another conversation also sent', () => {
    const record = openTestRecord();
    const [one, two] = [record.newSession(), record.newSession()];
    const blob = record.blobs.put(Buffer.from('shared'));
    for (const id of [one, two])
      record.outbox.enqueue({
        sessionId: id,
        eventId: null,
        key: id,
        to: { channel: 'telegram', chat: '1' },
        body: { kind: 'file', blob, name: 'a', mediaType: 'text/plain' },
      });
    forgetSession(record, one);
    expect(record.blobs.get(blob)).not.toBeNull();
    forgetSession(record, two);
    expect(record.blobs.get(blob)).toBeNull();
  });

  it('a run that is still at work on a deleted session can write nothing more', () => {
    const record = openTestRecord();
    const id = record.newSession();
    const run = record.runs.claim(id, 'native', null);
    record.sessions.setStatus(id, 'rescheduling', null, 0);
    forgetSession(record, id);
    const by = { runId: run.id, generation: run.generation };
    expect(codeOf(() => record.events.append(id, [{ type: 'agent.message' }], by))).toBe('stale_run');
  });

  it('refuses to delete a session that runs', () => {
    const record = openTestRecord();
    const id = record.newSession();
    record.sessions.setStatus(id, 'running', null, null);
    expect(codeOf(() => forgetSession(record, id))).toBe('conflict');
  });
});
