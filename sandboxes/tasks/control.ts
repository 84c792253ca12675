// What whoever watches over tasks may do with one that seems stuck: note, nudge, interrupt, begin again, hand off.
import { describeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { RecordOf } from '../../core/record.ts';
import type { Id, Millis } from '../../core/types.ts';
import type { Hands } from '../hands.ts';
import type { Finish } from './finish.ts';
import { again, joined } from './instruction.ts';
import { messageKey } from './rest.ts';
import type { Rows, TaskRow } from './rows.ts';
import type { Speak } from './speak.ts';
import { isAtWork } from './states.ts';
import type { Work } from './work.ts';

const SETTLE_MS: Millis = 10_000;

/** None of it does anything to a task that is not at work any more, or paused. */
export interface TaskControl {
  /** Tasks at work, with what their loop knows. */
  atWork(): TaskRow[];
  /** For people: stands on the card and in the log. */
  note(id: Id, text: string): void;
  /** Words for the agent, beside what it does. */
  nudge(id: Id, text: string): void;
  /** What it does is cut off, and it goes on with these words. */
  interrupt(id: Id, text: string): void;
  /** A new attempt in a new sandbox with the files of the last checkpoint; the last attempt hands off instead. */
  restart(id: Id, why: string): Promise<void>;
  handOff(id: Id, why: string): Promise<void>;
}

export function createControl(
  deps: Pick<RecordOf, 'db' | 'events' | 'newId'> & {
    rows: Rows;
    work: Work;
    speak: Speak;
    finish: Finish;
    hands: Pick<Hands, 'discard'>;
    log: Log;
  },
): TaskControl {
  const { db, rows, speak, work } = deps;
  const working = (id: Id): TaskRow | null => {
    const task = rows.get(id);
    return task && isAtWork(task.state) && task.paused === null ? task : null;
  };
  const say = (task: TaskRow, text: string) => {
    if (task.state === 'working' && deps.events.byDedupe(messageKey(task)))
      speak.say(task, text, `task:${task.id}:watch:${deps.newId('sevt')}`);
  };
  return {
    atWork: () => rows.open().filter((task) => isAtWork(task.state) && task.paused === null),
    note(id, text) {
      if (working(id)) rows.put(id, { reason: text }, { type: 'task.note', payload: { task_id: id, text } });
    },
    nudge: (id, text) =>
      db.tx(() => {
        const task = working(id);
        if (task) say(task, text);
      }),
    interrupt: (id, text) =>
      db.tx(() => {
        const task = working(id);
        if (!task) return;
        speak.interrupt(task);
        say(task, text);
      }),
    async restart(id, why) {
      const task = working(id);
      if (!task) return;
      if (task.attempts >= task.limits.attempts) {
        await deps.finish.end(task, 'handed_off', `All ${task.attempts} attempts got stuck: ${why}`);
        work.poke(id);
        return;
      }
      // Counted, and what comes after written down, before anything is ended: a death in between repeats nothing.
      db.tx(() => {
        const { attempts, messages, words, state } = rows.need(id);
        const next = state === 'working' ? { messages: messages + 1, words: joined(again(why), words) } : {};
        const payload = { task_id: id, attempt: attempts + 1, why };
        rows.put(id, { attempts: attempts + 1, ...next }, { type: 'task.attempt', payload });
        speak.interrupt(task);
      });
      deps.hands.discard(task.sessionId, why);
      await work.letGo(id);
      if (!(await speak.rested(task.sessionId, SETTLE_MS)))
        deps.log.warn({ task: id, why }, 'a run of a task does not let go; the next one takes its place');
      work.poke(id);
    },
    async handOff(id, why) {
      const task = working(id);
      if (!task) return;
      await deps.finish.end(task, 'handed_off', why).catch((error) => {
        deps.log.error({ error, task: id, why: describeError(error) }, 'a task could not be handed off');
      });
      work.poke(id);
    },
  };
}
