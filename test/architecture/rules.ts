// The rules of the house as pure functions: from the source texts to the sentences about what breaks them.
import { type Import, importsOf, packageOf, type Sources, split } from './source.ts';

export type Rule = (sources: Sources) => string[];

const rooms = ['core', 'channels', 'memory', 'scheduler', 'sandboxes'];
const console = 'channels/console/';
/** The one file that sees all rooms and wires them. */
const wiring = 'core/main.ts';

function roomOf(path: string): string | null {
  const first = path.split('/')[0]!;
  return rooms.includes(first) ? first : null;
}

const isCode = (path: string) => /\.(ts|tsx|mjs|cjs)$/.test(path);
const isOurs = (path: string) => isCode(path) && roomOf(path) !== null;

function imports(sources: Sources, of: (path: string) => boolean): Import[] {
  return [...sources].filter(([path]) => of(path)).flatMap(([path, source]) => importsOf(path, source));
}

/** Rooms import core; core imports no room; rooms never import each other; only the wiring sees all. Types count too. */
export const directions: Rule = (sources) =>
  imports(sources, isOurs).flatMap(({ from, target }) => {
    if (from === wiring || !target) return [];
    const [here, there] = [roomOf(from), roomOf(target)];
    if (target.startsWith('test/')) return [`${from} imports ${target}: the program must not need its tests.`];
    if (target === wiring && from !== 'core/cli/run.ts')
      return [`${from} imports ${wiring}, which only steward run may.`];
    if (there === null || here === there || there === 'core') return [];
    return [
      `${from} imports ${target}: ${here === 'core' ? 'core imports no room' : 'rooms never import each other'}.`,
    ];
  });

/** The console is a program of its own: it talks to the HTTP API and to nothing else. */
export const consoleApart: Rule = (sources) =>
  imports(sources, isOurs).flatMap(({ from, target }) => {
    if (!target || from.startsWith(console) === target.startsWith(console)) return [];
    return [`${from} imports ${target}: the console and the server share the HTTP API only.`];
  });

/** What runs before anything is installed needs nothing installed. */
export const setupAlone: Rule = (sources) =>
  imports(sources, (path) => path.startsWith('core/setup/')).flatMap(({ from, specifier, target }) => {
    if (specifier.startsWith('node:') || target?.startsWith('core/setup/')) return [];
    return [`${from} imports ${specifier}: setup is plain JavaScript without dependencies.`];
  });

/** No circle of imports that exist at run time. */
export const cycles: Rule = (sources) => {
  const graph = new Map<string, string[]>();
  for (const { from, target, typeOnly } of imports(sources, isOurs))
    if (target && !typeOnly) graph.set(from, [...(graph.get(from) ?? []), target]);
  const state = new Map<string, 'open' | 'done'>();
  const found: string[] = [];
  const visit = (path: string, trail: string[]) => {
    if (state.get(path) === 'open')
      found.push(`Import cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' → ')}.`);
    if (state.has(path)) return;
    state.set(path, 'open');
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
};

/**
 * Who may import a package: 'one' file, or those that match. `zod`, `execa` and `hono` are languages of their layer and
 * not SDKs; everything else is behind the one file that knows it. A package that is not listed may not be used.
 */
export const importers: Record<string, 'one' | RegExp> = {
  '@anthropic-ai/sdk': 'one',
  '@hono/node-server': 'one',
  'better-sqlite3': 'one',
  commander: 'one',
  croner: 'one',
  cronstrue: 'one',
  execa: /./,
  grammy: 'one',
  'html-to-text': 'one',
  'node-forge': 'one',
  'tar-stream': 'one',
  'markdown-it': 'one',
  'node-cron': 'one',
  hono: /^channels\/web[./]/,
  pino: 'one',
  zod: /./,
};

export const onePlacePerPackage: Rule = (sources) => {
  const users = new Map<string, Set<string>>();
  // The console is bundled from development packages, and the setup rule covers its own folder.
  const server = (path: string) => isOurs(path) && !path.startsWith(console) && !path.startsWith('core/setup/');
  for (const { from, specifier } of imports(sources, server)) {
    const name = packageOf(specifier);
    if (name) users.set(name, (users.get(name) ?? new Set()).add(from));
  }
  return [...users].flatMap(([name, files]) => {
    const allowed = importers[name];
    const list = [...files].sort();
    if (!allowed) return [`${list.join(', ')} imports ${name}, which is not in the table of importers.`];
    if (allowed === 'one')
      return list.length > 1 ? [`${name} is imported by ${list.join(' and ')}: one file must own it.`] : [];
    return list
      .filter((file) => !allowed.test(file))
      .map((file) => `${file} imports ${name}, which belongs to ${allowed.source}.`);
  });
};

/** PM2 is AGPL: a program that is run, never code that is loaded. */
export const pm2NeverImported: Rule = (sources) =>
  imports(sources, isCode)
    .filter(({ specifier }) => packageOf(specifier) === 'pm2')
    .map(({ from }) => `${from} imports pm2: run its command instead.`);

const creates = /^\s*CREATE\s+(?:VIRTUAL\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?["`]?(\w+)/i;
const drops =
  /^\s*(?:DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?["`]?(\w+)|ALTER\s+TABLE\s+["`]?(\w+)["`]?\s+RENAME\s+TO\s+["`]?(\w+))/i;
const writes =
  /\b(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|REPLACE\s+INTO|DELETE\s+FROM|UPDATE(?:\s+OR\s+\w+)?)\s+["`]?(\w+|\$\{)/gi;

/** From each `-- owner: file` above a CREATE TABLE; a table without one is a finding. */
function owners(sources: Sources): { byTable: Map<string, string>; found: string[] } {
  const byTable = new Map<string, string>();
  const found: string[] = [];
  const migrations = [...sources]
    .filter(([path]) => /^core\/migrations\/.*\.sql$/.test(path))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [path, source] of migrations) {
    let owner: string | undefined;
    for (const line of source.split('\n')) {
      const comment = /^\s*--\s*owner:\s*(\S+)\s*$/.exec(line);
      const table = creates.exec(line)?.[1];
      const gone = drops.exec(line);
      if (comment) owner = comment[1];
      else if (table) {
        if (!owner) found.push(`${path}: table ${table} names no owner.`);
        else if (!sources.has(owner)) found.push(`${path}: ${owner}, the owner of table ${table}, is not there.`);
        if (owner) byTable.set(table, owner);
      } else if (gone?.[3]) byTable.set(gone[3], byTable.get(gone[2]!) ?? '');
      else if (gone?.[1]) byTable.delete(gone[1]);
      // It counts for the statement right below it, and comments may stand in between.
      if (!comment && line.trim() !== '' && !line.trimStart().startsWith('--')) owner = undefined;
    }
  }
  return { byTable, found };
}

/** Each table has one writing module: the one its migration names. */
export const oneWriterPerTable: Rule = (sources) => {
  const { byTable, found } = owners(sources);
  for (const [path, source] of sources) {
    if (!isOurs(path) || path.startsWith(console)) continue;
    for (const text of split(source).strings)
      for (const [statement, table] of text.matchAll(writes)) {
        // Prose says "update" too; SQL goes on with SET.
        const rest = text.slice(text.indexOf(statement) + statement.length);
        if (/^UPDATE/i.test(statement) && !/^["`\w${}\s]*\bSET\b/i.test(rest)) continue;
        if (table === '${')
          found.push(`${path} writes to a table whose name is computed; nobody can tell whose it is.`);
        else if (byTable.has(table!) && byTable.get(table!) !== path)
          found.push(`${path} writes to table ${table}, which ${byTable.get(table!)} owns.`);
      }
  }
  return found;
};

const anyType = /(?:[:<,|&(]|=>|=|\bas|\bextends|\bkeyof|\bis)\s*any\b(?!\s*[(:.])|\bany\[\]/;

export const noAny: Rule = (sources) =>
  [...sources].flatMap(([path, source]) => {
    if (!/\.tsx?$/.test(path)) return [];
    // The text between JSX tags is prose and may say "any".
    const bare = split(source).bare.replace(path.endsWith('.tsx') ? />[^<>{}]*</g : /(?!)/, '><');
    return anyType.test(bare) ? [`${path} says any.`] : [];
  });

/** Each file opens by saying its single responsibility. */
export const headers: Rule = (sources) =>
  [...sources].flatMap(([path, source]) => {
    if (!isCode(path) && !path.endsWith('.sql')) return [];
    const first = source.replace(/^#![^\n]*\n/, '');
    const comment = path.endsWith('.sql') ? /^-- \S/ : /^(?:\/\/ \S|\/\*\*?\s*\S)/;
    return comment.test(first) ? [] : [`${path} does not open with a comment saying what it is for.`];
  });

const mostDependencies = 20;

export const fewDependencies: Rule = (sources) => {
  const manifest = JSON.parse(sources.get('package.json') ?? '{}') as Record<
    string,
    Record<string, string> | undefined
  >;
  const names = [...Object.keys(manifest.dependencies ?? {}), ...Object.keys(manifest.optionalDependencies ?? {})];
  const loose = Object.entries({
    ...manifest.dependencies,
    ...manifest.optionalDependencies,
    ...manifest.devDependencies,
  })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name, version]) => `package.json asks for ${name} ${version}; versions are exact.`);
  const many =
    names.length > mostDependencies
      ? [`package.json has ${names.length} runtime dependencies, more than ${mostDependencies}.`]
      : [];
  return [...many, ...loose];
};

export const rules: Record<string, Rule> = {
  directions,
  consoleApart,
  setupAlone,
  cycles,
  onePlacePerPackage,
  pm2NeverImported,
  oneWriterPerTable,
  noAny,
  headers,
  fewDependencies,
};
