// How long does a durable commit take on this disk? Measured on a scratch database beside the record.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openSqlite } from '../../sqlite.ts';
import type { Finding, Patient } from './finding.ts';

const commits = 200;
/** The promise: a message is accepted durably within this. Milliseconds. */
const promised = 10;

export async function fsyncCheck({ config: { home } }: Patient): Promise<Finding> {
  if (!existsSync(home)) return { name: 'durability', level: 'ok', detail: 'Measured once the home folder is there.' };
  const folder = mkdtempSync(join(home, 'doctor-'));
  try {
    const db = openSqlite(join(folder, 'probe.db'));
    try {
      db.pragma('journal_mode = WAL');
      db.pragma('synchronous = FULL');
      const journal = db.pragma('journal_mode', { simple: true });
      const synchronous = db.pragma('synchronous', { simple: true });
      if (journal !== 'wal' || synchronous !== 2)
        return {
          name: 'durability',
          level: 'fail',
          detail: `SQLite here gives journal_mode=${journal}, synchronous=${synchronous} in place of wal and 2 (FULL).`,
          fix: 'Put STEWARD_HOME on a local disk: network file systems cannot keep the promise.',
        };
      return judge(measure(db));
    } finally {
      db.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Milliseconds of each commit, ascending. */
function measure(db: ReturnType<typeof openSqlite>): number[] {
  db.exec('CREATE TABLE probe (payload BLOB) STRICT');
  const insert = db.prepare<[Buffer]>('INSERT INTO probe VALUES (?)');
  const payload = Buffer.alloc(1024, 1);
  const times: number[] = [];
  for (let i = 0; i < commits; i++) {
    const from = performance.now();
    insert.run(payload);
    times.push(performance.now() - from);
  }
  return times.sort((a, b) => a - b);
}

function judge(times: number[]): Finding {
  const p50 = times[Math.floor(times.length * 0.5)]!;
  const p99 = times[Math.floor(times.length * 0.99)]!;
  const detail = `A durable commit takes ${p50.toFixed(2)} ms (p50), ${p99.toFixed(2)} ms (p99).`;
  if (p99 <= promised) return { name: 'durability', level: 'ok', detail };
  return {
    name: 'durability',
    level: 'warn',
    detail,
    fix: 'Nothing is lost, only slower; a local SSD for STEWARD_HOME helps.',
  };
}
