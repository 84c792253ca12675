// From what was let through to what is written: each draft placed by the rules, held to the guard, and carried out as one change.
import type { Db } from '../../core/db.ts';
import { StewardError } from '../../core/errors.ts';
import type { MemoryItem, MemoryRun } from '../../core/memory.ts';
import type { Id, JsonObject, Millis } from '../../core/types.ts';
import { type ItemStore, knownFor } from '../items.ts';
import { normalName, textKey } from '../normalise.ts';
import { opOf, place } from '../placement.ts';
import type { QuestionStore } from '../questions.ts';
import type { Changes, Draft, Op, Quote } from '../types.ts';
import { guard, touchedBy } from './guard.ts';
import { type Checked, shortened } from './proposals.ts';

/** Questions of one run: more would only be waved through. */
const MOST_QUESTIONS = 5;

export interface Asked {
  kind: 'contradiction' | 'promotion' | 'merge';
  proposal: Draft;
  itemId: Id | null;
}

/** What a run would do; nothing is touched yet. */
export interface Plan {
  scope: string;
  ops: Op[];
  restates: { id: Id; sources: readonly Quote[] }[];
  asks: Asked[];
  refused: string[];
}

export const emptyPlan = (scope: string): Plan => ({ scope, ops: [], restates: [], asks: [], refused: [] });

export interface SettleDeps {
  db: Db;
  items: ItemStore;
  changes: Changes;
  questions: QuestionStore;
  now(): Millis;
}

export interface Settle {
  /** Places what was let through, in its order; within one answer each thing is said once. */
  plan(scope: string, checked: readonly Exclude<Checked, { kind: 'refused' }>[], first?: readonly Op[]): Plan;
  /**
   * Holds a plan to the guard. What is too much is asked about (`ask`), or left for the next run.
   * Steps that contradict what is there, or each other, are refused, so that one cannot keep the others from being written.
   */
  trim(plan: Plan, tooMuch: 'ask' | 'wait', where: { sessionId: Id; kind: string }): Plan;
  /** In a transaction of the caller. Null: nothing changed. */
  carryOut(plan: Plan, where: { sessionId: Id; kind: string }): Id | null;
}

const isLive = (item: MemoryItem | null): item is MemoryItem => item?.retiredAt === null && item.validTo === null;

export function createSettle(deps: SettleDeps): Settle {
  const { db, items, changes, questions } = deps;

  const refuse = (plan: Plan, text: string, why: string) => void plan.refused.push(`“${shortened(text)}”: ${why}.`);

  /** Not asked already, and not answered with no. */
  const ask = (plan: Plan, asked: Asked): void => {
    if (questions.wasRejected(asked.proposal))
      refuse(plan, asked.proposal.text, 'the owner was asked before and said no');
    else if (plan.asks.length >= MOST_QUESTIONS)
      refuse(plan, asked.proposal.text, 'there are questions enough for one time');
    else plan.asks.push(asked);
  };

  const step = (plan: Plan, one: Exclude<Checked, { kind: 'refused' }>): void => {
    const { draft } = one;
    if (one.kind === 'ask') {
      const said = knownFor(items, draft).some((item) => isLive(item) && textKey(item.text) === textKey(draft.text));
      if (!said) ask(plan, { kind: one.question, proposal: draft, itemId: one.about?.id ?? null });
      return;
    }
    const owner = draft.authority === 'owner';
    const placed = place(draft, knownFor(items, draft), {
      now: deps.now(),
      rejected: !owner && questions.wasRejected(draft),
    });
    const target = one.supersedes && isLive(items.get(one.supersedes.id)) ? one.supersedes : null;
    switch (placed.kind) {
      case 'refuse':
        refuse(plan, draft.text, placed.why.replace(/\.$/, ''));
        return;
      case 'ask':
        ask(plan, { kind: placed.question, proposal: draft, itemId: placed.about ?? target?.id ?? null });
        return;
      case 'known':
        // What the assistant says again is an echo, not one more witness.
        if (owner) plan.restates.push({ id: placed.id, sources: draft.sources });
        return;
      case 'add':
      case 'supersede':
        if (!target || (placed.kind === 'add' && placed.validTo !== undefined)) plan.ops.push(opOf(draft, placed)!);
        else if (draft.validFrom < target.validFrom)
          refuse(plan, draft.text, 'it is older than what it would take the place of');
        else {
          const ids = [...new Set([target.id, ...(placed.kind === 'supersede' ? placed.ids : [])])];
          plan.ops.push({ kind: 'supersede', ids, draft, why: 'said anew' });
        }
    }
  };

  const draftOf = (op: Op): Draft | null => (op.kind === 'add' || op.kind === 'supersede' ? op.draft : null);

  /** An attempt that is taken back whatever comes of it. */
  const fits = (ops: readonly Op[], scope: string, where: { sessionId: Id; kind: string }): true | string => {
    const back = new StewardError('internal', 'taken back', { op: 'try a change of memory' });
    try {
      db.tx(() => {
        changes.apply({ scope, ...where, ops });
        throw back;
      });
    } catch (error) {
      if (error === back) return true;
      if (
        error instanceof StewardError &&
        (error.code === 'conflict' || error.code === 'invalid' || error.code === 'not_found')
      )
        return error.message.replace(/\.$/, '');
      throw error;
    }
    return true;
  };

  return {
    plan(scope, checked, first = []) {
      const plan: Plan = { ...emptyPlan(scope), ops: [...first] };
      const seen = new Set<string>();
      const taken = new Set<Id>(first.flatMap(touchedBy));
      for (const one of checked) {
        const { draft } = one;
        const place = draft.subject && draft.slot ? `${normalName(draft.subject)}/${normalName(draft.slot)}` : null;
        const keys = [textKey(draft.text), ...(place ? [place] : [])];
        if (
          keys.some((key) => seen.has(key)) ||
          (one.kind === 'write' && one.supersedes && taken.has(one.supersedes.id))
        ) {
          refuse(plan, draft.text, 'it is said twice in one answer');
          continue;
        }
        const before = plan.ops.length;
        step(plan, one);
        for (const key of keys) seen.add(key);
        for (const id of plan.ops.slice(before).flatMap(touchedBy)) taken.add(id);
      }
      return plan;
    },

    trim(plan, tooMuch, where) {
      const trimmed: Plan = { ...plan, ops: [], asks: [...plan.asks], refused: [...plan.refused] };
      const { taken, held } = guard(plan.ops, items.count({ scope: plan.scope }));
      for (const op of held) {
        const draft = draftOf(op);
        const text = draft?.text ?? items.get(touchedBy(op)[0]!)?.text ?? '';
        if (tooMuch === 'ask' && draft)
          ask(trimmed, { kind: 'contradiction', proposal: draft, itemId: touchedBy(op)[0] ?? null });
        else refuse(trimmed, text, 'a run changes at most a quarter of what is known; it waits for the next one');
      }
      if (taken.length === 0) return trimmed;
      if (fits(taken, plan.scope, where) === true) return { ...trimmed, ops: taken };
      for (const op of taken) {
        const why = fits([...trimmed.ops, op], plan.scope, where);
        if (why === true) trimmed.ops.push(op);
        else refuse(trimmed, draftOf(op)?.text ?? items.get(touchedBy(op)[0]!)?.text ?? '', why);
      }
      return trimmed;
    },

    carryOut(plan, where) {
      const changeId =
        plan.ops.length > 0 ? changes.apply({ scope: plan.scope, ...where, ops: plan.ops }).change.id : null;
      for (const { id, sources } of plan.restates) changes.restate(id, sources);
      for (const asked of plan.asks) questions.open({ scope: plan.scope, ...asked });
      return changeId;
    },
  };
}

const shownDraft = (draft: Draft): JsonObject => ({
  scope: draft.scope,
  tier: draft.tier,
  kind: draft.kind,
  subject: draft.subject,
  slot: draft.slot,
  text: draft.text,
  authority: draft.authority,
  valid_from: draft.validFrom,
  expires_at: draft.expiresAt,
  about: draft.about ?? null,
  quotes: draft.sources.map(({ eventId, quote }) => ({ event_id: eventId, quote })),
});

/** What a plan does, the same before (dry run) and after. */
export function diffOf(
  plan: Plan,
  items: Pick<ItemStore, 'get'>,
): Pick<MemoryRun, 'added' | 'retired' | 'questions' | 'refused'> {
  const added: JsonObject[] = [];
  const retired: MemoryRun['retired'] = [];
  for (const op of plan.ops) {
    if (op.kind === 'add' || op.kind === 'supersede') added.push(shownDraft(op.draft));
    if (op.kind === 'add') continue;
    for (const id of touchedBy(op)) retired.push({ id, text: items.get(id)?.text ?? '', why: op.why });
  }
  return { added, retired, questions: plan.asks.length, refused: plan.refused };
}
