// The tick of the monitor: looks at every run, judges, writes down what changed, and acts through whoever started the runs.
import type { Clock } from '../../core/clock.ts';
import { describeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Id, Millis } from '../../core/types.ts';
import { judge, type Patience, type Run, type VerdictKind } from './judge.ts';
import { type Act, type Climb, climb, failed, type Rung } from './ladder.ts';
import type { Looked, SignsOf } from './signs.ts';

export const TICK_MS: Millis = 5_000;
/** An act that fails this often in a row ends in a hand-off. */
const FAILURES = 3;

/** What the monitor may do; each may be asked again for the same run and must bear it. */
export interface Actions {
  /** On the task's card. */
  note(run: Run, text: string): Promise<void>;
  /** Words to the agent. */
  nudge(run: Run, words: string): Promise<void>;
  /** Ends what it does now, not the run. */
  interrupt(run: Run, why: string): Promise<void>;
  /** Ends the run and its sandbox, and begins another from the last checkpoint with `words` to the agent. */
  restart(run: Run, why: string, words: string): Promise<void>;
  /** No further run. */
  handOff(run: Run, why: string): Promise<void>;
}

/** The payload of `task.liveness`. */
export interface Liveness {
  verdict: VerdictKind;
  why: string;
  did: Rung | null;
  attempt: number;
  point: string;
}

export interface WatchDeps {
  clock: Clock;
  log: Log;
  /** Those whose harness is at work now; neither paused nor waiting for the outer loop. */
  runs(): readonly Run[];
  signs: SignsOf;
  actions: Actions;
  /** Before the act it explains. Throws when the record fails: then nothing is done. */
  tell(run: Run, said: Liveness): void;
  /** What earlier lives did for this task. */
  recall(run: Run): Climb;
  patience?: Patience;
  tickMs?: Millis;
}

export interface Watch {
  start(): void;
  /** One look at every run that is not being acted upon; resolves when all acts are done. */
  pass(): Promise<void>;
  /** The last verdict on a task. */
  verdict(taskId: Id): { kind: VerdictKind; why: string } | null;
  stop(): Promise<void>;
}

/** Breathing between words is no news. */
const told = (kind: VerdictKind): VerdictKind => (kind === 'quiet' ? 'healthy' : kind);

const isSame = (a: Run, b: Run): boolean =>
  a.taskId === b.taskId && a.attempts === b.attempts && a.sandbox?.id === b.sandbox?.id;

interface Watched {
  climb: Climb;
  kind: VerdictKind | null;
  why: string;
  failures: number;
  /** Being looked at or acted upon. */
  busy: boolean;
}

export function createWatch(deps: WatchDeps): Watch {
  const { clock, log, signs, actions } = deps;
  const watched = new Map<Id, Watched>();
  const stopping = new AbortController();
  let passing = new Set<Promise<void>>();
  let ticking: Promise<void> | null = null;

  const watchedOf = (run: Run): Watched => {
    const known = watched.get(run.taskId);
    if (known) return known;
    const fresh: Watched = { climb: deps.recall(run), kind: null, why: '', failures: 0, busy: false };
    // A run that is at work again after a hand-off was begun by its owner.
    if (fresh.climb.over) fresh.climb = { ...fresh.climb, over: false };
    watched.set(run.taskId, fresh);
    return fresh;
  };

  const carryOut = (run: Run, { did, why, words }: Act): Promise<void> => {
    switch (did) {
      case 'note':
        return actions.note(run, why);
      case 'nudge':
        return actions.nudge(run, words);
      case 'interrupt':
        return actions.interrupt(run, why);
      case 'restart':
        return actions.restart(run, why, words);
      case 'hand_off':
        return actions.handOff(run, why);
    }
  };

  const act = async (run: Run, one: Watched, due: Act, next: Climb): Promise<void> => {
    const before = one.climb;
    one.climb = next;
    try {
      await carryOut(run, due);
      one.failures = 0;
    } catch (error) {
      log.error({ error, task: run.taskId, did: due.did }, 'what was to be done about a run could not be done');
      one.failures += 1;
      one.climb = failed(before);
      if (one.failures < FAILURES || due.did === 'hand_off') return;
      const why = `${due.why} And it could not be helped (${due.did}): ${describeError(error)}`;
      one.climb = { ...before, over: true };
      await actions.handOff(run, why);
    }
  };

  const consider = async (run: Run, one: Watched): Promise<void> => {
    const seen: Looked = await signs.look(run);
    // It may have ended, or been ended, while it was looked at.
    if (stopping.signal.aborted || !deps.runs().some((now) => isSame(now, run))) return;
    const verdict = judge(run, seen, clock.now(), deps.patience);
    const { climb: next, act: due } = climb(one.climb, verdict, run, seen.point);
    const changed = one.kind === null || told(verdict.kind) !== told(one.kind);
    if (changed || due) {
      const { point } = seen;
      const said = { verdict: verdict.kind, why: due?.why ?? verdict.why, did: due?.did ?? null };
      deps.tell(run, { ...said, attempt: run.attempts, point });
    }
    one.kind = verdict.kind;
    one.why = verdict.why;
    if (due) await act(run, one, due, next);
    else one.climb = next;
  };

  const lookAt = async (run: Run): Promise<void> => {
    let one: Watched | null = null;
    try {
      one = watchedOf(run);
      if (one.busy) return;
      one.busy = true;
      await consider(run, one);
    } catch (error) {
      log.error({ error, task: run.taskId }, 'a run could not be looked at; again in a moment');
    } finally {
      if (one) one.busy = false;
    }
  };

  const pass = (): Promise<void> => {
    const runs = deps.runs();
    const there = new Set(runs.map(({ taskId }) => taskId));
    signs.keep(there);
    // An act takes its run out of the list for a while: what was done is not forgotten, it stands in the log.
    for (const [id, one] of watched) if (!there.has(id) && !one.busy) watched.delete(id);
    const all = Promise.all(runs.map(lookAt)).then(() => {});
    passing.add(all);
    return all.finally(() => passing.delete(all));
  };

  const tick = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await clock.sleep(deps.tickMs ?? TICK_MS, stopping.signal);
      if (stopping.signal.aborted) return;
      try {
        // Not awaited: one slow sandbox keeps nobody else from being looked at.
        void pass();
      } catch (error) {
        log.error({ error }, 'the runs at work could not be listed');
      }
    }
  };

  return {
    pass,
    start() {
      ticking ??= tick();
    },
    verdict(taskId) {
      const one = watched.get(taskId);
      return one?.kind ? { kind: one.kind, why: one.why } : null;
    },
    async stop() {
      stopping.abort();
      await ticking;
      await Promise.all(passing);
      passing = new Set();
    },
  };
}
