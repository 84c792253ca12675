// What the author of a schedule may ask for. Pure.
import type { Author, ScheduleDraft } from '../core/schedules.ts';
import type { Millis } from '../core/types.ts';
import { minimumGap } from './rules.ts';

const HOUR: Millis = 3_600_000;
export const MOST_OF_A_GUEST = 10;
export const MOST_OF_THE_OWNER = 10_000;

export interface RightsFacts {
  author: Author;
  /** How many they have, without the one in question. */
  count: number;
  /** The turn that asks was begun by a schedule, and nothing in it is in the owner's own words. */
  scheduled: boolean;
}

/** One sentence that refuses, or null. The rule has been checked before. */
export function refusal(draft: ScheduleDraft, { author, count, scheduled }: RightsFacts): string | null {
  if (scheduled) return 'A scheduled run cannot make or change schedules; ask for it in your own words.';
  const most = author.trust === 'owner' ? MOST_OF_THE_OWNER : MOST_OF_A_GUEST;
  if (count >= most) return `There are ${count} schedules already, and at most ${most} are kept; archive one first.`;
  if (author.trust === 'owner') return null;
  const { starts, grants, target } = draft;
  if (starts.kind !== 'message' && starts.kind !== 'prompt')
    return 'Only the owner can schedule more than messages and prompts.';
  if (starts.kind === 'prompt' && starts.session === 'own' && author.trust === 'group')
    return 'In a group a prompt is put to the group’s own conversation.';
  if (grants.hosts.length + grants.tools.length + grants.recipients.length > 0)
    return 'Only the owner can grant a schedule hosts, tools or recipients.';
  if (draft.conditions.length > 0) return 'Only the owner can set conditions.';
  if (draft.model !== null || draft.harness !== null || draft.budgetUsd !== null || draft.priority !== 0)
    return 'Only the owner can choose the model, the harness, the budget or the priority of a schedule.';
  const { here } = author;
  const there = target && here && target.channel === here.channel && target.chat === here.chat;
  if (!there || (target.thread ?? '') !== (here.thread ?? ''))
    return 'Only the owner can have results sent to another place than this conversation.';
  if (minimumGap(draft.rule) < HOUR) return 'A schedule of yours can run at most once an hour.';
  return null;
}
