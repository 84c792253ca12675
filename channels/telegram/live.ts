// While a run works: typing, and partial text shown by throttled edits of one message per conversation. Lossy by contract.
import type { Clock } from '../../core/clock.ts';
import type { Address, Id, Millis, Progress } from '../../core/types.ts';

export interface LiveTimings {
  /** Between two edits that show partial text. */
  editMs: Millis;
  /** The same in a group, which may get about twenty messages a minute. */
  groupEditMs: Millis;
  /** Telegram shows "typing" for five seconds. */
  typingMs: Millis;
  typingLimitMs: Millis;
}

/** After a partial text that could not be shown. */
const PAUSE_MS: Millis = 5_000;

interface Entry {
  message: number | null;
  text: string;
  /** `text` grew since it was last looked at. */
  grown: boolean;
  /** What stands in the message. */
  shown: string;
  pausedUntil: Millis;
  timer: NodeJS.Timeout | null;
  typing: NodeJS.Timeout | null;
  typingSince: Millis;
  /** A typing that is still under way says it too. */
  sending: boolean;
}

const newEntry = (): Entry => ({
  message: null,
  text: '',
  grown: false,
  shown: '',
  pausedUntil: 0,
  timer: null,
  typing: null,
  typingSince: 0,
  sending: false,
});

export interface Live {
  progress(address: Address, sessionId: Id, progress: Progress): void;
  /** From here on nothing more is shown of what was written so far. */
  end(address: Address, sessionId: Id): void;
  /** Ends everything; resolves when no typing is in flight. */
  stop(): Promise<void>;
}

export function createLive(deps: {
  clock: Clock;
  timings: LiveTimings;
  inOrder<T>(chat: string, work: () => Promise<T>): Promise<T>;
  /** Milliseconds this chat has to be left alone. */
  quietFor(chat: string): Millis;
  /** Never rejects. */
  typing(address: Address): Promise<void>;
  /** What is shown of a text that still grows, as HTML. */
  preview(text: string): string;
  /** Shows it in `message`, or in a new one; returns the message it stands in. */
  show(address: Address, sessionId: Id, message: number | null, html: string): Promise<number>;
}): Live {
  const { clock, timings } = deps;
  const entries = new Map<string, Entry>();
  const inFlight = new Set<Promise<void>>();
  let stopped = false;

  const keyOf = (address: Address, sessionId: Id) => `${address.chat}#${address.thread ?? ''}/${sessionId}`;
  const paceOf = (address: Address) => (address.chat.startsWith('-') ? timings.groupEditMs : timings.editMs);

  const stopTyping = (entry: Entry) => {
    if (entry.typing) clearInterval(entry.typing);
    entry.typing = null;
  };
  const type = (address: Address, entry: Entry) => {
    if (entry.typing || entry.message !== null) return;
    const send = () => {
      if (clock.now() - entry.typingSince > timings.typingLimitMs) return stopTyping(entry);
      if (entry.sending || deps.quietFor(address.chat) > 0) return;
      entry.sending = true;
      const sent = deps.typing(address).finally(() => {
        entry.sending = false;
        inFlight.delete(sent);
      });
      inFlight.add(sent);
    };
    entry.typingSince = clock.now();
    entry.typing = setInterval(send, timings.typingMs);
    send();
  };

  const drop = (key: string, entry: Entry) => {
    stopTyping(entry);
    if (entry.timer) clearTimeout(entry.timer);
    entry.timer = null;
    entries.delete(key);
  };

  const show = async (address: Address, sessionId: Id, entry: Entry): Promise<void> => {
    const current = () => !stopped && entries.get(keyOf(address, sessionId)) === entry;
    if (!current() || !entry.grown) return;
    const wait = Math.max(entry.pausedUntil - clock.now(), deps.quietFor(address.chat));
    if (wait > 0) return later(address, sessionId, entry, wait);
    entry.grown = false;
    const html = deps.preview(entry.text);
    try {
      if (html !== entry.shown) entry.message = await deps.show(address, sessionId, entry.message, html);
      entry.shown = html;
    } catch {
      // A courtesy: the outbox says it all in the end.
      entry.pausedUntil = clock.now() + PAUSE_MS;
      entry.grown = true;
    }
    if (current() && entry.grown) later(address, sessionId, entry, paceOf(address));
  };
  const later = (address: Address, sessionId: Id, entry: Entry, ms: Millis): void => {
    entry.timer ??= setTimeout(() => {
      entry.timer = null;
      void deps.inOrder(address.chat, () => show(address, sessionId, entry));
    }, ms);
  };

  return {
    progress(address, sessionId, progress) {
      if (stopped) return;
      const key = keyOf(address, sessionId);
      const known = entries.get(key);
      if (progress.kind === 'ended') {
        if (known) drop(key, known);
        return;
      }
      const entry = known ?? newEntry();
      entries.set(key, entry);
      if (progress.kind === 'working') return type(address, entry);
      stopTyping(entry);
      if (progress.text.trim() === '') return;
      entry.text = progress.text;
      entry.grown = true;
      later(address, sessionId, entry, entry.message === null ? paceOf(address) / 4 : paceOf(address));
    },
    end(address, sessionId) {
      const key = keyOf(address, sessionId);
      const entry = entries.get(key);
      if (entry) drop(key, entry);
    },
    async stop() {
      stopped = true;
      for (const [key, entry] of [...entries]) drop(key, entry);
      await Promise.all(inFlight);
    },
  };
}
