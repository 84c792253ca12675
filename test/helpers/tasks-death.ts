// A task whose Steward is killed at a place on its way, and that comes to the end it would have come to.
import { expect } from 'vitest';
import type { FailpointName } from '../../core/failpoint.ts';
import type { Task } from '../../core/tasks.ts';
import { openTasksHouse, repository, write } from './tasks-house.ts';

export const PLACES: readonly FailpointName[] = [
  ...(['task.created', 'task.provisioning', 'task.setup', 'task.working', 'tool.acted', 'task.verifying'] as const),
  ...(['task.awaiting_approval', 'task.delivering', 'task.before_deliver', 'task.delivered', 'task.ended'] as const),
];

/** Null: nobody is killed. */
export async function sameEndAfter(point: FailpointName | null): Promise<void> {
  const house = await openTasksHouse();
  if (point) house.arm(point);
  const wish = {
    repository: await repository({ 'greet.sh': 'echo hello\n' }),
    instruction: `Greet.\n${write('greet.sh', 'echo hi\n')}\n${write('more/new.txt', 'new\n')}`,
    setup: ['echo ready > ~/ready'],
    verify: ['test -f ~/ready', 'grep -q hi greet.sh'],
  };
  await house.create(wish, 'one').catch(() => {});
  const task = await house.carry('Greet.');
  expect(house.armed()).toBe(false);
  expect(await house.rpc<Task[]>('list', { limit: 9 })).toHaveLength(1);
  const steps = (await house.events(task)).filter(({ type }) => type === 'task.status').map(({ to }) => to);
  expect(steps).toEqual('queued provisioning setup working verifying awaiting_approval delivering done'.split(' '));
  expect(task).toMatchObject({ state: 'done', rounds: 0, attempts: 1 });
  expect(task.result).toMatchObject({
    ...{ files: 2, insertions: 2, deletions: 1, handoff: null, approvals: [{ verdict: 'allow' }] },
    verify: wish.verify.map((command) => ({ command, code: 0 })),
  });
  const patch = house.file(task.result!.patch!);
  expect(patch.match(/^[+-](?![+-]).*/gm)).toEqual(['-echo hello', '+echo hi', '+new']);
}
