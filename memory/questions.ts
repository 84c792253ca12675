// What only the owner decides: proposals that wait, in words; and carrying out the answer. The only writer of `memory_questions`.
import type { Db } from '../core/db.ts';
import { StewardError } from '../core/errors.ts';
import type { Events } from '../core/events.ts';
import type { MemoryItem, MemoryQuestion } from '../core/memory.ts';
import type { Id, JsonObject, Millis } from '../core/types.ts';
import { type ChangeStore, saysSo } from './changes.ts';
import { type ItemStore, knownFor } from './items.ts';
import { normalName, normalText } from './normalise.ts';
import { opOf, place } from './placement.ts';
import type { Applied, Draft, Op, Questions, Restore } from './types.ts';

export interface QuestionStore extends Questions {
  /** The owner said no to the same before. */
  wasRejected(draft: Draft): boolean;
  /** Erases what proposes such words. Returns how many. */
  erase(matches: (text: string) => boolean): number;
  /** Erases what rests on nothing but these events, and every question of a scope that is gone. */
  eraseFrom(eventIds: ReadonlySet<Id>, scope: string): number;
}

interface Row {
  id: string;
  scope: string;
  kind: MemoryQuestion['kind'];
  proposal: string;
  item_id: string | null;
  created_at: number;
  resolved_at: number | null;
  verdict: 'accepted' | 'rejected' | 'moot' | null;
}

const quoted = (text: string): string => `“${text.length > 200 ? `${text.slice(0, 199).toWellFormed()}…` : text}”`;

/** Pure. The question in words. */
export function questionText(kind: MemoryQuestion['kind'], proposal: Draft, item: MemoryItem | null): string {
  const from =
    proposal.authority === 'outside'
      ? 'Words from outside say'
      : proposal.authority === 'agent'
        ? 'Your agent noted'
        : 'You said';
  if (kind === 'merge')
    return `Several memories seem to say the same. Keep this one instead: ${quoted(proposal.text)}?`;
  if (kind === 'contradiction' && item)
    return `${from} ${quoted(proposal.text)}, but ${quoted(item.text)} is known. Does the new one hold instead?`;
  const place = proposal.tier === 'identity' ? 'as part of who you are' : 'as something known';
  const instead = item ? ` It would take the place of ${quoted(item.text)}.` : '';
  return `${from}: ${quoted(proposal.text)}. Keep it ${place}?${instead}`;
}

/** What makes two proposals the same one. */
const keyOf = (draft: Draft): string =>
  JSON.stringify([
    normalName(draft.subject),
    normalName(draft.slot),
    normalText(draft.text),
    [...(draft.parents ?? [])].sort(),
  ]);

export function createQuestions(
  db: Db,
  deps: {
    items: ItemStore;
    changes: ChangeStore;
    events: Pick<Events, 'append' | 'get'>;
    newId(prefix: 'mqst'): Id;
    now(): Millis;
  },
): QuestionStore {
  const { items, changes, events } = deps;
  const insert = db.prepare(
    'INSERT INTO memory_questions (id, scope, kind, proposal, item_id, created_at) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const one = db.prepare<[string], Row>('SELECT * FROM memory_questions WHERE id = ?');
  const waiting = db.prepare<[string | null], Row>(
    'SELECT * FROM memory_questions WHERE resolved_at IS NULL AND scope = coalesce(?, scope) ORDER BY created_at, id',
  );
  const all = db.prepare<[], Row>('SELECT * FROM memory_questions');
  const refused = db.prepare<[string], Row>("SELECT * FROM memory_questions WHERE scope = ? AND verdict = 'rejected'");
  const resolve = db.prepare<[Millis, string, string]>(
    'UPDATE memory_questions SET resolved_at = ?, verdict = ? WHERE id = ?',
  );
  const remove = db.prepare<[string]>('DELETE FROM memory_questions WHERE id = ?');

  const draftOf = (row: Row): Draft => JSON.parse(row.proposal) as Draft;
  const toQuestion = (row: Row): MemoryQuestion => {
    const proposal = draftOf(row);
    const item = row.item_id ? items.get(row.item_id) : null;
    return {
      id: row.id,
      kind: row.kind,
      text: questionText(row.kind, proposal, item),
      item,
      proposal: proposal as unknown as JsonObject,
      createdAt: row.created_at,
    };
  };

  /** Where it is told: in the session the words come from, or where the items were made. */
  const sessionOf = (draft: Draft): Id => {
    for (const { eventId } of draft.sources) {
      const event = events.get(eventId);
      if (event) return event.sessionId;
    }
    for (const parent of draft.parents ?? []) {
      const item = items.get(parent);
      const session = item && changes.sessionOf(item.changeId);
      if (session) return session;
    }
    throw new StewardError('conflict', 'What this proposal rests on is gone.', { op: 'answer a question of memory' });
  };

  const need = (id: Id): Row => {
    const row = one.get(id);
    if (!row)
      throw new StewardError('not_found', `There is no question ${id}.`, {
        op: 'answer a question of memory',
        hint: 'List them with `steward memory questions`.',
      });
    return row;
  };

  /** The steps of a yes; empty when what it asks is so already. */
  const stepsOf = (row: Row, draft: Draft): Op[] => {
    // Items that are there already: one of them takes the place of all.
    if (row.kind === 'merge' || (draft.parents?.length ?? 0) > 1) {
      const ids = (draft.parents ?? []).filter((id) => {
        const item = items.get(id);
        return item?.retiredAt === null && item.supersededBy === null;
      });
      return ids.length > 1 ? [{ kind: 'supersede', ids, draft, why: 'merged' }] : [];
    }
    const placement = place(draft, knownFor(items, draft), { now: deps.now() });
    if (placement.kind === 'ask') {
      const about = placement.about ? items.need(placement.about) : null;
      if (!about) return [];
      const supersedes = about.supersededBy === null && about.validFrom <= draft.validFrom && about.validTo === null;
      if (supersedes) return [{ kind: 'supersede', ids: [about.id], draft, why: 'the owner decided' }];
      // About the past: that value never held, or not as long.
      const until = Math.min(
        about.validTo ?? draft.validTo ?? Number.MAX_SAFE_INTEGER,
        draft.validTo ?? Number.MAX_SAFE_INTEGER,
      );
      const steps: Op[] = [{ kind: 'retire', id: about.id, why: 'the owner decided' }];
      if (about.validFrom < draft.validFrom)
        steps.push({
          kind: 'add',
          draft: {
            ...about,
            validTo: draft.validFrom,
            sources: items.quotes(about.id),
            parents: items.parents(about.id),
          },
        });
      steps.push({ kind: 'add', draft: { ...draft, validTo: until === Number.MAX_SAFE_INTEGER ? null : until } });
      return steps;
    }
    if (placement.kind === 'refuse')
      throw new StewardError('invalid', placement.why, { op: 'answer a question of memory' });
    const op = opOf(draft, placement, 'the owner decided');
    // What the question was about gives way whatever slot it has, if it still stands.
    const about = row.kind === 'contradiction' && row.item_id ? items.get(row.item_id) : null;
    const gives = about?.retiredAt === null && about.validTo === null && about.validFrom <= draft.validFrom;
    if (!about || !gives || !op || op.kind === 'retire' || op.kind === 'archive') return op ? [op] : [];
    if (op.kind === 'add' && op.draft.validTo != null) return [op];
    const ids = [...new Set([about.id, ...(op.kind === 'supersede' ? op.ids : [])])];
    return [{ kind: 'supersede', ids, draft: op.draft, why: 'the owner decided' }];
  };

  const removeAll = (which: (row: Row, draft: Draft) => boolean): number => {
    const gone = all.all().filter((row) => which(row, draftOf(row)));
    for (const { id } of gone) remove.run(id);
    return gone.length;
  };

  return {
    open: ({ scope, kind, proposal, itemId }) =>
      db.tx(() => {
        const key = keyOf(proposal);
        const asked = waiting
          .all(scope)
          .find((row) => row.kind === kind && row.item_id === itemId && keyOf(draftOf(row)) === key);
        if (asked) return toQuestion(asked);
        const id = deps.newId('mqst');
        insert.run(id, scope, kind, JSON.stringify(proposal).toWellFormed(), itemId, deps.now());
        events.append(sessionOf(proposal), [{ type: 'memory.asked', payload: { question_id: id, kind } }]);
        return toQuestion(one.get(id)!);
      }),
    list: (scope) => waiting.all(scope ?? null).map(toQuestion),
    need: (id) => toQuestion(need(id)),
    answer: (id, accept) =>
      db.tx(() => {
        const row = need(id);
        if (row.verdict)
          throw new StewardError('conflict', `This question was answered already (${row.verdict}).`, {
            op: 'answer a question of memory',
          });
        const proposal = draftOf(row);
        // Words that were redacted since leave the link alone.
        const sources = proposal.sources.flatMap(({ eventId, quote }) => {
          const source = events.get(eventId);
          return source ? [{ eventId, quote: saysSo(source, quote) ? quote : '' }] : [];
        });
        const draft: Draft = { ...proposal, sources, authority: 'owner' };
        const sessionId = sessionOf(draft);
        const [event] = events.append(sessionId, [
          { type: 'memory.answered', payload: { question_id: id, accepted: accept } },
        ]);
        let applied: Applied | null = null;
        let verdict: Row['verdict'] = 'rejected';
        if (accept) {
          // The yes is a source of its own: these are the owner's words now.
          draft.sources = [...draft.sources, { eventId: event!.id, quote: '' }];
          const ops = stepsOf(row, draft);
          verdict = ops.length > 0 ? 'accepted' : 'moot';
          if (ops.length > 0) applied = changes.apply({ scope: row.scope, sessionId, kind: 'answer', ops });
        }
        resolve.run(deps.now(), verdict!, id);
        return applied;
      }),
    wasRejected(draft) {
      const key = keyOf(draft);
      return refused.all(draft.scope).some((row) => keyOf(draftOf(row)) === key);
    },
    erase: (matches) => removeAll((_, draft) => [draft.text, ...draft.sources.map(({ quote }) => quote)].some(matches)),
    eraseFrom: (eventIds, scope) =>
      removeAll(
        (row, { sources }) =>
          row.scope === scope || (sources.length > 0 && sources.every(({ eventId }) => eventIds.has(eventId))),
      ),
  };
}

/** A question as an export tells it. False when the id is known, or the item it is about is not here. */
export function restoreQuestions(db: Db): Pick<Restore, 'question'> {
  const item = db.prepare<[string], object>('SELECT 1 FROM memory_items WHERE id = ?');
  const insert = db.prepare(
    `INSERT INTO memory_questions (id, scope, kind, proposal, item_id, created_at, resolved_at, verdict)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
  );
  return {
    question(row) {
      if (row.item_id !== null && !item.get(row.item_id)) return false;
      const { id, scope, kind, proposal, item_id, created_at, resolved_at, verdict } = row;
      return insert.run(id, scope, kind, proposal, item_id, created_at, resolved_at, verdict).changes === 1;
    },
  };
}
