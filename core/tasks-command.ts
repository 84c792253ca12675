// `/task …` and `/tasks` in a chat: a task begun, and where all of them stand, in a few lines of plain text. Needs no model.
import { describeError, StewardError } from './errors.ts';
import type { Author } from './schedules.ts';
import type { TasksApi } from './tasks.ts';
import { findTask } from './tasks-find.ts';
import { stateText, taskLine, taskText } from './tasks-text.ts';
import type { Millis } from './types.ts';

const SHOWN = 20;
const DIFF_SHOWN = 3_000;

export const TASKS_HELP = `/task REPOSITORY: what is to be done – begin a task
/tasks – those that have not ended; /tasks all – the latest ones
/task show ID – how one goes, or how it ended
/task steer ID words – say something to the agent
/task pause ID · resume ID · stop ID – hold it, go on, end it for good
/task diff ID – what it changed
/task back ID CHECKPOINT – go back to a checkpoint; /task checkpoints ID shows them
The end of an ID, or the title, does in its place.`;

export interface TasksCommandDeps {
  tasks: TasksApi;
  now(): Millis;
}

export interface TasksCommand {
  /** What stands behind `/task` or `/tasks`. */
  args: string;
  author: Author;
  /** The same message is the same task. */
  key: string;
}

/** At once, or for what takes a while a function that does it: to be called once what was said is stored. */
export type TasksAnswer = string | (() => Promise<string>);

const VERBS = ['show', 'steer', 'pause', 'resume', 'stop', 'diff', 'back', 'checkpoints'] as const;
type Verb = (typeof VERBS)[number];

/** `REPOSITORY: words`, the colon at the end of the first word. */
export function wishIn(args: string): { repository: string; instruction: string } | null {
  const [, repository, instruction] = /^(\S+?):\s+(\S[\s\S]*)$/.exec(args.trim()) ?? [];
  return repository && instruction ? { repository, instruction } : null;
}

const said = async (work: () => Promise<string>): Promise<string> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StewardError) return describeError(error);
    throw error;
  }
};

/** Never throws for what a person can mend: that is said. */
export function tasksCommand({ tasks, now }: TasksCommandDeps, { args, author, key }: TasksCommand): TasksAnswer {
  const text = args.trim();
  const [, word = '', rest = ''] = /^(\S*)\s*([\s\S]*)$/.exec(text) ?? [];
  if (text === '' || /^(?:list|open|all)$/i.test(text)) return overview(/^all$/i.test(text));
  const verb = VERBS.find((known) => known === word.toLowerCase());
  try {
    if (verb) return rest === '' ? `Which one? Say its id.\n\n${TASKS_HELP}` : act(verb, rest);
    const wish = wishIn(text);
    if (!wish) return TASKS_HELP;
    const { task, isNew } = tasks.create(wish, author, { idempotencyKey: key });
    return `${isNew ? 'Begun' : 'It was begun already'}: “${task.title}” ${stateText(task)} [${task.id}]\nYou hear from me when it ends, or when its delivery waits for you.`;
  } catch (error) {
    if (error instanceof StewardError) return describeError(error);
    throw error;
  }

  function overview(all: boolean): string {
    const rows = tasks.list({ limit: SHOWN + 1, open: !all });
    if (rows.length === 0) return all ? 'There is no task yet.' : 'No task is under way. /tasks all shows the latest.';
    const more = rows.length > SHOWN ? ['… and more, in the console or steward tasks.'] : [];
    return [...rows.slice(0, SHOWN).map(taskLine), ...more].join('\n\n');
  }

  function act(verb: Verb, rest: string): TasksAnswer {
    const [, first = '', words = ''] = /^(\S+)\s*([\s\S]*)$/.exec(rest) ?? [];
    const two = verb === 'steer' || verb === 'back';
    const task = findTask(tasks, two ? first : rest);
    const { id, title } = task;
    switch (verb) {
      case 'show':
        return taskText(task, now());
      case 'steer':
        if (words === '') return `What is it to be told? /task steer ${id} words`;
        return `It was told. “${title}” ${stateText(tasks.steer(id, words, author))}.`;
      case 'pause':
        return `“${title}” ${stateText(tasks.pause(id, 'paused by you'))}. /task resume ${id} lets it go on.`;
      case 'resume':
        return `“${title}” ${stateText(tasks.resume(id))}.`;
      case 'stop':
        return `“${title}” ${stateText(tasks.stop(id, 'stopped by you'))}.`;
      case 'checkpoints': {
        const points = tasks.checkpoints(id).toReversed().slice(0, SHOWN);
        if (points.length === 0) return 'It has no checkpoint yet.';
        return points.map((point) => `${point.id}  ${point.changes.length} changed`).join('\n');
      }
      case 'back':
        if (words === '') return `To which one? /task checkpoints ${id} shows them.`;
        return () => said(async () => `“${title}” went back to it and ${stateText(await tasks.rollback(id, words))}.`);
      case 'diff':
        return () =>
          said(async () => {
            const diff = await tasks.diff(id);
            if (diff.trim() === '') return 'Nothing was changed.';
            const cut = [...diff].slice(0, DIFF_SHOWN).join('');
            // A fence longer than any in the diff.
            const fence = '`'.repeat(Math.max(3, ...[...diff.matchAll(/`+/g)].map(([run]) => run.length + 1)));
            const more = cut.length < diff.length ? '\n… and more, in the console or steward task diff.' : '';
            return `${fence}diff\n${cut}\n${fence}${more}`;
          });
    }
  }
}
