// `/schedules …` in a chat: what is due, why, and every way to stop it, in a few lines of plain text. Needs no model.
import { describeError, StewardError } from './errors.ts';
import type { Schedule, SchedulesApi } from './schedules.ts';
import { everySchedule, findSchedule } from './schedules-find.ts';
import { AHEAD, aheadText, dayBefore, runLine, scheduleLine, scheduleText } from './schedules-text.ts';
import { calendar } from './usage.ts';

const SHOWN = 20;

export const SCHEDULES_HELP = `/schedules – what is scheduled
/schedules show ID – one of them, with its next and last runs
/schedules pause ID · resume ID · run ID – stop it for now, go on, run it at once
/schedules why ID 2026-12-01 – what happened on that day, or why nothing did; today and yesterday are days too
/schedules remove ID – end it for good
A name does in place of an ID. To make one, just say it: “remind me in 20 minutes to stretch”.`;

export interface SchedulesCommandDeps {
  schedules: SchedulesApi;
  now(): number;
}

function overview(schedules: SchedulesApi): string {
  const all = [...everySchedule(schedules)].filter(({ state }) => state === 'active' || state === 'paused');
  if (all.length === 0) return 'Nothing is scheduled.';
  const due = (schedule: Schedule) => (schedule.state === 'active' ? (schedule.next?.at ?? Infinity) : Infinity);
  const lines = all.toSorted((a, b) => due(a) - due(b)).map((schedule) => scheduleLine(schedule, schedules.describe));
  const more = lines.length > SHOWN ? [`… and ${lines.length - SHOWN} more, in the console or steward schedules.`] : [];
  return [...lines.slice(0, SHOWN), ...more].join('\n\n');
}

const VERBS = ['show', 'pause', 'resume', 'run', 'why', 'remove'] as const;

/** `args`: what stands behind `/schedules`. Never throws for what a person can mend: that is said. */
export function schedulesCommand({ schedules, now }: SchedulesCommandDeps, args: string): string {
  const [, word = '', rest = ''] = /^(\S*)\s*([\s\S]*)$/.exec(args.trim()) ?? [];
  if (word === '' || /^list$/i.test(word)) return overview(schedules);
  const verb = VERBS.find((known) => known === word.toLowerCase());
  if (!verb) return SCHEDULES_HELP;
  if (rest === '') return `Which one? Say its id.\n\n${SCHEDULES_HELP}`;
  try {
    return act(verb, rest);
  } catch (error) {
    if (error instanceof StewardError) return describeError(error);
    throw error;
  }

  function act(verb: (typeof VERBS)[number], rest: string): string {
    if (verb === 'why') {
      const [, reference = rest, when] = /^(.*\S)\s+(today|yesterday|\d{4}-\d\d-\d\d)$/is.exec(rest) ?? [];
      const { id, rule } = findSchedule(schedules, reference);
      const today = calendar(rule.timeZone)(now());
      const on = when === undefined || /^today$/i.test(when) ? today : /^y/i.test(when) ? dayBefore(today) : when;
      return schedules.why(id, on);
    }
    const schedule = findSchedule(schedules, rest);
    const { id, name, rule } = schedule;
    switch (verb) {
      case 'show':
        return scheduleText(schedule, schedules);
      case 'pause':
        schedules.pause(id, { kind: 'manual' });
        return `“${name}” is paused. /schedules resume ${id} lets it go on.`;
      case 'resume':
        schedules.resume(id);
        return `“${name}” goes on.\n${aheadText(schedules.upcoming(id, AHEAD))}`;
      case 'run':
        return `“${name}” was begun by hand.\n${runLine(schedules.runNow(id, 'manual'), rule.timeZone)}`;
      case 'remove':
        schedules.archive(id);
        return `“${name}” is removed; its past runs stay.`;
    }
  }
}
