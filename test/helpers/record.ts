// The whole record over a real SQLite file in a folder of its own, with a clock that moves only when told to.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { DEFAULT_AGENT, DEFAULT_ENVIRONMENT } from '../../core/agents.ts';
import { createIntake, type Intake } from '../../core/intake.ts';
import { openRecord, type RecordOf } from '../../core/record.ts';
import type { NewSession } from '../../core/sessions.ts';
import type { Id, Trust } from '../../core/types.ts';
import { createManualClock, type ManualClock } from './clock.ts';

/** A folder that is gone after the test. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'steward-unit-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface TestRecord extends RecordOf {
  home: string;
  clock: ManualClock;
  intake: Intake;
  /** Sessions that were woken, in order. */
  woken: Id[];
  interrupted: Id[];
  /** How often the pump of the outbox was woken. */
  pumped(): number;
  newSession(trust?: Trust): Id;
  /** Ends this life as a crash would, and opens the next one over the same file. */
  reopen(): TestRecord;
}

export function openTestRecord(
  options: { home?: string; clock?: ManualClock; safeModeAfter?: number; split?(text: string): string[] } = {},
): TestRecord {
  const home = options.home ?? makeFolder();
  const clock = options.clock ?? createManualClock();
  const woken: Id[] = [];
  const interrupted: Id[] = [];
  let pumped = 0;
  // The reserve for a full disk is written once for each folder; here nobody needs its 16 MB.
  writeFileSync(join(home, 'ballast'), '');
  const record = openRecord(home, {
    clock,
    timeZone: 'UTC',
    safeModeAfter: options.safeModeAfter ?? 5,
    split: (_, markdown) => options.split?.(markdown) ?? [markdown],
    wakeDelivery: () => {
      pumped += 1;
    },
  });
  onTestFinished(() => record.db.close());
  const intake = createIntake({
    ...record,
    now: clock.now,
    crash() {},
    wake: (id) => void woken.push(id),
    interrupt: (id) => void interrupted.push(id),
  });
  return {
    ...record,
    home,
    clock,
    intake,
    woken,
    interrupted,
    pumped: () => pumped,
    newSession: (trust = 'owner') => record.sessions.create(draftSession(trust)).id,
    reopen() {
      record.db.close();
      return openTestRecord({ ...options, home, clock });
    },
  };
}

export const draftSession = (trust: Trust = 'owner'): NewSession => ({
  trust,
  agentId: DEFAULT_AGENT,
  agentVersion: 1,
  environmentId: DEFAULT_ENVIRONMENT,
});
