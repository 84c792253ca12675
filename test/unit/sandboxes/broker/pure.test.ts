// The pure parts of the broker: hellos, targets, headers, credentials, replacing, routes, pages, the machine's configuration.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of npm.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { connect as tlsConnect } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { certificatesFor } from '../../../../sandboxes/broker/certificates.ts';
import { readHello } from '../../../../sandboxes/broker/client-hello.ts';
import { credentialsOf, dress, maskText, secretsOf } from '../../../../sandboxes/broker/credentials.ts';
import { environment } from '../../../../sandboxes/broker/environment.ts';
import { endToEnd } from '../../../../sandboxes/broker/headers.ts';
import { registriesOf } from '../../../../sandboxes/broker/machine.ts';
import { simplePage, tarballPairs } from '../../../../sandboxes/broker/registries.ts';
import { createReplacer, masker } from '../../../../sandboxes/broker/replacer.ts';
import { createRoutes } from '../../../../sandboxes/broker/routes.ts';
import { pauseAfter } from '../../../../sandboxes/broker/supervisor.ts';
import { parseAuthority, parseTarget } from '../../../../sandboxes/broker/target.ts';
import type { Injected } from '../../../../sandboxes/broker/wire.ts';
import { OFFLINE } from './rig.ts';

/** The first bytes a real client sends. */
async function helloOf(servername: string | undefined): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = tlsConnect({ port, host: '127.0.0.1', ...(servername === undefined ? {} : { servername }) });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [bytes] = await once(socket, 'data');
  socket.destroy();
  client.destroy();
  server.close();
  return bytes as Buffer;
}

describe('the hello of TLS', () => {
  it('names its host, however it is cut', async () => {
    const hello = await helloOf('Name.Example.test');
    expect(readHello(hello)).toEqual({ kind: 'tls', name: 'name.example.test' });
    for (let cut = 0; cut < hello.length; cut++) expect(readHello(hello.subarray(0, cut))).toEqual({ kind: 'more' });
    expect(readHello(Buffer.concat([hello, Buffer.from('more')]))).toEqual({ kind: 'tls', name: 'name.example.test' });
  });

  it('is put together from several records', async () => {
    const hello = await helloOf('split.test');
    const body = hello.subarray(5);
    const record = (part: Buffer) =>
      Buffer.concat([Buffer.from([0x16, 3, 1, part.length >> 8, part.length & 255]), part]);
    const split = Buffer.concat([
      record(body.subarray(0, 40)),
      record(body.subarray(40, 41)),
      record(body.subarray(41)),
    ]);
    expect(readHello(split)).toEqual({ kind: 'tls', name: 'split.test' });
  });

  it('may name nobody', async () => {
    expect(readHello(await helloOf(undefined))).toEqual({ kind: 'tls', name: null });
  });

  it('is told from everything else', () => {
    expect(readHello(Buffer.from('GET / HTTP/1.1\r\n'))).toEqual({ kind: 'other' });
    expect(readHello(Buffer.from('SSH-2.0-OpenSSH_9'))).toEqual({ kind: 'other' });
    expect(readHello(Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 0]))).toEqual({ kind: 'other' });
  });

  it('never fails and never asks for more without end', async () => {
    const hello = await helloOf('fuzz.test');
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
        const bytes = Buffer.from(hello);
        for (const [at, value] of changes) bytes[at] = value;
        expect(['more', 'other', 'tls']).toContain(readHello(bytes).kind);
        expect(readHello(Buffer.concat([bytes, Buffer.alloc(70_000, 0x16)])).kind).not.toBe('more');
      }),
    );
  });
});

describe('targets', () => {
  it.each([
    ['http://Example.ORG/a', { scheme: 'http', host: 'example.org', port: 80, path: '/a' }],
    ['https://example.org.:8443/a/../b?c#d', { scheme: 'https', host: 'example.org', port: 8443, path: '/b?c' }],
    ['http://2130706433/', { scheme: 'http', host: '127.0.0.1', port: 80, path: '/' }],
    ['http://0x7f.1/', { scheme: 'http', host: '127.0.0.1', port: 80, path: '/' }],
    ['http://user:pw@a.test/', { scheme: 'http', host: 'a.test', port: 80, path: '/' }],
    ['http://[0:0:0:0:0:ffff:7f00:1]/', { scheme: 'http', host: '::ffff:7f00:1', port: 80, path: '/' }],
    ['http://a.test/%2e%2e/x/%2E./y', { scheme: 'http', host: 'a.test', port: 80, path: '/y' }],
    ['ftp://a.test/', null],
    ['http://', null],
    ['nonsense', null],
  ])('%s', (url, target) => {
    expect(parseTarget(url)).toEqual(target);
  });

  it.each([
    ['a.test:443', { host: 'a.test', port: 443 }],
    ['A.TEST.:443', { host: 'a.test', port: 443 }],
    ['[::1]:443', { host: '::1', port: 443 }],
    ['2852039166:80', { host: '169.254.169.254', port: 80 }],
    ['a.test', null],
    ['a.test:0', null],
    ['a.test:65536', null],
    ['user@a.test:443', null],
    ['a.test:443/x', null],
    ['a.test:443@b.test:443', null],
    ['::1:443', null],
    ['a b:443', null],
  ])('authority %s', (text, authority) => {
    expect(parseAuthority(text)).toEqual(authority);
  });
});

describe('headers', () => {
  it('of one connection stay on it, the named ones too', () => {
    const raw = [
      'Host',
      'a',
      'Connection',
      'close, X-Secret',
      'X-Secret',
      '1',
      'X-Other',
      '2',
      'Proxy-Authorization',
      'p',
    ];
    expect(endToEnd([...raw, 'TE', 'trailers', 'Keep-Alive', 'x', 'Transfer-Encoding', 'chunked'])).toEqual([
      'Host',
      'a',
      'X-Other',
      '2',
    ]);
  });

  it('that frame the body cannot be taken away by naming them', () => {
    expect(endToEnd(['Connection', 'content-length, host', 'Content-Length', '3', 'Host', 'a'])).toEqual([
      'Content-Length',
      '3',
      'Host',
      'a',
    ]);
  });
});

describe('credentials', () => {
  const target = { scheme: 'https', host: 'api.test', port: 443, path: '/v1/x' } as const;
  const one: Injected = { id: 'c1', hosts: ['api.test'], header: 'Authorization', value: 'Bearer sk-0123456789' };
  const raw = ['Accept', '*/*', 'authorization', 'mine', 'X-Api-Key', 'mine', 'Cookie', 'mine', 'X-Trace', 'kept'];

  it.each([
    [['api.test'], 'api.test', 443, true],
    [['*.test'], 'api.test', 443, true],
    [['api.test:8443'], 'api.test', 8443, true],
    [['api.test:8443'], 'api.test', 443, false],
    [['[::1]:8443'], '::1', 8443, true],
    [['::1'], '::1', 8443, true],
    [['other.test'], 'api.test', 443, false],
  ])('%s for %s:%d: %s', (hosts, host, port, found) => {
    expect(credentialsOf([{ ...one, hosts }], host, port)).toHaveLength(found ? 1 : 0);
  });

  it('take the place of everything the program proves itself with', () => {
    expect(dress(raw, [one], target).headers).toEqual([
      'Accept',
      '*/*',
      'X-Trace',
      'kept',
      'Authorization',
      'Bearer sk-0123456789',
    ]);
  });

  it('never go over plain HTTP, and nothing of the program goes either', () => {
    const dressed = dress(raw, [one], { ...target, scheme: 'http' });
    expect(dressed).toEqual({ headers: ['Accept', '*/*', 'X-Trace', 'kept'], secrets: [], used: [] });
  });

  it('stay away from other paths', () => {
    const limited = { ...one, paths: ['/v2'] };
    expect(dress(raw, [limited], target)).toEqual({
      headers: ['Accept', '*/*', 'X-Trace', 'kept'],
      secrets: [],
      used: [],
    });
  });

  it('of one header: the first counts; of several: all', () => {
    const key = { ...one, id: 'c2', header: 'X-Api-Key', value: 'key-0123456789' };
    const second = { ...one, id: 'c3', value: 'Bearer other-secret' };
    const dressed = dress(raw, [one, key, second], target);
    expect(dressed.headers.slice(4)).toEqual(['Authorization', 'Bearer sk-0123456789', 'X-Api-Key', 'key-0123456789']);
    expect(dressed.used).toEqual(['c1', 'c2']);
  });

  it.each([
    ['in their own header', ['Authorization', 'token PLACE-1'], ['Authorization', 'Bearer sk-0123456789']],
    ['in another one', ['PRIVATE-TOKEN', 'PLACE-1'], ['PRIVATE-TOKEN', 'sk-0123456789']],
    [
      'inside a Basic pair of another header',
      ['X-Auth', `Basic ${Buffer.from('me:PLACE-1').toString('base64')}`],
      ['X-Auth', `Basic ${Buffer.from('me:sk-0123456789').toString('base64')}`],
    ],
    [
      'inside a Basic pair of their own',
      ['Authorization', `Basic ${Buffer.from('x:PLACE-1').toString('base64')}`],
      ['Authorization', 'Bearer sk-0123456789'],
    ],
    ['not at all', ['Authorization', 'Bearer PLACE-2'], []],
  ])('with a placeholder go where it stands: %s', (_, given, sent) => {
    expect(dress(given, [{ ...one, placeholder: 'PLACE-1' }], target).headers).toEqual(sent);
  });

  it('that may go anywhere go only where their placeholder stands, and leave the program its own proofs', () => {
    const wide = { ...one, hosts: ['*'], placeholder: 'PLACE-1' };
    expect(credentialsOf([wide, { ...one, hosts: ['*'] }], 'any.test', 443)).toEqual([wide]);
    expect(dress(['Authorization', 'Basic mine', 'X-Key', 'PLACE-1'], [wide], target).headers).toEqual([
      'Authorization',
      'Basic mine',
      'X-Key',
      'sk-0123456789',
    ]);
  });

  it('are known in all their forms', () => {
    const pair = Buffer.from('me:hunter2-hunter2').toString('base64');
    expect(secretsOf(`Basic ${pair}`)).toEqual(
      expect.arrayContaining([pair, 'me:hunter2-hunter2', 'me%3Ahunter2-hunter2', 'hunter2-hunter2']),
    );
    expect(secretsOf('Bearer a"b-c-d-e-f')).toEqual(['a%22b-c-d-e-f', 'a\\"b-c-d-e-f', 'a"b-c-d-e-f']);
    expect(secretsOf('Bearer short')).toEqual([]);
    expect(maskText('x=sk-0123456789;', ['sk-0123456789'])).toBe('x=*************;');
  });
});

describe('replacing in a stream', () => {
  const through = async (text: string, cuts: number[], pairs: [string, string][]) => {
    const bytes = Buffer.from(text);
    const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
    const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
    const stage = createReplacer(pairs.map(([from, to]) => ({ from: Buffer.from(from), to: Buffer.from(to) })));
    return (await buffer(Readable.from(chunks.filter(({ length }) => length > 0)).pipe(stage))).toString();
  };

  it('does what replaceAll does, wherever the chunks end', async () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', 'ab', 'aab', 'c', 'é'), { maxLength: 40 })
      .map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(200), { maxLength: 12 }), async (whole, cuts) => {
        expect(await through(whole, cuts, [['aab', '<1>']])).toBe(whole.replaceAll('aab', '<1>'));
        expect(
          await through(whole, cuts, [
            ['abc', ''],
            ['é', 'e'],
          ]),
        ).toBe(whole.replaceAll(/abc|é/g, (m) => (m === 'é' ? 'e' : '')));
      }),
    );
  });

  it('does not hold back what cannot be a beginning', async () => {
    const stage = masker(['sk-secret']);
    stage.write('event: x\n\n');
    expect(String(stage.read())).toBe('event: x\n\n');
    stage.write('data: sk-');
    expect(String(stage.read())).toBe('data: ');
    stage.write('other');
    expect(String(stage.read())).toBe('sk-other');
  });
});

describe('routes', () => {
  const plain = createRoutes({});
  const where = (routes: typeof plain, path: string) => {
    const found = routes.find(path);
    if (!found) return null;
    const { scheme, host, port, path: rest } = found.target;
    return `${found.route} ${scheme}://${host}:${port}${rest} as ${found.stands.host}`;
  };

  it.each([
    ['/npm/left-pad', 'npm https://registry.npmjs.org:443/left-pad as registry.npmjs.org'],
    ['/npm/@a%2fb?x=1', 'npm https://registry.npmjs.org:443/@a%2fb?x=1 as registry.npmjs.org'],
    [
      '/left-pad/-/left-pad-1.3.0.tgz',
      'npm https://registry.npmjs.org:443/left-pad/-/left-pad-1.3.0.tgz as registry.npmjs.org',
    ],
    ['/@a/b/-/b-1.0.0.tgz', 'npm https://registry.npmjs.org:443/@a/b/-/b-1.0.0.tgz as registry.npmjs.org'],
    ['/pip/simple/six/', 'pip https://pypi.org:443/simple/six/ as pypi.org'],
    [
      '/pip/files/files.pythonhosted.org/packages/x.whl',
      'pip https://files.pythonhosted.org:443/packages/x.whl as files.pythonhosted.org',
    ],
    ['/pip/files/evil.test/x', null],
    ['/pip/files/files.pythonhosted.org@evil.test/x', null],
    [
      '/git/github.com/o/r.git/info/refs?service=git-upload-pack',
      'git https://github.com:443/o/r.git/info/refs?service=git-upload-pack as github.com',
    ],
    ['/git/git.test:8443/r', 'git https://git.test:8443/r as git.test'],
    ['/git/github.com', null],
    ['/git/a b/c', null],
    ['/anthropic/v1/messages', null],
    ['/npm/..%2fadmin', null],
    ['/', null],
    ['/other', null],
  ])('%s', (path, expected) => {
    expect(where(plain, path)).toBe(expected);
  });

  it('lead to where the owner has them served from, and stand for the same host', () => {
    const routes = createRoutes({
      npm: 'https://me:pass@mirror.home/npm-all',
      pip: 'http://10.0.0.5:3141/root/pypi/+simple/',
      anthropic: { baseURL: 'https://api.anthropic.com', headers: { 'x-api-key': 'sk' } },
    });
    expect(where(routes, '/npm/x')).toBe('npm https://mirror.home:443/npm-all/x as registry.npmjs.org');
    expect(where(routes, '/pip/simple/x/')).toBe('pip http://10.0.0.5:3141/root/pypi/+simple/x/ as pypi.org');
    expect(where(routes, '/pip/files/10.0.0.5:3141/root/f.whl')).toBe(
      'pip http://10.0.0.5:3141/root/f.whl as pypi.org',
    );
    expect(where(routes, '/anthropic/v1/messages')).toBe(
      'anthropic https://api.anthropic.com:443/v1/messages as api.anthropic.com',
    );
    expect(routes.find('/npm/x')!.headers).toEqual({
      authorization: `Basic ${Buffer.from('me:pass').toString('base64')}`,
    });
    expect(routes.named).toEqual(['mirror.home:443', '10.0.0.5:3141', 'api.anthropic.com:443']);
    expect(plain.named).toEqual([]);
  });

  it('lead back', () => {
    const back = (url: string, git = false) => plain.placeOf(new URL(url), git)?.path ?? null;
    expect(back('https://registry.npmjs.org/x/-/x-1.tgz')).toBe('/npm/x/-/x-1.tgz');
    expect(back('https://files.pythonhosted.org/packages/a.whl#sha256=1')).toBe(
      '/pip/files/files.pythonhosted.org/packages/a.whl#sha256=1',
    );
    expect(back('https://pypi.org/simple/x/')).toBe('/pip/simple/x/');
    expect(back('https://evil.test/x')).toBe(null);
    expect(back('https://gitlab.com/o/r', true)).toBe('/git/gitlab.com/o/r');
    expect(back('http://gitlab.com/o/r', true)).toBe(null);
  });
});

describe('pages of registries', () => {
  const packument = (base: string) =>
    JSON.stringify({ dist: { tarball: `${base}x/-/x-1.tgz` }, readme: `see ${base}x` });
  const rewrite = (text: string, upstream: string, userAgent: string) => {
    let out = text;
    for (const { from, to } of tarballPairs({ upstream, route: 'http://127.0.0.1:3128/npm/', userAgent }))
      out = out.replaceAll(from.toString(), to.toString());
    return (JSON.parse(out) as { dist: { tarball: string } }).dist.tarball;
  };

  it('npm is told the public name of a tarball, for its lock file', () => {
    const mirror = 'https://mirror.home/npm/';
    expect(rewrite(packument(mirror), mirror, 'npm/10.9.0 node/v24')).toBe('https://registry.npmjs.org/x/-/x-1.tgz');
  });

  it('other clients are told the route', () => {
    for (const base of ['https://registry.npmjs.org/', 'https://mirror.home/npm/'])
      expect(rewrite(packument(base), base, 'pnpm/10')).toBe('http://127.0.0.1:3128/npm/x/-/x-1.tgz');
  });

  it('links of the simple index are moved, relative ones and fragments too', () => {
    const place = (url: URL) => (url.host === 'files.test' ? `/f${url.pathname}${url.hash}` : null);
    const page = `<a href="https://files.test/a.whl#sha256=1" data-x="&lt;4">a</a><a HREF='/b?x=1&amp;y=2'>b</a><p>href="no"</p>`;
    expect(simplePage(page, 'https://pypi.org/simple/x/', false, place)).toBe(
      `<a href="/f/a.whl#sha256=1" data-x="&lt;4">a</a><a HREF="https://pypi.org/b?x=1&amp;y=2">b</a><p>href="no"</p>`,
    );
    const json = JSON.stringify({
      meta: {},
      files: [{ url: '../../f/c.whl', hashes: {} }, { url: 'https://files.test/d' }],
    });
    expect(JSON.parse(simplePage(json, 'https://pypi.org/simple/x/', true, place)).files).toEqual([
      { url: 'https://pypi.org/f/c.whl', hashes: {} },
      { url: '/f/d' },
    ]);
  });
});

describe("the machine's own configuration", () => {
  const machine = (env: Record<string, string>, files: Record<string, string> = {}) => ({
    env,
    home: '/home/me',
    read: (path: string) => files[path] ?? null,
  });

  it('names the registries', () => {
    expect(registriesOf(machine({}))).toEqual({ npm: null, pip: null });
    expect(
      registriesOf(machine({ npm_config_registry: 'https://a.test/', PIP_INDEX_URL: 'https://b.test/simple' })),
    ).toEqual({
      npm: 'https://a.test/',
      pip: 'https://b.test/simple',
    });
    const files = {
      '/home/me/.npmrc': '//a.test/:_authToken=x\n; registry=https://no.test/\nregistry = "https://${WHO}.test/npm/"\n',
      '/etc/pip.conf':
        '[install]\nindex-url = https://no.test/\n[global]\ntimeout = 1\nindex-url = https://b.test/simple\n',
    };
    expect(registriesOf(machine({ WHO: 'mirror' }, files))).toEqual({
      npm: 'https://mirror.test/npm/',
      pip: 'https://b.test/simple',
    });
  });

  it('is not believed when it is no web address', () => {
    expect(registriesOf(machine({ npm_config_registry: 'file:///x', PIP_INDEX_URL: 'nonsense' }))).toEqual({
      npm: null,
      pip: null,
    });
  });

  it('gives Node only our own authority, and a home its few', () => {
    const files = {
      '/etc/ssl/certs/ca-certificates.crt': 'SYSTEM',
      '/corp.pem': 'CORP',
      '/big.pem': 'B'.repeat(40_000),
    };
    expect(certificatesFor('OWN\n', null, machine({}, files))).toEqual({ own: 'OWN\n', bundle: 'SYSTEM\nOWN\n' });
    expect(certificatesFor('OWN\n', 'TEST', machine({ NODE_EXTRA_CA_CERTS: '/corp.pem' }, files))).toEqual({
      own: 'OWN\nTEST\nCORP\n',
      bundle: 'SYSTEM\nTEST\nCORP\nOWN\n',
    });
    expect(certificatesFor('OWN\n', null, machine({ NODE_EXTRA_CA_CERTS: '/big.pem' }, files)).own).toBe('OWN\n');
  });
});

describe('the environment of a sandbox', () => {
  it('is whole: proxy, registries, git, certificates', () => {
    const env = environment(OFFLINE);
    for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy', 'ALL_PROXY'])
      expect(env[name]).toBe('http://127.0.0.1:3128');
    expect(env).toMatchObject({
      NO_PROXY: '127.0.0.1,localhost,::1',
      NODE_USE_ENV_PROXY: '1',
      npm_config_registry: 'http://127.0.0.1:3128/npm/',
      PIP_INDEX_URL: 'http://127.0.0.1:3128/pip/simple/',
      NODE_EXTRA_CA_CERTS: '/opt/steward-ca/own.pem',
      SSL_CERT_FILE: '/opt/steward-ca/bundle.pem',
      GIT_CONFIG_KEY_0: 'url.http://127.0.0.1:3128/git/.insteadOf',
      GIT_CONFIG_VALUE_0: 'https://',
    });
    expect(env[`GIT_CONFIG_KEY_${Number(env.GIT_CONFIG_COUNT) - 1}`]).toBeDefined();
    expect(env[`GIT_CONFIG_KEY_${env.GIT_CONFIG_COUNT}`]).toBeUndefined();
  });

  it('offers the Messages API only where the policy does', () => {
    expect(environment(OFFLINE)).not.toHaveProperty('ANTHROPIC_BASE_URL');
    expect(environment({ ...OFFLINE, routes: ['anthropic'] }).ANTHROPIC_BASE_URL).toBe(
      'http://127.0.0.1:3128/anthropic',
    );
  });
});

describe('starting again', () => {
  it('waits longer each time, up to five seconds', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 100].map(pauseAfter)).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  });
});
