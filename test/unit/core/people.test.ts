// Who is who: pairing codes, roles and known places.
import { describe, expect, it } from 'vitest';
import type { StewardError } from '../../../core/errors.ts';
import { PAIRING_MS } from '../../../core/people.ts';
import type { Inbound } from '../../../core/types.ts';
import { openTestRecord, type TestRecord } from '../../helpers/record.ts';

const stranger = { channel: 'telegram', userId: '42', name: 'Mallory' };

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as StewardError).code;
  }
  return 'nothing was thrown';
};

let serial = 0;
const message = (change: Partial<Inbound> = {}): Inbound => ({
  dedupe: `telegram:1:${serial++}`,
  sender: stranger,
  address: { channel: 'telegram', chat: '42' },
  group: false,
  body: { type: 'message', content: [{ type: 'text', text: 'hello' }] },
  ...change,
});

const rows = (record: TestRecord, table: string) =>
  record.db.prepare<[], { n: number }>(`SELECT count(*) AS n FROM ${table}`).get()!.n;

describe('a stranger', () => {
  it('gets one code an hour, nothing is stored of what was said, and nobody is woken', () => {
    const record = openTestRecord();
    const first = record.intake.accept(message());
    expect(first).toMatchObject({ kind: 'stranger', code: expect.stringMatching(/^[2-9A-HJ-NP-Z]{8}$/) });
    for (let n = 0; n < 5; n++) expect(record.intake.accept(message())).toMatchObject({ kind: 'stranger', code: null });
    void record.clock.advance(PAIRING_MS - 1);
    expect(record.intake.accept(message())).toMatchObject({ code: null });
    void record.clock.advance(1);
    const second = record.intake.accept(message());
    expect(second).toMatchObject({ kind: 'stranger', code: expect.any(String) });
    expect(second).not.toEqual(first);
    expect([rows(record, 'events'), rows(record, 'sessions'), rows(record, 'addresses'), record.woken]).toEqual([
      0,
      0,
      0,
      [],
    ]);
  });

  it('is known by an immutable id: the name of the owner opens nothing, nor does their id on another channel', () => {
    const record = openTestRecord();
    const { code } = record.people.knock({ channel: 'telegram', userId: '7', name: 'Olivia' }, '7');
    record.people.approve(code!, 'owner');
    expect(record.intake.accept(message({ sender: { channel: 'telegram', userId: '7' } })).kind).toBe('stored');
    for (const sender of [
      { channel: 'telegram', userId: '42', name: 'Olivia' },
      { channel: 'telegram', userId: '07', name: 'Olivia' },
      { channel: 'telegram', userId: '', name: 'Olivia' },
      { channel: 'lark', userId: '7', name: 'Olivia' },
    ])
      expect(record.intake.accept(message({ sender })).kind).toBe('stranger');
  });

  it('is refused in a group without a word, and cannot answer or interrupt anything', () => {
    const record = openTestRecord();
    expect(record.intake.accept(message({ group: true }))).toMatchObject({ kind: 'refused' });
    expect(record.intake.accept(message({ body: { type: 'interrupt' } })).kind).toBe('stranger');
    expect(record.interrupted).toEqual([]);
  });

  it('cannot make the list grow without end', () => {
    const record = openTestRecord();
    const codes = Array.from(
      { length: 60 },
      (_, n) => record.people.knock({ ...stranger, userId: String(n) }, '1').code,
    );
    expect(codes.filter((code) => code !== null).length).toBe(50);
    expect(record.people.waiting().length).toBe(50);
    void record.clock.advance(PAIRING_MS);
    expect(record.people.knock({ ...stranger, userId: '99' }, '1').code).not.toBeNull();
  });
});

describe('a code', () => {
  it('works once, in any case and with spaces around it', () => {
    const record = openTestRecord();
    const { code } = record.people.knock(stranger, '42');
    expect(record.people.approve(` ${code!.toLowerCase()} `, 'guest')).toMatchObject({ userId: '42', role: 'guest' });
    expect(codeOf(() => record.people.approve(code!, 'owner'))).toBe('not_found');
    expect(record.people.roleOf(stranger)).toBe('guest');
  });

  it('runs out, and one that was denied or replaced is gone', () => {
    const record = openTestRecord();
    const first = record.people.knock(stranger, '42').code!;
    void record.clock.advance(PAIRING_MS);
    expect(codeOf(() => record.people.approve(first, 'owner'))).toBe('not_found');
    expect(record.people.waiting()).toEqual([]);
    const second = record.people.knock(stranger, '42').code!;
    expect(codeOf(() => record.people.approve(first, 'owner'))).toBe('not_found');
    record.people.deny(second);
    expect(codeOf(() => record.people.approve(second, 'owner'))).toBe('not_found');
    expect(record.people.roleOf(stranger)).toBeNull();
    // Refused is not a reason to reply again.
    expect(record.people.waiting()).toEqual([]);
    expect(record.people.knock(stranger, '42').code).toBeNull();
  });
});

describe('a paired person', () => {
  const pair = (record: TestRecord, userId: string, role: 'owner' | 'guest') =>
    record.people.approve(record.people.knock({ ...stranger, userId }, userId).code!, role);

  it('speaks in the main session as owner, in one of their own as guest, in the group’s in a group', () => {
    const record = openTestRecord();
    pair(record, '1', 'owner');
    pair(record, '2', 'guest');
    const sessionOf = (inbound: Inbound) => {
      const accepted = record.intake.accept(inbound);
      return accepted.kind === 'stored' ? record.sessions.need(accepted.sessionId) : null;
    };
    const from = (userId: string, chat = userId, group = false) =>
      message({ sender: { channel: 'telegram', userId }, address: { channel: 'telegram', chat }, group });
    const main = sessionOf(from('1'));
    expect(main).toMatchObject({ trust: 'owner', id: record.intake.mainSession().id });
    const guest = sessionOf(from('2'));
    expect(guest).toMatchObject({ trust: 'guest' });
    const group = sessionOf(from('1', '-100', true));
    expect(group).toMatchObject({ trust: 'group' });
    expect(sessionOf(from('2', '-100', true))?.id).toBe(group?.id);
    expect(new Set([main?.id, guest?.id, group?.id]).size).toBe(3);
    // A group is never the owner's own word, even when the owner speaks.
    expect(record.events.queued(group!.id).every((event) => event.tainted)).toBe(true);
    expect(record.events.queued(main!.id).every((event) => event.tainted)).toBe(false);
    expect(record.people.ownerAddresses()).toEqual([{ channel: 'telegram', chat: '1' }]);
  });

  it('the same message twice is one event; the same number elsewhere is another', () => {
    const record = openTestRecord();
    pair(record, '1', 'owner');
    const inbound = message({ sender: { channel: 'telegram', userId: '1' } });
    const first = record.intake.accept(inbound);
    expect(record.intake.accept(inbound)).toEqual({ ...first, duplicate: true });
    expect(rows(record, 'events')).toBe(1);
    expect(record.intake.accept({ ...inbound, dedupe: inbound.dedupe.replace(':1:', ':2:') })).toMatchObject({
      duplicate: false,
    });
  });

  it('is a stranger again once revoked, and nothing more is sent to them', () => {
    const record = openTestRecord();
    pair(record, '1', 'owner');
    expect(record.people.revoke('telegram', '1')).toBe(true);
    expect(record.people.revoke('telegram', '1')).toBe(false);
    expect(record.intake.accept(message({ sender: { channel: 'telegram', userId: '1' } })).kind).toBe('stranger');
    expect(record.people.ownerAddresses()).toEqual([]);
  });

  it('who is a guest cannot answer what waits for the owner', () => {
    const record = openTestRecord();
    pair(record, '2', 'guest');
    const id = record.newSession();
    const [use] = record.events.append(id, [{ type: 'agent.tool_use' }]);
    record.approvals.open({ id: use!.id, sessionId: id, name: 'x', argsHash: 'h', title: '', detail: '', why: '' });
    const answer = { type: 'confirmation', toolUseId: use!.id, result: 'allow' } as const;
    const body = { sender: { channel: 'telegram', userId: '2' }, body: answer };
    expect(record.intake.accept(message(body))).toMatchObject({ kind: 'refused' });
    expect(record.intake.accept(message({ ...body, sender: stranger })).kind).toBe('stranger');
    expect(record.approvals.get(use!.id)?.verdict).toBeNull();
    expect(record.events.list({ sessionId: id, limit: 9 }).length).toBe(1);
  });
});
