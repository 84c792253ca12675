// A model request as the body of POST /v1/messages: the plain subset every compatible server knows, in a stable order.
import type { ContentBlock, ModelMessage, ModelMessageBlock, ModelRequest, ToolDefinition } from '../types.ts';

interface CacheControl {
  cache_control?: { type: 'ephemeral' };
}
export type ImageType = 'image/jpeg' | 'image/png' | 'image/gif' | 'image/webp';
export type WireContent =
  | { type: 'text'; text: string }
  | { type: 'image'; source: { type: 'base64'; media_type: ImageType; data: string } };
export type WireBlock =
  | (WireContent & CacheControl)
  | Extract<ModelMessageBlock, { type: 'thinking' | 'redacted_thinking' | 'tool_use' }>
  | ({ type: 'tool_result'; tool_use_id: string; content?: WireContent[]; is_error?: boolean } & CacheControl);
export interface WireMessage {
  role: 'user' | 'assistant';
  content: WireBlock[];
}
export interface WireTool extends CacheControl {
  name: string;
  description: string;
  input_schema: { type: 'object'; [key: string]: unknown };
}
export interface WireRequest {
  model: string;
  max_tokens: number;
  system?: ({ type: 'text'; text: string } & CacheControl)[];
  tools?: WireTool[];
  messages: WireMessage[];
}

const CACHE = { cache_control: { type: 'ephemeral' } } as const;

/**
 * The server caches by identical prefix in the order tools, system, messages; a mark says "remember up to here".
 * At most four are allowed: the last tool, the system text, and the last two user messages (the one before the newest is
 * what the request before this one wrote, so it is found again; the newest is what the next one will find).
 */
export function toWire(request: ModelRequest, options: { promptCaching: boolean }): WireRequest {
  const marked = options.promptCaching;
  const messages = request.messages.map(toWireMessage).filter((message) => message.content.length > 0);
  const users = messages.filter((message) => message.role === 'user');
  const body: WireRequest = { model: request.model, max_tokens: request.maxTokens, messages };
  if (marked) for (const message of users.slice(-2)) markLast(message);
  if (isSaid(request.system)) body.system = [{ type: 'text', text: request.system, ...(marked ? CACHE : {}) }];
  if (request.tools.length > 0) {
    body.tools = request.tools.map((tool, index) => ({
      ...toWireTool(tool),
      ...(marked && index === request.tools.length - 1 ? CACHE : {}),
    }));
  }
  return isSound(body) ? body : wellFormed(body);
}

function toWireTool(tool: ToolDefinition): WireTool {
  return {
    name: tool.name,
    description: tool.description,
    input_schema: { ...tool.input_schema, type: 'object' },
  };
}

function toWireMessage(message: ModelMessage): WireMessage {
  const content = message.content.flatMap(toWireBlock);
  // A user message is never left out: the conversation has to end with one.
  if (message.role === 'user' && content.length === 0) content.push({ type: 'text', text: '(empty message)' });
  return { role: message.role, content };
}

/** Fields are copied one by one: the server refuses a field it does not know. */
function toWireBlock(block: ModelMessageBlock): WireBlock[] {
  switch (block.type) {
    case 'text':
    case 'image':
      return toWireContent(block);
    case 'thinking':
      // Unsigned thinking comes from local servers, and only they would take it back.
      if (block.signature === '') return [];
      return [{ type: 'thinking', thinking: block.thinking, signature: block.signature }];
    case 'redacted_thinking':
      return [{ type: 'redacted_thinking', data: block.data }];
    case 'tool_use':
      return [{ type: 'tool_use', id: block.id, name: block.name, input: block.input }];
    case 'tool_result': {
      const content = block.content.flatMap(toWireContent);
      // The server refuses an error that says nothing.
      if (block.is_error && content.length === 0) content.push({ type: 'text', text: '(no output)' });
      return [
        {
          type: 'tool_result',
          tool_use_id: block.tool_use_id,
          ...(content.length > 0 ? { content } : {}),
          ...(block.is_error ? { is_error: true } : {}),
        },
      ];
    }
  }
}

/** A text of nothing but white space is refused wherever it stands, and models do answer with one now and then. */
function toWireContent(block: ContentBlock): WireContent[] {
  if (block.type === 'text') return isSaid(block.text) ? [{ type: 'text', text: block.text }] : [];
  const { media_type, data } = block.source;
  return [{ type: 'image', source: { type: 'base64', media_type: media_type as ImageType, data } }];
}

function markLast(message: WireMessage): void {
  const last = message.content.at(-1);
  if (last && (last.type === 'text' || last.type === 'image' || last.type === 'tool_result'))
    Object.assign(last, CACHE);
}

function isSaid(text: string): boolean {
  return text.trim() !== '';
}

/**
 * Half a surrogate pair (a text cut in the middle of an emoji) is no JSON to the server: replaced by U+FFFD. What is well
 * formed, nearly everything, stays the object it is.
 */
function wellFormed<T>(value: T): T {
  if (typeof value === 'string') return value.isWellFormed() ? value : (value.toWellFormed() as T);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(wellFormed) as T;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.toWellFormed(), wellFormed(item)])) as T;
}

function isSound(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isSound);
  for (const key in value) if (!key.isWellFormed() || !isSound((value as Record<string, unknown>)[key])) return false;
  return true;
}
