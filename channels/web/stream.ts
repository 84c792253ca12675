// The event stream: replay from a position, then live, with previews on request. SSE, never more in memory than a bounded queue.
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Bus, Notice } from '../../core/bus.ts';
import type { Events } from '../../core/events.ts';
import type { Id, JsonObject } from '../../core/types.ts';
import { eventToWire } from './wire.ts';

const PING_MS = 15_000;
const REPLAY_PAGE = 500;
/** A reader this far behind is cut off; it resumes with Last-Event-ID. */
const MAX_BEHIND = 10_000;

const previewData = (notice: Exclude<Notice, { kind: 'event' }>): JsonObject =>
  notice.kind === 'preview_start'
    ? { type: 'event_start', event: { id: notice.eventId, type: notice.type } }
    : {
        type: 'event_delta',
        event_id: notice.eventId,
        delta: { type: 'content_delta', index: 0, content: { type: 'text', text: notice.text } },
      };

export function streamEvents(
  c: Context,
  deps: { events: Events; bus: Bus; closing: AbortSignal; signedIn(c: Context): boolean },
  options: { sessionId: Id; after: number | null; deltas: ReadonlySet<string> },
): Response {
  const { sessionId, deltas } = options;
  c.header('X-Accel-Buffering', 'no');
  return streamSSE(c, async (stream) => {
    const queue: Notice[] = [];
    let wake: (() => void) | null = null;
    let ended = false;
    const end = () => {
      ended = true;
      wake?.();
    };
    // Listening begins before the replay reads, so that nothing falls between the two.
    const leave = deps.bus.subscribe(sessionId, (notice) => {
      if (notice.kind === 'preview_start' && !deltas.has(notice.type)) return;
      if (notice.kind === 'preview_delta' && !deltas.has('agent.message')) return;
      queue.push(notice);
      if (queue.length > MAX_BEHIND) end();
      wake?.();
    });
    stream.onAbort(end);
    deps.closing.addEventListener('abort', end, { once: true });
    const ping = setInterval(() => {
      if (deps.signedIn(c)) void stream.writeSSE({ event: 'ping', data: '{}' });
      else end();
    }, PING_MS);
    try {
      let cursor = options.after ?? 0;
      const send = async (at: number, event: JsonObject) => {
        if (!deps.signedIn(c)) return end();
        cursor = at;
        await stream.writeSSE({ event: String(event.type), id: String(at), data: JSON.stringify(event) });
      };
      await stream.writeSSE({ event: 'ping', data: '{}' });
      if (options.after !== null)
        for (;;) {
          const page = deps.events.since(sessionId, cursor, REPLAY_PAGE);
          for (const { at, event } of page) if (!ended) await send(at, eventToWire(event));
          if (page.length < REPLAY_PAGE || ended) break;
        }
      while (!ended) {
        const notice = queue.shift();
        if (!notice) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
          wake = null;
        } else if (notice.kind === 'event') {
          const at = notice.event.position ?? notice.event.seq;
          if (options.after === null || at > cursor) await send(at, eventToWire(notice.event));
          if (notice.event.type === 'session.deleted') end();
        } else {
          const data = previewData(notice);
          await stream.writeSSE({ event: String(data.type), data: JSON.stringify(data) });
        }
      }
    } finally {
      clearInterval(ping);
      leave();
      deps.closing.removeEventListener('abort', end);
    }
  });
}
