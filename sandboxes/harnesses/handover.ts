// What a program is told: the messages without an answer, and the conversation before them when it was not there. Pure.
import { isToolUse, quarantined, textOf } from '../../core/brain/context.ts';
import { unansweredMessages } from '../../core/brain/endings.ts';
import { cutMiddle } from '../../core/brain/tokens.ts';
import type { LogEvent } from '../../core/types.ts';
import { SESSION_EVENT, vendorSessionOf } from './adapter.ts';

/** Tokens of a whole transcript; what is older is left out. */
const TRANSCRIPT = 20_000;
const CALL = 100;
const RESULT = 400;
const SAID = 2_000;

export interface Handover {
  /** The program's own conversation, when nobody else has written since. */
  resume: string | null;
  prompt: string;
  /** All that was said and done before the prompt. */
  transcript: string;
  /** The same, from where the program's own conversation ends. Empty: it knows everything. */
  since: string;
}

/** A message as a program reads it. */
export function messageText(event: LogEvent): string {
  const content = (event.payload.content ?? []) as { type: string }[];
  const other = content.some(({ type }) => type !== 'text') ? '\n(a picture or file is not passed on)' : '';
  const origin = event.tainted ? '(not the owner’s own words) ' : '';
  return `${origin}${textOf(event)}${other}`.trim() || '(empty message)';
}

function line(event: LogEvent, names: ReadonlyMap<string, string>): string | null {
  if (event.payload.redacted) return null;
  if (event.type === 'user.message') return `User: ${cutMiddle(messageText(event), SAID)}`;
  if (event.type === 'agent.message') return `Assistant: ${cutMiddle(textOf(event), SAID)}`;
  if (isToolUse(event))
    return `Assistant called ${String(event.payload.name)}: ${cutMiddle(JSON.stringify(event.payload.input ?? {}), CALL)}`;
  if (event.type === 'agent.tool_result' || event.type === 'user.custom_tool_result') {
    const id = String(event.payload.tool_use_id ?? event.payload.custom_tool_use_id);
    return `Result of ${names.get(id) ?? 'a call'}: ${cutMiddle(textOf(event), RESULT)}`;
  }
  if (event.type === 'user.interrupt') return 'User: (stopped the work at this point)';
  return null;
}

/** The newest that fits, in order. */
export function transcriptOf(events: readonly LogEvent[], compaction: LogEvent | null): string {
  const names = new Map(events.filter(isToolUse).map((event) => [event.id, String(event.payload.name)]));
  const lines: string[] = [];
  let room = TRANSCRIPT * 4;
  for (const event of events.toReversed()) {
    const text = line(event, names);
    if (text === null) continue;
    room -= text.length;
    if (room < 0) {
      lines.push('(what was before is left out)');
      break;
    }
    lines.push(text);
  }
  if (compaction) lines.push(`Summary of what was before:\n${cutMiddle(String(compaction.payload.summary), SAID)}`);
  return lines.reverse().join('\n');
}

export function handoverOf(input: {
  harness: string;
  slice: readonly LogEvent[];
  compaction: LogEvent | null;
  /** The newest of this harness, which may be older than the slice. */
  session: LogEvent | null;
  /** Of the sandbox before this one. */
  note: string | null;
}): Handover {
  const { harness, slice, session, note } = input;
  const skip = quarantined(slice);
  const fresh = unansweredMessages(slice);
  const from = fresh[0]?.position ?? Number.POSITIVE_INFINITY;
  const begun = slice.filter((event) => event.position! > from && event.payload.harness !== undefined);
  const known = slice.filter((event) => !skip.has(event.id) && !fresh.includes(event));
  const own = (event: LogEvent) => event.payload.harness === harness;
  // It knows what was asked up to its own last words.
  const knows = slice.findLast(own)?.position ?? session?.position ?? 0;
  const others = known.filter((event) => event.position! > knows && line(event, new Map()) !== null);
  const between = known.some(
    (event) =>
      (event.type === 'agent.message' || isToolUse(event)) && event.position! > (session?.position ?? 0) && !own(event),
  );
  const said = fresh.map(messageText).join('\n\n') || 'Go on.';
  const cut = begun.some(({ type }) => type === SESSION_EVENT || type === 'agent.tool_use')
    ? '(This was begun before and cut off. Look at what is there already, and go on from there.)\n\n'
    : '';
  return {
    resume: session && (vendorSessionOf(session)?.id ?? null),
    prompt: `${note ? `(${note})\n\n` : ''}${cut}${said}`,
    transcript: transcriptOf(known, input.compaction),
    since: session && between ? transcriptOf(others, null) : '',
  };
}

/** The prompt with what the program has to know before it. */
export const withTranscript = (transcript: string, prompt: string): string =>
  transcript === ''
    ? prompt
    : `<conversation_so_far>\n${transcript}\n</conversation_so_far>\n\nGo on with this conversation. What is asked now:\n\n${prompt}`;
