// Runs of consolidation, one at a time: all parts of a session, a night, a week; because they are due, or by hand.
import { StewardError } from '../../core/errors.ts';
import type { MemoryRun } from '../../core/memory.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Id } from '../../core/types.ts';
import type { ConsolidationPoint } from './failpoints.ts';
import { type Idle, mergeRuns, type PartResult } from './idle.ts';
import type { JobKind, Jobs } from './jobs.ts';
import type { NightResult, Nights } from './nightly.ts';
import type { Ranges } from './ranges.ts';

/** Parts of one session in one go, so that a long one does not keep the others waiting. */
const MOST_PARTS = 20;

type Part = { changeId: Id | null; diff: Extract<PartResult, { kind: 'done' }>['diff'] };

export interface Runs {
  session(id: Id, signal: AbortSignal): Promise<{ ended: PartResult['kind']; why: string }>;
  /** Null: it was done before. Throws what ended it; it can be begun again. */
  night(kind: 'nightly' | 'weekly', key: string, signal: AbortSignal): Promise<NightResult | null>;
  byHand(kind: JobKind, options: { dryRun: boolean; sessionId?: Id }, signal: AbortSignal): Promise<MemoryRun>;
  /** When nothing is at work any more. */
  quiet(): Promise<void>;
}

export function createRuns(deps: {
  sessions: Pick<Sessions, 'need'>;
  jobs: Jobs;
  ranges: Ranges;
  idle: Idle;
  nights: Nights;
  /** The night or week that is up. */
  keyOf(kind: 'nightly' | 'weekly'): string;
  crash(point: ConsolidationPoint): void;
}): Runs {
  const { jobs, idle, nights } = deps;
  let last: Promise<unknown> = Promise.resolve();

  /** One thing at a time: two runs never work on the same memory. */
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work);
    last = turn.catch(() => {});
    return turn;
  };

  /** Part after part, as long as there is more. */
  const consolidate = async (
    sessionId: Id,
    options: { dryRun: boolean; signal: AbortSignal },
  ): Promise<{ parts: Part[]; ended: PartResult['kind']; why: string }> => {
    const parts: Part[] = [];
    let from: number | undefined;
    for (let count = 0; count < MOST_PARTS; count++) {
      const result = await idle.part(sessionId, { ...options, ...(options.dryRun && from !== undefined && { from }) });
      if (result.kind !== 'done') return { parts, ended: result.kind, why: result.kind === 'failed' ? result.why : '' };
      parts.push(result);
      from = result.upTo;
      if (!result.more) break;
      await new Promise(setImmediate);
    }
    return { parts, ended: 'done', why: '' };
  };

  const doNight = async (kind: 'nightly' | 'weekly', key: string, signal: AbortSignal) => {
    const job = jobs.begin(kind, key);
    if (!job) return null;
    deps.crash('memory.job_begun');
    try {
      const result = await nights[kind](job, signal);
      if (signal.aborted) jobs.cancel(job.id);
      else jobs.finish(job.id, job.progress);
      return result;
    } catch (error) {
      jobs.fail(job.id, error instanceof StewardError ? error.message : 'A step failed; the log of Steward says why.');
      throw error;
    }
  };

  const runIdle = async (options: { dryRun: boolean; sessionId?: Id }, signal: AbortSignal): Promise<MemoryRun> => {
    if (options.sessionId) deps.sessions.need(options.sessionId);
    const ids = options.sessionId ? [options.sessionId] : deps.ranges.pending();
    const parts: Part[] = [];
    let note = '';
    for (const id of ids) {
      const one = await consolidate(id, { dryRun: options.dryRun, signal });
      parts.push(...one.parts);
      if (one.ended === 'none') note = 'No model is set up, so nobody could be asked; what was said stays searchable.';
      if (one.ended === 'failed' && parts.length === 0 && ids.length === 1)
        throw new StewardError('unavailable', `The model could not be asked: ${one.why}`, {
          op: 'consolidate memory',
          hint: 'Nothing is lost: it is tried again later.',
          retryable: true,
        });
      if (one.ended === 'failed') note = `Not everything could be asked: ${one.why}`;
      if (one.ended === 'none') break;
    }
    return mergeRuns('idle', parts, note);
  };

  const runNight = async (kind: 'nightly' | 'weekly', dryRun: boolean, signal: AbortSignal): Promise<MemoryRun> => {
    if (dryRun) {
      const { parts, note } = await nights[kind](null, signal);
      return mergeRuns(kind, parts, note);
    }
    const key = deps.keyOf(kind);
    // By hand it may be done again; each time is a row of its own.
    let name = key;
    for (let again = 1; jobs.get(kind, name)?.state === 'done'; again++) name = `${key}+${again}`;
    const done = await doNight(kind, name, signal);
    return mergeRuns(kind, done?.parts ?? [], done?.note ?? '');
  };

  return {
    session: (id, signal) => alone(() => consolidate(id, { dryRun: false, signal })),
    night: (kind, key, signal) => alone(() => doNight(kind, key, signal)),
    byHand: (kind, options, signal) =>
      alone(() => (kind === 'idle' ? runIdle(options, signal) : runNight(kind, options.dryRun, signal))),
    async quiet() {
      await last;
    },
  };
}
