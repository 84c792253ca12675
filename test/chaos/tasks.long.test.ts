// A task whose Steward is killed, once at each place on its way: the same end every time.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it } from 'vitest';
import { PLACES, sameEndAfter } from '../helpers/tasks-death.ts';

const bwrap = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'bwrap')));

describe.skipIf(!bwrap)('a code task (bubblewrap is needed)', () => {
  it.each(PLACES)('killed at %s, comes to the same end', sameEndAfter);
});
