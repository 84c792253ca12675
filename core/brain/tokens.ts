// A rough count of tokens, without a tokenizer: near enough to decide when to compact.
import type { ModelMessage } from '../types.ts';

const IMAGE_TOKENS = 1_600;

/** About four ASCII characters or one other character a token. */
export function tokensOf(text: string): number {
  // Most texts are ASCII alone, and that is told without looking at each character here.
  if (Buffer.byteLength(text) === text.length) return Math.ceil(text.length / 4);
  let other = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) other += 1;
  return Math.ceil((text.length - other) / 4) + other;
}

export function tokensOfMessages(messages: readonly ModelMessage[]): number {
  let sum = 0;
  for (const message of messages) {
    sum += 4;
    for (const block of message.content) {
      if (block.type === 'text') sum += tokensOf(block.text);
      else if (block.type === 'image') sum += IMAGE_TOKENS;
      else if (block.type === 'tool_use') sum += tokensOf(JSON.stringify(block.input)) + 20;
      else if (block.type === 'tool_result')
        for (const part of block.content) sum += part.type === 'text' ? tokensOf(part.text) : IMAGE_TOKENS;
      else if (block.type === 'thinking') sum += tokensOf(block.thinking);
      else sum += tokensOf(block.data);
    }
  }
  return sum;
}

/** Keeps the beginning and the end of a text that is over `limit` tokens, and says what is missing. */
export function cutMiddle(text: string, limit: number): string {
  const tokens = tokensOf(text);
  if (tokens <= limit) return text;
  const keep = Math.max(200, Math.floor((text.length * limit) / tokens));
  const head = text.slice(0, Math.ceil(keep / 2)).toWellFormed();
  const tail = text.slice(text.length - Math.floor(keep / 2)).toWellFormed();
  return `${head}\n[… ${text.length - keep} characters left out …]\n${tail}`;
}
