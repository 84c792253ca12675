// schedule_list: what is scheduled, as far as this conversation may see it.
import { z } from 'zod';
import { describeError } from '../../core/errors.ts';
import { everySchedule, findSchedule } from '../../core/schedules-find.ts';
import { scheduleLine, scheduleText } from '../../core/schedules-text.ts';
import { authorOf, expected } from '../../core/tools/author.ts';
import { defineTool, type Tool, textResult } from '../../core/tools/tool.ts';
import type { ScheduleToolsDeps } from './create.ts';
import { mayTouch } from './who.ts';

const MOST = 50;

export function createScheduleList({ schedules: room }: Pick<ScheduleToolsDeps, 'schedules'>): Tool {
  return defineTool({
    name: 'schedule_list',
    description: 'What is scheduled, with ids and next runs; with an id or name, all about one: its last runs too.',
    schema: z.strictObject({ id: z.string().min(1).max(120).optional().describe('A schedule, by id or name') }),
    effect: 'pure',
    action: () => ({ type: 'schedule', what: 'list' }),
    title: () => 'Look at what is scheduled',
    async run({ id }, context) {
      const schedules = room();
      const seen = mayTouch(authorOf(context));
      try {
        if (id !== undefined) return textResult(scheduleText(findSchedule(schedules, id, seen), schedules));
      } catch (error) {
        return textResult(describeError(expected(error)), true);
      }
      const all = [...everySchedule(schedules)].filter(
        (schedule) => seen(schedule) && (schedule.state === 'active' || schedule.state === 'paused'),
      );
      if (all.length === 0) return textResult('Nothing is scheduled.');
      const more = all.length > MOST ? [`… and ${all.length - MOST} more.`] : [];
      return textResult(
        [...all.slice(0, MOST).map((one) => scheduleLine(one, schedules.describe)), ...more].join('\n'),
      );
    },
  });
}
