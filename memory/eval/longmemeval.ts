// LongMemEval (Wu et al., ICLR 2025): each question with the chats it is hidden in; turns that hold the answer are marked. Pure.
import { z } from 'zod';
import type { Millis } from '../../core/types.ts';
import { type Conversation, type Question, readDataset, type Turn } from './dataset.ts';

const shape = z
  .array(
    z.looseObject({
      question_id: z.string(),
      question_type: z.string(),
      question: z.string(),
      question_date: z.string().default(''),
      haystack_dates: z.array(z.string()).default([]),
      haystack_session_ids: z.array(z.string()),
      haystack_sessions: z.array(
        z.array(z.looseObject({ role: z.string(), content: z.string(), has_answer: z.boolean().nullish() })),
      ),
      answer_session_ids: z.array(z.string()).default([]),
    }),
  )
  .min(1);

/** `2023/05/20 (Sat) 02:21`, taken as UTC. */
export function timeOf(text: string): Millis | null {
  const [, year, month, day, hour = '12', minute = '00'] =
    /^\s*(\d{4})\/(\d\d)\/(\d\d)(?:[^\d]*(\d{1,2}):(\d\d))?/.exec(text) ?? [];
  if (!year) return null;
  const at = Date.parse(`${year}-${month}-${day}T${hour.padStart(2, '0')}:${minute}:00Z`);
  return Number.isNaN(at) ? null : at;
}

/** Asks for what nobody said. */
const isAbstention = (id: string): boolean => id.endsWith('_abs');

export function readLongMemEval(text: string): Conversation[] {
  return readDataset(text, shape, 'LongMemEval').map((entry) => {
    let last = 0;
    const marked: string[] = [];
    const turns = entry.haystack_sessions.flatMap((chat, number) => {
      const session = entry.haystack_session_ids[number] ?? String(number);
      const at = timeOf(entry.haystack_dates[number] ?? '') ?? last + 86_400_000;
      last = at;
      return chat.map(({ role, content, has_answer }, index): Turn => {
        const id = `${number}:${index}`;
        if (has_answer) marked.push(id);
        // Fillers are drawn from a pool and may come twice under one id: each is a chat of its own.
        return { id, speaker: role, text: content, at: at + index * 1_000, session, log: `${number}` };
      });
    });
    const sessions = new Set(turns.map(({ session }) => session));
    const goldSessions = [...new Set(entry.answer_session_ids)].filter((id) => sessions.has(id));
    const apart = isAbstention(entry.question_id);
    const question: Question = {
      text: entry.question,
      category: apart ? 'abstention' : entry.question_type,
      apart,
      gold: marked,
      goldSessions,
      at: timeOf(entry.question_date) ?? last,
    };
    const scorable = marked.length + goldSessions.length > 0;
    return { turns, questions: scorable ? [question] : [], skipped: scorable ? 0 : 1 };
  });
}
