// Checkpoints: the files of a sandbox, saved beside the model's next answer when calls may have changed them.
import type { Db } from '../core/db.ts';
import { describeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Sessions } from '../core/sessions.ts';
import type { Id, JsonObject, Session } from '../core/types.ts';
import type { Sandbox, SandboxDriver } from './driver.ts';
import { type Checkpoint, type Ledger, surplus } from './ledger.ts';
import { SHELL } from './tools/shell.ts';

/** What of a session's sandbox matters to its checkpoints. */
export interface Saveable {
  sandbox: Sandbox;
  session: Session;
  /** Calls that may have changed files since the last checkpoint. */
  unsaved: Id[];
  /** The last one; what a replacement would begin with. */
  checkpoint: Checkpoint | null;
  /** Calls at work in it now. */
  working: number;
  /** While one is being made; never rejects. */
  saving: Promise<void> | null;
}

export interface Checkpoints {
  /** At most one at a time, and none while a call works. What it takes is in `saving`: nobody waits for it but the next call. */
  begin(holder: Saveable | undefined): void;
}

export function createCheckpoints(deps: {
  db: Db;
  ledger: Ledger;
  sessions: Sessions;
  driver: SandboxDriver;
  log: Log;
  newId(prefix: 'ckpt'): Id;
  /** Appends to the session's log, together with `write`. */
  tell(sessionId: Id, type: string, payload: JsonObject, write?: () => void): void;
  alive(holder: Saveable): boolean;
}): Checkpoints {
  const { ledger, driver, log, tell } = deps;

  const prune = async (sessionId: Id): Promise<void> => {
    const all = ledger.checkpoints(sessionId);
    const gone = new Set(surplus(all));
    if (gone.size === 0) return;
    const kept = all.filter(({ id }) => !gone.has(id));
    deps.db.tx(() => ledger.drop([...gone]));
    await driver.prune(sessionId, new Set(kept.map(({ snapshot }) => snapshot.id)));
  };

  const save = async (holder: Saveable, position: number): Promise<void> => {
    const { sandbox, session } = holder;
    const calls = holder.unsaved.splice(0);
    try {
      const running = await sandbox.processes();
      const processes = running.filter(({ argv }) => argv.length > 0 && argv.join(' ') !== SHELL.join(' '));
      const snapshot = await sandbox.snapshot({ lineage: session.id });
      if (!snapshot.changed && holder.checkpoint) {
        ledger.advance(holder.checkpoint.id, position);
        return;
      }
      const id = deps.newId('ckpt');
      const payload: JsonObject = {
        checkpoint_id: id,
        sandbox_id: sandbox.id,
        position,
        tool_use_ids: calls,
        changes: snapshot.changes.map(({ path, kind }) => ({ path, kind })),
        more: snapshot.more,
        took_ms: Math.round(snapshot.tookMs),
      };
      tell(session.id, 'checkpoint.created', payload, () => {
        holder.checkpoint = ledger.save({
          id,
          sessionId: session.id,
          sandboxId: sandbox.id,
          snapshot: snapshot.ref,
          position,
          processes,
          label: null,
        });
      });
      await prune(session.id);
    } catch (error) {
      holder.unsaved.unshift(...calls);
      if (!deps.alive(holder)) return;
      log.error({ error, session: session.id }, 'a checkpoint could not be made');
      tell(session.id, 'checkpoint.failed', { sandbox_id: sandbox.id, reason: describeError(error) });
    }
  };

  return {
    begin(holder) {
      if (!holder || holder.saving || holder.working > 0 || holder.unsaved.length === 0) return;
      const position = deps.sessions.need(holder.session.id).lastSeq;
      holder.saving = save(holder, position).finally(() => {
        holder.saving = null;
      });
    },
  };
}
