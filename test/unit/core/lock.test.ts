// One process per data folder, and the small private files beside the database.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { StewardError } from '../../../core/errors.ts';
import { makeHome } from '../../../core/home.ts';
import { takeLock } from '../../../core/lock.ts';
import { readToken } from '../../../core/token.ts';
import { makeFolder } from '../../helpers/record.ts';

const LOCK = new URL('../../../core/lock.ts', import.meta.url).href;

/** A process that holds the lock until it is killed. */
async function holder(home: string): Promise<ChildProcess> {
  const script = `import { takeLock } from ${JSON.stringify(LOCK)};
    takeLock(${JSON.stringify(home)}); process.stdout.write('held'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout!, 'data');
  return child;
}

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as StewardError).code;
  }
  return 'nothing was thrown';
};

it('is held by one process, refused to others at once, and free again as soon as the holder is killed', async () => {
  const home = makeFolder();
  const child = await holder(home);
  const began = performance.now();
  expect(codeOf(() => takeLock(home))).toBe('other_instance');
  expect(performance.now() - began).toBeLessThan(500);
  child.kill('SIGKILL');
  await once(child, 'exit');
  takeLock(home).release();
});

it('can be given back and taken again, and is private', () => {
  const home = makeFolder();
  const lock = takeLock(home);
  expect(codeOf(() => takeLock(home))).toBe('other_instance');
  expect(statSync(join(home, 'steward.lock')).mode & 0o777).toBe(0o600);
  lock.release();
  lock.release();
  takeLock(home).release();
});

it('is not stopped by a lock file that a crash left, whatever is in it', () => {
  const home = makeFolder();
  writeFileSync(join(home, 'steward.lock'), '');
  takeLock(home).release();
});

it('the data folder is private, and a file in its place is a bad setting', () => {
  const home = join(makeFolder(), 'a', 'b');
  makeHome(home);
  expect(statSync(home).mode & 0o777).toBe(0o700);
  const file = join(makeFolder(), 'file');
  writeFileSync(file, '');
  expect(codeOf(() => makeHome(file))).toBe('bad_config');
  expect(codeOf(() => makeHome(join(file, 'below')))).toBe('bad_config');
});

it('the token is made once, kept, private, and made anew when a full disk left an empty file', () => {
  const home = makeFolder();
  mkdirSync(join(home, 'files'));
  const token = readToken(home);
  expect(token.length).toBeGreaterThanOrEqual(43);
  expect(readToken(home)).toBe(token);
  expect(statSync(join(home, 'token')).mode & 0o777).toBe(0o600);
  writeFileSync(join(home, 'token'), '');
  expect(readToken(home).length).toBeGreaterThanOrEqual(43);
});
