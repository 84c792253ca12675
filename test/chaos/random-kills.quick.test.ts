// 40 deaths at random times under load: nothing lost, nothing doubled, in order, no unsafe call made twice.
import { expect, it } from 'vitest';
import { audit } from '../helpers/audit.ts';
import { verdict } from '../helpers/oracle.ts';
import { describeStorm, SEED, storm, stormRig } from '../helpers/storm.ts';

it(`keeps every promise over 40 kills (CHAOS_SEED=${SEED})`, async () => {
  const rig = await stormRig();
  try {
    const result = await storm(rig, {
      seed: SEED,
      kills: 40,
      lifeMs: [50, 700],
      chatPauseMs: 700,
      webPauseMs: 120,
      calls: 0.3,
      drainMs: 60_000,
    });
    console.log(describeStorm(result));
    expect(verdict(result.evidence)).toEqual([]);
    expect(await audit(rig)).toEqual([]);
  } finally {
    await rig.close();
  }
}, 300_000);
