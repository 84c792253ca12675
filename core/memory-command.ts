// `/memory …` in a chat: what is known, found, explained or forgotten, in a few lines of plain text.
import { describeError, StewardError } from './errors.ts';
import type { MemoryApi, MemoryItem } from './memory.ts';
import { type Day, forgottenText, foundText, itemLine, sourceLine } from './memory-text.ts';

const NEWEST = 10;
/** Changes that are looked through for the newest items. */
const CHANGES = 50;
const LENGTH = 200;

export const MEMORY_HELP = `/memory – the newest things I remember
/memory words – what I know about them
/memory show ID – where I have it from
/memory forget ID – erase it for good; "with sources" behind it: also the messages it came from`;

type Api = Pick<MemoryApi, 'list' | 'show' | 'search' | 'forget' | 'forgetEvent' | 'changes' | 'change' | 'questions'>;

/** What was learnt last and still holds, the latest first. */
function newest(memory: Api): MemoryItem[] {
  const found = new Map<string, MemoryItem>();
  for (const { id } of memory.changes({ limit: CHANGES })) {
    for (const item of memory.change(id).added.toReversed())
      if (item.retiredAt === null && item.validTo === null && item.tier !== 'archive') found.set(item.id, item);
    if (found.size >= NEWEST) break;
  }
  return [...found.values()].slice(0, NEWEST);
}

function overview(memory: Api, day: Day): string {
  const lines = newest(memory).map((item) => itemLine(item, day, LENGTH));
  const waiting = memory.questions().length;
  const questions =
    waiting > 0
      ? [`${waiting} question${waiting === 1 ? '' : 's'} for you: in the console, or steward memory questions.`]
      : [];
  return [lines.length > 0 ? lines.join('\n\n') : 'I remember nothing yet.', ...questions].join('\n\n');
}

function explain(memory: Api, id: string, day: Day): string {
  const { item, sources, history } = memory.show(id);
  const chain = history.filter((other) => other.id !== id);
  return [
    itemLine(item, day, 1_000),
    sources.length > 0 ? 'It comes from:' : 'It was made of other memories.',
    ...sources.map((source) => sourceLine(source, day, LENGTH)),
    ...(chain.length > 0 ? ['Before and after:', ...chain.map((other) => itemLine(other, day, LENGTH))] : []),
  ].join('\n');
}

function forget(memory: Api, id: string, sources: boolean): string {
  const text = id.startsWith('sevt_') ? null : memory.show(id).item.text;
  const done = text === null ? memory.forgetEvent(id) : memory.forget(id, { sources });
  return forgottenText(done, text === null ? [] : [text]);
}

/** `args`: what stands behind `/memory`. Never rejects: what went wrong is said. */
export async function memoryCommand(memory: Api, args: string, day: Day): Promise<string> {
  const [, verb, id, more = ''] = /^(show|forget)\s+((?:mem|sevt)_\w{1,60})\b\s*(.*)$/is.exec(args.trim()) ?? [];
  try {
    if (verb?.toLowerCase() === 'show') return explain(memory, id!, day);
    if (verb?.toLowerCase() === 'forget') return forget(memory, id!, /\bsources?\b/i.test(more));
    if (/^(?:show|forget)\b/i.test(args.trim()))
      return `Which one? ${/^forget/i.test(args.trim()) ? 'Forgetting is for good, so say its id.' : 'Say its id.'}\n\n${MEMORY_HELP}`;
    if (/^help$/i.test(args.trim())) return MEMORY_HELP;
    if (args.trim() === '') return overview(memory, day);
    return foundText(await memory.search({ query: args.trim(), limit: NEWEST }), day, LENGTH).replaceAll(
      '\n[',
      '\n\n[',
    );
  } catch (error) {
    if (error instanceof StewardError) return describeError(error);
    throw error;
  }
}
