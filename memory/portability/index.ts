// Memory on the move: everything out as JSONL or a Markdown tree; in from those, from chat transcripts, Zylos and OpenClaw.
import type { MemoryApi, MemoryImport, MemoryImported } from '../../core/memory.ts';
import type { Millis } from '../../core/types.ts';
import { createExport, type ExportDeps } from './export.ts';
import { createImport, type ImportDeps } from './import.ts';
import { planMarkdown } from './markdown.ts';
import { planOpenclaw } from './openclaw.ts';
import type { Plan, PlanOptions } from './plan.ts';
import { createRestore, type RestoreDeps } from './restore.ts';
import { planTranscripts } from './transcript.ts';
import { planZylos } from './zylos.ts';

/** A new format is one file and one line here. */
const PLANS: Record<
  Exclude<MemoryImport['format'], 'jsonl'>,
  (files: MemoryImport['files'], options: PlanOptions) => Plan
> = {
  markdown: planMarkdown,
  transcript: planTranscripts,
  zylos: planZylos,
  openclaw: planOpenclaw,
};

export interface Portability extends Pick<MemoryApi, 'export' | 'import'> {}

export function createPortability(
  deps: ExportDeps & ImportDeps & RestoreDeps & { timeZone: string; now(): Millis },
): Portability {
  const out = createExport(deps);
  const carryOut = createImport(deps);
  const restore = createRestore(deps);
  return {
    export: (format) => (format === 'jsonl' ? out.jsonl() : out.markdown()),
    async import({ format, files, dryRun = false, own }): Promise<MemoryImported> {
      if (format === 'jsonl') return restore(files, dryRun);
      const options: PlanOptions = { now: deps.now(), timeZone: deps.timeZone, own: own ?? format === 'markdown' };
      return carryOut(PLANS[format](files, options), format, dryRun);
    },
  };
}
