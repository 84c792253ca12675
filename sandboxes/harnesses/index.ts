// The list of harnesses beside our own loop; a new one is one file and one line here.
import type { Clock } from '../../core/clock.ts';
import type { Harness } from '../../core/harness.ts';
import type { Adapter, ProgramAdapter } from './adapter.ts';
import { claudeCode } from './claude-code.ts';
import { codex } from './codex.ts';
import { createHarness, type HarnessDeps } from './common.ts';
import { opencode } from './opencode.ts';
import type { Programs } from './programs.ts';
import { programAdapter } from './run-program.ts';
import { script } from './script.ts';

export const PROGRAM_ADAPTERS: readonly ProgramAdapter[] = [claudeCode, codex, opencode];

export const adaptersOf = (deps: { clock: Clock; programs: Pick<Programs, 'bin'> }): Adapter[] => [
  script,
  ...PROGRAM_ADAPTERS.map((adapter) =>
    programAdapter(adapter, { clock: deps.clock, bin: () => deps.programs.bin(adapter.program) }),
  ),
];

export const createHarnesses = (deps: HarnessDeps & { clock: Clock; programs: Pick<Programs, 'bin'> }): Harness[] =>
  adaptersOf(deps).map((adapter) => createHarness(deps, adapter));
