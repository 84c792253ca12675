// The configuration in force: loaded at start, changed from the console, applied without a restart where that is possible.
import { type Config, type LoadedConfig, loadConfig, saveSettings } from './config.ts';
import { StewardError } from './errors.ts';
import { type Setting, settingList, settings as table } from './settings.ts';

/** What the console may change, by the name the API uses. Everything else needs a restart and is left to the files. */
const CHANGEABLE = ['telegramBotToken', 'anthropicApiKey', 'anthropicBaseUrl', 'models', 'budgetDayUsd'] as const;

export interface SettingView {
  key: string;
  label: string;
  secret: boolean;
  set: boolean;
  source: string;
  value?: string;
  hint: string;
}

export interface LiveSettings {
  config(): Config;
  warnings(): readonly string[];
  view(): SettingView[];
  change(changes: Record<string, string | null>): Promise<void>;
  /** `changed` holds the keys whose value is another one now. */
  onChange(listener: (changed: ReadonlySet<string>) => Promise<void>): void;
}

const apiName = (setting: Setting) => setting.key.toLowerCase();

export function createSettings(env: NodeJS.ProcessEnv, loaded: LoadedConfig): LiveSettings {
  let current = loaded;
  let listener: (changed: ReadonlySet<string>) => Promise<void> = async () => {};
  const changeable = CHANGEABLE.map((name) => ({ name, setting: table[name] as Setting }));
  return {
    config: () => current.config,
    warnings: () => current.warnings,
    view: () =>
      changeable.map(({ name, setting }) => {
        const value = current.config[name];
        const shown = Array.isArray(value) ? value.join(',') : value === null ? undefined : String(value);
        const source = current.sources[setting.key] ?? 'default';
        return {
          key: apiName(setting),
          label: setting.label,
          secret: setting.secret,
          set: source !== 'default',
          source,
          ...(!setting.secret && shown !== undefined && { value: shown }),
          hint: setting.describe,
        };
      }),
    async change(changes) {
      const wanted: Record<string, string | null> = {};
      for (const [name, value] of Object.entries(changes)) {
        const entry = changeable.find(({ setting }) => apiName(setting) === name);
        if (!entry)
          throw new StewardError('invalid', `${name} cannot be changed here.`, {
            op: 'change settings',
            hint: `Changeable: ${changeable.map(({ setting }) => apiName(setting)).join(', ')}.`,
          });
        if (current.sources[entry.setting.key] === 'environment')
          throw new StewardError(
            'conflict',
            `${entry.setting.key} comes from the environment, which wins over what is set here.`,
            { op: 'change settings', hint: 'Unset it there and start Steward again.' },
          );
        wanted[entry.setting.key] = value;
      }
      saveSettings(current.config.home, wanted, env);
      const before = current.config;
      current = loadConfig(env);
      const changed = settingList.filter((setting) => {
        const name = Object.entries(table).find(([, entry]) => entry.key === setting.key)![0] as keyof Config;
        return JSON.stringify(before[name]) !== JSON.stringify(current.config[name]);
      });
      if (changed.length > 0) await listener(new Set(changed.map((setting) => setting.key)));
    },
    onChange(next) {
      listener = next;
    },
  };
}
