// task_status: where tasks stand; with an id, all about one.
import { z } from 'zod';
import { describeError } from '../../../core/errors.ts';
import { findTask } from '../../../core/tasks-find.ts';
import { taskLine, taskText } from '../../../core/tasks-text.ts';
import { expected } from '../../../core/tools/author.ts';
import { defineTool, type Tool, textResult } from '../../../core/tools/tool.ts';
import type { TaskToolsDeps } from './create.ts';

const MOST = 20;

export function createTaskStatus({ tasks: room, now }: TaskToolsDeps): Tool {
  return defineTool({
    name: 'task_status',
    description: 'Where code tasks stand: all that have not ended; with an id, how one goes or how it ended.',
    schema: z.strictObject({ id: z.string().min(1).max(120).optional().describe('A task, by id or title') }),
    effect: 'pure',
    action: () => ({ type: 'task', what: 'look' }),
    title: () => 'Look at the code tasks',
    async run({ id }) {
      const tasks = room();
      try {
        if (id !== undefined) {
          const task = findTask(tasks, id);
          // A result quotes checks and commits: words of a repository, which are nobody's orders.
          return { ...textResult(taskText(task, now())), tainted: task.result !== null || task.reason !== null };
        }
      } catch (error) {
        return textResult(describeError(expected(error)), true);
      }
      const open = tasks.list({ limit: MOST, open: true });
      const [latest] = tasks.list({ limit: 1 });
      if (open.length === 0)
        return textResult(`No task is under way.${latest ? ` The latest one was ${latest.id}.` : ''}`);
      // Reasons may quote a repository; a listing does without them.
      return textResult(open.map((task) => taskLine({ ...task, reason: null })).join('\n'));
    },
  });
}
