// schedule_cancel: ends a schedule for good; its past runs stay. Ending it twice is ending it once.
import { z } from 'zod';
import { describeError } from '../../core/errors.ts';
import { findSchedule } from '../../core/schedules-find.ts';
import { authorOf, expected } from '../../core/tools/author.ts';
import { defineTool, type Tool, textResult } from '../../core/tools/tool.ts';
import type { ScheduleToolsDeps } from './create.ts';
import { mayTouch } from './who.ts';

export function createScheduleCancel({ schedules: room }: Pick<ScheduleToolsDeps, 'schedules'>): Tool {
  return defineTool({
    name: 'schedule_cancel',
    description: 'End a schedule for good. schedule_list has the ids.',
    schema: z.strictObject({ id: z.string().min(1).max(120).describe('A schedule, by id or name') }),
    effect: 'keyed',
    action: () => ({ type: 'schedule', what: 'cancel' }),
    title: ({ id }) => `End the schedule ${id}`,
    async run({ id }, context) {
      const schedules = room();
      try {
        const { id: known, name } = findSchedule(schedules, id, mayTouch(authorOf(context)));
        schedules.archive(known);
        return textResult(`“${name}” [${known}] will not run again; its past runs stay.`);
      } catch (error) {
        return textResult(describeError(expected(error)), true);
      }
    },
  });
}
