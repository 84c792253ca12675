// Settings: precedence, every kind of mistake as one sentence, and saving that never locks its owner out.
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeOf, loadConfig, recordEnvironment, saveSetting, saveSettings, secretsOf } from '../../../core/config.ts';
import { StewardError } from '../../../core/errors.ts';
import { settingList } from '../../../core/settings.ts';

const botToken = '123456789:AAF-abcdefghijklmnopqrstuvwxyz012345';

/** Loads from a home that exists only as these texts. */
function load(env: Record<string, string>, texts: Record<string, string> = {}) {
  return loadConfig(
    { ...env, STEWARD_HOME: '/nowhere' },
    { readFile: (path) => texts[path.slice('/nowhere/'.length)] ?? null },
  );
}

function sentences(env: Record<string, string>, texts: Record<string, string> = {}): string[] {
  try {
    load(env, texts);
  } catch (error) {
    expect(error).toBeInstanceOf(StewardError);
    expect((error as StewardError).code).toBe('bad_config');
    return (error as Error).message.split('\n');
  }
  return [];
}

describe('defaults', () => {
  it('needs nothing, and is offline without a key', () => {
    const { config, sources, warnings } = load({});
    expect(config).toMatchObject({
      port: 4620,
      host: '127.0.0.1',
      models: ['offline'],
      budgetDayUsd: 10,
      contextTokens: 120000,
    });
    expect(config).toMatchObject({
      safeModeAfter: 5,
      quarantineAfter: 3,
      sandbox: 'bwrap',
      harness: 'native',
      fetchAllow: [],
    });
    expect(new Set(Object.values(sources))).toEqual(new Set(['default', 'environment']));
    expect(warnings).toEqual([]);
    expect(() => Intl.DateTimeFormat('en', { timeZone: config.timeZone })).not.toThrow();
  });

  it('is frozen, lists included', () => {
    const { config } = load({ STEWARD_MODEL: 'a,b' });
    expect(Object.isFrozen(config) && Object.isFrozen(config.models)).toBe(true);
  });

  it('keeps its home where the environment says', () => {
    expect(homeOf({})).toBe(join(homedir(), '.steward'));
    expect(homeOf({ STEWARD_HOME: '  ' })).toBe(join(homedir(), '.steward'));
    expect(homeOf({ STEWARD_HOME: '~/elsewhere' })).toBe(join(homedir(), 'elsewhere'));
    expect(homeOf({ STEWARD_HOME: 'here' })).toBe(join(process.cwd(), 'here'));
  });

  it('accepts as text every default it describes', () => {
    const said = settingList.filter(
      (setting) => !/^(none|~|the system's|the provider's|Anthropic's|OpenAI's|Telegram's|claude)/.test(setting.shown),
    );
    expect(said.length).toBeGreaterThan(9);
    for (const setting of said)
      expect([setting.key, setting.schema.parse(setting.shown)]).toEqual([setting.key, setting.fallback()]);
  });
});

describe('the model', () => {
  it.each([
    [{ ANTHROPIC_API_KEY: 'sk-x' }, ['claude-sonnet-5-5']],
    [{ ANTHROPIC_AUTH_TOKEN: 'ollama', ANTHROPIC_BASE_URL: 'http://localhost:11434/' }, ['claude-sonnet-5-5']],
    [{ ANTHROPIC_BASE_URL: 'http://localhost:11434', STEWARD_MODEL: 'qwen3, offline' }, ['qwen3', 'offline']],
  ])('%j → %j', (env, models) => {
    expect(load(env as Record<string, string>).config.models).toEqual(models);
  });

  it('never repeats a password that stands in an address', () => {
    const [sentence = ''] = sentences({ ANTHROPIC_BASE_URL: 'https://me:hunter2@models.example' });
    expect(sentence).toContain('must not contain a user name or password');
    expect(sentence).not.toContain('hunter2');
  });

  it('warns when only a server is given, and starts: it may serve that model', () => {
    const { config, warnings } = load({ ANTHROPIC_BASE_URL: 'http://localhost:11434' });
    expect(config.models).toEqual(['claude-sonnet-5-5']);
    expect(warnings).toEqual([expect.stringContaining('STEWARD_MODEL is not set')]);
  });

  it('warns about a model nobody can reach, and starts', () => {
    expect(load({ STEWARD_MODEL: 'claude-opus-5-5' }).warnings).toEqual([
      expect.stringContaining('names claude-opus-5-5'),
    ]);
  });
});

describe('embeddings', () => {
  it.each([[{ STEWARD_EMBEDDINGS: 'voyage' }], [{ STEWARD_EMBEDDINGS: 'openai' }]])('%j needs a key', (env) => {
    expect(sentences(env)).toEqual([expect.stringContaining('STEWARD_EMBEDDINGS_KEY must be set too')]);
    expect(sentences({ ...env, STEWARD_EMBEDDINGS_KEY: 'pa-12345678' })).toEqual([]);
  });

  it('a server of your own needs none', () => {
    expect(sentences({ STEWARD_EMBEDDINGS: 'ollama' })).toEqual([]);
    expect(sentences({ STEWARD_EMBEDDINGS: 'openai', STEWARD_EMBEDDINGS_URL: 'http://127.0.0.1:1234/v1' })).toEqual([]);
  });

  it('warns when words leave this machine unencrypted', () => {
    const to = (url: string) => load({ STEWARD_EMBEDDINGS: 'ollama', STEWARD_EMBEDDINGS_URL: url }).warnings;
    expect(to('http://nas.local:11434')).toEqual([expect.stringContaining('not encrypted')]);
    expect(to('https://nas.local')).toEqual([]);
    expect(to('http://[::1]:11434')).toEqual([]);
  });

  it('its key is a secret', () => {
    const { config } = load({ STEWARD_EMBEDDINGS: 'voyage', STEWARD_EMBEDDINGS_KEY: 'pa-12345678' });
    expect(secretsOf(config)).toEqual(['pa-12345678']);
  });
});

describe('precedence', () => {
  const texts = {
    'environment.json': JSON.stringify({ STEWARD_PORT: '2', STEWARD_HOST: '127.0.0.2', GONE: 'x' }),
    'config.json': JSON.stringify({ STEWARD_PORT: 3, STEWARD_HOST: '127.0.0.3', STEWARD_TZ: 'Asia/Tokyo' }),
    '.env': 'STEWARD_PORT=4\nSTEWARD_TZ=Europe/Berlin\nSTEWARD_BUDGET_DAY_USD="2.50" # a comment\nOTHER=1\n',
  };

  it('is environment, start, config.json, .env', () => {
    const { config, sources } = load({ STEWARD_PORT: '1' }, texts);
    expect(config).toMatchObject({ port: 1, host: '127.0.0.2', timeZone: 'Asia/Tokyo', budgetDayUsd: 2.5 });
    expect(sources).toMatchObject({
      STEWARD_PORT: 'environment',
      STEWARD_HOST: 'environment',
      STEWARD_TZ: 'config.json',
      STEWARD_BUDGET_DAY_USD: '.env',
      STEWARD_MODEL: 'default',
    });
  });

  it('takes an empty text as not set', () => {
    expect(load({ STEWARD_PORT: '' }, texts).config.port).toBe(2);
    expect(load({ STEWARD_PORT: ' 7 ' }, texts).config.port).toBe(7);
  });
});

describe('mistakes', () => {
  it.each([
    ['STEWARD_PORT', '70000', 'STEWARD_PORT in the environment is "70000" but must be a whole number from 0 to 65535.'],
    ['STEWARD_PORT', '46 20', 'must be a whole number'],
    ['STEWARD_HOST', 'http://x', 'must be an IP address or a host name'],
    [
      'ANTHROPIC_API_KEY',
      'two words',
      'ANTHROPIC_API_KEY in the environment must be one piece of plain text without spaces.',
    ],
    ['ANTHROPIC_BASE_URL', 'localhost:11434', 'must be a URL that begins with http:// or https://'],
    ['ANTHROPIC_BASE_URL', 'http://me:pw@localhost', 'must not contain a user name or password'],
    ['STEWARD_MODEL', ' , ', 'must name at least one model'],
    ['STEWARD_MODEL', 'a b', 'must be model names separated by commas'],
    ['TELEGRAM_BOT_TOKEN', `bot${botToken}`, 'must be a bot token'],
    ['TELEGRAM_API_ROOT', 'ftp://x', 'must be a URL'],
    ['LARK_DOMAIN', 'fei-shu', 'must be feishu, lark or a URL'],
    ['STEWARD_SANDBOX', 'chroot', 'must be bwrap, docker or none'],
    ['STEWARD_HARNESS', 'gpt', 'must be native, claude-code, codex or opencode'],
    ['STEWARD_TZ', 'Mars/Olympus', 'must be a time zone name such as Europe/Berlin'],
    ['STEWARD_BUDGET_DAY_USD', '-1', 'must be an amount'],
    ['STEWARD_BUDGET_DAY_USD', '1e9', 'must be an amount'],
    ['STEWARD_FETCH_ALLOW', 'http://nas', 'must be hosts such as'],
    ['STEWARD_FETCH_ALLOW', 'nas:99999', 'must be hosts such as'],
    ['STEWARD_LOG_LEVEL', 'loud', 'must be trace, debug, info, warn, error, fatal or silent'],
    ['STEWARD_SYSTEM_PACKAGES', 'maybe', 'must be yes or no'],
    ['STEWARD_SAFE_MODE_AFTER', '1.5', 'must be a whole number, 0 or more'],
    ['STEWARD_QUARANTINE_AFTER', '-3', 'must be a whole number, 0 or more'],
    ['STEWARD_CONTEXT_TOKENS', '1999', 'must be a whole number, 2000 or more'],
  ])('%s=%s', (key, value, expected) => {
    const found = sentences({ [key]: value });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
    expect(found[0]).toContain(key);
  });

  it.each([
    [
      'STEWARD_FETCH_ALLOW',
      'NAS.local, 192.168.1.5:8080,[fd00::1]:80',
      { fetchAllow: ['nas.local', '192.168.1.5:8080', '[fd00::1]:80'] },
    ],
    ['TELEGRAM_BOT_TOKEN', botToken, { telegramBotToken: botToken }],
    ['LARK_DOMAIN', 'https://lark.example', { larkDomain: 'https://lark.example' }],
    ['STEWARD_BUDGET_DAY_USD', '0', { budgetDayUsd: 0 }],
    ['STEWARD_SAFE_MODE_AFTER', '0', { safeModeAfter: 0 }],
    ['STEWARD_HOST', '::1', { host: '::1' }],
    ['TELEGRAM_API_ROOT', 'http://127.0.0.1:8081/', { telegramApiRoot: 'http://127.0.0.1:8081' }],
  ])('not: %s=%s', (key, value, expected) => {
    expect(load({ [key]: value }).config).toMatchObject(expected);
  });

  it('are told all at once', () => {
    const found = sentences(
      { STEWARD_PROT: '1', STEWARD_TZ: 'x', LARK_APP_ID: 'cli_0123456789abcdef' },
      {
        'config.json': '{"telegram_bot_token": "t", "STEWARD_PORT": true, "STEWARD_MODEL": 5, "STEWARD_HOME": "/x"}',
        '.env': 'STEWARD_X=1',
      },
    );
    expect(found).toEqual([
      'STEWARD_PROT in the environment is not a setting; did you mean STEWARD_PORT?',
      'telegram_bot_token in config.json is not a setting; did you mean TELEGRAM_BOT_TOKEN?',
      'STEWARD_PORT in config.json must be a number.',
      'STEWARD_MODEL in config.json must be text in quotes or a list of texts.',
      'STEWARD_HOME can be set in the environment only, not in config.json.',
      expect.stringMatching(/^STEWARD_X in \.env is not a setting/),
      'STEWARD_TZ in the environment is "x" but must be a time zone name such as Europe/Berlin.',
      'LARK_APP_ID is set, so LARK_APP_SECRET must be set too.',
    ]);
  });

  it('never repeat a secret, not even from broken JSON', () => {
    const all = [
      ...sentences({ TELEGRAM_BOT_TOKEN: 'hunter2hunter2', LARK_APP_SECRET: 'se cret' }),
      ...sentences({}, { 'config.json': '{"ANTHROPIC_API_KEY": hunter2}' }),
    ].join('\n');
    expect(all).not.toMatch(/hunter2|se cret/);
    expect(all).toMatch(/config\.json is not valid JSON/);
  });

  it.each([['[]'], ['"x"'], ['null'], ['7']])('config.json holds %s', (text) => {
    expect(sentences({}, { 'config.json': text })).toEqual([
      'config.json must hold one JSON object: { "KEY": "value" }.',
    ]);
  });

  it('names a file that cannot be read', () => {
    const failing = () =>
      loadConfig({ STEWARD_HOME: '/h' }, { readFile: (path) => (path.endsWith('.env') ? fail() : null) });
    function fail(): never {
      throw new Error('EACCES: permission denied');
    }
    expect(failing).toThrow('.env in /h cannot be read: EACCES: permission denied.');
  });

  it('leaves the keys of the test suite alone', () => {
    expect(sentences({ STEWARD_TEST_CRASH: 'x' })).toEqual([]);
  });
});

it('warns when others can reach the console', () => {
  expect(load({ STEWARD_HOST: '0.0.0.0' }).warnings).toEqual([expect.stringContaining('STEWARD_HOST is 0.0.0.0')]);
  expect(load({ STEWARD_HOST: 'localhost' }).warnings).toEqual([]);
});

it('knows its secrets', () => {
  const env = { TELEGRAM_BOT_TOKEN: botToken, ANTHROPIC_API_KEY: 'sk-ant-1', STEWARD_MODEL: 'x' };
  expect(secretsOf(load(env).config).sort()).toEqual([botToken, 'sk-ant-1'].sort());
});

describe('saving', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'steward-config-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));
  const stored = () => JSON.parse(readFileSync(join(home, 'config.json'), 'utf8')) as unknown;

  it('writes one private file and leaves nothing else', () => {
    saveSetting(home, 'TELEGRAM_BOT_TOKEN', ` ${botToken} `);
    expect(stored()).toEqual({ TELEGRAM_BOT_TOKEN: botToken });
    expect(statSync(join(home, 'config.json')).mode & 0o777).toBe(0o600);
    expect(readdirSync(home)).toEqual(['config.json']);
    expect(loadConfig({ STEWARD_HOME: home })).toMatchObject({
      config: { telegramBotToken: botToken },
      sources: { TELEGRAM_BOT_TOKEN: 'config.json' },
    });
  });

  it('keeps the others, and null removes', () => {
    writeFileSync(join(home, 'config.json'), '{"STEWARD_PORT": 5000, "STEWARD_TZ": "UTC"}');
    saveSettings(home, { STEWARD_TZ: null, STEWARD_HOST: '127.0.0.1' });
    expect(stored()).toEqual({ STEWARD_PORT: 5000, STEWARD_HOST: '127.0.0.1' });
  });

  it.each([
    [{ STEWARD_PORT: 'x' }, 'must be a whole number'],
    [{ STEWARD_PORTS: '1' }, 'did you mean STEWARD_PORT'],
    [{ STEWARD_HOME: '/x' }, 'is not a setting'],
    [{ STEWARD_TZ: 'UTC', LARK_APP_ID: 'nope' }, 'must be an app id'],
  ])('refuses %j whole', (changes, why) => {
    expect(() => saveSettings(home, changes as unknown as Record<string, string>)).toThrow(
      expect.objectContaining({ code: 'invalid', message: expect.stringContaining(why) }),
    );
    expect(readdirSync(home)).toEqual([]);
  });

  it('does not overwrite what it cannot read', () => {
    writeFileSync(join(home, 'config.json'), '{"STEWARD_PORT": 5000');
    expect(() => saveSetting(home, 'STEWARD_TZ', 'UTC')).toThrow('config.json is not valid JSON');
    expect(readFileSync(join(home, 'config.json'), 'utf8')).toBe('{"STEWARD_PORT": 5000');
  });

  it('takes two settings that only make sense together', () => {
    saveSettings(home, { ANTHROPIC_BASE_URL: 'http://127.0.0.1:1', STEWARD_MODEL: 'local' });
    expect(loadConfig({ STEWARD_HOME: home }).config.models).toEqual(['local']);
  });

  it('a start leaves its environment, and the next one replaces it', () => {
    const shell = {
      ANTHROPIC_API_KEY: 'sk-1',
      STEWARD_PORT: '5001',
      PATH: '/bin',
      STEWARD_HOME: home,
      STEWARD_TZ: ' ',
    };
    expect(recordEnvironment(home, shell)).toBe(true);
    expect(recordEnvironment(home, shell)).toBe(false);
    expect(JSON.parse(readFileSync(join(home, 'environment.json'), 'utf8'))).toEqual({
      ANTHROPIC_API_KEY: 'sk-1',
      STEWARD_PORT: '5001',
    });
    expect(statSync(join(home, 'environment.json')).mode & 0o777).toBe(0o600);
    expect(loadConfig({ STEWARD_HOME: home })).toMatchObject({
      config: { port: 5001 },
      sources: { ANTHROPIC_API_KEY: 'environment' },
    });
    expect(recordEnvironment(home, {})).toBe(true);
    expect(loadConfig({ STEWARD_HOME: home }).config).toMatchObject({ port: 4620, anthropicApiKey: null });
  });

  it.skipIf(process.getuid?.() === 0)('says so when the folder is read-only', () => {
    chmodSync(home, 0o500);
    expect(() => saveSetting(home, 'STEWARD_TZ', 'UTC')).toThrow(/EACCES/);
    chmodSync(home, 0o700);
  });
});
