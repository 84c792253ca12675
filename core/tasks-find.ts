// A task by its id, the end of its id, or its title, as people say it.
import { StewardError } from './errors.ts';
import type { Task, TasksApi } from './tasks.ts';

/** The newest ones are looked at when it is not a whole id. */
const LOOKED_AT = 200;
const SHORTEST = 4;

/** Throws `not_found`, and `conflict` where several could be meant. */
export function findTask(tasks: Pick<TasksApi, 'get' | 'list'>, reference: string): Task {
  const wanted = reference.trim();
  const known = tasks.get(wanted);
  if (known) return known;
  const op = 'find a task';
  const name = wanted.replace(/^[“"'](.*)[”"']$/s, '$1').toLowerCase();
  const found = tasks
    .list({ limit: LOOKED_AT })
    .filter(
      ({ id, title }) => title.toLowerCase() === name || (name.length >= SHORTEST && id.toLowerCase().endsWith(name)),
    );
  if (found.length === 1) return found[0]!;
  if (found.length > 1)
    throw new StewardError('conflict', `Several tasks could be “${wanted.slice(0, 100)}”.`, {
      op,
      hint: `Say the id: ${found
        .slice(0, 5)
        .map(({ id }) => id)
        .join(', ')}.`,
    });
  throw new StewardError('not_found', `There is no task ${wanted.slice(0, 100)}.`, {
    op,
    hint: '/tasks, or steward tasks, shows them with their ids.',
  });
}
