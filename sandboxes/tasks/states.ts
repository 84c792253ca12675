// The state machine of a task as a table: which step may follow which. Pure.
import { TASK_STATES, type TaskState } from '../../core/tasks.ts';

/**
 * Legal transitions. The four ends lead nowhere by themselves; words of the owner may open all but a cancelled one again, and
 * then it queues like any other.
 */
export const TRANSITIONS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  queued: ['provisioning', 'cancelled', 'failed', 'handed_off'],
  provisioning: ['setup', 'failed', 'handed_off', 'cancelled'],
  setup: ['working', 'failed', 'handed_off', 'cancelled'],
  working: ['verifying', 'failed', 'handed_off', 'cancelled'],
  verifying: ['working', 'awaiting_approval', 'done', 'failed', 'handed_off', 'cancelled'],
  // `verifying`: what was to be approved was withdrawn, and is looked at anew.
  awaiting_approval: ['delivering', 'verifying', 'working', 'handed_off', 'cancelled', 'failed'],
  delivering: ['done', 'verifying', 'handed_off', 'cancelled', 'failed'],
  done: ['queued'],
  handed_off: ['queued'],
  failed: ['queued'],
  cancelled: [],
};

export const ENDS = ['done', 'handed_off', 'cancelled', 'failed'] as const satisfies readonly TaskState[];
export type End = (typeof ENDS)[number];

export const isEnd = (state: TaskState): state is End => (ENDS as readonly TaskState[]).includes(state);

export const mayFollow = (from: TaskState, to: TaskState): boolean => TRANSITIONS[from].includes(to);

/** In these somebody works; the others wait for a turn or for the owner. Only this time counts against the limit. */
const AT_WORK: readonly TaskState[] = ['provisioning', 'setup', 'working', 'verifying', 'delivering'];
export const isAtWork = (state: TaskState): boolean => AT_WORK.includes(state);

/** Where words for the agent go: to it at once, or with its next message; `reopen`: the task begins another time; null: nowhere. */
export function wordsGo(state: TaskState): 'now' | 'next' | 'withdraw' | 'reopen' | null {
  const ways: Record<TaskState, ReturnType<typeof wordsGo>> = {
    queued: 'next',
    provisioning: 'next',
    setup: 'next',
    working: 'now',
    verifying: 'next',
    awaiting_approval: 'withdraw',
    delivering: null,
    done: 'reopen',
    handed_off: 'reopen',
    failed: 'reopen',
    cancelled: null,
  };
  return ways[state];
}

export const STATES: readonly TaskState[] = TASK_STATES;
