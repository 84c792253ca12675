// task_create: hands a piece of work on a repository to a task of its own. Keyed by the call: a repeat makes no second one.
import { z } from 'zod';
import { describeError } from '../../../core/errors.ts';
import type { TasksApi } from '../../../core/tasks.ts';
import * as shapes from '../../../core/tasks-shapes.ts';
import { stateText } from '../../../core/tasks-text.ts';
import { authorOf, expected } from '../../../core/tools/author.ts';
import { defineTool, type Tool, textResult } from '../../../core/tools/tool.ts';
import type { Millis } from '../../../core/types.ts';

export interface TaskToolsDeps {
  /** Asked for by each call. */
  tasks(): TasksApi;
  now(): Millis;
}

const schema = z.strictObject({
  repository: shapes.repository.describe(
    'Its address, or the absolute path of a folder, exactly as the person gave it',
  ),
  instruction: shapes.instruction.describe('What is to be done, whole: the agent sees nothing of this conversation'),
  base: z
    .string()
    .min(1)
    .max(300)
    .optional()
    .describe('Branch, tag or commit to begin from; its default when left out'),
  setup: shapes.lines.optional().describe('Shell lines that install what it needs, before the agent'),
  verify: shapes.lines.optional().describe('Shell lines that must pass afterwards, as npm test'),
  harness: z.string().min(1).max(60).optional().describe('Another coding agent than the usual one'),
  delivery: shapes.delivery.optional().describe('How the branch leaves, after approval'),
  hosts: shapes.hosts.optional().describe('Hosts the agent may reach; none when left out'),
});
type Fields = z.infer<typeof schema>;

const titleOf = (fields: Fields): string =>
  [
    `Begin a code task on ${fields.repository}`,
    ...(fields.hosts?.length ? [`its agent may reach ${fields.hosts.join(', ')}`] : []),
  ].join('; ');

export function createTaskCreate({ tasks }: Pick<TaskToolsDeps, 'tasks'>): Tool {
  return defineTool({
    name: 'task_create',
    description:
      'Begin a code task: an agent in a sandbox of its own works on a clone of a repository, and its branch is delivered once the person approves. It reports here by itself when it ends; do not wait for it.',
    schema,
    effect: 'keyed',
    action: ({ repository, hosts = [] }) => ({
      ...{ type: 'task', what: 'create', repository },
      hosts: hosts.map((host) => host.toLowerCase()),
    }),
    title: titleOf,
    async run(fields, context) {
      try {
        const options = { idempotencyKey: `call:${context.callId}` };
        const { task } = tasks().create(shapes.wishOf(fields), authorOf(context), options);
        return textResult(`The task ${task.id} ${stateText(task)}. Its branch is ${task.branch}.`);
      } catch (error) {
        return textResult(`No task was begun: ${describeError(expected(error))}`, true);
      }
    },
  });
}
