// task_cancel: ends a task for good; what stands on its branch is kept as a patch. Ending it twice is ending it once.
import { z } from 'zod';
import { describeError } from '../../../core/errors.ts';
import { findTask } from '../../../core/tasks-find.ts';
import { expected } from '../../../core/tools/author.ts';
import { defineTool, type Tool, textResult } from '../../../core/tools/tool.ts';
import type { TaskToolsDeps } from './create.ts';

export function createTaskCancel({ tasks: room }: Pick<TaskToolsDeps, 'tasks'>): Tool {
  return defineTool({
    name: 'task_cancel',
    description: 'Stop a code task for good; what it did so far is kept as a patch.',
    schema: z.strictObject({
      id: z.string().min(1).max(120).describe('The task, by id or title'),
      why: z.string().min(1).max(500).optional().describe('Why, in a few words'),
    }),
    effect: 'keyed',
    action: () => ({ type: 'task', what: 'cancel' }),
    title: ({ id }) => `Stop the task ${id}`,
    async run({ id, why }) {
      const tasks = room();
      try {
        const task = tasks.stop(findTask(tasks, id).id, why ?? 'It was stopped in the conversation.');
        return textResult(
          task.state === 'cancelled' ? `The task ${task.id} is stopped.` : `The task ${task.id} had ended already.`,
        );
      } catch (error) {
        return textResult(describeError(expected(error)), true);
      }
    },
  });
}
