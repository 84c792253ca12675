// The rows of sandboxes and checkpoints, over real SQLite.
import { expect, test } from 'vitest';
import { createLedger, surplus } from '../../../sandboxes/ledger.ts';
import { openTestRecord } from '../../helpers/record.ts';

function open() {
  const record = openTestRecord();
  const session = record.newSession();
  let now = 1_000;
  const ledger = createLedger(record.db, () => now);
  const save = (id: string, label: string | null = null) => {
    now += 1;
    const snapshot = { id, driver: 'bwrap', lineage: session, createdAt: now, label: null };
    return ledger.save({ id, sessionId: session, sandboxId: 'sbx_1', snapshot, position: 3, processes: [], label });
  };
  return { record, session, ledger, save };
}

test('a sandbox ends once, and as it was first told', () => {
  const { ledger, session } = open();
  ledger.begin({ id: 'sbx_1', sessionId: session, driver: 'bwrap', restoredFrom: null });
  expect(ledger.alive().map(({ id }) => id)).toEqual(['sbx_1']);
  ledger.end('sbx_1', 'lost', 'memory limit');
  ledger.end('sbx_1', 'ended', 'Steward stopped');
  expect(ledger.get('sbx_1')).toMatchObject({ state: 'lost', reason: 'memory limit' });
  expect(ledger.alive()).toEqual([]);
});

test('the newest checkpoint is the one to go back to; a dropped one is none', () => {
  const { ledger, session, save } = open();
  expect(ledger.latest(session)).toBeNull();
  save('ckpt_1');
  save('ckpt_2');
  expect(ledger.latest(session)?.id).toBe('ckpt_2');
  ledger.drop(['ckpt_2']);
  expect(ledger.latest(session)?.id).toBe('ckpt_1');
  expect(() => ledger.need(session, 'ckpt_2')).toThrow(/no checkpoint ckpt_2/);
  expect(() => ledger.need('sesn_other', 'ckpt_1')).toThrow(/no checkpoint ckpt_1/);
});

test('forgetting leaves no words of what ran', () => {
  const { ledger, session, save, record } = open();
  ledger.save({
    ...save('ckpt_1', 'before the secret'),
    id: 'ckpt_2',
    processes: [{ pid: 1, parent: 0, argv: ['curl', 'secret.example'], startedAt: 0, ports: [] }],
  });
  ledger.forget(session);
  expect(ledger.checkpoints(session)).toEqual([]);
  const rows = record.db.prepare<[], object>('SELECT * FROM checkpoints').all();
  expect(JSON.stringify(rows)).not.toContain('secret');
});

test('of many checkpoints the newest and the labelled stay', () => {
  const { save } = open();
  const all = Array.from({ length: 6 }, (_, i) => save(`ckpt_${i}`, i === 1 ? 'keep me' : null));
  expect(surplus(all.reverse(), 3)).toEqual(['ckpt_2', 'ckpt_0']);
});
