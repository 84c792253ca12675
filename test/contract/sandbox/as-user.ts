// The suite over one driver in a process of its own, which may be an ordinary user's: reports every case by name.
// node as-user.ts DRIVER
import { endWithParent, runCases, tell, tellTheEnd } from '../../helpers/cases.ts';
import { harnessCalled } from './drivers.ts';
import { openHouse } from './stage.ts';
import { ALL } from './topics.ts';

endWithParent();
const harness = harnessCalled(process.argv[2] ?? '');
const missing = await harness.missing();
if (missing) {
  for (const { name } of ALL) tell(name, { status: 'skipped', why: missing });
  await tellTheEnd('the house', Promise.resolve());
} else {
  const house = await openHouse(harness);
  await runCases(ALL, async () => house.stage(), tell);
  await tellTheEnd('the house', house.close());
}
