// What to do about a verdict, given what was done before: note, nudge, interrupt, restart, hand off. Pure, and it always ends.
import type { JsonObject, LogEvent } from '../../core/types.ts';
import type { Run, Verdict } from './judge.ts';

export const RUNGS = ['note', 'nudge', 'interrupt', 'restart', 'hand_off'] as const;
export type Rung = (typeof RUNGS)[number];

/** Looks in a row that a verdict must hold before the rung is taken: five seconds each. */
export const HOLD: Readonly<Record<Rung, number>> = { note: 2, nudge: 4, interrupt: 12, restart: 12, hand_off: 12 };
/** As many good looks in a row and the next trouble begins at the first rung. */
export const CALM = 12;
/** Of one attempt: words that helped twice and not for long do not help. */
export const AT_MOST: Readonly<Partial<Record<Rung, number>>> = { nudge: 2, interrupt: 2 };

export interface Climb {
  /** Looks in a row with a verdict that this remedy is for. */
  looks: number;
  next: Verdict['next'];
  calm: number;
  /** The next rung of this trouble. */
  rung: Rung;
  /** Of this attempt. */
  nudges: number;
  interrupts: number;
  /** Of the task. */
  restarts: number;
  /** Where in its work each run was that had to be restarted. */
  deaths: readonly string[];
  over: boolean;
}

export const AT_FOOT: Climb = {
  looks: 0,
  next: 'wait',
  calm: 0,
  rung: 'note',
  nudges: 0,
  interrupts: 0,
  restarts: 0,
  deaths: [],
  over: false,
};

/** What is to be done now; `why` is for people, `words` for the agent. */
export interface Act {
  did: Rung;
  why: string;
  words: string;
}

const after = (rung: Rung): Rung => RUNGS[Math.min(RUNGS.indexOf(rung) + 1, RUNGS.length - 1)]!;

/** The rung that is due, past those that are used up. */
function due(climb: Climb): Rung {
  let rung = climb.rung;
  if (rung === 'nudge' && climb.nudges >= AT_MOST.nudge!) rung = 'interrupt';
  if (rung === 'interrupt' && climb.interrupts >= AT_MOST.interrupt!) rung = 'restart';
  return rung;
}

/** Why there may be no further run; null: there may. */
function noMore(climb: Climb, run: Pick<Run, 'attempts' | 'limits'>, point: string): string | null {
  // Whoever counts attempts does it before a run; we count too, so that one who forgets it cannot make this go on for ever.
  const attempts = Math.max(run.attempts, climb.restarts + 1);
  if (attempts >= run.limits.attempts) return `That was attempt ${attempts} of ${run.limits.attempts}.`;
  if (climb.deaths.includes(point))
    return 'It is quarantined: a run before it ended at the same point of its work, so another one would too.';
  return null;
}

function wordsFor(rung: Rung, { kind, why }: Verdict): string {
  if (rung === 'nudge') {
    const advice =
      kind === 'looping'
        ? 'Do something else, or say what keeps you from it.'
        : 'If a command waits for input or does not end, end it, and run it without input and with a time limit.';
    return `[Steward, which watches over this task:] ${why} ${advice}`;
  }
  if (rung === 'restart')
    return `[Steward:] The run before this one was ended: ${why} This is a new sandbox with the files of the last checkpoint. Look at what is there, and do it in another way.`;
  return why;
}

/** After this verdict: where things stand, and the act that is due. The act counts as done; see `failed`. */
export function climb(
  before: Climb,
  verdict: Verdict,
  run: Pick<Run, 'attempts' | 'limits'>,
  point: string,
): { climb: Climb; act: Act | null } {
  if (before.over) return { climb: before, act: null };
  if (verdict.next === 'wait') {
    const calm = before.calm + 1;
    return {
      climb: { ...before, next: 'wait', looks: 0, calm, ...(calm >= CALM && { rung: 'note' as const }) },
      act: null,
    };
  }
  const looks = verdict.next === before.next ? before.looks + 1 : 1;
  const held: Climb = { ...before, next: verdict.next, looks, calm: 0 };
  const rung = verdict.next === 'end' ? 'hand_off' : verdict.next === 'replace' ? 'restart' : due(held);
  if (verdict.next === 'unstick' && looks < HOLD[rung]) return { climb: held, act: null };
  const refused = rung === 'restart' ? noMore(held, run, point) : null;
  const did: Rung = refused ? 'hand_off' : rung;
  const why = refused ? `${verdict.why} ${refused}` : verdict.why;
  return { climb: taken(held, did, point), act: { did, why, words: wordsFor(did, verdict) } };
}

/** The act was done. */
function taken(held: Climb, did: Rung, point: string): Climb {
  switch (did) {
    case 'note':
      return { ...held, looks: 0, rung: after(did) };
    case 'nudge':
      return { ...held, looks: 0, rung: after(did), nudges: held.nudges + 1 };
    case 'interrupt':
      return { ...held, looks: 0, rung: after(did), interrupts: held.interrupts + 1 };
    case 'restart':
      return { ...AT_FOOT, restarts: held.restarts + 1, deaths: [...held.deaths, point] };
    case 'hand_off':
      return { ...held, over: true };
  }
}

/** The act could not be done: as before it, to be tried again after as many looks. */
export const failed = (before: Climb): Climb => ({ ...before, looks: 0 });

/** From the log, for a monitor that begins: what earlier lives did for this task since it was last queued. */
export function recall(log: readonly Pick<LogEvent, 'type' | 'payload'>[]): Climb {
  return log.reduce((seen, { type, payload }) => {
    if (type === 'task.status') return payload.to === 'queued' ? AT_FOOT : seen;
    if (type !== 'task.liveness') return seen;
    const did = RUNGS.find((rung) => rung === (payload as JsonObject).did);
    return did ? taken(seen, did, String(payload.point ?? '')) : seen;
  }, AT_FOOT);
}
