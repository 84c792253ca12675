// From what somebody asks to what is to be looked for: terms, quoted phrases, dates, and what kind of answer is wanted. Pure.
import { readDates, type Span, spanWords } from './dates.ts';
import { relatedTo } from './forms.ts';
import { identifiers } from './identifiers.ts';
import { stem } from './stem.ts';
import { isLight, isStop } from './stopwords.ts';
import { bigrams, words } from './tokens.ts';

export interface Form {
  /** As the index has it. */
  stem: string;
  /** As the index is asked: its tokenizer stems again. */
  word: string;
  /** 1 for the word itself, less for what may be meant by it. */
  weight: number;
}

/** One thing asked for, in all the forms it may have. */
export interface Term {
  kind: 'word' | 'cjk' | 'identifier' | 'date';
  forms: Form[];
  /** It says little by itself, however rare it is. */
  light: boolean;
}

export interface ParsedQuery {
  terms: Term[];
  /** Quoted: these stems one after the other. */
  phrases: string[][];
  spans: Span[];
  /** A question, not words to look for. */
  asks: boolean;
  /** When, what day, how long ago. */
  asksWhen: boolean;
  /** Who, where, which: a name is the answer. */
  asksName: boolean;
  /** I, my, me: whoever asks. */
  asksSelf: boolean;
  /** You, your: the agent. */
  asksAgent: boolean;
}

/** UTF-16 units of a query that are read; what comes after says nothing new. */
const LONGEST = 2_000;
const MOST_TERMS = 32;

const ASKS =
  /[?？]\s*$|^\s*(?:who|whom|whose|what|when|where|which|why|how|do|does|did|is|are|was|were|has|have|had|can|could|would|will|should|wer|wie|was|wann|wo|warum|welche[rsn]?)\b/i;
const WHEN =
  /\b(?:when|what (?:day|date|month|year|time)|which (?:day|date|month|year)|how long|how soon|since when|wann|seit wann|quand|cuándo|cuando)\b|什么时候|何时|几号|哪天|いつ|언제/i;
const NAME =
  /\b(?:who|whose|where|which|names?|titles?|called|wer|wem|wo|welche[rsn]?|qui|où|quel\w*|quién|dónde)\b|谁|哪|什么名|誰|どこ|누구|어디/i;
const SELF = /\b(?:i|my|me|mine|we|our|ich|mein\w*|je|mon|mes|yo|mi)\b|我/i;
const AGENT = /\b(?:you|your|du|dein\w*)\b|你/i;

/** Between two things asked at once. */
const JOINT = /\s*[;；]\s*|,?\s+(?:and|as well as|und|et|y)\s+|[，,]?\s*(?:以及|还有|并且)\s*|[?？]\s+(?=\S)/i;
/** Words of substance that a part must have to be a question of its own. */
const LEAST_PART = 3;

const MOST_PARTS = 4;

/** The questions that a query is made of, when there are several; otherwise none. */
export function partsOf(query: ParsedQuery, raw: string, today: number): ParsedQuery[] {
  const texts: string[] = [];
  for (const text of raw.slice(0, LONGEST).split(JOINT)) {
    // What is no question of its own belongs to the one before: "bread and butter".
    const before = texts.at(-1);
    if (before === undefined || (isWhole(parseQuery(before, today)) && isWhole(parseQuery(text, today))))
      texts.push(text);
    else texts[texts.length - 1] = `${before} ${text}`;
  }
  if (texts.length < 2 || texts.length > MOST_PARTS) return [];
  const { asks, asksWhen, asksName, asksSelf, asksAgent } = query;
  return texts.map((text) => ({ ...parseQuery(text, today), asks, asksWhen, asksName, asksSelf, asksAgent }));
}

const isWhole = (part: ParsedQuery): boolean =>
  part.terms.filter((term) => !term.light && term.kind !== 'date').length >= LEAST_PART;

export function parseQuery(raw: string, today: number): ParsedQuery {
  const text = raw.slice(0, LONGEST).toWellFormed();
  const terms = new Map<string, Term>();
  const add = (kind: Term['kind'], word: string, related: boolean) => {
    const base = kind === 'word' || kind === 'identifier' ? stem(word) : word;
    if (terms.size >= MOST_TERMS || terms.has(base)) return;
    const forms: Form[] = [{ stem: base, word, weight: 1 }];
    if (related) for (const form of relatedTo(base)) forms.push({ ...form });
    terms.set(base, { kind, forms, light: kind === 'word' && isLight(word) });
  };
  const { spans, rest } = readDates(text, today);
  const all = words(rest);
  const content = all.filter((word) => !isStop(word) && (word.length > 1 || /\d/.test(word)));
  // A question of nothing but common words is still asked about them ("who am I").
  for (const word of content.length > 0 ? content : all) add('word', word, true);
  for (const pair of bigrams(rest)) add('cjk', pair, false);
  for (const { whole, parts } of identifiers(rest)) {
    const known = terms.get(stem(whole));
    if (!known) add('identifier', whole, false);
    // `getUser` may stand there as "get user".
    for (const part of parts)
      (known ?? terms.get(stem(whole)))?.forms.push({ stem: stem(part), word: part, weight: 0.5 });
  }
  for (const span of spans) {
    const found = spanWords(span);
    if (found.length > 0)
      terms.set(`date:${span.from}-${span.to}`, {
        kind: 'date',
        light: false,
        forms: found.map((word) => ({ stem: word, word, weight: 1 })),
      });
  }
  return {
    terms: [...terms.values()],
    phrases: [...text.matchAll(/"([^"]{3,200})"|“([^”]{3,200})”|«([^»]{3,200})»/g)]
      .map((match) => words(match[1] ?? match[2] ?? match[3] ?? '').map(stem))
      .filter((phrase) => phrase.length > 1),
    spans,
    asks: ASKS.test(text),
    asksWhen: WHEN.test(text),
    asksName: NAME.test(text),
    asksSelf: SELF.test(text),
    asksAgent: AGENT.test(text),
  };
}
