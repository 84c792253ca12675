// Retention over a real record: what ran out goes, the log and what is known stay, and it is silent unless asked.
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createAuth } from '../../../../channels/web/auth.ts';
import { createBackups } from '../../../../core/backup.ts';
import { createBackupJob } from '../../../../scheduler/jobs/backup.ts';
import { createRetentionJob } from '../../../../scheduler/jobs/retention.ts';
import { openTestRecord } from '../../../helpers/record.ts';

const DAY = 86_400_000;

function open() {
  const record = openTestRecord();
  const { db, home, clock } = record;
  const auth = createAuth(db, { token: 'x', now: clock.now });
  const backups = createBackups({ db, home, now: clock.now });
  const kept: string[][] = [];
  const retention = createRetentionJob({
    ...{ home, backups, logBytes: 1_000, sweepSignIns: auth.sweep },
    schedules: { list: () => [] },
    keepLooksOf: (ids) => kept.push([...ids]) && 0,
  });
  const context = (asked: boolean) => ({ now: clock.now(), since: null, asked, signal: new AbortController().signal });
  return { record, auth, backups, retention, context };
}

const rows = (record: ReturnType<typeof open>['record'], table: 'login_codes' | 'web_sessions' | 'events') =>
  record.db.prepare<[], { n: number }>(`SELECT count(*) AS n FROM ${table}`).get()!.n;

it('removes sign-ins and login links that ran out, and leaves those that did not', async () => {
  const { record, auth, retention, context } = open();
  const cookie = auth.redeem(auth.mintLoginCode().code)!.value;
  auth.mintLoginCode();
  await record.clock.advance(DAY);
  expect((await retention(context(true))).text).toBe('Removed: 2 sign-ins and login links that ran out.');
  expect(auth.check({ apiKey: undefined, cookie })).toBe('cookie');
  await record.clock.advance(31 * DAY);
  expect((await retention(context(false))).text).toBe(null);
  expect([rows(record, 'login_codes'), rows(record, 'web_sessions')]).toEqual([0, 0]);
  expect((await retention(context(true))).text).toBe('There was nothing to remove.');
});

it('never touches the log', async () => {
  const { record, retention, context } = open();
  const session = record.newSession();
  record.db.tx(() => record.events.append(session, [{ type: 'user.message', payload: { text: 'old' } }]));
  await record.clock.advance(4_000 * DAY);
  await retention(context(true));
  expect(rows(record, 'events')).toBe(1);
});

it('begins an overlong log file anew and keeps the one before once', async () => {
  const { record, retention, context } = open();
  const file = join(record.home, 'logs', 'steward.log');
  mkdirSync(join(record.home, 'logs'));
  writeFileSync(file, 'x'.repeat(900));
  await retention(context(false));
  expect([statSync(file).size, existsSync(`${file}.1`)]).toEqual([900, false]);
  writeFileSync(file, 'x'.repeat(1_100));
  expect((await retention(context(true))).text).toContain('log file');
  expect([statSync(file).size, statSync(`${file}.1`).size]).toEqual([0, 1_100]);
});

it('removes surplus backups and what was never finished', async () => {
  const { record, backups, retention, context } = open();
  const made = await backups.make();
  writeFileSync(join(record.home, 'backups', '.unfinished-1.db'), '');
  for (let week = 1; week < 10; week++)
    writeFileSync(join(record.home, 'backups', `steward-2025010${week}T000000Z.db`), '');
  const { text } = await retention(context(true));
  expect(text).toContain('.unfinished-1.db');
  // Of nine days seven are kept with the newest, of these the weeks hold no other.
  expect(backups.list().map(({ name }) => name)).toContain(made.name);
  expect(backups.list().length).toBeLessThan(9);
});

it('the nightly backup is silent, and not made twice in one night', async () => {
  const { record, backups, context } = open();
  const job = createBackupJob({ backups });
  await backups.make();
  await record.clock.advance(30 * 60_000);
  expect((await job(context(false))).text).toBe(null);
  expect(backups.list()).toHaveLength(1);
  expect((await job(context(true))).text).toContain('looked through and whole');
  expect(backups.list()).toHaveLength(2);
  await record.clock.advance(DAY);
  await job(context(false));
  // The earlier one of the day before has made room.
  expect(backups.list().map(({ madeAt }) => record.clock.now() - madeAt)).toEqual([0, DAY]);
});
