// Cuts the power: what was not forced to the disk is gone. No message that was said to be safe may be; without FULL some are.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDb } from '../../core/db.ts';
import { makeHome } from '../helpers/process.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const CUTS = 8;
/** After this many messages, and a random one of the next. */
const AT_LEAST = 20;
const SPREAD = 120;

const compiler = ['gcc', 'cc'].find((name) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});
if (process.platform !== 'linux' || !compiler)
  console.warn('power-cut: skipped, because it needs Linux and a C compiler (apt-get install gcc).');

/** One life with the lights going out. Returns how many messages were said to be safe, and how many of them are gone. */
async function cutPower(shim: string, knownBad: string | null): Promise<{ safe: number; gone: number }> {
  const home = makeHome();
  try {
    // The second opening is the one to test: without asking, SQLite as it is built here forces commits in the first life only.
    openDb(home, { now: Date.now, ballastBytes: 1 }).close();
    copyFileSync(join(home, 'steward.db'), join(home, 'steward.db.synced'));
    const loader = knownBad ? ['--import', './test/fixtures/known-bad.ts'] : [];
    const child = spawn(process.execPath, [...loader, 'test/fixtures/accept-until-killed.ts'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, STEWARD_HOME: home, LD_PRELOAD: shim, ...(knownBad && { KNOWN_BAD: knownBad }) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const until = AT_LEAST + Math.floor(Math.random() * SPREAD);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.split('\n').length > until) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const safe = output.split('\n').slice(0, -1);

    for (const file of ['steward.db', 'steward.db-wal']) {
      const path = join(home, file);
      rmSync(path, { force: true });
      if (existsSync(`${path}.synced`)) copyFileSync(`${path}.synced`, path);
    }
    rmSync(join(home, 'steward.db-shm'), { force: true });

    const db = openDb(home, { now: Date.now, ballastBytes: 1 });
    expect(db.prepare<[], { integrity_check: string }>('PRAGMA integrity_check').get()).toEqual({
      integrity_check: 'ok',
    });
    const stored = new Set(
      db
        .prepare<[], { id: string }>('SELECT id FROM events')
        .all()
        .map(({ id }) => id),
    );
    db.close();
    return { safe: safe.length, gone: safe.filter((id) => !stored.has(id)).length };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

describe.skipIf(process.platform !== 'linux' || !compiler)('a power cut', () => {
  const folder = makeHome();
  const shim = join(folder, 'synced-copies.so');
  beforeAll(() => {
    execFileSync(compiler!, ['-shared', '-fPIC', '-O2', '-o', shim, 'test/fixtures/synced-copies.c', '-ldl'], {
      cwd: ROOT,
    });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it(`loses nothing that was said to be safe (${CUTS} cuts)`, async () => {
    const lost: number[] = [];
    for (let cut = 0; cut < CUTS; cut++) {
      const { safe, gone } = await cutPower(shim, null);
      expect(safe, 'a cut before anything was safe shows nothing').toBeGreaterThanOrEqual(AT_LEAST);
      lost.push(gone);
    }
    expect(lost).toEqual(Array(CUTS).fill(0));
  });

  it('loses messages when commits are not forced to the disk, so this test would see it', async () => {
    for (let cut = 0; cut < CUTS; cut++) if ((await cutPower(shim, 'synchronous_normal')).gone > 0) return;
    expect.fail(`${CUTS} cuts with synchronous=NORMAL lost nothing`);
  });
});
