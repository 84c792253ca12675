// One suite over both kinds of daemon, root's and an ordinary user's, each in a process of its own with things worth stealing.
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, type TestContext, test } from 'vitest';
import { harnessCalled, ordinaryUid, whyNotAs } from '../../contract/sandbox/drivers.ts';
import { casesElsewhere, type Elsewhere } from '../../helpers/cases.ts';
import type { AbuseCase } from './ground.ts';

const SCRIPT = fileURLToPath(new URL('./suite.ts', import.meta.url));
/** Each case has a limit of its own, where it runs; this is the patience for all that come before. */
const PATIENCE_MS = 900_000;

export async function overDaemons(suite: 'escapes' | 'hostile', topics: Record<string, AbuseCase[]>): Promise<void> {
  const missing = await harnessCalled('bwrap').missing();
  const own = { name: ordinaryUid === null ? 'of an ordinary user' : 'of root', uid: null, why: missing };
  const daemons =
    ordinaryUid === null
      ? [own]
      : [own, { name: 'of an ordinary user', uid: ordinaryUid, why: missing ?? whyNotAs(ordinaryUid) }];
  for (const { name, uid, why } of daemons) {
    if (why) {
      test.skip(`a daemon ${name}: ${why}`);
      continue;
    }
    describe(`a daemon ${name}`, () => {
      const chance = () => Math.random().toString(36).slice(2);
      const canary = `canary-${chance()}${chance()}`;
      const file = join(tmpdir(), `held-${canary}`);
      let elsewhere: Elsewhere;
      beforeAll(() => {
        writeFileSync(file, canary, { mode: 0o600 });
        const hold = openSync(file, 'r');
        elsewhere = casesElsewhere(SCRIPT, {
          ...(uid !== null && { uid }),
          args: [suite, `--token=${canary}`],
          env: { STEWARD_TEST_CANARY: canary, ANTHROPIC_API_KEY: canary, SSH_AUTH_SOCK: `/tmp/${canary}.sock` },
          hold,
        });
        closeSync(hold);
      });
      afterAll(async () => {
        await elsewhere.end();
        rmSync(file, { force: true });
      });
      const tell = async (name: string, t: TestContext) => {
        const outcome = await elsewhere.outcome(name);
        if (outcome.status === 'skipped') t.skip(outcome.why);
        if (outcome.status === 'failed') throw new Error(outcome.error);
      };
      for (const [topic, cases] of Object.entries(topics))
        describe(topic, () => {
          for (const one of cases) test(one.name, { timeout: PATIENCE_MS }, (t) => tell(`${topic}: ${one.name}`, t));
        });
      test('and nothing of it all is left', { timeout: PATIENCE_MS }, (t) => tell('the house', t));
    });
  }
}
