// What of memory stands in a prompt: the lines that always do, and those found for a message. Pure, in an order that does not change.
import type { MemoryBlock, MemoryHit, MemoryItem, Recalled, Tier } from '../core/memory.ts';
import type { Id, Millis } from '../core/types.ts';

/** Tokens, estimated. The first lines of each part are its pinned ones, then the newest. */
export const SHARES: Record<'identity' | 'state' | 'reference', number> = { identity: 600, state: 800, reference: 900 };
export const RECALL_TOKENS = 1_500;
/** A quote longer than this is cut around what was asked for. UTF-16 units. */
const QUOTE_LENGTH = 400;

const HEADINGS: Record<keyof typeof SHARES, string> = {
  identity: 'Who you and the owner are',
  state: 'Open now',
  reference: 'Known',
};

/** A token is about four letters of a European language, and about one character of a CJK script. */
export function tokensIn(text: string): number {
  const wide = text.match(/[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\u3040-\u30ff]/g)?.length ?? 0;
  return Math.ceil((text.length - wide) / 4) + wide;
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

export interface Packed {
  lines: { id: Id; line: string }[];
  left: number;
}

/** The most useful lines that fit, shown by age: what is added later stands below, so that the prompt cache holds above it. */
export function pack(items: readonly MemoryItem[], tokens: number): Packed {
  const wanted = items.toSorted(
    (a, b) => Number(b.pinned) - Number(a.pinned) || b.recordedAt - a.recordedAt || (a.id < b.id ? 1 : -1),
  );
  const chosen = new Map<Id, string>();
  let used = 0;
  for (const item of wanted) {
    const line = itemLine(item);
    const size = tokensIn(line);
    if (used + size > tokens) continue;
    used += size;
    chosen.set(item.id, line);
  }
  const lines = items
    .filter(({ id }) => chosen.has(id))
    .toSorted((a, b) => a.recordedAt - b.recordedAt || (a.id < b.id ? -1 : 1))
    .map(({ id }) => ({ id, line: chosen.get(id)! }));
  return { lines, left: items.length - lines.length };
}

const itemLine = (item: MemoryItem): string => {
  const doubt = item.authority === 'owner' ? '' : item.authority === 'agent' ? ' (your own note)' : ' (from outside)';
  return `- [${item.id}] ${harmless(oneLine(item.text))}${doubt}`;
};

/** Items: those that hold now. Same items, same text. */
export function memoryBlock(items: readonly MemoryItem[]): MemoryBlock {
  const ids: Id[] = [];
  const parts: string[] = [];
  for (const tier of ['identity', 'state', 'reference'] as const) {
    const { lines, left } = pack(
      items.filter((item) => item.tier === (tier satisfies Tier)),
      SHARES[tier],
    );
    if (lines.length === 0) continue;
    ids.push(...lines.map(({ id }) => id));
    const more = left > 0 ? [`(${left} more: memory_search finds them)`] : [];
    parts.push([`${HEADINGS[tier]}:`, ...lines.map(({ line }) => line), ...more].join('\n'));
  }
  return parts.length > 0
    ? { text: `<memory>\n${parts.join('\n')}\n</memory>`, itemIds: ids }
    : { text: '', itemIds: [] };
}

const WHO: Record<MemoryHit['trust'], (who: string) => string> = {
  owner: () => 'the owner',
  agent: () => 'you',
  outside: (who) => JSON.stringify(who),
};

/** Nothing here can end the block early or begin another. */
const harmless = (text: string): string => text.replace(/<(\/?)(memory)/gi, '‹$1$2');

export function quoteOf(text: string, terms: readonly string[], length = QUOTE_LENGTH): string {
  const flat = oneLine(text);
  if (flat.length <= length) return flat;
  const lower = flat.toLowerCase();
  const places = terms.map((term) => lower.indexOf(term.toLowerCase())).filter((place) => place >= 0);
  const middle = places.length > 0 ? Math.min(...places) : 0;
  const from = Math.max(0, Math.min(middle - Math.floor(length / 4), flat.length - length));
  const cut = flat.slice(from, from + length).toWellFormed();
  return `${from > 0 ? '…' : ''}${cut}${from + length < flat.length ? '…' : ''}`;
}

/** The best of what was found, oldest first, within the budget; null when nothing is left. */
export function recalledLines(
  hits: readonly MemoryHit[],
  options: { terms: readonly string[]; day(at: Millis): string; tokens?: number },
): Recalled | null {
  const chosen: { hit: MemoryHit; line: string }[] = [];
  let tokens = 20;
  for (const hit of hits) {
    const where = hit.channel ? ` on ${hit.channel}` : '';
    const line = `- [${hit.id}] ${options.day(hit.at)}, ${WHO[hit.trust](hit.who)}${where}: “${harmless(quoteOf(hit.text, options.terms))}”`;
    const size = tokensIn(line);
    if (tokens + size > (options.tokens ?? RECALL_TOKENS)) continue;
    tokens += size;
    chosen.push({ hit, line });
  }
  if (chosen.length === 0) return null;
  const lines = chosen.toSorted((a, b) => a.hit.at - b.hit.at).map(({ line }) => line);
  const text = `<memory note="said earlier, found for the next message; it may not be about it">\n${lines.join('\n')}\n</memory>`;
  return { text, ids: chosen.map(({ hit }) => hit.id), tokens };
}
