// Which tasks begin: oldest first, never more than the limits, and one that waits for its repository holds up no other.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pick, type Queued, waitsFor } from '../../../../sandboxes/tasks/queue.ts';
import { isAtWork, STATES } from '../../../../sandboxes/tasks/states.ts';

const task = (id: string, repositoryKey: string, state: Queued['state'] = 'queued', paused: string | null = null) =>
  ({ id, repositoryKey, state, paused }) satisfies Queued;

describe('the queue of tasks', () => {
  it('takes the oldest, one for each repository', () => {
    const tasks = [task('1', 'a'), task('2', 'a'), task('3', 'b'), task('4', 'c')];
    expect(pick(tasks, { all: 2, perRepository: 1 })).toEqual(['1', '3']);
    expect(pick(tasks, { all: 9, perRepository: 2 })).toEqual(['1', '2', '3', '4']);
  });

  it('what waits for the owner, or is paused, holds no place', () => {
    const tasks = [task('1', 'a', 'awaiting_approval'), task('2', 'a', 'working', 'by the owner'), task('3', 'a')];
    expect(pick(tasks)).toEqual(['3']);
    expect(pick([task('1', 'a', 'queued', 'by the owner')])).toEqual([]);
  });

  it('says what a task waits for', () => {
    const tasks = [task('1', 'a', 'working'), task('2', 'a'), task('3', 'b')];
    expect(waitsFor(tasks[1]!, tasks)).toContain('this repository');
    expect(waitsFor(tasks[2]!, tasks)).toBeNull();
    expect(waitsFor(tasks[2]!, tasks, { all: 1, perRepository: 1 })).toContain('1 tasks are at work');
  });

  it('whatever is waiting: never above a limit, and nobody is passed over who could have begun', () => {
    const queued = fc.record({
      repositoryKey: fc.constantFrom('a', 'b', 'c'),
      state: fc.constantFrom(...STATES),
      paused: fc.constantFrom(null, null, 'why'),
    });
    fc.assert(
      fc.property(
        fc.array(queued, { maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 3 }),
        (list, all, perRepository) => {
          const tasks = list.map((one, index) => ({ ...one, id: String(index) }));
          const picked = new Set(pick(tasks, { all, perRepository }));
          const before = tasks.filter(({ state, paused }) => isAtWork(state) && paused === null);
          const after = [...before, ...tasks.filter(({ id }) => picked.has(id))];
          if (picked.size > 0) expect(after.length).toBeLessThanOrEqual(all);
          const places = (key: string, of: typeof tasks) =>
            of.filter(({ repositoryKey }) => repositoryKey === key).length;
          for (const id of picked) {
            const { repositoryKey } = tasks[Number(id)]!;
            expect(places(repositoryKey, after)).toBeLessThanOrEqual(perRepository);
          }
          for (const { id, state, paused, repositoryKey } of tasks) {
            if (state !== 'queued' || paused !== null || picked.has(id)) continue;
            expect(after.length >= all || places(repositoryKey, after) >= perRepository).toBe(true);
          }
        },
      ),
    );
  });
});
