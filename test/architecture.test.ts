// The shape of the project: every rule holds for the tree as it is, and every rule catches the mistake it is for.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the cases are source text.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  consoleApart,
  cycles,
  directions,
  fewDependencies,
  headers,
  noAny,
  onePlacePerPackage,
  oneWriterPerTable,
  pm2NeverImported,
  type Rule,
  rules,
  setupAlone,
} from './architecture/rules.ts';
import { importsOf, type Sources, split } from './architecture/source.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const folders = ['core', 'channels', 'memory', 'scheduler', 'sandboxes', 'test'];
const files = ['package.json', 'ecosystem.config.cjs', 'vitest.config.ts'];

function readTree(): Sources {
  // A room nobody has moved into yet is not there in a fresh clone.
  const present = folders.filter((folder) => existsSync(join(root, folder)));
  const paths = present.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(ts|tsx|mjs|cjs|sql)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
      .filter((path) => !/(^|\/)(node_modules|dist|coverage)\//.test(path)),
  );
  return new Map([...paths, ...files].map((path) => [path, readFileSync(join(root, path), 'utf8')]));
}

describe('the tree', () => {
  const tree = readTree();

  it('was read', () => {
    expect(tree.size).toBeGreaterThan(40);
    expect([...tree.keys()].flatMap((path) => importsOf(path, tree.get(path)!)).length).toBeGreaterThan(100);
  });

  it.each(Object.entries(rules))('%s', (_, rule) => {
    expect(rule(tree)).toEqual([]);
  });
});

interface Case {
  name: string;
  rule: Rule;
  tree: Record<string, string>;
  /** What the one finding says; null when the tree is fine. */
  says: string | null;
}

const schema = '-- Tables.\n\n-- owner: core/events.ts\n-- ordered by seq\nCREATE TABLE events (id TEXT) STRICT;\n';
const owner = { 'core/migrations/0001_a.sql': schema, 'core/events.ts': "db.prepare('INSERT INTO events VALUES (?)')" };

const cases: Case[] = [
  {
    name: 'a room imports another',
    rule: directions,
    tree: { 'memory/a.ts': "import { b } from '../channels/b.ts';" },
    says: 'rooms never import each other',
  },
  {
    name: 'a type is an import too',
    rule: directions,
    tree: { 'memory/a.ts': "import type { B } from '../channels/b.ts';" },
    says: 'rooms never',
  },
  {
    name: 'a re-export is an import too',
    rule: directions,
    tree: { 'memory/a.ts': "export * from '../scheduler/b.ts';" },
    says: 'rooms never',
  },
  {
    name: 'core imports a room',
    rule: directions,
    tree: { 'core/a.ts': "const b = await import('../channels/b.ts');" },
    says: 'core imports no room',
  },
  {
    name: 'the program imports its tests',
    rule: directions,
    tree: { 'core/a.ts': "import '../test/fakes/b.ts';" },
    says: 'must not need its tests',
  },
  {
    name: 'a room imports the wiring',
    rule: directions,
    tree: { 'channels/a.ts': "import { main } from '../core/main.ts';" },
    says: 'only steward run may',
  },
  {
    name: 'rooms import core, and the wiring everything',
    rule: directions,
    tree: {
      'core/main.ts': "import { a } from '../channels/a.ts';",
      'channels/a.ts': "import { b } from '../core/b.ts';\n// import x from '../memory/x.ts'\n",
    },
    says: null,
  },
  {
    name: 'the console imports the server',
    rule: consoleApart,
    tree: { 'channels/console/src/a.tsx': "import type { B } from '../../../core/types.ts';" },
    says: 'HTTP API only',
  },
  {
    name: 'the server imports the console',
    rule: consoleApart,
    tree: { 'channels/web.ts': "import './console/src/a.ts';" },
    says: 'HTTP API only',
  },
  {
    name: 'setup imports a package',
    rule: setupAlone,
    tree: { 'core/setup/a.mjs': "import { execa } from 'execa';" },
    says: 'without dependencies',
  },
  {
    name: 'setup imports TypeScript',
    rule: setupAlone,
    tree: { 'core/setup/a.mjs': "import { b } from '../config.ts';" },
    says: 'without dependencies',
  },
  {
    name: 'setup imports Node and itself',
    rule: setupAlone,
    tree: { 'core/setup/a.mjs': "import 'node:fs';\nimport './b.mjs';" },
    says: null,
  },
  {
    name: 'a cycle of three',
    rule: cycles,
    tree: {
      'core/a.ts': "import './b.ts';",
      'core/b.ts': "export { c } from './c.ts';",
      'core/c.ts': "import { a } from './a.ts';",
    },
    says: 'core/a.ts → core/b.ts → core/c.ts → core/a.ts',
  },
  {
    name: 'a circle of types alone',
    rule: cycles,
    tree: { 'core/a.ts': "import type { B } from './b.ts';", 'core/b.ts': "import { a } from './a.ts';" },
    says: null,
  },
  {
    name: 'a second importer of an SDK',
    rule: onePlacePerPackage,
    tree: {
      'channels/telegram.ts': "import { Bot } from 'grammy';",
      'channels/other.ts': "import type { Api } from 'grammy/types';",
    },
    says: 'grammy is imported by channels/other.ts and channels/telegram.ts',
  },
  {
    name: 'hono outside of the web channel',
    rule: onePlacePerPackage,
    tree: { 'core/a.ts': "import { Hono } from 'hono/tiny';" },
    says: 'core/a.ts imports hono',
  },
  {
    name: 'a package nobody listed',
    rule: onePlacePerPackage,
    tree: { 'core/a.ts': "import left from 'left-pad';" },
    says: 'not in the table',
  },
  {
    name: 'a package of many',
    rule: onePlacePerPackage,
    tree: { 'core/a.ts': "import { z } from 'zod';", 'memory/b.ts': "import * as z from 'zod';" },
    says: null,
  },
  {
    name: 'pm2 imported',
    rule: pm2NeverImported,
    tree: { 'core/a.ts': "import pm2 from 'pm2';" },
    says: 'run its command',
  },
  {
    name: 'pm2 required, in a test',
    rule: pm2NeverImported,
    tree: { 'test/a.cjs': "const pm2 = require('pm2/lib/API');" },
    says: 'run its command',
  },
  {
    name: 'pm2 as a word',
    rule: pm2NeverImported,
    tree: { 'core/cli/pm2.ts': "import { x } from './y.ts';\nrun('pm2');" },
    says: null,
  },
  {
    name: 'a second writer',
    rule: oneWriterPerTable,
    tree: { ...owner, 'core/other.ts': "db.prepare('DELETE FROM events')" },
    says: 'core/other.ts writes to table events',
  },
  {
    name: 'a second writer in a template',
    rule: oneWriterPerTable,
    tree: { ...owner, 'core/other.ts': 'db.exec(`\n  update or ignore events\n  set id = ${id}`)' },
    says: 'core/other.ts writes to table events',
  },
  {
    name: 'an upsert',
    rule: oneWriterPerTable,
    tree: { ...owner, 'memory/other.ts': 'sql("INSERT OR REPLACE INTO events VALUES (1)")' },
    says: 'memory/other.ts writes',
  },
  {
    name: 'a computed table',
    rule: oneWriterPerTable,
    tree: { ...owner, 'core/other.ts': 'db.exec(`DELETE FROM ${table}`)' },
    says: 'name is computed',
  },
  {
    name: 'prose about events',
    rule: oneWriterPerTable,
    tree: {
      ...owner,
      'core/other.ts': "// DELETE FROM events\nlog('could not update events on disk', 'SELECT * FROM events')",
    },
    says: null,
  },
  {
    name: 'a table without an owner',
    rule: oneWriterPerTable,
    tree: { 'core/migrations/0001_a.sql': `${schema}CREATE TABLE runs (id TEXT) STRICT;`, 'core/events.ts': '' },
    says: 'table runs names no owner',
  },
  {
    name: 'an owner that is gone',
    rule: oneWriterPerTable,
    tree: { 'core/migrations/0001_a.sql': schema },
    says: 'core/events.ts, the owner of table events, is not there',
  },
  {
    name: 'a table that was renamed',
    rule: oneWriterPerTable,
    tree: {
      ...owner,
      'core/migrations/0002_b.sql': 'ALTER TABLE events RENAME TO log;',
      'core/other.ts': "db.prepare('INSERT INTO log VALUES (1)')",
    },
    says: 'writes to table log, which core/events.ts owns',
  },
  { name: 'any as a type', rule: noAny, tree: { 'core/a.ts': 'function f(x: any) {}' }, says: 'core/a.ts says any' },
  {
    name: 'any in a generic',
    rule: noAny,
    tree: { 'test/a.ts': 'const x: Record<string, any> = {};' },
    says: 'says any',
  },
  { name: 'any after as', rule: noAny, tree: { 'core/a.tsx': 'const x = y as any;' }, says: 'says any' },
  {
    name: 'any in words',
    rule: noAny,
    tree: { 'core/a.ts': "// any: all\nconst s = 'as any'; /: any/.test(s); z.any(); const any = 1;" },
    says: null,
  },
  {
    name: 'any in the text of a page',
    rule: noAny,
    tree: { 'channels/console/a.tsx': "const p = <p>There isn't, at (any) time</p>;" },
    says: null,
  },
  {
    name: 'no header',
    rule: headers,
    tree: { 'core/a.ts': "import 'node:fs';" },
    says: 'core/a.ts does not open with a comment',
  },
  {
    name: 'no header in SQL',
    rule: headers,
    tree: { 'core/migrations/1.sql': 'CREATE TABLE x (y);' },
    says: 'does not open',
  },
  {
    name: 'a header below a shebang',
    rule: headers,
    tree: { 'core/setup/a.mjs': '#!/usr/bin/env node\n// What it is for.\n' },
    says: null,
  },
  {
    name: 'too many dependencies',
    rule: fewDependencies,
    tree: {
      'package.json': JSON.stringify({
        dependencies: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`p${i}`, '1.0.0'])),
      }),
    },
    says: '21 runtime dependencies',
  },
  {
    name: 'a loose version',
    rule: fewDependencies,
    tree: { 'package.json': '{"devDependencies": {"vite": "^8.0.0"}}' },
    says: 'versions are exact',
  },
];

describe('each rule can fail', () => {
  it.each(cases)('$name', ({ rule, tree, says }) => {
    const found = rule(new Map(Object.entries(tree)));
    expect(found).toEqual(says === null ? [] : [expect.stringContaining(says)]);
  });

  it('and each has a case that does', () => {
    const caught = new Set(cases.filter(({ says }) => says !== null).map(({ rule }) => rule));
    expect(Object.values(rules).filter((rule) => !caught.has(rule))).toEqual([]);
  });
});

describe('reading source', () => {
  it('tells comments, strings and patterns apart', () => {
    const source =
      "const a = 'x // y'; // 'no'\nconst b = /['\"]/.test(`t ${`in ${'n'}`} // z`); /* \" */ const c = 4 / 2 / 1;";
    expect(split(source).strings).toEqual(['x // y', '[\'"]', "t ${`in ${'n'}`} // z"]);
    expect(split(source).bare).toContain('const c = 4 / 2 / 1;');
  });

  it('reads anything in no time', () => {
    const long = [`import ${' '.repeat(50_000)}x`, `export /*${'x'.repeat(50_000)}*/ const a = 1`, '{'.repeat(50_000)];
    const from = performance.now();
    for (const source of long) importsOf('core/a.ts', source);
    expect(performance.now() - from).toBeLessThan(1000);
  });

  it('finds every form of import', () => {
    const source = `
      import a, { type B } from './a.ts';
      import type { C } from "./c.ts";
      import './side.ts';
      export { d } from './d.ts';
      export type { E } from './e.ts';
      const f = await import('./f.ts');
      const g = require('pkg/deep');
      const text = "import x from './no.ts'";
      import {
        long,
        list,
      } from '@scope/name/sub';`;
    expect(
      importsOf('core/x.ts', source).map(({ specifier, target, typeOnly }) => [specifier, target, typeOnly]),
    ).toEqual([
      ['./a.ts', 'core/a.ts', false],
      ['./c.ts', 'core/c.ts', true],
      ['./side.ts', 'core/side.ts', false],
      ['./d.ts', 'core/d.ts', false],
      ['./e.ts', 'core/e.ts', true],
      ['./f.ts', 'core/f.ts', false],
      ['pkg/deep', null, false],
      ['@scope/name/sub', null, false],
    ]);
  });
});
