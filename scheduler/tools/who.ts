// On whose behalf a tool call asks: the conversation it was made in decides what it may see and change.
import { StewardError } from '../../core/errors.ts';
import type { Author, Schedule } from '../../core/schedules.ts';
import type { ToolContext } from '../../core/tools/tool.ts';

/** `telegram:42`; in the console `web:console`. */
export function authorOf({ session, replyTo }: Pick<ToolContext, 'session' | 'replyTo'>): Author {
  const here = replyTo[0] ?? null;
  const by =
    here === null ? `session:${session.id}` : here.channel === 'web' ? 'web:console' : `${here.channel}:${here.chat}`;
  return { trust: session.trust, by, sessionId: session.id, here };
}

/** The owner sees all; others what was made in this conversation, or by them. */
export const mayTouch =
  (author: Author) =>
  (schedule: Schedule): boolean =>
    author.trust === 'owner' || schedule.sessionId === author.sessionId || schedule.createdBy === author.by;

/** What is wrong with the request is told to the model; anything else is a failure. */
export function expected(error: unknown): StewardError {
  if (error instanceof StewardError && ['invalid', 'forbidden', 'not_found', 'conflict'].includes(error.code))
    return error;
  throw error;
}
