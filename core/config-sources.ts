// The places settings are written in, each turned into texts by key; what is wrong becomes a sentence, never a throw.
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { type Setting, settingList, settingOf, settings } from './settings.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Text is null when there is no such file; throws when it is there and cannot be read. */
export type ReadFile = (path: string) => string | null;

export const files = { start: 'environment.json', config: 'config.json', env: '.env' } as const;

/** Keys of this form belong to the test suite and are no settings. */
const testKey = /^STEWARD_TEST_/;

export function fromEnvironment(env: Environment, place: string, problems: string[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [key, value] of Object.entries(env)) {
    if (settingOf(key)) {
      if (value?.trim()) values[key] = value.trim();
    } else if (key.startsWith('STEWARD_') && !testKey.test(key)) problems.push(unknownKey(key, place));
  }
  return values;
}

/** Our own file, so unknown keys are leftovers of another version and no mistake of a person. */
export function fromStart(text: string | null, problems: string[]): Record<string, string> {
  const entries = Object.entries(parseObject(text, files.start, problems));
  return Object.fromEntries(
    entries.filter(
      (entry): entry is [string, string] => settingOf(entry[0]) !== undefined && typeof entry[1] === 'string',
    ),
  );
}

export function fromConfigJson(text: string | null, problems: string[]): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [key, value] of Object.entries(parseObject(text, files.config, problems))) {
    const setting = settingOf(key);
    if (!setting) problems.push(unknownKey(key, `in ${files.config}`));
    else if (key === settings.home.key)
      problems.push(`${key} can be set in the environment only, not in ${files.config}.`);
    else {
      const written = asText(setting, value);
      if (written === undefined) problems.push(`${key} in ${files.config} must be ${kindInWords[setting.kind]}.`);
      else if (written.trim()) values[key] = written.trim();
    }
  }
  return values;
}

export function fromDotEnv(text: string | null, problems: string[]): Record<string, string> {
  if (text === null) return {};
  const values = fromEnvironment(parseEnv(text) as Environment, `in ${files.env}`, problems);
  if (settings.home.key in values)
    problems.push(`${settings.home.key} can be set in the environment only, not in ${files.env}.`);
  return values;
}

const kindInWords: Record<Setting['kind'], string> = {
  text: 'text in quotes',
  number: 'a number',
  list: 'text in quotes or a list of texts',
};

/** Undefined when the JSON value is of a type this setting cannot have; null counts as not set. */
function asText(setting: Setting, value: unknown): string | undefined {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (setting.kind === 'number' && typeof value === 'number') return String(value);
  if (setting.kind === 'list' && Array.isArray(value) && value.every((item) => typeof item === 'string'))
    return value.join(',');
  return undefined;
}

export function readText(home: string, name: string, readFile: ReadFile, problems: string[]): string | null {
  try {
    return readFile(join(home, name));
  } catch (error) {
    problems.push(`${name} in ${home} cannot be read: ${error instanceof Error ? error.message : String(error)}.`);
    return null;
  }
}

export function parseObject(text: string | null, name: string, problems: string[]): Record<string, unknown> {
  if (text === null || text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    problems.push(`${name} must hold one JSON object: { "KEY": "value" }.`);
  } catch (error) {
    // Node quotes the text around the mistake, which may be a secret: keep the position only.
    const where = /\(line \d+ column \d+\)/.exec(error instanceof Error ? error.message : '')?.[0];
    problems.push(`${name} is not valid JSON${where ? ` ${where}` : ''}.`);
  }
  return {};
}

export function unknownKey(key: string, place: string): string {
  const near = settingList
    .map((setting) => ({ key: setting.key, distance: editDistance(key.toUpperCase(), setting.key) }))
    .sort((a, b) => a.distance - b.distance)[0]!;
  return near.distance <= Math.max(2, key.length / 4)
    ? `${key} ${place} is not a setting; did you mean ${near.key}?`
    : `${key} ${place} is not a setting.`;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
