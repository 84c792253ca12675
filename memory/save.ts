// Saving one thing: placed by the rules, then written, counted as said again, or asked about. One transaction.
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { Saved } from '../core/memory.ts';
import type { Id, Millis } from '../core/types.ts';
import type { ChangeKind } from './changes.ts';
import { type ItemStore, knownFor } from './items.ts';
import { opOf, place } from './placement.ts';
import type { QuestionStore } from './questions.ts';
import { refusal } from './refusal.ts';
import type { Changes, Draft } from './types.ts';

/** Sources kept of one item. */
const MOST_SOURCES = 12;

export interface SaveOptions {
  sessionId: Id;
  kind: ChangeKind;
  /** Why an old value gives way, for its history. */
  why?: string;
}

/** Throws `invalid` with the reason when it may not be kept. */
export type Save = (draft: Draft, options: SaveOptions) => Saved;

export function createSave(deps: {
  db: Db;
  items: ItemStore;
  changes: Changes;
  questions: QuestionStore;
  /** What the owner says again is no longer to be forgotten; what others say stays out. */
  forgotten: { isForgotten(text: string): boolean; sayAgain(text: string): void };
  now(): Millis;
}): Save {
  const { items, changes, questions, forgotten } = deps;
  return (draft, { sessionId, kind, why }) => {
    // Before anything reads the text: it can be of any length.
    const refused = refusal(draft.text, draft.kind);
    if (refused) throw new StewardError('invalid', refused, { op: 'save a memory' });
    return deps.db.tx((): Saved => {
      const owner = draft.authority === 'owner';
      const placement = place(draft, knownFor(items, draft), {
        now: deps.now(),
        forgotten: !owner && forgotten.isForgotten(draft.text),
        rejected: !owner && questions.wasRejected(draft),
      });
      if (placement.kind === 'refuse') throw new StewardError('invalid', placement.why, { op: 'save a memory' });
      if (placement.kind === 'ask') {
        const question = { scope: draft.scope, kind: placement.question, proposal: draft, itemId: placement.about };
        return { kind: 'asked', question: questions.open(question) };
      }
      if (owner) forgotten.sayAgain(draft.text);
      if (placement.kind === 'known') {
        // Said again and again, it is known by then where it comes from.
        if (items.quotes(placement.id).length < MOST_SOURCES) changes.restate(placement.id, draft.sources);
        return { kind: 'known', item: items.need(placement.id) };
      }
      const { change, added } = changes.apply({
        scope: draft.scope,
        sessionId,
        kind,
        ops: [opOf(draft, placement, why)!],
      });
      return { kind: 'saved', item: added[0]!, superseded: change.retired, changeId: change.id };
    });
  };
}
