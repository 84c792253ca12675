// The pump of the outbox: one row per chat at a time, in order, each try counted before it is made.
import type { Bus } from './bus.ts';
import type { Clock } from './clock.ts';
import type { Db } from './db.ts';
import type { Events } from './events.ts';
import type { Failpoint } from './failpoint.ts';
import type { Log } from './log.ts';
import { afterTry, type Ending, type Outbox, type OutboxRow } from './outbox.ts';
import type { People } from './people.ts';
import type { Address, Channel, DeliveryOutcome } from './types.ts';

/** A burst may go at once, then one message a second: Telegram's advice per chat. */
const BURST = 5;
const PER_MESSAGE_MS = 1_000;
const DAY_MS = 86_400_000;

export interface Delivery {
  /** Looks for work; cheap, may be called at any time. */
  wake(): void;
  /** The channel can be reached again: its rows are tried at once. */
  hurry(channel: string): void;
  /** Settles what a crash interrupted, then begins. */
  start(): void;
  /** Starts no further row and waits for the tries in flight. */
  stop(): Promise<void>;
}

const keyOf = (address: Address) => `${address.channel}:${address.chat}`;

export function createDelivery(deps: {
  db: Db;
  outbox: Outbox;
  events: Events;
  people: People;
  bus: Bus;
  clock: Clock;
  log: Log;
  crash: Failpoint;
  channel(name: string): Channel | null;
}): Delivery {
  const { db, outbox, clock, log, crash } = deps;
  const flights = new Map<string, Promise<void>>();
  const tokens = new Map<string, { left: number; at: number }>();
  const stopping = new AbortController();
  let started = false;
  let timer: NodeJS.Timeout | undefined;

  /** Milliseconds to wait before this chat may get another message; takes a token when none. */
  const pace = (key: string): number => {
    const now = clock.now();
    const bucket = tokens.get(key) ?? { left: BURST, at: now };
    bucket.left = Math.min(BURST, bucket.left + Math.max(0, now - bucket.at) / PER_MESSAGE_MS);
    bucket.at = now;
    tokens.set(key, bucket);
    if (bucket.left < 1) return Math.ceil((1 - bucket.left) * PER_MESSAGE_MS);
    bucket.left -= 1;
    return 0;
  };

  const repeatable = (row: OutboxRow): boolean => {
    const channel = deps.channel(row.address.channel);
    return channel?.keyed === true || (channel?.settledByEdit?.has(row.body.kind) ?? false);
  };

  /** A row given up is an event of its session, and the owner hears of it somewhere else. */
  const giveUp = (row: OutboxRow, why: string) => {
    const where = keyOf(row.address);
    deps.events.append(row.sessionId, [
      {
        type: 'delivery.failed',
        payload: { outbox_id: row.id, channel: row.address.channel, chat: row.address.chat, why },
      },
    ]);
    log.error({ outbox: row.id, channel: row.address.channel, why }, 'a message could not be delivered');
    // A notice belongs to no event. One that cannot be delivered is not told on: two dead chats would tell each other for ever.
    if (row.eventId === null && row.body.kind !== 'webhook') return;
    // Programs that are gone would fill a chat: one word a day about each.
    const what = row.body.kind === 'webhook' ? Math.floor(clock.now() / DAY_MS) : row.eventId;
    for (const address of deps.people.ownerAddresses()) {
      if (keyOf(address) === where) continue;
      outbox.enqueue({
        sessionId: row.sessionId,
        eventId: null,
        // Once for an answer of many parts.
        key: `dead:${what}:${where}:${keyOf(address)}`,
        to: address,
        body: { kind: 'text', markdown: `⚠ A message to ${where} could not be delivered: ${why}` },
      });
    }
  };

  const settle = (row: OutboxRow, ending: Ending) =>
    db.tx(() => {
      outbox.settle(row.id, ending);
      if (ending.state === 'dead') giveUp(row, ending.error);
    });

  /** The card to close stands in the chat under the id its own row got. */
  const withCard = (row: OutboxRow): OutboxRow => {
    if (row.body.kind !== 'approval_closed' || row.externalId) return row;
    const card = outbox.cardsOf(row.body.toolUseId).find((entry) => keyOf(entry.address) === keyOf(row.address));
    return { ...row, externalId: card?.externalId ?? null };
  };

  const tryOnce = async (head: OutboxRow, channel: Channel): Promise<Ending> => {
    crash('outbox.before_claim');
    const row = withCard(outbox.claim(head.id));
    crash('outbox.claimed');
    let external = row.externalId;
    const outcome: DeliveryOutcome = await channel.deliver(row, {
      signal: stopping.signal,
      placed: (externalId) => {
        external = externalId;
        outbox.placed(row.id, externalId);
        crash('outbox.placed');
      },
    });
    crash('outbox.delivered');
    const ending = afterTry(outcome, { ...row, externalId: external }, repeatable(row), clock.now());
    settle(row, ending);
    crash('outbox.settled');
    return ending;
  };

  const serve = async (key: string): Promise<void> => {
    while (!stopping.signal.aborted) {
      const head = outbox.heads().find((row) => keyOf(row.address) === key);
      const channel = head && deps.channel(head.address.channel);
      if (!head || !channel || head.notBefore > clock.now()) return;
      const wait = pace(key);
      if (wait > 0) {
        // Looked at again after the wait: its session may be deleted meanwhile.
        await clock.sleep(wait, stopping.signal);
        continue;
      }
      await tryOnce(head, channel);
    }
  };

  const wake = () => {
    if (!started || stopping.signal.aborted) return;
    clearTimeout(timer);
    let next = Number.POSITIVE_INFINITY;
    for (const head of outbox.heads()) {
      const key = keyOf(head.address);
      if (flights.has(key) || !deps.channel(head.address.channel)) continue;
      if (head.notBefore > clock.now()) {
        next = Math.min(next, head.notBefore);
        continue;
      }
      const flight = serve(key)
        .catch((error) => {
          // The record could not be written (disk full …): the row keeps its state and is settled later.
          log.error({ error, chat: key }, 'delivery is held up');
          return clock.sleep(5_000, stopping.signal).then(() => recover(key));
        })
        .finally(() => {
          flights.delete(key);
          wake();
        });
      flights.set(key, flight);
    }
    if (next < Number.POSITIVE_INFINITY) timer = setTimeout(wake, Math.min(next - clock.now(), 3_600_000));
  };

  /** Settles tries nobody waits for any more. `ended` is a chat whose own flight has come to its end. */
  const recover = (ended?: string) => {
    try {
      for (const row of outbox.interrupted()) {
        const key = keyOf(row.address);
        if (key !== ended && flights.has(key)) continue;
        const why = 'Steward stopped while this was being sent';
        settle(row, afterTry({ kind: 'unknown', why }, row, repeatable(row), clock.now() - 1_000));
      }
    } catch (error) {
      log.error({ error }, 'interrupted deliveries could not be settled');
    }
  };

  return {
    wake,
    hurry(channel) {
      try {
        outbox.hurry(channel);
      } catch (error) {
        log.error({ error, channel }, 'what waits for this channel keeps its time');
      }
      wake();
    },
    start() {
      recover();
      started = true;
      wake();
    },
    async stop() {
      stopping.abort();
      clearTimeout(timer);
      await Promise.allSettled(flights.values());
    },
  };
}
