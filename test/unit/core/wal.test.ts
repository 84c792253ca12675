// The WAL moves into the file in the pauses of what happens: a real record, under a clock that moves when told to.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startWalKeeper } from '../../../core/wal.ts';
import { openTestRecord } from '../../helpers/record.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

function house() {
  const record = openTestRecord();
  const id = record.newSession();
  const warnings: unknown[] = [];
  const log = { warn: (facts: object) => void warnings.push(facts) };
  const say = (times = 1) => {
    for (let n = 0; n < times; n++)
      record.events.append(id, [
        { type: 'agent.message', payload: { content: [{ type: 'text', text: 'x'.repeat(500) }] } },
      ]);
  };
  /** What stands in the file itself, without its WAL. */
  const size = () => statSync(join(record.home, 'steward.db')).size;
  return { record, log, warnings, say, size };
}

describe('the WAL', () => {
  it('waits while something is said, and moves in the first pause after it', () => {
    const { record, log, say, size } = house();
    const before = size();
    const keeper = startWalKeeper({ db: record.db, bus: record.bus, log });
    for (let beat = 0; beat < 6; beat++) {
      say(40);
      vi.advanceTimersByTime(500);
      expect(size()).toBe(before);
    }
    vi.advanceTimersByTime(500);
    expect(size()).toBeGreaterThan(before);
    keeper.stop();
  });

  it('stays where it is for a few commits, and once nobody keeps it any more', () => {
    const { record, log, say, size } = house();
    startWalKeeper({ db: record.db, bus: record.bus, log }).stop();
    say(200);
    const before = size();
    vi.advanceTimersByTime(5_000);
    expect(size()).toBe(before);
    record.db.relax();
    const moved = size();
    expect(moved).toBeGreaterThan(before);
    const keeper = startWalKeeper({ db: record.db, bus: record.bus, log });
    say(3);
    vi.advanceTimersByTime(5_000);
    expect(size()).toBe(moved);
    keeper.stop();
  });

  it('that cannot be moved is told of and tried again', () => {
    const { record, log, warnings } = house();
    let tries = 0;
    const relax = () => {
      tries += 1;
      if (tries === 1) throw new Error('the disk is full');
    };
    const keeper = startWalKeeper({ db: { relax }, bus: record.bus, log });
    vi.advanceTimersByTime(1_000);
    expect(tries).toBe(2);
    expect(warnings).toEqual([{ error: new Error('the disk is full') }]);
    keeper.stop();
  });
});
