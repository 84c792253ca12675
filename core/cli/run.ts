// `steward run`: the process itself, in the foreground. The only place where commands load what is more than core.

import type { Config } from '../config.ts';
import { describeError, exitCodeOf } from '../errors.ts';
import type { HarnessPrograms } from '../harness.ts';
import { keepHeapSmall } from '../heap.ts';
import type { EvaluateMemory } from '../memory-evaluation.ts';

/** Resolves once it runs (it then ends by its own signal handling), or with the exit code of a start that failed. */
export async function run(stderr: NodeJS.WritableStream): Promise<number> {
  keepHeapSmall();
  try {
    const { main } = await import('../main.ts');
    await main();
    return 0;
  } catch (error) {
    stderr.write(`${describeError(error)}\n`);
    return exitCodeOf(error);
  }
}

/** The evaluation is a part of the room of memory, which only the wiring sees. */
export const loadEvaluation = async (): Promise<EvaluateMemory> => (await import('../main.ts')).loadEvaluation();

/** So are the programs of harnesses a part of the room of sandboxes. */
export const loadPrograms = async (config: Config, env: NodeJS.ProcessEnv): Promise<HarnessPrograms> =>
  (await import('../main.ts')).loadPrograms(config, env);
