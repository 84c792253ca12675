// Which schedules a tool call may see and change: the conversation it was made in decides.
import type { Author, Schedule } from '../../core/schedules.ts';

/** The owner sees all; others what was made in this conversation, or by them. */
export const mayTouch =
  (author: Author) =>
  (schedule: Schedule): boolean =>
    author.trust === 'owner' || schedule.sessionId === author.sessionId || schedule.createdBy === author.by;
