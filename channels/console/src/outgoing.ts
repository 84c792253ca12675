// Messages on their way to the server: shown at once, sent in order, retried under one key, kept over a reload.
import { type ReadonlySignal, signal } from '@preact/signals';
import { textOf } from './fields.ts';
import { placeOf } from './reduce.ts';
import type { SessionEvent } from './types.ts';

export interface Outgoing {
  /** The Idempotency-Key: the same for every try of this message. */
  key: string;
  text: string;
  at: string;
  /** The log's position when it was written: a copy in the log can only come later. */
  after: number;
  state: 'sending' | 'failed';
  /** Why it failed and what to do; empty while sending. */
  error: string;
  hint: string;
}

interface Failure {
  message: string;
  hint: string;
  mayRetry: boolean;
}

export interface OutgoingOptions {
  /** Stores one message; rejects with something `failureOf` understands. */
  send: (text: string, key: string) => Promise<SessionEvent[]>;
  failureOf: (error: unknown) => Failure;
  load: () => string | null;
  save: (json: string | null) => boolean;
  newKey: () => string;
  now: () => number;
  /** Pauses between the automatic tries, ms; after the last one the person decides. */
  pauses?: readonly number[];
}

export interface OutgoingQueue {
  readonly list: ReadonlySignal<readonly Outgoing[]>;
  /** `after` is the highest position of the log that is known now. */
  add(text: string, after: number): void;
  retry(key: string): void;
  /** Gives the text back and forgets the message. */
  take(key: string): string;
  /** Who gets the stored events while a page shows this session; null when nobody does. Sending goes on either way. */
  onStored(listener: ((events: SessionEvent[]) => void) | null): void;
}

function restore(json: string | null): Outgoing[] {
  try {
    const list: unknown = JSON.parse(json ?? '[]');
    if (!Array.isArray(list)) return [];
    return list
      .filter((item) => typeof item?.key === 'string' && typeof item?.text === 'string')
      .map((item) => ({
        key: item.key,
        text: item.text,
        at: String(item.at),
        after: Number(item.after) || 0,
        state: 'failed' as const,
        error: 'The page was closed before this was confirmed.',
        hint: 'Retry is safe: if it arrived, it is not stored twice.',
      }));
  } catch {
    return [];
  }
}

export function createOutgoing(options: OutgoingOptions): OutgoingQueue {
  const pauses = options.pauses ?? [500, 2000, 5000];
  const list = signal<readonly Outgoing[]>(restore(options.load()));
  let listener: ((events: SessionEvent[]) => void) | null = null;
  // One after the other: two messages must not overtake each other on the way.
  let line: Promise<void> = Promise.resolve();

  function set(next: readonly Outgoing[]): void {
    list.value = next;
    options.save(next.length === 0 ? null : JSON.stringify(next));
  }

  function change(key: string, fields: Partial<Outgoing>): void {
    set(list.value.map((item) => (item.key === key ? { ...item, ...fields } : item)));
  }

  async function deliver(key: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const item = list.value.find((candidate) => candidate.key === key);
      if (!item) return;
      try {
        const stored = await options.send(item.text, key);
        // First into the log, then out of this list: the message must not vanish in between.
        listener?.(stored);
        set(list.value.filter((candidate) => candidate.key !== key));
        return;
      } catch (error) {
        const failure = options.failureOf(error);
        const pause = pauses[attempt];
        if (!failure.mayRetry || pause === undefined) {
          change(key, { state: 'failed', error: failure.message, hint: failure.hint });
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  function start(key: string): void {
    line = line.then(() => deliver(key));
  }

  return {
    list,
    add(text, after) {
      const key = options.newKey();
      const at = new Date(options.now()).toISOString();
      set([...list.value, { key, text, at, after, state: 'sending', error: '', hint: '' }]);
      start(key);
    },
    retry(key) {
      change(key, { state: 'sending', error: '', hint: '' });
      start(key);
    },
    take(key) {
      const text = list.value.find((item) => item.key === key)?.text ?? '';
      set(list.value.filter((item) => item.key !== key));
      return text;
    },
    onStored(next) {
      listener = next;
    },
  };
}

/**
 * The messages still to show beside the log. One that is being sent may come back over the stream before the answer to
 * the POST does: it is then in the log already and must not be seen twice.
 */
export function notYetInLog(list: readonly Outgoing[], events: readonly SessionEvent[]): Outgoing[] {
  if (list.length === 0) return [];
  const recent = events.slice(-40).filter((event) => event.type === 'user.message');
  return list.filter((item) => {
    if (item.state !== 'sending') return true;
    const index = recent.findIndex((event) => placeOf(event) > item.after && textOf(event.content) === item.text);
    if (index < 0) return true;
    recent.splice(index, 1);
    return false;
  });
}
