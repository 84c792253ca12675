// The list of channels; a new one is one file and one line here. Starts, stops and reconfigures them together.
import { randomUUID } from 'node:crypto';
import type { Backups } from '../core/backup.ts';
import type { Clock } from '../core/clock.ts';
import type { Config } from '../core/config.ts';
import { describeError } from '../core/errors.ts';
import type { HandsApi } from '../core/hands.ts';
import type { Health } from '../core/health.ts';
import type { Intake } from '../core/intake.ts';
import type { Log } from '../core/log.ts';
import type { MemoryApi } from '../core/memory.ts';
import { memoryCommand } from '../core/memory-command.ts';
import type { MemoryStores } from '../core/memory-stores.ts';
import type { RecordOf } from '../core/record.ts';
import type { SchedulesApi } from '../core/schedules.ts';
import { schedulesCommand } from '../core/schedules-command.ts';
import type { LiveSettings } from '../core/settings-live.ts';
import type { TasksApi } from '../core/tasks.ts';
import { type TasksCommand, tasksCommand } from '../core/tasks-command.ts';
import type { Address, Channel, Id } from '../core/types.ts';
import { calendar } from '../core/usage.ts';
import { newSecret } from '../core/vault-box.ts';
import { cutMarkdown } from './telegram/cut.ts';
import { createAuth } from './web/auth.ts';
import { createWeb } from './web.ts';
import { createWebhook } from './webhook.ts';

export interface ChannelsDeps extends RecordOf {
  clock: Clock;
  log: Log;
  intake: Intake;
  health: Health;
  token: string;
  redact(text: string): string;
  settings: LiveSettings;
  assets: string;
  hands: HandsApi;
  backups: Backups;
  memory: MemoryApi;
  memoryStores: MemoryStores;
  schedules: SchedulesApi;
  tasks: TasksApi;
  forgetSession(id: Id): void;
  leaveSafeMode(): void;
  /** A channel reached its platform for the first time, or again. */
  reached(channel: string): void;
}

export interface Channels {
  /** A channel that is configured and can be written to. */
  get(name: string): Channel | null;
  list(): Channel[];
  /** Cuts a long text for a channel, also for one that is off just now. */
  split(name: string, markdown: string): string[];
  start(): Promise<void>;
  /** Nothing more comes in; what is in flight may still go out. */
  stopIntake(): Promise<void>;
  stop(): Promise<void>;
  /** Removes sign-ins and login links that ran out; how many. */
  sweep(): number;
  reconfigure(changed: ReadonlySet<string>): Promise<void>;
  url(): string;
}

/** UTF-16 units of Markdown that fit a message of Telegram however they are rendered. */
const TELEGRAM_PART = 1_800;

interface Entry {
  name: string;
  /** Keys whose change makes a new channel. */
  settings: readonly string[];
  create(config: Config): Promise<Channel | null>;
  /** Parts that fit for certain, while the channel is not loaded and nobody can look at them rendered. */
  cut(markdown: string): string[];
  hint: string;
}

/** Stands in the list for a channel that does not run: not configured, or not able to start. */
const absent = (name: string, state: 'off' | 'failing', hint: string): Channel => ({
  name,
  start: async () => {},
  stop: async () => {},
  deliver: async () => ({ kind: 'not_sent', why: hint }),
  progress() {},
  health: () => ({ name, state, detail: hint, lastSuccessAt: null }),
});

export function createChannels(deps: ChannelsDeps): Channels {
  const { settings, clock, log } = deps;
  const config = settings.config();
  const auth = createAuth(deps.db, { token: deps.token, now: clock.now });
  const web = createWeb({
    ...deps,
    host: config.host,
    port: config.port,
    timeZone: () => settings.config().timeZone,
    now: clock.now,
    auth,
    transaction: deps.db.tx,
    newKey: randomUUID,
    decoy: newSecret(),
    hookHosts: () => settings.config().hookHosts,
    check: deps.health.check,
    status: deps.health.status,
    metrics: deps.health.metrics,
  });

  const webhook = createWebhook({ webhooks: deps.webhooks, now: clock.now });

  const entries: readonly Entry[] = [
    {
      name: 'telegram',
      settings: ['TELEGRAM_BOT_TOKEN', 'TELEGRAM_API_ROOT'],
      cut: (markdown) => cutMarkdown(markdown, TELEGRAM_PART),
      hint: 'Set a bot token in the settings (make a bot with @BotFather).',
      // Loaded only when configured: the library costs start time and memory.
      create: async ({ telegramBotToken: token, telegramApiRoot }) => {
        if (token === null) return null;
        const { createTelegram } = await import('./telegram.ts');
        return createTelegram({ ...telegramDeps(deps), token, apiRoot: telegramApiRoot });
      },
    },
  ];
  const live = new Map<string, Channel | null>();
  const broken = new Map<string, string>();

  const begin = async (entry: Entry): Promise<void> => {
    live.set(entry.name, null);
    broken.delete(entry.name);
    try {
      const channel = await entry.create(settings.config());
      live.set(entry.name, channel);
      await channel?.start();
    } catch (error) {
      // One channel that cannot start must not take the others down; its health says why.
      const why = deps.redact(describeError(error));
      live.set(entry.name, null);
      broken.set(entry.name, `It could not start: ${why}`);
      log.error({ channel: entry.name, why }, 'a channel could not start');
    }
  };
  const stand = ({ name, hint }: Entry): Channel => {
    const why = broken.get(name);
    return why === undefined ? absent(name, 'off', hint) : absent(name, 'failing', why);
  };
  const end = (channel: Channel) =>
    channel
      .stop()
      .catch((error) =>
        log.error({ channel: channel.name, why: deps.redact(describeError(error)) }, 'a channel did not stop cleanly'),
      );

  const entryOf = (name: string) => entries.find((entry) => entry.name === name);

  return {
    url: web.url,
    get: (name) => [web, webhook].find((channel) => channel.name === name) ?? live.get(name) ?? null,
    split(name, markdown) {
      const parts = live.get(name)?.split?.(markdown) ?? entryOf(name)?.cut(markdown) ?? [markdown];
      return parts.length > 0 ? parts : [markdown];
    },
    list: () => [
      web,
      ...entries.map((entry) => live.get(entry.name) ?? stand(entry)),
      // Shown once there is somebody to tell.
      ...(deps.webhooks.list().length > 0 ? [webhook] : []),
    ],
    async start() {
      await web.start();
      await Promise.all(entries.map(begin));
    },
    async stopIntake() {
      await Promise.all([...live.values()].filter((channel) => channel !== null).map(end));
    },
    stop: () => web.stop(),
    sweep: auth.sweep,
    async reconfigure(changed) {
      for (const entry of entries) {
        if (!entry.settings.some((key) => changed.has(key))) continue;
        const channel = live.get(entry.name);
        if (channel) await end(channel);
        await begin(entry);
      }
    },
  };
}

function telegramDeps(deps: ChannelsDeps) {
  const { intake, db, cursors, outbox, blobs, people, approvals, clock, log } = deps;
  return {
    clock,
    log,
    intake,
    transaction: db.tx,
    cursor: cursors,
    drafts: { record: outbox.recordDraft, find: outbox.draftOf, adopt: outbox.adoptDraft },
    blob: blobs.get,
    roleOf: people.roleOf,
    reached: () => deps.reached('telegram'),
    commands: {
      status: () => statusText(deps),
      newConversation: (options?: { incognito: boolean }) => void intake.newMain(options),
      memory: (args: string) => memoryCommand(deps.memory, args, calendar(deps.settings.config().timeZone)),
      schedules: (args: string) => schedulesCommand({ schedules: deps.schedules, now: clock.now }, args),
      tasks: (command: TasksCommand) => tasksCommand({ tasks: deps.tasks, now: clock.now }, command),
      approvals: (here: Address) =>
        approvals.pending().map((approval) => ({
          ...approval,
          shown: outbox
            .cardsOf(approval.id)
            .some(
              (card) =>
                card.externalId !== null && card.address.chat === here.chat && card.address.channel === here.channel,
            ),
        })),
    },
  };
}

function statusText(deps: Pick<ChannelsDeps, 'health'>): string {
  const { checks, ready } = deps.health.check();
  const lines = checks.map(
    (check) => `${check.ok ? '✓' : '✗'} ${check.name}${check.detail ? `: ${check.detail}` : ''}`,
  );
  return [ready ? 'Steward is up.' : 'Steward is not ready.', ...lines].join('\n');
}
