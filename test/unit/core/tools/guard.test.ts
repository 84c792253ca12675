// Every way to write an address that must not be reached, and those that may be.
import type { lookup } from 'node:dns';
import { isIP } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createGuard, type Guard } from '../../../../core/tools/guard.ts';

/** A resolver that answers from a table, as `dns.lookup` would; a list of lists answers differently each time. */
function resolver(table: Record<string, string[][]>): typeof lookup {
  const asked = new Map<string, number>();
  return ((name: string, _options: object, callback: (error: Error | null, found: unknown) => void) => {
    const answers = table[name];
    if (!answers) return callback(new Error(`ENOTFOUND ${name}`), []);
    const turn = asked.get(name) ?? 0;
    asked.set(name, turn + 1);
    const found = answers[Math.min(turn, answers.length - 1)]!;
    callback(
      null,
      found.map((address) => ({ address, family: isIP(address) })),
    );
  }) as typeof lookup;
}

/** What a URL comes to: the addresses a connection may go to, or the reason why not. */
async function reach(guard: Guard, url: string): Promise<string> {
  const parsed = new URL(url);
  try {
    guard.check(parsed);
  } catch (error) {
    return `refused: ${(error as Error).message}`;
  }
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host)) return host;
  return new Promise((resolve) =>
    guard.lookupFor(host, Number(parsed.port) || 80)(host, { all: true }, (error, found) =>
      resolve(
        error ? `refused: ${error.message}` : (found as { address: string }[]).map(({ address }) => address).join(),
      ),
    ),
  );
}

const PUBLIC = '93.184.216.34';
const NAMES = {
  'example.org': [[PUBLIC, '2606:2800:220:1:248:1893:25c8:1946']],
  localhost: [['127.0.0.1', '::1']],
  'nas.home': [['192.168.1.5']],
  'mixed.example': [['10.0.0.1', PUBLIC]],
  'rebinds.example': [[PUBLIC], ['127.0.0.1']],
  'metadata.google.internal': [['169.254.169.254']],
  'wraps.example': [['::ffff:127.0.0.1']],
  'nat64.example': [['64:ff9b::7f00:1']],
};

describe('addresses that may not be reached', () => {
  const guard = createGuard([], resolver(NAMES));
  it.each([
    ['loopback', 'http://127.0.0.1/'],
    ['all of loopback', 'http://127.255.255.254/'],
    ['decimal', 'http://2130706433/'],
    ['octal', 'http://0177.0.0.1/'],
    ['hexadecimal', 'http://0x7f000001/'],
    ['hexadecimal parts', 'http://0x7f.0.0.0x1/'],
    ['short', 'http://127.1/'],
    ['zero', 'http://0/'],
    ['zero in full', 'http://0.0.0.0/'],
    ['full-width digits', 'http://１２７.０.０.１/'],
    ['circled digits', 'http://①②⑦.0.0.1/'],
    ['percent-encoded', 'http://%31%32%37.0.0.1/'],
    ['a dot at the end', 'http://127.0.0.1./'],
    ['private 10', 'http://10.1.2.3/'],
    ['private 172', 'http://172.31.255.1/'],
    ['private 192', 'http://192.168.0.1/'],
    ['carrier', 'http://100.64.0.1/'],
    ['cloud metadata', 'http://169.254.169.254/latest/meta-data/'],
    ['cloud metadata, decimal', 'http://2852039166/'],
    ['benchmark', 'http://198.18.0.1/'],
    ['documentation', 'http://203.0.113.1/'],
    ['multicast', 'http://224.0.0.1/'],
    ['broadcast', 'http://255.255.255.255/'],
    ['IPv6 loopback', 'http://[::1]/'],
    ['IPv6 loopback in full', 'http://[0:0:0:0:0:0:0:1]/'],
    ['IPv6 unspecified', 'http://[::]/'],
    ['IPv4-mapped', 'http://[::ffff:127.0.0.1]/'],
    ['IPv4-mapped in full', 'http://[0:0:0:0:0:ffff:7f00:1]/'],
    ['IPv4-compatible', 'http://[::127.0.0.1]/'],
    ['NAT64', 'http://[64:ff9b::127.0.0.1]/'],
    ['NAT64 of a local network', 'http://[64:ff9b:1::7f00:1]/'],
    ['6to4', 'http://[2002:7f00:1::]/'],
    ['Teredo', 'http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/'],
    ['link-local', 'http://[fe80::1]/'],
    ['unique local', 'http://[fd12:3456::1]/'],
    ['site-local', 'http://[fec0::1]/'],
    ['IPv6 multicast', 'http://[ff02::1]/'],
    ['IPv6 documentation', 'http://[2001:db8::1]/'],
    ['metadata over IPv6', 'http://[fd00:ec2::254]/'],
    ['a name of this machine', 'http://localhost:4620/'],
    ['a name with a dot at its end', 'http://localhost./'],
    ['a name of the local network', 'http://nas.home/'],
    ['the name of the metadata service', 'http://metadata.google.internal/'],
    ['a name that leads to a mapped address', 'http://wraps.example/'],
    ['a name that leads to NAT64', 'http://nat64.example/'],
    ['a name in other letters', 'http://LOCALHOST/'],
    ['a user in front', 'http://example.org@127.0.0.1/'],
  ])('%s: %s', async (_, url) => {
    expect(await reach(guard, url)).toMatch(/^refused: /);
  });

  it.each([
    'file:///etc/passwd',
    'gopher://example.org/',
    'ftp://example.org/',
    'data:text/plain,x',
    'javascript:1',
    'blob:x',
  ])('another scheme: %s', async (url) => {
    expect(await reach(guard, url)).toMatch(/Only http and https/);
  });
});

describe('addresses that may be reached', () => {
  const guard = createGuard([], resolver(NAMES));
  it.each([
    ['a public name', 'https://example.org/x', `${PUBLIC},2606:2800:220:1:248:1893:25c8:1946`],
    ['a public address', `http://${PUBLIC}/`, PUBLIC],
    ['a public IPv6 address', 'http://[2606:2800:220:1:248:1893:25c8:1946]/', '2606:2800:220:1:248:1893:25c8:1946'],
    ['the public one of a name that has both', 'http://mixed.example/', PUBLIC],
  ])('%s', async (_, url, expected) => {
    expect(await reach(guard, url)).toBe(expected);
  });
});

describe('a name that changes its mind', () => {
  it('is checked on the address each connection goes to', async () => {
    const guard = createGuard([], resolver(NAMES));
    expect(await reach(guard, 'http://rebinds.example/')).toBe(PUBLIC);
    expect(await reach(guard, 'http://rebinds.example/')).toMatch(/^refused/);
  });

  it('would pass a guard that checks the name first and connects later', async () => {
    const resolve = resolver(NAMES);
    const guard = createGuard([], resolve);
    const naive = async (): Promise<string> => {
      const checked = await reach(guard, 'http://rebinds.example/');
      if (checked.startsWith('refused')) return checked;
      return new Promise((done) =>
        resolve('rebinds.example', { all: true }, (_, found) => done((found as { address: string }[])[0]!.address)),
      );
    };
    expect(await naive()).toBe('127.0.0.1');
  });
});

describe('what the owner exempts', () => {
  it.each([
    ['an address', '192.168.1.5', 'http://192.168.1.5:8080/', true],
    ['an address with its port', '192.168.1.5:8080', 'http://192.168.1.5:8080/', true],
    ['an address, another port', '192.168.1.5:8080', 'http://192.168.1.5/', false],
    ['another address', '192.168.1.5', 'http://192.168.1.6/', false],
    ['a name', 'nas.home', 'http://nas.home/', true],
    ['a name with its port', 'nas.home:80', 'http://nas.home/', true],
    ['a name, another port', 'nas.home:81', 'http://nas.home/', false],
    ['an address is not the name that leads to it', '192.168.1.5', 'http://nas.home/', true],
    ['an IPv6 address', '[::1]', 'http://[::1]:9/', true],
    ['an IPv6 address with its port', '[::1]:9', 'http://[::1]:9/', true],
    ['an IPv6 address, another port', '[::1]:9', 'http://[::1]:8/', false],
  ])('%s: %s for %s', async (_, exempt, url, allowed) => {
    expect((await reach(createGuard([exempt], resolver(NAMES)), url)).startsWith('refused')).toBe(!allowed);
  });
});
