// The candidates for a query: fetched by their words, read, and put among their neighbours.
import { kindTag } from '../index/entry.ts';
import { SELF, STEWARD } from '../index/said.ts';
import { OWNER } from '../scope.ts';
import { datesIn, dayWords, spanWords } from '../text/dates.ts';
import { identifiers } from '../text/identifiers.ts';
import type { ParsedQuery } from '../text/query.ts';
import { bigrams, words } from '../text/tokens.ts';
import { conditions, filterOf, holds } from './conditions.ts';
import type { Asker, Question } from './question.ts';
import type { Candidate } from './rank.ts';
import type { Doc, EventText, ItemState, Reader } from './reader.ts';
import { affordable, anyOf, type Counted, expressionOf, weigh } from './terms.ts';

/** Words with a capital that do not begin a sentence. */
const NAME = /(?<=[\p{Ll}\d,;:]\s+["'“‘(]?)(?!I\b)\p{Lu}\p{Ll}{2,}/gu;
const SENTENCE = /[^.!?。！？\n]+[.!?。！？]*/g;
/** UTF-16 units of a text that its sentences are looked at in. */
const LOOKED_AT = 4_000;

const namesIn = (text: string): string[] =>
  text
    .slice(0, LOOKED_AT)
    .match(NAME)
    ?.map((name) => name.toLowerCase()) ?? [];

/** The part of a text, in characters, that stands in sentences that ask; notes in brackets aside. */
function askingPart(text: string): number {
  if (!/[?？]/.test(text)) return 0;
  let all = 0;
  let asking = 0;
  for (const [sentence] of text
    .slice(0, LOOKED_AT)
    .replace(/\[[^\]]*\]/g, '')
    .matchAll(SENTENCE)) {
    all += sentence.length;
    if (/[?？]/.test(sentence)) asking += sentence.length;
  }
  return all === 0 ? 0 : asking / all;
}

/** In the scope of a guest or a group everybody but the agent may be the one who asks. */
const roleOf = ({ actor, trust, scope }: Doc): Candidate['role'] =>
  actor === STEWARD ? 'agent' : trust === 'owner' || actor === SELF || scope !== OWNER ? 'self' : 'other';

function candidateOf(asker: Asker, doc: Doc, text: string | null): Candidate {
  const stems = text === null ? [] : words(text).map(asker.stemmer);
  let counts: Map<string, number> | null = null;
  if (text !== null) {
    counts = new Map();
    const day = asker.dayOf(doc.at);
    const more = [
      ...bigrams(text),
      ...words(doc.actor).map(asker.stemmer),
      ...dayWords(day),
      ...(doc.flags & 2 ? datesIn(text, day).flatMap(spanWords) : []),
      ...identifiers(text).flatMap(({ whole, parts }) => [whole, ...parts.map(asker.stemmer)]),
    ];
    for (const word of stems) counts.set(word, (counts.get(word) ?? 0) + 1);
    for (const word of more) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return {
    doc: doc.doc,
    session: doc.session_id,
    turn: doc.turn,
    episode: doc.episode,
    day: asker.dayOf(doc.at),
    actor: doc.actor,
    role: roleOf(doc),
    flags: doc.flags,
    counts,
    stems,
    length: doc.tokens,
    asking: text === null ? 0 : askingPart(text),
    names: text === null ? [] : namesIn(text),
  };
}

/** The best docs that are allowed. To test each row that matches costs more than to take some too many and test those. */
function matching(reader: Reader, question: Question, expression: string, from: number, wanted: number) {
  const allowed = filterOf(question);
  const wide = reader.match(expression, null, from, 2 * wanted);
  const rows = new Map(reader.docs(wide.map(({ doc }) => doc)).map((row) => [row.doc, row]));
  const fit = wide.filter(({ doc }) => {
    const row = rows.get(doc);
    return row !== undefined && allowed(row);
  });
  if (fit.length >= wanted || wide.length < 2 * wanted) return fit.slice(0, wanted);
  return reader.match(expression, conditions(question.scope, question.search), from, wanted);
}

/** Items get a place of their own among the candidates: there are few of them, and much talk. */
const ITEMS_SHARE = 0.2;

export interface Found {
  terms: Counted[];
  candidates: Candidate[];
  /** Of events; neighbours are not among them. */
  texts: Map<number, EventText>;
  items: Map<number, ItemState>;
}

/** The candidates for a query, with their neighbours. */
export function look(asker: Asker, query: ParsedQuery, parts: readonly ParsedQuery[], question: Question): Found {
  const { reader } = asker;
  const { search, scope, budget } = question;
  const terms = weigh(asker, query);
  const chosen = affordable(terms, budget.postings, budget.terms);
  const where = conditions(scope, search);
  const wanted = budget.candidates;
  const ids = new Set<number>();
  const take = (list: readonly { doc: number }[]) => {
    for (const { doc } of list) ids.add(doc);
  };
  if (chosen.length > 0) {
    // One term alone can be in most of a long memory: then the newest places it stands in are looked at.
    const rarest = chosen[0]!.count;
    const from = rarest > budget.postings ? Math.floor(reader.newestDoc() * (1 - budget.postings / rarest)) : 0;
    take(matching(reader, question, expressionOf(chosen, scope), from, wanted));
    if (search.kinds?.includes('item') !== false && reader.hasItems(scope))
      take(reader.match(`{tags} : ${kindTag('item')} AND ${anyOf(chosen)}`, where, 0, Math.ceil(wanted * ITEMS_SHARE)));
  }
  for (const part of parts) {
    const own = affordable(weigh(asker, part), budget.postings / parts.length, budget.terms);
    if (own.length > 0) take(matching(reader, question, expressionOf(own, scope), 0, Math.ceil(wanted / parts.length)));
  }
  for (const list of question.lists ?? []) take(list.slice(0, wanted));

  const rows = new Map(reader.docs([...ids]).map((doc) => [doc.doc, doc]));
  const inScope = [...ids].flatMap((id) => rows.get(id) ?? []).filter((doc) => doc.scope === scope);
  const texts = reader.eventTexts(inScope.map(({ doc }) => doc).filter((doc) => doc % 2 === 0));
  const items = reader.items(inScope.map(({ doc }) => doc).filter((doc) => doc % 2 === 1));
  for (const [doc, item] of items) if (!holds(item, search, question.now)) items.delete(doc);
  const candidates = inScope.flatMap((doc) => {
    const text = texts.get(doc.doc) ?? items.get(doc.doc);
    return text ? [candidateOf(asker, doc, text.text)] : [];
  });
  const seen = new Set(candidates.map((one) => one.doc));
  for (const one of candidates.slice(0, Math.ceil(wanted / 2))) {
    if (one.session === null || one.turn === null) continue;
    for (const doc of reader.turns(one.session, one.turn - 2, one.turn + 2)) {
      if (seen.has(doc.doc)) continue;
      seen.add(doc.doc);
      candidates.push(candidateOf(asker, doc, null));
    }
  }
  return { terms, candidates, texts, items };
}
