// The model of the chaos suites: deterministic, it answers by naming every mark (`m12`) it was asked about, once.

import { type Block, blocksOf } from '../fakes/messages-api/blocks.ts';
import type { Handler, MessagesRequest } from '../fakes/messages-api.ts';

export const MARK = /\bm\d+\b/g;
const WISH = /use (pure|keyed|verifiable|unsafe) (m\d+)/g;

const marksIn = (text: string): string[] => text.match(MARK) ?? [];

/** What a conversation says about marks, from its first message to its last. */
function read(request: MessagesRequest) {
  const asked = new Set<string>();
  const answered = new Set<string>();
  const doubtful = new Set<string>();
  const wishes = new Map<string, string>();
  const labels = new Map<string, string>();
  const resultText = (block: Block) =>
    typeof block.content === 'string' ? block.content : (block.content ?? []).map((part) => part.text ?? '').join(' ');
  for (const message of request.messages)
    for (const block of blocksOf(message)) {
      if (block.type === 'tool_use') labels.set(block.id!, (block.input as { label: string }).label);
      else if (block.type === 'tool_result') {
        const label = labels.get(block.tool_use_id!);
        if (label && /^In doubt:/.test(resultText(block))) doubtful.add(label);
      } else if (block.type === 'text' && message.role === 'assistant')
        for (const mark of marksIn(block.text!)) answered.add(mark);
      else if (block.type === 'text' && !block.text!.startsWith('<memory')) {
        for (const mark of marksIn(block.text!)) asked.add(mark);
        for (const [, effect, mark] of block.text!.matchAll(WISH)) wishes.set(mark!, effect!);
      }
    }
  return { asked, answered, doubtful, wishes, called: new Set(labels.values()) };
}

/**
 * "use unsafe m12" calls effect_unsafe once with that label; then, and for anything else, the answer is
 * `answer m12 m13`, with `in-doubt:m12` for a call whose result said so. Nothing new to answer shows as `answer nothing`.
 */
export const brain: Handler = (request) => {
  const { asked, answered, doubtful, wishes, called } = read(request);
  if (/Summarise the conversation above/.test(JSON.stringify(request.messages.at(-1)))) return 'earlier talk';
  const open = [...asked].filter((mark) => !answered.has(mark));
  const calls = open.filter((mark) => wishes.has(mark) && !called.has(mark));
  if (calls.length > 0)
    return {
      content: calls.map((mark) => ({
        type: 'tool_use' as const,
        name: `effect_${wishes.get(mark)}`,
        input: { label: mark },
      })),
    };
  const doubts = open.filter((mark) => doubtful.has(mark)).map((mark) => `in-doubt:${mark}`);
  return `answer ${[...open, ...doubts].join(' ') || 'nothing'}`;
};
