// On whose behalf a tool call asks, and which of its failures are told to the model.
import { StewardError } from '../errors.ts';
import type { Author } from '../schedules.ts';
import type { ToolContext } from './tool.ts';

/** `telegram:42`; in the console `web:console`. */
export function authorOf({ session, replyTo }: Pick<ToolContext, 'session' | 'replyTo'>): Author {
  const here = replyTo[0] ?? null;
  const by =
    here === null ? `session:${session.id}` : here.channel === 'web' ? 'web:console' : `${here.channel}:${here.chat}`;
  return { trust: session.trust, by, sessionId: session.id, here };
}

/** What is wrong with the request is told to the model; anything else is a failure. */
export function expected(error: unknown): StewardError {
  if (error instanceof StewardError && ['invalid', 'forbidden', 'not_found', 'conflict'].includes(error.code))
    return error;
  throw error;
}
