// The long poll: a batch and its offset commit together, and only the next request confirms them to Telegram.
import type { Clock } from '../../core/clock.ts';
import { StewardError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { ChannelHealth, Millis } from '../../core/types.ts';
import { failureOf, type TelegramApi, type TelegramUpdate } from './api.ts';
import type { Me } from './inbound.ts';

export interface PollTimings {
  /** How long Telegram may keep a request open, seconds. */
  longPollS: number;
  /** Beyond that, how long an answer may take before the request counts as stalled. */
  stallMs: Millis;
  conflictMs: Millis;
  backoffMs: Millis;
  backoffCapMs: Millis;
  /** Without a completed poll for this long the channel is failing. */
  overdueMs: Millis;
}

export const POLL_TIMINGS: PollTimings = {
  longPollS: 50,
  stallMs: 40_000,
  conflictMs: 30_000,
  backoffMs: 1_000,
  backoffCapMs: 30_000,
  overdueMs: 120_000,
};

/** An update that fails this often while the record takes writes is set aside, so that the rest can go on. */
const TRIES_PER_UPDATE = 3;

export interface Poll {
  /** Resolves when no request is in flight any more. */
  stop(): Promise<void>;
  health(now: Millis): ChannelHealth;
}

/** Taking a batch in failed: Telegram has no part in it. */
class NotTaken extends Error {}

export function startPoll(deps: {
  api: TelegramApi;
  clock: Clock;
  log: Log;
  timings: PollTimings;
  cursor: { get(name: string): number | null; set(name: string, value: number): void };
  transaction<T>(work: () => T): T;
  /** Called once, when the bot is known. */
  hello(me: Me): void;
  /** Called on the first success, and on each after a failure. */
  reached(): void;
  /** Inside the transaction of the batch. What it returns runs after the commit and must not throw. */
  handle(update: TelegramUpdate, me: Me): (() => void) | null;
}): Poll {
  const { api, clock, log, timings } = deps;
  const stopping = new AbortController();
  const startedAt = clock.now();
  let me: Me | null = null;
  let lastSuccessAt: Millis | null = null;
  let trouble: string | null = null;
  let failures = 0;
  /** The last poll succeeded: Telegram may now keep us waiting. */
  let settled = false;
  /** By update: tries to take it in that failed. */
  const failedTries = new Map<number, number>();

  const introduce = async (): Promise<Me> => {
    const { id, username } = await api.getMe(stopping.signal, timings.stallMs);
    const known = { id, username: username ?? '' };
    deps.hello(known);
    return known;
  };

  /** True when the update itself is at fault, again and again: the record took everything else. */
  const hopeless = (update: number, error: unknown): boolean => {
    if (error instanceof StewardError && error.retryable) return false;
    const tries = (failedTries.get(update) ?? 0) + 1;
    failedTries.set(update, tries);
    return tries >= TRIES_PER_UPDATE;
  };

  const take = (updates: readonly TelegramUpdate[], self: Me): void => {
    const after: (() => void)[] = [];
    try {
      deps.transaction(() => {
        for (const update of updates) {
          try {
            const effect = deps.handle(update, self);
            if (effect) after.push(effect);
          } catch (error) {
            // Nothing of this batch is confirmed, and it comes again.
            if (!hopeless(update.update_id, error)) throw error;
            log.error({ error, update: update.update_id }, 'an update was set aside');
          }
        }
        deps.cursor.set(`telegram:${self.id}`, Math.max(...updates.map((update) => update.update_id)) + 1);
      });
    } catch (error) {
      throw new NotTaken(error instanceof Error ? error.message : String(error), { cause: error });
    }
    failedTries.clear();
    for (const effect of after) effect();
  };

  const once = async (): Promise<void> => {
    me ??= await introduce();
    const offset = deps.cursor.get(`telegram:${me.id}`) ?? undefined;
    // The first poll returns at once, so that health knows; after that Telegram keeps it open.
    const wait = settled ? timings.longPollS : 0;
    const updates = await api.getUpdates(offset, wait, stopping.signal, wait * 1_000 + timings.stallMs);
    if (updates.length > 0) take(updates, me);
    const again = lastSuccessAt === null || failures > 0;
    lastSuccessAt = clock.now();
    trouble = null;
    failures = 0;
    settled = true;
    if (again) deps.reached();
  };

  /** What went wrong in words, and how long to wait. */
  const diagnose = async (error: unknown): Promise<Millis> => {
    failures += 1;
    settled = false;
    const backoff = Math.min(timings.backoffMs * 2 ** Math.min(failures - 1, 10), timings.backoffCapMs);
    if (error instanceof NotTaken) {
      trouble = `Messages cannot be stored: ${error.message} They stay with Telegram until they can.`;
      log.error({ error: error.cause }, 'messages from Telegram could not be stored');
      return Math.min(backoff, 5_000);
    }
    const failure = failureOf(error);
    if (failure.code === 409 && failure.description.includes('webhook')) {
      trouble = 'A webhook was set for this bot; it is removed so that polling works.';
      const removed = await api.deleteWebhook(stopping.signal).then(
        () => true,
        () => false,
      );
      return removed && failures === 1 ? 0 : backoff;
    }
    if (failure.code === 409) {
      trouble =
        'Another program polls this bot, so messages are lost to it: stop it, or make a new token with @BotFather.';
      // A poll that returns at once would succeed between two of the other's: only one that lasts tells that it is gone.
      settled = true;
      return timings.conflictMs;
    }
    if (failure.code === 401 || failure.code === 404) {
      trouble = 'Telegram refuses the bot token: set a valid one from @BotFather in the settings.';
      return timings.backoffCapMs;
    }
    // One broken request is ordinary; health turns when they last.
    if (failures > 2 || lastSuccessAt === null) trouble = `Telegram cannot be reached: ${failure.description}.`;
    return failure.retryAfterMs ?? backoff;
  };

  const loop = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await once();
      } catch (error) {
        if (stopping.signal.aborted) return;
        const wait = await diagnose(error);
        log.warn({ why: trouble ?? failureOf(error).description, retry_in_ms: wait }, 'polling Telegram failed');
        await clock.sleep(wait, stopping.signal);
      }
    }
  })();

  return {
    async stop() {
      stopping.abort();
      await loop;
    },
    health(now) {
      const name = me?.username ? `@${me.username}` : 'connecting';
      const overdue = now - (lastSuccessAt ?? startedAt) > timings.overdueMs;
      if (trouble) return { name: 'telegram', state: 'failing', detail: trouble, lastSuccessAt };
      if (overdue)
        return { name: 'telegram', state: 'failing', detail: 'No poll has completed for two minutes.', lastSuccessAt };
      return { name: 'telegram', state: lastSuccessAt === null ? 'starting' : 'ok', detail: name, lastSuccessAt };
    },
  };
}
