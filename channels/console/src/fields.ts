// Reads the fields of an event without trusting them: a wrong or missing field is an empty value, never a crash.
import type { Origin, SessionEvent, StopReason } from './types.ts';

export type Fields = Record<string, unknown>;

export function record(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function string(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function blocks(content: unknown): Fields[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return Array.isArray(content) ? content.map(record) : [];
}

/** The text blocks of a content list, joined by blank lines. */
export function textOf(content: unknown): string {
  return blocks(content)
    .filter((block) => block.type === 'text')
    .map((block) => string(block.text))
    .join('\n\n');
}

const SHOWN_IMAGES = /^image\/(png|jpeg|gif|webp)$/;

/** The images of a content list as data: URLs. Only bytes that are in the log: nothing is ever loaded from elsewhere. */
export function imagesOf(content: unknown): string[] {
  return blocks(content).flatMap((block) => {
    const source = record(block.source);
    const type = string(source.media_type);
    const data = string(source.data);
    const shown = block.type === 'image' && source.type === 'base64' && SHOWN_IMAGES.test(type) && data !== '';
    return shown ? [`data:${type};base64,${data}`] : [];
  });
}

export function originOf(event: SessionEvent): Origin | null {
  const origin = record(event.origin);
  const channel = string(origin.channel);
  if (channel === '') return null;
  return { channel, user_id: string(origin.user_id), name: string(origin.name), role: string(origin.role) };
}

export function stopReasonOf(event: SessionEvent): StopReason {
  const reason = record(event.stop_reason);
  const ids = Array.isArray(reason.event_ids) ? reason.event_ids.filter((id) => typeof id === 'string') : [];
  return { type: string(reason.type) || 'end_turn', event_ids: ids };
}

/** The call a result or a confirmation belongs to. MCP and custom tools name the field differently. */
export function callIdOf(event: SessionEvent): string {
  return string(event.tool_use_id) || string(event.mcp_tool_use_id) || string(event.custom_tool_use_id);
}
