// The suite must bite: five Stewards, each with one promise cut out, and the finding that gives each away.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Case, createTrials } from '../helpers/crash-case.ts';
import { judge } from '../helpers/oracle.ts';
import { makeHome } from '../helpers/process.ts';
import { OWNER, startRig } from '../helpers/rig.ts';
import { storm, stormRig } from '../helpers/storm.ts';

interface Variant {
  knownBad: string;
  dies: Case;
  finding: RegExp;
  /** What it breaks never comes, so it is not waited for as long. */
  loses?: boolean;
}

const variants: Variant[] = [
  {
    knownBad: 'ack_before_commit',
    dies: { way: 'telegram', effect: 'pure', point: 'intake.before_commit', nth: 1 },
    finding: /^lost: m1 /,
    loses: true,
  },
  {
    knownBad: 'retry_in_doubt',
    dies: { way: 'web', effect: 'unsafe', point: 'tool.acted', nth: 1 },
    finding: /^effect: unsafe m1: repeated, 2 times/,
  },
  {
    knownBad: 'no_dedupe_key',
    dies: { way: 'web', effect: 'pure', point: 'intake.after_commit', nth: 1 },
    finding: /^doubled: m1 /,
  },
  {
    knownBad: 'outbox_after_commit',
    dies: { way: 'telegram', effect: 'pure', point: 'model.after_commit', nth: 2 },
    finding: /^not in the chat: m1 /,
    loses: true,
  },
  {
    knownBad: 'blind_resend',
    dies: { way: 'telegram', effect: 'pure', point: 'outbox.delivered', nth: 1 },
    finding: /^twice in the chat: m1 /,
  },
];

/** What each of them is without its cut, through the same eyes: nothing. */
const honest = variants.map(({ dies }) => dies);

async function trial(knownBad: string | null, one: Case, patienceMs: number): Promise<string[]> {
  const folder = makeHome();
  const passagesFile = join(folder, 'passages');
  const env = { STEWARD_SAFE_MODE_AFTER: '0' };
  const rig = await startRig({ passagesFile, env, ...(knownBad && { knownBad }) });
  try {
    await rig.pair(OWNER, 'owner');
    const { died, findings } = await createTrials(rig, { passagesFile, patienceMs }).run(one);
    expect(died).toBe(1);
    return findings;
  } finally {
    await rig.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('a Steward that breaks a promise is found out', () => {
  it.concurrent.each(variants)('$knownBad', async ({ knownBad, dies, finding, loses }) => {
    expect(await trial(knownBad, dies, loses ? 5_000 : 30_000)).toContainEqual(expect.stringMatching(finding));
  });

  it('retry_in_doubt, by random kills too', async () => {
    // Calls take longer than most lives have: nearly every kill meets one under way. On a machine so busy that none did,
    // lives are made longer until one does; one that keeps the promise would never show it.
    let repeated = 0;
    for (let round = 1; repeated === 0 && round <= 5; round++) {
      const rig = await stormRig({
        knownBad: 'retry_in_doubt',
        effectAnswersAfterMs: 150 * round,
        env: { STEWARD_SAFE_MODE_AFTER: '0' },
      });
      try {
        const { evidence } = await storm(rig, {
          seed: round,
          kills: 10,
          lifeMs: [100 * round, 500 * round],
          chatPauseMs: 3_000,
          webPauseMs: 50,
          calls: 1,
          drainMs: 5_000,
        });
        repeated = judge(evidence).filter(({ what }) => /^unsafe m\d+: repeated/.test(what)).length;
      } finally {
        await rig.close();
      }
    }
    expect(repeated).toBeGreaterThan(0);
  });

  it.concurrent.each(honest)('and one that keeps it is not: $way, $point', async (one) => {
    expect(await trial(null, one, 30_000)).toEqual([]);
  });
});
