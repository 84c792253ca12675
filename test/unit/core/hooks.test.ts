// Webhooks as rows: secrets that fit one place and one key, and one outcome for each delivery.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runAnnouncement } from '../../../core/announcements.ts';
import type { Receipt } from '../../../core/hooks.ts';
import { openRecord, type RecordOf } from '../../../core/record.ts';
import type { ScheduleRun } from '../../../core/schedules.ts';
import { DEFAULT_VAULT } from '../../../core/vault.ts';
import { SUBSCRIPTION, subscribes } from '../../../core/webhooks.ts';

let home: string;
let record: RecordOf;
let now = 1_796_083_200_000;
const filters = { events: [], actions: [], labels: [], repositories: [], authors: [] };
const spec = (name: string) => ({ name, scheme: 'steward' as const, scheduleId: 'sched_1', filters });

const open = () => {
  record = openRecord(home, {
    clock: { now: () => now, elapsed: () => now, sleep: async () => {} },
    timeZone: 'UTC',
    safeModeAfter: 0,
    split: (_, markdown) => [markdown],
    wakeDelivery() {},
  });
};
const reopen = () => {
  record.db.close();
  open();
};

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'steward-hooks-'));
  open();
});
afterEach(() => {
  record.db.close();
  rmSync(home, { recursive: true, force: true });
});

describe('secrets', () => {
  it('open in the next life, and share their key with the vault', () => {
    const { secret } = record.hooks.create(spec('a'));
    const auth = { type: 'header' as const, hosts: ['example.com'], header: 'x-key', value: 'canary-123' };
    record.vault.createCredential(DEFAULT_VAULT, { displayName: 'x', metadata: {}, auth });
    reopen();
    expect(record.hooks.opened('a')?.secret).toBe(secret);
    expect(record.vault.secretsFor('all')).toHaveLength(1);
    expect(record.hookSecrets()).toContain(secret);
  });

  it('do not open without their key, nor in the place of another; a rotation heals', () => {
    record.hooks.create(spec('a'));
    record.hooks.create(spec('b'));
    record.db
      .prepare<[], never>("UPDATE hooks SET sealed = (SELECT sealed FROM hooks WHERE name = 'b') WHERE name = 'a'")
      .run();
    reopen();
    expect(record.hooks.opened('a')).toBeNull();
    expect(record.hooks.need('a').readable).toBe(false);
    expect(record.hooks.opened('b')).not.toBeNull();
    rmSync(join(home, 'vault.key'));
    reopen();
    expect(record.hooks.list().map(({ readable }) => readable)).toEqual([false, false]);
    const { secret } = record.hooks.rotate('a');
    expect(record.hooks.opened('a')?.secret).toBe(secret);
  });

  it('are not taken from a hook that is off', () => {
    record.hooks.create(spec('a'));
    record.hooks.update('a', { enabled: false });
    expect(record.hooks.opened('a')).toBeNull();
    reopen();
    expect(record.hooks.opened('a')).toBeNull();
  });
});

describe('deliveries', () => {
  const receive = (id: string, proof: string, runId: string) => {
    const { hook } = record.hooks.opened('a')!;
    return record.hooks.receive(hook.id, { id, proof }, () => ({ kind: 'run', runId }));
  };

  it('have one outcome by id and by proof, for thirty days', () => {
    record.hooks.create(spec('a'));
    expect(receive('1', 'p1', 'run_1')).toEqual({ kind: 'run', runId: 'run_1' });
    expect(receive('1', 'p2', 'run_2')).toMatchObject({ runId: 'run_1' });
    expect(receive('2', 'p1', 'run_3')).toMatchObject({ runId: 'run_1' });
    reopen();
    now += 29 * 86_400_000;
    expect(receive('1', 'p4', 'run_4')).toMatchObject({ runId: 'run_1' });
    now += 2 * 86_400_000;
    receive('3', 'p5', 'run_5');
    expect(receive('1', 'p6', 'run_6')).toMatchObject({ runId: 'run_6' });
    expect(record.hooks.need('a')).toMatchObject({ accepted: 3, ignored: 0, lastAt: now });
  });

  it('leave nothing when what they start fails', () => {
    record.hooks.create(spec('a'));
    const { hook } = record.hooks.opened('a')!;
    const fail = (): Receipt => {
      throw new Error('no');
    };
    expect(() => record.hooks.receive(hook.id, { id: '1', proof: 'p' }, fail)).toThrow('no');
    expect(receive('1', 'p', 'run_1')).toMatchObject({ runId: 'run_1' });
  });

  it('go with their hook', () => {
    record.hooks.create(spec('a'));
    receive('1', 'p1', 'run_1');
    record.hooks.remove('a');
    record.hooks.create(spec('a'));
    expect(receive('1', 'p1', 'run_2')).toMatchObject({ runId: 'run_2' });
  });
});

describe('announcements', () => {
  it('reach whoever subscribed', () => {
    for (const [events, kind, meant] of [
      [['*'], 'schedule.failed', true],
      [['schedule.*'], 'schedule.failed', true],
      [['schedule.*'], 'task.failed', false],
      [['schedule.failed'], 'schedule.failed', true],
      [['schedule.failed'], 'schedule.succeeded', false],
      [[], 'schedule.failed', false],
    ] as const)
      expect([events, kind, subscribes(events, kind)]).toEqual([events, kind, meant]);
    expect(
      ['*', 'schedule.*', 'schedule.missed', 'task.*', 'task.handed_off'].every((text) => SUBSCRIPTION.test(text)),
    ).toBe(true);
    expect(['', 'schedule', 'schedule.gone', 'sched.*', '**', 'task.'].some((text) => SUBSCRIPTION.test(text))).toBe(
      false,
    );
  });

  it('are made of runs that are over, and not of those the owner ended', () => {
    const run: ScheduleRun = {
      ...{
        id: 'srun_1',
        scheduleId: 'sched_1',
        slot: { at: 0, key: '1970-01-01T00:00' },
        trigger: 'schedule' as const,
      },
      ...{ state: 'failed', reason: 'It broke.', attempts: 1, missedBefore: 0, sessionId: 'sesn_1', eventId: 'sevt_1' },
      ...{ startedAt: 0, endedAt: 1_000, costUsd: 0.01, result: null, createdAt: 0 },
    };
    const of = (state: ScheduleRun['state']) =>
      runAnnouncement({ ...run, state }, { id: 'sched_1', name: 'Brief' })?.kind ?? null;
    expect((['succeeded', 'failed', 'missed', 'skipped', 'cancelled', 'running', 'waiting'] as const).map(of)).toEqual([
      ...['schedule.succeeded', 'schedule.failed', 'schedule.missed', 'schedule.skipped', null, null, null],
    ]);
    expect(runAnnouncement(run, { id: 'sched_1', name: 'Brief' })?.data).toMatchObject({
      ...{ run_id: 'srun_1', schedule_name: 'Brief', state: 'failed', reason: 'It broke.' },
      ended_at: '1970-01-01T00:00:01.000Z',
    });
  });
});
