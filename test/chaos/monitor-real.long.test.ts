// The monitor over real sandboxes, minutes made seconds: what is stuck is found inside its limit, what is slow is left alone.
import { existsSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { HURRIED } from '../unit/sandboxes/monitor/ground.ts';
import { slowRuns, stuckRunsAreCaught } from '../unit/sandboxes/monitor/programs.ts';

const works = process.platform === 'linux' && existsSync('/usr/bin/bwrap') && existsSync('/usr/bin/perl');
if (!works) test.skip('bubblewrap is not installed (apt-get install bubblewrap)');

describe.skipIf(!works)('the monitor', () => {
  it('catches each stuck run inside its limit', () => stuckRunsAreCaught(false));

  it('leaves fifty healthy slow runs alone', async () => {
    const lifeMs = 3 * HURRIED.softMs;
    const { did, judged } = await slowRuns({ seed: 20_261_201, count: 50, together: 25, lifeMs });
    expect(did).toEqual([]);
    expect(judged).toBeGreaterThanOrEqual(45);
  });
});
