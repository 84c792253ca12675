// Starts that must not succeed, disks that fill up, ends in the middle of work, and lives that keep dying.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { migrations } from '../../core/migrations/index.ts';
import { openSqlite } from '../../core/sqlite.ts';
import { lastUserText, startMessagesApi } from '../fakes/messages-api.ts';
import { makeHome, runSteward, type StewardOptions, type StewardProcess, startSteward } from '../helpers/process.ts';
import { ask, call, eventsOf, newSession, request, say, says, textOf, until, untilIdle } from '../helpers/talk.ts';

const HURRY = ['test/fixtures/steward-in-a-hurry.ts'];

function home(): string {
  const folder = makeHome();
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function start(options: StewardOptions): Promise<StewardProcess> {
  const steward = await startSteward(options);
  onTestFinished(() => steward.stop());
  return steward;
}

/** The lines a person sees: no stack, no JSON. */
const lines = (output: string) =>
  output
    .trim()
    .split('\n')
    .filter((line) => line !== '');

async function waitFor(what: string, is: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !is(); await new Promise((resolve) => setTimeout(resolve, 20)))
    if (performance.now() > end) throw new Error(`Waited in vain for ${what}.`);
}

describe('a bad setting', () => {
  it.each([
    // Every setting and every way to get it wrong: test/unit/core/config.test.ts. Here: what the process does about it.
    ['STEWARD_PORT', '70000'],
    ['ANTHROPIC_API_KEY', 'two words'],
    ['TELEGRAM_BOT_TOKEN', 'nonsense-of-a-token'],
    ['STEWARD_TZ', 'Moon/Sea'],
    ['STEWARD_CONTXT_TOKENS', '5000'],
  ])('%s=%j is one sentence and exit 78, and nothing is begun', async (key, value) => {
    const folder = home();
    const end = await runSteward({ home: folder, env: { [key]: value } });
    expect(end.code).toBe(78);
    expect(lines(end.output).length, end.output).toBe(1);
    expect(end.output).toContain(key);
    expect(end.output).toMatch(/[.?]\n$/);
    expect(end.output).not.toMatch(/ {4}at |node:internal|nonsense-of-a-token|two words/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('every one of them is said at once', async () => {
    const end = await runSteward({ home: home(), env: { STEWARD_PORT: 'x', STEWARD_TZ: 'y', STEWARD_MODEL: ',' } });
    expect(end.code).toBe(78);
    expect(
      lines(end.output)
        .map((line) => line.split(' ')[0])
        .sort(),
    ).toEqual(['STEWARD_MODEL', 'STEWARD_PORT', 'STEWARD_TZ']);
  });

  it.each([
    ['config.json', '{"STEWARD_PORT": ', 'config.json'],
    ['config.json', '[1]', 'config.json'],
    ['config.json', '{"STEWARD_PROT": 1}', 'STEWARD_PROT'],
    ['config.json', '{"STEWARD_TZ": 7}', 'STEWARD_TZ'],
    ['.env', 'STEWARD_TZ=Moon/Sea', 'STEWARD_TZ'],
  ])('in %s: %s', async (file, text, says) => {
    const folder = home();
    writeFileSync(join(folder, file), text);
    const end = await runSteward({ home: folder });
    expect([end.code, end.output]).toEqual([78, expect.stringContaining(says)]);
    expect(readdirSync(folder)).toEqual([file]);
  });

  it('a file where the data folder should be', async () => {
    const file = join(home(), 'file');
    writeFileSync(file, 'mine');
    const end = await runSteward({ home: file });
    expect([end.code, end.output]).toEqual([78, expect.stringContaining(file)]);
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });
});

describe('a start that cannot be', () => {
  it('a second instance says so and ends with 75; the first one does not notice', async () => {
    const first = await start({});
    const end = await runSteward({ home: first.home });
    expect([end.code, end.output]).toEqual([75, expect.stringContaining('Another Steward already runs')]);
    expect(end.tookMs).toBeLessThan(5_000);
    expect((await ask(first, await newSession(first), 'hello')).texts.length).toBe(1);
    await first.kill();
    // The kernel gave the lock back.
    const next = await start({ home: first.home });
    expect((await request(next, '/healthz')).status).toBe(200);
  });

  it('a port that is taken: said plainly, and the next start is as if it had never been', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as { port: number };
    const folder = home();
    const end = await runSteward({ home: folder, env: { STEWARD_PORT: String(port), STEWARD_SAFE_MODE_AFTER: '1' } });
    expect([end.code, end.output]).toEqual([
      1,
      expect.stringMatching(/Port \d+ .* in use by another program\.\n.*STEWARD_PORT/),
    ]);
    expect(end.output).not.toMatch(/ {4}at /);
    const steward = await start({ home: folder, env: { STEWARD_SAFE_MODE_AFTER: '1' } });
    expect((await call<{ safe_mode: unknown }>(steward, '/api/status')).safe_mode).toBeNull();
  });

  it('an address that is not ours', async () => {
    const end = await runSteward({ home: home(), env: { STEWARD_HOST: '203.0.113.7' } });
    expect([end.code, end.output]).toEqual([78, expect.stringContaining('203.0.113.7')]);
  });

  it('a database from a newer version is left as it is', async () => {
    const folder = home();
    const db = openSqlite(join(folder, 'steward.db'));
    db.exec(`CREATE TABLE from_the_future (x); PRAGMA user_version = ${migrations.length + 1};`);
    db.close();
    const before = readFileSync(join(folder, 'steward.db'));
    const end = await runSteward({ home: folder });
    expect([end.code, end.output]).toEqual([1, expect.stringMatching(/newer Steward[\s\S]*Update Steward/)]);
    const after = openSqlite(join(folder, 'steward.db'), { readonly: true });
    expect(after.pragma('user_version', { simple: true })).toBe(migrations.length + 1);
    after.close();
    expect(before.length).toBeGreaterThan(0);
  });

  it('a database that is none', async () => {
    const folder = home();
    writeFileSync(
      join(folder, 'steward.db'),
      'this is a text file, and a long one, about something else entirely\n'.repeat(100),
    );
    const end = await runSteward({ home: folder });
    expect(end.code).toBe(1);
    expect(end.output).not.toMatch(/ {4}at /);
    expect(end.output).toMatch(/database/i);
  });
});

/** A small file system of its own, or null where this user may not mount one. */
function mountTmpfs(options: string): string | null {
  const folder = join(home(), 'disk');
  mkdirSync(folder);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return null;
  }
  onTestFinished(() => {
    execFileSync('umount', ['-l', folder]);
  });
  return folder;
}
const NO_MOUNT = 'this user may not mount a file system';

describe('the disk', () => {
  it('read-only from the start: said plainly', async ({ skip }) => {
    const disk = mountTmpfs('size=64m');
    if (disk === null) return skip(NO_MOUNT);
    const fresh = () => execFileSync('mount', ['-o', 'remount,ro', disk]);
    fresh();
    const empty = await runSteward({ home: join(disk, 'home') });
    expect([empty.code, empty.output]).toEqual([1, expect.stringMatching(/read-only[\s\S]*writable/)]);
    execFileSync('mount', ['-o', 'remount,rw', disk]);
    await (await startSteward({ home: disk })).kill('SIGTERM');
    fresh();
    const used = await runSteward({ home: disk });
    expect([used.code, used.output]).toEqual([1, expect.stringMatching(/read-only[\s\S]*writable/)]);
    expect(used.output).not.toMatch(/ {4}at /);
  });

  it('full from the start: said plainly, and nothing broken stays behind', async ({ skip }) => {
    const disk = mountTmpfs('size=64k');
    if (disk === null) return skip(NO_MOUNT);
    const end = await runSteward({ home: disk });
    expect([end.code, end.output]).toEqual([1, expect.stringMatching(/disk is full[\s\S]*space/i)]);
    execFileSync('mount', ['-o', 'remount,size=64m', disk]);
    const steward = await start({ home: disk });
    expect((await ask(steward, await newSession(steward), 'hello')).texts.length).toBe(1);
  });

  it('full while running: refused with 507 and never acknowledged, status still answers, and it goes on by itself', async ({
    skip,
  }) => {
    const disk = mountTmpfs('size=6m');
    if (disk === null) return skip(NO_MOUNT);
    const model = await startMessagesApi({ handler: (request) => `You said: ${lastUserText(request)}` });
    onTestFinished(() => model.close());
    const env = { ANTHROPIC_API_KEY: 'sk-test', ANTHROPIC_BASE_URL: model.url, CLOCK_FACTOR: '10' };
    const steward = await start({ home: disk, args: HURRY, env });
    const id = await newSession(steward);
    await ask(steward, id, 'before');
    // The disk fills up while the model answers this one at length.
    model.faults.next({ kind: 'slow', msPerChunk: 60 });
    const sent = await say(steward, id, `a long one ${'word '.repeat(40)}`);
    await until(steward, id, 'the request', (event) => event.type === 'span.model_request_start', { after: sent.seq });
    const filler = join(disk, 'filler');
    try {
      writeFileSync(filler, Buffer.alloc(16 * 1024 * 1024));
    } catch {
      // Full, as meant.
    }
    const acknowledged: string[] = [];
    const refused: number[] = [];
    for (let n = 0; n < 60 && refused.length < 5; n++) {
      const answer = await request(steward, `/v1/sessions/${id}/events`, {
        body: { events: [says(`${n} ${'x'.repeat(14_000)}`)] },
      });
      if (answer.status === 200) acknowledged.push((answer.body.data as { id: string }[])[0]!.id);
      else {
        refused.push(answer.status);
        expect(answer.body).toMatchObject({
          type: 'error',
          error: { message: expect.stringContaining('disk is full'), hint: expect.stringContaining('space') },
        });
        expect(answer.headers.get('retry-after')).toBe('5');
      }
    }
    expect(refused).toEqual([507, 507, 507, 507, 507]);
    // Other changes are refused in the same words, and reading goes on.
    expect(
      (await request(steward, '/v1/agents', { body: { name: 'x', model: 'y', system: 'z'.repeat(60_000) } })).status,
    ).toBe(507);
    expect(
      (
        await request(steward, '/v1/sessions', {
          body: {
            agent: 'agent_steward',
            environment_id: 'env_steward',
            title: 'x'.repeat(200),
            metadata: Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`k${n}`, 'v'.repeat(512)])),
          },
        })
      ).status,
    ).toBe(507);
    const status = await call<{ disk: { state: string }; ready: boolean }>(steward, '/api/status');
    expect(status.disk.state).toBe('full');
    expect((await request(steward, '/healthz')).status).toBe(200);
    expect((await eventsOf(steward, id)).length).toBeGreaterThan(0);
    await waitFor('the answer to be refused by the disk', () => steward.output().includes('a run failed'));
    rmSync(filler);
    // No restart and no request: what was acknowledged is answered as soon as there is space.
    const answer = await until(steward, id, 'the answer', (event) => event.type === 'agent.message', {
      after: sent.seq,
    });
    expect(textOf(answer)).toContain('a long one');
    expect((await ask(steward, id, 'after')).texts.length).toBeGreaterThan(0);
    const events = await eventsOf(steward, id);
    expect(acknowledged.filter((each) => !events.some((event) => event.id === each))).toEqual([]);
    expect(events.filter((event) => event.type === 'user.message' && event.processed_at === null)).toEqual([]);
    expect((await call<{ disk: { state: string } }>(steward, '/api/status')).disk.state).toBe('ok');
  });

  it('full at the end: it still ends, and what was stored is there', async ({ skip }) => {
    const disk = mountTmpfs('size=6m');
    if (disk === null) return skip(NO_MOUNT);
    const steward = await start({ home: disk });
    const id = await newSession(steward);
    await ask(steward, id, 'kept');
    try {
      writeFileSync(join(disk, 'filler'), Buffer.alloc(16 * 1024 * 1024));
    } catch {
      // Full, as meant.
    }
    for (let n = 0; n < 60; n++)
      if (
        (await request(steward, `/v1/sessions/${id}/events`, { body: { events: [says('x'.repeat(14_000))] } }))
          .status !== 200
      )
        break;
    const exit = await steward.kill('SIGTERM');
    expect(exit).toEqual({ code: 0, signal: null });
    rmSync(join(disk, 'filler'));
    const next = await start({ home: disk });
    expect((await eventsOf(next, id)).map(textOf)).toContain('kept');
  });
});

describe('an end', () => {
  it('by SIGTERM in the middle of an answer is clean, and the answer is finished by the next life', async () => {
    const model = await startMessagesApi({ handler: (request) => `You said: ${lastUserText(request)}` });
    onTestFinished(() => model.close());
    const folder = home();
    // A grace of ten seconds passes in half a second.
    const options = {
      home: folder,
      env: { ANTHROPIC_API_KEY: 'sk-test', ANTHROPIC_BASE_URL: model.url, CLOCK_FACTOR: '20' },
      args: HURRY,
    };
    const first = await start(options);
    const id = await newSession(first);
    model.faults.next({ kind: 'hang_mid_stream', afterChunks: 4 });
    const sent = await say(first, id, 'finish this');
    await until(first, id, 'the request', (event) => event.type === 'span.model_request_start');
    const began = performance.now();
    expect(await first.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(first.output()).toContain('"msg":"stopped"');
    expect(first.output()).not.toMatch(/"level":[56]0/);
    const second = await start(options);
    await untilIdle(second, id, sent.seq);
    const events = await eventsOf(second, id);
    expect(events.filter((event) => event.type === 'agent.message').map(textOf)).toEqual(['You said: finish this']);
    expect(events.filter((event) => event.type === 'user.message').length).toBe(1);
    expect((await call<{ safe_mode: unknown }>(second, '/api/status')).safe_mode).toBeNull();
  });

  it('with nothing to do is quick, also with open streams', async () => {
    const steward = await start({});
    const id = await newSession(steward);
    const streams = Array.from({ length: 3 }, () => untilIdle(steward, id).catch(() => 'ended'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    const began = performance.now();
    expect(await steward.kill('SIGINT')).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(await Promise.all(streams)).toEqual(['ended', 'ended', 'ended']);
  });

  it('of a twice-told process is one end', async () => {
    const steward = await start({});
    process.kill(steward.pid, 'SIGTERM');
    expect(await steward.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

describe('a life that keeps dying', () => {
  const model = () => startMessagesApi({ handler: (request) => `You said: ${lastUserText(request)}` });

  it('three times on one message: it is set aside and reported, and everything else is answered', async () => {
    const api = await model();
    onTestFinished(() => api.close());
    const folder = home();
    const env = { ANTHROPIC_API_KEY: 'sk-test', ANTHROPIC_BASE_URL: api.url };
    const options = (crash: string) => ({
      home: folder,
      args: HURRY,
      env: { ...env, CRASH_ALWAYS: crash, STEWARD_SAFE_MODE_AFTER: '0' },
    });
    let steward = await start(options(''));
    const id = await newSession(steward);
    const other = await newSession(steward);
    await ask(steward, id, 'fine');
    await steward.kill();
    // The process dies at each try of this message, while it waits for the model.
    steward = await start(options('model.answered'));
    const poison = (await say(steward, id, 'poison').catch(() => null)) ?? { seq: 0 };
    await steward.exited;
    for (let life = 2; life <= 3; life++) {
      const end = await runSteward(options('model.answered'));
      expect([life, end.signal]).toEqual([life, 'SIGKILL']);
    }
    steward = await start(options('model.answered'));
    const error = await until(steward, id, 'the report', (event) => event.type === 'session.error');
    expect(error).toMatchObject({
      error: { retry_status: { type: 'terminal' }, message: expect.stringContaining('set aside') },
    });
    await untilIdle(steward, id, error.seq - 1);
    await steward.kill();
    steward = await start(options(''));
    expect((await ask(steward, id, 'and now?')).texts).toEqual(['You said: and now?']);
    expect((await ask(steward, other, 'hello')).texts).toEqual(['You said: hello']);
    const events = await eventsOf(steward, id);
    expect(events.filter((event) => event.type === 'user.message').map(textOf)).toEqual(['fine', 'poison', 'and now?']);
    expect(events.filter((event) => event.type === 'session.status_idle').length).toBe(3);
    expect(JSON.stringify((api.requests.at(-1)!.body as { messages: unknown }).messages)).not.toContain('poison');
    void poison;
  });

  it('would die for ever on that message without being told to set it aside', async () => {
    const api = await model();
    onTestFinished(() => api.close());
    const folder = home();
    const options = (crash: string) => ({
      home: folder,
      args: HURRY,
      env: {
        ANTHROPIC_API_KEY: 'sk-test',
        ANTHROPIC_BASE_URL: api.url,
        CRASH_ALWAYS: crash,
        STEWARD_SAFE_MODE_AFTER: '0',
        STEWARD_QUARANTINE_AFTER: '0',
      },
    });
    const steward = await start(options('model.answered'));
    const id = await newSession(steward);
    await say(steward, id, 'poison').catch(() => null);
    await steward.exited;
    for (let life = 2; life <= 4; life++) expect((await runSteward(options('model.answered'))).signal).toBe('SIGKILL');
  });

  it('five times without finished work: only the console and status answer, until the owner says otherwise', async () => {
    const folder = home();
    const options = (crash: string) => ({
      home: folder,
      args: HURRY,
      env: { CRASH_ALWAYS: crash, STEWARD_QUARANTINE_AFTER: '0' },
    });
    const first = await start(options('run.claimed'));
    const id = await newSession(first);
    await say(first, id, 'anybody?').catch(() => null);
    await first.exited;
    for (let life = 2; life <= 5; life++) expect((await runSteward(options('run.claimed'))).signal).toBe('SIGKILL');
    const steward = await start(options(''));
    const status = await call<{ safe_mode: { why: string } | null }>(steward, '/api/status');
    expect(status.safe_mode?.why).toContain('5 times');
    expect(steward.output()).toContain('safe mode');
    // What is said is kept and not worked on; the first message was read with the claim of a run, and is still unanswered.
    await say(steward, id, 'and this?');
    expect((await eventsOf(steward, id)).filter((event) => event.processed_at === null).length).toBe(1);
    // Another start does not lift it.
    await steward.kill('SIGTERM');
    const again = await start(options(''));
    expect((await call<{ safe_mode: unknown }>(again, '/api/status')).safe_mode).not.toBeNull();
    expect((await eventsOf(again, id)).some((event) => event.type === 'agent.message')).toBe(false);
    await call(again, '/api/safe-mode/leave', {});
    await untilIdle(again, id);
    expect((await eventsOf(again, id)).filter((event) => event.processed_at === null)).toEqual([]);
    expect((await call<{ safe_mode: unknown }>(again, '/api/status')).safe_mode).toBeNull();
  });
});
