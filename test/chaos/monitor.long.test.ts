// The monitor for longer: stuck runs that get stuck again after their restart, slow runs past every rung, and a blind monitor.
import { existsSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { BLIND, slowRuns, stuckRunsAreCaught } from '../unit/sandboxes/monitor/programs.ts';

const works = process.platform === 'linux' && existsSync('/usr/bin/bwrap') && existsSync('/usr/bin/perl');
if (!works) test.skip('bubblewrap is not installed (apt-get install bubblewrap)');

describe.skipIf(!works)('the monitor', () => {
  it('hands off what gets stuck twice at the same point', () => stuckRunsAreCaught(true));

  it.each([1, 2, 3])('leaves fifty healthy slow runs alone (seed %d)', async (seed) => {
    const { did, judged } = await slowRuns({ seed, count: 50, together: 17, lifeMs: 7_500 });
    expect(did).toEqual([]);
    expect(judged).toBeGreaterThanOrEqual(45);
  });

  it('known-bad, caught: one that takes every silence for death', async () => {
    const { did } = await slowRuns({ seed: 1, count: 8, together: 8, lifeMs: 4_500, patience: BLIND });
    expect(did.length).toBeGreaterThanOrEqual(8);
  });
});
