// One search over a read-only connection: parse, fetch candidates, rank, fuse, quote. The same in the main thread and in the worker.
import type { MemoryHit, Tier } from '../../core/memory.ts';
import { type ParsedQuery, parseQuery, partsOf } from '../text/query.ts';
import { words } from '../text/tokens.ts';
import { type Found, look } from './candidates.ts';
import { filterOf } from './conditions.ts';
import type { Answer, Asker, Listed, Question } from './question.ts';
import { type Ranked, rank, type WeighedTerm } from './rank.ts';
import type { Reader } from './reader.ts';
import { weigh } from './terms.ts';

const DEFAULT_LIMIT = 10;
const MOST_HITS = 200;
/** Least score of a hit that is an answer and not a coincidence. */
export const WEAK = 0.5;

const RRF = 60;
/** Of two texts that have nothing to do with each other, for most models of embeddings. */
const COMMON_LIKENESS = 0.5;
/** How much a matching item lifts the events it comes from. */
const KEY = 0.5;

/** Everything but the writing: what is in the index by now. Never throws on any text. */
export function ask(asker: Asker, question: Question): Answer {
  const { reader } = asker;
  const { search } = question;
  const limit = Math.max(1, Math.min(MOST_HITS, Math.trunc(search.limit ?? DEFAULT_LIMIT) || DEFAULT_LIMIT));
  const today = asker.dayOf(question.now);
  const query = parseQuery(search.query, today);
  const parts = partsOf(query, search.query, today);
  const found = look(asker, query, parts, question);
  if (found.candidates.length === 0) return { hits: [], weak: true };
  const size = reader.size();
  const averageLength = Math.max(1, size.tokens / Math.max(1, size.docs));
  const inOrder = (of: ParsedQuery, terms: readonly WeighedTerm[]) =>
    rank({ query: of, terms, candidates: found.candidates, averageLength }, asker.weights);
  const order = inOrder(query, found.terms);
  // Several questions in one: what answers one of them well is an answer, too.
  const ofParts = parts.map((part) => inOrder(part, weigh(asker, part)).filter((one) => one.score > 0));
  credit(order, ofParts);
  lift(reader, found, order);
  const vectors = (question.lists ?? []).filter((list) => list.length > 0);
  liken(order, vectors);
  const fused = fuse(order, [...ofParts, ...vectors]);
  return toHits(asker, question, found, fused, limit);
}

/** How much the best answer to a part is worth beside one to the whole. */
const PART = 0.6;

function credit(order: Ranked[], parts: readonly Ranked[][]): void {
  if (parts.length === 0) return;
  const best = new Map<number, number>();
  for (const part of parts)
    for (const { doc, score } of part) best.set(doc, Math.max(best.get(doc) ?? 0, PART * score));
  for (const one of order) {
    const part = best.get(one.doc) ?? 0;
    if (part <= one.score) continue;
    one.score = part;
    one.why.part = part;
  }
}

/** Facts are keys to what they were taken from. */
function lift(reader: Reader, found: Found, order: Ranked[]): void {
  if (found.items.size === 0) return;
  const byDoc = new Map(order.map((one) => [one.doc, one]));
  const matched = [...found.items.keys()].filter((doc) => (byDoc.get(doc)?.score ?? 0) > 0);
  for (const { item, doc } of reader.sources(matched)) {
    const event = byDoc.get(doc);
    const key = KEY * (byDoc.get(item)?.why.lexical ?? 0);
    if (!event || key <= (event.why.fact ?? 0)) continue;
    event.score += key - (event.why.fact ?? 0);
    event.why.fact = key;
  }
  order.sort((a, b) => b.score - a.score || b.doc - a.doc);
}

/** What vectors say of each, beside its words. */
function liken(order: readonly Ranked[], lists: readonly Listed[]): void {
  const byDoc = new Map(order.map((one) => [one.doc, one]));
  for (const list of lists) {
    // What everything in a memory has in common with everything is no likeness: it differs from model to model.
    const common = list.length >= 20 ? list.at(-1)!.score : COMMON_LIKENESS;
    for (const { doc, score } of list) {
      const one = byDoc.get(doc);
      if (one && score > common) one.why.vector = (score - common) / Math.max(0.01, 1 - common);
    }
  }
}

/** Reciprocal rank fusion (Cormack et al. 2009); without other lists the order stays. */
function fuse(order: Ranked[], lists: readonly (readonly { doc: number }[])[]): Ranked[] {
  if (lists.length === 0) return order;
  const points = new Map<number, number>();
  for (const list of [order, ...lists])
    for (const [index, { doc }] of list.entries()) points.set(doc, (points.get(doc) ?? 0) + 1 / (RRF + index + 1));
  return order.toSorted((a, b) => points.get(b.doc)! - points.get(a.doc)! || b.doc - a.doc);
}

/** 0 to 1 from units of the query: half is all of it, in one place. */
const scoreOf = ({ score, why }: Ranked): number =>
  Math.max(score / (1 + score), Math.min(1, Math.max(0, why.vector ?? 0)));

function toHits(asker: Asker, question: Question, found: Found, order: readonly Ranked[], limit: number): Answer {
  const { reader } = asker;
  const byDoc = new Map(found.candidates.map((one) => [one.doc, one]));
  // Neighbours came without their words: whether they may be shown is looked at now.
  const rows = new Map(reader.docs(order.slice(0, limit * 4 + 20).map(({ doc }) => doc)).map((doc) => [doc.doc, doc]));
  const allowed = filterOf(question);
  const unread = [...rows.keys()].filter((doc) => doc % 2 === 0 && !found.texts.has(doc));
  const events = new Map([...found.texts, ...reader.eventTexts(unread)]);
  const hits: MemoryHit[] = [];
  const kept: Set<string>[] = [];
  for (const ranked of order) {
    if (hits.length >= limit) break;
    const row = rows.get(ranked.doc);
    if (!row || (ranked.score <= 0 && ranked.why.vector === undefined) || !allowed(row)) continue;
    const event = events.get(ranked.doc);
    const item = found.items.get(ranked.doc);
    if (!event && !item) continue;
    const text = item?.text ?? event!.text;
    const one = byDoc.get(ranked.doc)!;
    const said = new Set(one.stems.length > 0 ? one.stems : words(text).map(asker.stemmer));
    if (kept.some((other) => alike(other, said))) continue;
    kept.push(said);
    hits.push({
      kind: item ? 'item' : 'event',
      id: item?.id ?? event!.id,
      text,
      score: Math.round(scoreOf(ranked) * 1_000) / 1_000,
      at: row.at,
      who: item ? (item.subject ?? '') : event!.who,
      trust: row.trust,
      sessionId: row.session_id,
      channel: event?.channel ?? null,
      tier: (item?.tier as Tier | undefined) ?? null,
      why: Object.fromEntries(Object.entries(ranked.why).filter(([, value]) => value !== 0)),
    });
  }
  return { hits, weak: hits.length === 0 || Math.max(...hits.map((hit) => hit.score)) < WEAK };
}

/** The same words, but for one in ten. */
function alike(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size === 0 || b.size === 0 || Math.min(a.size, b.size) < 0.9 * Math.max(a.size, b.size)) return false;
  let shared = 0;
  for (const word of a) if (b.has(word)) shared += 1;
  return shared >= 0.9 * (a.size + b.size - shared);
}
