// Puts memory in order now. At night memory does so by its own clock; this is for a schedule of the owner's, or by hand.
import type { MemoryApi } from '../../core/memory.ts';
import type { Job } from './job.ts';

export interface ConsolidationJobDeps {
  consolidate: MemoryApi['consolidate'];
}

export function createConsolidationJob(deps: ConsolidationJobDeps): Job {
  return async ({ asked, signal }) => {
    signal.throwIfAborted();
    const { added, retired, questions, summary } = await deps.consolidate('nightly', { dryRun: false });
    const parts = [
      ...(added.length > 0 ? [`${added.length} added`] : []),
      ...(retired.length > 0 ? [`${retired.length} taken back`] : []),
      ...(questions > 0 ? [`${questions} to ask you`] : []),
    ];
    if (parts.length === 0) return { text: asked ? 'Memory was looked through: nothing had to change.' : null };
    const shown = retired.slice(0, 5).map(({ text, why }) => `- ${text} (${why})`);
    return { text: [`Memory was put in order: ${parts.join(', ')}. ${summary}`.trim(), ...shown].join('\n') };
  };
}
