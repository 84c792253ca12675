// The broker's process over real sockets: who gets out, where to, how much, and what everybody else is told.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Agent } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTcp } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type HttpsHost, makeAuthority, startHttpsHost } from '../../../fakes/https-host.ts';
import { PATIENCE_MS, type Rig, run, soon, startRig, type Way } from './rig.ts';

const curl = existsSync('/usr/bin/curl') ? it : it.skip;

const authority = makeAuthority();
let api: HttpsHost;
let other: HttpsHost;
let web: HttpsHost;
let rig: Rig;
const here = (host: HttpsHost, name: string) => `https://${name}:${host.port}`;
const ports = (host: HttpsHost) => [host.port];

beforeAll(async () => {
  const names = ['api.test', 'www.api.test', 'other.test', '127.0.0.1'];
  api = await startHttpsHost({ authority, names });
  other = await startHttpsHost({ authority, names: ['other.test'] });
  web = await startHttpsHost({
    plain: true,
    refuse: ({ url }) => (url === '/early' ? 413 : null),
    handler({ url, method }, response) {
      if (url.startsWith('/to?')) response.writeHead(302, { location: decodeURIComponent(url.slice(4)) }).end();
      else if (url.startsWith('/bytes?'))
        response.end(method === 'HEAD' ? '' : Buffer.alloc(Number(url.slice(7)), 'x'));
      else if (url === '/cut')
        response.writeHead(200, { 'content-length': 100 }).write('half', () => response.destroy());
      else if (url === '/hang') response.flushHeaders();
      else return false;
    },
  });
  rig = await startRig({
    options: {
      reach: [
        `127.0.0.1:${api.port}`,
        `127.0.0.1:${web.port}`,
        'api.test',
        'www.api.test',
        'other.test',
        'web.test',
        'closed.test',
      ],
      upstreamCa: authority.pair.cert,
      names: {
        'api.test': [['127.0.0.1']],
        'www.api.test': [['127.0.0.1']],
        'other.test': [['127.0.0.1']],
        'web.test': [['127.0.0.1']],
        'closed.test': [['127.0.0.1']],
        'private.test': [['10.0.0.1']],
        'rebinds.test': [['93.184.216.34'], ['127.0.0.1']],
        'metadata.google.internal': [['169.254.169.254']],
        'mapped.test': [['::ffff:127.0.0.1']],
        'nat64.test': [['64:ff9b::7f00:1']],
        'sixtofour.test': [['2002:7f00:1::']],
        'mixed.test': [['10.0.0.1', '127.0.0.1', 'fd00::1']],
        'nowhere.test': [[]],
      },
    },
  });
});
afterAll(async () => {
  await rig?.stop();
  await Promise.all([api, other, web].map((host) => host?.close()));
});

const openWeb = () => rig.way({ allow: [{ host: 'web.test', ports: ports(web) }] });

/** The answer to a CONNECT: its status and everything behind its head so far. */
async function connectTo(way: Way, authorityOf: string): Promise<{ status: number; text: string; socket: Socket }> {
  const socket = way.dial();
  socket.write(`CONNECT ${authorityOf} HTTP/1.1\r\nHost: ${authorityOf}\r\n\r\n`);
  let text = '';
  const done = Promise.withResolvers<void>();
  const onData = (chunk: Buffer) => {
    text += String(chunk);
    const head = text.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (head >= 0 && text.length >= head + 4 + length) done.resolve();
  };
  socket.on('data', onData);
  socket.once('close', () => done.reject(new Error(`closed after ${JSON.stringify(text)}`)));
  await done.promise;
  socket.off('data', onData);
  return { status: Number(text.split(' ')[1]), text, socket };
}

describe('what a policy allows', { timeout: PATIENCE_MS }, () => {
  it('plain HTTP, with everything of the request and of the answer', async () => {
    const way = await openWeb();
    const reply = await way.send('POST', `http://web.test:${web.port}/a%20b?c=d`, {
      headers: {
        'content-type': 'text/plain',
        'x-two': ['1', '2'],
        'proxy-authorization': 'Basic x',
        connection: 'x-hop',
        'x-hop': '1',
      },
      body: 'hello',
    });
    expect(reply.status).toBe(200);
    const seen = JSON.parse(reply.body);
    expect(seen).toMatchObject({ method: 'POST', url: '/a%20b?c=d', body: 'hello' });
    expect(seen.headers).toMatchObject({ host: `web.test:${web.port}`, 'x-two': '1, 2', 'content-type': 'text/plain' });
    expect(seen.headers).not.toHaveProperty('proxy-authorization');
    expect(seen.headers).not.toHaveProperty('x-hop');
    const entry = await rig.entry(({ sandbox }) => sandbox === way.id);
    expect(entry).toMatchObject({
      method: 'POST',
      host: 'web.test',
      port: web.port,
      path: '/a%20b',
      verdict: 'allowed',
      status: 200,
      callId: null,
    });
    expect(entry.bytesOut).toBeGreaterThan(5);
    expect(entry.bytesIn).toBeGreaterThan(reply.body.length);
  });

  it('a tunnel that nobody looks into: the certificate is the host’s own', async () => {
    const way = await rig.way({ allow: [{ host: 'api.test', ports: ports(api) }] });
    const { status, socket } = await connectTo(way, `api.test:${api.port}`);
    expect(status).toBe(200);
    const secure = tlsConnect({ socket, servername: 'api.test', ca: authority.pair.cert });
    await once(secure, 'secureConnect');
    expect(secure.getPeerCertificate().issuer.CN).toBe((await certificateName(authority.pair.cert)).issuer);
    secure.end('GET /inside HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n');
    await once(secure.resume(), 'close');
    const entry = await rig.entry(({ sandbox, method }) => sandbox === way.id && method === 'CONNECT');
    expect(entry).toMatchObject({ host: 'api.test', path: null, verdict: 'allowed', status: 200 });
    expect(entry.bytesIn).toBeGreaterThan(500);
  });

  it('nothing else: the refusal can be read, and says what to do', async () => {
    const way = await rig.way();
    const why =
      'example.org is not allowed in this sandbox. Name the host in the `hosts` argument of the bash tool; the owner is asked.';
    const reply = await way.send('GET', 'http://example.org/secret?x=1');
    expect(reply).toMatchObject({ status: 403, body: `Steward: ${why}\n` });
    expect(reply.headers['content-type']).toBe('text/plain; charset=utf-8');
    const { status, text } = await connectTo(way, 'example.org:443');
    expect(status).toBe(403);
    expect(text).toContain(`Steward: ${why}`);
    expect(text.split('\r\n')[0]).toBe('HTTP/1.1 403 Steward: example.org is not allowed in this sandbox');
    expect(await rig.entry(({ sandbox, path }) => sandbox === way.id && path !== null)).toMatchObject({
      verdict: 'denied',
      why,
      path: '/secret',
      status: 403,
    });
    expect(await rig.entry(({ sandbox, path }) => sandbox === way.id && path === null)).toMatchObject({
      method: 'CONNECT',
      verdict: 'denied',
    });
  });

  it('a policy can change while a sandbox lives', async () => {
    const way = await rig.way();
    const url = `http://web.test:${web.port}/`;
    expect((await way.send('GET', url)).status).toBe(403);
    const policy = {
      allow: [{ host: 'web.test', ports: ports(web) }],
      unrestricted: false,
      credentials: true,
      requests: null,
      bytes: null,
    };
    await rig.broker.setPolicy(way.id, policy);
    expect((await way.send('GET', url)).status).toBe(200);
    await rig.broker.setPolicy(way.id, { ...policy, allow: [] });
    expect((await way.send('GET', url)).status).toBe(403);
  });

  it('two sandboxes have two policies at the same time', async () => {
    const [one, two] = await Promise.all([openWeb(), rig.way({ allow: [{ host: 'api.test', ports: ports(api) }] })]);
    const ask = (way: Way, host: HttpsHost, name: string) =>
      host === web
        ? way.send('GET', `http://${name}:${host.port}/`).then(({ status }) => status)
        : connectTo(way, `${name}:${host.port}`).then(({ status, socket }) => {
            socket.destroy();
            return status;
          });
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => [
        await ask(one, web, 'web.test'),
        await ask(one, api, 'api.test'),
        await ask(two, web, 'web.test'),
        await ask(two, api, 'api.test'),
      ]),
    );
    expect(new Set(answers.map(String))).toEqual(new Set(['200,403,403,200']));
  });

  it('what it was asked by is written down', async () => {
    const way = await openWeb();
    rig.broker.attribute(way.id, 'call_1');
    await way.send('GET', `http://web.test:${web.port}/first`);
    rig.broker.attribute(way.id, null);
    await way.send('GET', `http://web.test:${web.port}/second`);
    expect((await rig.entry(({ path }) => path === '/first')).callId).toBe('call_1');
    expect((await rig.entry(({ path }) => path === '/second')).callId).toBeNull();
  });
});

describe('methods and paths', { timeout: PATIENCE_MS }, () => {
  it('hold for plain HTTP', async () => {
    const way = await rig.way({ allow: [{ host: 'web.test', ports: ports(web), methods: ['GET'], paths: ['/docs'] }] });
    const status = async (method: string, path: string) =>
      (await way.send(method, `http://web.test:${web.port}${path}`)).status;
    expect(await status('GET', '/docs/x')).toBe(200);
    expect(await status('POST', '/docs/x')).toBe(403);
    expect(await status('GET', '/admin')).toBe(403);
    expect(await status('GET', '/docs/../admin')).toBe(403);
    expect(await status('GET', '/docs/%2e%2e/admin')).toBe(403);
    expect(await status('GET', '/docs/..%2fadmin')).toBe(403);
    expect(await status('GET', '/docsx')).toBe(403);
  });

  curl('hold inside of TLS: the tunnel is opened for them', async () => {
    const way = await rig.way({ allow: [{ host: 'api.test', ports: ports(api), methods: ['GET'], paths: ['/v1'] }] });
    const before = api.seen.length;
    const ask = async (...args: string[]) =>
      (await run(['curl', '-sS', '--path-as-is', '-w', ' %{http_code}', ...args], { env: way.env })).stdout;
    expect(await ask(`${here(api, 'api.test')}/v1/x`)).toMatch(/"url":"\/v1\/x".* 200$/);
    expect(await ask(`${here(api, 'api.test')}/v1/../admin`)).toMatch(
      /^Steward: GET \/admin on api\.test:\d+ is not allowed.*\n 403$/,
    );
    expect(await ask('-X', 'DELETE', `${here(api, 'api.test')}/v1/x`)).toMatch(/ 403$/);
    expect(api.seen.slice(before).map(({ url }) => url)).toEqual(['/v1/x']);
    expect(await rig.entry(({ sandbox, method }) => sandbox === way.id && method === 'DELETE')).toMatchObject({
      verdict: 'denied',
      path: '/v1/x',
    });
  });

  it('a program that does not trust us gets nothing, and it is written down', async () => {
    const way = await rig.way({ allow: [{ host: 'api.test', ports: ports(api), methods: ['GET'] }] });
    const { socket } = await connectTo(way, `api.test:${api.port}`);
    const secure = tlsConnect({ socket, servername: 'api.test', ca: authority.pair.cert });
    await expect(once(secure, 'secureConnect')).rejects.toThrow(/certificate|issuer/);
    const entry = await rig.entry(({ sandbox }) => sandbox === way.id);
    expect(entry).toMatchObject({ verdict: 'failed', method: 'CONNECT' });
    expect(entry.why).toMatch(/did not accept the certificate/);
  });

  it('hold for plain HTTP inside a tunnel', async () => {
    const way = await rig.way({ allow: [{ host: 'web.test', ports: ports(web), paths: ['/docs'] }] });
    const { socket } = await connectTo(way, `web.test:${web.port}`);
    socket.write(`GET /admin HTTP/1.1\r\nHost: web.test:${web.port}\r\nConnection: close\r\n\r\n`);
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 403 /);
  });
});

describe('a tunnel to one host is no way to another', { timeout: PATIENCE_MS }, () => {
  it('a name in TLS that is not the tunnel’s ends it', async () => {
    const way = await rig.way({ allow: [{ host: 'api.test', ports: ports(api) }] });
    const before = api.open();
    const { socket } = await connectTo(way, `api.test:${api.port}`);
    const secure = tlsConnect({ socket, servername: 'other.test', ca: authority.pair.cert });
    await expect(once(secure, 'secureConnect')).rejects.toThrow();
    const entry = await rig.entry(({ sandbox }) => sandbox === way.id);
    expect(entry).toMatchObject({
      verdict: 'denied',
      why: 'Inside a tunnel to api.test a program asked for other.test.',
    });
    expect(api.open()).toBe(before);
  });

  curl('a Host header that is not the tunnel’s is refused where requests are seen', async () => {
    const way = await rig.way({ allow: [{ host: 'api.test', ports: ports(api), methods: ['GET'] }] });
    const before = api.seen.length;
    const { stdout } = await run(
      ['curl', '-sS', '-H', 'Host: other.test', '-w', ' %{http_code}', here(api, 'api.test')],
      { env: way.env },
    );
    expect(stdout).toMatch(/only to it.*\n 421$/);
    expect(api.seen.length).toBe(before);
    expect(await rig.entry(({ sandbox }) => sandbox === way.id)).toMatchObject({ verdict: 'denied', host: 'api.test' });
  });

  it('the Host header of a plain request is the one of its URL', async () => {
    const way = await openWeb();
    const reply = await way.send('GET', `http://web.test:${web.port}/`, { headers: { host: 'internal.test' } });
    expect(JSON.parse(reply.body).headers.host).toBe(`web.test:${web.port}`);
  });

  it('one inside of another is refused', async () => {
    const way = await rig.way({
      allow: [
        { host: 'web.test', ports: ports(web), paths: ['/'] },
        { host: 'api.test', ports: ports(api), methods: [] },
      ],
    });
    const { socket } = await connectTo(way, `web.test:${web.port}`);
    socket.write(`CONNECT api.test:${api.port} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('private addresses', { timeout: PATIENCE_MS }, () => {
  const literals = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0',
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '2852039166',
    '0xa9fea9fe',
    '0251.0376.0251.0376',
    '224.0.0.1',
    '255.255.255.255',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:a9fe:a9fe]',
    '[64:ff9b::a9fe:a9fe]',
    '[2002:a9fe:a9fe::]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '[ff02::1]',
  ];
  const names = [
    'localhost',
    'private.test',
    'metadata.google.internal',
    'mapped.test',
    'nat64.test',
    'sixtofour.test',
    'mixed.test',
  ];

  it.each([...literals, ...names])('%s, by HTTP and by CONNECT, however much is allowed', async (host) => {
    const way = await rig.way({ unrestricted: true });
    const reply = await way.send('GET', `http://${host}:81/latest/meta-data/`);
    expect(reply.status).toBe(403);
    expect(reply.body).toMatch(/private or reserved address.*Only the owner/);
    const tunnel = await connectTo(way, `${host}:444`);
    expect(tunnel.status).toBe(403);
    expect((await rig.entry(({ sandbox, path }) => sandbox === way.id && path === null)).verdict).toBe('denied');
    await way.close();
  });

  it('nobody is told to ask for one', async () => {
    const way = await rig.way();
    expect((await way.send('GET', 'http://169.254.169.254/')).body).toMatch(/Only the owner can open it/);
    expect((await connectTo(way, '10.0.0.1:443')).text).not.toContain('hosts');
  });

  it('a rule for a name does not help where it leads to one', async () => {
    const way = await rig.way({ allow: [{ host: 'private.test' }, { host: '10.0.0.1' }] });
    expect((await way.send('GET', 'http://private.test/')).status).toBe(403);
    expect((await way.send('GET', 'http://10.0.0.1/')).status).toBe(403);
  });

  it('a name that changes its mind is checked at each connection', async () => {
    const way = await rig.way({ unrestricted: true });
    const inner = await startHttpsHost({ plain: true });
    // The first answer is public: it is tried, and nothing comes of it here. The second one is loopback, where something listens.
    const first = way.send('GET', `http://rebinds.test:${inner.port}/`).catch(() => null);
    await Promise.race([first, delay(200)]);
    const second = await way.send('GET', `http://rebinds.test:${inner.port}/`);
    expect(second.status).toBe(403);
    expect(second.body).toContain('private or reserved');
    expect((await connectTo(way, `rebinds.test:${inner.port}`)).status).toBe(403);
    expect(inner.seen).toEqual([]);
    await way.close();
    await first;
    await inner.close();
  });

  it('what the owner lists is reached, and only on its port', async () => {
    const way = await rig.way({ unrestricted: true });
    expect((await way.send('GET', `http://127.0.0.1:${web.port}/`)).status).toBe(200);
    expect((await way.send('GET', `http://127.0.0.1:${other.port}/`)).status).toBe(403);
  });
});

describe('caps', { timeout: PATIENCE_MS }, () => {
  it('of requests', async () => {
    const way = await rig.way({ allow: [{ host: 'web.test', ports: ports(web) }], requests: 3 });
    const statuses: number[] = [];
    for (let n = 0; n < 5; n++) statuses.push((await way.send('GET', `http://web.test:${web.port}/`)).status);
    expect(statuses).toEqual([200, 200, 200, 403, 403]);
    expect((await way.send('GET', `http://web.test:${web.port}/`)).body).toMatch(/all of its 3 requests/);
  });

  it('of bytes that come: the answer is cut off in its middle', async () => {
    const way = await rig.way({ allow: [{ host: 'web.test', ports: ports(web) }], bytes: 200_000 });
    await expect(way.send('GET', `http://web.test:${web.port}/bytes?10000000`)).rejects.toThrow();
    const entry = await rig.entry(({ sandbox }) => sandbox === way.id);
    expect(entry).toMatchObject({ verdict: 'failed', why: 'This sandbox has moved all of its 200000 bytes.' });
    expect(entry.bytesIn).toBeLessThan(400_000);
    expect((await way.send('GET', `http://web.test:${web.port}/`)).status).toBe(403);
  });

  it('of bytes that go: the upload is refused in its middle', async () => {
    const way = await rig.way({ allow: [{ host: 'web.test', ports: ports(web) }], bytes: 200_000 });
    const reply = await way
      .send('POST', `http://web.test:${web.port}/up`, { body: Buffer.alloc(3_000_000) })
      .catch(() => null);
    if (reply) expect(reply).toMatchObject({ status: 403 });
    const entry = await rig.entry(({ sandbox }) => sandbox === way.id);
    expect(entry.verdict).toBe('failed');
    expect(entry.bytesOut).toBeLessThan(500_000);
    expect(web.seen.some(({ url }) => url === '/up')).toBe(false);
  });

  it('of bytes in a tunnel', async () => {
    const way = await rig.way({ allow: [{ host: 'web.test', ports: ports(web) }], bytes: 50_000 });
    const { socket } = await connectTo(way, `web.test:${web.port}`);
    socket.write(`GET /bytes?5000000 HTTP/1.1\r\nHost: x\r\n\r\n`);
    let got = 0;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      got += chunk.length;
    });
    await once(socket, 'close');
    expect(got).toBeLessThan(300_000);
    expect(await rig.entry(({ sandbox }) => sandbox === way.id)).toMatchObject({
      verdict: 'failed',
      why: expect.stringContaining('50000 bytes'),
    });
  });

  it('of connections', async () => {
    const way = await openWeb();
    const sockets = Array.from({ length: 270 }, () => way.dial());
    let refused = 0;
    for (const socket of sockets) socket.on('error', () => {}).on('close', () => refused++);
    await soon(() => refused).toBe(14);
    for (const socket of sockets) socket.destroy();
    await soon(() => refused).toBe(270);
    expect((await way.send('GET', `http://web.test:${web.port}/`)).status).toBe(200);
  });

  it('a program that is refused and goes on asking does not fill the record', async () => {
    const way = await rig.way();
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    const replies = await Promise.all(
      Array.from({ length: 300 }, () => way.send('GET', 'http://example.org/', { agent })),
    );
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([403]));
    agent.destroy();
    await delay(20);
    const written = rig.audit.filter(({ sandbox }) => sandbox === way.id).length;
    expect(written).toBeGreaterThanOrEqual(50);
    expect(written).toBeLessThan(80);
  });
});

describe('redirects', { timeout: PATIENCE_MS }, () => {
  it('are the program’s to follow, and judged again', async () => {
    const way = await openWeb();
    for (const target of ['http://example.org/x', 'http://169.254.169.254/', '/elsewhere']) {
      const reply = await way.send('GET', `http://web.test:${web.port}/to?${encodeURIComponent(target)}`);
      expect(reply).toMatchObject({ status: 302, headers: { location: target } });
    }
    expect(web.seen.some(({ url }) => url === '/elsewhere')).toBe(false);
  });
});

describe('what goes wrong', { timeout: PATIENCE_MS }, () => {
  it('a name that is none, a port where nothing listens, an answer that breaks off', async () => {
    const way = await rig.way({ unrestricted: true });
    const closed = createTcp().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    expect(await way.send('GET', `http://closed.test:${port}/`)).toMatchObject({
      status: 502,
      body: `Steward: closed.test:${port} could not be reached: nothing listens there\n`,
    });
    expect((await connectTo(way, `closed.test:${port}`)).status).toBe(502);
    await expect(way.send('GET', `http://web.test:${web.port}/cut`)).rejects.toThrow();
    expect(await rig.entry(({ path, verdict }) => path === '/cut' && verdict === 'failed')).toMatchObject({
      why: expect.stringContaining('broke off'),
    });
  });

  curl('a certificate that is not the host’s is not accepted for it', async () => {
    const stranger = await startHttpsHost({ names: ['api.test'] });
    const way = await rig.way({ allow: [{ host: 'api.test', ports: ports(stranger), methods: ['GET'] }] });
    const { stdout } = await run(['curl', '-sS', '-w', ' %{http_code}', here(stranger, 'api.test')], { env: way.env });
    expect(stdout).toMatch(/could not be reached.* 502$/s);
    expect(stranger.seen).toEqual([]);
    await stranger.close();
  });

  it.each([
    '\x00\x01\x02\r\n\r\n',
    'GARBAGE\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    'CONNECT user@a.test:443 HTTP/1.1\r\nHost: x\r\n\r\n',
  ])('what is not HTTP is told so: %j', async (text) => {
    const way = await openWeb();
    const socket = way.dial();
    socket.write(text);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
  });

  it('a path that is no route says what this is', async () => {
    const way = await openWeb();
    expect(await way.send('GET', '/nothing')).toMatchObject({
      status: 404,
      body: expect.stringContaining('HTTP proxy'),
    });
  });
});

describe('patience', { timeout: PATIENCE_MS }, () => {
  let hasty: Rig;
  beforeAll(async () => {
    hasty = await startRig({
      options: {
        reach: ['web.test'],
        names: { 'web.test': [['127.0.0.1']] },
        timeouts: { headersMs: 300, idleMs: 1_500, quietMs: 100 },
      },
    });
  });
  afterAll(() => hasty?.stop());

  it('silence ends a request and a tunnel', async () => {
    const way = await hasty.way({ allow: [{ host: 'web.test', ports: ports(web) }] });
    await expect(way.send('GET', `http://web.test:${web.port}/hang`)).rejects.toThrow();
    expect(await hasty.entry(({ path }) => path === '/hang')).toMatchObject({ verdict: 'failed' });
    const { socket } = await connectTo(way, `web.test:${web.port}`);
    socket.resume();
    await once(socket, 'close');
    await hasty.entry(({ sandbox, method }) => sandbox === way.id && method === 'CONNECT');
  });

  it('a tunnel that lies open after an answer waits for nothing; one with a question does', async () => {
    const way = await hasty.way({ allow: [{ host: 'web.test', ports: ports(web) }] });
    const { socket } = await connectTo(way, `web.test:${web.port}`);
    socket.on('data', () => {});
    socket.write(`GET /bytes?10 HTTP/1.1\r\nHost: x\r\n\r\n`);
    await soon(() => hasty.broker.openRequests(way.id)).toBe(1);
    await soon(() => hasty.broker.openRequests(way.id)).toBe(0);
    socket.write(`GET /hang HTTP/1.1\r\n`);
    await soon(() => hasty.broker.openRequests(way.id)).toBe(1);
    socket.destroy();
    await soon(() => hasty.broker.openRequests(way.id)).toBe(0);
  });

  it.each([
    ['says nothing', ''],
    ['drips its headers', 'GET http://web.test/ HTTP/1.1\r\nX-'],
    ['stops in its request line', 'GET '],
  ])('a program that %s is let go', async (_, text) => {
    const way = await hasty.way({ allow: [{ host: 'web.test', ports: ports(web) }] });
    const socket = way.dial();
    socket.write(text);
    const drip = setInterval(() => text !== '' && socket.write('a'), 50);
    socket.on('error', () => {}).resume();
    await once(socket, 'close');
    clearInterval(drip);
  });
});

describe('much at a time', { timeout: PATIENCE_MS }, () => {
  it('a hundred requests in parallel, of which each gets its own answer', async () => {
    const way = await openWeb();
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        way.send('POST', `http://web.test:${web.port}/many?n=${n}`, { body: `body ${n}` }),
      ),
    );
    for (const [n, reply] of replies.entries())
      expect(JSON.parse(reply.body)).toMatchObject({ url: `/many?n=${n}`, body: `body ${n}` });
    await rig.entry(
      ({ sandbox }) => rig.audit.filter((entry) => entry.sandbox === sandbox && sandbox === way.id).length === 100,
    );
    await soon(() => rig.broker.openRequests(way.id)).toBe(0);
  });

  it('32 MB up and down, in pieces', async () => {
    const way = await openWeb();
    const size = 32 * 1024 * 1024;
    expect((await way.send('GET', `http://web.test:${web.port}/bytes?${size}`)).body.length).toBe(size);
    const reply = await way.send('POST', `http://web.test:${web.port}/bytes?5`, {
      headers: { 'transfer-encoding': 'chunked', expect: '100-continue' },
      body: Buffer.alloc(size, 'y'),
    });
    expect(reply.body).toBe('xxxxx');
    expect(web.seen.at(-1)!.body.length).toBe(size);
  });

  it('an answer before the end of an upload leaves the connection usable', async () => {
    const way = await openWeb();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const early = await way.send('POST', `http://web.test:${web.port}/early`, { agent, body: Buffer.alloc(8_000_000) });
    expect(early.status).toBe(413);
    expect((await way.send('GET', `http://web.test:${web.port}/`, { agent })).status).toBe(200);
    agent.destroy();
  });

  it('what is open is counted while it is', async () => {
    const way = await openWeb();
    const socket = way.dial();
    socket.write(`GET http://web.test:${web.port}/hang HTTP/1.1\r\nHost: x\r\n\r\n`);
    await soon(() => rig.broker.openRequests(way.id)).toBe(1);
    socket.destroy();
    await soon(() => rig.broker.openRequests(way.id)).toBe(0);
    expect(await rig.entry(({ sandbox }) => sandbox === way.id)).toMatchObject({
      verdict: 'allowed',
      why: expect.stringContaining('did not wait'),
    });
  });

  it('a sandbox that is closed has nothing open any more, and no socket', async () => {
    const way = await openWeb();
    const pending = way.send('GET', `http://web.test:${web.port}/hang`).catch((error: Error) => error);
    const { socket } = await connectTo(way, `web.test:${web.port}`);
    const closed = once(socket, 'close');
    socket.resume();
    await soon(() => rig.broker.openRequests(way.id)).toBe(2);
    await rig.broker.close(way.id);
    expect(await pending).toBeInstanceOf(Error);
    await closed;
    expect(existsSync(way.socketPath)).toBe(false);
    await soon(() => rig.audit.filter(({ sandbox }) => sandbox === way.id).length).toBe(2);
  });
});

async function certificateName(pem: string): Promise<{ issuer: string }> {
  const { X509Certificate } = await import('node:crypto');
  return { issuer: new X509Certificate(pem).issuer.replace(/^CN=/, '') };
}
