// The state of one session's log as a pure reduction: stored events and stream previews go in, an ordered log comes out.
import { string } from './fields.ts';
import type { SessionEvent } from './types.ts';

/** An answer that is still being written. Never stored: the final agent.message with the same id replaces it. */
export interface Preview {
  id: string;
  text: string;
  /** True when its beginning was missed (the connection was down): only the final message has it all. */
  partial: boolean;
}

export interface Log {
  /** In reading order: read inputs and everything else by position, then the inputs that still wait. Each id once. */
  events: readonly SessionEvent[];
  previews: readonly Preview[];
}

export type Input =
  | { kind: 'event'; event: SessionEvent }
  | { kind: 'preview_start'; id: string }
  | { kind: 'preview_delta'; id: string; text: string }
  /** The stream was cut: what was being written meanwhile is unknown. */
  | { kind: 'gap' };

export const emptyLog: Log = { events: [], previews: [] };

export function isQueued(event: SessionEvent): boolean {
  return event.processed_at === null && event.type.startsWith('user.');
}

/** Where an event stands in the conversation, and what the stream counts by. */
export function placeOf(event: SessionEvent): number {
  return typeof event.position === 'number' ? event.position : event.seq;
}

function byPlace(a: SessionEvent, b: SessionEvent): number {
  const queued = Number(isQueued(a)) - Number(isQueued(b));
  return queued || placeOf(a) - placeOf(b);
}

/** A read version always replaces a queued one and never the reverse: the stream may replay what a page already gave. */
function newer(known: SessionEvent, next: SessionEvent): boolean {
  if (known.processed_at === null) return next.processed_at !== null || placeOf(next) > placeOf(known);
  return next.processed_at !== null && placeOf(next) > placeOf(known);
}

/** An answer that ends without a message of its own: the request failed, or the session came to rest. */
function endsPreviews(event: SessionEvent): boolean {
  if (event.type === 'span.model_request_end') return event.is_error === true;
  return (
    event.type === 'session.status_idle' ||
    event.type === 'session.status_terminated' ||
    event.type === 'session.status_rescheduled'
  );
}

function reducePreviews(previews: readonly Preview[], input: Input): readonly Preview[] {
  switch (input.kind) {
    case 'preview_start':
      return [...previews.filter((p) => p.id !== input.id), { id: input.id, text: '', partial: false }];
    case 'preview_delta': {
      if (previews.some((p) => p.id === input.id)) {
        return previews.map((p) => (p.id === input.id ? { ...p, text: p.text + input.text } : p));
      }
      return [...previews, { id: input.id, text: input.text, partial: true }];
    }
    case 'gap':
      return previews.length === 0 ? previews : [];
    case 'event': {
      if (previews.length === 0) return previews;
      if (endsPreviews(input.event)) return [];
      const rest = previews.filter((p) => p.id !== input.event.id);
      return rest.length === previews.length ? previews : rest;
    }
  }
}

/** Applies inputs in order. Returns the same object when nothing changed, so that nothing is drawn again. */
export function reduce(log: Log, inputs: readonly Input[]): Log {
  let previews = log.previews;
  const known = new Map(log.events.map((event) => [event.id, event]));
  let changed = false;
  for (const input of inputs) {
    if (input.kind !== 'event') {
      const late = input.kind !== 'gap' && known.has(input.id);
      if (!late) previews = reducePreviews(previews, input);
      continue;
    }
    const before = known.get(input.event.id);
    if (before !== undefined && !newer(before, input.event)) continue;
    previews = reducePreviews(previews, input);
    known.set(input.event.id, input.event);
    changed = true;
  }
  if (!changed && previews === log.previews) return log;
  return { events: changed ? forgotten([...known.values()]).sort(byPlace) : log.events, previews };
}

/** What was redacted leaves this page too, not only the server: nothing but the envelope stays. */
function forgotten(events: SessionEvent[]): SessionEvent[] {
  const ids = new Set<unknown>();
  for (const { type, event_ids } of events) {
    if (type === 'session.redacted' && Array.isArray(event_ids)) for (const id of event_ids) ids.add(id);
  }
  if (ids.size === 0) return events;
  return events.map((event) => {
    if (!ids.has(event.id) || event.redacted === true) return event;
    const { id, type, seq, position, created_at, processed_at } = event;
    return { id, type, seq, position, created_at, processed_at, redacted: true };
  });
}

/** Adds a page of stored events (older or newer) without touching previews. */
export function merge(log: Log, page: readonly SessionEvent[]): Log {
  const merged = reduce(
    { ...log, previews: [] },
    page.map((event) => ({ kind: 'event', event })),
  );
  return { events: merged.events, previews: log.previews.filter((p) => !page.some((event) => event.id === p.id)) };
}

/** The position to go on from after these events: everything later is replayed by the stream. */
export function cursorOf(events: readonly SessionEvent[]): number {
  return events.reduce((highest, event) => Math.max(highest, placeOf(event)), 0);
}

/** Reads one message of the event stream; null for what is not an input (pings, previews of other things). */
export function inputOf(name: string, data: unknown): Input | null {
  if (typeof data !== 'object' || data === null) return null;
  const message = data as Record<string, unknown>;
  if (name === 'event_start') {
    const event = (message.event ?? {}) as Record<string, unknown>;
    return event.type === 'agent.message' ? { kind: 'preview_start', id: string(event.id) } : null;
  }
  if (name === 'event_delta') {
    const delta = (message.delta ?? {}) as Record<string, unknown>;
    const content = (delta.content ?? {}) as Record<string, unknown>;
    const text = string(content.text);
    return text === '' ? null : { kind: 'preview_delta', id: string(message.event_id), text };
  }
  if (typeof message.id !== 'string' || typeof message.type !== 'string' || typeof message.seq !== 'number')
    return null;
  return { kind: 'event', event: message as SessionEvent };
}
