// A scripted answer as the events, or the message, of Anthropic's Messages API.
import { createHash, randomBytes } from 'node:crypto';
import { type Block, blocksOf, type MessagesRequest } from './blocks.ts';
import { tokensOf } from './cache.ts';

export type ScriptedBlock =
  /** `chunks` are sent as the deltas they are; otherwise the text is cut into pieces of a few words. */
  | { type: 'text'; text: string }
  | { type: 'text'; chunks: string[] }
  /** Signed so that a later request that altered it is refused; a signature of your own is never checked. */
  | { type: 'thinking'; thinking: string; signature?: string }
  | { type: 'redacted_thinking'; data: string }
  /** `raw` is sent as the tool's JSON, valid or not. Without an `id` a fresh one is given. */
  | { type: 'tool_use'; name: string; input?: Record<string, unknown>; raw?: string; id?: string };

export interface Scripted {
  content: ScriptedBlock[];
  /** `tool_use` when a tool is called, else `end_turn`. */
  stop_reason?: string;
  usage?: Partial<Usage>;
  /** Text that never ends: after `content`, this is repeated for ever. */
  endless?: string;
}
/** A brain for a test: what the model says to this request. A string is a text. */
export type Handler = (request: MessagesRequest) => Scripted | string;

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens: number;
  cache_read_input_tokens: number;
}
export interface StreamEvent {
  type: string;
  [key: string]: unknown;
}

export interface WireMessage {
  id: string;
  type: 'message';
  role: 'assistant';
  model: string;
  content: Record<string, unknown>[];
  stop_reason: string | null;
  stop_sequence: null;
  usage: Usage;
}

/** What anybody said last: the text of the newest user message that has one. */
export function lastUserText(request: MessagesRequest): string {
  const texts = request.messages
    .filter((message) => message.role === 'user')
    .flatMap(blocksOf)
    .flatMap((block) => (block.type === 'text' ? [block.text ?? ''] : []));
  return texts.at(-1) ?? '';
}

/** The results the newest message brings, empty when it brings none. */
export function toolResults(request: MessagesRequest): { id: string; text: string; isError: boolean }[] {
  return blocksOf(request.messages.at(-1)).flatMap((block) =>
    block.type === 'tool_result'
      ? [{ id: block.tool_use_id ?? '', text: textOf(block.content), isError: block.is_error ?? false }]
      : [],
  );
}

function textOf(content: string | Block[] | undefined): string {
  return typeof content === 'string' ? content : (content ?? []).map((block) => block.text ?? '').join('\n');
}

export function sign(thinking: string): string {
  return `fake.${createHash('sha256').update(thinking).digest('base64url')}`;
}

/** False for thinking that this fake signed and somebody altered since. */
export function checkSignature(thinking: string, signature: string): boolean {
  return signature !== '' && (!signature.startsWith('fake.') || signature === sign(thinking));
}

export function freshId(prefix: string): string {
  return `${prefix}_01${randomBytes(12).toString('hex')}`;
}

/** The finished message of an answer. */
export function toMessage(answer: Scripted, model: string, prompt: Omit<Usage, 'output_tokens'>): WireMessage {
  const content = answer.content.map(toBlock);
  const calls = answer.content.some((block) => block.type === 'tool_use');
  return {
    id: freshId('msg'),
    type: 'message',
    role: 'assistant',
    model,
    content,
    stop_reason: answer.stop_reason ?? (calls ? 'tool_use' : 'end_turn'),
    stop_sequence: null,
    usage: { ...prompt, output_tokens: tokensOf(JSON.stringify(content)), ...answer.usage },
  };
}

function toBlock(block: ScriptedBlock): Record<string, unknown> {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: 'text' in block ? block.text : block.chunks.join('') };
    case 'thinking':
      return { type: 'thinking', thinking: block.thinking, signature: block.signature ?? sign(block.thinking) };
    case 'redacted_thinking':
      return { ...block };
    case 'tool_use':
      return { type: 'tool_use', id: block.id ?? freshId('toolu'), name: block.name, input: block.input ?? {} };
  }
}

/** The same message as stream events, in the order and shape of the real stream. */
export function* toEvents(answer: Scripted, message: WireMessage): Generator<StreamEvent> {
  const opening = { ...message, content: [], stop_reason: null, usage: { ...message.usage, output_tokens: 1 } };
  yield { type: 'message_start', message: opening };
  yield { type: 'ping' };
  for (const [index, block] of answer.content.entries()) {
    const sent = message.content[index] ?? {};
    const delta = (change: Record<string, unknown>) => ({ type: 'content_block_delta', index, delta: change });
    switch (block.type) {
      case 'text':
        yield { type: 'content_block_start', index, content_block: { type: 'text', text: '' } };
        for (const text of 'chunks' in block ? block.chunks : pieces(block.text)) {
          yield delta({ type: 'text_delta', text });
        }
        break;
      case 'thinking':
        yield { type: 'content_block_start', index, content_block: { type: 'thinking', thinking: '', signature: '' } };
        for (const thinking of pieces(block.thinking)) yield delta({ type: 'thinking_delta', thinking });
        yield delta({ type: 'signature_delta', signature: sent.signature });
        break;
      case 'redacted_thinking':
        yield { type: 'content_block_start', index, content_block: sent };
        break;
      case 'tool_use': {
        yield { type: 'content_block_start', index, content_block: { ...sent, input: {} } };
        const json = block.raw ?? JSON.stringify(block.input ?? {});
        yield delta({ type: 'input_json_delta', partial_json: '' });
        for (const partial_json of json.match(/[\s\S]{1,16}/g) ?? [])
          yield delta({ type: 'input_json_delta', partial_json });
        break;
      }
    }
    yield { type: 'content_block_stop', index };
  }
  if (answer.endless !== undefined) yield* endless(answer.content.length, answer.endless);
  const { stop_reason, usage } = message;
  yield { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage };
  yield { type: 'message_stop' };
}

function* endless(index: number, text: string): Generator<StreamEvent> {
  yield { type: 'content_block_start', index, content_block: { type: 'text', text: '' } };
  while (true) yield { type: 'content_block_delta', index, delta: { type: 'text_delta', text } };
}

function pieces(text: string): string[] {
  return text.match(/\s*\S+(?:\s+\S+){0,2}\s*$|\s*\S+(?:\s+\S+){0,2}|\s+/g) ?? [];
}
