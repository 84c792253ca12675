// A durable commit: one event appended and fsynced, beside the bare costs it stands on.
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_AGENT, DEFAULT_ENVIRONMENT } from '../../../core/agents.ts';
import { systemClock } from '../../../core/clock.ts';
import { openRecord, type RecordOf } from '../../../core/record.ts';
import { openSqlite } from '../../../core/sqlite.ts';
import type { Bench } from '../bench.ts';
import { median, type Row, row } from '../report.ts';

const TEXT = 'x'.repeat(1_000);

export const openBenchRecord = (home: string): RecordOf =>
  openRecord(home, {
    clock: systemClock,
    timeZone: 'UTC',
    safeModeAfter: 0,
    split: (_, text) => [text],
    wakeDelivery: () => {},
  });

export const newSession = (record: RecordOf): string =>
  record.sessions.create({
    trust: 'owner',
    agentId: DEFAULT_AGENT,
    agentVersion: 1,
    environmentId: DEFAULT_ENVIRONMENT,
  }).id;

const timed = (work: () => void): number => {
  const from = performance.now();
  work();
  return performance.now() - from;
};

/** The machine's own price: a kilobyte through SQLite with the same pragmas, in a table without triggers or indexes. */
export function bareCommit(folder: string): { once(): number; close(): void } {
  const db = openSqlite(join(folder, 'bare.db'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE IF NOT EXISTS bare (payload TEXT) STRICT');
  const insert = db.prepare<[string]>('INSERT INTO bare VALUES (?)');
  return { once: () => timed(() => void insert.run(TEXT)), close: () => void db.close() };
}

export async function measureCommit(bench: Bench): Promise<Row[]> {
  const home = bench.emptyHome();
  const record = openBenchRecord(home);
  const session = newSession(record);
  const bare = bareCommit(bench.emptyHome());
  const file = openSync(join(home, 'plain'), 'a');
  const page = Buffer.alloc(4_096, 1);
  const plain: number[] = [];
  const sqlite: number[] = [];
  const ours: number[] = [];
  // Side by side, so that whatever else the disk does falls on all three.
  for (let i = 0; i < bench.count(2_000); i++) {
    plain.push(
      timed(() => {
        writeSync(file, page);
        fsyncSync(file);
      }),
    );
    sqlite.push(bare.once());
    ours.push(timed(() => void record.events.append(session, [{ type: 'agent.message', payload: { content: TEXT } }])));
  }
  closeSync(file);
  bare.close();
  record.db.close();
  return [
    row('bare: append 4 KB + fsync', plain),
    row('bare: SQLite commit of 1 KB, WAL, synchronous=FULL', sqlite, {
      ratio: { of: 'append + fsync', base: median(plain) },
    }),
    row('commit: one event of 1 KB appended to the log', ours, {
      ratio: { of: 'bare SQLite commit', base: median(sqlite) },
    }),
  ];
}
