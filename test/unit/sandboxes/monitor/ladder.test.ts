// The ladder: each rung after its time, attempts counted, and no sequence of verdicts that makes it go on for ever.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../../../sandboxes/monitor/judge.ts';
import {
  type Act,
  AT_FOOT,
  CALM,
  type Climb,
  climb,
  failed,
  HOLD,
  recall,
} from '../../../../sandboxes/monitor/ladder.ts';
import { runOf } from './signs-of.ts';

const well: Verdict = { kind: 'healthy', why: 'It is at work.', next: 'wait' };
const stuck: Verdict = { kind: 'stuck', why: 'It has said nothing.', next: 'unstick' };
const looping: Verdict = { kind: 'looping', why: 'The same call.', next: 'unstick' };
const lost: Verdict = { kind: 'lost', why: 'Its sandbox is gone.', next: 'replace' };
const over: Verdict = { kind: 'over_limit', why: 'Its time is used up.', next: 'end' };

interface Look {
  verdict: Verdict;
  point?: string;
  attempts?: number;
}

/** What was done, with the look at which it was. */
function play(looks: readonly Look[], from: Climb = AT_FOOT, step = climb): { at: number; act: Act }[] {
  let now = from;
  return looks.flatMap(({ verdict, point = 'p', attempts = 1 }, at) => {
    const { climb: next, act } = step(now, verdict, runOf({ attempts }), point);
    now = next;
    return act ? [{ at, act }] : [];
  });
}
const times = (count: number, look: Look): Look[] => Array.from({ length: count }, () => look);
const did = (looks: readonly Look[], from?: Climb) => play(looks, from).map(({ act }) => act.did);

describe('the ladder', () => {
  it('note, nudge, interrupt, restart: each when the verdict has held for as many looks', () => {
    const acts = play(times(100, { verdict: stuck }));
    expect(acts.slice(0, 4).map(({ act }) => act.did)).toEqual(['note', 'nudge', 'interrupt', 'restart']);
    const [note, nudge, interrupt, restart] = [HOLD.note, HOLD.nudge, HOLD.interrupt, HOLD.restart];
    const sums = [note, note + nudge, note + nudge + interrupt, note + nudge + interrupt + restart];
    expect(acts.slice(0, 4).map(({ at }) => at + 1)).toEqual(sums);
  });

  it('a verdict that does not hold leads to nothing; one kind of trouble after the other counts as one', () => {
    const flicker = Array.from({ length: 60 }, (_, at): Look => ({ verdict: at % 2 ? well : stuck }));
    expect(did(flicker)).toEqual([]);
    expect(did([{ verdict: stuck }, { verdict: looping }])).toEqual(['note']);
  });

  it('healed, the next trouble begins with a note; but words that did not help for long are not said for ever', () => {
    const trouble = [...times(HOLD.note + HOLD.nudge, { verdict: stuck }), ...times(CALM, { verdict: well })];
    const three = [...trouble, ...trouble, ...trouble, ...times(HOLD.note + HOLD.interrupt, { verdict: stuck })];
    expect(did(three)).toEqual(['note', 'nudge', 'note', 'nudge', 'note', 'note', 'interrupt']);
  });

  it('a pause shorter than a minute is no healing: it goes on where it was', () => {
    const looks = [
      ...times(HOLD.note, { verdict: stuck }),
      { verdict: well },
      ...times(HOLD.nudge, { verdict: stuck }),
    ];
    expect(did(looks)).toEqual(['note', 'nudge']);
  });

  it('what is lost is restarted at once, with words on what happened', () => {
    const act = play([{ verdict: lost }])[0]!.act;
    expect(act.did).toBe('restart');
    expect(act.words).toMatch(/gone.*new sandbox.*last checkpoint/);
  });

  it('after its attempts it is handed off, once, and nothing more is done', () => {
    const looks = [1, 2, 3, 3, 3].map((attempts): Look => ({ verdict: lost, attempts, point: `p${attempts}` }));
    const acts = play(looks);
    expect(acts.map(({ act }) => act.did)).toEqual(['restart', 'restart', 'hand_off']);
    expect(acts.at(-1)!.act.why).toMatch(/attempt 3 of 3/);
  });

  it('attempts are counted here too, when nobody else does', () => {
    const looks = [1, 2, 3, 4, 5].map((n): Look => ({ verdict: lost, attempts: 1, point: `p${n}` }));
    expect(did(looks)).toEqual(['restart', 'restart', 'hand_off']);
  });

  it('one that dies twice at the same point is quarantined', () => {
    const looks: Look[] = [
      { verdict: lost, point: 'bash x' },
      { verdict: well },
      { verdict: lost, point: 'bash x', attempts: 2 },
    ];
    const acts = play(looks);
    expect(acts.map(({ act }) => act.did)).toEqual(['restart', 'hand_off']);
    expect(acts[1]!.act.why).toMatch(/quarantined.*same point/);
    expect(did([looks[0]!, { verdict: lost, point: 'bash y', attempts: 2 }])).toEqual(['restart', 'restart']);
  });

  it('what is used up is handed off at once', () => {
    expect(did(times(3, { verdict: over }))).toEqual(['hand_off']);
  });

  it('an act that could not be done is due again', () => {
    const { climb: at } = climb(AT_FOOT, stuck, runOf(), 'p');
    const before = { ...at, looks: HOLD.note - 1 };
    expect(climb(before, stuck, runOf(), 'p').act?.did).toBe('note');
    expect(did(times(HOLD.note, { verdict: stuck }), failed(before))).toEqual(['note']);
  });

  it('what earlier lives did is read from the log, since the task was last queued', () => {
    const liveness = (did: string | null, point: string) => ({ type: 'task.liveness', payload: { did, point } });
    const log = [liveness('restart', 'p'), liveness('nudge', 'q'), liveness(null, 'q')];
    expect(recall(log)).toMatchObject({ restarts: 1, deaths: ['p'], nudges: 1, rung: 'interrupt' });
    expect(did([{ verdict: lost, attempts: 2 }], recall(log))).toEqual(['hand_off']);
    expect(recall([...log, { type: 'task.status', payload: { to: 'queued' } }])).toEqual(AT_FOOT);
  });
});

/** No verdicts make it act for ever: more than notes and it is over after a bounded number. */
function endless(step: typeof climb): boolean {
  const look = fc.record({
    verdict: fc.constantFrom(well, stuck, looping, lost),
    point: fc.constantFrom('p', 'q', 'r', 's'),
  });
  const wave = fc.constant([
    [{ verdict: stuck, point: 'p' }, 16],
    [{ verdict: well, point: 'p' }, CALM],
  ] as [Look, number][]);
  const waves = fc.array(wave, { minLength: 8, maxLength: 20 }).map((all) => all.flat());
  const mixed = fc.array(fc.tuple(look, fc.integer({ min: 1, max: 30 })), { maxLength: 120 });
  const property = fc.property(fc.oneof(mixed, waves), (all) => {
    const acts = play(
      all.flatMap(([one, count]) => times(count, one)),
      AT_FOOT,
      step,
    ).map(({ act }) => act.did);
    const count = (what: string) => acts.filter((one) => one === what).length;
    const ended = acts.indexOf('hand_off');
    return (
      count('restart') <= 2 &&
      count('nudge') <= 6 &&
      count('interrupt') <= 6 &&
      (ended < 0 || ended === acts.length - 1)
    );
  });
  return fc.check(property, { numRuns: 300, seed: 6 }).failed;
}

describe('it ends', () => {
  it('whatever the verdicts', () => {
    expect(endless(climb)).toBe(false);
  });

  const bad: Record<string, typeof climb> = {
    'forgets its restarts': (before, verdict, run, point) =>
      climb({ ...before, restarts: 0, deaths: [] }, verdict, run, point),
    'forgets what it said': (before, verdict, run, point) =>
      climb({ ...before, nudges: 0, interrupts: 0 }, verdict, run, point),
    'goes on after the hand-off': (before, verdict, run, point) =>
      climb({ ...before, over: false }, verdict, run, point),
  };
  it.each(Object.entries(bad))('known-bad, caught: %s', (_, step) => {
    expect(endless(step)).toBe(true);
  });

  it('known-bad, caught: one that acts on a single look', () => {
    const hasty: typeof climb = (before, verdict, run, point) =>
      climb({ ...before, looks: 99, next: verdict.next }, verdict, run, point);
    const flicker = Array.from({ length: 60 }, (_, at): Look => ({ verdict: at % 2 ? well : stuck }));
    expect(play(flicker, AT_FOOT, hasty)).not.toEqual([]);
  });
});
