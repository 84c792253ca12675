// The night and the week: memory put in order in steps that a crash resumes, never more than a quarter at a time.
import { describe, expect, it } from 'vitest';
import type { ConsolidationPoint } from '../../../../memory/consolidation/index.ts';
import { Death, essence, knownAs, lines, openRig, type Rig, type RigOptions } from './rig.ts';

const DAY = 86_400_000;
const tick = () => new Promise(setImmediate);
const settle = async () => {
  for (let i = 0; i < 20; i++) await tick();
};
const night = (rig: Rig, dryRun = false) => rig.consolidation.run('nightly', { dryRun });
const week = (rig: Rig, dryRun = false) => rig.consolidation.run('weekly', { dryRun });
const archived = (rig: Rig) =>
  rig.items.list({ tiers: ['archive'], limit: 1_000, includeRetired: true }).map(({ text }) => text);

/** Writes what no rule would let in twice, as an older import could have. */
function twice(rig: Rig, text: string, first: object = {}, second: object = {}) {
  const one = rig.add(text, first);
  const two = rig.add(text, second);
  return [one, two] as const;
}

describe('the night, without a model', () => {
  it('lays cold what has expired', async () => {
    const rig = openRig({ model: () => 'none' });
    const now = rig.record.clock.now();
    for (let i = 0; i < 8; i++) rig.add(`Fact ${i}.`);
    rig.add('Send the report.', { tier: 'state', kind: 'loop', expiresAt: now + DAY });
    rig.add('Call the plumber.', { tier: 'state', kind: 'loop', expiresAt: now + 9 * DAY });
    await rig.record.clock.advance(2 * DAY);
    const run = await night(rig);
    expect(run.retired).toMatchObject([{ text: 'Send the report.', why: 'expired' }]);
    expect(archived(rig)).toEqual(['Send the report.']);
    expect(rig.holds()).toContain('Call the plumber.');
    expect(rig.changes.list({ limit: 1 })).toMatchObject([{ id: run.changeId, kind: 'nightly' }]);
  });

  it('makes one of what is known twice, with the sources and the authority of all', async () => {
    const rig = openRig({ model: () => 'none' });
    const pair = twice(rig, 'Likes tea.', { authority: 'agent', confidence: 0.4 }, { subject: 'owner', slot: 'drink' });
    rig.changes.pin(pair[0].id, true);
    twice(rig, 'Berlin', { subject: 'owner', slot: 'home' }, { subject: 'owner', slot: 'birthplace' });
    twice(rig, 'Acme', { tier: 'identity' }, { tier: 'reference' });
    await rig.record.clock.advance(1_000);
    const run = await night(rig);
    expect(run.added).toHaveLength(1);
    const merged = rig.live().filter(({ text }) => text === 'Likes tea.');
    expect(merged).toMatchObject([
      { authority: 'owner', confidence: 1, pinned: true, subject: 'owner', slot: 'drink' },
    ]);
    expect(rig.items.sources(merged[0]!.id)).toHaveLength(2);
    expect(rig.live().filter(({ text }) => text === 'Berlin')).toHaveLength(2);
    expect(rig.live().filter(({ text }) => text === 'Acme')).toHaveLength(2);
    rig.changes.undo(run.changeId!);
    expect(rig.live().filter(({ text }) => text === 'Likes tea.')).toHaveLength(2);
  });

  it('changes at most a quarter; the rest waits for the next night', async () => {
    const rig = openRig({ model: () => 'none' });
    const now = rig.record.clock.now();
    for (let i = 0; i < 20; i++) rig.add(`Fact ${i}.`);
    for (let i = 0; i < 16; i++) rig.add(`Loop ${i}.`, { tier: 'state', expiresAt: now + 1 + i });
    await rig.record.clock.advance(DAY);
    // What has expired does not count as live.
    for (const left of [11, 6, 1, 0, 0]) {
      const run = await night(rig);
      expect(run.retired.length).toBeLessThanOrEqual(5);
      expect(16 - archived(rig).length).toBe(left);
      if (left > 0) expect(run.refused).toHaveLength(left);
    }
  });

  it('says before what it would do, the same, and writes nothing', async () => {
    const rig = openRig({ model: () => 'none' });
    twice(rig, 'Likes tea.');
    rig.add('Done.', { tier: 'state', expiresAt: rig.record.clock.now() + 1 });
    await rig.record.clock.advance(DAY);
    const before = rig.dump();
    const dry = await night(rig, true);
    expect(rig.dump()).toEqual(before);
    expect(dry.retired).toHaveLength(3);
    expect({ ...(await night(rig)), changeId: null }).toEqual(dry);
  });

  it('has a backup made before anything changes, and puts the index in order', async () => {
    const done: string[] = [];
    const rig = openRig({
      deps: { optimize: async () => void done.push('optimize'), backup: async () => void done.push('backup') },
    });
    await night(rig);
    expect(done).toEqual(['backup', 'optimize']);
  });

  it('a backup that fails is tried again, and nothing else is', async () => {
    let tries = 0;
    let optimized = 0;
    const optimize = async () => {
      optimized += 1;
    };
    const backup = async () => {
      tries += 1;
      if (tries < 2) throw new Error('no space');
    };
    const rig = openRig({ deps: { backup, optimize } });
    twice(rig, 'Likes tea.');
    await expect(night(rig)).rejects.toThrow('no space');
    expect(rig.consolidation.status().recent).toMatchObject([
      { state: 'failed', error: expect.not.stringContaining('space') },
    ]);
    await night(rig);
    expect([tries, optimized, rig.changes.list({ limit: 9 }).filter(({ kind }) => kind === 'nightly').length]).toEqual([
      2, 1, 1,
    ]);
  });
});

describe('the night, with a model', () => {
  const looks =
    (answer: (asked: { prompt: string }) => string): NonNullable<RigOptions['model']> =>
    (asked) =>
      asked.system.includes('look over') ? answer(asked) : lines({ op: 'NOOP' });

  it('asks the owner about lines that say the same; a yes makes them one', async () => {
    const rig = openRig({
      model: looks((asked) =>
        lines({
          op: 'SAME',
          ids: [knownAs(asked as never, 'drinks tea'), knownAs(asked as never, 'Tea is')],
          keep: knownAs(asked as never, 'drinks tea'),
        }),
      ),
    });
    rig.add('The owner drinks tea.');
    rig.add('Tea is what the owner drinks.');
    const run = await night(rig);
    expect(run).toMatchObject({ questions: 1, added: [], changeId: null });
    const [question] = rig.questions.list();
    expect(question).toMatchObject({ kind: 'merge' });
    rig.questions.answer(question!.id, true);
    expect(rig.holds()).toEqual(['The owner drinks tea.']);
    expect(rig.items.sources(rig.live()[0]!.id).length).toBeGreaterThanOrEqual(2);
  });

  it('asks the owner which of two that contradict each other holds; the yes ends the older', async () => {
    const rig = openRig({
      model: looks((asked) =>
        lines({ op: 'CONTRADICT', older: knownAs(asked as never, 'never'), newer: knownAs(asked as never, 'loves') }),
      ),
    });
    rig.add('The owner never drinks coffee.');
    await rig.record.clock.advance(1_000);
    rig.add('The owner loves coffee.');
    await night(rig);
    const [question] = rig.questions.list();
    expect(question).toMatchObject({ kind: 'contradiction', item: { text: 'The owner never drinks coffee.' } });
    rig.questions.answer(question!.id, true);
    expect(rig.holds()).toEqual(['The owner loves coffee.']);
  });

  it('asks a thing once: not while it is open, and not after a no', async () => {
    const rig = openRig({
      model: looks((asked) =>
        lines({ op: 'SAME', ids: [knownAs(asked as never, 'drinks'), knownAs(asked as never, 'takes')] }),
      ),
    });
    rig.add('The owner drinks tea.');
    rig.add('The owner takes tea.');
    await night(rig);
    rig.add('Something new.');
    await night(rig);
    expect(rig.questions.list()).toHaveLength(1);
    rig.questions.answer(rig.questions.list()[0]!.id, false);
    await rig.record.clock.advance(1_000);
    rig.add('Something newer.');
    await night(rig);
    expect(rig.questions.list()).toEqual([]);
  });

  it('does not ask the model again when nothing was added', async () => {
    const rig = openRig({ model: looks(() => lines({ op: 'NONE' })) });
    rig.add('One.');
    rig.add('Two.');
    await rig.record.clock.advance(1_000);
    for (let i = 0; i < 3; i++) await night(rig);
    expect(rig.asked).toHaveLength(1);
  });

  it.each([
    ['lines that share nothing', { op: 'SAME', ids: ['m1', 'm2'] }],
    ['a line with itself', { op: 'SAME', ids: ['m1', 'm1'] }],
    ['lines that were not shown', { op: 'SAME', ids: ['m1', 'm9'] }],
    ['a contradiction with itself', { op: 'CONTRADICT', older: 'm1', newer: 'm1' }],
    ['nonsense', { op: 'SAME', ids: 7, keep: {} }],
  ])('takes no word for %s', async (_, answer) => {
    const rig = openRig({ model: looks(() => lines(answer)) });
    rig.add('The owner drinks tea.');
    rig.add('Ada lives in Rome.');
    expect(await night(rig)).toMatchObject({ questions: 0, added: [], retired: [] });
    expect(rig.questions.list()).toEqual([]);
  });

  it('makes up for a summary that was never made', async () => {
    let said = false;
    const rig = openRig({
      model: () => (said ? lines({ op: 'SUMMARY', text: 'About the trip.' }) : lines({ op: 'NOOP' })),
    });
    rig.say('Let us plan the trip.');
    await rig.consolidation.run('idle', { dryRun: false });
    expect(rig.live()).toEqual([]);
    said = true;
    const run = await night(rig);
    expect(run.added).toMatchObject([{ tier: 'session', about: rig.sessionId, text: 'About the trip.' }]);
    expect((await night(rig)).added).toEqual([]);
  });
});

describe('in time', () => {
  async function awake(rig: Rig, work: () => Promise<void>) {
    rig.consolidation.start();
    try {
      await settle();
      await work();
    } finally {
      await rig.consolidation.stop();
    }
  }
  const nights = (rig: Rig) =>
    rig.record.db
      .prepare<[], { kind: string; key: string }>(
        "SELECT kind, key FROM memory_jobs WHERE kind <> 'idle' ORDER BY key, kind",
      )
      .all()
      .map(({ kind, key }) => `${kind} ${key}`);

  it('a new home has no night behind it; the next one is at three', async () => {
    // It is Friday, 20 November 2026, 8:00.
    const rig = openRig({ model: () => 'none' });
    rig.say('hello');
    await awake(rig, async () => {
      expect(nights(rig)).toEqual([]);
      for (let hour = 9; hour <= 24 + 2; hour++) {
        await rig.record.clock.advance(3_600_000);
        await settle();
      }
      expect(nights(rig)).toEqual([]);
      await rig.record.clock.advance(3_600_000);
      await settle();
      expect(nights(rig)).toEqual(['nightly 2026-11-21']);
      await rig.record.clock.advance(3_600_000);
      await settle();
      expect(nights(rig)).toEqual(['nightly 2026-11-21']);
    });
  });

  it('one that was missed is made up for at the next start, once, and the week with it', async () => {
    const rig = openRig({ model: () => 'none' });
    rig.say('hello');
    await rig.record.clock.advance(10 * DAY);
    await awake(rig, settle);
    expect(nights(rig)).toEqual(['nightly 2026-11-30', 'weekly 2026-11-30']);
    const next = rig.again();
    await awake(next, settle);
    expect(nights(next)).toEqual(['nightly 2026-11-30', 'weekly 2026-11-30']);
  });

  it('by hand it may be done again', async () => {
    const rig = openRig({ model: () => 'none' });
    await night(rig);
    await night(rig);
    expect(nights(rig)).toEqual(['nightly 2026-11-20', 'nightly 2026-11-20+1']);
  });
});

describe('the week', () => {
  it('lays summaries of silent sessions cold, and what something else took the place of', async () => {
    const rig = openRig({ model: () => lines({ op: 'SUMMARY', text: 'About tea.' }) });
    for (let i = 0; i < 12; i++) rig.add(`Fact ${i}.`);
    const other = rig.record.newSession();
    rig.say('Tea?', other);
    await rig.consolidation.run('idle', { dryRun: false, sessionId: other });
    rig.add('Paris', { subject: 'owner', slot: 'home' });
    await rig.record.clock.advance(1_000);
    const moved = rig.draft('Berlin', { subject: 'owner', slot: 'home' });
    rig.save(moved);
    expect((await week(rig)).retired).toEqual([]);
    await rig.record.clock.advance(31 * DAY);
    const run = await week(rig);
    expect(run.retired.map(({ text }) => text).toSorted()).toEqual(['About tea.', 'Paris']);
    expect(archived(rig).toSorted()).toEqual(['About tea.', 'Paris']);
    expect(
      rig
        .holds()
        .filter((text) => text === 'Berlin' || text === 'About tea.' || text === 'Paris')
        .toSorted(),
    ).not.toContain('Paris');
    expect(rig.holds()).toContain('Berlin');
    // As of then, it is still told.
    expect(rig.holds(moved.validFrom - 500)).toContain('Paris');
    expect((await week(rig)).retired).toEqual([]);
    rig.changes.undo(run.changeId!);
    expect(rig.items.byAbout('owner', 'summary', other)).toMatchObject({ text: 'About tea.', tier: 'session' });
  });

  it('reports how much there is', async () => {
    const rig = openRig({ deps: { sizes: () => ({ docs: 7 }) } });
    rig.add('Fact.');
    const run = await week(rig);
    expect(run.summary).toMatch(/reference 1, .*file_bytes \d{4,}, docs 7/);
    expect(rig.consolidation.status().recent).toMatchObject([
      { kind: 'weekly', progress: { sizes: { reference: 1, docs: 7 } } },
    ]);
  });
});

describe('whatever ends the process', () => {
  async function livesOn(kind: 'nightly' | 'weekly', point: ConsolidationPoint | null) {
    let optimized = 0;
    const optimize = async () => {
      optimized += 1;
    };
    const options: RigOptions = {
      model: (asked) =>
        asked.system.includes('look over')
          ? lines({ op: 'SAME', ids: ['m1', 'm2'] })
          : lines({ op: 'SUMMARY', text: 'About tea.' }),
      deps: { optimize, backup: async () => {} },
    };
    const first = openRig({ ...options, ...(point && { dieAt: point }) });
    first.add('The owner drinks green tea.');
    first.add('The owner drinks black tea.');
    twice(first, 'Likes cake.');
    first.add('Done.', { tier: 'state', expiresAt: first.record.clock.now() + 1 });
    await first.record.clock.advance(40 * DAY);
    const died = await first.consolidation.run(kind, { dryRun: false }).then(
      () => false,
      (error: unknown) => error instanceof Death,
    );
    const next = first.again({ ...options });
    // A failure that was noted is tried again after a pause; what nobody noted, at once.
    for (let lives = 0; lives < 2; lives++) {
      next.consolidation.start();
      await settle();
      await next.consolidation.stop();
      await next.record.clock.advance(120_000);
    }
    const jobs = next.record.db
      .prepare<[string], { state: string }>('SELECT state FROM memory_jobs WHERE kind = ?')
      .all(kind);
    return { died, optimized, jobs, essence: essence(next) };
  }

  it.each([
    'memory.job_begun',
    'memory.answered',
    'memory.before_commit',
    'memory.after_commit',
    'memory.optimized',
    'memory.backed_up',
  ] as const)('%s in the night: one result', async (point) => {
    const whole = await livesOn('nightly', null);
    const one = await livesOn('nightly', point);
    expect(one.died).toBe(true);
    expect(one.jobs).toEqual([{ state: 'done' }]);
    const known = (lived: typeof whole) => {
      const { items, questions } = lived.essence as { items: unknown[]; questions: unknown };
      return { items: items.map((item) => JSON.stringify(item)).toSorted(), questions };
    };
    expect(known(one).items).toEqual(known(whole).items);
    expect(known(one).questions).toEqual(known(whole).questions);
    expect(one.optimized).toBe(point === 'memory.optimized' ? 2 : 1);
  });

  it('a row that a death left at work is taken up at the next start', async () => {
    const rig = openRig({ model: () => 'none' });
    rig.say('hello');
    await rig.record.clock.advance(10 * DAY);
    rig.record.db.tx(() =>
      rig.record.db
        .prepare(
          "INSERT INTO memory_jobs VALUES ('mjob_1', 'nightly', '2026-11-30', 'running', '{}', 1, NULL, ?, NULL)",
        )
        .run(rig.record.clock.now()),
    );
    rig.consolidation.start();
    await settle();
    await rig.consolidation.stop();
    expect(rig.consolidation.status()).toMatchObject({ last_nightly: '2026-11-30' });
  });
});
