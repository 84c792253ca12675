// Moves the WAL into the file in the pauses of what happens, so that no accepted message waits for it.
import type { Bus } from './bus.ts';
import type { Db } from './db.ts';
import type { Log } from './log.ts';

/** Nothing was said or done for so long: that a message comes in these milliseconds is unlikely. */
const PAUSE_MS = 500;

export function startWalKeeper(deps: { db: Pick<Db, 'relax'>; bus: Bus; log: Pick<Log, 'warn'> }): { stop(): void } {
  let stirred = false;
  const timer = setInterval(() => {
    try {
      if (!stirred) deps.db.relax();
    } catch (error) {
      deps.log.warn({ error }, 'the WAL could not be moved into the database; it is tried again');
    }
    stirred = false;
  }, PAUSE_MS).unref();
  const unsubscribe = deps.bus.subscribe(null, (notice) => {
    if (notice.kind === 'event') stirred = true;
  });
  return {
    stop() {
      unsubscribe();
      clearInterval(timer);
    },
  };
}
