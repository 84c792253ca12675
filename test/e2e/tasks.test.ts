// Code tasks from the outside: a real repository, a real sandbox, a scripted model; a reviewed branch comes out, or a hand-off.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Task, TaskCheckpoint } from '../../core/tasks.ts';
import { until } from '../helpers/talk.ts';
import { sameEndAfter } from '../helpers/tasks-death.ts';
import { author, bash, gitIn, openTasksHouse, repository, write } from '../helpers/tasks-house.ts';

const bwrap = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'bwrap')));

describe.skipIf(!bwrap)('a code task (bubblewrap is needed)', () => {
  it('goes in as a sentence and comes out as an approved patch', async () => {
    const source = await repository({ 'README.md': 'A project.\n', 'greet.sh': 'echo hello\n' });
    const house = await openTasksHouse();
    const wish = {
      repository: source,
      instruction: `Greet the world.\n${write('greet.sh', 'echo hello, world\n')}\n${bash('git status --short')}`,
      setup: ['echo ready > ~/ready'],
      verify: ['test -f ~/ready', 'sh greet.sh | grep -q world'],
    };
    const made = await house.create(wish, 'once');
    expect((await house.create(wish, 'once')).id).toBe(made.id);
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
    // The model was asked for its work and nothing else: the delivery costs no request.
    expect(house.model.requests.length).toBe(3);
    // With words for it, it goes on where it was.
    await house.rpc('steer', made.id, `Also say goodbye.\n${write('bye.sh', 'echo bye\n')}`, author);
    await house.answer(made.id, 'allow');
    const again = await house.reached(made.id, 'done');
    expect(again.result).toMatchObject({ files: 2, insertions: 2 });
    expect(await house.rpc<Task[]>('list', { limit: 9 })).toHaveLength(1);
  });

  it('what the checks find goes back to the agent, and what it cannot mend becomes a hand-off', async () => {
    const source = await repository({ 'sum.sh': 'echo 3\n' });
    const house = await openTasksHouse();
    const mended = await house.create({
      repository: source,
      instruction: `Make it four.\n${write('sum.sh', 'echo 5\n')}\n${write('sum.sh', 'echo 4\n', 'mend')}`,
      verify: ['test "$(sh sum.sh)" = 4 || { echo "not four"; exit 7; }'],
    });
    await house.answer(mended.id, 'allow');
    const done = await house.reached(mended.id, 'done');
    expect(done.rounds).toBe(1);
    expect(house.file(done.result!.patch!)).toContain('+echo 4');
    const stubborn = await house.create({
      repository: source,
      instruction: `Make it six.\n${write('sum.sh', 'echo 5\n')}`,
      verify: ['test "$(sh sum.sh)" = 6 || { echo "not six"; exit 7; }'],
    });
    const given = await house.reached(stubborn.id, 'handed_off');
    expect(given.rounds).toBe(3);
    expect(given.result).toMatchObject({ files: 1, pushed: false, verify: [{ code: 7, output: 'not six\n' }] });
    expect(given.result!.handoff).toMatch(/not six[\s\S]*stands at [0-9a-f]{12}[\s\S]*Nothing was pushed/);
    expect(house.file(given.result!.patch!)).toContain('+echo 5');
  });

  // Every place of death is in the long suite (npm run chaos); here one of each kind.
  it.each([null, 'task.working', 'tool.acted', 'task.awaiting_approval', 'task.before_deliver'] as const)(
    'killed at %s, it comes to the same end',
    sameEndAfter,
  );

  it('is steered, paused, taken back to a checkpoint, refused with a reason, and stopped', async () => {
    const source = await repository();
    const house = await openTasksHouse();
    const made = await house.create({
      repository: source,
      instruction: `Write.\n${write('a.txt', 'first\n')}\n${bash('sleep 300')}`,
    });
    const working = await house.reached(made.id, 'working');
    const slept = (event: { type: string; name?: unknown }) => event.type === 'agent.tool_use' && event.name === 'bash';
    await until(house.steward, working.sessionId, 'the long call', slept, { ms: 30_000 });
    await house.rpc('pause', made.id, 'Not now.');
    expect((await house.task(made.id)).paused).toBe('Not now.');
    await house.rpc('steer', made.id, `Go on otherwise.\n${write('b.txt', 'second\n')}`, author);
    await house.rpc('resume', made.id);
    const asked = await house.reached(made.id, 'awaiting_approval');
    expect(await house.rpc<string>('diff', made.id)).toMatch(/\+first[\s\S]*\+second/);
    const points = await house.rpc<TaskCheckpoint[]>('checkpoints', made.id);
    const first = points.findLast(({ changes }) => changes.some(({ path }) => path === 'a.txt'))!;
    await house.rpc('rollback', made.id, first.id);
    const back = await house.reached(made.id, 'awaiting_approval');
    expect(back.callId).not.toBe(asked.callId);
    expect(await house.rpc<string>('diff', made.id)).not.toContain('second');
    await house.answer(made.id, 'deny', `Not enough.\n${write('c.txt', 'third\n')}`);
    await expect
      .poll(async () => (await house.reached(made.id, 'working', 'verifying', 'awaiting_approval')).callId)
      .not.toBe(back.callId);
    await house.reached(made.id, 'awaiting_approval');
    await house.rpc('stop', made.id, 'No longer wanted.');
    const ended = await house.reached(made.id, 'cancelled');
    expect(ended.result!.approvals.map(({ verdict }) => verdict)).toEqual(['cancelled', 'deny', 'cancelled']);
    const patch = house.file(ended.result!.patch!);
    expect(patch).toMatch(/\+first/);
    expect(patch).toMatch(/\+third/);
    expect(patch).not.toContain('second');
    await expect(house.rpc('steer', made.id, 'more', author)).rejects.toThrow(/conflict: This task was stopped/);
  });

  it('says in plain words what is wrong with a repository, and runs nothing of one on the host', async () => {
    const house = await openTasksHouse();
    const ends = async (repositoryPath: string, base?: string) => {
      const wish = { repository: repositoryPath, instruction: 'Anything.', ...(base && { base }) };
      return (await house.reached((await house.create(wish)).id, 'failed')).reason;
    };
    expect(await ends(await repository({}))).toContain('is empty: there is no commit to begin from');
    expect(await ends(await repository(), 'nowhere')).toContain('no branch, tag or commit “nowhere”');
    expect(await ends('/nowhere/at/all')).toContain('There is no folder /nowhere/at/all');
    await expect(house.create({ repository: 'ext::sh -c id', instruction: '' })).rejects.toThrow(
      /invalid: .*no repository address.*Say what is to be done/,
    );
    const source = await repository({ '.gitattributes': '*.txt filter=evil\n', 'a.txt': 'text\n' });
    const mark = join(source, 'ran-on-the-host');
    for (const hook of ['post-checkout', 'pre-commit', 'reference-transaction', 'post-upload-pack'])
      writeFileSync(join(source, '.git/hooks', hook), `#!/bin/sh\ntouch ${mark}\n`, { mode: 0o755 });
    await gitIn(source)('config', 'filter.evil.smudge', `touch ${mark}`);
    await gitIn(source)('config', 'core.fsmonitor', `touch ${mark}`);
    const made = await house.create({
      repository: source,
      instruction: `Plant.\n${bash(`git config filter.evil.clean 'touch ${mark}; cat'; printf '#!/bin/sh\\ntouch ${mark}\\nexit 1\\n' > .git/hooks/pre-commit; chmod +x .git/hooks/pre-commit; git config core.hooksPath .git/hooks; echo more >> a.txt; git checkout -q -b elsewhere`)}`,
    });
    await house.answer(made.id, 'allow');
    const task = await house.reached(made.id, 'done');
    expect(house.file(task.result!.patch!)).toContain('+more');
    expect(existsSync(mark)).toBe(false);
    expect(readdirSync(source)).not.toContain('ran-on-the-host');
  });

  it('ends at its limits, and checks that never end are ended', async () => {
    const source = await repository();
    const house = await openTasksHouse();
    const limits = { wallMs: 600_000, turns: 2, costUsd: null, attempts: 3 };
    const many = Array.from({ length: 6 }, (_, n) => write(`f${n}.txt`, `${n}\n`)).join('\n');
    const talker = await house.create({ repository: source, instruction: `Talk.\n${many}`, limits });
    const spent = await house.reached(talker.id, 'handed_off');
    expect(spent.reason).toContain('Its turns are used up: 2 answers');
    expect(spent.result!.patch).not.toBeNull();
    const slow = await house.create({
      repository: source,
      instruction: `Write.\n${write('a.txt', 'a\n')}`,
      verify: ['sleep 1000'],
      limits: { ...limits, turns: 100, wallMs: 3_000 },
    });
    const late = await house.reached(slow.id, 'handed_off');
    expect(late.result!.handoff).toContain('sleep 1000');
    const idle = await house.create({ repository: source, instruction: 'Only look.' });
    expect(await house.reached(idle.id, 'done')).toMatchObject({
      reason: 'Nothing was changed.',
      result: { head: null },
    });
  });

  it('of the harness `script` needs no model, and nobody mends what its checks find', async () => {
    const source = await repository({ 'greet.sh': 'echo hello\n' });
    const house = await openTasksHouse();
    const script = { repository: source, harness: 'script', delivery: 'patch' as const };
    const good = await house.create({
      ...script,
      instruction: 'echo echo hi > greet.sh',
      verify: ['grep -q hi greet.sh'],
    });
    await house.answer(good.id, 'allow');
    expect((await house.reached(good.id, 'done')).result).toMatchObject({ files: 1, verify: [{ code: 0 }] });
    const bad = await house.create({
      ...script,
      instruction: 'echo echo ho > greet.sh',
      verify: ['grep -q hi greet.sh'],
    });
    const given = await house.reached(bad.id, 'handed_off');
    expect(given).toMatchObject({ rounds: 0, attempts: 1, reason: expect.stringContaining('The checks fail') });
    expect(house.file(given.result!.patch!)).toContain('+echo ho');
    expect(house.model.requests).toEqual([]);
  });
});
