// A run and its signs for tests of the judge: all is well unless told otherwise.
import type { Run, Signs } from '../../../../sandboxes/monitor/judge.ts';

export const NOW = 100_000_000;
export const SECOND = 1_000;
export const MINUTE = 60_000;
export const ago = (ms: number): number => NOW - ms;

export const runOf = (over: Partial<Run> = {}): Run => ({
  taskId: 'task_1',
  sessionId: 'sesn_1',
  sandbox: null,
  startedAt: ago(50 * MINUTE),
  limits: { wallMs: 120 * MINUTE, turns: 200, costUsd: null, attempts: 3 },
  attempts: 1,
  harness: 'claude-code',
  used: { activeMs: 0, turns: 0, costUsd: 0 },
  ...over,
});

/** Began long ago and has been silent since, computing nothing, waiting for nobody. */
export const signsOf = (over: Partial<Signs> = {}): Signs => ({
  sandbox: 'running',
  since: ago(500 * MINUTE),
  lastEventAt: null,
  lastOutputAt: null,
  lastChangeAt: null,
  cores: 0,
  runnable: false,
  hotSince: null,
  requestSince: null,
  modelSince: null,
  asksOwner: false,
  unanswered: 0,
  blockedSince: null,
  emptySince: null,
  running: [],
  repeat: null,
  ...over,
});
