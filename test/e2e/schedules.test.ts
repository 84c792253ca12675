// Schedules in real processes that are killed at the worst moments: a slot is one row, and one message to the person.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../core/clock.ts';
import type { FailpointName } from '../../core/failpoint.ts';
import { openRecord } from '../../core/record.ts';
import type { ScheduleDraft } from '../../core/schedules.ts';
import { openSqlite } from '../../core/sqlite.ts';
import { createScheduler } from '../../scheduler/index.ts';
import { type Handler, startMessagesApi, toolResults } from '../fakes/messages-api.ts';
import { makeHome, type StewardProcess, startSteward } from '../helpers/process.ts';
import { until } from '../helpers/rig.ts';
import { quiet } from '../helpers/scheduler-room.ts';
import { request } from '../helpers/talk.ts';

const FIXTURE = ['test/fixtures/steward-with-effects.ts'];

interface House {
  home: string;
  /** Makes a schedule while no Steward runs. */
  make(draft: Partial<ScheduleDraft>): string;
  start(crashAt?: FailpointName): Promise<StewardProcess>;
  rows(
    scheduleId: string,
  ): { state: string; reason: string | null; trigger: string; attempts: number; result: string }[];
  /** Everything that schedules said, and what the model answered to them. */
  said(): string[];
}

function house(env: Record<string, string> = {}): House {
  const home = makeHome();
  const crashFile = join(home, 'crash');
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const read = <R>(sql: string, ...values: string[]): R[] => {
    const db = openSqlite(join(home, 'steward.db'));
    try {
      return db.prepare(sql).all(...values) as R[];
    } finally {
      db.close();
    }
  };
  return {
    home,
    make(draft) {
      const record = openRecord(home, {
        ...{ clock: systemClock, timeZone: 'UTC', safeModeAfter: 0 },
        split: (_, markdown) => [markdown],
        wakeDelivery() {},
      });
      const scheduler = createScheduler({
        ...record,
        ...{ clock: systemClock, log: quiet, crash() {}, timeZone: 'UTC', awake: () => false },
        wake() {},
        interrupt() {},
      });
      const author = { trust: 'owner', by: 'web:console', sessionId: null, here: null } as const;
      const rule = { kind: 'once', at: Date.now() + 2_500, timeZone: 'UTC' } as const;
      const starts = { kind: 'message', text: 'Stretch your legs' } as const;
      const { id } = scheduler.api.create({ name: 'Legs', rule, starts, ...draft }, author);
      record.db.tx(() => record.boots.end());
      record.db.close();
      return id;
    },
    async start(crashAt) {
      if (crashAt) writeFileSync(crashFile, `${crashAt}:1`);
      const steward = await startSteward({
        home,
        args: FIXTURE,
        env: { CRASH_FILE: crashFile, STEWARD_SAFE_MODE_AFTER: '0', ...env },
      });
      onTestFinished(() => steward.stop());
      return steward;
    },
    rows: (id) =>
      read('SELECT state, reason, trigger, attempts, result FROM schedule_runs WHERE schedule_id = ? ORDER BY id', id),
    said: () =>
      read<{ payload: string }>(
        "SELECT payload FROM events WHERE type IN ('schedule.message', 'agent.message') ORDER BY row",
      ).map(({ payload }) => (JSON.parse(payload) as { content: { text: string }[] }).content[0]!.text),
  };
}

const ended = (rows: { state: string }[]) =>
  rows.length > 0 && rows.every(({ state }) => !/waiting|running/.test(state));

describe('a death at the slot', () => {
  it.each<FailpointName>([
    'schedule.claimed',
    'schedule.after_event',
    'schedule.before_end',
    'schedule.committed',
    'schedule.ended',
  ])(
    '%s: the reminder is said once all the same',
    async (point) => {
      const home = house();
      const id = home.make({});
      const first = await home.start(point);
      await first.exited;
      await home.start();
      await until('the reminder', () => ended(home.rows(id)));
      expect(home.rows(id)).toMatchObject([{ state: 'succeeded', attempts: 1 }]);
      expect(home.said().map((text) => text.replace(/ \(due.*/, ''))).toEqual(['Stretch your legs']);
    },
    60_000,
  );

  it.each<FailpointName>(['schedule.after_event', 'schedule.committed', 'model.before_commit', 'schedule.ended'])(
    '%s: a prompt is asked and answered once',
    async (point) => {
      const model = await startMessagesApi({ handler: () => 'All is well.' });
      onTestFinished(() => model.close());
      const home = house({
        ANTHROPIC_API_KEY: 'sk-test-right',
        ANTHROPIC_BASE_URL: model.url,
        STEWARD_MODEL: 'claude-opus-5-5',
      });
      const id = home.make({ starts: { kind: 'prompt', text: 'How is it?', session: 'own' } });
      const first = await home.start(point);
      await first.exited;
      await home.start();
      await until('the answer', () => ended(home.rows(id)));
      expect(home.rows(id)).toMatchObject([{ state: 'succeeded', attempts: 1, result: 'All is well.' }]);
      expect(home.said()).toEqual(['All is well.']);
    },
    60_000,
  );
});

describe('a run that nobody looks at', () => {
  const open = async (handler: Handler) => {
    const model = await startMessagesApi({ handler });
    onTestFinished(() => model.close());
    const home = house({
      ANTHROPIC_API_KEY: 'sk-test-right',
      ANTHROPIC_BASE_URL: model.url,
      STEWARD_MODEL: 'claude-opus-5-5',
    });
    return { model, home };
  };
  const starts = { kind: 'prompt', text: 'Look at the news.', session: 'own' } as const;

  it('is denied at once what it was not given, and comes to its end', async () => {
    const { home } = await open((asked) => {
      const [result] = toolResults(asked);
      if (result) return `I may not: ${result.text}`;
      return { content: [{ type: 'tool_use', name: 'web_fetch', input: { url: 'http://news.example/' } }] };
    });
    const id = home.make({ name: 'News', starts });
    const steward = await home.start();
    await until('the end', () => ended(home.rows(id)));
    const [row] = home.rows(id);
    expect(row!.state).toBe('succeeded');
    expect(row!.result).toContain('“News” runs unattended and was not given this; the owner can add it to its grants.');
    expect((await request(steward, '/api/status')).body).toMatchObject({ approvals_pending: 0 });
  }, 60_000);

  it('asks the model its schedule names, and is stopped when its own budget is used up', async () => {
    const { home, model } = await open(() => ({
      content: [{ type: 'tool_use', name: 'effect_pure', input: { label: 'x' } }],
    }));
    const grants = { hosts: [], tools: ['effect_pure'], recipients: [] };
    const id = home.make({ starts, grants, model: 'claude-haiku-4-5', budgetUsd: 0.000_001 });
    await home.start();
    await until('the end', () => ended(home.rows(id)));
    expect(home.rows(id)).toMatchObject([
      { state: 'failed', reason: expect.stringMatching(/“Legs” was stopped\. Its budget is used up/) },
    ]);
    const asked = model.requests.map(({ body }) => (body as { model: string }).model);
    expect(new Set(asked)).toEqual(new Set(['claude-haiku-4-5']));
    expect(asked).toHaveLength(1);
  }, 60_000);
});

it('down over the slot: said once, with both times, and the row says it was late', async () => {
  const home = house();
  const id = home.make({ rule: { kind: 'once', at: Date.now() + 500, timeZone: 'UTC' } });
  const db = openSqlite(join(home.home, 'steward.db'));
  // As if the day before yesterday: nobody waits here for the slot to be long ago.
  db.exec('UPDATE schedules SET next_at = next_at - 172800000, due_at = due_at - 172800000');
  db.exec("UPDATE schedules SET spec = json_set(spec, '$.rule.at', next_at)");
  db.close();
  const first = await home.start();
  await until('the reminder', () => ended(home.rows(id)));
  await first.kill();
  await home.start();
  expect(home.rows(id)).toMatchObject([{ state: 'succeeded', trigger: 'catch_up' }]);
  expect(home.said()).toHaveLength(1);
  expect(home.said()[0]).toMatch(/^Stretch your legs \(due \w{3} [\d-]{10} \d\d:\d\d, now \d\d:\d\d\)$/);
}, 60_000);

it('a clock that is moved by hours neither stops the tick nor blocks the process', async () => {
  const { stdout } = await execa(process.execPath, ['test/fixtures/tick-under-a-moved-clock.ts']);
  const moves = stdout.split('\n').map((line) => JSON.parse(line) as { hours: number; beats: number; blocked: number });
  expect(moves.map(({ hours }) => hours)).toEqual([10, -5]);
  // node-cron by itself: 12 seconds of a blocked process for the first, and no beat for five hours for the second.
  for (const { beats, blocked } of moves) {
    expect(beats).toBeGreaterThanOrEqual(2);
    expect(blocked).toBeLessThan(1_000);
  }
}, 60_000);

it('a process that was stopped ticks again at once, and readiness says so', async () => {
  const home = house();
  const steward = await home.start();
  const check = async () => {
    const { body } = await request(steward, '/readyz');
    return (body.checks as { name: string; ok: boolean; age_ms: number }[]).find(({ name }) => name === 'scheduler');
  };
  expect(await check()).toMatchObject({ ok: true });
  process.kill(steward.pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  process.kill(steward.pid, 'SIGCONT');
  await until('a fresh tick', async () => ((await check())?.age_ms ?? 9_999) < 1_200);
}, 60_000);
