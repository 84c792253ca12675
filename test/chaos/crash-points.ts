// The suite that dies at every named place with a call of every effect class, over the web and over Telegram, and must end as if
// nothing had happened. `npm test` takes each place with one class, and every class where a class makes a difference.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FAILPOINTS, type FailpointName } from '../../core/failpoint.ts';
import { audit } from '../helpers/audit.ts';
import { type Case, createTrials, type Plan, type Trial, type Way } from '../helpers/crash-case.ts';
import type { EffectCounts } from '../helpers/effects.ts';
import type { EffectClass } from '../helpers/oracle.ts';
import { makeHome } from '../helpers/process.ts';
import { OWNER, startRig } from '../helpers/rig.ts';

const WAYS: readonly Way[] = ['web', 'telegram'];
const CLASSES: readonly EffectClass[] = ['pure', 'keyed', 'verifiable', 'unsafe'];

/** Every life of these suites is ended on purpose, and at some places before it finished a run. */
const env = { STEWARD_SAFE_MODE_AFTER: '0' };

/** Why a place does not lie on the way of a message; everything else must be passed, and nothing of this may be. */
const WAITS = 'only a call that waits for the owner passes it';
const READ = 'the console reads the log, nothing is sent to it';
const waits = { 'approval.resolved': WAITS, 'run.before_idle': WAITS, 'run.after_idle': WAITS };
const NOT_ON_THE_WAY: Record<Way, Record<'allowed' | 'asked', Partial<Record<FailpointName, string>>>> = {
  telegram: { allowed: waits, asked: {} },
  web: {
    allowed: {
      ...waits,
      'outbox.before_claim': READ,
      'outbox.claimed': READ,
      'outbox.placed': READ,
      'outbox.delivered': READ,
      'outbox.settled': READ,
    },
    asked: { 'outbox.placed': 'the card in the chat of the owner is sent whole' },
  },
};

/** Passed when a schedule is due or a task at work, and never by a message: `test/e2e/schedules.test.ts` and `tasks.test.ts` die there. */
const OF_OTHERS = /^(?:schedule|task)\./;

/** The call was begun, and its result is not in the log. */
const BEGUN: readonly FailpointName[] = ['tool.started', 'tool.acted', 'tool.before_result_commit'];
/** Of these, where the world had already changed. */
const CHANGED: readonly FailpointName[] = ['tool.acted', 'tool.before_result_commit'];

const once: EffectCounts = { applied: 1, seen: 1, looked: 0 };

/** Which layer keeps a class from happening twice: what the world sees when the process dies at this place. */
function worldAfter(effect: EffectClass, point: FailpointName): EffectCounts {
  if (!BEGUN.includes(point)) return once;
  const changed = CHANGED.includes(point);
  const layers: Record<EffectClass, EffectCounts> = {
    // It is simply made again.
    pure: changed ? { applied: 2, seen: 2, looked: 0 } : once,
    // It is made again, and the key holds at the other end.
    keyed: changed ? { applied: 1, seen: 2, looked: 0 } : once,
    // A look comes first, and a call that happened is not made again.
    verifiable: { applied: 1, seen: 1, looked: 1 },
    // It is never made again, whether it happened or not.
    unsafe: changed ? once : { applied: 0, seen: 0, looked: 0 },
  };
  return layers[effect];
}

/** The log of a life without a death, or the one difference that may be: a call in doubt, told as such. */
function essenceAfter(essence: readonly string[], inDoubt: boolean): string[] {
  if (!inDoubt) return [...essence];
  return essence.map((line) =>
    line.startsWith('agent.tool_result')
      ? 'agent.tool_result | In doubt: effect_unsafe was begun and Steward stopped before its end was known; it may or may not have happened. It was not repeated. Tell the owner, and look before you try again. | in_doubt true'
      : line.replace('answer MARK', 'answer MARK in-doubt:MARK'),
  );
}

async function household() {
  const folder = makeHome();
  const passagesFile = join(folder, 'passages');
  const rig = await startRig({ passagesFile, env });
  const close = async () => {
    await rig.close();
    rmSync(folder, { recursive: true, force: true });
  };
  await rig.pair(OWNER, 'owner');
  return { rig, trials: createTrials(rig, { passagesFile, patienceMs: 30_000 }), close };
}

/** Everything about one death that is not as it should be. */
function deviations(one: Case, trial: Trial, essence: readonly string[]): string[] {
  const name = [one.way, one.effect, ...(one.ask ? ['asked'] : []), `${one.point}:${one.nth}`].join(' · ');
  const found = [...trial.findings];
  const differ = (what: string, is: unknown, should: unknown) => {
    if (JSON.stringify(is) !== JSON.stringify(should))
      found.push(`${what} is ${JSON.stringify(is)}, should be ${JSON.stringify(should)}`);
  };
  if (trial.died === 0) found.push('the place was never passed');
  differ('the log', trial.essence, essenceAfter(essence, one.effect === 'unsafe' && BEGUN.includes(one.point)));
  if (!one.twice) differ('the world', trial.world, worldAfter(one.effect, one.point));
  if (trial.placeholders > 0) found.push(`${trial.placeholders} placeholders left`);
  // A card has no edit that settles it: one that may have arrived is sent once more, marked, and the first stays.
  if (trial.openCards > (one.point === 'outbox.delivered' ? trial.died : 0))
    found.push(`${trial.openCards} cards open`);
  return found.map((what) => `${name}${one.twice ? ' twice' : ''}: ${what}`);
}

/** Where recovery passes again what it died of. */
const AGAIN: readonly FailpointName[] = [
  'run.claimed',
  'model.before_commit',
  'tool.started',
  'tool.acted',
  'tool.before_result_commit',
  'outbox.claimed',
  'outbox.placed',
  'outbox.delivered',
];

/**
 * Every place once; `narrow`: only those where the class of the call matters. Second passages (the answer after the call) and second deaths (in the recovery of the first) do not
 * depend on the class, so one class stands for all; a second passage after an approval is a race of two things at work.
 */
function casesOf(plan: Plan, passages: ReadonlyMap<FailpointName, number>, narrow: boolean): Case[] {
  const points = [...passages.keys()].filter((point) => !narrow || plan.effect === 'unsafe' || BEGUN.includes(point));
  const first = points.map((point): Case => ({ ...plan, point, nth: 1 }));
  if (plan.ask) return first;
  const second = points.filter((point) => passages.get(point)! > 1).map((point): Case => ({ ...plan, point, nth: 2 }));
  const again = first.filter(({ point }) => AGAIN.includes(point)).map((one): Case => ({ ...one, twice: true }));
  const more: Partial<Record<EffectClass, Case[]>> = { unsafe: second, keyed: again };
  return [...first, ...(more[plan.effect] ?? [])];
}

const plans: { name: string; plan: Plan }[] = WAYS.flatMap((way) => [
  ...CLASSES.map((effect) => ({ name: `${way}, ${effect}`, plan: { way, effect } })),
  { name: `${way}, unsafe and asked for`, plan: { way, effect: 'unsafe' as const, ask: true } },
]);

export const crashSuite = (options: { narrow: boolean }) =>
  describe.concurrent('a death at any place', () => {
    it.each(plans)(
      '$name',
      async ({ plan }) => {
        const { rig, trials, close } = await household();
        try {
          const { trial: whole, passages } = await trials.reference(plan);
          expect({ ...whole, essence: [] }).toMatchObject({
            died: 0,
            findings: [],
            world: once,
            placeholders: 0,
            openCards: 0,
          });
          const absent = NOT_ON_THE_WAY[plan.way][plan.ask ? 'asked' : 'allowed'];
          expect(FAILPOINTS.filter((point) => !passages.has(point))).toEqual(
            FAILPOINTS.filter((point) => point in absent || OF_OTHERS.test(point)),
          );
          const found: string[] = [];
          for (const one of casesOf(plan, passages, options.narrow))
            found.push(...deviations(one, await trials.run(one), whole.essence));
          found.push(...(await trials.whole()));
          expect(found).toEqual([]);
          expect(await audit(rig)).toEqual([]);
        } finally {
          await close();
        }
      },
      240_000,
    );
  });
