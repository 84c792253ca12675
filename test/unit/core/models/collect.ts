// Reads a model stream to its end and checks what every stream promises: `end` last, and exactly once.
import { expect } from 'vitest';
import type { ModelSource, SourceEvent } from '../../../../core/models/watchdog.ts';
import type { ModelOutcome, ModelRequest, ToolDefinition } from '../../../../core/types.ts';

export const ZERO = {
  input_tokens: 0,
  output_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
};

export function ask(text: string, rest: Partial<ModelRequest> = {}): ModelRequest {
  const messages: ModelRequest['messages'] = [{ role: 'user', content: [{ type: 'text', text }] }];
  return { model: 'claude-test', system: '', messages, tools: [], maxTokens: 1_000, ...rest };
}

export function tool(name: string, properties: ToolDefinition['input_schema'] = {}): ToolDefinition {
  return { name, description: `The tool ${name}.`, input_schema: { type: 'object', properties } };
}

export async function collect(
  provider: ModelSource,
  request: ModelRequest,
  options: { signal?: AbortSignal; onEvent?: (event: SourceEvent) => void } = {},
): Promise<{ events: SourceEvent[]; text: string; outcome: ModelOutcome }> {
  const events: SourceEvent[] = [];
  for await (const event of provider.stream(request, options.signal ?? new AbortController().signal)) {
    events.push(event);
    options.onEvent?.(event);
  }
  expect(events.filter((event) => event.type === 'end')).toHaveLength(1);
  const last = events.at(-1);
  if (last?.type !== 'end') throw new Error('the stream did not end with `end`');
  const text = events.map((event) => (event.type === 'delta' ? event.text : '')).join('');
  return { events, text, outcome: last.outcome };
}

export function done(outcome: ModelOutcome): Extract<ModelOutcome, { kind: 'done' }> {
  if (outcome.kind !== 'done') throw new Error(`failed: ${outcome.failure}: ${outcome.message}`);
  return outcome;
}

export function failed(outcome: ModelOutcome): Extract<ModelOutcome, { kind: 'failed' }> {
  if (outcome.kind !== 'failed') throw new Error(`did not fail: ${JSON.stringify(outcome.blocks)}`);
  return outcome;
}
