// What a schedule gave the turn at work: leave, limits, and the label of a late run. Pure; all of it stands in the log.
import type { Mandate } from '../schedules.ts';
import type { LogEvent } from '../types.ts';
import { turnStart } from './step.ts';

/** Of the event that began the turn; what joined it later gives it nothing. */
export function mandateOf(slice: readonly LogEvent[]): Mandate | null {
  const start = turnStart(slice);
  if (start === null) return null;
  return slice.find((event) => event.position === start)?.origin?.mandate ?? null;
}

/** What the requests of the turn at work have cost so far, where prices are known. */
export function spentInTurn(slice: readonly LogEvent[]): number {
  const start = turnStart(slice) ?? Number.POSITIVE_INFINITY;
  return slice
    .filter(({ type, position }) => type === 'span.model_request_end' && position! > start)
    .reduce((sum, { payload }) => sum + (typeof payload.cost_usd === 'number' ? payload.cost_usd : 0), 0);
}

/** Stands before the first answer of a late run, so that the person sees it too. */
export function withLabel(slice: readonly LogEvent[], markdown: string): string {
  const label = mandateOf(slice)?.label;
  const start = turnStart(slice);
  if (!label || start === null) return markdown;
  const said = slice.some(({ type, position }) => type === 'agent.message' && position! > start);
  return said ? markdown : `(${label})\n\n${markdown}`;
}
