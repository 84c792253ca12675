// The life of the broker's process: killed, wedged, broken, left alone; sandboxes stay shut meanwhile and go on afterwards.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BrokerDeps, createBroker } from '../../../../sandboxes/broker/supervisor.ts';
import { type HttpsHost, makeAuthority, startHttpsHost } from '../../../fakes/https-host.ts';
import { processSeen } from '../../../helpers/leftovers.ts';
import { OFFLINE, PATIENCE_MS, type Rig, run, soon, startRig, type Way } from './rig.ts';

const authority = makeAuthority();
const SECRET = 'life-canary-9c1d2e3f';
let api: HttpsHost;
const rigs: Rig[] = [];
const folders: string[] = [];

beforeAll(async () => {
  api = await startHttpsHost({
    authority,
    names: ['api.test'],
    handler({ url }, response) {
      if (url !== '/hang') return false;
      response.flushHeaders();
    },
  });
});
afterEach(async () => {
  await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});
afterAll(() => api?.close());

/** The broker's program, which does not begin as long as the file `hold` is there. */
function holdable(): { entry: string; hold(): void; release(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'brk-hold-'));
  folders.push(folder);
  const [entry, file] = [join(folder, 'entry.mjs'), join(folder, 'hold')];
  const main = new URL('../../../../sandboxes/broker/main.ts', import.meta.url).href;
  writeFileSync(
    entry,
    `import { existsSync } from 'node:fs';
     while (existsSync(${JSON.stringify(file)})) await new Promise((resolve) => setTimeout(resolve, 10));
     await import(${JSON.stringify(main)});`,
  );
  return { entry, hold: () => writeFileSync(file, ''), release: () => rmSync(file) };
}

async function startOne(deps: Partial<BrokerDeps> = {}): Promise<Rig> {
  const rig = await startRig({
    options: { reach: ['api.test'], upstreamCa: authority.pair.cert, names: { 'api.test': [['127.0.0.1']] } },
    ...deps,
  });
  rigs.push(rig);
  return rig;
}
const allow = () => ({ allow: [{ host: 'api.test', ports: [api.port] }] });
/** A zombie is only waiting for init to read its end. */
const alive = (pid: number) => {
  const seen = processSeen(pid);
  return seen !== null && seen.state !== 'Z';
};
/** A program in the sandbox: its exit code and what it printed. */
const ask = (way: Way, path: string) =>
  run(
    [
      process.execPath,
      '--input-type=module',
      '-e',
      `const r = await fetch('https://api.test:${api.port}${path}'); console.log(r.status, await r.text());`,
    ],
    { env: way.env },
  );

describe('a broker that dies', { timeout: PATIENCE_MS }, () => {
  it('leaves every sandbox shut, comes back with everything, and says what it was doing', async () => {
    const { entry, hold, release } = holdable();
    const rig = await startOne({ entry });
    await rig.broker.setCredentials([
      { id: 'c', hosts: ['api.test'], header: 'Authorization', value: `Bearer ${SECRET}` },
    ]);
    const [one, two] = [await rig.way(allow()), await rig.way({ requests: 2, ...allow() })];
    const caBefore = readFileSync(join(rig.folder, 'ca/own.pem'), 'utf8');
    expect((await ask(two, '/first')).stdout).toMatch(/^200/);
    rig.broker.attribute(one.id, 'call_7');
    const hanging = one.send('GET', `https://api.test:${api.port}/hang`).catch((error: Error) => error);
    await soon(() => rig.broker.openRequests(one.id)).toBe(1);
    const first = rig.broker.health();
    expect(first).toMatchObject({ state: 'ok', restarts: 0 });

    hold();
    process.kill(first.pid!, 'SIGKILL');
    expect(await hanging).toBeInstanceOf(Error);
    await soon(() => rig.broker.health().state).toBe('failing');
    await expect(one.send('GET', `https://api.test:${api.port}/shut`)).rejects.toThrow(/ECONNREFUSED|ENOENT|hang up/);
    expect(rig.broker.openRequests(one.id)).toBe(0);
    expect(await rig.entry(({ path }) => path === '/hang')).toMatchObject({
      verdict: 'failed',
      callId: 'call_7',
      why: 'The egress broker ended in the middle of it.',
    });

    release();
    await rig.broker.start();
    const second = rig.broker.health();
    expect(second).toMatchObject({ state: 'ok', restarts: 1 });
    expect(second.pid).not.toBe(first.pid);
    // The same sandbox goes on: it trusts the same authority, has the same key, and its calls are still its own.
    expect(readFileSync(join(rig.folder, 'ca/own.pem'), 'utf8')).toBe(caBefore);
    expect((await ask(one, '/again')).stdout).toMatch(/^200/);
    expect(api.seen.at(-1)!.headers.authorization).toBe(`Bearer ${SECRET}`);
    expect((await rig.entry(({ path }) => path === '/again')).callId).toBe('call_7');
    // What was used of a cap stays used.
    expect((await ask(two, '/second')).stdout).toMatch(/^200/);
    const third = await two.send('GET', `https://api.test:${api.port}/third`);
    expect(third).toMatchObject({ status: 403, body: expect.stringContaining('all of its 2 requests') });
  });

  it('takes over what was asked of it meanwhile', async () => {
    const { entry, hold, release } = holdable();
    const rig = await startOne({ entry });
    const way = await rig.way();
    hold();
    process.kill(rig.broker.health().pid!, 'SIGKILL');
    await soon(() => rig.broker.health().state).toBe('failing');
    const late = rig.way(allow());
    const grown = rig.broker.setPolicy(way.id, { ...OFFLINE, ...allow() });
    const keys = rig.broker.setCredentials([{ id: 'c', hosts: ['api.test'], header: 'X-Key', value: SECRET }]);
    release();
    await Promise.all([late, grown, keys]);
    for (const one of [way, await late]) {
      expect((await one.send('GET', `https://api.test:${api.port}/late`)).status).toBe(200);
      expect(api.seen.at(-1)!.headers['x-key']).toBe(SECRET);
    }
  });

  it('under load: what fails is told, and everything after it works', async () => {
    const rig = await startOne();
    const way = await rig.way(allow());
    const outcomes: string[] = [];
    let stop = false;
    const worker = async () => {
      while (!stop) {
        const reply = await way.send('GET', `https://api.test:${api.port}/load`).catch(() => null);
        outcomes.push(reply ? String(reply.status) : 'failed');
        if (!reply) await delay(10);
      }
    };
    const workers = Array.from({ length: 8 }, worker);
    for (let kill = 0; kill < 2; kill++) {
      const before = outcomes.filter((outcome) => outcome === '200').length;
      await soon(() => outcomes.filter((outcome) => outcome === '200').length).toBeGreaterThan(before + 20);
      const { pid, restarts } = rig.broker.health();
      process.kill(pid!, 'SIGKILL');
      await soon(() => rig.broker.health()).toMatchObject({ state: 'ok', restarts: restarts + 1 });
    }
    stop = true;
    await Promise.all(workers);
    expect(new Set(outcomes)).toEqual(new Set(['200', 'failed']));
    expect((await way.send('GET', `https://api.test:${api.port}/after`)).status).toBe(200);
  });

  it('that does not answer any more is replaced', async () => {
    const rig = await startOne({ heartbeatMs: 100 });
    const way = await rig.way(allow());
    const { pid } = rig.broker.health();
    process.kill(pid!, 'SIGSTOP');
    await soon(() => rig.broker.health().restarts).toBe(1);
    await rig.broker.start();
    expect(alive(pid!)).toBe(false);
    expect((await way.send('GET', `https://api.test:${api.port}/`)).status).toBe(200);
  });

  it('at every start is failing, with pauses in between, and not for ever retried at once', async () => {
    const rig = await startOne();
    const entry = join(rig.folder, 'broken.mjs');
    writeFileSync(entry, 'process.exit(3);');
    const logged: string[] = [];
    const note = (_: object, message: string) => void logged.push(message);
    const broken = createBroker({
      now: Date.now,
      log: { debug: note, info: note, warn: note, error: note },
      caDir: join(rig.folder, 'ca2'),
      onAudit: () => {},
      entry,
    });
    const started = broken.start();
    await soon(() => broken.health().restarts).toBeGreaterThanOrEqual(2);
    expect(broken.health()).toMatchObject({
      state: 'failing',
      detail: 'its process ended (code 3) and is started again',
    });
    expect(logged.filter((message) => message === 'the egress broker ended').length).toBeLessThan(6);
    await broken.stop();
    await expect(started).rejects.toThrow('Steward is stopping');
  });
});

describe('the end', { timeout: PATIENCE_MS }, () => {
  it('stop leaves no process, no socket and nothing open', async () => {
    const rig = await startOne();
    const way = await rig.way(allow());
    const hanging = way.send('GET', `https://api.test:${api.port}/hang`).catch((error: Error) => error);
    await soon(() => rig.broker.openRequests(way.id)).toBe(1);
    const { pid } = rig.broker.health();
    await rig.broker.stop();
    expect(alive(pid!)).toBe(false);
    expect(await hanging).toBeInstanceOf(Error);
    await expect(rig.broker.start()).rejects.toThrow('Steward is stopping');
    await rig.broker.stop();
  });

  it('a daemon that is killed takes its broker with it', async () => {
    const rig = await startOne();
    const daemon = join(rig.folder, 'daemon.ts');
    const supervisor = fileURLToPath(new URL('../../../../sandboxes/broker/supervisor.ts', import.meta.url));
    writeFileSync(
      daemon,
      `import { createBroker } from ${JSON.stringify(supervisor)};
       const log = () => {};
       const broker = createBroker({ now: Date.now, log: { debug: log, info: log, warn: log, error: log }, caDir: ${JSON.stringify(join(rig.folder, 'ca3'))}, onAudit: log });
       await broker.open('sbx_1', ${JSON.stringify(join(rig.folder, 'open.sock'))}, ${JSON.stringify(OFFLINE)});
       console.log(broker.health().pid);
       setInterval(() => {}, 1000);`,
    );
    const child = spawn(process.execPath, [daemon], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH },
    });
    const [line] = await once(child.stdout, 'data');
    const pid = Number(String(line));
    expect(alive(pid)).toBe(true);
    child.kill('SIGKILL');
    await soon(() => alive(pid)).toBe(false);
  });
});

describe('what it makes', { timeout: PATIENCE_MS }, () => {
  it('a socket anybody may connect to, certificates anybody may read', async () => {
    const rig = await startOne();
    const way = await rig.way();
    expect(statSync(way.socketPath).mode & 0o777).toBe(0o666);
    const [mount] = rig.broker.mounts();
    expect(mount!.to).toBe('/opt/steward-ca');
    for (const name of ['own.pem', 'bundle.pem']) expect(statSync(join(mount!.from, name)).mode & 0o777).toBe(0o644);
    expect(statSync(mount!.from).mode & 0o777).toBe(0o755);
    expect(rig.broker.environment(OFFLINE)).toMatchObject({ SSL_CERT_FILE: '/opt/steward-ca/bundle.pem' });
  });

  it('a socket in the place of one that an earlier life left', async () => {
    const rig = await startOne();
    const way = await rig.way(allow());
    await rig.broker.open(way.id, way.socketPath, { ...OFFLINE, ...allow() });
    expect((await way.send('GET', `https://api.test:${api.port}/`)).status).toBe(200);
  });

  it('an error that says so, when a socket cannot be', async () => {
    const rig = await startOne();
    await expect(rig.broker.open('sbx_x', join(rig.folder, 'none/broker.sock'), OFFLINE)).rejects.toThrow(
      /ENOENT|EACCES/,
    );
    await expect(rig.broker.open('sbx_x', `/tmp/${'x'.repeat(120)}`, OFFLINE)).rejects.toThrow(
      'longer than the path of a socket',
    );
    mkdirSync(join(rig.folder, 'file'));
    await expect(rig.broker.open('sbx_x', join(rig.folder, 'file'), OFFLINE)).rejects.toThrow(/EADDRINUSE/);
    await expect(rig.broker.setPolicy('sbx_x', OFFLINE)).rejects.toThrow('No way out is open');
    await expect(rig.broker.setUpstreams({ npm: 'file:///x' })).rejects.toThrow('http or https');
  });
});
