// Puts the raw stream events of the Messages API together into an answer. Trusts no field: local servers send them loosely.
import type { AnswerBlock, JsonObject, ModelUsage } from '../types.ts';
import type { SourceEvent } from './watchdog.ts';

export const NO_USAGE: ModelUsage = Object.freeze({
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
});

/** What is read of a raw event; everything else in it is ignored. */
export interface WireEvent {
  type: string;
  index?: number;
  message?: { usage?: WireUsage };
  content_block?: {
    type: string;
    text?: string;
    thinking?: string;
    signature?: string;
    data?: string;
    name?: string;
    input?: unknown;
  };
  delta?: {
    type?: string;
    text?: string;
    thinking?: string;
    signature?: string;
    partial_json?: string;
    stop_reason?: string | null;
  };
  usage?: WireUsage;
}
type WireUsage = { [K in keyof ModelUsage]?: number | null };

type OpenBlock =
  | { type: 'text'; text: string }
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'redacted_thinking'; data: string }
  | { type: 'tool_use'; name: string; start: unknown; json: string };

export interface Answer {
  /** What the event shows a reader, or that the answer goes on; undefined when it carries nothing. */
  take(event: WireEvent): Exclude<SourceEvent, { type: 'end' }> | undefined;
  /** True once the server said why it stopped: every block came before that. */
  complete(): boolean;
  blocks(): AnswerBlock[];
  /** The text so far. */
  text(): string;
  stopReason(): string;
  usage(): ModelUsage;
}

export function createAnswer(): Answer {
  const open = new Map<number, OpenBlock>();
  let usage: ModelUsage = { ...NO_USAGE };
  let stopReason: string | undefined;

  const start = (index: number, block: NonNullable<WireEvent['content_block']>) => {
    const opened = opening(block);
    if (!opened) return undefined;
    open.set(index, opened);
    if (opened.type === 'text' && opened.text) return { type: 'delta', text: opened.text } as const;
    if (opened.type === 'thinking' || opened.type === 'redacted_thinking') return { type: 'thinking' } as const;
    return opened.type === 'tool_use'
      ? ({ type: 'tool', name: opened.name } as const)
      : ({ type: 'progress' } as const);
  };

  const grow = (index: number, delta: NonNullable<WireEvent['delta']>) => {
    const block = open.get(index);
    if (block?.type === 'text' && delta.text) {
      block.text += delta.text;
      return { type: 'delta', text: delta.text } as const;
    }
    let grown = '';
    if (block?.type === 'thinking') {
      grown = delta.thinking ?? '';
      block.thinking += grown;
      block.signature += delta.signature ?? '';
    }
    if (block?.type === 'tool_use') {
      grown = delta.partial_json ?? '';
      block.json += grown;
    }
    return { type: 'progress', bytes: Buffer.byteLength(grown) } as const;
  };

  return {
    take(event) {
      const index = event.index ?? 0;
      switch (event.type) {
        case 'message_start':
          usage = atLeast(usage, event.message?.usage);
          return { type: 'progress', usage };
        case 'content_block_start':
          return event.content_block && start(index, event.content_block);
        case 'content_block_delta':
          return event.delta && grow(index, event.delta);
        case 'message_delta':
          usage = atLeast(usage, event.usage);
          stopReason = event.delta?.stop_reason ?? stopReason;
          return { type: 'progress', usage };
        case 'message_stop':
          stopReason ??= [...open.values()].some((block) => block.type === 'tool_use') ? 'tool_use' : 'end_turn';
          return undefined;
        default:
          return undefined;
      }
    },
    complete: () => stopReason !== undefined,
    blocks: () => [...open.entries()].sort(([a], [b]) => a - b).map(([, block]) => closed(block)),
    text: () =>
      [...open.entries()]
        .sort(([a], [b]) => a - b)
        .map(([, block]) => (block.type === 'text' ? block.text : ''))
        .join(''),
    stopReason: () => stopReason ?? 'end_turn',
    usage: () => usage,
  };
}

function opening(block: NonNullable<WireEvent['content_block']>): OpenBlock | undefined {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text ?? '' };
    case 'thinking':
      return { type: 'thinking', thinking: block.thinking ?? '', signature: block.signature ?? '' };
    case 'redacted_thinking':
      return { type: 'redacted_thinking', data: block.data ?? '' };
    case 'tool_use':
      return { type: 'tool_use', name: block.name ?? '', start: block.input, json: '' };
    default:
      return undefined;
  }
}

function closed(block: OpenBlock): AnswerBlock {
  if (block.type !== 'tool_use') return block;
  // Anthropic sends the input as deltas after an empty object; some local servers send it whole at the start.
  if (block.json === '') return { type: 'tool_use', name: block.name, input: asObject(block.start) ?? {} };
  const input = asObject(parsed(block.json));
  if (input === null) return { type: 'tool_use', name: block.name, input, raw: block.json };
  return { type: 'tool_use', name: block.name, input };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
}

/** Every count is a running total, and servers differ in which event carries which: the largest seen is the total. */
function atLeast(known: ModelUsage, told: WireUsage | undefined): ModelUsage {
  const most = (key: keyof ModelUsage) => Math.max(known[key], told?.[key] ?? 0);
  return {
    input_tokens: most('input_tokens'),
    output_tokens: most('output_tokens'),
    cache_creation_input_tokens: most('cache_creation_input_tokens'),
    cache_read_input_tokens: most('cache_read_input_tokens'),
  };
}
