// Every request a sandbox made to the broker: one row each, and a summary for the log. The only writer of `egress`.
import type { Db } from '../core/db.ts';
import type { Id, JsonObject, Millis } from '../core/types.ts';

export interface EgressEntry {
  at: Millis;
  sandboxId: Id;
  sessionId: Id;
  callId: Id | null;
  method: string;
  host: string;
  port: number;
  path: string | null;
  verdict: 'allowed' | 'denied' | 'failed';
  why: string;
  status: number | null;
  bytesOut: number;
  bytesIn: number;
  tookMs: Millis;
}

export interface Audit {
  record(entries: readonly EgressEntry[]): void;
  list(options: { sessionId?: Id; sandboxId?: Id; limit: number }): EgressEntry[];
  forget(sessionId: Id): void;
}

interface Row {
  at: number;
  sandbox_id: string;
  session_id: string;
  call_id: string | null;
  method: string;
  host: string;
  port: number;
  path: string | null;
  verdict: EgressEntry['verdict'];
  why: string;
  status: number | null;
  bytes_out: number;
  bytes_in: number;
  took_ms: number;
}

export function createAudit(db: Db): Audit {
  const insert = db.prepare(
    `INSERT INTO egress (at, sandbox_id, session_id, call_id, method, host, port, path, verdict, why, status, bytes_out, bytes_in, took_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const forget = db.prepare<[string]>('DELETE FROM egress WHERE session_id = ?');
  return {
    record: (entries) =>
      db.tx(() => {
        for (const entry of entries)
          insert.run(
            entry.at,
            entry.sandboxId,
            entry.sessionId,
            entry.callId,
            entry.method,
            entry.host,
            entry.port,
            entry.path,
            entry.verdict,
            entry.why,
            entry.status,
            entry.bytesOut,
            entry.bytesIn,
            entry.tookMs,
          );
      }),
    list({ sessionId, sandboxId, limit }) {
      const where: string[] = [];
      const values: (string | number)[] = [];
      if (sessionId !== undefined) {
        where.push('session_id = ?');
        values.push(sessionId);
      }
      if (sandboxId !== undefined) {
        where.push('sandbox_id = ?');
        values.push(sandboxId);
      }
      const sql = `SELECT * FROM egress ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''} ORDER BY row DESC LIMIT ?`;
      return db
        .prepare<(string | number)[], Row>(sql)
        .all(...values, limit)
        .map((row) => ({
          at: row.at,
          sandboxId: row.sandbox_id,
          sessionId: row.session_id,
          callId: row.call_id,
          method: row.method,
          host: row.host,
          port: row.port,
          path: row.path,
          verdict: row.verdict,
          why: row.why,
          status: row.status,
          bytesOut: row.bytes_out,
          bytesIn: row.bytes_in,
          tookMs: row.took_ms,
        }));
    },
    forget: (sessionId) => void forget.run(sessionId),
  };
}

/** Pure. What one call did outside, for the log: one line per host and verdict, not one per request. */
export function summarize(entries: readonly EgressEntry[]): JsonObject[] {
  const groups = new Map<string, JsonObject & { requests: number; bytes_out: number; bytes_in: number }>();
  for (const { host, port, verdict, why, bytesOut, bytesIn } of entries) {
    const key = `${verdict} ${host}:${port}`;
    const group = groups.get(key) ?? { host, port, verdict, why, requests: 0, bytes_out: 0, bytes_in: 0 };
    group.requests += 1;
    group.bytes_out += bytesOut;
    group.bytes_in += bytesIn;
    groups.set(key, group);
  }
  return [...groups.values()];
}
