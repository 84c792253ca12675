// Whether a task has used up what it was given. Pure.
import type { TaskLimits } from '../../core/tasks.ts';
import type { LogEvent, Millis } from '../../core/types.ts';

export const DEFAULT_TASK_LIMITS: TaskLimits = { wallMs: 2 * 3_600_000, turns: 200, costUsd: null, attempts: 3 };

export interface Used {
  activeMs: Millis;
  turns: number;
  costUsd: number;
}

/** Answers since the task was last queued, and what they cost where that is known. */
export function usedIn(log: readonly LogEvent[], activeMs: Millis): Used {
  const from = log.findLastIndex(({ type, payload }) => type === 'task.status' && payload.to === 'queued');
  const ends = log
    .slice(from + 1)
    .filter(({ type, payload }) => type === 'span.model_request_end' && payload.is_error !== true);
  const costUsd = ends.reduce(
    (sum, { payload }) => sum + (typeof payload.cost_usd === 'number' ? payload.cost_usd : 0),
    0,
  );
  return { activeMs, turns: ends.length, costUsd };
}

export const minutes = (ms: Millis): string => {
  const whole = Math.round(ms / 60_000);
  if (ms < 60_000) return `${Math.round(ms / 1_000)} seconds`;
  return whole === 1 ? '1 minute' : `${whole} minutes`;
};

/** One sentence, or null while there is room. */
export function exceeded(limits: TaskLimits, used: Used): string | null {
  if (used.activeMs >= limits.wallMs) return `Its time is used up: ${minutes(limits.wallMs)} at work.`;
  if (used.turns >= limits.turns) return `Its turns are used up: ${limits.turns} answers of the model.`;
  if (limits.costUsd !== null && used.costUsd >= limits.costUsd)
    return `Its budget is used up: $${used.costUsd.toFixed(2)} of $${limits.costUsd.toFixed(2)}.`;
  return null;
}
