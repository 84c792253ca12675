// Lanes: one run a session, no wake lost, a bound on what runs at once.
import { describe, expect, it } from 'vitest';
import { createLanes } from '../../../../core/brain/lanes.ts';
import { StewardError } from '../../../../core/errors.ts';
import type { Log } from '../../../../core/log.ts';
import { createManualClock } from '../../../helpers/clock.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const turn = () => new Promise(setImmediate);

/** Work that ends when told to. */
interface Carry {
  session: string;
  signal: AbortSignal;
  end(): void;
  fail(error: Error): void;
}

function begin() {
  const clock = createManualClock();
  const carries: Carry[] = [];
  const lanes = createLanes({
    clock,
    log: silent,
    carry: (session, signal) =>
      new Promise((end, fail) => {
        carries.push({ session, signal, end, fail });
      }),
  });
  return { lanes, clock, carries };
}

/** Wakes at every distance from the end of the work; how many of the last ones in a row nobody acted on. */
async function missed(
  lane: (carry: () => Promise<void>) => { wake(): void; settled(): Promise<void> },
): Promise<number> {
  let lost = 0;
  for (let distance = 0; distance < 40; distance++) {
    let [wanted, seen] = [0, 0];
    const { wake, settled } = lane(async () => {
      for (let waits = distance % 5; waits > 0; waits--) await null;
      seen = wanted;
      for (let waits = distance % 3; waits > 0; waits--) await null;
    });
    for (let n = 0; n < 3; n++) {
      wanted += 1;
      wake();
      for (let waits = distance; waits > 0; waits--) await null;
    }
    await settled();
    await turn();
    lost += wanted - seen;
  }
  return lost;
}

describe('lanes', () => {
  it('carry one session one run at a time; a wake in the middle brings one more, however many came', async () => {
    const { lanes, carries } = begin();
    for (let n = 0; n < 5; n++) lanes.wake('a');
    await turn();
    expect(carries.length).toBe(1);
    for (let n = 0; n < 5; n++) lanes.wake('a');
    expect(carries.length).toBe(1);
    carries[0]!.end();
    await turn();
    expect(carries.length).toBe(2);
    carries[1]!.end();
    await lanes.settled();
    expect([carries.length, lanes.active()]).toEqual([2, 0]);
  });

  it('lose no wake, at whatever moment it comes', async () => {
    const kept = (carry: () => Promise<void>) => {
      const lanes = createLanes({ clock: createManualClock(), log: silent, carry });
      return { wake: () => lanes.wake('a'), settled: lanes.settled };
    };
    // The known-bad lane: what comes while it works is taken for seen.
    const deaf = (carry: () => Promise<void>) => {
      let work: Promise<void> | null = null;
      return {
        wake() {
          work ??= carry().finally(() => {
            work = null;
          });
        },
        settled: async () => work ?? undefined,
      };
    };
    expect(await missed(kept)).toBe(0);
    expect(await missed(deaf)).toBeGreaterThan(0);
  });

  it('work on many sessions at once, on eight at most, and on the rest in their order', async () => {
    const { lanes, carries } = begin();
    for (let n = 0; n < 20; n++) lanes.wake(`s${n}`);
    await turn();
    expect(lanes.active()).toBe(8);
    for (let n = 0; n < 20; n++) {
      expect(carries.length).toBe(Math.min(20, n + 8));
      carries[n]!.end();
      await turn();
      await turn();
    }
    await lanes.settled();
    expect(carries.map((carry) => carry.session)).toEqual(Array.from({ length: 20 }, (_, n) => `s${n}`));
  });

  it('an interrupt reaches the run at work, and the run after it is not interrupted', async () => {
    const { lanes, carries } = begin();
    lanes.wake('a');
    lanes.wake('b');
    await turn();
    lanes.interrupt('a');
    expect(carries.map((carry) => [carry.session, carry.signal.reason])).toEqual([
      ['a', 'interrupt'],
      ['b', undefined],
    ]);
    carries[0]!.end();
    await turn();
    expect([carries[2]!.session, carries[2]!.signal.aborted]).toEqual(['a', false]);
  });

  it('a session that nobody works on is woken by an interrupt', async () => {
    const { lanes, carries } = begin();
    lanes.interrupt('a');
    await turn();
    expect(carries.length).toBe(1);
  });

  it('try again after a failure, later each time, and start afresh after a success', async () => {
    const { lanes, clock, carries } = begin();
    lanes.wake('a');
    await turn();
    for (const delay of [4_000, 8_000, 16_000, 30_000, 30_000]) {
      carries.at(-1)!.fail(new Error('the record failed'));
      await turn();
      const before = carries.length;
      await clock.advance(delay - 1);
      expect(carries.length).toBe(before);
      await clock.advance(1);
      expect(carries.length).toBe(before + 1);
    }
    carries.at(-1)!.end();
    await lanes.settled();
    lanes.wake('a');
    await turn();
    carries.at(-1)!.fail(new StewardError('disk_full', 'full', { op: 'x', retryable: true }));
    await turn();
    await clock.advance(2_000);
    expect(carries.length).toBe(8);
  });

  it('a failing session does not hold up another one', async () => {
    const { lanes, carries } = begin();
    lanes.wake('a');
    await turn();
    carries[0]!.fail(new Error('no'));
    await turn();
    lanes.wake('b');
    await turn();
    expect(carries.map((carry) => carry.session)).toEqual(['a', 'b']);
  });

  it('a stop starts nothing new, waits, and then tells the rest to let go', async () => {
    const { lanes, clock, carries } = begin();
    for (let n = 0; n < 9; n++) lanes.wake(`s${n}`);
    await turn();
    const stopped = lanes.stop(10_000);
    lanes.wake('late');
    carries[0]!.end();
    await turn();
    expect(carries.length).toBe(8);
    expect(carries[1]!.signal.aborted).toBe(false);
    await clock.advance(10_000);
    expect(carries.slice(1).map((carry) => carry.signal.reason)).toEqual(Array(7).fill('shutdown'));
    for (const carry of carries) carry.end();
    await stopped;
    expect(carries.length).toBe(8);
  });

  it('a stop with nothing at work is over at once, and ends a wait after a failure', async () => {
    await begin().lanes.stop(10_000);
    const { lanes, carries } = begin();
    lanes.wake('a');
    await turn();
    carries[0]!.fail(new Error('no'));
    await turn();
    await lanes.stop(10_000);
    expect(carries.length).toBe(1);
  });
});
