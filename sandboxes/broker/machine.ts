// What the machine itself is configured for: the registries its npm and pip use.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface Machine {
  env: Readonly<Record<string, string | undefined>>;
  home: string;
  /** The text of a file, null when it cannot be read. */
  read(path: string): string | null;
}

const isWeb = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);

/** The value of a key in an INI file, in a section where one is named; the last one counts. */
function iniValue(text: string, section: string | null, keys: readonly string[]): string | null {
  let here = section === null;
  let found: string | null = null;
  for (const line of text.split('\n')) {
    const heading = /^\s*\[([^\]]*)\]/.exec(line)?.[1];
    if (heading !== undefined) here = heading.trim() === section;
    const [, key, value] = /^\s*([\w-]+)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
    if (here && key !== undefined && keys.includes(key)) found = value!.replace(/^"(.*)"$/, '$1');
  }
  return found;
}

/** URLs of the npm registry and the simple index; null where the machine has no opinion. */
export function registriesOf({ env, home, read }: Machine): { npm: string | null; pip: string | null } {
  const expand = (text: string) => text.replace(/\$\{(\w+)\}/g, (whole, name: string) => env[name] ?? whole);
  const first = (values: (string | null | undefined)[]) =>
    values.map((value) => (value ? expand(value) : '')).find(isWeb) ?? null;
  const ini = (path: string, section: string | null, keys: string[]) => iniValue(read(path) ?? '', section, keys);
  return {
    npm: first([
      env.npm_config_registry ?? env.NPM_CONFIG_REGISTRY,
      ini(join(home, '.npmrc'), null, ['registry']),
      ini('/etc/npmrc', null, ['registry']),
    ]),
    pip: first([
      env.PIP_INDEX_URL,
      ...[join(home, '.config/pip/pip.conf'), join(home, '.pip/pip.conf'), '/etc/pip.conf'].map((path) =>
        ini(path, 'global', ['index-url', 'index_url']),
      ),
    ]),
  };
}

export const thisMachine = (): Machine => ({
  env: process.env,
  home: homedir(),
  read(path) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return null;
    }
  },
});
