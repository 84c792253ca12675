// `steward start`, `stop`, `restart` and what PM2 does in between: real processes under a real PM2 in a home of their own.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { isAlive, projectRoot } from '../../core/cli/pm2.ts';
import { makeHome, startSteward } from '../helpers/process.ts';

const secret = 'a-secret-of-the-shell';
let home: string;
let port: number;

beforeAll(async () => {
  home = makeHome();
  const server = createServer();
  port = await new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  );
  await new Promise((resolve) => server.close(resolve));
});
afterAll(async () => {
  await steward(['stop']);
  rmSync(home, { recursive: true, force: true });
});

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

function steward(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['core/cli.ts', ...args], {
    cwd: projectRoot,
    env: { PATH: process.env.PATH, HOME: home, TZ: 'UTC', STEWARD_HOME: home, STEWARD_PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended: Ended = { code: null, out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    ended.out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    ended.err += chunk.toString();
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ ...ended, code })));
}

async function processId(): Promise<number | null> {
  const { code, out } = await steward(['status', '--json']);
  return code === 0 ? z.object({ pid: z.number() }).parse(JSON.parse(out)).pid : null;
}

const linkIn = (text: string) => /http:\/\/127\.0\.0\.1:\d+\/login\?code=\S+/.exec(text)?.[0];

function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) yield join(entry.parentPath, entry.name);
}

describe('under PM2', () => {
  it('starts, and the link signs in once', async () => {
    const { code, out, err } = await steward(['start'], { ANTHROPIC_AUTH_TOKEN: secret, STEWARD_MODEL: 'offline' });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^Starting Steward …\n/);
    const link = linkIn(out)!;
    const cookies = async () => (await fetch(link, { redirect: 'manual' })).headers.getSetCookie().length;
    expect([await cookies(), await cookies()]).toEqual([1, 0]);
  });

  it('gives the secret of the shell to the process and to nobody else', async () => {
    const holding = [...filesBelow(home)].filter(
      (file) => statSync(file).size < 10_000_000 && readFileSync(file).includes(secret),
    );
    expect(holding).toEqual([join(home, 'environment.json')]);
    expect(statSync(join(home, 'environment.json')).mode & 0o777).toBe(0o600);
    const daemon = Number(readFileSync(join(home, 'pm2', 'pm2.pid'), 'utf8'));
    for (const pid of [daemon, (await processId())!])
      expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain(secret);
    for (const folder of ['.', 'pm2', 'logs']) expect(statSync(join(home, folder)).mode & 0o077).toBe(0);
    expect(statSync(join(home, 'logs', 'steward.log')).mode & 0o777).toBe(0o600);
  });

  it('a second start changes nothing and shows another link', async () => {
    const before = await processId();
    const { code, out } = await steward(['start'], { ANTHROPIC_AUTH_TOKEN: secret, STEWARD_MODEL: 'offline' });
    expect(code).toBe(0);
    expect(out).toMatch(/^Steward \S+ is running\.\n/);
    expect(linkIn(out)).toBeTruthy();
    expect(await processId()).toBe(before);
  });

  it('chat, sessions, trace, usage, logs and doctor work beside it', async () => {
    const answer = await steward(['chat', 'hello']);
    expect(answer).toMatchObject({ code: 0 });
    expect(answer.out.trim()).not.toBe('');
    expect((await steward(['sessions'])).out).toContain('sesn_');
    const trace = (await steward(['trace'])).out;
    expect(trace).toMatch(/user\.message +hello/);
    expect(trace).toMatch(/session\.status_idle +end_turn/);
    const events = z
      .array(z.object({ id: z.string(), type: z.string() }))
      .parse(JSON.parse((await steward(['trace', '--json'])).out));
    const mine = events.find(({ type }) => type === 'user.message')!;
    expect((await steward(['trace', mine.id])).out).toMatch(/received[\s\S]*stored[\s\S]*answered/);
    expect((await steward(['usage'])).code).toBe(0);
    expect((await steward(['logs', '-n', '5'])).out).toContain('ready');
    const findings = z
      .array(z.object({ name: z.string(), level: z.string() }))
      .parse(JSON.parse((await steward(['doctor', '--json'])).out));
    const bad = findings.filter(({ name, level }) => level === 'fail' && !['sandbox', 'console'].includes(name));
    expect(bad).toEqual([]);
  });

  it('comes back by itself after kill -9', async () => {
    const before = (await processId())!;
    process.kill(before, 'SIGKILL');
    let now: number | null = null;
    while (now === null || now === before) now = await processId();
    expect(now).not.toBe(before);
  });

  it('a start with other settings restarts it, and what was unset is gone', async () => {
    const before = await processId();
    const { code, out } = await steward(['start']);
    expect(code).toBe(0);
    expect(out).toMatch(/^Restarting Steward: its code or its settings changed …\n/);
    expect(await processId()).not.toBe(before);
    expect(readFileSync(join(home, 'environment.json'), 'utf8')).not.toContain(secret);
  });

  it('a start with bad settings leaves the running one alone', async () => {
    const before = await processId();
    expect(await steward(['start'], { STEWARD_TZ: 'nowhere' })).toMatchObject({ code: 78, out: '' });
    expect(await processId()).toBe(before);
  });

  it('is taken back when PM2 itself was killed', async () => {
    const before = (await processId())!;
    process.kill(Number(readFileSync(join(home, 'pm2', 'pm2.pid'), 'utf8')), 'SIGKILL');
    expect((await steward(['start'])).code).toBe(0);
    expect(await processId()).not.toBe(before);
    expect(isAlive(before)).toBe(false);
  });

  it('restarts on request, and stops with PM2 gone too', async () => {
    const before = (await processId())!;
    expect((await steward(['restart'])).out).toMatch(/^Restarting Steward …\n/);
    const after = (await processId())!;
    expect(after).not.toBe(before);
    expect(await steward(['stop'])).toEqual({ code: 0, out: 'Steward is stopped.\n', err: '' });
    expect(isAlive(after)).toBe(false);
    expect(readdirSync(join(home, 'pm2'))).not.toContain('pm2.pid');
    expect(await steward(['stop'])).toEqual({ code: 0, out: 'Steward was not running.\n', err: '' });
    expect((await steward(['status'])).err).toContain('Steward is not running.');
  });
});

describe('when it cannot start', () => {
  it('another process of the same folder: its own words, exit 75, and nothing keeps trying', async () => {
    const other = await startSteward({ home });
    try {
      const { code, out, err } = await steward(['start']);
      expect(code).toBe(75);
      expect(out).toBe('Starting Steward …\n');
      expect(err).toContain(`Another Steward already runs with the data folder ${home}`);
      expect(err).not.toMatch(/PM2|^\s+at /m);
      expect(readdirSync(join(home, 'pm2'))).not.toContain('pm2.pid');
    } finally {
      await other.stop();
    }
  });

  it('one in the foreground is left alone and its link shown', async () => {
    const other = await startSteward({ home, env: { STEWARD_PORT: String(port) } });
    try {
      const { code, out } = await steward(['start']);
      expect(code).toBe(0);
      expect(out).toContain(`already running in the foreground (process ${other.pid}), not under PM2`);
      expect(linkIn(out)).toBeTruthy();
      expect(await steward(['stop'])).toMatchObject({ code: 1, err: expect.stringContaining('end it there') });
    } finally {
      await other.stop();
    }
  });

  it('a taken port is said, and nothing keeps trying', async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const { code, err } = await steward(['start']);
    await new Promise((resolve) => server.close(resolve));
    expect(code).toBe(1);
    expect(err).toMatch(/port/i);
    expect(err).not.toMatch(/^\s+at /m);
    expect((await steward(['stop'])).out).toBe('Steward was not running.\n');
  });
});
