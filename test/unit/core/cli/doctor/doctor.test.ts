// The doctor: every check says what is wrong and how to mend it, with and without a running process, and changes nothing.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../../../../core/cli/doctor/finding.ts';
import { holderOf } from '../../../../../core/cli/doctor/lock.ts';
import { openDb } from '../../../../../core/db.ts';
import { takeLock } from '../../../../../core/lock.ts';
import { command, openStage, type Stage, status } from '../stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.end());

async function examine(env: Record<string, string> = {}) {
  const { code, out } = await command(stage.env(env), ['doctor', '--json']);
  const findings = JSON.parse(out) as Finding[];
  const of = (name: string) => findings.find((finding) => finding.name === name)!;
  return { code, findings, of };
}

describe('with a running process', () => {
  it('believes what it says and finds every part', async () => {
    const { findings, of } = await examine();
    expect(findings.map(({ name }) => name)).toEqual([
      'settings',
      'process',
      'node',
      'home',
      'disk',
      'database',
      'durability',
      'lock',
      'port',
      'pm2',
      'model',
      'channels',
      'sandbox',
      'console',
      'harnesses',
    ]);
    expect(of('process')).toMatchObject({ level: 'ok', detail: expect.stringContaining('Steward 1.2.3 answers') });
    expect(of('port').detail).toContain('is ours');
    expect(of('channels').detail).toBe('telegram: off (no token)');
    expect(of('durability').detail).toMatch(/\d+\.\d\d ms \(p50\), \d+\.\d\d ms \(p99\)/);
    for (const { level, fix } of findings) if (level === 'fail') expect(fix).toBeTruthy();
  });

  it('tells what troubles it, and exits 1', async () => {
    stage.routes['GET /api/status'] = () => ({
      ...status,
      safe_mode: { since: '2026-11-20T08:00:00.000Z', why: 'It crashed.' },
      channels: [{ name: 'telegram', state: 'failing', detail: '409 Conflict', last_success_at: null }],
    });
    const { code, of } = await examine();
    expect(code).toBe(1);
    expect(of('process')).toMatchObject({ level: 'warn', detail: expect.stringContaining('Safe mode: It crashed.') });
    expect(of('channels')).toMatchObject({
      level: 'fail',
      detail: 'telegram: failing (409 Conflict)',
      fix: expect.any(String),
    });
  });

  it('notices a process of another folder', async () => {
    expect((await examine()).of('lock')).toMatchObject({
      level: 'fail',
      detail: expect.stringContaining('uses another folder'),
    });
  });
});

describe('without one', () => {
  beforeEach(() => stage.down());

  it('finds nothing wrong with a home nobody has used', async () => {
    rmSync(stage.home, { recursive: true });
    const { of } = await examine();
    expect(of('process')).toMatchObject({ level: 'warn', detail: 'Steward is not running. Start it with npm start.' });
    for (const name of [
      'settings',
      'home',
      'disk',
      'database',
      'durability',
      'lock',
      'port',
      'pm2',
      'model',
      'channels',
    ])
      expect(of(name)).toMatchObject({ name, level: 'ok' });
    expect(existsSync(stage.home)).toBe(false);
  });

  it('looks at a record without changing it', async () => {
    openDb(stage.home, { now: Date.now }).close();
    const before = readFileSync(join(stage.home, 'steward.db'));
    const { of } = await examine();
    expect(of('database')).toMatchObject({
      level: 'ok',
      detail: expect.stringMatching(/^Sound: .* schema \d+, WAL\.$/),
    });
    expect(readFileSync(join(stage.home, 'steward.db')).equals(before)).toBe(true);
    // SQLite makes its side files for a reader too; empty and private they harm nobody.
    expect((await examine()).of('home').level).toBe('ok');
    expect(readdirSync(stage.home).filter((name) => name.startsWith('doctor-'))).toEqual([]);
  });

  it('names a damaged record', async () => {
    writeFileSync(join(stage.home, 'steward.db'), 'this is no database, whatever its name says'.repeat(40), {
      mode: 0o600,
    });
    expect((await examine()).of('database')).toMatchObject({ level: 'fail', fix: expect.stringContaining('backups') });
  });

  it('names a record of a newer version', async () => {
    const db = openDb(stage.home, { now: Date.now });
    db.prepare('PRAGMA user_version = 9999').run();
    db.close();
    expect((await examine()).of('database')).toMatchObject({
      level: 'fail',
      detail: expect.stringContaining('newer Steward (schema 9999'),
    });
  });

  it('names who holds the folder and does not answer', async () => {
    const lock = takeLock(stage.home);
    expect((await examine()).of('lock')).toMatchObject({
      level: 'fail',
      detail: expect.stringContaining(`process ${process.pid}`),
    });
    lock.release();
    expect((await examine()).of('lock')).toMatchObject({ level: 'ok', detail: 'Free.' });
  });

  it('names files others may read', async () => {
    chmodSync(join(stage.home, 'token'), 0o644);
    const { code, of } = await examine();
    expect(code).toBe(1);
    expect(of('home')).toMatchObject({ level: 'fail', fix: `chmod go-rwx ${join(stage.home, 'token')}` });
    // The fix is a command that mends it.
    execFileSync('sh', ['-c', of('home').fix!]);
    expect((await examine()).of('home').level).toBe('ok');
  });

  it('names a PM2 home others may enter', async () => {
    mkdirSync(join(stage.home, 'pm2'), { mode: 0o755 });
    expect((await examine()).of('pm2')).toMatchObject({ level: 'fail', fix: `chmod 700 ${join(stage.home, 'pm2')}` });
  });

  it('names a home too deep for a socket', async () => {
    expect((await examine({ STEWARD_HOME: join(stage.home, 'x'.repeat(90)) })).of('pm2')).toMatchObject({
      level: 'fail',
    });
  });

  it.each([
    ['STEWARD_HOST', '192.0.2.1', 'no address of this machine'],
    ['STEWARD_HOST', '0.0.0.0', 'is free'],
  ])('port: %s=%s', async (key, value, says) => {
    expect((await examine({ [key]: value })).of('port').detail).toContain(says);
  });

  it('goes on with the defaults when the settings are wrong', async () => {
    const { code, of } = await examine({ STEWARD_TZ: 'nowhere', TELEGRAM_BOT_TOKEN: 'secret-but-wrong' });
    expect(code).toBe(1);
    expect(of('settings').detail.split('\n')).toHaveLength(2);
    expect(of('settings').detail).not.toContain('secret-but-wrong');
    expect(of('disk').level).toBe('ok');
  });
});

describe('the outside', () => {
  let server: Server;
  let url: string;
  let reply: (path: string) => { code: number; body: unknown };
  beforeEach(async () => {
    await stage.down();
    server = createServer((request, response) => {
      const { code, body } = reply(request.url ?? '');
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  it.each([
    [200, 'ok', 'answers; claude-sonnet-5-5 will be used'],
    [401, 'fail', 'refuses the key (401)'],
    [404, 'ok', 'without a list of models'],
    [500, 'warn', 'answered 500'],
  ])('a model server that says %i', async (code, level, says) => {
    reply = (path) => ({ code: path === '/v1/models?limit=1' ? code : 418, body: {} });
    const { of } = await examine({ ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: 'sk-1' });
    expect(of('model')).toMatchObject({ level, detail: expect.stringContaining(says) });
  });

  it('a model server that is not there', async () => {
    const { of } = await examine({ ANTHROPIC_BASE_URL: `http://127.0.0.1:${stage.port()}`, STEWARD_MODEL: 'm' });
    expect(of('model')).toMatchObject({ level: 'fail', detail: expect.stringContaining('ECONNREFUSED') });
  });

  it.each([
    [{ ok: true, result: { username: 'my_bot' } }, 'ok', '@my_bot'],
    [{ ok: false, description: 'Unauthorized' }, 'fail', 'refused (Unauthorized)'],
    ['<html>', 'fail', 'nothing Telegram would say'],
  ])('a bot token: %j', async (body, level, says) => {
    reply = (path) => ({ code: path === '/bot1:token-token-token/getMe' ? 200 : 418, body });
    const { of } = await examine({ TELEGRAM_API_ROOT: url, TELEGRAM_BOT_TOKEN: '1:token-token-token' });
    expect(of('channels')).toMatchObject({ level, detail: expect.stringContaining(says) });
  });

  it('never shows the token when Telegram is away', async () => {
    const { findings } = await examine({
      TELEGRAM_API_ROOT: `http://127.0.0.1:${stage.port()}`,
      TELEGRAM_BOT_TOKEN: '1:token-token-token',
    });
    expect(JSON.stringify(findings)).toContain('ECONNREFUSED');
    expect(JSON.stringify(findings)).not.toContain('token-token');
  });
});

it('prints a list for a person, with the fix below each finding', async () => {
  await stage.down();
  chmodSync(join(stage.home, 'token'), 0o644);
  const { code, out } = await command(stage.env(), ['doctor']);
  expect(code).toBe(1);
  expect(out).toMatch(/^✗ home {8}Others may read/m);
  expect(out).toMatch(/^ {14}→ chmod go-rwx/m);
  expect(out.trim().split('\n').at(-1)).toMatch(/^1 failed, \d to look at\.$/);
});

it('reads the kernel list of locks', () => {
  const locks =
    '1: FLOCK  ADVISORY  WRITE 5 fe:00:77 0 EOF\n2: POSIX  ADVISORY  READ 6 fe:00:78 0 0\n3: POSIX  ADVISORY  WRITE 7 fe:00:78 1 1\n';
  expect([holderOf(locks, 77), holderOf(locks, 78), holderOf(locks, 79)]).toEqual([5, 7, null]);
});
