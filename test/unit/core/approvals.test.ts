// Approvals: bound to the arguments, one use, first answer wins, no answer is no.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { APPROVAL_MS, argsHash, escapeHidden } from '../../../core/approvals.ts';
import type { StewardError } from '../../../core/errors.ts';
import type { Inbound, JsonObject } from '../../../core/types.ts';
import { openTestRecord } from '../../helpers/record.ts';

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as StewardError).code;
  }
  return 'nothing was thrown';
};

function begin() {
  const record = openTestRecord();
  const session = record.newSession();
  const [use] = record.events.append(session, [
    { type: 'agent.tool_use', payload: { name: 'send_message', input: { to: 'x' } } },
  ]);
  const hash = argsHash(session, 'send_message', { to: 'x' });
  const draft = {
    id: use!.id,
    sessionId: session,
    name: 'send_message',
    argsHash: hash,
    title: 't',
    detail: 'd',
    why: 'w',
  };
  record.approvals.open(draft);
  return { record, session, id: use!.id, hash };
}

const answer = (session: string, id: string, result: 'allow' | 'deny', dedupe = 'k'): Inbound => ({
  dedupe,
  sender: { channel: 'web', userId: 'owner' },
  address: { channel: 'web', chat: session },
  group: false,
  sessionId: session,
  body: { type: 'confirmation', toolUseId: id, result },
});

describe('the hash of what is approved', () => {
  it('is the same for the same arguments in any order', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (args) => {
        const reversed = Object.fromEntries(Object.entries(args).reverse());
        expect(argsHash('s', 'n', reversed as JsonObject)).toBe(argsHash('s', 'n', args as JsonObject));
      }),
    );
  });

  it.each([
    ['another argument', argsHash('s', 'n', { to: 'y' })],
    ['one more argument', argsHash('s', 'n', { to: 'x', cc: 'y' })],
    ['another tool', argsHash('s', 'm', { to: 'x' })],
    ['another session', argsHash('t', 'n', { to: 'x' })],
    ['a list in place of a record', argsHash('s', 'n', { to: ['x'] })],
    ['a list of entries in place of a record', argsHash('s', 'n', { to: [['a', [['b', 1]]]] })],
    ['another order in a list', argsHash('s', 'n', { to: [2, 1] })],
    ['a nested change', argsHash('s', 'n', { to: { a: { b: 2 } } })],
  ])('differs for %s', (_, other) => {
    expect(other).not.toBe(argsHash('s', 'n', { to: 'x' }));
    expect(other).not.toBe(argsHash('s', 'n', { to: [1, 2] }));
    expect(other).not.toBe(argsHash('s', 'n', { to: { a: { b: 1 } } }));
  });
});

describe('an approval', () => {
  it('is used once, only when allowed, and only for the arguments that were shown', () => {
    const { record, id, hash } = begin();
    expect(record.approvals.use(id, hash)).toBe(false);
    record.approvals.resolve(id, 'allow', 'web:owner');
    expect(record.approvals.use(id, `${hash}0`)).toBe(false);
    expect(record.approvals.use('sevt_other', hash)).toBe(false);
    expect(record.approvals.use(id, hash)).toBe(true);
    expect(record.approvals.use(id, hash)).toBe(false);
  });

  it('is answered once: the first answer wins', () => {
    const { record, session, id, hash } = begin();
    expect(record.intake.accept(answer(session, id, 'deny'))).toMatchObject({ kind: 'stored', sessionId: session });
    expect(codeOf(() => record.intake.accept(answer(session, id, 'allow', 'k2')))).toBe('conflict');
    expect(record.approvals.use(id, hash)).toBe(false);
    // The same answer sent again by a client that heard nothing is not a second answer.
    expect(record.intake.accept(answer(session, id, 'deny'))).toMatchObject({ duplicate: true });
    expect(record.events.queued(session).length).toBe(1);
    expect(record.woken).toEqual([session]);
  });

  it('survives a restart', () => {
    const { record, id, hash } = begin();
    const next = record.reopen();
    expect(next.approvals.pending().map((approval) => approval.id)).toEqual([id]);
    next.approvals.resolve(id, 'allow', 'web:owner');
    expect(next.reopen().approvals.use(id, hash)).toBe(true);
  });

  it('runs out after a day and then counts as denied, never as allowed', () => {
    const { record, session, id, hash } = begin();
    void record.clock.advance(APPROVAL_MS - 1);
    expect(record.approvals.expired()).toEqual([]);
    expect(record.approvals.nextExpiry()).toBe(record.clock.now() + 1);
    void record.clock.advance(1);
    expect(record.approvals.pending()).toEqual([]);
    expect(codeOf(() => record.intake.accept(answer(session, id, 'allow')))).toBe('conflict');
    expect(record.approvals.expired().map((approval) => approval.id)).toEqual([id]);
    const by = {
      sender: { channel: 'steward', userId: 'clock' },
      address: { channel: 'steward', chat: 'clock' },
      role: 'system' as const,
    };
    const event = record.intake.confirm({ toolUseId: id, result: 'deny', reason: 'late', expired: true, by });
    expect(event.payload).toEqual({ tool_use_id: id, result: 'deny', deny_message: 'late' });
    expect(record.approvals.get(id)?.verdict).toBe('expired');
    expect(record.approvals.use(id, hash)).toBe(false);
    expect(record.approvals.nextExpiry()).toBeNull();
  });

  it('that was never asked for is not there', () => {
    const { record, session } = begin();
    expect(codeOf(() => record.intake.accept(answer(session, 'sevt_none', 'allow')))).toBe('not_found');
  });

  it('closes its cards wherever they were sent', () => {
    const { record, session, id } = begin();
    const body = { kind: 'approval', toolUseId: id, title: 't', detail: 'd', why: 'w', expiresAt: 0 } as const;
    for (const chat of ['1', '2'])
      record.outbox.enqueue({ sessionId: session, eventId: id, key: chat, to: { channel: 'telegram', chat }, body });
    record.intake.accept(answer(session, id, 'allow'));
    const closed = record.db
      .prepare<[], { body: string; chat: string }>(
        "SELECT body, chat FROM outbox WHERE body ->> 'kind' = 'approval_closed'",
      )
      .all();
    expect(closed.map((row) => [row.chat, JSON.parse(row.body).verdict])).toEqual([
      ['1', 'Approved'],
      ['2', 'Approved'],
    ]);
  });
});

describe('what is shown', () => {
  it.each([
    ['a terminal sequence', 'a\u001b[31mb', 'a\\u{1b}[31mb'],
    ['text turned around', 'a\u202egpj.exe', 'a\\u{202e}gpj.exe'],
    ['an invisible space', 'a\u200bb', 'a\\u{200b}b'],
    ['invisible letters', 'a\u{e0041}b', 'a\\u{e0041}b'],
    ['a filler that looks like nothing', 'a\u3164b', 'a\\u{3164}b'],
    ['a line separator', 'a\u2028b', 'a\\u{2028}b'],
    ['a carriage return over the line', 'safe\rrm', 'safe\\u{d}rm'],
    ['a zero byte', 'a\u0000b', 'a\\u{0}b'],
    ['ordinary text in any script', 'Grüße, 你好 👋\n\tשלום', 'Grüße, 你好 👋\n\tשלום'],
  ])('%s', (_, text, shown) => {
    expect(escapeHidden(text)).toBe(shown);
  });
});
