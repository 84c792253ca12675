// The morning brief in a real process: at its slot it stands in the owner's Telegram chat, and no model was asked.
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import { openRecord } from '../../core/record.ts';
import type { SchedulesApi } from '../../core/schedules.ts';
import { openSqlite } from '../../core/sqlite.ts';
import { createScheduler } from '../../scheduler/index.ts';
import { OWNER, type Rig, startRig, until } from '../helpers/rig.ts';

let rig: Rig;
afterEach(() => rig.close());

const author = { trust: 'owner', by: 'web:console', sessionId: null, here: null } as const;

/** Works on the schedules while no process does. */
function between<T>(home: string, work: (api: SchedulesApi) => T): T {
  const deps = { clock: systemClock, timeZone: 'UTC', safeModeAfter: 5, wakeDelivery() {} };
  const record = openRecord(home, { ...deps, split: (_, text) => [text] });
  try {
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const none = { crash() {}, awake: () => false, wake() {}, interrupt() {} };
    return work(createScheduler({ ...record, ...none, log, clock: systemClock, timeZone: 'UTC' }).api);
  } finally {
    record.db.close();
  }
}

const texts = () => rig.telegram.chat(OWNER).map(({ text }) => text);

describe('the morning brief', () => {
  it('arrives at its slot, once, and costs nothing', async () => {
    rig = await startRig();
    await rig.pair(OWNER, 'owner');
    await rig.steward.kill('SIGTERM');
    const asked = rig.model.requests.length;
    const id = between(rig.home, (api) => {
      const at = Date.now() + 3_000;
      return api.create(
        { name: 'My brief', rule: { kind: 'once', at, timeZone: 'UTC' }, starts: { kind: 'job', job: 'brief' } },
        author,
      ).id;
    });
    await rig.restart();
    await until('the brief', () => texts().some((text) => text.includes('Good morning.')));
    await rig.steward.kill('SIGTERM');
    const runs = between(rig.home, (api) => api.runs({ scheduleId: id, limit: 10 }));
    expect(runs).toMatchObject([{ state: 'succeeded', attempts: 1, result: expect.stringContaining('Good morning.') }]);
    expect(texts().filter((text) => text.includes('Good morning.'))).toHaveLength(1);
    expect(texts().at(-1)).toContain('nothing waits for you');
    expect(rig.model.requests.length).toBe(asked);
  });
});

describe('the built-in schedules', () => {
  it('are there from the first start, the brief off; what the owner archives or changes stays so', async () => {
    rig = await startRig();
    await rig.steward.kill('SIGTERM');
    const list = (api: SchedulesApi) =>
      api
        .list({ limit: 100, includeArchived: true })
        .map(({ name, state, createdBy }) => `${name} ${state} ${createdBy}`)
        .sort();
    const made = between(rig.home, (api) => {
      const found = list(api);
      const named = (name: string) => api.list({ limit: 100 }).find((schedule) => schedule.name === name)!.id;
      api.archive(named('Backup'));
      api.update(named('Retention'), { name: 'Clean up', rule: { kind: 'manual', timeZone: 'UTC' } }, author);
      return found;
    });
    expect(made).toEqual([
      'Backup active steward:built-in',
      'Memory, put in order active steward:built-in',
      'Morning brief paused steward:built-in',
      'Retention active steward:built-in',
      'Tidy sandboxes active steward:built-in',
    ]);
    await rig.restart();
    await rig.steward.kill('SIGTERM');
    expect(between(rig.home, list)).toEqual([
      'Backup archived steward:built-in',
      'Clean up active steward:built-in',
      'Memory, put in order active steward:built-in',
      'Morning brief paused steward:built-in',
      'Tidy sandboxes active steward:built-in',
    ]);
  });

  it('each works at its slot, and what went well is silent', async () => {
    rig = await startRig();
    await rig.pair(OWNER, 'owner');
    await rig.steward.kill('SIGTERM');
    const before = texts().length;
    between(rig.home, (api) => {
      for (const job of ['backup', 'retention', 'sandbox_sweep', 'consolidation'] as const) {
        const at = Date.now() + 2_000;
        api.create({ name: job, rule: { kind: 'once', at, timeZone: 'UTC' }, starts: { kind: 'job', job } }, author);
      }
    });
    await rig.restart();
    const seen = openSqlite(join(rig.home, 'steward.db'), { readonly: true });
    try {
      const ended = seen.prepare<[], { state: string }>('SELECT state FROM schedule_runs WHERE ended_at IS NOT NULL');
      const states = await until('the end of all', () => {
        const found = ended.all().map(({ state }) => state);
        return found.length === 4 && found;
      });
      expect(states).toEqual(['succeeded', 'succeeded', 'succeeded', 'succeeded']);
    } finally {
      seen.close();
    }
    const { data } = await rig.api<{ data: { kind: string }[] }>('/api/backups');
    expect(data.map(({ kind }) => kind)).toEqual(['backup']);
    expect(texts().length).toBe(before);
  });
});
