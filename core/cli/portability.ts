// `steward export` and `steward import`: memory as files, out of the running process and into it.
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { StewardError } from '../errors.ts';
import type { Client } from './client.ts';
import { exported, imported } from './memory-shapes.ts';
import { harmless, say, sayJson, type Terminal } from './terminal.ts';

/** Bytes of one import, and files of one folder: more is likely the wrong folder. */
const BYTES = 200 * 1024 * 1024;
const FILES = 10_000;
const PATIENCE_MS = 30 * 60_000;
const TEXTS = /\.(?:md|markdown|txt|jsonl|ndjson|json)$/i;

export interface ExportOptions {
  format: 'jsonl' | 'markdown';
  json?: boolean;
}

/** Into a folder that is made, and readable by its owner alone. Files of an earlier export there are replaced. */
export async function exportMemory(
  client: Client,
  terminal: Terminal,
  folder: string,
  { format, json }: ExportOptions,
): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const answer = client.text(`/api/memory/export?format=${format}`);
  const files =
    format === 'jsonl' ? await writeOne(answer, join(folder, 'memory.jsonl')) : await writeTree(answer, folder);
  if (json) sayJson(terminal, { folder, files });
  else say(terminal, `${files} file${files === 1 ? '' : 's'} in ${folder}.`);
}

async function writeOne(pieces: AsyncIterable<string>, path: string): Promise<number> {
  const file = openSync(path, 'w', 0o600);
  try {
    for await (const piece of pieces) writeSync(file, piece);
  } finally {
    closeSync(file);
  }
  return 1;
}

async function writeTree(pieces: AsyncIterable<string>, folder: string): Promise<number> {
  const root = resolve(folder);
  const begun = new Set<string>();
  for await (const line of linesOf(pieces)) {
    const { path, data } = exported.parse(JSON.parse(line));
    const target = resolve(root, path);
    if (!target.startsWith(root + sep))
      throw new StewardError('conflict', `The export names a file outside its folder: ${path}.`, {
        op: 'export memory',
      });
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    // A long file comes in several pieces.
    writeFileSync(target, data, { mode: 0o600, flag: begun.has(target) ? 'a' : 'w' });
    begun.add(target);
  }
  return begun.size;
}

async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== '') yield rest;
}

export interface ImportOptions {
  format: 'jsonl' | 'markdown' | 'transcript' | 'zylos' | 'openclaw';
  own?: boolean | string;
  dryRun?: boolean;
  json?: boolean;
}

export async function importMemory(
  client: Client,
  terminal: Terminal,
  path: string,
  { format, own, dryRun, json }: ImportOptions,
): Promise<void> {
  const body = { format, files: filesAt(path), dry_run: dryRun ?? false, ...(own !== undefined && { own }) };
  const done = await client.send('POST', '/api/memory/import', body, imported, undefined, PATIENCE_MS);
  if (json) return sayJson(terminal, done);
  const lines = [
    `${dryRun ? 'It would bring' : 'Imported'}: ${done.items} items, ${done.events} texts; ${done.skipped.length} left out.`,
    ...done.skipped.slice(0, 20).map(({ what, why }) => `  ${what}: ${why}`),
    ...(done.skipped.length > 20 ? [`  … and ${done.skipped.length - 20} more (--json shows all)`] : []),
    ...(done.change_id === null ? [] : [`steward memory undo ${done.change_id} takes it back.`]),
  ];
  say(terminal, harmless(lines.join('\n')));
}

const refuse = (message: string, cause?: unknown) =>
  new StewardError('invalid', message, { op: 'import memory', hint: 'Nothing was changed.', cause });

/** A file, or every text file below a folder; links are not followed, and what is hidden stays out. */
export function filesAt(path: string): { path: string; data: string }[] {
  const found: { path: string; data: string }[] = [];
  let bytes = 0;
  const take = (file: string, name: string) => {
    bytes += statSync(file).size;
    if (bytes > BYTES) throw refuse(`${path} holds more than ${BYTES / 1024 / 1024} MB of text. Import it in parts.`);
    if (found.length >= FILES) throw refuse(`${path} holds more than ${FILES} text files. Is it the right folder?`);
    found.push({ path: name, data: readFileSync(file, 'utf8') });
  };
  const walk = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const inside = join(folder, entry.name);
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
      if (entry.isDirectory()) walk(inside);
      else if (entry.isFile() && TEXTS.test(entry.name)) take(inside, relative(path, inside).replaceAll(sep, '/'));
    }
  };
  try {
    if (statSync(path).isDirectory()) walk(path);
    else take(path, basename(path));
  } catch (cause) {
    if (cause instanceof StewardError) throw cause;
    throw refuse(`${path} cannot be read: ${(cause as Error).message}.`, cause);
  }
  if (found.length === 0) throw refuse(`There is no text file in ${path}.`);
  return found;
}
