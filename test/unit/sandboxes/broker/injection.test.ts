// Secrets are added outside: they reach their hosts, and nobody inside, nor the record, ever sees them.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Injected } from '../../../../sandboxes/broker/wire.ts';
import { type HttpsHost, makeAuthority, startHttpsHost } from '../../../fakes/https-host.ts';
import { PATIENCE_MS, type Rig, run, soon, startRig, type Way } from './rig.ts';

const curl = existsSync('/usr/bin/curl') ? it : it.skip;

const SECRET = 'canary-2f6b1c9d8e7a';
const PAIR = Buffer.from(`me:${SECRET}`).toString('base64');
const bearer: Injected = { id: 'cred_bearer', hosts: ['api.test'], header: 'Authorization', value: `Bearer ${SECRET}` };

const authority = makeAuthority();
let api: HttpsHost;
let plain: HttpsHost;
let rig: Rig;
let way: Way;
/** Everything a program in a sandbox got to see. */
const seen: string[] = [];

beforeAll(async () => {
  api = await startHttpsHost({
    authority,
    names: ['api.test', 'other.test', '127.0.0.1'],
    handler({ url, headers }, response, request) {
      const echo = `you sent ${headers.authorization} ${headers['x-api-key']} ${headers['private-token']}`;
      if (url === '/headers') response.writeHead(200, { 'x-echo': echo, 'set-cookie': [`a=${SECRET}`, 'b=2'] }).end();
      else if (url === '/binary') response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(echo);
      else if (url === '/gzip' || url === '/br') {
        const body = url === '/gzip' ? gzipSync(echo) : brotliCompressSync(echo);
        response
          .writeHead(200, {
            'content-type': 'text/html',
            'content-encoding': url.slice(1),
            'content-length': body.length,
          })
          .end(body);
      } else if (url === '/drip') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        let at = 0;
        const timer = setInterval(() => {
          if (at < echo.length) return response.write(echo.slice(at, ++at));
          clearInterval(timer);
          response.end();
        }, 1);
      } else if (url.startsWith('/to?')) response.writeHead(307, { location: decodeURIComponent(url.slice(4)) }).end();
      else if (url === '/events') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: first\n\n');
        request.socket.once('close', () => response.end());
      } else return false;
    },
    upgrade(request, socket, head) {
      if (request.url === '/not-ws') {
        socket.end(
          `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nX-Echo: ${request.headers.authorization}\r\nConnection: close\r\n\r\nno ${request.headers.authorization}`,
        );
        return;
      }
      const accept = createHash('sha1')
        .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64');
      const known = request.headers.authorization === `Bearer ${SECRET}` ? 'yes' : 'no';
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nX-Known: ${known}\r\n\r\n`,
      );
      // An unmasked text frame, and an echo of whatever comes.
      socket.write(Buffer.concat([Buffer.from([0x81, 5]), Buffer.from('hello')]));
      if (head.length > 0) socket.write(head);
      socket.pipe(socket);
    },
  });
  plain = await startHttpsHost({ plain: true });
  rig = await startRig({
    options: {
      reach: ['api.test', 'other.test', 'plain.test'],
      upstreamCa: authority.pair.cert,
      names: { 'api.test': [['127.0.0.1']], 'other.test': [['127.0.0.1']], 'plain.test': [['127.0.0.1']] },
    },
  });
  await rig.broker.setCredentials([bearer]);
  way = await rig.way({
    allow: [
      { host: 'api.test', ports: [api.port, plain.port] },
      { host: 'other.test', ports: [api.port] },
      { host: 'plain.test', ports: [plain.port] },
    ],
  });
});
afterAll(async () => {
  await rig?.stop();
  await api?.close();
  await plain?.close();
});

/** curl in the sandbox: its output is the program's view. */
async function ask(path: string, ...args: string[]): Promise<string> {
  const url = path.startsWith('http') ? path : `https://api.test:${api.port}${path}`;
  const { stdout, stderr } = await run(['curl', '-sS', ...args, url], { env: way.env });
  seen.push(stdout, stderr);
  return stdout + stderr;
}

describe('a credential', { timeout: PATIENCE_MS }, () => {
  curl('is on the request when it arrives, in place of all the program’s own', async () => {
    const mine = ['authorization: mine', 'x-api-key: mine', 'cookie: mine', 'PRIVATE-TOKEN: mine', 'x-trace: kept'];
    await ask('/v1', ...mine.flatMap((header) => ['-H', header]));
    const { headers } = api.seen.at(-1)!;
    expect(headers).toMatchObject({ authorization: `Bearer ${SECRET}`, 'x-trace': 'kept' });
    for (const name of ['x-api-key', 'cookie', 'private-token']) expect(headers).not.toHaveProperty(name);
    expect(await rig.entry(({ path }) => path === '/v1')).toMatchObject({
      verdict: 'allowed',
      why: expect.stringContaining('credential cred_bearer'),
    });
  });

  it('is added for Node’s own fetch', async () => {
    const code = `const r = await fetch('https://api.test:${api.port}/node', { method: 'POST', body: 'x'.repeat(100000) }); console.log(r.status, await r.text());`;
    const {
      stdout,
      stderr,
      code: exit,
    } = await run([process.execPath, '--input-type=module', '-e', code], { env: way.env });
    seen.push(stdout, stderr);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(api.seen.at(-1)).toMatchObject({ url: '/node', headers: { authorization: `Bearer ${SECRET}` } });
    expect(api.seen.at(-1)!.body.length).toBe(100_000);
  });

  curl.each([
    ['echoed in a body', '/echo'],
    ['echoed in headers', '/headers'],
    ['echoed as binary', '/binary'],
    ['echoed in gzip', '/gzip'],
    ['echoed in brotli', '/br'],
    ['echoed byte by byte', '/drip'],
  ])('does not come back: %s', async (_, path) => {
    const reply = await ask(path, '-i', '--compressed');
    expect(reply).toContain('*'.repeat(SECRET.length));
    expect(reply).not.toContain(SECRET);
    if (path === '/headers') expect(reply).toMatch(/set-cookie: a=\*+\r\nset-cookie: b=2/i);
  });

  curl('is only for its hosts', async () => {
    await ask(`https://other.test:${api.port}/x`, '-H', 'authorization: mine');
    expect(api.seen.at(-1)!.headers.authorization).toBe('mine');
  });

  curl('does not go over plain HTTP', async () => {
    await ask(`http://api.test:${plain.port}/x`, '-H', 'authorization: mine');
    expect(plain.seen.at(-1)!.headers).not.toHaveProperty('authorization');
  });

  curl('does not follow a redirect to another host', async () => {
    await ask(`/to?${encodeURIComponent(`https://other.test:${api.port}/after`)}`, '-L');
    expect(api.seen.at(-1)).toMatchObject({ url: '/after' });
    expect(api.seen.at(-1)!.headers).not.toHaveProperty('authorization');
    await ask(`/to?${encodeURIComponent(`http://plain.test:${plain.port}/after`)}`, '-L');
    expect(plain.seen.at(-1)!.headers).not.toHaveProperty('authorization');
  });

  curl('is not for a sandbox without keys: its tunnel stays closed to us', async () => {
    const guest = await rig.way({ allow: [{ host: 'api.test', ports: [api.port] }], credentials: false });
    await run(['curl', '-sS', `https://api.test:${api.port}/guest`], { env: guest.env });
    expect(api.seen.at(-1)).toMatchObject({ url: '/guest' });
    expect(api.seen.at(-1)!.headers).not.toHaveProperty('authorization');
    expect(await rig.entry(({ sandbox }) => sandbox === guest.id)).toMatchObject({ method: 'CONNECT', path: null });
  });

  curl('is the new one from the next request on, also on an open connection', async () => {
    const before = api.seen.length;
    const rotated = { ...bearer, value: 'Bearer rotated-canary-77aa' };
    const child = run(
      [
        'curl',
        '-sS',
        `https://api.test:${api.port}/old`,
        '--next',
        '-sS',
        '--rate',
        '2/s',
        `https://api.test:${api.port}/new`,
      ],
      { env: way.env },
    );
    await soon(() => api.seen.length).toBeGreaterThan(before);
    await rig.broker.setCredentials([rotated]);
    await child;
    expect(api.seen.find(({ url }) => url === '/new')!.headers.authorization).toBe('Bearer rotated-canary-77aa');
    await ask('/next');
    expect(api.seen.at(-1)!.headers.authorization).toBe('Bearer rotated-canary-77aa');
    await rig.broker.setCredentials([]);
    await ask('/none');
    expect(api.seen.at(-1)!.headers).not.toHaveProperty('authorization');
    await rig.broker.setCredentials([bearer]);
  });

  curl('in placeholder mode goes where the program put the placeholder', async () => {
    await rig.broker.setCredentials([{ ...bearer, placeholder: 'ph_0123456789' }]);
    await ask('/placeholder', '-H', 'PRIVATE-TOKEN: ph_0123456789');
    expect(api.seen.at(-1)!.headers).toMatchObject({ 'private-token': SECRET });
    await ask('/placeholder', '-u', 'git:ph_0123456789');
    expect(api.seen.at(-1)!.headers).toMatchObject({ authorization: `Bearer ${SECRET}` });
    await ask('/placeholder', '-H', 'authorization: mine');
    expect(api.seen.at(-1)!.headers).not.toHaveProperty('authorization');
    await ask(`https://other.test:${api.port}/placeholder`, '-H', 'PRIVATE-TOKEN: ph_0123456789');
    expect(api.seen.at(-1)!.headers).toMatchObject({ 'private-token': 'ph_0123456789' });
    await rig.broker.setCredentials([bearer]);
  });

  it('is refused when it could not be sent, without being repeated', async () => {
    const set = (one: Injected) => rig.broker.setCredentials([one]);
    await expect(set({ ...bearer, value: `Bearer ${SECRET}\r\nx: y` })).rejects.toThrow(
      'The credential cred_bearer cannot be sent in a header.',
    );
    await expect(set({ ...bearer, hosts: [] })).rejects.toThrow('names no host');
    await expect(set({ ...bearer, hosts: ['*'] })).rejects.toThrow('every host');
  });
});

describe('what lasts', { timeout: PATIENCE_MS }, () => {
  it('a stream of events arrives as it is sent', async () => {
    const code = `const r = await fetch('https://api.test:${api.port}/events'); const { value } = await r.body.getReader().read(); console.log(new TextDecoder().decode(value)); process.exit(0);`;
    const { stdout } = await run([process.execPath, '--input-type=module', '-e', code], { env: way.env });
    expect(stdout).toBe('data: first\n\n\n');
  });

  it('a WebSocket passes, with the credential', async () => {
    const code = `
      import { connect } from 'node:net';
      import { connect as tls } from 'node:tls';
      const socket = connect(${way.port}, '127.0.0.1');
      socket.write('CONNECT api.test:${api.port} HTTP/1.1\\r\\nHost: api.test:${api.port}\\r\\n\\r\\n');
      socket.once('data', () => {
        const secure = tls({ socket, servername: 'api.test' }, () =>
          secure.write('GET /ws HTTP/1.1\\r\\nHost: api.test:${api.port}\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n'));
        let text = '';
        secure.on('data', (chunk) => {
          text += chunk.toString('latin1');
          if (text.includes('hello') && !text.includes('ping!')) secure.write('ping!');
          if (text.includes('ping!')) { console.log(text); process.exit(0); }
        });
      });`;
    const { stdout } = await run([process.execPath, '--input-type=module', '-e', code], { env: way.env });
    seen.push(stdout);
    expect(stdout).toMatch(/^HTTP\/1\.1 101 /);
    expect(stdout).toMatch(/sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i);
    expect(stdout).toContain('X-Known: yes');
    expect(stdout).toContain('hello');
    await soon(() => rig.audit.some(({ path, status }) => path === '/ws' && status === 101)).toBe(true);
  });

  curl('a WebSocket that its host refuses brings no secret back', async () => {
    const upgrade = ['connection: Upgrade', 'upgrade: websocket', 'sec-websocket-key: x', 'sec-websocket-version: 13'];
    const reply = await ask('/not-ws', '-i', '--http1.1', ...upgrade.flatMap((header) => ['-H', header]));
    expect(reply).toMatch(/^HTTP\/1\.1 200 .*HTTP\/1\.1 400 .*X-Echo: Bearer \*+.*no Bearer \*+$/is);
    expect(reply).not.toContain(SECRET);
  });

  it('a WebSocket that policy does not allow is refused', async () => {
    const closed = await rig.way();
    const reply = await closed.send('GET', `http://plain.test:${plain.port}/ws`, {
      headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'x', 'sec-websocket-version': '13' },
    });
    expect(reply.status).toBe(403);
  });

  it('another upgrade is a plain request', async () => {
    const reply = await way.send('GET', `http://plain.test:${plain.port}/h2c`, {
      headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'x' },
    });
    expect(reply.status).toBe(200);
    expect(plain.seen.at(-1)!.headers).not.toHaveProperty('upgrade');
  });
});

describe('the Messages API', { timeout: PATIENCE_MS }, () => {
  it('is a route with the owner’s key: streams, and takes 32 MB', async () => {
    await rig.broker.setUpstreams({
      anthropic: { baseURL: `https://127.0.0.1:${api.port}/base`, headers: { 'x-api-key': SECRET } },
    });
    const inside = await rig.way({ routes: ['anthropic'] });
    expect(inside.env.ANTHROPIC_BASE_URL).toBe(`${inside.origin}/anthropic`);
    const body = Buffer.alloc(32 * 1024 * 1024, 'm');
    const reply = await inside.send('POST', '/anthropic/v1/messages?beta=true', {
      headers: {
        'x-api-key': inside.env.ANTHROPIC_API_KEY!,
        authorization: 'mine',
        'content-type': 'application/json',
      },
      body,
    });
    seen.push(JSON.stringify(reply));
    expect(reply.status).toBe(200);
    const { url, headers, body: got } = api.seen.at(-1)!;
    expect({ url, length: got.length }).toEqual({ url: '/base/v1/messages?beta=true', length: body.length });
    expect(headers['x-api-key']).toBe(SECRET);
    expect(headers).not.toHaveProperty('authorization');
    expect(reply.body).not.toContain(SECRET);
  });

  it('is closed where the policy does not name it, whatever else is open', async () => {
    const inside = await rig.way({ unrestricted: true, allow: [{ host: 'api.anthropic.com' }] });
    expect(await inside.send('POST', '/anthropic/v1/messages')).toMatchObject({
      status: 403,
      body: expect.stringContaining('Messages API'),
    });
  });

  it('lets nobody reach its private address by another door', async () => {
    const inside = await rig.way({ routes: ['anthropic'], unrestricted: true });
    expect((await inside.send('GET', `https://127.0.0.1:${api.port}/base/`)).status).toBe(403);
    expect((await inside.send('GET', '/anthropic/v1/models')).status).toBe(200);
    expect((await inside.send('GET', `https://127.0.0.1:${api.port}/base/`)).status).toBe(403);
    expect((await inside.send('GET', `/git/127.0.0.1:${api.port}/base/`)).status).toBe(403);
  });
});

it('no secret was seen by a program, written down, logged, or shown by the process', async () => {
  const { pid } = rig.broker.health();
  const forms = [SECRET, PAIR, 'rotated-canary-77aa'];
  const own =
    process.platform === 'linux'
      ? [readFileSync(`/proc/${pid}/environ`, 'utf8'), readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
      : [];
  const files = readdirSync(rig.folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
  expect(files.length).toBeGreaterThan(1);
  expect(seen.length).toBeGreaterThan(2);
  const everything = [
    ...seen,
    ...own,
    ...files,
    JSON.stringify(rig.audit),
    rig.logged.join('\n'),
    JSON.stringify(way.env),
  ].join('\n');
  for (const form of forms) expect(everything).not.toContain(form);
  // The private key of the authority is in no file either.
  expect(files.join('\n')).not.toContain('PRIVATE KEY');
});
