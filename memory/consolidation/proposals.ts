// What a model proposes to remember: read without trust, and let through only with a quote that stands letter by letter where it says. Pure.
import { tokensOf } from '../../core/brain/tokens.ts';
import type { ItemKind, MemoryItem, Tier } from '../../core/memory.ts';
import type { Id, Millis } from '../../core/types.ts';
import { STATE_MS } from '../drafts.ts';
import type { Authority, Draft } from '../types.ts';
import { isGrounded, repeats, touches } from './grounds.ts';
import { SUMMARY_TOKENS } from './prompt.ts';
import type { Line } from './ranges.ts';

/** Of an answer; what is beyond is refused. */
const MOST_PROPOSALS = 24;
const LONGEST_LINE = 8_000;
const LONGEST_ANSWER = 200_000;
/** Of a statement, UTF-16 units. */
const LONGEST_TEXT = 600;
const LONGEST_NAME = 80;
const OPEN_AT_MOST: Millis = 366 * 86_400_000;

const MODEL_TIERS: readonly Tier[] = ['identity', 'state', 'reference'];
const MODEL_KINDS: readonly ItemKind[] = ['fact', 'preference', 'decision', 'person', 'procedure', 'loop', 'focus'];

export type Proposal =
  | { op: 'ADD' | 'SUPERSEDE'; id: string | null; fields: Record<string, unknown> }
  | { op: 'SUMMARY'; text: string }
  | { op: 'NOOP' };

export interface Parsed {
  proposals: Proposal[];
  /** Lines that looked like a proposal and were none. */
  unreadable: number;
  /** Proposals beyond the limit. */
  beyond: number;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Each object of an answer: a line each, or an array over several lines, as some models write it. */
export function parseObjects(answer: string): { found: Record<string, unknown>[]; unreadable: number } {
  const text = answer.slice(0, LONGEST_ANSWER).trim();
  const bare = text.replace(/^```[a-z]*\s*\n/i, '').replace(/\n?```$/, '');
  if (bare.startsWith('[')) {
    const list = jsonOf(bare);
    if (Array.isArray(list)) {
      const found = list.filter(isRecord);
      return { found, unreadable: list.length - found.length };
    }
  }
  const found: Record<string, unknown>[] = [];
  let unreadable = 0;
  for (const raw of text.split('\n')) {
    const line = raw
      .trim()
      .replace(/^[-*]\s+/, '')
      .replace(/,$/, '');
    if (!line.startsWith('{')) continue;
    const value = line.length <= LONGEST_LINE ? jsonOf(line) : undefined;
    if (!isRecord(value)) unreadable += 1;
    else found.push(value);
  }
  return { found, unreadable };
}

/** Never throws, whatever the text. */
export function parseProposals(answer: string): Parsed {
  const { found, unreadable } = parseObjects(answer);
  const parsed: Parsed = { proposals: [], unreadable, beyond: 0 };
  for (const value of found) {
    const { op } = value;
    if (op !== 'ADD' && op !== 'SUPERSEDE' && op !== 'SUMMARY' && op !== 'NOOP') parsed.unreadable += 1;
    else if (op === 'NOOP') parsed.proposals.push({ op });
    else if (op === 'SUMMARY') {
      if (typeof value.text === 'string') parsed.proposals.push({ op, text: value.text });
      else parsed.unreadable += 1;
    } else if (parsed.proposals.filter((one) => one.op !== 'NOOP').length >= MOST_PROPOSALS) parsed.beyond += 1;
    else parsed.proposals.push({ op, id: typeof value.id === 'string' ? value.id : null, fields: value });
  }
  return parsed;
}

export interface CheckFacts {
  scope: string;
  /** The lines that were shown, as they stand now, by alias and by event id. */
  lines: ReadonlyMap<string, Line>;
  /** The message before a line, if it is shown. */
  before(line: Line): Line | null;
  /** Texts of memory that were laid before the model in this part. */
  recalled: readonly string[];
  /** What was shown as known, by alias and by id; only live items. */
  known: ReadonlyMap<string, MemoryItem>;
  forgotten(text: string): boolean;
}

export type Checked =
  | { kind: 'write'; draft: Draft; supersedes: MemoryItem | null }
  | { kind: 'ask'; question: 'promotion' | 'contradiction'; draft: Draft; about: MemoryItem | null }
  | { kind: 'refused'; why: string };

const RANK: Record<Authority, number> = { outside: 0, agent: 1, owner: 2 };
const CONFIDENCE: Record<Authority, number> = { outside: 0.4, agent: 0.6, owner: 0.9 };
const lower = (a: Authority, b: Authority): Authority => (RANK[a] <= RANK[b] ? a : b);

/** One line without anything that could break out of it. */
export const oneLine = (text: string): string =>
  text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();

const nameOf = (value: unknown): string | null => {
  if (typeof value !== 'string') return null;
  const name = oneLine(value);
  return name === '' || name.length > LONGEST_NAME ? null : name;
};

/** Enough to show that it was said: two signs of a script that writes words in one, else four. */
const isEnough = (quote: string): boolean => {
  const signs = [...quote.replace(/[\s\p{P}]/gu, '')];
  return signs.length >= 4 || (signs.length >= 2 && signs.every((sign) => sign > '\u2e7f'));
};

function untilOf(value: unknown, at: Millis): Millis {
  const day = typeof value === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(value) ? Date.parse(`${value}T23:59:59Z`) : NaN;
  return day > at && day <= at + OPEN_AT_MOST ? day : at + STATE_MS;
}

const refused = (why: string): Checked => ({ kind: 'refused', why });

/** Whether one ADD or SUPERSEDE gets in, as what, and with whose authority. */
export function checkProposal(proposal: Extract<Proposal, { op: 'ADD' | 'SUPERSEDE' }>, facts: CheckFacts): Checked {
  const { fields } = proposal;
  const text = typeof fields.text === 'string' ? oneLine(fields.text) : '';
  if (text === '') return refused('it says nothing');
  if (text.length > LONGEST_TEXT) return refused(`it is longer than ${LONGEST_TEXT} characters`);
  const tier = MODEL_TIERS.find((one) => one === fields.tier);
  if (!tier) return refused('a model writes to identity, state and reference only');
  const kind = MODEL_KINDS.find((one) => one === (fields.kind ?? (tier === 'state' ? 'loop' : 'fact')));
  if (!kind) return refused('it is of no kind there is');

  const line = typeof fields.event === 'string' ? facts.lines.get(fields.event) : undefined;
  if (!line) return refused('the message it cites is not in this part of the conversation');
  const quote = typeof fields.quote === 'string' ? fields.quote.trim() : '';
  if (!isEnough(quote)) return refused('its quote is too short to show anything');
  if (!line.text.includes(quote)) return refused('its quote does not stand in the message it cites');
  if (facts.forgotten(text) || facts.forgotten(quote)) return refused('it was forgotten on request');

  let authority = line.authority;
  if (authority !== 'owner' && facts.recalled.some((words) => repeats(quote, words) || repeats(text, words)))
    return refused('it repeats what memory itself had brought in');
  if (!touches(text, quote) || !isGrounded(text, line.text)) {
    // An answer is understood by its question; then it rests on the words of both.
    const question = facts.before(line);
    if (!question || !isGrounded(text, `${question.text}\n${line.text}`))
      return refused('the message does not say that');
    authority = lower(authority, question.authority);
  }

  const target = proposal.op === 'SUPERSEDE' && proposal.id !== null ? facts.known.get(proposal.id) : undefined;
  if (proposal.op === 'SUPERSEDE' && !target) return refused('what it would take the place of is not known');
  if (target && (target.tier === 'session' || target.tier === 'archive'))
    return refused('summaries and what is archived are not superseded by a statement');

  const slot = nameOf(fields.slot);
  const subject = nameOf(fields.subject);
  const draft: Draft = {
    scope: facts.scope,
    tier,
    kind,
    subject,
    slot: subject === null ? null : slot,
    text,
    authority,
    confidence: CONFIDENCE[authority],
    validFrom: line.at,
    expiresAt: tier === 'state' ? untilOf(fields.until, line.at) : null,
    sources: [{ eventId: line.eventId, quote }],
  };
  if (authority === 'outside') {
    if (tier === 'state') return refused('words from outside open no loop by themselves');
    return { kind: 'ask', question: 'promotion', draft, about: target ?? null };
  }
  if (tier === 'identity' && authority !== 'owner')
    return { kind: 'ask', question: 'promotion', draft, about: target ?? null };
  if (target && (target.pinned || RANK[target.authority] > RANK[authority]))
    return { kind: 'ask', question: 'contradiction', draft, about: target };
  return { kind: 'write', draft, supersedes: target ?? null };
}

/** The rolling summary of a session in its bounds, however long the model made it; null: nothing to write. */
export function checkSummary(
  text: string,
  forgotten: (text: string) => boolean,
): { text: string; cut: boolean } | null {
  const whole = oneLine(text.slice(0, LONGEST_ANSWER));
  const flat = forgotten(whole)
    ? whole
        .split(/(?<=[.!?。！？])\s*/u)
        .filter((sentence) => !forgotten(sentence))
        .join(' ')
    : whole;
  if (flat === '' || forgotten(flat)) return null;
  if (tokensOf(flat) <= SUMMARY_TOKENS) return { text: flat, cut: false };
  const most = Math.floor((flat.length * SUMMARY_TOKENS) / tokensOf(flat));
  const head = flat.slice(0, most);
  const end = Math.max(...['. ', '! ', '? ', '。', '！', '？'].map((mark) => head.lastIndexOf(mark)));
  return { text: oneLine(end > most / 2 ? head.slice(0, end + 1) : head), cut: true };
}

/** For lists of what was refused: enough to know which it was. */
export const shortened = (text: unknown): string => {
  const flat = typeof text === 'string' ? oneLine(text) : '';
  return flat.length > 80 ? `${flat.slice(0, 79).toWellFormed()}…` : flat;
};

/** By alias and by event id. */
export function linesById(shown: readonly Pick<Line, 'alias' | 'eventId'>[], now: readonly Line[]): Map<string, Line> {
  const fresh = new Map<Id, Line>(now.map((line) => [line.eventId, line]));
  const map = new Map<string, Line>();
  for (const { alias, eventId } of shown) {
    const line = fresh.get(eventId);
    if (!line) continue;
    map.set(alias, line);
    map.set(eventId, line);
  }
  return map;
}
