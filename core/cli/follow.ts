// A session's log as it grows, across restarts of the process: every event once and in order, previews as they come.
import { StewardError } from '../errors.ts';
import type { Millis } from '../types.ts';
import { type Client, isUnavailable } from './client.ts';
import { type EventView, event as eventShape, preview as previewShape } from './shapes.ts';
import type { ServerEvent } from './sse.ts';

export type Frame =
  | { kind: 'event'; position: number; event: EventView }
  | { kind: 'preview'; id: string; text: string };

export interface FollowOptions {
  /** The position after which to begin. */
  after: number;
  signal: AbortSignal;
  /** How long a process that went away may take to come back. */
  patience?: Millis;
  now(): Millis;
  sleep(ms: Millis, signal: AbortSignal): Promise<void>;
}

/** Between two tries to reach a process that is restarting. */
const retryDelay = 250;
/** The server pings every 15 s; after three missed ones the connection is dead though nobody said so. */
const silence = 45_000;

/** Ends when the signal aborts. Throws `unavailable` once the process stays away longer than `patience`. */
export async function* follow(client: Client, sessionId: string, options: FollowOptions): AsyncGenerator<Frame> {
  const { signal, patience = 30_000 } = options;
  let position = options.after;
  let lostAt: Millis | null = null;
  while (!signal.aborted) {
    const query = new URLSearchParams({ after_seq: String(position), 'event_deltas[]': 'agent.message' });
    const watch = silenceWatch(signal);
    try {
      for await (const item of client.stream(`/v1/sessions/${sessionId}/events/stream?${query}`, watch.signal)) {
        lostAt = null;
        watch.heard();
        const frame = toFrame(item, position);
        if (!frame) continue;
        if (frame.kind === 'event') position = frame.position;
        yield frame;
      }
    } catch (error) {
      if (signal.aborted) return;
      lostAt ??= options.now();
      if (!isUnavailable(error) || options.now() - lostAt > patience) throw error;
    } finally {
      watch.end();
    }
    await options.sleep(retryDelay, signal);
  }
}

function toFrame(item: ServerEvent, position: number): Frame | null {
  const data = parseJson(item.data);
  if (item.id !== null && item.id !== '') {
    const event = eventShape.safeParse(data);
    const at = Number(item.id);
    if (!event.success || !Number.isFinite(at))
      throw new StewardError('conflict', `Steward sent an event this command does not understand (${item.event}).`, {
        op: 'read the session',
        hint: 'Is the command of the same version as the running process? npm start restarts it.',
      });
    return at > position ? { kind: 'event', position: at, event: event.data } : null;
  }
  const preview = previewShape.safeParse(data);
  if (!preview.success) return null;
  if (preview.data.type === 'event_start') return { kind: 'preview', id: preview.data.event.id, text: '' };
  return { kind: 'preview', id: preview.data.event_id, text: preview.data.delta.content.text };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function silenceWatch(outer: AbortSignal) {
  const controller = new AbortController();
  const give = () => controller.abort(outer.reason);
  outer.addEventListener('abort', give, { once: true });
  let timer = setTimeout(give, silence);
  return {
    signal: controller.signal,
    heard() {
      clearTimeout(timer);
      timer = setTimeout(give, silence);
    },
    end() {
      clearTimeout(timer);
      outer.removeEventListener('abort', give);
    },
  };
}
