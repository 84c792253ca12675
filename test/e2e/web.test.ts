// The door of the process as a browser, a program and an attacker find it: signing in, Host and Origin, headers, bodies.
import { execFileSync } from 'node:child_process';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allowedHosts, judgeOrigin } from '../../channels/web/auth.ts';
import { type StewardProcess, startSteward } from '../helpers/process.ts';
import {
  AGENT,
  ask,
  ENVIRONMENT,
  eventsOf,
  newSession,
  request,
  says,
  send,
  stream,
  textOf,
  untilIdle,
} from '../helpers/talk.ts';

/** The door of the process as a browser, a program and an attacker find it. The model is the offline one. */
let steward: StewardProcess;
beforeAll(async () => {
  steward = await startSteward();
});
afterAll(() => steward?.stop());

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** A request whose every header, also Host and Origin, is what the test says. */
function raw(
  path: string,
  headers: Record<string, string> = {},
  options: { method?: string; body?: string | Buffer } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(steward.url);
  return new Promise((resolve, reject) => {
    const out = httpRequest(
      { hostname, port, path, method: options.method ?? 'GET', headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
        response.on('error', reject);
      },
    );
    // A server that refuses a body answers before it has read it: the answer counts, not the broken pipe.
    out.on('error', (error) => setTimeout(reject, 200, error));
    out.end(options.body);
  });
}

/** What the server says to these bytes, until one side closes. */
function spoken(bytes: string): Promise<string> {
  const { hostname, port } = new URL(steward.url);
  return new Promise((resolve) => {
    let seen = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.on('data', (chunk) => {
      seen += chunk;
      socket.end();
    });
    socket.on('error', () => resolve(seen));
    socket.on('close', () => resolve(seen));
  });
}

const host = () => new URL(steward.url).host;
const key = () => ({ 'x-api-key': steward.token });

/** Signs a browser in by a one-time link and returns its cookie. */
async function signIn(): Promise<string> {
  const link = await request(steward, '/api/login-links', { method: 'POST' });
  const url = new URL(link.body.url as string);
  const answer = await raw(url.pathname + url.search);
  return String(answer.headers['set-cookie']?.[0]).split(';')[0]!;
}

describe('signing in', () => {
  it('takes the token in either header, and nothing else', async () => {
    expect((await raw('/api/status', key())).status).toBe(200);
    expect((await raw('/api/status', { authorization: `Bearer ${steward.token}` })).status).toBe(200);
    for (const headers of [
      {},
      { 'x-api-key': '' },
      { 'x-api-key': `${steward.token}x` },
      { 'x-api-key': steward.token.slice(0, -1) },
      { authorization: steward.token },
      { authorization: `Basic ${Buffer.from(`owner:${steward.token}`).toString('base64')}` },
      { cookie: `steward_${new URL(steward.url).port}=${steward.token}` },
      { 'x-forwarded-for': '127.0.0.1', 'x-real-ip': '127.0.0.1', 'x-steward-role': 'owner' },
    ] as Record<string, string>[])
      expect((await raw('/api/status', headers)).status, JSON.stringify(headers)).toBe(401);
    expect((await raw(`/api/status?token=${steward.token}&x-api-key=${steward.token}`)).status).toBe(401);
  });

  it('guards every resource, however its path is written', async () => {
    for (const path of [
      '/v1/sessions',
      '/v1/agents',
      '/v1/x',
      '/api/approvals',
      '/api/settings',
      '/metrics',
      '/v1/sessions/x/events/stream',
      '/%76%31/sessions',
      '/v1%2Fsessions',
      '/v1/./sessions',
      '/assets/../v1/sessions',
      '/assets/%2e%2e/v1/sessions',
      '//v1/sessions',
      '/v1//sessions',
      '/V1/sessions',
      '/v1/sessions/',
      '/v1/sessions;x',
      '/api',
    ])
      for (const method of ['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'HEAD']) {
        const answer = await raw(path, {}, { method });
        expect([401, 404], `${method} ${path}: ${answer.status}`).toContain(answer.status);
        expect(answer.text).not.toMatch(/"data"|sesn_/);
      }
    expect((await raw('/healthz')).text).toBe('{"ok":true}');
    expect((await raw('/readyz')).status).toBe(200);
    expect((await raw('/metrics', key())).text).toContain('steward_ready 1');
  });

  it('a login link works once, and its cookie is out of reach of scripts and other sites', async () => {
    const link = await request(steward, '/api/login-links', { method: 'POST' });
    expect(Date.parse(link.body.expires_at as string) - Date.now()).toBeLessThanOrEqual(15 * 60_000);
    const url = new URL(link.body.url as string);
    expect(url.origin).toBe(steward.url);
    const first = await raw(url.pathname + url.search);
    expect([first.status, first.headers.location]).toEqual([303, '/']);
    const set = first.headers['set-cookie']![0]!;
    expect(set).toMatch(/HttpOnly/i);
    expect(set).toMatch(/SameSite=Strict/i);
    expect(set).toMatch(/Path=\//i);
    const cookie = set.split(';')[0]!;
    expect((await raw('/api/status', { cookie })).status).toBe(200);
    const second = await raw(url.pathname + url.search);
    expect([second.status, second.headers.location, second.headers['set-cookie']]).toEqual([
      303,
      '/#/login-failed',
      undefined,
    ]);
  });

  it('a browser cannot make login links, a program can', async () => {
    const cookie = await signIn();
    expect((await raw('/api/login-links', { cookie, origin: steward.url }, { method: 'POST' })).status).toBe(403);
  });

  it('signing out ends the cookie and the streams that were opened with it', async () => {
    const cookie = await signIn();
    const other = await signIn();
    const session = await newSession(steward);
    const ended = Promise.all(
      [cookie, other].map(async (each) => {
        const seen: string[] = [];
        const end = new AbortController();
        const timer = setTimeout(() => end.abort(), 3_000);
        for await (const { id, data } of stream(steward, session, {
          after: 0,
          headers: { cookie: each },
          signal: end.signal,
        }))
          if (id !== null) {
            seen.push(textOf(data));
            if (seen.includes('after the sign-out')) end.abort();
          }
        clearTimeout(timer);
        return seen;
      }),
    );
    await ask(steward, session, 'before the sign-out');
    expect((await raw('/api/logout', { cookie, origin: steward.url }, { method: 'POST' })).status).toBe(200);
    expect((await raw('/api/status', { cookie })).status).toBe(401);
    await send(steward, session, says('after the sign-out'));
    const [out, still] = await ended;
    expect(out).not.toContain('after the sign-out');
    expect(still).toContain('after the sign-out');
  });

  it('guessing is slowed down, and the right token still passes', async () => {
    const own = await startSteward();
    try {
      const statuses = [];
      for (let n = 0; n < 30; n++) statuses.push((await request({ ...own, token: `wrong${n}` }, '/api/status')).status);
      expect(statuses.slice(0, 20)).toEqual(Array(20).fill(401));
      expect(statuses.slice(20)).toEqual(Array(10).fill(429));
      expect((await fetch(`${own.url}/login?code=guess`, { redirect: 'manual' })).status).toBe(429);
      expect((await request(own, '/api/status')).status).toBe(200);
    } finally {
      await own.stop();
    }
  });
});

describe('Host and Origin', () => {
  it.each([
    'evil.example',
    'evil.example:PORT',
    '127.0.0.1',
    '127.0.0.1:1',
    'localhost',
    'localhost.:PORT',
    '127.0.0.1.evil.example:PORT',
    '0.0.0.0:PORT',
    '127.1:PORT',
    '2130706433:PORT',
    '[::]:PORT',
  ])('a foreign Host is refused: %s', async (name) => {
    const real = name.replace('PORT', new URL(steward.url).port);
    for (const path of ['/', '/healthz', '/api/status', '/login?code=x'])
      expect((await raw(path, { host: real, ...key() })).status, path).toBe(403);
  });

  it('no Host, an empty one, and two are refused', async () => {
    for (const lines of [
      'Host: [::ffff:127.0.0.1]\r\n',
      `Host: user@${host()}\r\n`,
      '',
      'Host:\r\n',
      'Host: \r\n',
      `Host: evil.example\r\nHost: ${host()}\r\n`,
    ])
      for (const version of ['1.0', '1.1'])
        expect(
          await spoken(`GET /api/status HTTP/${version}\r\n${lines}x-api-key: ${steward.token}\r\n\r\n`),
          lines,
        ).toMatch(/^HTTP\/1\.1 (400|403)/);
  });

  it('our names are answered, in any case', async () => {
    const port = new URL(steward.url).port;
    for (const name of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`])
      expect((await raw('/api/status', { host: name, ...key() })).status, name).toBe(200);
  });

  it('forwarded names change nothing', async () => {
    const headers = {
      ...key(),
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      forwarded: 'host=evil.example',
    };
    expect((await raw('/api/status', headers)).status).toBe(200);
    expect((await raw('/api/status', { host: 'evil.example', 'x-forwarded-host': host(), ...key() })).status).toBe(403);
    const link = await raw('/api/login-links', headers, { method: 'POST' });
    expect(new URL(JSON.parse(link.text).url).origin).toBe(steward.url);
  });

  it.each([
    'http://evil.example',
    'null',
    'https://127.0.0.1',
    'file://',
    'chrome-extension://abc',
    'http://127.0.0.1.evil.example',
    'HOST-as-https',
    'http://user@HOST.evil',
    '',
  ])('another origin is refused, also for reading: %s', async (origin) => {
    const cookie = await signIn();
    const real = origin === 'HOST-as-https' ? `https://${host()}` : origin.replace('HOST', host());
    for (const [path, method] of [
      ['/api/status', 'GET'],
      ['/v1/sessions', 'POST'],
      ['/api/main/new', 'POST'],
    ] as const) {
      expect((await raw(path, { cookie, origin: real }, { method })).status, `${method} ${path}`).toBe(403);
      expect((await raw(path, { ...key(), origin: real }, { method })).status, `${method} ${path}`).toBe(403);
    }
  });

  it('a change by cookie needs proof that our own page sent it', async () => {
    const cookie = await signIn();
    const body = JSON.stringify({ agent: AGENT, environment_id: ENVIRONMENT });
    const post = (headers: Record<string, string>) =>
      raw('/v1/sessions', { cookie, ...headers }, { method: 'POST', body });
    // A form, `no-cors` and a beacon from another page send the cookie at most, and these headers.
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json',
    ])
      for (const site of [
        {},
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site' },
        { 'sec-fetch-site': 'none' },
      ] as Record<string, string>[])
        expect((await post({ 'content-type': type, ...site })).status, `${type} ${JSON.stringify(site)}`).toBe(403);
    expect((await post({ 'content-type': 'application/json', origin: steward.url })).status).toBe(200);
    expect((await post({ 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' })).status).toBe(200);
    for (const method of ['PUT', 'DELETE', 'PATCH'])
      expect((await raw('/api/settings', { cookie }, { method })).status, method).toBe(403);
  });

  it('no other site is told that it may read anything', async () => {
    for (const method of ['OPTIONS', 'GET'])
      for (const headers of [{}, { origin: 'http://evil.example', 'access-control-request-method': 'POST' }] as Record<
        string,
        string
      >[]) {
        const answer = await raw('/api/status', { ...key(), ...headers }, { method });
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
      }
  });

  it('the rule catches what a looser one lets through', () => {
    const hosts = allowedHosts('127.0.0.1', 4620);
    const ask = { host: '127.0.0.1:4620', origin: undefined, fetchSite: undefined, method: 'POST', byCookie: true };
    expect(judgeOrigin(ask, hosts).kind).toBe('refused');
    expect(judgeOrigin({ ...ask, byCookie: false }, hosts).kind).toBe('ok');
    expect(judgeOrigin({ ...ask, method: 'GET' }, hosts).kind).toBe('ok');
    expect(judgeOrigin({ ...ask, host: 'evil.example:4620', byCookie: false }, hosts).kind).toBe('refused');
    expect(
      judgeOrigin({ ...ask, host: 'evil.example:4620', byCookie: false }, new Set([...hosts, 'evil.example:4620']))
        .kind,
    ).toBe('ok');
    expect(allowedHosts('::', 80)).toEqual(
      new Set(['127.0.0.1', '127.0.0.1:80', 'localhost', 'localhost:80', '[::1]', '[::1]:80']),
    );
    expect(allowedHosts('192.168.1.5', 1)).toContain('192.168.1.5:1');
  });
});

describe('what a browser is told', () => {
  it('on every answer: no foreign script, no picture from elsewhere, no frame, no referrer, no sniffing', async () => {
    for (const [path, headers] of [
      ['/', {}],
      ['/api/status', key()],
      ['/v1/sessions', {}],
      ['/nothing', {}],
      ['/login?code=x', {}],
      ['/healthz', {}],
    ] as const) {
      const answer = await raw(path, headers);
      const policy = String(answer.headers['content-security-policy']);
      expect(policy, path).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self'");
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      expect(policy).toMatch(/img-src 'self' data: blob:(;|$)/);
      expect(policy).toContain("frame-ancestors 'none'");
      expect(answer.headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
      });
    }
  });

  it('an error echoes nothing as HTML', async () => {
    const answer = await raw('/%3Cscript%3Ealert(1)%3C/script%3E', key());
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    const code = await raw('/login?code=%3Cscript%3E');
    expect(code.text).not.toContain('<script>');
  });

  it('no file outside the console is served', async () => {
    for (const path of [
      '/../package.json',
      '/..%2f..%2fpackage.json',
      '/assets/..%5c..%5cpackage.json',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/assets/....//package.json',
      '/index.html%00.png',
      '/.env',
      '/token',
    ])
      expect((await raw(path)).status, path).toBe(404);
  });

  it('listens on this machine alone', () => {
    const port = new URL(steward.url).port;
    const lines = execFileSync('cat', ['/proc/net/tcp', '/proc/net/tcp6'], { encoding: 'utf8' })
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && Number.parseInt(fields[1]!.split(':')[1]!, 16) === Number(port))
      .map((fields) => fields[1]!.split(':')[0]);
    expect(lines).toEqual(['0100007F']);
  });
});

describe('bodies', () => {
  const post = (path: string, body: string | Buffer, headers: Record<string, string> = {}) =>
    raw(path, { ...key(), 'content-type': 'application/json', ...headers }, { method: 'POST', body });
  const eventsPath = async () => `/v1/sessions/${await newSession(steward)}/events`;
  const message = (text: string) => JSON.stringify({ events: [says(text)] });

  it.each([
    ['nothing', ''],
    ['half an object', '{"events": ['],
    ['text', 'hello'],
    ['null', 'null'],
    ['a number', '1'],
    ['a list', '[]'],
    ['JSON with a comma too many', '{"events": [],}'],
    ['binary', Buffer.from([0, 1, 2, 0xff, 0xfe, 0x80])],
    ['UTF-16', Buffer.from(`\ufeff${'{"events":[]}'}`, 'utf16le')],
    ['a list nested without end', '['.repeat(500_000)],
    ['a closed list nested without end', `{"events":${'['.repeat(300_000)}${']'.repeat(300_000)}}`],
    ['an object nested without end', `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`],
    ['a prototype', '{"__proto__": {"events": []}}'],
  ])('%s is refused as what it is', async (_, body) => {
    const answer = await post(await eventsPath(), body);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } });
  });

  it('nesting in a field that takes any shape is refused too', async () => {
    const deep = `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`;
    const agent = `{"name":"x","model":"m","tools":[{"type":"custom","name":"t","description":"d","input_schema":{"type":"object","properties":${deep}}}]}`;
    expect((await post('/v1/agents', agent)).status).toBe(400);
  });

  it('ten megabytes are refused, with and without a length said before', async () => {
    const body = message('x'.repeat(10 * 1024 * 1024));
    const path = await eventsPath();
    const whole = await request(steward, path, { body });
    expect([whole.status, whole.body.error]).toEqual([413, expect.objectContaining({ type: 'request_too_large' })]);
    const stream = new Blob([body]).stream();
    const init = { method: 'POST', headers: key(), body: stream, duplex: 'half' } as RequestInit;
    expect((await fetch(`${steward.url}${path}`, init)).status).toBe(413);
    expect((await raw('/api/status', key())).status).toBe(200);
  });

  it('an unauthenticated body is not even read', async () => {
    const chunk = '4\r\n{"a"\r\n';
    const answer = await spoken(
      `POST /v1/sessions HTTP/1.1\r\nHost: ${host()}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 401/);
  });

  it('a large picture is taken', async () => {
    const data = Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47]), Buffer.alloc(4 * 1024 * 1024)]).toString(
      'base64',
    );
    const event = {
      type: 'user.message',
      content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data } }],
    };
    const path = await eventsPath();
    expect((await post(path, JSON.stringify({ events: [event] }))).status).toBe(200);
  });

  it('half a surrogate pair is stored as text that everybody takes back', async () => {
    const id = await newSession(steward);
    const answer = await post(
      `/v1/sessions/${id}/events`,
      '{"events":[{"type":"user.message","content":[{"type":"text","text":"a\\ud800b \\udc00 \\u0000 end"}]}]}',
    );
    expect(answer.status).toBe(200);
    await untilIdle(steward, id);
    const texts = (await eventsOf(steward, id)).filter((event) => event.type.endsWith('.message')).map(textOf);
    expect(texts[0]).toBe('a\ufffdb \ufffd \u0000 end');
    expect(texts.every((text) => text.isWellFormed())).toBe(true);
    expect(texts.length).toBe(2);
    const title = await request(steward, `/v1/sessions/${id}`, {
      body: { title: 'x\ud800', metadata: { 'k\ud800': '\udc00' } },
    });
    expect(title.status).toBe(200);
    expect((await request(steward, `/v1/sessions/${id}`)).status).toBe(200);
  });

  it('one very long word is answered while everything else goes on', async () => {
    const id = await newSession(steward);
    await send(steward, id, says('a'.repeat(900_000)));
    const began = performance.now();
    expect((await raw('/healthz')).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(2_000);
    await untilIdle(steward, id);
  });

  it('slow and unfinished requests hold nobody up', async () => {
    const { hostname, port } = new URL(steward.url);
    const sockets = Array.from({ length: 200 }, (_, n) => {
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      socket.write(
        n % 2
          ? 'GET /api/status HTTP/1.1\r\nHost: '
          : `POST /v1/sessions HTTP/1.1\r\nHost: ${host()}\r\nx-api-key: ${steward.token}\r\nContent-Length: 1000\r\n\r\n{"agent"`,
      );
      return socket;
    });
    const began = performance.now();
    expect((await ask(steward, await newSession(steward), 'hello')).texts.length).toBe(1);
    expect(performance.now() - began).toBeLessThan(3_000);
    for (const socket of sockets) socket.destroy();
  });

  it('what is no HTTP ends with the connection', async () => {
    for (const bytes of [
      'GARBAGE\r\n\r\n',
      `GET / HTTP/1.1\r\nHost: ${host()}\r\nHost: evil\r\n\r\n`,
      `POST /v1/sessions HTTP/1.1\r\nHost: ${host()}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: ${host()}\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`,
    ]) {
      const text = await spoken(bytes);
      expect(text).not.toMatch(/^HTTP\/1\.1 (200|500)/);
    }
    expect((await raw('/healthz')).status).toBe(200);
  });
});

describe('odds and ends', () => {
  it('a method or a path that is not there is told as such', async () => {
    for (const [method, path] of [
      ['PUT', '/v1/sessions'],
      ['GET', '/v1/nothing'],
      ['DELETE', '/api/status'],
      ['POST', '/api/x'],
    ] as const)
      expect((await raw(path, key(), { method })).status, `${method} ${path}`).toBe(404);
  });

  it('HEAD on a login link does not use it up for the person who follows it', async () => {
    const link = await request(steward, '/api/login-links', { method: 'POST' });
    const url = new URL(link.body.url as string);
    await raw(url.pathname + url.search, {}, { method: 'HEAD' });
    expect((await raw(url.pathname + url.search)).headers['set-cookie']).toBeDefined();
  });

  it('no answer and no log line holds the token', async () => {
    for (const path of ['/api/status', '/api/settings', '/metrics', '/readyz', '/v1/agents'])
      expect((await raw(path, key())).text).not.toContain(steward.token);
    expect(steward.output()).not.toContain(steward.token);
  });
});
