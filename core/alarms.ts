// What time brings: held sessions tried again, approvals that run out, leases renewed, safe mode left after a quiet half hour.
import { SAFE_MODE_MS } from './boots.ts';
import type { Intake } from './intake.ts';
import type { Log } from './log.ts';
import type { RecordOf } from './record.ts';
import type { Id, Millis } from './types.ts';

const TICK_MS: Millis = 1_000;
const LEASE_TICK_MS: Millis = 30_000;
/** An incognito conversation that nobody came back to is over. */
const INCOGNITO_MS: Millis = 24 * 3_600_000;

export function startAlarms(deps: {
  record: Pick<RecordOf, 'sessions' | 'approvals' | 'boots' | 'runs' | 'db'>;
  intake: Intake;
  log: Log;
  now(): Millis;
  wake(sessionId: Id): void;
  leaveSafeMode(): void;
  forgetSession(sessionId: Id): void;
}): { stop(): void } {
  const { sessions, approvals, boots, runs, db } = deps.record;
  let renewedAt = deps.now();
  const tick = () => {
    const now = deps.now();
    if ((sessions.nextWakeAt() ?? Number.POSITIVE_INFINITY) <= now)
      for (const id of sessions.toWake(now)) deps.wake(id);
    if ((approvals.nextExpiry() ?? Number.POSITIVE_INFINITY) <= now)
      for (const approval of approvals.expired())
        deps.intake.confirm({
          toolUseId: approval.id,
          result: 'deny',
          reason: 'nobody answered within 24 hours',
          expired: true,
          by: {
            sender: { channel: 'steward', userId: 'clock' },
            address: { channel: 'steward', chat: 'clock' },
            role: 'system',
          },
        });
    if (now - renewedAt > LEASE_TICK_MS) {
      renewedAt = now;
      db.tx(() => runs.renewOpen());
    }
    for (const id of sessions.incognitoOver(now - INCOGNITO_MS)) deps.forgetSession(id);
    const safe = boots.safeMode();
    if (safe && now - safe.since > SAFE_MODE_MS) deps.leaveSafeMode();
  };
  const timer = setInterval(() => {
    try {
      tick();
    } catch (error) {
      deps.log.error({ error }, 'a timed task failed and is tried again');
    }
  }, TICK_MS);
  return { stop: () => clearInterval(timer) };
}
