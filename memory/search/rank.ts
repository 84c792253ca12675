// The order of candidates: from words shared with the query, and from what stands around them. Pure.
import { FLAG } from '../index/entry.ts';
import type { Span } from '../text/dates.ts';
import type { ParsedQuery, Term } from '../text/query.ts';

export interface Candidate {
  doc: number;
  session: string | null;
  turn: number | null;
  episode: number | null;
  /** The calendar day it was said on. */
  day: number;
  actor: string;
  /** Whoever asks, the agent, or somebody else. */
  role: 'self' | 'agent' | 'other';
  flags: number;
  /** Stems with how often they occur; null: a neighbour, there for its place alone. */
  counts: ReadonlyMap<string, number> | null;
  /** Stems in order, for phrases and likeness. */
  stems: readonly string[];
  length: number;
  /** The part of it that asks, 0 to 1. */
  asking: number;
  /** Names that stand in it, lower case. */
  names: readonly string[];
}

export interface WeighedTerm extends Term {
  /** How much it tells, from how rare it is. */
  idf: number;
}

export interface Weights {
  /** Of BM25 (Robertson). Messages are short: a word said twice, or in a longer one, changes little. */
  k1: number;
  b: number;
  /** A stem that begins alike (photo, photograph) instead of the same. */
  family: number;
  /** Parts of their rarity that a date asked for, and a light word, count for. */
  date: number;
  light: number;
  /** What the turns one and two away say about the query … */
  near: readonly [number, number];
  /** … of which a word that is said here, too, counts for a part. */
  again: number;
  /** After a question: what the question says about it, and what the turn before said that was asked back about. */
  answer: number;
  elaboration: number;
  /** What the whole stretch of talk says about it. */
  episode: number;
  /** The rest are factors: said by whom the query names, names a time when asked for one … */
  actor: number;
  when: number;
  name: number;
  /** … said in the time asked for or soon after, worn off to a third after so many days … */
  span: number;
  fade: number;
  /** … holds a quoted phrase; asks instead of telling; is archived. */
  phrase: number;
  question: number;
  archived: number;
}

/** Round numbers from a plateau: each could be a third more or less without the recall changing by a point. */
export const WEIGHTS: Weights = {
  k1: 0.8,
  b: 0.3,
  family: 0.5,
  date: 0.3,
  light: 0.6,
  near: [0.33, 0.15],
  again: 0.5,
  answer: 0.4,
  elaboration: 0.3,
  episode: 0.5,
  actor: 0.7,
  when: 0.5,
  name: 0.15,
  span: 0.8,
  fade: 10,
  phrase: 1,
  question: 0.5,
  archived: 0.3,
};

export interface Ranked {
  doc: number;
  /** In units of the query: 1 is about all of it, in one place. */
  score: number;
  why: Record<string, number>;
}

const place = (session: string, turn: number): string => `${session} ${turn}`;
const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);

export function rank(
  input: {
    query: ParsedQuery;
    terms: readonly WeighedTerm[];
    candidates: readonly Candidate[];
    averageLength: number;
  },
  weights: Weights = WEIGHTS,
): Ranked[] {
  const { query, candidates } = input;
  const terms = input.terms.map((term) => ({
    ...term,
    idf: term.idf * (term.kind === 'date' ? weights.date : term.light ? weights.light : 1),
  }));
  const mass = terms.reduce((sum, term) => sum + term.idf, 0) || 1;
  const said = candidates.map((one) => saysAbout(one, terms, input.averageLength, weights));
  const sums = said.map(total);
  const at = new Map<string, number>();
  for (const [index, { session, turn }] of candidates.entries())
    if (session !== null && turn !== null) at.set(place(session, turn), index);
  const episodes = bestByEpisode(candidates, said);
  const speakers = new Set(candidates.flatMap((one) => one.actor.split(' ')));
  const named = query.terms.flatMap((term) => (term.kind === 'word' ? [term.forms[0]!.word] : []));
  const asked = new Set(named.filter((word) => speakers.has(word)));
  /** Said by somebody whom the query names, or means by I or you. */
  const isAsked = ({ role, actor }: Candidate): boolean =>
    (query.asksSelf && role === 'self') ||
    (query.asksAgent && role === 'agent') ||
    (asked.size > 0 && actor.split(' ').some((word) => asked.has(word)));

  /** Who spoke `step` turns on in the same stretch of talk; -1: nobody. */
  const neighbour = (one: Candidate, step: number): number => {
    if (one.session === null || one.turn === null) return -1;
    const index = at.get(place(one.session, one.turn + step)) ?? -1;
    return index >= 0 && candidates[index]!.episode === one.episode ? index : -1;
  };
  /** What another place tells about the query beside what is told here. */
  const adds = (here: number, there: number): number => {
    if (there < 0 || sums[there] === 0) return 0;
    let sum = 0;
    for (const [term, value] of said[there]!.entries()) sum += value * (said[here]![term]! > 0 ? weights.again : 1);
    return sum;
  };

  return candidates
    .map((one, index): Ranked => {
      const why: Record<string, number> = { lexical: sums[index]! / mass };
      let near = 0;
      for (const step of [-2, -1, 1, 2]) near += weights.near[Math.abs(step) - 1]! * adds(index, neighbour(one, step));
      const before = neighbour(one, -1);
      const answer =
        before >= 0 && candidates[before]!.flags & FLAG.question
          ? weights.answer * adds(index, before) + weights.elaboration * adds(index, neighbour(one, -2))
          : 0;
      const episode = one.episode === null ? 0 : weights.episode * (episodes.get(one.episode) ?? 0);
      const phrases = query.phrases.filter((phrase) => holds(one.stems, phrase)).length;
      if (near > 0) why.neighbours = near / mass;
      if (answer > 0) why.answer = answer / mass;
      if (episode > 0) why.episode = episode / mass;
      if (phrases > 0) why.phrase = phrases * weights.phrase;
      let score = Object.values(why).reduce((sum, value) => sum + value, 0);
      const times = (name: string, factor: number) => {
        score *= factor;
        if (factor !== 1) why[name] = factor;
      };
      if (isAsked(one)) times('actor', 1 + weights.actor);
      if (query.asksWhen && one.flags & FLAG.time) times('when', 1 + weights.when);
      if (query.asksName && one.names.some((name) => !speakers.has(name))) times('name', 1 + weights.name);
      if (query.spans.length > 0)
        times(
          'date',
          1 + weights.span * Math.max(...query.spans.map((span) => closeness(one.day, span, weights.fade))),
        );
      // An answer is wanted; whoever looks for words wants them wherever they stand.
      if (query.asks)
        times('question', 1 - weights.question * (one.counts ? one.asking : one.flags & FLAG.question ? 0.5 : 0));
      if (one.flags & FLAG.archived) times('archived', 1 - weights.archived);
      return { doc: one.doc, score, why };
    })
    .sort((a, b) => b.score - a.score || b.doc - a.doc);
}

/** BM25 of each term, the best of its forms. */
function saysAbout(
  one: Candidate,
  terms: readonly WeighedTerm[],
  averageLength: number,
  weights: Weights,
): Float64Array {
  const out = new Float64Array(terms.length);
  if (!one.counts) return out;
  const norm = weights.k1 * (1 - weights.b + (weights.b * one.length) / averageLength);
  const saturated = (n: number) => (n * (weights.k1 + 1)) / (n + norm);
  for (const [index, term] of terms.entries()) {
    let best = 0;
    for (const form of term.forms) {
      const n = one.counts.get(form.stem);
      if (n) best = Math.max(best, form.weight * saturated(n));
    }
    if (best === 0 && term.kind === 'word' && hasRelative(one.counts, term.forms[0]!.stem))
      best = weights.family * saturated(1);
    out[index] = best * term.idf;
  }
  return out;
}

/** Another stem of the same family: all but the last letter of the shorter one, and most of the longer one. */
function hasRelative(counts: ReadonlyMap<string, number>, stem: string): boolean {
  if (stem.length < 4) return false;
  for (const word of counts.keys()) {
    if (word.length < 4 || word[0] !== stem[0]) continue;
    const most = Math.min(word.length, stem.length);
    let shared = 1;
    while (shared < most && word[shared] === stem[shared]) shared += 1;
    if (shared >= 4 && shared >= most - 1 && shared >= 0.6 * Math.max(word.length, stem.length)) return true;
  }
  return false;
}

/** A stretch of talk as a whole: what it says about each term at its best place. */
function bestByEpisode(candidates: readonly Candidate[], said: readonly Float64Array[]): Map<number, number> {
  const best = new Map<number, Float64Array>();
  for (const [index, { episode }] of candidates.entries()) {
    if (episode === null) continue;
    const known = best.get(episode);
    if (!known) best.set(episode, said[index]!.slice());
    else for (const [term, value] of said[index]!.entries()) known[term] = Math.max(known[term]!, value);
  }
  return new Map([...best].map(([episode, values]) => [episode, total(values)]));
}

function holds(stems: readonly string[], wanted: readonly string[]): boolean {
  for (let i = 0; i + wanted.length <= stems.length; i++)
    if (wanted.every((stem, offset) => stems[i + offset] === stem)) return true;
  return false;
}

/** What happened is told then, or soon after; plans are made before, and said less often. */
function closeness(day: number, span: Span, fade: number): number {
  const late = day - span.to;
  const early = span.from - day;
  return late > 0 ? Math.exp(-late / fade) : early > 0 ? 0.5 * Math.exp(-early / fade) : 1;
}
