// LoCoMo (Maharana et al., ACL 2024): its conversations as turns, and its questions with their evidence cleaned up. Pure.
import { z } from 'zod';
import type { Millis } from '../../core/types.ts';
import { type Conversation, fitting, type Question, readDataset, type Turn } from './dataset.ts';

const turn = z.looseObject({
  speaker: z.string(),
  dia_id: z.string(),
  text: z.string(),
  /** Of a picture that was sent along. */
  blip_caption: z.string().nullish(),
});
const shape = z
  .array(
    z.looseObject({
      conversation: z.record(z.string(), z.unknown()),
      qa: z.array(
        z.looseObject({ question: z.string(), evidence: z.array(z.string()).default([]), category: z.number() }),
      ),
    }),
  )
  .min(1);

const NAME = 'LoCoMo';
/** The ids do not follow the order of the paper's table. */
const CATEGORIES: Record<number, string> = {
  1: '1 multi-hop',
  2: '2 temporal',
  3: '3 open-domain',
  4: '4 single-hop',
  5: '5 adversarial',
};
const ADVERSARIAL = 5;

/** `1:56 pm on 8 May, 2023`, taken as UTC. */
export function timeOf(text: string): Millis | null {
  const [, hour, minute, half, day, month, year] =
    /^\s*(\d{1,2}):(\d\d)\s*([ap]m) on (\d{1,2}) (\w+),? (\d{4})/i.exec(text) ?? [];
  if (!hour) return null;
  const hours = (Number(hour) % 12) + (half!.toLowerCase() === 'pm' ? 12 : 0);
  const at = Date.parse(`${day} ${month} ${year} ${hours}:${minute} UTC`);
  return Number.isNaN(at) ? null : at;
}

/** Several ids stand in one string, some with a colon too many or zeros in front; what no turn is called is dropped. */
export function evidenceIds(evidence: readonly string[], known: ReadonlySet<string>): string[] {
  const ids = evidence
    .flatMap((text) => text.split(/[;,\s]+/))
    .map((text) => {
      const [, session, number] = /^D:?(\d+):0*(\d+)$/.exec(text) ?? [];
      return session ? `D${Number(session)}:${number}` : text;
    });
  return [...new Set(ids)].filter((id) => known.has(id));
}

function turnsOf(conversation: Record<string, unknown>): Turn[] {
  const numbers = Object.keys(conversation)
    .map((key) => Number(/^session_(\d+)$/.exec(key)?.[1] ?? Number.NaN))
    .filter((number) => !Number.isNaN(number))
    .sort((a, b) => a - b);
  let last = 0;
  return numbers.flatMap((number) => {
    const said = fitting(conversation[`session_${number}`], z.array(turn), NAME);
    const at = timeOf(String(conversation[`session_${number}_date_time`] ?? '')) ?? last + 86_400_000;
    last = at;
    return said.map(
      ({ speaker, dia_id, text, blip_caption }, index): Turn => ({
        id: dia_id,
        speaker,
        text: blip_caption ? `${text} [${blip_caption}]` : text,
        at: at + index * 1_000,
        session: String(number),
        log: 'conversation',
      }),
    );
  });
}

export function readLocomo(text: string): Conversation[] {
  return readDataset(text, shape, NAME).map(({ conversation, qa }) => {
    const turns = turnsOf(conversation);
    const sessionOf = new Map(turns.map(({ id, session }) => [id, session]));
    const known = new Set(sessionOf.keys());
    const end = Math.max(0, ...turns.map(({ at }) => at));
    const questions = qa
      .map(({ question, evidence, category }): Question => {
        const gold = evidenceIds(evidence, known);
        return {
          text: question,
          category: CATEGORIES[category] ?? String(category),
          apart: category === ADVERSARIAL,
          gold,
          goldSessions: [...new Set(gold.map((id) => sessionOf.get(id)!))],
          at: end,
        };
      })
      .filter(({ gold }) => gold.length > 0);
    return { turns, questions, skipped: qa.length - questions.length };
  });
}
