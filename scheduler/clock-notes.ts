// What follows when the machine slept or its clock was set: a line in the owner's conversation, and next slots looked up anew.
import type { Db } from '../core/db.ts';
import type { Events } from '../core/events.ts';
import type { Log } from '../core/log.ts';
import type { JsonObject } from '../core/types.ts';
import type { Claims } from './claim.ts';
import type { ClockChange } from './clock-watch.ts';
import type { Places } from './places.ts';
import type { Schedules } from './schedules.ts';

const BATCH = 200;

export function createClockNotes(deps: {
  db: Db;
  events: Events;
  places: Places;
  schedules: Schedules;
  claims: Claims;
  log: Log;
}): (change: Exclude<ClockChange, { kind: 'none' }>) => Promise<void> {
  const { db, events, places, schedules, claims, log } = deps;
  return async (change) => {
    const payload: JsonObject =
      change.kind === 'jump'
        ? { kind: 'set', by_ms: Math.round(change.byMs) }
        : { kind: 'slept', for_ms: Math.round(change.forMs) };
    log.warn(payload, change.kind === 'jump' ? 'the clock was set' : 'the machine slept');
    db.tx(() => {
      const session = places.conversationAt(null, 'owner');
      events.append(session.id, [{ type: 'clock.jump', payload }]);
    });
    if (change.kind !== 'jump' || change.byMs > 0) return;
    // While the clock was ahead, next slots may have been put off: what lies before them and has no row yet is due again.
    for (let after = '', ids = schedules.active(after, BATCH); ids.length > 0; ids = schedules.active(after, BATCH))
      for (const id of ids) {
        await new Promise(setImmediate);
        claims.lookAhead(id);
        after = id;
      }
  };
}
