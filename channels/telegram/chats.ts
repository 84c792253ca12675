// What stands in a chat: one queue per chat for placeholders, partial text and final text, so that none overtakes another.
import type { Clock } from '../../core/clock.ts';
import type { Address, Delivery, DeliveryContext, DeliveryOutcome, Id, Millis, Progress } from '../../core/types.ts';
import { firstForTelegram, TELEGRAM_LIMIT, toTelegramHtml, visibleText } from '../render.ts';
import { failureOf, isGone, isNotModified, outcomeOf } from './api.ts';
import { createLive, type LiveTimings } from './live.ts';
import { createRows, PLACEHOLDER, place, type RowsDeps } from './rows.ts';

export interface ChatTimings extends LiveTimings {
  /** How long what is in flight may go on once the channel, or the delivery, is told to stop. */
  graceMs: Millis;
  /** Before a reply that did not arrive is tried again. */
  replyRetryMs: Millis;
}

export const CHAT_TIMINGS: ChatTimings = {
  editMs: 1_200,
  groupEditMs: 3_500,
  typingMs: 4_000,
  typingLimitMs: 5 * 60_000,
  graceMs: 3_000,
  replyRetryMs: 1_000,
};

const REPLY_TRIES = 3;

export interface ChatsDeps extends Omit<RowsDeps, 'failed'> {
  clock: Clock;
  timings: ChatTimings;
  /** Aborted when what is still in flight is to end now. */
  closing: AbortSignal;
}

export interface Chats {
  deliver(item: Delivery, context: DeliveryContext): Promise<DeliveryOutcome>;
  progress(address: Address, sessionId: Id, progress: Progress): void;
  /** Plain text that is not owed to anyone: tried a few times while it surely has not arrived. Rejects when given up. */
  reply(address: Address, text: string): Promise<void>;
  /** Shows no more partial text and resolves when nothing is in flight. */
  stop(): Promise<void>;
}

export function createChats(deps: ChatsDeps): Chats {
  const { api, clock, timings } = deps;
  const queues = new Map<string, Promise<unknown>>();
  /** Chats Telegram told us to leave alone for a while; nothing at all is sent there meanwhile. */
  const quiet = new Map<string, Millis>();

  const inOrder = <T>(chat: string, work: () => Promise<T>): Promise<T> => {
    const next = (queues.get(chat) ?? Promise.resolve()).then(work, work);
    queues.set(chat, next);
    const forget = () => {
      if (queues.get(chat) === next) queues.delete(chat);
    };
    next.then(forget, forget);
    return next;
  };
  const quietFor = (chat: string): Millis => {
    const left = (quiet.get(chat) ?? 0) - clock.now();
    if (left <= 0) quiet.delete(chat);
    return Math.max(0, left);
  };
  /** As `failureOf`, and the chat is left alone for as long as Telegram asks. */
  const failed = (chat: string, error: unknown) => {
    const failure = failureOf(error);
    if (failure.code === 429) quiet.set(chat, clock.now() + (failure.retryAfterMs ?? 5_000));
    return failure;
  };

  const rows = createRows({ ...deps, failed });

  const attempt = async (item: Delivery, context: DeliveryContext, signal: AbortSignal): Promise<DeliveryOutcome> => {
    const { address } = item;
    const wait = quietFor(address.chat);
    if (wait > 0) return { kind: 'not_sent', why: 'Telegram: too many messages to this chat', retryAfterMs: wait };
    if (signal.aborted) return { kind: 'not_sent', why: 'Steward is stopping' };
    return rows.send(item, context, signal);
  };

  /** Work under way ends by itself, or is cut off when the channel closes, or a while after delivery was told to stop. */
  const bounded = async <T>(stopping: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const flight = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const cut = () => flight.abort();
    const cutLater = () => {
      timer ??= setTimeout(cut, timings.graceMs);
    };
    deps.closing.addEventListener('abort', cut);
    stopping.addEventListener('abort', cutLater);
    if (deps.closing.aborted) cut();
    if (stopping.aborted) cutLater();
    try {
      return await work(flight.signal);
    } finally {
      clearTimeout(timer);
      deps.closing.removeEventListener('abort', cut);
      stopping.removeEventListener('abort', cutLater);
    }
  };

  const live = createLive({
    clock,
    timings,
    inOrder,
    quietFor,
    async typing(address) {
      try {
        await api.sendChatAction(address.chat, address.thread, deps.closing);
      } catch (error) {
        failed(address.chat, error);
      }
    },
    preview(text) {
      const html = toTelegramHtml(firstForTelegram(text));
      return visibleText(html).length + 2 > TELEGRAM_LIMIT ? html : `${html} ${PLACEHOLDER}`;
    },
    async show(address, sessionId, message, html) {
      const { chat } = address;
      const begin = async () => {
        const placed = await api.sendMessage(chat, PLACEHOLDER, place(address), deps.closing);
        deps.drafts.record(sessionId, address, String(placed));
        return placed;
      };
      // Half a text is worth no second request: what is not taken is shown with the next one.
      const put = async (placed: number) => {
        try {
          await api.editMessageText(chat, placed, html, { html: true }, deps.closing);
        } catch (error) {
          if (!isNotModified(failureOf(error))) throw error;
        }
      };
      try {
        // After a crash the message of the life before stands there still.
        let placed = message ?? Number(deps.drafts.find(sessionId, address) ?? 0);
        if (!placed) placed = await begin();
        try {
          await put(placed);
        } catch (error) {
          if (!isGone(failureOf(error))) throw error;
          placed = await begin();
          await put(placed);
        }
        return placed;
      } catch (error) {
        failed(chat, error);
        throw error;
      }
    },
  });

  const reply = async (address: Address, text: string): Promise<void> => {
    const { chat } = address;
    for (let tries = 1; ; tries++) {
      await clock.sleep(quietFor(chat), deps.closing);
      try {
        await api.sendMessage(chat, text, place(address), deps.closing);
        return;
      } catch (error) {
        const outcome = outcomeOf(failed(chat, error), 'send');
        if (outcome.kind !== 'not_sent' || tries >= REPLY_TRIES || deps.closing.aborted) throw error;
        await clock.sleep(outcome.retryAfterMs === undefined ? timings.replyRetryMs : 0, deps.closing);
      }
    }
  };

  return {
    reply: (address, text) => inOrder(address.chat, () => reply(address, text)),
    deliver(item, context) {
      // The final text takes the placed message over: nothing may edit it afterwards.
      if (item.body.kind === 'text') live.end(item.address, item.sessionId);
      return inOrder(item.address.chat, () =>
        bounded(context.signal, (signal) => attempt(item, context, signal)),
      ).catch(
        (error): DeliveryOutcome => ({ kind: 'unknown', why: error instanceof Error ? error.message : String(error) }),
      );
    },
    progress: live.progress,
    async stop() {
      await live.stop();
      await Promise.allSettled(queues.values());
    },
  };
}
