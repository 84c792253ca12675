// The rule in time that a call of schedule_create names: exactly one way of saying when, in one zone.
import { StewardError } from '../../core/errors.ts';
import type { Rule, SchedulesApi } from '../../core/schedules.ts';
import type { Millis } from '../../core/types.ts';

export interface WhenFields {
  when?: string | undefined;
  cron?: string | undefined;
  every_minutes?: number | undefined;
  at?: string | undefined;
  in_minutes?: number | undefined;
  time_zone?: string | undefined;
}

const MINUTE: Millis = 60_000;
export const WAYS = ['when', 'cron', 'every_minutes', 'at', 'in_minutes'] as const;

/** Throws `invalid`, in words, for what cannot be read. Whether the rule can be kept is the API's to check. */
export function ruleOf(
  fields: WhenFields,
  deps: { readWhen: SchedulesApi['readWhen']; timeZone: string; now: Millis },
): Rule {
  const timeZone = fields.time_zone ?? deps.timeZone;
  if (fields.cron !== undefined) return { kind: 'cron', expression: fields.cron.trim(), timeZone };
  if (fields.every_minutes !== undefined)
    return { kind: 'interval', every: Math.round(fields.every_minutes * MINUTE), anchor: deps.now, timeZone };
  if (fields.in_minutes !== undefined)
    return { kind: 'once', at: deps.now + Math.round(fields.in_minutes * MINUTE), timeZone };
  const rule = deps.readWhen(fields.when ?? fields.at ?? '', { timeZone });
  if (fields.at !== undefined && rule.kind !== 'once')
    throw new StewardError('invalid', `"${fields.at}" is not one point in time.`, {
      op: 'make a schedule',
      hint: 'at is for one run, like 2026-12-24 18:00; say what repeats with cron, every_minutes or when.',
    });
  return rule;
}
