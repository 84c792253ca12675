// Code tasks from the outside: a real repository, a real sandbox, a scripted model; a reviewed branch comes out, or a hand-off.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bash, gitIn, openTasksHouse, repository, write } from '../helpers/tasks-house.ts';

const bwrap = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'bwrap')));

describe.skipIf(!bwrap)('a code task (bubblewrap is needed)', () => {
  it('goes in as a sentence and comes out as an approved patch', async () => {
    const source = await repository({ 'README.md': 'A project.\n', 'greet.sh': 'echo hello\n' });
    const house = await openTasksHouse();
    const made = await house.create({
      repository: source,
      instruction: `Greet the world.\n${write('greet.sh', 'echo hello, world\n')}\n${bash('git status --short')}`,
      setup: ['echo ready > ~/ready'],
      verify: ['test -f ~/ready', 'sh greet.sh | grep -q world'],
    });
    await house.answer(made.id, 'allow');
    const task = await house.reached(made.id, 'done');
    expect(task.result).toMatchObject({
      branch: task.branch,
      files: 1,
      insertions: 1,
      deletions: 1,
      pushed: false,
      verify: [{ code: 0 }, { code: 0 }],
      approvals: [{ verdict: 'allow' }],
      handoff: null,
    });
    expect(task.branch).toMatch(/^steward\/task_[0-9A-Z]+-greet-the-world$/);
    const patch = house.file(task.result!.patch!);
    expect(patch).toContain('+echo hello, world');
    // It applies where it came from, and the repository itself was left alone.
    expect(await gitIn(source)('branch', '--list')).toBe('* main');
    await gitIn(source)('am', join(house.home, 'files', task.result!.patch!));
    expect(await gitIn(source)('log', '--format=%an %s', '-1')).toBe('Steward Greet the world.');
  });
});
