// Named places of consolidation where a test may end the process; each step must survive it. Does nothing in production.

export const CONSOLIDATION_POINTS = [
  'memory.job_begun',
  'memory.answered',
  'memory.before_commit',
  'memory.after_commit',
  'memory.optimized',
  'memory.backed_up',
  'memory.read_plainly',
] as const;

export type ConsolidationPoint = (typeof CONSOLIDATION_POINTS)[number];
