// What may be asked for as a task: everything wrong is said at once, what is left out has a default, and no password is kept.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { branchOf, completeDraft, titleOf } from '../../../../sandboxes/tasks/draft.ts';

const HARNESSES = ['native', 'script'];
const complete = (more: object) =>
  completeDraft({ repository: 'https://example.org/a/b.git', instruction: 'Do it.', ...more }, HARNESSES);

describe('the draft of a task', () => {
  it('fills in what was left out, and keeps no password', () => {
    expect(complete({ repository: 'https://me:hunter2@example.org/a/b.git' })).toEqual({
      ...{ repository: 'https://example.org/a/b.git', base: null, instruction: 'Do it.', setup: [], verify: [] },
      ...{ harness: null, model: null, delivery: 'auto', hosts: [], resultSchema: null },
      limits: { wallMs: 7_200_000, turns: 200, costUsd: null, attempts: 3 },
    });
  });

  it('says everything that is wrong at once', () => {
    expect(() =>
      complete({
        ...{ repository: 'ext::sh', base: '--upload-pack=id', instruction: ' ', verify: [''], harness: 'nobody' },
        ...{ hosts: ['not a host'], limits: { wallMs: 1, turns: 0, costUsd: -1, attempts: 0 } },
      }),
    ).toThrow(
      /no repository address.*no name of a branch.*Say what.*verify is empty.*time.*turns.*attempts.*budget.*no host.*no harness nobody; there are native, script/s,
    );
  });

  it('a branch is one that git and file systems take, whatever the words', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        const branch = branchOf('task_01', titleOf(text));
        expect(branch).toMatch(/^steward\/task_01(?:-[a-z0-9]+)*$/);
        expect(branch.length).toBeLessThan(80);
      }),
    );
    expect(branchOf('task_01', titleOf('Größere Änderung: date library!\nmore'))).toBe(
      'steward/task_01-grossere-anderung-date-library',
    );
  });
});
