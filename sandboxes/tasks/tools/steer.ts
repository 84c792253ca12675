// task_steer: words for the agent at work on a task. A call in doubt is not repeated: it would be said twice.
import { z } from 'zod';
import { describeError } from '../../../core/errors.ts';
import { findTask } from '../../../core/tasks-find.ts';
import { stateText } from '../../../core/tasks-text.ts';
import { authorOf, expected } from '../../../core/tools/author.ts';
import { defineTool, type Tool, textResult } from '../../../core/tools/tool.ts';
import type { TaskToolsDeps } from './create.ts';

export function createTaskSteer({ tasks: room }: Pick<TaskToolsDeps, 'tasks'>): Tool {
  return defineTool({
    name: 'task_steer',
    description: 'Say something to the agent at work on a code task; one that has ended goes on with it.',
    schema: z.strictObject({
      id: z.string().min(1).max(120).describe('The task, by id or title'),
      text: z.string().min(1).max(20_000).describe('What the agent is to know or do otherwise'),
    }),
    effect: 'unsafe',
    action: () => ({ type: 'task', what: 'steer' }),
    title: ({ id }) => `Steer the task ${id}`,
    async run({ id, text }, context) {
      const tasks = room();
      try {
        const task = tasks.steer(findTask(tasks, id).id, text, authorOf(context));
        return textResult(`It was told. The task ${task.id} ${stateText({ ...task, reason: null })}.`);
      } catch (error) {
        return textResult(describeError(expected(error)), true);
      }
    },
  });
}
