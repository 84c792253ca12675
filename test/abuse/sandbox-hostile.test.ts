// Code in a sandbox tries to hurt the machine or to stay. It is bounded, ended and reported, and nothing of it is left.
import { overDaemons } from './sandbox/daemons.ts';
import { HOSTILE } from './sandbox/hostile.ts';

await overDaemons('hostile', HOSTILE);
