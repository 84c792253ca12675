// `steward backup` and `steward restore`: a copy of the record out of the running process, and back while none runs.
import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { backupsFolder, LEFT_OUT, listBackups, stampOf, syncFile } from '../backup.ts';
import { examine } from '../backup-check.ts';
import { StewardError } from '../errors.ts';
import { makeHome } from '../home.ts';
import { takeLock } from '../lock.ts';
import { namedFailure, openSqlite } from '../sqlite.ts';
import { keySource } from '../vault-key.ts';
import type { Client } from './client.ts';
import { ago, note, say, sayJson, type Terminal, table } from './terminal.ts';

const PATIENCE_MS = 60 * 60_000;
const file = z.looseObject({
  name: z.string(),
  path: z.string(),
  kind: z.string(),
  bytes: z.number(),
  made_at: z.string(),
});

/** The path on stdout and nothing else, for scripts; what is not in it on stderr. */
export async function makeBackup(client: Client, terminal: Terminal, options: { json?: boolean }): Promise<void> {
  const made = await client.send('POST', '/api/backup', undefined, file, undefined, PATIENCE_MS);
  if (options.json) return sayJson(terminal, made);
  say(terminal, made.path);
  note(terminal, `${size(made.bytes)}, looked through and whole. Not in it:`);
  for (const line of LEFT_OUT) note(terminal, `  ${line}`);
}

/** Works without a running Steward: then is when one is looked for. */
export function showBackups(home: string, terminal: Terminal, options: { json?: boolean }): void {
  const all = listBackups(home);
  const views = all.map(({ madeAt, ...rest }) => ({ ...rest, made_at: new Date(madeAt).toISOString() }));
  const rows = all.map((one) => [
    one.name,
    ago(one.madeAt, terminal.now()),
    size(one.bytes),
    one.kind.replace('_', ' '),
  ]);
  if (options.json) sayJson(terminal, views);
  else if (all.length === 0) say(terminal, 'There is no backup yet: steward backup makes one.');
  else say(terminal, table(['BACKUP', 'MADE', 'SIZE', 'KIND'], rows));
}

const size = (bytes: number): string =>
  bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;

const refuse = (message: string, hint: string, cause?: unknown) =>
  new StewardError('invalid', message, { op: 'restore a backup', hint, cause });

/** A path, or the name of a backup in the data folder. */
function find(home: string, given: string): string {
  const named = join(backupsFolder(home), basename(given));
  const path = existsSync(given) || given !== basename(given) ? resolve(given) : named;
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  throw new StewardError('not_found', `There is no backup at ${path}.`, {
    op: 'restore a backup',
    hint: 'steward backup --list shows those there are.',
  });
}

/**
 * Puts a backup in the place of the record, which is kept aside. Throws `other_instance` while a process runs, and `invalid`
 * for a file that is not whole; then nothing was changed. Killed at any instant it leaves the old record or the new one.
 */
export function restoreBackup(
  config: { home: string; vaultKey: string | null },
  terminal: Terminal,
  given: string,
  options: { json?: boolean },
): void {
  const { home } = config;
  const source = find(home, given);
  makeHome(home);
  const lock = takeLock(home);
  try {
    const incoming = join(home, '.restoring.db');
    try {
      take(source, incoming);
      const { problems, version, newestEventAt } = examine(incoming);
      if (problems.length > 0)
        throw refuse(
          `${source} cannot be restored: ${problems.join('; ')}.`,
          'Nothing was changed. Take another backup (steward backup --list).',
        );
      chmodSync(incoming, 0o600);
      syncFile(incoming);
      const replaced = keepAside(home, terminal.now());
      renameSync(incoming, join(home, 'steward.db'));
      syncFile(home);
      tell(config, terminal, { source, replaced, version, newestEventAt }, options);
    } finally {
      for (const left of [incoming, `${incoming}-journal`, `${incoming}-wal`, `${incoming}-shm`])
        rmSync(left, { force: true });
    }
  } catch (error) {
    throw namedFailure(error, 'restore a backup');
  } finally {
    lock.release();
  }
}

/** A copy, so that the backup itself stays as it is, together with a write-ahead log it may have beside it. */
function take(source: string, incoming: string): void {
  for (const suffix of ['', '-wal']) {
    rmSync(`${incoming}${suffix}`, { force: true });
    if (suffix === '' || existsSync(`${source}${suffix}`)) copyFileSync(`${source}${suffix}`, `${incoming}${suffix}`);
  }
}

/**
 * The record as it is now, under another name: it stays in its own place, too, until the new one takes that in one step.
 * Null when there is none.
 */
function keepAside(home: string, now: number): string | null {
  const current = join(home, 'steward.db');
  if (!existsSync(current)) {
    // A log of nothing: it must not be played onto the new record.
    rmSync(`${current}-wal`, { force: true });
    rmSync(`${current}-shm`, { force: true });
    return null;
  }
  try {
    // What a crash left in the write-ahead log belongs to it.
    const db = openSqlite(current);
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
  } catch {
    // Too damaged to be opened: kept as it is, with its log.
  }
  mkdirSync(backupsFolder(home), { recursive: true, mode: 0o700 });
  let kept = '';
  for (let at = now; kept === '' || existsSync(kept); at += 1_000)
    kept = join(backupsFolder(home), `replaced-${stampOf(at)}.db`);
  for (const suffix of ['', '-wal'])
    if (existsSync(`${current}${suffix}`)) keep(`${current}${suffix}`, `${kept}${suffix}`);
  syncFile(backupsFolder(home));
  for (const suffix of ['-wal', '-shm']) rmSync(`${current}${suffix}`, { force: true });
  return kept;
}

/** Where backups lie on another disk, as a copy. */
function keep(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    copyFileSync(from, to);
    syncFile(to);
  }
}

/** Whether the vault will open; Steward does not start when it does not. */
function vaultNote(config: { home: string; vaultKey: string | null }): string[] {
  const db = openSqlite(join(config.home, 'steward.db'), { readonly: true });
  try {
    const rows = db.prepare<[], { sealed: Buffer }>('SELECT sealed FROM credentials WHERE sealed IS NOT NULL').all();
    if (rows.length === 0) return [];
    const source = keySource(config.home, config.vaultKey);
    const key = source.find();
    if (rows.some(({ sealed }) => key?.fits(sealed))) return [];
    const secrets = `${rows.length} secret${rows.length === 1 ? '' : 's'} in its vault`;
    return [
      `${key ? `The key in ${source.place} does not open` : `There is no ${source.place}, which opens`} the ${secrets}: put the right key there,`,
      'or run steward vault reset and add them again. Until then Steward does not start.',
    ];
  } catch (error) {
    return [`The vault could not be looked at: ${error instanceof Error ? error.message : String(error)}`];
  } finally {
    db.close();
  }
}

function tell(
  config: { home: string; vaultKey: string | null },
  terminal: Terminal,
  done: { source: string; replaced: string | null; version: number; newestEventAt: number | null },
  options: { json?: boolean },
): void {
  const notes = vaultNote(config);
  const upTo = done.newestEventAt === null ? null : new Date(done.newestEventAt).toISOString();
  const facts = { restored: done.source, up_to: upTo, schema: done.version, replaced: done.replaced, notes };
  const lines = [
    `Restored ${done.source}${upTo === null ? '' : `: everything up to ${upTo}`}.`,
    ...(done.replaced === null ? [] : [`What was here before is kept as ${done.replaced}.`]),
    'What was said, learnt or forgotten after that is not in it; a message that was waiting to be sent then may be sent again.',
    ...notes,
    'Next: npm start (or steward run).',
  ];
  if (options.json) sayJson(terminal, facts);
  else say(terminal, lines.join('\n'));
}
