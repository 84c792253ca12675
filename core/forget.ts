// Deleting a session: its log becomes tombstones, and every copy of its words elsewhere goes with it.
import type { Approvals } from './approvals.ts';
import type { Blobs } from './blobs.ts';
import type { Db } from './db.ts';
import { StewardError } from './errors.ts';
import type { Events } from './events.ts';
import type { Outbox } from './outbox.ts';
import type { Sessions } from './sessions.ts';
import type { Id } from './types.ts';

/** Throws `not_found`, and `conflict` while a run works on the session. Leaves no bytes of it in the file. */
export function forgetSession(
  deps: { db: Db; sessions: Sessions; events: Events; outbox: Outbox; approvals: Approvals; blobs: Blobs },
  id: Id,
): void {
  const session = deps.sessions.need(id);
  if (session.status === 'running')
    throw new StewardError('conflict', 'A running session cannot be deleted.', {
      op: 'delete a session',
      hint: 'Send user.interrupt first.',
    });
  deps.db.tx(() => {
    // A run that still waits for the model writes nothing more.
    deps.sessions.nextGeneration(id);
    for (const event of deps.events.queued(id)) deps.events.process(id, [event.id]);
    const ids = deps.events.slice(id, 0).map((event) => event.id);
    for (const blob of deps.outbox.forget(id)) deps.blobs.remove(blob);
    deps.approvals.forget(id);
    deps.events.append(id, [{ type: 'session.deleted' }]);
    deps.sessions.markDeleted(id);
    deps.events.redact(id, ids, 'the session was deleted');
  });
}
