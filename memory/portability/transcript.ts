// Chat transcripts: lines of JSON {speaker, time, text, own?}, one for each message. Pure: text in, plan out.
import { checkedFiles, linesOf, refused, TEXT_LIMIT } from './checks.ts';
import type { Plan, PlanOptions, SourceFile, Spoken } from './plan.ts';

const SHAPE = 'A line is {"speaker": "Ada", "time": "2025-03-07T18:00:00Z", "text": "…"}.';

/** RFC 3339, or epoch milliseconds, or epoch seconds as some exports have it. */
function timeOf(value: unknown): number | null {
  const at =
    typeof value === 'number'
      ? Math.abs(value) < 1e11
        ? value * 1000
        : value
      : typeof value === 'string'
        ? Date.parse(value)
        : Number.NaN;
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? Math.round(at) : null;
}

function spokenOf(value: unknown, where: string, own: PlanOptions['own']): Spoken {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw refused(`${where} is no message. ${SHAPE}`);
  const { speaker, time, text, own: said } = value as Record<string, unknown>;
  const who =
    typeof speaker === 'string'
      ? speaker
          .replace(/[\s\p{Cc}]+/gu, ' ')
          .trim()
          .slice(0, 200)
      : '';
  if (who === '') throw refused(`${where} does not say who speaks. ${SHAPE}`);
  if (typeof text !== 'string') throw refused(`${where} has no text. ${SHAPE}`);
  if (text.length > TEXT_LIMIT)
    throw refused(`${where} holds ${text.length} characters, more than the ${TEXT_LIMIT} of one message.`);
  const at = timeOf(time);
  if (at === null) throw refused(`${where} has no time that can be read. ${SHAPE}`);
  if (said !== undefined && typeof said !== 'boolean') throw refused(`${where}: own is true or false.`);
  const owner = typeof own === 'string' ? own.trim().toLowerCase() === who.toLowerCase() : own;
  return { speaker: who, text: text.toWellFormed(), at, own: said ?? owner };
}

export function planTranscripts(files: readonly { path: string; data: string }[], options: PlanOptions): Plan {
  const plan: Plan = { files: [], skipped: [] };
  for (const { path, data } of checkedFiles(files)) {
    const file: SourceFile = {
      path,
      title: path
        .split('/')
        .at(-1)!
        .replace(/\.\w+$/, ''),
      spoken: [],
      noted: [],
    };
    let empty = 0;
    for (const { text, line, last } of linesOf(data)) {
      const where = `${path}, line ${line}`;
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        // What ends without a line break in the middle of a value was cut off.
        throw refused(
          last && !data.endsWith('\n') ? `${where}: the file breaks off here.` : `${where} is not valid JSON.`,
        );
      }
      const spoken = spokenOf(value, where, options.own);
      if (spoken.text.trim() === '') empty += 1;
      else file.spoken.push(spoken);
    }
    if (empty > 0) plan.skipped.push({ what: `${path}: ${empty} messages`, why: 'without text' });
    if (file.spoken.length > 0) plan.files.push(file);
    else plan.skipped.push({ what: path, why: 'there is no message in it' });
  }
  return plan;
}
