// The fake's accounting of tokens and cached prompts.
import { createHash } from 'node:crypto';
import type { Usage } from './answer.ts';
import { blocksOf, type MessagesRequest } from './blocks.ts';

/** Four characters to a token, as good a guess as any for a fake. */
export function tokensOf(text: string): number {
  return Math.ceil(text.length / 4);
}

export interface PromptCache {
  /** Books the request: what it reads from the cache, what it writes to it, what it pays in full. */
  book(request: MessagesRequest): Omit<Usage, 'output_tokens'>;
  count(request: MessagesRequest): number;
}

/**
 * A prefix is everything up to a mark, in the order tools, system, messages; it is found again when model and bytes are the same.
 * As in the real one, each mark looks back over at most 20 blocks, and a prefix below `minimum` tokens is not cached.
 */
export function createPromptCache(minimum: number): PromptCache {
  const known = new Set<string>();
  return {
    count: (request) => layOut(request).at(-1)?.tokens ?? 0,
    book(request) {
      const steps = layOut(request);
      const marks = steps.flatMap((step, at) => (step.marked && step.tokens >= minimum ? [at] : []));
      const total = steps.at(-1)?.tokens ?? 0;
      let read = 0;
      for (const mark of marks) {
        for (const step of steps.slice(Math.max(0, mark - 20), mark + 1)) {
          if (known.has(step.hash)) read = Math.max(read, step.tokens);
        }
      }
      const written = marks.length > 0 ? steps[marks.at(-1)!]!.tokens : 0;
      for (const mark of marks) known.add(steps[mark]!.hash);
      return {
        input_tokens: total - Math.max(read, written),
        cache_creation_input_tokens: Math.max(0, written - read),
        cache_read_input_tokens: read,
      };
    },
  };
}

function layOut(request: MessagesRequest): { hash: string; tokens: number; marked: boolean }[] {
  const system = typeof request.system === 'string' ? [{ type: 'text', text: request.system }] : (request.system ?? []);
  const items = [
    ...(request.tools ?? []),
    ...system,
    ...request.messages.flatMap((message) => blocksOf(message).map((block) => ({ ...block, role: message.role }))),
  ];
  const hash = createHash('sha256').update(request.model);
  let tokens = 0;
  return items.map((item) => {
    const { cache_control: mark, ...content } = item;
    const text = JSON.stringify(content);
    hash.update(text);
    tokens += 'type' in content && content.type === 'image' ? 1_600 : tokensOf(text);
    return { hash: hash.copy().digest('hex'), tokens, marked: Boolean(mark) };
  });
}
