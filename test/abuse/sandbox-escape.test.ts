// Code in a sandbox tries everything to get out. Each attempt is refused, and each is shown to work where nothing forbids it.
import { overDaemons } from './sandbox/daemons.ts';
import { ESCAPES } from './sandbox/escapes.ts';

await overDaemons('escapes', ESCAPES);
