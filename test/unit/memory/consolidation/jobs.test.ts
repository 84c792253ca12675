// Rows of consolidation: a job is made once, taken up again after a crash, and a range is consolidated once.
import { describe, expect, it } from 'vitest';
import type { StewardError } from '../../../../core/errors.ts';
import { createJobs } from '../../../../memory/consolidation/jobs.ts';
import { openTestRecord } from '../../../helpers/record.ts';

function setUp() {
  const record = openTestRecord();
  return { record, jobs: createJobs(record.db, { now: record.clock.now, newId: record.newId }) };
}

describe('a job', () => {
  it('is begun, done, and then never again', async () => {
    const { record, jobs } = setUp();
    const job = jobs.begin('nightly', '2026-11-20')!;
    expect(job).toMatchObject({ state: 'running', attempts: 1, progress: {}, error: null, endedAt: null });
    jobs.note(job.id, { upTo: 4 });
    await record.clock.advance(5);
    jobs.finish(job.id, { added: 2 });
    expect(jobs.get('nightly', '2026-11-20')).toMatchObject({
      state: 'done',
      progress: { added: 2 },
      endedAt: record.clock.now(),
    });
    expect(jobs.begin('nightly', '2026-11-20')).toBeNull();
    expect(jobs.begin('weekly', '2026-11-20')).not.toBeNull();
  });

  it('that failed, or whose life ended, is taken up where it stands', () => {
    const { record, jobs } = setUp();
    const job = jobs.begin('idle', 's@0')!;
    jobs.note(job.id, { upTo: 9 });
    const reopened = record.reopen();
    const later = createJobs(reopened.db, { now: reopened.clock.now, newId: reopened.newId });
    expect(later.begin('idle', 's@0')).toMatchObject({
      id: job.id,
      state: 'running',
      attempts: 2,
      progress: { upTo: 9 },
    });
    later.fail(job.id, 'the model is away');
    expect(later.get('idle', 's@0')).toMatchObject({ state: 'failed', error: 'the model is away' });
    expect(later.begin('idle', 's@0')).toMatchObject({ state: 'running', attempts: 3 });
  });

  it('is pruned when it is old; the proof of a night stays', async () => {
    const { record, jobs } = setUp();
    for (const [kind, key] of [
      ['idle', 's@0'],
      ['nightly', '2026-11-20'],
    ] as const)
      jobs.finish(jobs.begin(kind, key)!.id, {});
    jobs.begin('idle', 's@9');
    await record.clock.advance(1_000);
    jobs.prune(record.clock.now());
    expect(
      jobs
        .recent(9)
        .map(({ key }) => key)
        .toSorted(),
    ).toEqual(['2026-11-20', 's@9']);
    expect(jobs.lastDone('nightly')).toBe('2026-11-20');
    expect(jobs.lastDone('weekly')).toBeNull();
  });
});

describe('a mark', () => {
  it('moves on from where it stands, and from nowhere else', () => {
    const { jobs } = setUp();
    expect(jobs.mark('s')).toBe(0);
    jobs.move('s', 0, 5);
    jobs.move('s', 5, 9);
    expect(jobs.mark('s')).toBe(9);
    for (const [from, to] of [
      [5, 12],
      [9, 9],
      [9, 3],
      [0, 20],
    ] as const) {
      let code = 'nothing was thrown';
      try {
        jobs.move('s', from, to);
      } catch (error) {
        code = (error as StewardError).code;
      }
      expect(code).toBe('conflict');
    }
    expect(jobs.mark('s')).toBe(9);
  });
});
