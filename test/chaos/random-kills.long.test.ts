// 1,000 deaths at random times and at least 10,000 messages: `npm run chaos`.
import { expect, it } from 'vitest';
import { audit } from '../helpers/audit.ts';
import { verdict } from '../helpers/oracle.ts';
import { describeStorm, SEED, storm, stormRig } from '../helpers/storm.ts';

const MINUTE = 60_000;

it(
  `keeps every promise over 1,000 kills (CHAOS_SEED=${SEED})`,
  async () => {
    const rig = await stormRig();
    try {
      const result = await storm(rig, {
        seed: SEED,
        kills: 1_000,
        lifeMs: [50, 700],
        chatPauseMs: 700,
        webPauseMs: 60,
        calls: 0.3,
        drainMs: 3 * MINUTE,
      });
      console.log(describeStorm(result));
      expect(verdict(result.evidence)).toEqual([]);
      expect(await audit(rig)).toEqual([]);
      expect(result.evidence.said.length).toBeGreaterThanOrEqual(10_000);
    } finally {
      await rig.close();
    }
  },
  40 * MINUTE,
);
