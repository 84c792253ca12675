// Memory in words: one line for each item, quote, change and question, the same in a tool's answer, a chat and a terminal. Pure.
import type { MemoryForgotten, MemoryFound, MemoryHit, MemoryItem, MemorySource, Saved } from './memory.ts';
import type { Millis } from './types.ts';

export type Day = (at: Millis) => string;

/** On one line, cut by characters, so that no emoji is halved. */
export function oneLineOf(text: string, length: number): string {
  const flat = text
    .slice(0, length * 4)
    .replace(/\s+/g, ' ')
    .trim();
  const characters = [...flat];
  return characters.length > length ? `${characters.slice(0, length - 1).join('')}…` : flat;
}

const AUTHORITY: Record<MemoryItem['authority'], string> = {
  owner: 'the owner’s words',
  agent: 'noted by the agent',
  outside: 'from outside',
};

/** "[mem_…] reference since 2026-11-03, the owner’s words: “…”" */
export function itemLine(item: MemoryItem, day: Day, length = 400): string {
  const parts = [
    item.tier,
    ...(item.pinned ? ['pinned'] : []),
    item.validTo === null ? `since ${day(item.validFrom)}` : `${day(item.validFrom)} to ${day(item.validTo)}`,
    ...(item.expiresAt === null ? [] : [`until ${day(item.expiresAt)}`]),
    ...(item.retiredAt === null ? [] : ['retired']),
    AUTHORITY[item.authority],
  ];
  return `[${item.id}] ${parts.join(', ')}: “${oneLineOf(item.text, length)}”`;
}

/** A name that somebody else gave themselves proves nothing: in quotes. */
const speaker = ({ who, trust }: Pick<MemoryHit, 'who' | 'trust'>): string =>
  trust === 'owner' ? 'the owner' : trust === 'agent' ? 'Steward' : JSON.stringify(oneLineOf(who, 60));

/** "[sevt_…] 2026-11-03, the owner, telegram: “…” (72 %)" */
export function hitLine(hit: MemoryHit, day: Day, length = 400): string {
  const from = hit.kind === 'item' ? [hit.tier ?? 'item', AUTHORITY[hit.trust]] : [speaker(hit)];
  const parts = [
    day(hit.at),
    ...from,
    ...(hit.channel === null ? [] : [hit.channel]),
    ...(hit.kind === 'event' && hit.trust === 'outside' ? ['from outside'] : []),
  ];
  return `[${hit.id}] ${parts.join(', ')}: “${oneLineOf(hit.text, length)}” (${Math.round(hit.score * 100)} %)`;
}

/** What was found, said plainly: also that it was nothing, or nothing certain. */
export function foundText(found: Pick<MemoryFound, 'hits' | 'weak' | 'degraded'>, day: Day, length = 400): string {
  const lines = found.hits.map((hit) => hitLine(hit, day, length));
  const head =
    lines.length === 0
      ? ['Nothing found.']
      : found.weak
        ? ['Nothing certain was found. The nearest, which may have nothing to do with it:']
        : [];
  const tail = found.degraded === null ? [] : [`(Searched by words alone: ${found.degraded})`];
  return [...head, ...lines, ...tail].join('\n');
}

export const sourceLine = (source: MemorySource, day: Day, length = 400): string => {
  const where = [day(source.at), source.who, ...(source.channel === null ? [] : [source.channel])].join(', ');
  return `[${source.eventId}] ${where}: ${source.quote === '' ? '(the words are gone, or were a yes)' : `“${oneLineOf(source.quote, length)}”`}`;
};

/** How saving ended, for whoever asked for it. */
export function savedText(saved: Saved, day: Day): string {
  switch (saved.kind) {
    case 'saved': {
      const gone = saved.superseded.length > 0 ? ` It takes the place of ${saved.superseded.join(', ')}.` : '';
      return `Kept: ${itemLine(saved.item, day)}.${gone}`;
    }
    case 'known':
      return `Known already: ${itemLine(saved.item, day)}.`;
    case 'asked':
      return `Not kept yet, the owner decides: ${saved.question.text} (steward memory answer ${saved.question.id} yes|no, or in the console)`;
  }
}

/** Without the words themselves: they would stand in a log or chat again. `texts`: what was forgotten. */
export function forgottenText(
  done: Pick<MemoryForgotten, 'items' | 'events' | 'remains'>,
  texts: readonly string[],
): string {
  const count = (n: number, what: string) => (n === 0 ? [] : [`${n} ${what}${n === 1 ? '' : 's'}`]);
  const parts = [...count(done.items, 'item'), ...count(done.events, 'event')];
  const remains = done.remains.map((line) => texts.reduce((rest, text) => rest.replaceAll(text, '…'), line));
  return [`Forgotten for good: ${parts.join(' and ') || 'nothing was left of it'}.`, ...remains].join('\n');
}
