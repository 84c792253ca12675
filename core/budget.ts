// The day budget: asked before every model request, so that it overshoots by at most one.
import { costOf } from './models/prices.ts';
import type { Millis, ModelUsage } from './types.ts';
import { nextDay, type UsageTotals } from './usage.ts';

export type BudgetVerdict =
  /** `leftUsd` is infinite for what is not counted. */
  { kind: 'go'; leftUsd: number } | { kind: 'stop'; spentUsd: number; limitUsd: number; until: Millis };

const MILLION = { input_tokens: 1e6, output_tokens: 0, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };

/**
 * Pure. Only models of a known price are stopped: what costs nothing may go on, and requests of unknown price cannot be
 * counted; they are shown as such wherever usage is shown.
 */
export function checkBudget(
  facts: { model: string; today: Pick<UsageTotals, 'cost_usd'>; limitUsd: number; timeZone: string },
  now: Millis,
): BudgetVerdict {
  if (!costOf(facts.model, MILLION)) return { kind: 'go', leftUsd: Number.POSITIVE_INFINITY };
  const spentUsd = facts.today.cost_usd ?? 0;
  if (spentUsd < facts.limitUsd) return { kind: 'go', leftUsd: facts.limitUsd - spentUsd };
  return { kind: 'stop', spentUsd, limitUsd: facts.limitUsd, until: nextDay(now, facts.timeZone) };
}

/** Requests in flight hold what they may cost: several at once overshoot by one of them, as one after the other would. */
export interface Purse {
  /**
   * Waits while the others may use up what is left. Null when the budget stops this request or the signal ends the wait;
   * otherwise the way to let go, to be called once the cost is recorded.
   */
  take(model: string, worst: ModelUsage, signal: AbortSignal): Promise<(() => void) | null>;
}

export function createPurse(check: (model: string) => BudgetVerdict): Purse {
  let heldUsd = 0;
  let inFlight = 0;
  const waiting = new Set<() => void>();
  const changed = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const go = () => {
        waiting.delete(go);
        signal.removeEventListener('abort', go);
        resolve();
      };
      waiting.add(go);
      signal.addEventListener('abort', go, { once: true });
    });
  return {
    async take(model, worst, signal) {
      const worstUsd = costOf(model, worst) ?? 0;
      for (;;) {
        const verdict = check(model);
        if (verdict.kind === 'stop' || signal.aborted) return null;
        if (verdict.leftUsd === Number.POSITIVE_INFINITY) return () => {};
        if (inFlight === 0 || heldUsd + worstUsd <= verdict.leftUsd) break;
        await changed(signal);
      }
      inFlight += 1;
      heldUsd += worstUsd;
      return () => {
        inFlight -= 1;
        heldUsd = inFlight === 0 ? 0 : heldUsd - worstUsd;
        for (const go of waiting) go();
      };
    },
  };
}
