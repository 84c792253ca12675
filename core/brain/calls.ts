// The ledger of tool calls: meant, begun, finished. Decides what a crash may repeat.
import type { Db } from '../db.ts';
import type { Effect, Id, Millis } from '../types.ts';

export type CallState = 'intended' | 'started' | 'done' | 'in_doubt';

export interface Call {
  id: Id;
  name: string;
  effect: Effect;
  argsHash: string;
  state: CallState;
}

export interface Calls {
  intend(call: { id: Id; sessionId: Id; name: string; effect: Effect; argsHash: string }): void;
  get(id: Id): Call | null;
  start(id: Id): void;
  finish(id: Id, state: 'done' | 'in_doubt'): void;
  inDoubt(): number;
}

/** Pure. What to do with a call that has no result yet. */
export function resumption(call: Pick<Call, 'state' | 'effect'>): 'run' | 'look_first' | 'in_doubt' {
  if (call.state === 'intended') return 'run';
  const rule: Record<Effect, 'run' | 'look_first' | 'in_doubt'> = {
    pure: 'run',
    keyed: 'run',
    verifiable: 'look_first',
    unsafe: 'in_doubt',
  };
  return rule[call.effect];
}

export function createCalls(db: Db, now: () => Millis): Calls {
  const insert = db.prepare(
    "INSERT INTO tool_calls (id, session_id, name, effect, args_hash, state) VALUES (?, ?, ?, ?, ?, 'intended')",
  );
  const one = db.prepare<[string], { id: string; name: string; effect: Effect; args_hash: string; state: CallState }>(
    'SELECT id, name, effect, args_hash, state FROM tool_calls WHERE id = ?',
  );
  const start = db.prepare<[Millis, string]>("UPDATE tool_calls SET state = 'started', started_at = ? WHERE id = ?");
  const finish = db.prepare<[string, Millis, string]>('UPDATE tool_calls SET state = ?, ended_at = ? WHERE id = ?');
  const doubts = db.prepare<[], { n: number }>("SELECT count(*) AS n FROM tool_calls WHERE state = 'in_doubt'");
  return {
    intend: (call) => void insert.run(call.id, call.sessionId, call.name, call.effect, call.argsHash),
    get(id) {
      const row = one.get(id);
      return row ? { id: row.id, name: row.name, effect: row.effect, argsHash: row.args_hash, state: row.state } : null;
    },
    start: (id) => void start.run(now(), id),
    finish: (id, state) => void finish.run(state, now(), id),
    inDoubt: () => doubts.get()!.n,
  };
}
