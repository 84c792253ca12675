// The monitor over real sandboxes, minutes made seconds: what is stuck is found inside its limit, what is slow is left alone.
import { existsSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import { HURRIED, openGround, type Program, type Watched } from './ground.ts';

const works = process.platform === 'linux' && existsSync('/usr/bin/bwrap') && existsSync('/usr/bin/perl');
if (!works) test.skip('bubblewrap is not installed (apt-get install bubblewrap)');

/** Looks until it counts, and a machine that is busy with other things. */
const SLACK_MS = 5_000;
const KILLING = new Set(['interrupt', 'restart', 'hand_off']);
const ask = (url: string) => ['curl', '-sS', '--proxy', 'http://127.0.0.1:3128', url];
const perl = (script: string) => ['perl', '-e', `$|=1; ${script}`];

const sameCall: Program['log'] = (say) => {
  for (let n = 0; n < 3; n++) {
    const id = say('agent.tool_use', { name: 'bash', input: { command: 'make' } });
    say('agent.tool_result', {
      tool_use_id: id,
      is_error: true,
      content: [{ type: 'text', text: `no rule, ${n}.5s` }],
    });
  }
};

describe.skipIf(!works)('stuck runs', () => {
  it('each is caught inside its limit, and what dies again at the same point is handed off', async () => {
    const ground = await openGround({ restarts: true });
    onTestFinished(() => ground.close());
    const cases: [string, Program, readonly string[], number][] = [
      ['stdin', { argv: ['cat'], stdin: 'open' }, ['stuck'], HURRIED.softMs],
      ['sleep loop', { argv: ['sh', '-c', 'while :; do sleep 1; done'] }, ['stuck'], HURRIED.softMs],
      [
        'black hole',
        { argv: perl('socketpair(my $a, my $b, 1, 1, 0) or die; readline $a') },
        ['stuck'],
        HURRIED.softMs,
      ],
      ['black hole behind the broker', { argv: ask(ground.holeUrl) }, ['stuck'], HURRIED.requestMs],
      ['busy loop', { argv: perl('1 while 1') }, ['spinning'], HURRIED.spinMs + HURRIED.freshMs],
      ['same call', { argv: ['sleep', '600'], log: sameCall }, ['looping'], 0],
      ['silent death', { argv: ['true'] }, ['lost'], HURRIED.emptyMs + HURRIED.freshMs],
      [
        'sandbox dies',
        { argv: ['sleep', '600'], started: (sandbox) => sandbox.kill('the machine did it') },
        ['lost'],
        0,
      ],
      [
        'chatty',
        { argv: perl('while (1) { print "working\\n"; select undef, undef, undef, 0.2 }') },
        ['stuck'],
        HURRIED.talkMs,
      ],
    ];
    const all = await Promise.all(
      cases.map(async ([name, program, kinds, limit]) => ({
        name,
        kinds,
        limit,
        one: await ground.begin(name, program),
      })),
    );
    const caught = ({ told }: Watched, kinds: readonly string[]) => told.find(({ verdict }) => kinds.includes(verdict));
    await expect.poll(() => ground.atWork.size, { timeout: 50_000, interval: 100 }).toBe(0);
    for (const { name, kinds, limit, one } of all) {
      const first = caught(one, kinds);
      expect(first, `${name}: ${JSON.stringify(one.told)}`).toBeDefined();
      expect(first!.at, name).toBeLessThan(limit + SLACK_MS);
      const did = one.told.flatMap((told) => told.did ?? []);
      const patient = ['note', 'nudge', 'interrupt', 'restart'];
      const life = kinds[0] === 'lost' ? ['restart'] : patient;
      expect(did, name).toEqual([...life, ...life.slice(0, -1), 'hand_off']);
      expect(one.told.at(-1)!.why, name).toMatch(/quarantined/);
    }
    const stdin = all.find(({ name }) => name === 'stdin')!.one;
    expect(caught(stdin, ['stuck'])!.why).toContain('`cat`');
  });
});

/** From a seed, numbers from 0 to below 1 (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe.skipIf(!works)('healthy slow runs', () => {
  const SEED = 20_261_201;
  /** Three times as long as silence that means nothing. */
  const LIFE_MS = 3 * HURRIED.softMs;

  it('none of fifty is interrupted, restarted or handed off', async () => {
    const next = random(SEED);
    const between = (low: number, high: number) => (low + next() * (high - low)).toFixed(3);
    const ground = await openGround({ restarts: false });
    onTestFinished(() => ground.close());
    {
      const kinds: (() => Program)[] = [
        // A compiler: bursts of work and files, a word now and then or none at all.
        () => ({
          argv: perl(
            `my $n = 0; while (1) { my $x = 0; my $end = times + ${between(0.02, 0.08)}; $x++ while times < $end; open my $f, '>', "o" . $n++ % 50; print $f 'x' x ${Math.floor(20_000 + next() * 60_000)}; close $f; select undef, undef, undef, ${between(0.01, 0.05)} }`,
          ),
        }),
        // A model that takes its time.
        () => ({ argv: ask(ground.holeUrl) }),
        // Tests that say nothing until the end.
        () => ({
          argv: perl(
            `while (1) { my $x = 0; my $end = times + ${between(0.01, 0.04)}; $x++ while times < $end; select undef, undef, undef, ${between(0.05, 0.15)} }`,
          ),
        }),
        // A model that is waited for out here.
        () => ({
          argv: null,
          harness: 'native',
          log: (say) => void say('span.model_request_start', {}),
        }),
      ];
      const all: Watched[] = [];
      for (let batch = 0; batch < 50; batch += 17) {
        const runs = await Promise.all(
          Array.from({ length: Math.min(17, 50 - batch) }, (_, n) =>
            ground.begin(`slow ${batch + n}`, kinds[(batch + n) % kinds.length]!()),
          ),
        );
        all.push(...runs);
        await after(LIFE_MS);
        await Promise.all(runs.map(({ run }) => ground.end(run.taskId)));
      }
      const acts = all.flatMap(({ run, told }) =>
        told.filter(({ did }) => did !== null).map((one) => ({ ...one, run: run.taskId })),
      );
      expect(all.length).toBe(50);
      expect(
        acts.filter(({ did }) => KILLING.has(did!)),
        `seed ${SEED}`,
      ).toEqual([]);
      // Each was silent for long enough to be judged by more than its words.
      const judged = all.filter(({ told }) => told.some(({ verdict }) => verdict === 'busy' || verdict === 'waiting'));
      expect(judged.length).toBeGreaterThanOrEqual(45);
    }
  });
});
