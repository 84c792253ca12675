// Clears away what ended sandboxes left on this machine: processes, mounts, folders, containers.
import type { HandsApi } from '../../core/hands.ts';
import type { Job } from './job.ts';

export interface SandboxSweepDeps {
  hands: Pick<HandsApi, 'sweep'>;
}

export function createSandboxSweepJob({ hands }: SandboxSweepDeps): Job {
  return async ({ asked }) => {
    const { removed } = await hands.sweep();
    if (!asked) return { text: null };
    if (removed === 0) return { text: 'No sandbox left anything behind.' };
    return { text: `Cleared away what ${removed} sandbox${removed === 1 ? '' : 'es'} left behind.` };
  };
}
