// Backups over a real database: whole while it is written to, nothing that looks whole when they are not, and which are kept.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Backups, createBackups, listBackups, stampOf, surplus } from '../../../core/backup.ts';
import { examine } from '../../../core/backup-check.ts';
import { openSqlite } from '../../../core/sqlite.ts';
import { openTestRecord, type TestRecord } from '../../helpers/record.ts';

const DAY = 86_400_000;

function open(options: { free?: number; record?: TestRecord } = {}): { record: TestRecord; backups: Backups } {
  const record = options.record ?? openTestRecord();
  const backups = createBackups({
    ...record,
    now: record.clock.now,
    ...(options.free !== undefined && { free: () => options.free! }),
  });
  return { record, backups };
}

/** Some megabytes, so that a copy takes many steps. */
function fill(record: TestRecord, megabytes = 8): void {
  for (let count = 0; count < megabytes; count++)
    record.db.tx(() => record.blobs.put(Buffer.alloc(1024 * 1024, `${count} ${Math.sqrt(count + 2)}`)));
}

const say = (record: TestRecord, sessionId: string, text: string) =>
  record.db.tx(() => record.events.append(sessionId, [{ type: 'user.message', payload: { text } }]));

const textsIn = (file: string): string[] => {
  const db = openSqlite(file, { readonly: true });
  try {
    return db
      .prepare<[], { payload: string }>("SELECT payload FROM events WHERE type = 'user.message' ORDER BY row")
      .all()
      .map(({ payload }) => String((JSON.parse(payload) as { text: string }).text));
  } finally {
    db.close();
  }
};

describe('a backup', () => {
  it('is one whole file for the owner alone, named after the time', async () => {
    const { record, backups } = open();
    const session = record.newSession();
    say(record, session, 'hello');
    const made = await backups.make();
    expect(made.path).toBe(join(record.home, 'backups', 'steward-20261120T080000Z.db'));
    expect(statSync(made.path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(record.home, 'backups'))).toEqual([made.name]);
    expect(textsIn(made.path)).toEqual(['hello']);
    expect(examine(made.path)).toMatchObject({ problems: [], newestEventAt: record.clock.now() });
    // No write-ahead log was needed to read it, and none was left.
    expect(readdirSync(join(record.home, 'backups'))).toEqual([made.name]);
  });

  it('stays whole, and does not begin again, while the record is written to', async () => {
    const { record, backups } = open();
    const session = record.newSession();
    fill(record);
    let writes = 0;
    let done = false;
    const write = () => {
      if (done) return;
      say(record, session, `word ${writes++}`);
      setImmediate(write);
    };
    write();
    const made = await backups.make();
    done = true;
    expect(writes).toBeGreaterThan(10);
    expect(examine(made.path).problems).toEqual([]);
    const texts = textsIn(made.path);
    // A state that was: every word up to one, none after it.
    expect(texts).toEqual(texts.map((_, index) => `word ${index}`));
    expect(texts.length).toBeGreaterThan(0);
  });

  it('what is forgotten while it is made is not in it', async () => {
    const { record, backups } = open();
    const session = record.newSession();
    const [event] = say(record, session, 'the secret cake');
    fill(record);
    const making = backups.make();
    // The first steps have copied the page by then.
    for (let turns = 0; turns < 6; turns++) await new Promise(setImmediate);
    record.db.tx(() => record.events.redact(session, [event!.id], 'test'));
    record.db.checkpoint();
    const made = await making;
    expect(readFileSync(made.path).includes('secret cake')).toBe(false);
  });

  it('asked for twice at once is made once', async () => {
    const { backups } = open();
    const [first, second] = await Promise.all([backups.make(), backups.make()]);
    expect(second.path).toBe(first.path);
    expect(backups.list()).toHaveLength(1);
    // The same second again: another name, the first one stays.
    await backups.make();
    expect(backups.list()).toHaveLength(2);
  });

  it('says when there is no room for it, and leaves the room that there is', async () => {
    const { record, backups } = open({ free: 1024 });
    await expect(backups.make()).rejects.toMatchObject({
      code: 'disk_full',
      retryable: true,
      message: expect.stringContaining('1 MB are free'),
    });
    expect(readdirSync(join(record.home, 'backups'))).toEqual([]);
  });

  it('of a damaged record is thrown away', async () => {
    const { record, backups } = open();
    fill(record, 1);
    const whole = record.db.copyTo;
    const hurt = createBackups({
      ...record,
      now: record.clock.now,
      db: {
        file: record.db.file,
        async copyTo(file, step) {
          await whole(file, step);
          const bytes = readFileSync(file);
          bytes.fill(0x5a, 4_096 * 3, 4_096 * 9);
          writeFileSync(file, bytes);
        },
      },
    });
    await expect(hurt.make()).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('not whole'),
    });
    expect(readdirSync(join(record.home, 'backups'))).toEqual([]);
    await backups.make();
  });

  it('ends when Steward does, without a trace', async () => {
    const { record, backups } = open();
    fill(record);
    const making = backups.make();
    await new Promise(setImmediate);
    const stopping = backups.stop();
    await expect(making).rejects.toMatchObject({ code: 'unavailable' });
    await stopping;
    expect(readdirSync(join(record.home, 'backups'))).toEqual([]);
    record.db.close();
    await expect(backups.make()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('clears away what an earlier life left half-made, and nothing else', async () => {
    const { record, backups } = open();
    const folder = join(record.home, 'backups');
    mkdirSync(folder);
    for (const name of ['.unfinished-1.db', '.unfinished-1.db-journal', 'mine.db', 'before-schema-3.db'])
      writeFileSync(join(folder, name), 'x');
    expect(listBackups(record.home).map(({ kind }) => kind)).toEqual(['before_update']);
    const made = await backups.make();
    expect(readdirSync(folder).sort()).toEqual(['before-schema-3.db', 'mine.db', made.name]);
  });
});

describe('which are kept', () => {
  const at = (text: string) => Date.parse(text);
  const of = (...times: string[]) => times.map((time) => ({ name: stampOf(at(time)), madeAt: at(time) }));
  const kept = (backups: ReturnType<typeof of>, now: string) => {
    const gone = new Set(surplus(backups, at(now)));
    return backups.map(({ name }) => name).filter((name) => !gone.has(name));
  };

  it('the newest of each of seven days, and of each of four weeks', () => {
    const nights = Array.from({ length: 60 }, (_, day) => ({
      name: stampOf(at('2026-10-01T03:30:00Z') + day * DAY),
      madeAt: at('2026-10-01T03:30:00Z') + day * DAY,
    }));
    // 29 November 2026 is a Sunday.
    expect(kept(nights, '2026-11-29T04:00:00Z').map((name) => name.slice(0, 8))).toEqual([
      '20261108',
      '20261115',
      '20261122',
      '20261123',
      '20261124',
      '20261125',
      '20261126',
      '20261127',
      '20261128',
      '20261129',
    ]);
  });

  it('all of the last day, and of an older day the last one', () => {
    const backups = of('2026-11-20T01:00:00Z', '2026-11-20T09:00:00Z', '2026-11-21T02:00:00Z', '2026-11-21T02:00:10Z');
    expect(kept(backups, '2026-11-21T03:00:00Z')).toEqual(['20261120T090000Z', '20261121T020000Z', '20261121T020010Z']);
  });

  it('never the newest, also when the clock stood in the future', () => {
    expect(surplus(of('2031-01-01T00:00:00Z'), at('2026-11-21T03:00:00Z'))).toEqual([]);
    expect(surplus(of('2020-01-01T00:00:00Z'), at('2026-11-21T03:00:00Z'))).toEqual([]);
    expect(surplus([], 0)).toEqual([]);
  });

  it('a new one takes the place of the old', async () => {
    const { record, backups } = open();
    const names: string[] = [];
    for (let night = 0; night < 40; night++) {
      const folder = join(record.home, 'backups');
      mkdirSync(folder, { recursive: true });
      names.push(`steward-${stampOf(record.clock.now())}.db`);
      writeFileSync(join(folder, names.at(-1)!), 'x');
      await record.clock.advance(DAY);
    }
    const made = await backups.make();
    expect(made.removed.length).toBeGreaterThan(25);
    expect(backups.list().length).toBeLessThanOrEqual(11);
    expect(existsSync(made.path)).toBe(true);
  });
});
