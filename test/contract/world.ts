// A channel in a world of its own: the real record, intake and delivery on one side, its platform on loopback on the other.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTelegram, type TelegramDeps } from '../../channels/telegram.ts';
import { sendCards } from '../../core/cards.ts';
import { systemClock } from '../../core/clock.ts';
import { createDelivery } from '../../core/delivery.ts';
import { createIntake } from '../../core/intake.ts';
import type { Log } from '../../core/log.ts';
import { openRecord, type RecordOf } from '../../core/record.ts';
import type { Accepted, Address, Channel, DeliveryOutcome, Id, Inbound, OutboundBody } from '../../core/types.ts';
import { startTelegram } from '../fakes/telegram.ts';

/** What a person sees of one message. */
export interface Seen {
  id: string;
  text: string;
  /** Earlier texts of the same message, oldest first. */
  history: string[];
  /** Labels, each with what pressing it sends. */
  buttons: { label: string; data: string }[];
  file?: { name: string; text: string };
}

/** What can go wrong with the next call of a kind; `times` of them. */
export type Trouble =
  | 'drop'
  | 'dropAfter'
  | 'page'
  | 'hang'
  | 'unavailable'
  | 'wrongFormat'
  | 'blocked'
  | { wait: number };

/** A platform as the suite needs it: people who write, and what went over the wire. */
export interface Platform {
  say(chat: string, text: string, options?: { user?: string; name?: string; username?: string }): void;
  /** The platform offers the last thing that was said a second time. */
  sayAgain(): void;
  press(chat: string, data: string, user?: string): void;
  chat(chat: string): Seen[];
  /** How often we asked for what is new. */
  asked(): number;
  /** What was offered and not acknowledged yet. */
  unconfirmed(): number;
  trouble(call: 'send' | 'edit' | 'file' | 'typing' | 'receive' | 'hello', trouble: Trouble, times?: number): void;
  /** Until it is taken back with null. */
  stuck(call: 'receive' | 'send', trouble: Trouble | null): void;
  /** A second program takes our updates. */
  rival(): Promise<void>;
  /** Times of calls that show something in a chat. */
  callsTo(chat: string): number[];
  toasts(): string[];
  /** Says a text in one request, as a channel would that trusts the wire. */
  sayDirectly(chat: string, text: string): Promise<DeliveryOutcome>;
  close(): Promise<void>;
}

export interface Harness {
  name: string;
  open(): Promise<{ platform: Platform; create(deps: TelegramDeps): Channel; wrongToken(deps: TelegramDeps): Channel }>;
}

const SMALL = {
  longPollS: 2,
  stallMs: 500,
  conflictMs: 200,
  backoffMs: 20,
  backoffCapMs: 100,
  overdueMs: 600,
  editMs: 30,
  groupEditMs: 30,
  typingMs: 50,
  typingLimitMs: 1_000,
  graceMs: 200,
  replyRetryMs: 20,
};

const METHODS = {
  send: 'sendMessage',
  edit: 'editMessageText',
  file: 'sendDocument',
  typing: 'sendChatAction',
  receive: 'getUpdates',
  hello: 'getMe',
} as const;

export const telegram: Harness = {
  name: 'telegram',
  async open() {
    const fake = await startTelegram();
    const faultOf = (trouble: Trouble) => {
      if (typeof trouble === 'object') return { kind: 'status', code: 429, retryAfter: trouble.wait } as const;
      if (trouble === 'unavailable') return { kind: 'status', code: 502 } as const;
      if (trouble === 'blocked') return { kind: 'status', code: 403 } as const;
      if (trouble === 'page') return { kind: 'page', code: 502, took: true } as const;
      if (trouble === 'wrongFormat')
        return { kind: 'status', code: 400, description: "Bad Request: can't parse entities: Unexpected end" } as const;
      return { kind: trouble } as const;
    };
    const post = (method: string, body: object) =>
      fetch(`${fake.url}/bot${fake.token}/${method}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    let last: () => void = () => {};
    const platform: Platform = {
      say(chat, text, { user, name, username } = {}) {
        const options = {
          ...(user && { userId: Number(user) }),
          ...(name && { name }),
          ...(username && { username }),
        };
        const updateId = fake.say(Number(chat), text, options);
        last = () => void fake.say(Number(chat), text, { ...options, updateId });
      },
      sayAgain: () => last(),
      press(chat, data, user) {
        const card = fake.chat(Number(chat)).findLast((message) => message.buttons.length > 0);
        fake.press(Number(chat), card?.id ?? 1, data, user ? Number(user) : undefined);
      },
      chat: (chat) =>
        fake.chat(Number(chat)).map(({ id, text, history, buttons, document }) => ({
          id: String(id),
          text,
          history,
          buttons: buttons.flat().map((button) => ({ label: button.text, data: button.callback_data })),
          ...(document && { file: { name: document.name, text: document.text } }),
        })),
      asked: () => fake.calls.filter(({ method }) => method === METHODS.receive).length,
      unconfirmed: fake.pending,
      trouble: (call, trouble, times) => fake.faults.next(METHODS[call], faultOf(trouble), times),
      stuck: (call, trouble) => fake.faults.stick(METHODS[call], trouble && faultOf(trouble)),
      rival: async () => void (await post('getUpdates', { timeout: 0 })),
      async sayDirectly(chat, text) {
        try {
          await post('sendMessage', { chat_id: Number(chat), text });
          return { kind: 'sent', externalId: null };
        } catch {
          return { kind: 'unknown', why: 'no answer' };
        }
      },
      callsTo: (chat) => fake.calls.filter(({ body }) => String(body.chat_id) === chat).map(({ at }) => at),
      toasts: () => fake.toasts.map((toast) => toast.text),
      close: fake.close,
    };
    return {
      platform,
      create: (deps) => createTelegram({ ...deps, token: fake.token, apiRoot: fake.url, timings: SMALL }),
      wrongToken: (deps) => createTelegram({ ...deps, token: '4242:wrong', apiRoot: fake.url, timings: SMALL }),
    };
  },
};

export const OWNER = '7';

export interface World {
  platform: Platform;
  record: RecordOf;
  channel: Channel;
  /** What was said to us and is stored, oldest first. */
  heard(): string[];
  sessionOf(chat: string): Id;
  /** Commits something to be said and lets it go. */
  tell(body: OutboundBody, chat?: string): void;
  /** Opens an approval, with its cards. */
  ask(detail?: string): Id;
  /** Attempts to store fail from now on, so many times. */
  failStoring(times: number, error: Error): void;
  /** The process ends here, without a word, and the next one begins. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

export interface WorldOptions {
  deps?(deps: TelegramDeps, record: RecordOf): TelegramDeps;
  channel?(channel: Channel, platform: Platform): Channel;
  wrongToken?: boolean;
  /** The channel is only made. */
  asleep?: boolean;
}

const quietLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

export async function openWorld(harness: Harness, options: WorldOptions = {}): Promise<World> {
  const home = mkdtempSync(join(tmpdir(), 'steward-contract-'));
  const { platform, create, wrongToken } = await harness.open();
  let failing = { times: 0, error: new Error('') };
  let counter = 0;

  const life = async () => {
    const record: RecordOf = openRecord(home, {
      clock: systemClock,
      timeZone: 'UTC',
      safeModeAfter: 0,
      split: (_, markdown) => channel.split?.(markdown) ?? [markdown],
      wakeDelivery: () => delivery.wake(),
    });
    const intake = createIntake({ ...record, now: systemClock.now, crash() {}, wake() {}, interrupt() {} });
    const accept = (inbound: Inbound): Accepted => {
      const accepted = intake.accept(inbound);
      if (failing.times-- > 0) throw failing.error;
      return accepted;
    };
    const { outbox, people, approvals } = record;
    const deps: TelegramDeps = {
      token: '',
      apiRoot: null,
      clock: systemClock,
      log: quietLog,
      intake: { accept },
      transaction: record.db.tx,
      cursor: record.cursors,
      drafts: { record: outbox.recordDraft, find: outbox.draftOf, adopt: outbox.adoptDraft },
      blob: record.blobs.get,
      roleOf: people.roleOf,
      reached: () => delivery.hurry(harness.name),
      commands: {
        status: () => 'All is well.',
        newConversation: () => void intake.newMain(),
        memory: async (args) => `You asked memory for “${args}”.`,
        tasks: ({ args }) => `You asked for tasks “${args}”.`,
        schedules: (args) => `You asked for schedules “${args}”.`,
        approvals: (here) =>
          approvals.pending().map((approval) => ({
            ...approval,
            shown: outbox.cardsOf(approval.id).some((card) => card.externalId && card.address.chat === here.chat),
          })),
      },
    };
    const adapted = options.deps?.(deps, record) ?? deps;
    const made = options.wrongToken ? wrongToken(adapted) : create(adapted);
    const channel: Channel = options.channel?.(made, platform) ?? made;
    const delivery = createDelivery({
      ...record,
      clock: systemClock,
      log: quietLog,
      crash() {},
      channel: (name) => (name === harness.name ? channel : null),
    });
    if (people.list().length === 0) {
      const { code } = people.knock({ channel: harness.name, userId: OWNER, name: 'Ada' }, OWNER);
      people.approve(code!, 'owner');
      platform.say(OWNER, 'first words');
    }
    if (!options.asleep) {
      await channel.start();
      delivery.start();
    }
    return { record, intake, channel, delivery };
  };

  let now = await life();
  const address = (chat: string): Address => ({ channel: harness.name, chat });
  const session = () => now.intake.mainSession().id;
  const world: World = {
    platform,
    get record() {
      return now.record;
    },
    get channel() {
      return now.channel;
    },
    heard: () =>
      now.record.sessions
        .list({ limit: 100, order: 'asc' })
        .flatMap(({ id }) => now.record.events.list({ sessionId: id, limit: 1_000, order: 'asc' }))
        .filter((event) => event.type === 'user.message')
        .map((event) => (event.payload.content as { text: string }[])[0]!.text),
    sessionOf: session,
    tell: (body, chat = OWNER) =>
      now.record.db.tx(() => {
        const sessionId = session();
        const [event] = now.record.events.append(sessionId, [{ type: 'agent.message', payload: { content: [] } }]);
        now.record.outbox.enqueue({
          sessionId,
          eventId: event!.id,
          key: `told:${counter++}:${event!.id}`,
          to: address(chat),
          body,
        });
      }),
    ask: (detail = '{"to":"telegram:1"}') =>
      now.record.db.tx(() => {
        const sessionId = session();
        const payload = { name: 'send_message', input: {}, evaluated_permission: 'ask' };
        const [event] = now.record.events.append(sessionId, [{ type: 'agent.tool_use', payload }]);
        const shown = { title: 'Send a message', detail, why: 'It is outside.' };
        const draft = { id: event!.id, sessionId, name: 'send_message', argsHash: 'x', ...shown };
        sendCards(now.record.outbox, now.record.approvals.open(draft), now.record.people.ownerAddresses());
        return event!.id;
      }),
    failStoring(times, error) {
      failing = { times, error };
    },
    async crash() {
      // What was in flight is left to itself; nothing of it reaches the record.
      const { record, channel, delivery } = now;
      record.db.close();
      await Promise.allSettled([channel.stop(), delivery.stop()]);
      now = await life();
    },
    async stop() {
      await now.channel.stop();
      await now.delivery.stop();
      now.record.db.close();
      await platform.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
  return world;
}
