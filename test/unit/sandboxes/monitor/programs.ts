// What the monitor is tried on: programs that are stuck, each in its way, and programs that are only slow, from a seed.
import { setTimeout as after } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import type { Patience, VerdictKind } from '../../../../sandboxes/monitor/judge.ts';
import { HURRIED, openGround, type Program, type Watched } from './ground.ts';

/** Looks until it counts, and a machine that is busy with other things. */
const SLACK_MS = 5_000;
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

/** Name, program, the verdict it is to get, and how long after its begin at the latest. */
function stuckPrograms(holeUrl: string): [string, Program, VerdictKind, number][] {
  return [
    ['stdin', { argv: ['cat'], stdin: 'open' }, 'stuck', HURRIED.softMs],
    ['sleep loop', { argv: ['sh', '-c', 'while :; do sleep 1; done'] }, 'stuck', HURRIED.softMs],
    ['black hole', { argv: perl('socketpair(my $a, my $b, 1, 1, 0) or die; readline $a') }, 'stuck', HURRIED.softMs],
    ['black hole behind the broker', { argv: ask(holeUrl) }, 'stuck', HURRIED.requestMs],
    ['busy loop', { argv: perl('1 while 1') }, 'spinning', HURRIED.spinMs + HURRIED.freshMs],
    ['same call', { argv: ['sleep', '600'], log: sameCall }, 'looping', 0],
    ['silent death', { argv: ['true'] }, 'lost', HURRIED.emptyMs + HURRIED.freshMs],
    ['sandbox dies', { argv: ['sleep', '600'], started: (sandbox) => sandbox.kill('the machine did it') }, 'lost', 0],
    [
      'chatty',
      { argv: perl('while (1) { print "working\\n"; select undef, undef, undef, 0.2 }') },
      'stuck',
      HURRIED.talkMs,
    ],
  ];
}

/**
 * Each is caught inside its limit, and gets what the ladder has for it. `restarts`: it is begun again and dies again, which
 * ends in a hand-off; otherwise the first restart is the end.
 */
export async function stuckRunsAreCaught(restarts: boolean): Promise<void> {
  const ground = await openGround({ restarts });
  onTestFinished(() => ground.close());
  const all = await Promise.all(
    stuckPrograms(ground.holeUrl).map(async ([name, program, kind, limit]) => ({
      name,
      kind,
      limit,
      one: await ground.begin(name, program),
    })),
  );
  await expect.poll(() => ground.atWork.size, { timeout: 50_000, interval: 100 }).toBe(0);
  for (const { name, kind, limit, one } of all) {
    const caught = one.told.find(({ verdict }) => verdict === kind);
    const story = `${name}: ${JSON.stringify(one.told).slice(0, 3_000)}`;
    expect(caught, story).toBeDefined();
    expect(caught!.at, story).toBeLessThan(limit + SLACK_MS);
    // One that dies is restarted at once; for the others words come first.
    const did = one.told.flatMap((told) => told.did ?? []);
    expect(did.at(-1), story).toBe(restarts ? 'hand_off' : 'restart');
    expect(did.includes('nudge') && did.includes('interrupt'), story).toBe(kind !== 'lost');
    if (restarts) expect(one.told.at(-1)!.why, story).toMatch(/quarantined/);
  }
}

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

type Slow = () => Program;

function slowPrograms(next: () => number, holeUrl: string): Slow[] {
  const between = (low: number, high: number) => (low + next() * (high - low)).toFixed(3);
  return [
    // A compiler: bursts of work and files, a word now and then or none at all.
    () => ({
      argv: perl(
        `my $n = 0; while (1) { my $x = 0; my $end = times + ${between(0.02, 0.08)}; $x++ while times < $end; open my $f, '>', "o" . $n++ % 50; print $f 'x' x ${Math.floor(20_000 + next() * 60_000)}; close $f; select undef, undef, undef, ${between(0.01, 0.05)} }`,
      ),
    }),
    // A model that takes its time.
    () => ({ argv: ask(holeUrl) }),
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
}

/** What was done about healthy slow runs, and how many of them were silent for long enough to be judged by more than words. */
export async function slowRuns(options: {
  seed: number;
  count: number;
  together: number;
  lifeMs: number;
  patience?: Patience;
}): Promise<{ did: string[]; judged: number }> {
  const ground = await openGround({ restarts: false, ...(options.patience && { patience: options.patience }) });
  onTestFinished(() => ground.close());
  const kinds = slowPrograms(random(options.seed), ground.holeUrl);
  const all: Watched[] = [];
  while (all.length < options.count) {
    const size = Math.min(options.together, options.count - all.length);
    const names = Array.from({ length: size }, (_, n) => all.length + n);
    const runs = await Promise.all(names.map((n) => ground.begin(`slow ${n}`, kinds[n % kinds.length]!())));
    all.push(...runs);
    // Not a wait for something: they are to live for so long.
    await after(options.lifeMs);
    await Promise.all(runs.map(({ run }) => ground.end(run.taskId)));
  }
  return {
    did: all.flatMap(({ told, run }) => told.flatMap(({ did, why }) => (did ? [`${run.taskId} ${did}: ${why}`] : []))),
    judged: all.filter(({ told }) => told.some(({ verdict }) => verdict === 'busy' || verdict === 'waiting')).length,
  };
}

/** A monitor that takes every silence for death, whoever is waited for. */
export const BLIND: Patience = { ...HURRIED, requestMs: 0, modelMs: 0, idleCores: Number.POSITIVE_INFINITY };
