// What must hold in the file itself after a clean stop: nothing open, nothing half done, nothing corrupt.
import { join } from 'node:path';
import { openSqlite } from '../../core/sqlite.ts';
import type { Rig } from './rig.ts';

const NOTHING: Record<string, string> = {
  'open runs': 'SELECT count(*) AS n FROM runs WHERE ended_at IS NULL',
  'open tool calls': "SELECT count(*) AS n FROM tool_calls WHERE state IN ('intended', 'started')",
  'unsent rows': "SELECT count(*) AS n FROM outbox WHERE state IN ('pending', 'sending')",
  'rows given up': "SELECT count(*) AS n FROM outbox WHERE state = 'dead'",
  'drafts nobody took over': 'SELECT count(*) AS n FROM drafts',
  'queued events': 'SELECT count(*) AS n FROM events WHERE position IS NULL',
  'sessions at work': "SELECT count(*) AS n FROM sessions WHERE status <> 'idle'",
  'model requests without a row of usage':
    "SELECT count(*) AS n FROM events WHERE type = 'span.model_request_end' AND id NOT IN (SELECT event_id FROM usage)",
};

/** Stops Steward as `steward stop` does and looks. Returns what is wrong. */
export async function audit(rig: Rig): Promise<string[]> {
  const exit = await rig.steward.kill('SIGTERM');
  const found = exit.code === 0 ? [] : [`the stop ended with ${exit.signal ?? exit.code}`];
  const db = openSqlite(join(rig.home, 'steward.db'), { readonly: true });
  try {
    for (const [what, sql] of Object.entries(NOTHING)) {
      const { n } = db.prepare<[], { n: number }>(sql).get()!;
      if (n > 0) found.push(`${n} ${what}`);
    }
    const check = db.pragma('integrity_check', { simple: true });
    if (check !== 'ok') found.push(`integrity_check: ${String(check)}`);
    return found;
  } finally {
    db.close();
  }
}
