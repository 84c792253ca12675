// Which tasks that wait may begin now: oldest first, within the limits for all and for each repository. Pure.
import type { TaskState } from '../../core/tasks.ts';
import type { Id } from '../../core/types.ts';
import { isAtWork } from './states.ts';

export interface QueueLimits {
  /** At work at the same time. */
  all: number;
  perRepository: number;
}

export const DEFAULT_QUEUE: QueueLimits = { all: 2, perRepository: 1 };

export interface Queued {
  id: Id;
  state: TaskState;
  paused: string | null;
  repositoryKey: string;
}

/** `tasks`: those that have not ended, the oldest first. One that waits for the owner, or is paused, holds no place. */
export function pick(tasks: readonly Queued[], limits: QueueLimits = DEFAULT_QUEUE): Id[] {
  const places = new Map<string, number>();
  let taken = 0;
  const take = ({ repositoryKey }: Queued) => {
    taken += 1;
    places.set(repositoryKey, (places.get(repositoryKey) ?? 0) + 1);
  };
  for (const task of tasks) if (isAtWork(task.state) && task.paused === null) take(task);
  const picked: Id[] = [];
  for (const task of tasks) {
    if (task.state !== 'queued' || task.paused !== null) continue;
    if (taken >= limits.all) break;
    if ((places.get(task.repositoryKey) ?? 0) >= limits.perRepository) continue;
    take(task);
    picked.push(task.id);
  }
  return picked;
}

/** Why a task that waits has to, for people; null when it does not wait for a place. */
export function waitsFor(task: Queued, tasks: readonly Queued[], limits: QueueLimits = DEFAULT_QUEUE): string | null {
  if (task.state !== 'queued') return null;
  const working = tasks.filter(({ state, paused }) => isAtWork(state) && paused === null);
  if (working.filter(({ repositoryKey }) => repositoryKey === task.repositoryKey).length >= limits.perRepository)
    return 'Another task works on this repository.';
  return working.length >= limits.all ? `${working.length} tasks are at work, the most at once.` : null;
}
