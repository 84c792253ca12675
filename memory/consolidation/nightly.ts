// The jobs of the night and of the week: memory put in order, in steps that a crash resumes. What needs a model is left out without one.
import type { Db } from '../../core/db.ts';
import type { Consult, MemoryItem } from '../../core/memory.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Id, Json, JsonObject, Millis } from '../../core/types.ts';
import type { ItemStore } from '../items.ts';
import type { QuestionStore } from '../questions.ts';
import { OWNER, scopeOf } from '../scope.ts';
import type { Meta, Op } from '../types.ts';
import { COMPARE_SYSTEM, comparePrompt, comparisons } from './compare.ts';
import type { ConsolidationPoint } from './failpoints.ts';
import { touchedBy } from './guard.ts';
import type { Idle } from './idle.ts';
import type { Job, Jobs } from './jobs.ts';
import { type Asked, diffOf, emptyPlan, type Plan, type Settle } from './settle.ts';
import type { Tidy } from './tidy.ts';

/** When the model last looked over what is known. */
const COMPARED = 'nightly.compared_at';
const COMPARED_ITEMS = 120;
const COMPARE_TOKENS = 1_000;
/** Summaries made up for in one night. */
const MOST_SUMMARIES = 10;
const LATELY: Millis = 30 * 86_400_000;
const MOST_QUESTIONS = 5;

export interface NightResult {
  parts: { changeId: Id | null; diff: ReturnType<typeof diffOf> }[];
  note: string;
}

export interface NightDeps {
  db: Db;
  sessions: Sessions;
  items: ItemStore;
  questions: QuestionStore;
  jobs: Jobs;
  settle: Settle;
  tidy: Tidy;
  idle: Idle;
  meta: Meta;
  consult: Consult;
  /** The session in which changes of a scope are told that belong to none; null: there is none (any more). */
  homeSession(scope: string): Id | null;
  day(at: number): string;
  /** Cut short by the signal, it is begun anew the next time. */
  optimize(signal: AbortSignal): Promise<void>;
  /** Between pieces of work that nobody waits for. */
  breathe(): Promise<void>;
  backup?(): Promise<void>;
  sizes(): JsonObject;
  now(): Millis;
  crash(point: ConsolidationPoint): void;
}

export interface Nights {
  /** `job` null: a dry run, which reads and writes nothing. Throws when a step failed that can be tried again. */
  nightly(job: Job | null, signal: AbortSignal): Promise<NightResult>;
  weekly(job: Job | null, signal: AbortSignal): Promise<NightResult>;
}

export function createNights(deps: NightDeps): Nights {
  const { db, items, jobs, settle, tidy } = deps;
  const unsummed = db.prepare<[Millis, number], { id: string }>(
    `SELECT m.session_id AS id FROM memory_marks m JOIN sessions s ON s.id = m.session_id
     WHERE s.deleted_at IS NULL AND s.archived_at IS NULL AND s.updated_at > ?
       AND NOT EXISTS (SELECT 1 FROM memory_items i WHERE i.about = m.session_id AND i.kind = 'summary')
     ORDER BY s.updated_at DESC LIMIT ?`,
  );

  /** Sessions whose summary was never made, or was forgotten with something it told. */
  const missingSummaries = async (signal: AbortSignal): Promise<Map<string, Op[]>> => {
    const found = new Map<string, Op[]>();
    for (const { id } of unsummed.all(deps.now() - LATELY, MOST_SUMMARIES)) {
      const session = deps.sessions.get(id);
      const scope = session && scopeOf(session);
      if (!session || !scope || signal.aborted) continue;
      const made = await deps.idle.summary(session, signal);
      if (made.kind === 'op') found.set(scope, [...(found.get(scope) ?? []), made.op]);
      else if (made.kind !== 'nothing') break;
    }
    return found;
  };

  /** Only when something was added since the last look. Null: nobody was asked. */
  const compare = async (signal: AbortSignal): Promise<Asked[] | null> => {
    const since = Number(deps.meta.get(COMPARED) ?? 0);
    if (tidy.knownSince(OWNER, since, 1).length === 0) return null;
    const shown = tidy.knownSince(OWNER, 0, COMPARED_ITEMS).toReversed();
    const sessionId = shown.length < 2 ? null : deps.homeSession(OWNER);
    if (!sessionId) return null;
    const known = new Map<string, MemoryItem>(shown.map((item, at) => [`m${at + 1}`, item]));
    const answer = await deps.consult({
      sessionId,
      system: COMPARE_SYSTEM,
      prompt: comparePrompt(known, deps.day),
      maxTokens: COMPARE_TOKENS,
      signal,
    });
    return answer.kind === 'answered' ? comparisons(answer.text, known, items.quotes) : null;
  };

  const stillStands = (asked: Asked): boolean =>
    (asked.proposal.parents ?? []).every((id) => {
      const item = items.get(id);
      return item?.retiredAt === null && item.validTo === null;
    }) && !deps.questions.wasRejected(asked.proposal);

  /** Found before, with others at work between. */
  const stillHolds = (op: Op): boolean =>
    touchedBy(op).every((id) => {
      const item = items.get(id);
      return item?.retiredAt === null && item.validTo === null;
    });

  const planOf = (scope: string, ops: readonly Op[], asks: readonly Asked[], kind: string): Plan => {
    const home = deps.homeSession(scope);
    if (!home) return emptyPlan(scope);
    const open = asks.filter(stillStands).slice(0, MOST_QUESTIONS);
    return settle.trim({ ...emptyPlan(scope), ops: [...ops], asks: open }, 'wait', { sessionId: home, kind });
  };

  /** One change for each scope, all with the progress of the job in one transaction. */
  const write = (
    job: Job | null,
    kind: 'nightly' | 'weekly',
    plans: () => Plan[],
    more: () => void = () => {},
  ): NightResult['parts'] => {
    const shown = (plan: Plan) => ({ changeId: null as Id | null, diff: diffOf(plan, items) });
    const isSome = ({ ops, asks, refused }: Plan) => ops.length + asks.length + refused.length > 0;
    if (!job) return plans().filter(isSome).map(shown);
    if (job.progress.items !== undefined) return [];
    const parts = db.tx(() => {
      const done = plans()
        .filter(isSome)
        .map((plan) => {
          const part = shown(plan);
          part.changeId = settle.carryOut(plan, { sessionId: deps.homeSession(plan.scope)!, kind });
          return part;
        });
      more();
      const count = (of: (part: (typeof done)[number]) => number) => done.reduce((sum, part) => sum + of(part), 0);
      const told: Json = {
        changes: done.map(({ changeId }) => changeId).filter((id) => id !== null),
        added: count(({ diff }) => diff.added.length),
        retired: count(({ diff }) => diff.retired.length),
        questions: count(({ diff }) => diff.questions),
        refused: count(({ diff }) => diff.refused.length),
      };
      job.progress = { ...job.progress, items: told };
      jobs.note(job.id, job.progress);
      deps.crash('memory.before_commit');
      return done;
    });
    deps.crash('memory.after_commit');
    return parts;
  };

  /** Once for each job: noted when it is done, done again when the process died before. */
  const once = async (
    job: Job | null,
    name: string,
    work: (signal: AbortSignal) => void | Promise<void>,
    point: ConsolidationPoint,
    signal: AbortSignal,
  ): Promise<void> => {
    if (!job || job.progress[name] === true) return;
    await work(signal);
    if (signal.aborted) return;
    deps.crash(point);
    job.progress = { ...job.progress, [name]: true };
    db.tx(() => jobs.note(job.id, job.progress));
  };

  return {
    async nightly(job, signal) {
      // Before anything is changed.
      if (deps.backup) await once(job, 'backed_up', deps.backup, 'memory.backed_up', signal);
      const asked = job?.progress.items === undefined;
      const at = deps.now();
      const summaries = asked ? await missingSummaries(signal) : new Map<string, Op[]>();
      const asks = asked ? await compare(signal) : null;
      const twice = new Map<string, Op[]>();
      if (asked) for (const scope of tidy.scopes()) twice.set(scope, await tidy.duplicates(scope, deps.breathe));
      deps.crash('memory.answered');
      if (signal.aborted) return { parts: [], note: 'It was stopped, and goes on later.' };
      const parts = write(
        job,
        'nightly',
        () =>
          [...new Set([...tidy.scopes(), ...summaries.keys()])].map((scope) => {
            const fresh = (summaries.get(scope) ?? []).filter(
              (op) => op.kind === 'add' && !items.byAbout(scope, 'summary', op.draft.about!),
            );
            const merges = (twice.get(scope) ?? []).filter(stillHolds);
            const ops = [...fresh, ...tidy.expired(scope), ...merges];
            return planOf(scope, ops, scope === OWNER ? (asks ?? []) : [], 'nightly');
          }),
        () => {
          if (asks) deps.meta.set(COMPARED, String(at));
        },
      );
      await once(job, 'optimized', deps.optimize, 'memory.optimized', signal);
      return { parts, note: '' };
    },

    async weekly(job, signal) {
      if (signal.aborted) return { parts: [], note: 'It was stopped, and goes on later.' };
      const parts = write(job, 'weekly', () =>
        tidy
          .scopes()
          .map((scope) => planOf(scope, [...tidy.oldSummaries(scope), ...tidy.history(scope)], [], 'weekly')),
      );
      if (job) jobs.prune(deps.now() - LATELY);
      const sizes = deps.sizes();
      if (job) {
        job.progress = { ...job.progress, sizes };
        db.tx(() => jobs.note(job.id, job.progress));
      }
      return {
        parts,
        note: `Sizes: ${Object.entries(sizes)
          .map(([name, size]) => `${name} ${String(size)}`)
          .join(', ')}.`,
      };
    },
  };
}
