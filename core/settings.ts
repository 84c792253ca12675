// The settings of Steward: one record each, from which the loader, the console's form and the README's table all follow.
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

export interface Setting<T = unknown> {
  /** The name in the environment, in `.env` and in `config.json`. */
  key: string;
  /** From the text a person wrote to the value; its messages end the sentence "KEY …". */
  schema: z.ZodType<T, string>;
  fallback: () => T;
  /** The fallback in words, for tables and forms. */
  shown: string;
  /** Never shown, logged or sent back. */
  secret: boolean;
  label: string;
  describe: string;
  /** What config.json may hold besides text: a JSON number, or an array of texts. */
  kind: 'text' | 'number' | 'list';
}

type Draft<T, D> = Pick<Setting, 'key' | 'shown' | 'label' | 'describe'> &
  Partial<Pick<Setting, 'secret' | 'kind'>> & { schema: z.ZodType<T, string>; fallback: () => D };

function setting<T, D extends T | null>(draft: Draft<T, D>): Setting<T | D> {
  return { secret: false, kind: 'text', ...draft };
}

const none = () => null;

function wholeNumber(from: number, to = Number.MAX_SAFE_INTEGER) {
  const message =
    to === Number.MAX_SAFE_INTEGER
      ? `must be a whole number, ${from} or more`
      : `must be a whole number from ${from} to ${to}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, message)
    .transform(Number)
    .refine((value) => value >= from && value <= to, message);
}

function oneOf<const W extends readonly string[]>(words: W): z.ZodType<W[number], string> {
  return z
    .string()
    .refine(
      (value): value is W[number] => words.includes(value),
      `must be ${words.join(', ')}`.replace(/, ([^,]+)$/, ' or $1'),
    ) as z.ZodType<W[number], string>;
}

/** Without a trailing slash. Credentials belong in their own setting, where they are kept secret. */
const httpUrl = z.string().transform((value, context) => {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (!url || !/^https?:$/.test(url.protocol)) {
    context.addIssue('must be a URL that begins with http:// or https://');
    return z.NEVER;
  }
  if (url.username || url.password) {
    context.addIssue('must not contain a user name or password');
    return z.NEVER;
  }
  return value.replace(/\/+$/, '');
});

/** An opaque credential. A space or a line break in it is a slip of the clipboard and would break an HTTP header. */
const credential = z.string().regex(/^[\x21-\x7e]+$/, 'must be one piece of plain text without spaces');

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

const words = (value: string) =>
  value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

const hostName = /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

function isHostWithPort(text: string): boolean {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/i.exec(text);
  if (!match) return false;
  const [, six, name, port] = match;
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535)) return false;
  return six !== undefined ? isIP(six) === 6 : hostName.test(name!);
}

export const settings = {
  home: setting({
    key: 'STEWARD_HOME',
    schema: z.string(),
    fallback: () => join(homedir(), '.steward'),
    shown: '~/.steward',
    label: 'Home folder',
    describe: 'Where everything Steward keeps lives. Environment only.',
  }),
  port: setting({
    key: 'STEWARD_PORT',
    schema: wholeNumber(0, 65535),
    fallback: () => 4620,
    shown: '4620',
    kind: 'number',
    label: 'Port',
    describe: 'The port of the console and the API; 0 takes a free one (foreground only).',
  }),
  host: setting({
    key: 'STEWARD_HOST',
    schema: z
      .string()
      .refine((value) => isIP(value) !== 0 || hostName.test(value), 'must be an IP address or a host name'),
    fallback: () => '127.0.0.1',
    shown: '127.0.0.1',
    label: 'Address',
    describe: 'The address to listen on. Anything but this machine itself lets others reach the sign-in page.',
  }),
  anthropicApiKey: setting({
    key: 'ANTHROPIC_API_KEY',
    schema: credential,
    fallback: none,
    shown: 'none',
    secret: true,
    label: 'Anthropic API key',
    describe: 'The key for the Messages API.',
  }),
  anthropicAuthToken: setting({
    key: 'ANTHROPIC_AUTH_TOKEN',
    schema: credential,
    fallback: none,
    shown: 'none',
    secret: true,
    label: 'Messages API token',
    describe: 'A bearer token in place of the API key; local servers often want any word here.',
  }),
  anthropicBaseUrl: setting({
    key: 'ANTHROPIC_BASE_URL',
    schema: httpUrl,
    fallback: none,
    shown: "Anthropic's",
    label: 'Messages API address',
    describe: 'Any server that speaks the Messages API (Ollama, llama.cpp, LM Studio, vLLM, LiteLLM), without /v1.',
  }),
  models: setting({
    key: 'STEWARD_MODEL',
    schema: z
      .string()
      .transform(words)
      .refine((list) => list.length > 0, 'must name at least one model')
      .refine((list) => list.every((name) => /^\S{1,200}$/.test(name)), 'must be model names separated by commas'),
    // What is used without a choice depends on the credentials: config.ts decides.
    fallback: (): string[] => ['offline'],
    shown: 'claude-sonnet-5-5 with a key, offline without',
    kind: 'list',
    label: 'Models',
    describe: 'Model names separated by commas: the first is used, the next when it is overloaded or unreachable.',
  }),
  openaiApiKey: setting({
    key: 'OPENAI_API_KEY',
    schema: credential,
    fallback: none,
    shown: 'none',
    secret: true,
    label: 'OpenAI key',
    describe: 'For the harness codex, which speaks the Responses API; added outside its sandbox.',
  }),
  openaiBaseUrl: setting({
    key: 'OPENAI_BASE_URL',
    schema: httpUrl,
    fallback: none,
    shown: "OpenAI's",
    label: 'Responses API server',
    describe: 'A server of the Responses API in place of api.openai.com, with its /v1.',
  }),
  telegramBotToken: setting({
    key: 'TELEGRAM_BOT_TOKEN',
    schema: z
      .string()
      .regex(/^\d+:[A-Za-z0-9_-]+$/, 'must be a bot token as BotFather shows it: digits, a colon, letters'),
    fallback: none,
    shown: 'none',
    secret: true,
    label: 'Telegram bot token',
    describe: 'From @BotFather. Without it Telegram is off.',
  }),
  telegramApiRoot: setting({
    key: 'TELEGRAM_API_ROOT',
    schema: httpUrl,
    fallback: none,
    shown: "Telegram's",
    label: 'Telegram server',
    describe: 'Your own Bot API server in place of api.telegram.org.',
  }),
  larkAppId: setting({
    key: 'LARK_APP_ID',
    schema: z.string().regex(/^cli_[0-9a-fA-F]{16}$/, 'must be an app id: cli_ and 16 hexadecimal digits'),
    fallback: none,
    shown: 'none',
    label: 'Lark app id',
    describe: "The app's id in the developer console of Lark or Feishu. Not in use yet.",
  }),
  larkAppSecret: setting({
    key: 'LARK_APP_SECRET',
    schema: credential,
    fallback: none,
    shown: 'none',
    secret: true,
    label: 'Lark app secret',
    describe: "The app's secret, beside its id. Not in use yet.",
  }),
  larkDomain: setting({
    key: 'LARK_DOMAIN',
    schema: z
      .string()
      .refine(
        (value) => value === 'feishu' || value === 'lark' || httpUrl.safeParse(value).success,
        'must be feishu, lark or a URL',
      ),
    fallback: () => 'feishu',
    shown: 'feishu',
    label: 'Lark region',
    describe: 'feishu, lark, or the URL of a private installation. Not in use yet.',
  }),
  sandbox: setting({
    key: 'STEWARD_SANDBOX',
    schema: oneOf(['bwrap', 'docker', 'none']),
    fallback: () => 'bwrap' as const,
    shown: 'bwrap',
    label: 'Sandbox',
    describe:
      'What isolates code: bwrap, docker, or none (commands then run on this machine itself, each after your approval).',
  }),
  sandboxImage: setting({
    key: 'STEWARD_SANDBOX_IMAGE',
    schema: z
      .string()
      .regex(/^[a-z0-9][a-zA-Z0-9./:@_-]{0,254}$/, 'must be an image name such as docker.io/library/node:24-bookworm'),
    fallback: () => 'docker.io/library/node:24-bookworm',
    shown: 'docker.io/library/node:24-bookworm',
    label: 'Sandbox image',
    describe:
      'For STEWARD_SANDBOX=docker: what sandboxes are made of. It needs Perl, as every Debian and Ubuntu image has it.',
  }),
  sandboxRuntime: setting({
    key: 'STEWARD_SANDBOX_RUNTIME',
    schema: z
      .string()
      .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$/, 'must be the name of a runtime such as runsc or kata'),
    fallback: none,
    shown: 'none',
    label: 'Sandbox runtime',
    describe: 'For STEWARD_SANDBOX=docker: another runtime of the daemon, such as runsc (gVisor) or kata.',
  }),
  vaultKey: setting({
    key: 'STEWARD_VAULT_KEY',
    schema: z
      .string()
      .regex(/^(?:[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)$/, 'must be 32 bytes, as 64 hexadecimal digits or as base64'),
    fallback: none,
    shown: 'none',
    secret: true,
    label: 'Vault key',
    describe:
      'What the secrets in the vault are sealed with: 32 bytes as hex or base64. Without it, vault.key in the home folder.',
  }),
  harness: setting({
    key: 'STEWARD_HARNESS',
    schema: oneOf(['native', 'claude-code', 'codex', 'opencode']),
    fallback: () => 'native' as const,
    shown: 'native',
    label: 'Harness',
    describe: 'The brain that carries a session on: native, claude-code, codex or opencode.',
  }),
  githubToken: setting({
    key: 'GITHUB_TOKEN',
    schema: credential,
    fallback: none,
    shown: 'none',
    secret: true,
    label: 'GitHub token',
    describe:
      'For code tasks: fetches, pushes their own branches, and opens pull requests. Used on this machine, never in a sandbox.',
  }),
  githubApiUrl: setting({
    key: 'GITHUB_API_URL',
    schema: httpUrl,
    fallback: () => 'https://api.github.com',
    shown: 'https://api.github.com',
    label: 'GitHub API address',
    describe: 'For GitHub Enterprise: https://HOST/api/v3.',
  }),
  timeZone: setting({
    key: 'STEWARD_TZ',
    schema: z.string().refine(isTimeZone, 'must be a time zone name such as Europe/Berlin'),
    fallback: () => Intl.DateTimeFormat().resolvedOptions().timeZone,
    shown: "the system's",
    label: 'Time zone',
    describe: 'The zone of days, schedules and the day budget.',
  }),
  budgetDayUsd: setting({
    key: 'STEWARD_BUDGET_DAY_USD',
    schema: z
      .string()
      .regex(/^\d{1,9}(\.\d{1,6})?$/, 'must be an amount such as 10 or 2.50')
      .transform(Number),
    fallback: () => 10,
    shown: '10',
    kind: 'number',
    label: 'Day budget (USD)',
    describe: 'No request to a priced model starts once the day has cost this much.',
  }),
  fetchAllow: setting({
    key: 'STEWARD_FETCH_ALLOW',
    schema: z
      .string()
      .transform((value) => words(value.toLowerCase()))
      .refine(
        (list) => list.every(isHostWithPort),
        'must be hosts such as nas.local or 192.168.1.5:8080, separated by commas',
      ),
    fallback: (): string[] => [],
    shown: 'none',
    kind: 'list',
    label: 'Private hosts to fetch from',
    describe:
      'Hosts (host or host:port) of your own network that web_fetch may reach; all other private addresses are refused.',
  }),
  hookHosts: setting({
    key: 'STEWARD_HOOK_HOSTS',
    schema: z
      .string()
      .transform((value) => words(value.toLowerCase()))
      .refine(
        (list) => list.every(isHostWithPort),
        'must be host names such as hooks.example.com, separated by commas',
      ),
    fallback: (): string[] => [],
    shown: 'none',
    kind: 'list',
    label: 'Public names of webhooks',
    describe:
      'Host names under which a proxy or tunnel passes requests on to /hooks, and to nothing else. See docs/webhooks.md.',
  }),
  logLevel: setting({
    key: 'STEWARD_LOG_LEVEL',
    schema: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    fallback: () => 'info' as const,
    shown: 'info',
    label: 'Log level',
    describe: 'How much the log says: trace, debug, info, warn, error, fatal or silent.',
  }),
  systemPackages: setting({
    key: 'STEWARD_SYSTEM_PACKAGES',
    schema: oneOf(['yes', 'no']),
    fallback: () => 'yes' as const,
    shown: 'yes',
    label: 'Install system packages',
    describe: 'no: npm start and npm test install no system package, they only say what is missing.',
  }),
  safeModeAfter: setting({
    key: 'STEWARD_SAFE_MODE_AFTER',
    schema: wholeNumber(0),
    fallback: () => 5,
    shown: '5',
    kind: 'number',
    label: 'Safe mode after',
    describe: 'Crashes in ten minutes after which only console and status run; 0 turns this off.',
  }),
  quarantineAfter: setting({
    key: 'STEWARD_QUARANTINE_AFTER',
    schema: wholeNumber(0),
    fallback: () => 3,
    shown: '3',
    kind: 'number',
    label: 'Quarantine after',
    describe: 'Process deaths on the same message after which it is set aside and reported; 0 turns this off.',
  }),
  contextTokens: setting({
    key: 'STEWARD_CONTEXT_TOKENS',
    schema: wholeNumber(2000),
    fallback: () => 120_000,
    shown: '120000',
    kind: 'number',
    label: 'Context (tokens)',
    describe: "How much of a session's log one request carries before it is compacted.",
  }),
  embeddings: setting({
    key: 'STEWARD_EMBEDDINGS',
    schema: oneOf(['none', 'voyage', 'openai', 'ollama']),
    fallback: () => 'none' as const,
    shown: 'none',
    label: 'Embeddings',
    describe:
      "Who turns memory into vectors, for searching by meaning: none, voyage, openai (any server with /v1/embeddings) or ollama. All that is said in your conversations is then sent to that server; guests' and incognito ones are not.",
  }),
  embeddingsModel: setting({
    key: 'STEWARD_EMBEDDINGS_MODEL',
    schema: z.string().regex(/^\S{1,200}$/, 'must be one model name'),
    fallback: none,
    shown: "the provider's",
    label: 'Embedding model',
    describe:
      'Left out: voyage-4, text-embedding-3-small or bge-m3. Another one makes all vectors anew, in the background.',
  }),
  embeddingsUrl: setting({
    key: 'STEWARD_EMBEDDINGS_URL',
    schema: httpUrl,
    fallback: none,
    shown: "the provider's",
    label: 'Embeddings address',
    describe: 'Where STEWARD_EMBEDDINGS is reached; for ollama this machine when left out.',
  }),
  embeddingsKey: setting({
    key: 'STEWARD_EMBEDDINGS_KEY',
    schema: credential,
    fallback: none,
    shown: 'none',
    secret: true,
    label: 'Embeddings key',
    describe: 'The key for STEWARD_EMBEDDINGS. Local servers need none.',
  }),
};

export type SettingName = keyof typeof settings;

export const settingList: readonly Setting[] = Object.values(settings);

export function settingOf(key: string): Setting | undefined {
  return settingList.find((candidate) => candidate.key === key);
}
