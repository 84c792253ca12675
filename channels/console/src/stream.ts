// Follows a session's event stream over fetch: parses SSE, resumes after the last position, reconnects with backoff.

export interface StreamMessage {
  event: string;
  data: string;
  /** The position of a stored event; null for previews and pings. */
  id: number | null;
}

/** An incremental SSE parser (WHATWG rules). Feed it decoded chunks, cut anywhere; it returns the messages completed so far. */
export function createSseParser(): (chunk: string) => StreamMessage[] {
  let buffer = '';
  let event = '';
  let data: string[] = [];
  let id: number | null = null;
  let first = true;

  function field(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') event = value;
    else if (name === 'data') data.push(value);
    else if (name === 'id' && /^\d{1,15}$/.test(value)) id = Number(value);
  }

  function dispatch(): StreamMessage | null {
    const message = data.length > 0 ? { event: event || 'message', data: data.join('\n'), id } : null;
    event = '';
    data = [];
    id = null;
    return message;
  }

  return (chunk) => {
    if (first && chunk !== '') {
      chunk = chunk.replace(/^\uFEFF/, '');
      first = false;
    }
    buffer += chunk;
    const messages: StreamMessage[] = [];
    for (;;) {
      const end = /\r\n|\n|\r/.exec(buffer);
      // A trailing CR may be half of a CRLF: wait for the next chunk.
      if (!end || (end[0] === '\r' && end.index === buffer.length - 1)) return messages;
      const line = buffer.slice(0, end.index);
      buffer = buffer.slice(end.index + end[0].length);
      if (line !== '') {
        field(line);
        continue;
      }
      const message = dispatch();
      if (message) messages.push(message);
    }
  };
}

export type ConnectionState =
  | { kind: 'connecting' }
  | { kind: 'open' }
  /** Lost; the next try is at `retryAt` (epoch ms). */
  | { kind: 'lost'; why: string; retryAt: number; tries: number }
  /** 401: sign in first. */
  | { kind: 'signed_out' }
  /** 4xx: this stream will never open. */
  | { kind: 'refused'; status: number }
  | { kind: 'closed' };

export interface FollowOptions {
  /** The address of the stream that replays everything after this position. */
  url: (after: number) => string;
  after: number;
  /** Called for each message in order, before its position counts as seen. */
  onMessage: (message: StreamMessage) => void;
  onState: (state: ConnectionState) => void;
  fetch?: typeof globalThis.fetch;
  now?: () => number;
  random?: () => number;
  /** Milliseconds without a byte after which the connection counts as dead. The server pings every 15 s. */
  silenceMs?: number;
  /** The first pause before a new try, ms; it doubles up to 30 times that. */
  backoffMs?: number;
}

export interface Follower {
  close(): void;
  /** Tries again at once instead of waiting for the backoff. */
  retryNow(): void;
  readonly position: number;
}

/** Never throws: how it goes is told through `onState`. Messages at or before the last seen position are not given twice. */
export function follow(options: FollowOptions): Follower {
  const {
    fetch = globalThis.fetch,
    now = Date.now,
    random = Math.random,
    silenceMs = 40_000,
    backoffMs = 500,
  } = options;
  let position = options.after;
  let tries = 0;
  let closed = false;
  let wake: (() => void) | null = null;
  let current: AbortController | null = null;

  /** Resolves with the reason the connection ended; null when it must not be tried again. */
  async function connect(): Promise<string | null> {
    const abort = new AbortController();
    current = abort;
    let silence: ReturnType<typeof setTimeout> | undefined;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), silenceMs);
    };
    try {
      heard();
      const response = await fetch(options.url(position), {
        headers: { accept: 'text/event-stream' },
        signal: abort.signal,
        cache: 'no-store',
      });
      if (response.status === 401) {
        options.onState({ kind: 'signed_out' });
        return null;
      }
      if (response.status >= 400 && response.status < 500 && response.status !== 408 && response.status !== 429) {
        options.onState({ kind: 'refused', status: response.status });
        return null;
      }
      if (!response.ok || !response.body) return `Steward answered ${response.status}.`;
      if (closed) return null;
      options.onState({ kind: 'open' });
      const parse = createSseParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return 'The connection was closed.';
        heard();
        for (const message of parse(value)) {
          if (closed) return null;
          tries = 0;
          if (message.id !== null && message.id <= position) continue;
          options.onMessage(message);
          if (message.id !== null) position = message.id;
        }
      }
    } catch {
      return abort.signal.aborted && !closed ? 'The connection went silent.' : 'Steward does not answer.';
    } finally {
      clearTimeout(silence);
      abort.abort();
    }
  }

  async function run(): Promise<void> {
    options.onState({ kind: 'connecting' });
    while (!closed) {
      const why = await connect();
      if (closed || why === null) return;
      tries += 1;
      const pause = Math.min(backoffMs * 2 ** (tries - 1), backoffMs * 30) * (0.75 + random() / 2);
      options.onState({ kind: 'lost', why, retryAt: now() + pause, tries });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pause);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      wake = null;
    }
  }

  void run();
  return {
    close() {
      if (closed) return;
      closed = true;
      current?.abort();
      wake?.();
      options.onState({ kind: 'closed' });
    },
    retryNow: () => wake?.(),
    get position() {
      return position;
    },
  };
}
