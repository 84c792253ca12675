// From the environment and the files of $STEWARD_HOME to one frozen Config, or one sentence per problem.
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  type Environment,
  files,
  fromConfigJson,
  fromDotEnv,
  fromEnvironment,
  fromStart,
  parseObject,
  type ReadFile,
  readText,
  unknownKey,
} from './config-sources.ts';
import { StewardError } from './errors.ts';
import { readFileIfAny, writePrivateFile } from './files.ts';
import { type Setting, type SettingName, settingList, settingOf, settings } from './settings.ts';

export type Config = Readonly<{ [N in SettingName]: ReturnType<(typeof settings)[N]['fallback']> }>;

/** Where a value came from. What `steward start` saw in its shell counts as the environment. */
export type Source = 'environment' | 'config.json' | '.env' | 'default';

export interface LoadedConfig {
  config: Config;
  /** By key (`STEWARD_PORT`), for every setting. */
  sources: Readonly<Record<string, Source>>;
  /** Sentences about what is allowed and yet worth knowing. */
  warnings: readonly string[];
}

/** The default model once there is a key for it. */
const claude = 'claude-sonnet-5-5';

interface Layer {
  source: Source;
  /** As it stands in a sentence: "in config.json". */
  place: string;
  values: Record<string, string>;
}

/** The folder that holds everything else: absolute, from the environment alone. */
export function homeOf(env: Environment): string {
  const chosen = env.STEWARD_HOME?.trim();
  if (!chosen) return settings.home.fallback();
  // A `~` that no shell expanded (systemd, Docker) would otherwise become a folder of that name.
  return resolve(chosen.replace(/^~(?=\/|$)/, homedir()));
}

/**
 * Precedence: the process's environment, the environment `steward start` saw, config.json, .env, defaults.
 * An empty value counts as not set. Throws `bad_config` with one sentence per problem, all problems at once.
 */
export function loadConfig(env: Environment, options: { readFile?: ReadFile } = {}): LoadedConfig {
  const problems: string[] = [];
  const home = homeOf(env);
  const read = (name: string) => readText(home, name, options.readFile ?? readFileIfAny, problems);

  const layers: Layer[] = [
    {
      source: 'environment',
      place: 'in the environment',
      values: fromEnvironment(env, 'in the environment', problems),
    },
    { source: 'environment', place: `in ${files.start}`, values: fromStart(read(files.start), problems) },
    { source: 'config.json', place: `in ${files.config}`, values: fromConfigJson(read(files.config), problems) },
    { source: '.env', place: `in ${files.env}`, values: fromDotEnv(read(files.env), problems) },
  ];

  const values: Record<string, unknown> = {};
  const sources: Record<string, Source> = {};
  for (const [name, setting] of Object.entries(settings) as [SettingName, Setting][]) {
    const layer = name === 'home' ? undefined : layers.find((candidate) => setting.key in candidate.values);
    values[name] = layer ? parse(setting, layer, problems) : setting.fallback();
    sources[setting.key] = layer?.source ?? 'default';
  }
  values.home = home;
  if (env.STEWARD_HOME?.trim()) sources.STEWARD_HOME = 'environment';

  const draft = values as { -readonly [N in SettingName]: Config[N] };
  if (sources.STEWARD_MODEL === 'default') chooseModel(draft);
  problems.push(...contradictions(draft));
  if (problems.length > 0) throw badConfig(problems);
  for (const value of Object.values(draft)) if (Array.isArray(value)) Object.freeze(value);
  return { config: Object.freeze(draft), sources: Object.freeze(sources), warnings: warningsOf(draft, sources) };
}

/** Every value that must never be shown, for redaction. */
export function secretsOf(config: Config): string[] {
  return (Object.entries(settings) as [SettingName, Setting][])
    .filter(([, setting]) => setting.secret)
    .map(([name]) => config[name])
    .filter((value): value is string => typeof value === 'string');
}

/** True for addresses only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Changes settings in config.json, durably and all or none; null removes one.
 * Refuses (`invalid`) what would not start: Steward is never locked out by its own settings page.
 */
export function saveSettings(home: string, changes: Record<string, string | null>, env: Environment = {}): void {
  const path = join(home, files.config);
  const problems: string[] = [];
  const stored = parseObject(readText(home, files.config, readFileIfAny, problems), files.config, problems);
  if (problems.length > 0) throw badConfig(problems);
  const next: Record<string, unknown> = { ...stored };
  for (const [key, value] of Object.entries(changes)) {
    if (!settingOf(key) || key === settings.home.key) problems.push(unknownKey(key, `in ${files.config}`));
    else if (value === null || value.trim() === '') delete next[key];
    else next[key] = value.trim();
  }
  const text = `${JSON.stringify(next, null, 2)}\n`;
  const refuse = (message: string, cause?: unknown) =>
    new StewardError('invalid', message, { op: 'save the settings', hint: 'Nothing was changed.', cause });
  if (problems.length > 0) throw refuse(problems.join('\n'));
  try {
    loadConfig({ ...env, STEWARD_HOME: home }, { readFile: (file) => (file === path ? text : readFileIfAny(file)) });
  } catch (error) {
    throw error instanceof StewardError ? refuse(error.message, error) : error;
  }
  writePrivateFile(path, text);
}

export function saveSetting(home: string, key: string, value: string | null, env: Environment = {}): void {
  saveSettings(home, { [key]: value }, env);
}

/**
 * Keeps the settings found in the environment for the process PM2 will start: PM2 writes the environment it passes on
 * to a file anyone may read, so secrets take this way. Replaces what an earlier start left: what is unset is unset.
 * Returns true when something changed.
 */
export function recordEnvironment(home: string, env: Environment): boolean {
  const found: Record<string, string> = {};
  for (const { key } of settingList) {
    const value = env[key]?.trim();
    if (value && key !== settings.home.key) found[key] = value;
  }
  const path = join(home, files.start);
  const text = `${JSON.stringify(found, null, 2)}\n`;
  if (readFileIfAny(path) === text) return false;
  writePrivateFile(path, text);
  return true;
}

// ---------------------------------------------------------------- values and what they mean together

function parse(setting: Setting, layer: Layer, problems: string[]): unknown {
  const text = layer.values[setting.key]!;
  const result = setting.schema.safeParse(text);
  if (result.success) return result.data;
  const why = result.error.issues[0]!.message;
  // A password slipped into an address is a secret too.
  const safe = text.replace(/\/\/[^/]*@/g, '//…@');
  const shown = setting.secret ? '' : ` is ${JSON.stringify(safe.length > 60 ? `${safe.slice(0, 60)}…` : safe)} but`;
  problems.push(`${setting.key} ${layer.place}${shown} ${why}.`);
  return setting.fallback();
}

function chooseModel(draft: { -readonly [N in SettingName]: Config[N] }): void {
  if (draft.anthropicApiKey || draft.anthropicAuthToken || draft.anthropicBaseUrl) draft.models = [claude];
}

function contradictions(config: Config): string[] {
  const found: string[] = [];
  if (config.larkAppId && !config.larkAppSecret) found.push('LARK_APP_ID is set, so LARK_APP_SECRET must be set too.');
  if (config.larkAppSecret && !config.larkAppId) found.push('LARK_APP_SECRET is set, so LARK_APP_ID must be set too.');
  const elsewhere = config.embeddings === 'voyage' || (config.embeddings === 'openai' && !config.embeddingsUrl);
  if (elsewhere && !config.embeddingsKey)
    found.push(`STEWARD_EMBEDDINGS is ${config.embeddings}, so STEWARD_EMBEDDINGS_KEY must be set too.`);
  return found;
}

function warningsOf(config: Config, sources: Readonly<Record<string, Source>>): string[] {
  const found: string[] = [];
  const key = config.anthropicApiKey ?? config.anthropicAuthToken;
  if (config.anthropicBaseUrl && !key && sources.STEWARD_MODEL === 'default')
    found.push(
      `ANTHROPIC_BASE_URL points to ${config.anthropicBaseUrl}, and STEWARD_MODEL is not set: ${claude} is asked for. Name a model of that server if it has another.`,
    );
  if (!isLoopback(config.host))
    found.push(
      `STEWARD_HOST is ${config.host}: others on the network can reach the sign-in page, over a connection that is not encrypted.`,
    );
  const remote = config.models.find((model) => model !== 'offline');
  if (remote && !key && !config.anthropicBaseUrl)
    found.push(`STEWARD_MODEL names ${remote}, but neither a key nor ANTHROPIC_BASE_URL is set, so it cannot answer.`);
  const embeds = config.embeddings !== 'none' && config.embeddingsUrl ? new URL(config.embeddingsUrl) : null;
  if (embeds?.protocol === 'http:' && !isLoopback(embeds.hostname.replace(/^\[|\]$/g, '')))
    found.push(
      `STEWARD_EMBEDDINGS_URL is ${config.embeddingsUrl}: what is said, and the key, go there over a connection that is not encrypted.`,
    );
  return found;
}

function badConfig(problems: string[]): StewardError {
  return new StewardError('bad_config', [...new Set(problems)].join('\n'), { op: 'read the settings' });
}
