// What every sandbox driver promises (sandboxes/driver.ts is its text, this is its meaning), over every driver there is.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, type TestContext, test } from 'vitest';
import { type Case, casesElsewhere, type Elsewhere, type Outcome, outcomeOf } from '../helpers/cases.ts';
import { HARNESSES, ordinaryUid, whyNotAs } from './sandbox/drivers.ts';
import { type House, openHouse, type Stage } from './sandbox/stage.ts';
import { TOPICS } from './sandbox/topics.ts';

/** More than a case may take, which says so itself. */
const PATIENCE_MS = 120_000;
const AS_USER = fileURLToPath(new URL('./sandbox/as-user.ts', import.meta.url));

function tell(outcome: Outcome, t: TestContext): void {
  if (outcome.status === 'skipped') t.skip(outcome.why);
  if (outcome.status === 'failed') throw new Error(outcome.error);
}

for (const harness of HARNESSES) {
  const why = await harness.missing();
  if (why) {
    test.skip(`${harness.name}: ${why}`);
    continue;
  }
  describe(harness.name, () => {
    let house: House;
    beforeAll(async () => {
      house = await openHouse(harness);
    });
    afterAll(() => house?.close());

    const check = async (one: Case<Stage>, t: TestContext) => {
      const { stage, close } = house.stage();
      const outcome = await outcomeOf(one, stage);
      await close();
      tell(outcome, t);
    };
    for (const [topic, cases] of Object.entries(TOPICS)) {
      const [alone, together] = [cases.filter((one) => one.alone), cases.filter((one) => !one.alone)];
      describe.concurrent(topic, () => {
        for (const one of together) test(one.name, { timeout: PATIENCE_MS }, (t) => check(one, t));
      });
      if (alone.length > 0)
        describe(`${topic}, alone`, () => {
          for (const one of alone) test(one.name, { timeout: PATIENCE_MS }, (t) => check(one, t));
        });
    }
  });
}

// The ordinary case of most machines, tried from a root's too: every sandbox is then the same user as the daemon.
const uid = ordinaryUid;
const why = uid === null ? 'this is an ordinary user already' : whyNotAs(uid);
describe.skipIf(why !== null)('bwrap as an ordinary user', () => {
  let elsewhere: Elsewhere;
  beforeAll(() => {
    elsewhere = casesElsewhere(AS_USER, { uid: uid!, args: ['bwrap'] });
  });
  afterAll(() => elsewhere.end());
  for (const [topic, cases] of Object.entries(TOPICS))
    describe(topic, () => {
      // It works at its own pace: the patience is for all that comes before in there.
      for (const { name } of cases)
        test(name, { timeout: 240_000 }, async (t) => tell(await elsewhere.outcome(`${topic}: ${name}`), t));
    });
  test('nothing of it all is left', { timeout: 240_000 }, async (t) => tell(await elsewhere.outcome('the house'), t));
});
