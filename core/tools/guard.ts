// Which addresses may be connected to. Checked on the address itself at connect time, so that no name can rebind later.
import { lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { StewardError } from '../errors.ts';

/** One list for each family: BlockList takes an IPv4 address for its IPv4-mapped form, so `::/3` would cover all of IPv4. */
function privateRanges(): Record<4 | 6, BlockList> {
  const lists = { 4: new BlockList(), 6: new BlockList() };
  const v4: [string, number][] = [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.88.99.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 3],
  ];
  // Everything but global unicast (2000::/3), and inside it what carries another address: documentation, 6to4, Teredo.
  const v6: [string, number][] = [
    ['::', 3],
    ['4000::', 2],
    ['8000::', 1],
    ['2001::', 23],
    ['2001:db8::', 32],
    ['2002::', 16],
    ['3fff::', 20],
  ];
  for (const [net, bits] of v4) lists[4].addSubnet(net, bits, 'ipv4');
  for (const [net, bits] of v6) lists[6].addSubnet(net, bits, 'ipv6');
  return lists;
}

export interface Guard {
  /** The reason why this literal address is refused, or null. */
  refusal(address: string, port: number): string | null;
  /** For `node:http` and `node:net`: resolves a name to addresses that may be connected to, else fails. */
  lookupFor(host: string, port: number): LookupFunction;
  /** Throws `forbidden` for a literal address in the URL that may not be connected to, and for other schemes than http(s). */
  check(url: URL): void;
}

const portOf = (url: URL) => Number(url.port) || (url.protocol === 'https:' ? 443 : 80);

/** `exempt` lists `host` or `host:port` that the owner allows although they are private; IPv6 addresses in brackets. */
export function createGuard(exempt: readonly string[], resolve: typeof lookup = lookup): Guard {
  const ranges = privateRanges();
  const exempted = (host: string, port: number) => {
    const name = isIP(host) === 6 ? `[${host}]` : host;
    return exempt.includes(name) || exempt.includes(`${name}:${port}`);
  };
  const blocked = (why: string) =>
    new StewardError('forbidden', why, {
      op: 'connect',
      hint: 'If this is a server of yours, list it in STEWARD_FETCH_ALLOW as host:port.',
    });
  const guard: Guard = {
    refusal(address, port) {
      const family = isIP(address);
      if (exempted(address, port)) return null;
      // IPv4-mapped addresses and NAT64 lie in ::/3.
      const refused =
        family === 4 ? ranges[4].check(address, 'ipv4') : family !== 6 || ranges[6].check(address, 'ipv6');
      if (refused) return `${address} is a private or reserved address.`;
      return null;
    },
    lookupFor: (host, port) => (name, options, callback) =>
      resolve(name, { ...options, all: true }, (error, found) => {
        if (error) return callback(error, '', 0);
        const addresses = Array.isArray(found) ? found : [];
        const allowed = exempted(host, port)
          ? addresses
          : addresses.filter(({ address }) => !guard.refusal(address, port));
        const first = allowed[0];
        if (!first) return callback(blocked(`${name} leads to a private or reserved address.`), '', 0);
        if (options.all) callback(null, allowed);
        else callback(null, first.address, first.family);
      }),
    check(url) {
      if (url.protocol !== 'http:' && url.protocol !== 'https:')
        throw blocked(`Only http and https can be fetched, not ${url.protocol}`);
      const host = url.hostname.replace(/^\[|\]$/g, '');
      const why = isIP(host) ? guard.refusal(host, portOf(url)) : null;
      if (why) throw blocked(why);
    },
  };
  return guard;
}
