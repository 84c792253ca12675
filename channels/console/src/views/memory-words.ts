// Memory in words: what the names of tiers, authorities and changes mean to a person. Pure.
import type { Authority, MemoryChange, MemoryItem, Tier } from '../types.ts';
import type { Tone } from '../ui/badge.tsx';

export const TIERS: readonly { tier: Tier; name: string; hint: string }[] = [
  { tier: 'identity', name: 'Identity', hint: 'Who you and Steward are. It stands in every request.' },
  { tier: 'state', name: 'Now', hint: 'What is open or in hand. It fades after a while.' },
  { tier: 'reference', name: 'Known', hint: 'Facts, preferences, decisions, people, ways of doing things.' },
  { tier: 'session', name: 'Summaries', hint: 'What each conversation was about.' },
  { tier: 'archive', name: 'Archive', hint: 'Cold: still found, never loaded by itself.' },
];

export const tierName = (tier: Tier): string => TIERS.find((one) => one.tier === tier)?.name ?? tier;

export const AUTHORITY: Record<Authority, { word: string; tone: Tone; meaning: string }> = {
  owner: { word: 'your words', tone: 'good', meaning: 'It rests on what you said yourself.' },
  agent: { word: 'Steward’s note', tone: 'quiet', meaning: 'Steward concluded it.' },
  outside: { word: 'from outside', tone: 'warn', meaning: 'From the web, a file, a tool or another person.' },
};

const CHANGES: Record<string, string> = {
  save: 'Saved',
  edit: 'Edited',
  answer: 'Question answered',
  forget: 'Forgotten',
  idle: 'Taken from a conversation',
  nightly: 'Nightly tidying',
  weekly: 'Weekly archiving',
  import: 'Imported',
  undo: 'Undone',
  file: 'Written as a file',
};

export const changeName = (change: Pick<MemoryChange, 'kind'>): string => CHANGES[change.kind] ?? change.kind;

/** Whether it is true by now, and if not, how it ended. Null: it holds. */
export function endOf(
  item: Pick<MemoryItem, 'retired_at' | 'valid_to' | 'expires_at' | 'superseded_by'>,
  now: number,
): string | null {
  if (item.retired_at) return 'taken back';
  if (item.valid_to && Date.parse(item.valid_to) <= now) return item.superseded_by ? 'replaced' : 'ended';
  if (item.expires_at && Date.parse(item.expires_at) <= now) return 'expired';
  return null;
}

/** A score as a person reads it; the number is for the curious. */
export function strength(score: number): string {
  if (score >= 0.7) return 'strong match';
  return score >= 0.4 ? 'likely' : 'weak';
}
