// A suite in a process of its own, with a canary in its environment, its arguments and an open file; reports by name.
// node suite.ts escapes|hostile
import { endWithParent, runCases, tell, tellTheEnd } from '../../helpers/cases.ts';
import { ESCAPES } from './escapes.ts';
import { openHouse } from './ground.ts';
import { HOSTILE } from './hostile.ts';

endWithParent();
const suite = process.argv[2] === 'hostile' ? HOSTILE : ESCAPES;
const house = await openHouse();
await runCases(
  Object.entries(suite).flatMap(([topic, cases]) => cases.map((one) => ({ ...one, name: `${topic}: ${one.name}` }))),
  () => house.ground(),
  tell,
);
await tellTheEnd('the house', house.close());
