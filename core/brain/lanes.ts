// One lane per session, many sessions at once: wakes run in order, none is lost, an interrupt reaches the run at work.
import type { Clock } from '../clock.ts';
import { StewardError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Id, Millis } from '../types.ts';

/** Runs at work at once; the rest wait their turn. */
const MAX_ACTIVE = 8;
const RETRY_CAP_MS: Millis = 30_000;

export interface Lanes {
  /** The session has something to do. May be called at any time, from anywhere; never throws. */
  wake(sessionId: Id): void;
  /** As `wake`, and the run at work stops at the next safe place. */
  interrupt(sessionId: Id): void;
  active(): number;
  /** No lane at work and none waiting. For tests and drains. */
  settled(): Promise<void>;
  /** Starts nothing new; runs at work get `graceMs` to finish and are then told to let go. */
  stop(graceMs: Millis): Promise<void>;
}

interface Lane {
  again: boolean;
  failures: number;
  abort: AbortController;
}

export function createLanes(deps: {
  carry(sessionId: Id, signal: AbortSignal): Promise<void>;
  clock: Clock;
  log: Log;
}): Lanes {
  const lanes = new Map<Id, Lane>();
  const waiting: Id[] = [];
  const stopping = new AbortController();
  const idle: (() => void)[] = [];
  let active = 0;

  const runLane = async (sessionId: Id, lane: Lane): Promise<void> => {
    while (lane.again && !stopping.signal.aborted) {
      lane.again = false;
      lane.abort = new AbortController();
      try {
        await deps.carry(sessionId, lane.abort.signal);
        lane.failures = 0;
      } catch (error) {
        lane.failures += 1;
        const retryable = error instanceof StewardError && error.retryable;
        const delay = Math.min((retryable ? 1_000 : 2_000) * 2 ** Math.min(lane.failures, 5), RETRY_CAP_MS);
        deps.log.error({ error, session: sessionId, retry_in_ms: delay }, 'a run failed');
        lane.again = true;
        await deps.clock.sleep(delay, stopping.signal);
      }
    }
  };

  const pump = (): void => {
    while (active < MAX_ACTIVE && waiting.length > 0 && !stopping.signal.aborted) {
      const sessionId = waiting.shift()!;
      const lane = lanes.get(sessionId)!;
      active += 1;
      void runLane(sessionId, lane).finally(() => {
        active -= 1;
        // A wake may have come between the last look at `again` and here.
        if (lane.again && !stopping.signal.aborted) waiting.push(sessionId);
        else lanes.delete(sessionId);
        if (active === 0 && waiting.length === 0) for (const resolve of idle.splice(0)) resolve();
        pump();
      });
    }
  };

  const wake = (sessionId: Id): void => {
    if (stopping.signal.aborted) return;
    const lane = lanes.get(sessionId);
    if (lane) {
      lane.again = true;
      return;
    }
    lanes.set(sessionId, { again: true, failures: 0, abort: new AbortController() });
    waiting.push(sessionId);
    pump();
  };

  const settled = () =>
    new Promise<void>((resolve) => {
      if (active === 0 && waiting.length === 0) resolve();
      else idle.push(resolve);
    });

  return {
    wake,
    interrupt(sessionId) {
      wake(sessionId);
      lanes.get(sessionId)?.abort.abort('interrupt');
    },
    active: () => active,
    settled,
    async stop(graceMs) {
      stopping.abort();
      waiting.length = 0;
      if (active === 0) return;
      const done = new AbortController();
      const patience = deps.clock.sleep(graceMs, done.signal).then(() => {
        for (const lane of lanes.values()) lane.abort.abort('shutdown');
      });
      await Promise.race([settled(), patience.then(settled)]);
      done.abort();
    },
  };
}
