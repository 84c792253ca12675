// Whose memory a session reads and writes.
import type { Session } from '../core/types.ts';

/** The owner's sessions share one scope. */
export const OWNER = 'owner';

/** Nothing is kept of it, and it is deleted when it ends. */
export const isIncognito = (session: Pick<Session, 'metadata'>): boolean => session.metadata.incognito === 'true';

/** A guest's and a group's session is a scope of its own: never the owner's. Null: nothing is kept. */
export function scopeOf(session: Pick<Session, 'id' | 'trust' | 'metadata'>): string | null {
  if (isIncognito(session)) return null;
  return session.trust === 'owner' ? OWNER : session.id;
}
