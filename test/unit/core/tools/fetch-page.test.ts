// A fetched page is bounded in size, time and redirects, and read as text without harm.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StewardError } from '../../../../core/errors.ts';
import { type FetchLimits, fetchPage } from '../../../../core/tools/fetch-page.ts';
import { createGuard } from '../../../../core/tools/guard.ts';
import { createWebFetch } from '../../../../core/tools/web-fetch.ts';
import type { Session } from '../../../../core/types.ts';

const MB = 1024 * 1024;
/** Packed once: doing it while a page is waited for would count as the page's time. */
const BOMB = gzipSync(Buffer.alloc(100 * MB));
const limits: FetchLimits = { bytes: MB, ms: 400, redirects: 3 };
const seen: IncomingMessage[] = [];
let server: Server;
let port = 0;
/** What /nested answers. */
let nested = '';

const pages: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  '/plain': (_, response) => response.setHeader('content-type', 'Text/Plain; charset=utf-8').end('hello'),
  '/gzip': (_, response) => response.setHeader('content-encoding', 'gzip').end(gzipSync('packed')),
  '/deflate': (_, response) => response.setHeader('content-encoding', 'deflate').end(deflateSync('packed')),
  '/br': (_, response) => response.setHeader('content-encoding', 'BR').end(brotliCompressSync('packed')),
  '/bomb': (_, response) => response.setHeader('content-encoding', 'gzip').end(BOMB),
  '/broken': (_, response) => response.setHeader('content-encoding', 'gzip').end('this is not gzip'),
  '/endless': (_, response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
    };
    response.on('drain', more);
    more();
  },
  '/silent': () => {},
  '/stalls': (_, response) => void response.write('a beginning'),
  '/drips': (_, response) => {
    const timer = setInterval(() => response.write('.'), 50);
    response.on('close', () => clearInterval(timer));
  },
  '/drop': (request) => void request.socket.destroy(),
  '/cut': (request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('half');
    setTimeout(() => request.socket.destroy(), 20);
  },
  '/here': (_, response) => response.writeHead(302, { location: '/plain' }).end(),
  '/loop': (_, response) => response.writeHead(302, { location: '/loop' }).end(),
  '/away': (_, response) => response.writeHead(302, { location: `http://localhost:${port}/plain` }).end(),
  '/file': (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/nowhere': (_, response) => response.writeHead(302, { location: 'http://[' }).end(),
  '/metadata': (_, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
  '/missing': (_, response) => response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Gone</h1>'),
  '/html': (_, response) =>
    response
      .setHeader('content-type', 'text/html')
      .end(
        '<html><script>evil()</script><style>p{}</style><p>Hello <a href="/x">there</a></p><img src="http://a.example/p.png">',
      ),
  '/nested': (_, response) => response.setHeader('content-type', 'text/html').end(nested),
  '/image': (_, response) => response.setHeader('content-type', 'image/png').end(Buffer.alloc(10)),
  '/surrogate': (_, response) =>
    response.setHeader('content-type', 'text/plain').end(Buffer.from([0x61, 0xed, 0xa0, 0x80, 0xff, 0x62])),
};

beforeAll(async () => {
  server = createServer((request, response) => {
    seen.push(request);
    const page = pages[new URL(request.url!, 'http://x').pathname];
    if (page) page(request, response);
    else response.writeHead(500).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const base = () => `http://127.0.0.1:${port}`;
const guard = () => createGuard([`127.0.0.1:${port}`]);
const get = (path: string, change: Partial<FetchLimits> = {}, signal = new AbortController().signal) =>
  fetchPage(`${base()}${path}`, guard(), { ...limits, ...change }, signal);
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'nothing was thrown',
    (error: StewardError) => error.code,
  );

describe('a page', () => {
  it('comes with its type and status, and nothing of ours goes with the request', async () => {
    expect(await get('/plain')).toMatchObject({
      status: 200,
      mediaType: 'text/plain',
      body: Buffer.from('hello'),
      cut: false,
    });
    const { headers } = seen.at(-1)!;
    expect(Object.keys(headers).sort()).toEqual(['accept', 'accept-encoding', 'connection', 'host', 'user-agent']);
  });

  it.each(['/gzip', '/deflate', '/br'])('is unpacked: %s', async (path) => {
    expect((await get(path)).body.toString()).toBe('packed');
  });

  it('is followed on its own host, and no further', async () => {
    expect((await get('/here')).body.toString()).toBe('hello');
    const before = seen.length;
    const away = await get('/away');
    expect(away.body.toString()).toContain(`Redirects to another host: http://localhost:${port}/plain`);
    expect(seen.length).toBe(before + 1);
    expect((await get('/metadata')).body.toString()).toContain('another host');
    expect((await get('/file')).body.toString()).toContain('another host');
  });
});

describe('bounds', () => {
  it.each(['/bomb', '/endless'])('in size: %s', async (path) => {
    const began = performance.now();
    const page = await get(path, { ms: 5_000 });
    expect([page.cut, page.body.length]).toEqual([true, MB]);
    expect(performance.now() - began).toBeLessThan(3_000);
  });

  it.each(['/silent', '/stalls', '/drips'])('in time: %s', async (path) => {
    const began = performance.now();
    await expect(get(path)).rejects.toThrow('it took more than 0.4 seconds');
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  it('in redirects', async () => {
    expect(await codeOf(get('/loop'))).toBe('invalid');
  });

  it('by the run: it ends when told to', async () => {
    const stop = new AbortController();
    const page = get('/silent', { ms: 60_000 }, stop.signal);
    setTimeout(() => stop.abort(), 20);
    expect(await codeOf(page)).toBe('unavailable');
  });
});

describe('failures are named', () => {
  it.each([
    ['/drop', 'unavailable'],
    ['/cut', 'unavailable'],
    ['/broken', 'unavailable'],
    ['/nowhere', 'unavailable'],
  ])('%s', async (path, code) => {
    expect(await codeOf(get(path))).toBe(code);
  });

  it('no URL, no port, and a guarded address', async () => {
    const signal = new AbortController().signal;
    expect(await codeOf(fetchPage('not a url', guard(), limits, signal))).toBe('invalid');
    expect(await codeOf(fetchPage('http://127.0.0.1:1/', createGuard(['127.0.0.1:1']), limits, signal))).toBe(
      'unavailable',
    );
    expect(await codeOf(fetchPage(`${base()}/plain`, createGuard([]), limits, signal))).toBe('forbidden');
    expect(await codeOf(fetchPage(`http://localhost:${port}/plain`, createGuard([]), limits, signal))).toBe(
      'forbidden',
    );
    expect(await codeOf(fetchPage('file:///etc/passwd', guard(), limits, signal))).toBe('forbidden');
  });
});

describe('web_fetch', () => {
  const context = { callId: 'c', session: {} as Session, replyTo: [], signal: new AbortController().signal };
  const read = async (path: string) => {
    const tool = createWebFetch({ guard: guard() });
    const result = await tool.run({ url: `${base()}${path}` }, context);
    const [block] = result.content;
    return { ...result, text: block?.type === 'text' ? block.text : '' };
  };

  it('reads a page as text, without scripts and pictures, and taints', async () => {
    const { text, tainted, isError } = await read('/html');
    expect(text).toMatch(/Hello there/);
    expect(text).not.toMatch(/evil|p\{\}|p\.png/);
    expect([tainted, isError]).toEqual([true, false]);
  });

  it('keeps the beginning of a long page, and says so', async () => {
    nested = `<p>first ${'word '.repeat(40_000)} last`;
    const { text } = await read('/nested');
    expect(text).toMatch(/^http.*\nHTTP 200, only the first 90000 of \d+ characters\n\nfirst/);
    expect(text).not.toContain('last');
  });

  it('an error page is an error, and taints as well', async () => {
    expect(await read('/missing')).toMatchObject({
      isError: true,
      tainted: true,
      text: expect.stringContaining('HTTP 404'),
    });
  });

  it('bytes that are no text are not shown as text', async () => {
    expect((await read('/image')).text).toContain('(image/png, 10 bytes: not text)');
    expect((await read('/surrogate')).text.isWellFormed()).toBe(true);
  });

  it.each([
    ['<div>', 200_000],
    ['<DIV class="a/b">', 60_000],
    ['<ul><li>', 100_000],
    ['<b', 400_000],
    ['<a x=', 400_000],
    ['</x>', 300_000],
  ])('is not held up by %s without end', async (tag, times) => {
    nested = tag.repeat(times);
    const began = performance.now();
    await read('/nested');
    expect(performance.now() - began).toBeLessThan(2_500);
  });

  it('reads ordinary pages in full, also those that close nothing', async () => {
    nested = `<table>${'<tr><td>cell<br><img src=x>'.repeat(3_000)}</table><svg>${'<path d="M0"/>'.repeat(3_000)}</svg><p>${'<p>word'.repeat(3_000)}<p>last`;
    expect((await read('/nested')).text).toMatch(/cell[\s\S]*last/);
  });

  it('acts on the host of its URL, whatever is written around it', () => {
    const tool = createWebFetch({ guard: guard() });
    const host = (url: string) => tool.action({ url });
    expect(host('HTTPS://User:pass@EXAMPLE.org:8443/x?y#z')).toEqual({ type: 'fetch', host: 'example.org' });
    expect(host('http://2130706433/')).toEqual({ type: 'fetch', host: '127.0.0.1' });
    expect(tool.parse({ url: 'http://x', extra: 1 }).ok).toBe(false);
    expect(tool.parse({}).ok).toBe(false);
  });
});
