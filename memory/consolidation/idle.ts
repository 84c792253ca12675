// A session's log becomes memory: part by part, one model call each, and one transaction that writes the result and moves the mark.
import type { Db } from '../../core/db.ts';
import type { Consult, MemoryItem, MemoryRun } from '../../core/memory.ts';
import type { Sessions } from '../../core/sessions.ts';
import type { Id, Session } from '../../core/types.ts';
import type { ItemStore } from '../items.ts';
import { scopeOf } from '../scope.ts';
import type { Authority, Draft, Op } from '../types.ts';
import type { ConsolidationPoint } from './failpoints.ts';
import type { Jobs } from './jobs.ts';
import { ANSWER_TOKENS, promptOf, SYSTEM } from './prompt.ts';
import {
  type Checked,
  type CheckFacts,
  checkProposal,
  checkSummary,
  linesById,
  type Parsed,
  parseProposals,
  shortened,
} from './proposals.ts';
import type { Line, Range, Ranges } from './ranges.ts';
import { diffOf, type Plan, type Settle } from './settle.ts';

/** Of conversation in one call. A part that fails again and again is made smaller. */
const PART_TOKENS = 6_000;
/** After so many answers without one readable line, the part is left to search alone. */
const UNREADABLE_TRIES = 3;
/** Lines that are shown as known. */
const ALWAYS = 40;
const RELATED = 40;
/** Of a message, as the source of a summary. */
const SUMMARY_QUOTE = 80;

export type PartResult =
  | { kind: 'done'; changeId: Id | null; diff: ReturnType<typeof diffOf>; upTo: number; more: boolean }
  /** Nothing was said beyond the mark, or nothing is kept of this session. */
  | { kind: 'nothing' }
  /** There is no model to ask. */
  | { kind: 'none' }
  | { kind: 'failed'; why: string }
  /** Told to stop, or overtaken by another: nothing was written, and nothing is lost. */
  | { kind: 'stopped' };

export interface IdleDeps {
  db: Db;
  sessions: Sessions;
  items: ItemStore;
  jobs: Jobs;
  ranges: Ranges;
  settle: Settle;
  consult: Consult;
  isForgotten(text: string): boolean;
  /** Items that these words could be about, best first. */
  related(words: string, scope: string, limit: number): Promise<readonly MemoryItem[]>;
  day(at: number): string;
  crash(point: ConsolidationPoint): void;
}

export interface PartOptions {
  /** From here instead of from the mark (dry runs go on without moving it). */
  from?: number;
  upTo?: number;
  dryRun: boolean;
  signal: AbortSignal;
}

export interface Idle {
  part(sessionId: Id, options: PartOptions): Promise<PartResult>;
  /** A summary for a session that has none, from the end of what was consolidated of it. Nothing is written. */
  summary(
    session: Session,
    signal: AbortSignal,
  ): Promise<{ kind: 'op'; op: Op } | { kind: 'nothing' | 'none' | 'failed' }>;
}

const RANK: Record<Authority, number> = { outside: 0, agent: 1, owner: 2 };

const isLive = (item: MemoryItem): boolean =>
  item.retiredAt === null && item.validTo === null && item.tier !== 'archive';

export function createIdle(deps: IdleDeps): Idle {
  const { db, sessions, items, jobs, ranges, settle, crash } = deps;

  const summaryOf = (scope: string, sessionId: Id): MemoryItem | null => items.byAbout(scope, 'summary', sessionId);

  /** What always stands in a prompt, and what the words could be about; by alias, the same for the same memory. */
  const knownOf = async (scope: string, lines: readonly Line[]): Promise<Map<string, MemoryItem>> => {
    const always = items.list({ scope, tiers: ['identity', 'state'], limit: ALWAYS });
    const words = lines
      .map(({ text }) => text.slice(0, 500))
      .join('\n')
      .slice(0, 8_000);
    const related = await deps.related(words, scope, RELATED);
    const mine = related.filter(
      (item) => item.scope === scope && isLive(item) && item.tier !== 'session' && item.kind !== 'file',
    );
    const all = new Map([...always, ...mine].map((item) => [item.id, item]));
    return new Map([...all.values()].map((item, at) => [`m${at + 1}`, item]));
  };

  const ask = (sessionId: Id, prompt: string, signal: AbortSignal) =>
    deps.consult({ sessionId, system: SYSTEM, prompt, maxTokens: ANSWER_TOKENS, signal });

  /** The rolling summary takes the place of the one before; it rests on every message it is of. */
  const summaryStep = (scope: string, sessionId: Id, text: string, lines: readonly Line[]): Op => {
    const before = summaryOf(scope, sessionId);
    const whose = [...lines.map(({ authority }) => authority), ...(before ? [before.authority] : [])];
    const authority = whose.reduce<Authority>((low, one) => (RANK[one] < RANK[low] ? one : low), 'agent');
    const draft: Draft = {
      scope,
      tier: 'session',
      kind: 'summary',
      subject: null,
      slot: null,
      text,
      authority,
      confidence: 0.6,
      validFrom: Math.max(lines.at(-1)!.at, before?.validFrom ?? 0),
      expiresAt: null,
      about: sessionId,
      sources: lines.map(({ eventId, text: said }) => ({ eventId, quote: firstOf(said) })),
      ...(before && { parents: [before.id] }),
    };
    return before ? { kind: 'supersede', ids: [before.id], draft, why: 'the session went on' } : { kind: 'add', draft };
  };

  /** Everything is looked at as it stands now: what was redacted, retired or forgotten meanwhile counts as such. */
  const planOf = (
    scope: string,
    range: Range,
    now: Range,
    known: ReadonlyMap<string, MemoryItem>,
    parsed: Parsed,
  ): Plan => {
    const fresh = new Map<string, MemoryItem>();
    for (const [alias, { id }] of known) {
      const item = items.get(id);
      if (item && isLive(item)) fresh.set(alias, item).set(id, item);
    }
    const facts: CheckFacts = {
      scope,
      lines: linesById(range.lines, now.lines),
      before: (line) => now.lines[now.lines.findIndex(({ eventId }) => eventId === line.eventId) - 1] ?? null,
      recalled: now.recalled.flatMap((text) => text.split('\n')),
      known: fresh,
      forgotten: deps.isForgotten,
    };
    const refused: string[] = [];
    const passed: Exclude<Checked, { kind: 'refused' }>[] = [];
    const first: Op[] = [];
    for (const proposal of parsed.proposals) {
      if (proposal.op === 'NOOP') continue;
      if (proposal.op === 'SUMMARY') {
        const summary = checkSummary(proposal.text, deps.isForgotten);
        if (!summary || first.length > 0 || now.lines.length === 0) continue;
        if (summary.cut) refused.push('The end of the summary: it was longer than a summary may be.');
        first.push(summaryStep(scope, range.sessionId, summary.text, now.lines));
        continue;
      }
      const checked = checkProposal(proposal, facts);
      if (checked.kind === 'refused') refused.push(`“${shortened(proposal.fields.text)}”: ${checked.why}.`);
      else passed.push(checked);
    }
    if (parsed.beyond > 0) refused.push(`${parsed.beyond} more: too many for one time.`);
    if (parsed.unreadable > 0) refused.push(`${parsed.unreadable} lines that could not be read.`);
    const plan = settle.plan(scope, passed, first);
    const trimmed = settle.trim(plan, 'ask', { sessionId: range.sessionId, kind: 'idle' });
    return { ...trimmed, refused: [...refused, ...trimmed.refused] };
  };

  const kept = (sessionId: Id): { session: Session; scope: string } | null => {
    const session = sessions.get(sessionId);
    const scope = session && scopeOf(session);
    return session && scope ? { session, scope } : null;
  };

  const counts = (upTo: number, diff: ReturnType<typeof diffOf>, changeId: Id | null) => ({
    up_to: upTo,
    added: diff.added.length,
    retired: diff.retired.length,
    questions: diff.questions,
    refused: diff.refused.length,
    change_id: changeId,
  });

  return {
    async part(sessionId, { from, upTo, dryRun, signal }) {
      const before = kept(sessionId);
      if (!before) return { kind: 'nothing' };
      const { scope } = before;
      const mark = from ?? jobs.mark(sessionId);
      const key = `${sessionId}@${mark}`;
      const tries = jobs.get('idle', key)?.attempts ?? 0;
      const tokens = Math.max(1_000, PART_TOKENS >> Math.min(8, Math.floor(tries / 4)));
      const range = ranges.next(sessionId, mark, { tokens, ...(upTo !== undefined && { upTo }) });
      if (!range) return { kind: 'nothing' };
      const nothing = diffOf({ scope, ops: [], restates: [], asks: [], refused: [] }, items);
      if (range.lines.length === 0) {
        // Only what was redacted since.
        if (!dryRun) jobs.move(sessionId, range.from, range.upTo);
        return { kind: 'done', changeId: null, diff: nothing, upTo: range.upTo, more: range.more };
      }
      const known = await knownOf(scope, range.lines);
      const summary = summaryOf(scope, sessionId)?.text ?? null;
      const prompt = promptOf({ lines: range.lines, known, summary, day: deps.day });

      const job = dryRun ? null : jobs.begin('idle', key);
      if (!dryRun && !job) return { kind: 'stopped' };
      crash('memory.job_begun');
      const answer = await ask(sessionId, prompt, signal);
      crash('memory.answered');
      if (signal.aborted || answer.kind === 'none' || !kept(sessionId)) {
        if (job) jobs.cancel(job.id);
        return answer.kind === 'none' ? answer : { kind: 'stopped' };
      }
      if (answer.kind === 'failed') {
        if (job) jobs.fail(job.id, answer.why);
        return answer;
      }
      const parsed = parseProposals(answer.text);
      const empty = parsed.proposals.length === 0 && (parsed.unreadable > 0 || answer.text.trim() !== '');
      if (empty && tries + 1 < UNREADABLE_TRIES) {
        const why = 'The model answered, and no line of it could be read.';
        if (job) jobs.fail(job.id, why);
        return { kind: 'failed', why };
      }

      const look = () => planOf(scope, range, ranges.again(range), known, parsed);
      if (!job)
        return { kind: 'done', changeId: null, diff: diffOf(look(), items), upTo: range.upTo, more: range.more };
      const result = db.tx((): PartResult => {
        if (jobs.mark(sessionId) !== range.from || !kept(sessionId)) return { kind: 'stopped' };
        const plan = look();
        const diff = diffOf(plan, items);
        const changeId = settle.carryOut(plan, { sessionId, kind: 'idle' });
        jobs.move(sessionId, range.from, range.upTo);
        jobs.finish(job.id, counts(range.upTo, diff, changeId));
        crash('memory.before_commit');
        return { kind: 'done', changeId, diff, upTo: range.upTo, more: range.more };
      });
      crash('memory.after_commit');
      if (result.kind === 'stopped') jobs.cancel(job.id);
      return result;
    },

    async summary(session, signal) {
      const scope = scopeOf(session);
      if (!scope) return { kind: 'nothing' };
      const range = ranges.last(session.id, jobs.mark(session.id), PART_TOKENS);
      if (!range || range.lines.length === 0) return { kind: 'nothing' };
      const input = { lines: range.lines, known: new Map(), summary: null, day: deps.day, summaryOnly: true };
      const answer = await ask(session.id, promptOf(input), signal);
      if (answer.kind !== 'answered') return { kind: answer.kind };
      const proposed = parseProposals(answer.text).proposals.find((one) => one.op === 'SUMMARY');
      const text = proposed && checkSummary(proposed.text, deps.isForgotten)?.text;
      const lines = ranges.again(range).lines;
      if (!text || lines.length === 0) return { kind: 'nothing' };
      return { kind: 'op', op: summaryStep(scope, session.id, text, lines) };
    },
  };
}

/** The beginning of what was said, letter by letter. */
function firstOf(text: string): string {
  const line = text.trim().split('\n', 1)[0]!;
  const cut = [...line.slice(0, SUMMARY_QUOTE * 2)].slice(0, SUMMARY_QUOTE).join('');
  return cut.isWellFormed() ? cut : '';
}

/** Parts of one run, as one. */
export function mergeRuns(
  kind: string,
  parts: readonly { changeId: Id | null; diff: ReturnType<typeof diffOf> }[],
  note: string,
): MemoryRun {
  const changes = parts.map(({ changeId }) => changeId).filter((id) => id !== null);
  const added = parts.flatMap(({ diff }) => diff.added);
  const retired = parts.flatMap(({ diff }) => diff.retired);
  const refused = parts.flatMap(({ diff }) => diff.refused);
  const questions = parts.reduce((sum, { diff }) => sum + diff.questions, 0);
  const words = [
    `${added.length} added, ${retired.length} retired, ${questions} ${questions === 1 ? 'question' : 'questions'}, ${refused.length} refused.`,
    ...(changes.length > 1 ? [`Changes: ${changes.join(', ')}.`] : []),
    ...(note ? [note] : []),
  ];
  return { kind, changeId: changes[0] ?? null, added, retired, questions, refused, summary: words.join(' ') };
}
