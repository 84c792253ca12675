// Attempts on the network: the host's listeners, other machines, metadata services, raw sockets and odd families.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstLine } from '../../contract/sandbox/stage.ts';
import { type AbuseCase, attempt, expectAnswers, type Ground } from './ground.ts';

const OK = /^ok$/;
/** No route, nobody there, no such address: anything but a connection. */
const NO_WAY = /^(ENETUNREACH|ECONNREFUSED|EHOSTUNREACH|EADDRNOTAVAIL|ENOENT|EACCES|EPERM)$/;

const CONNECT = `use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);
  sub reach { my ($label, $family, $type, $to) = @_; socket(my $s, $family, $type, 0) or return report($label, errno());
    local $SIG{ALRM} = sub { report($label, 'ETIMEDOUT'); exit }; alarm 4; my $r = connect($s, $to); my $e = errno(); alarm 0; 
    $r = defined(syswrite $s, 'x') if $r && $type == 2; report($label, $r ? 'ok' : $e eq 'ok' ? errno() : $e) }
  sub tcp { my ($label, $host, $port) = @_; my $v6 = $host =~ /:/; reach($label, $v6 ? AF_INET6 : 2, 1, $v6 ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $host)) : pack_sockaddr_in($port, inet_aton($host))) }
  sub udp { my ($label, $host, $port) = @_; reach($label, 2, 2, pack_sockaddr_in($port, inet_aton($host))) }
`;

async function listening(ground: Ground, options: { port?: number; host?: string; path?: string }) {
  let count = 0;
  const server: Server = createServer((socket) => {
    count += 1;
    socket.on('error', () => {});
    socket.end('of the host');
  });
  server.listen(options);
  const failed = await Promise.race([
    once(server, 'listening').then(() => false),
    once(server, 'error').then(() => true),
  ]);
  ground.atEnd(() => void server.close());
  const address = server.address();
  return { server, port: address && typeof address === 'object' ? address.port : 0, count: () => count, failed };
}

const ownAddress = () =>
  Object.values(networkInterfaces())
    .flat()
    .find((one) => one && !one.internal && one.family === 'IPv4')?.address ?? '127.0.0.2';

/** family, type, protocol; the answers a kernel without it gives are fine outside. */
const FAMILIES: Record<string, [number, number, number]> = {
  packet: [17, 3, 768],
  'raw icmp': [2, 3, 1],
  'raw ipv6': [10, 3, 58],
  vsock: [40, 1, 0],
  alg: [38, 5, 0],
  key: [15, 3, 2],
  bluetooth: [31, 3, 1],
  can: [29, 3, 1],
  tipc: [30, 1, 0],
  xdp: [44, 3, 0],
  audit: [16, 3, 9],
  netfilter: [16, 3, 12],
  uevent: [16, 3, 15],
};

export const network: AbuseCase[] = [
  {
    name: 'listeners of the host: loopback, any address, IPv6, abstract and other unix sockets',
    async run(ground) {
      const { inside, outside, atEnd } = ground;
      const folder = mkdtempSync(join(tmpdir(), 'hst-'));
      chmodSync(folder, 0o777);
      atEnd(() => rmSync(folder, { recursive: true, force: true }));
      const path = join(folder, 'docker.sock');
      const abstract = `steward-abuse-${process.pid}-${Math.random()}`;
      const loopback = await listening(ground, { host: '127.0.0.1', port: 0 });
      const everywhere = await listening(ground, { host: '0.0.0.0', port: 0 });
      const six = await listening(ground, { host: '::1', port: 0 });
      const unix = await listening(ground, { path });
      chmodSync(path, 0o777);
      const hidden = await listening(ground, { path: `\0${abstract}` });
      const code = `${CONNECT} tcp('loopback', '127.0.0.1', ${loopback.port}); tcp('own address', '${ownAddress()}', ${everywhere.port}); tcp('everywhere', '0.0.0.0', ${everywhere.port});
        ${six.failed ? '' : `tcp('ipv6', '::1', ${six.port});`}
        reach('unix', 1, 1, pack_sockaddr_un('${path}')); reach('abstract', 1, 1, pack('S a*', 1, "\\0${abstract}"));`;
      const labels = ['loopback', 'own address', 'everywhere', ...(six.failed ? [] : ['ipv6']), 'unix', 'abstract'];
      expectAnswers('outside', await outside(code), Object.fromEntries(labels.map((label) => [label, OK])));
      const all = [loopback, everywhere, six, unix, hidden];
      const before = all.map(({ count }) => count());
      expectAnswers('inside', await inside(code), Object.fromEntries(labels.map((label) => [label, NO_WAY])));
      assert.deepEqual(
        all.map(({ count }) => count()),
        before,
      );
    },
  },
  {
    name: 'the metadata service, other machines, names',
    async run(ground) {
      const service = await listening(ground, { host: '127.0.0.1', port: 0 });
      const code = `${CONNECT} tcp('metadata', '169.254.169.254', 80); tcp('other machine', '192.0.2.1', 443); tcp('gateway', '10.0.0.1', 22); udp('resolver', '8.8.8.8', 53);
        report('name', gethostbyname('example.com') ? 'ok' : 'none'); tcp('control', '127.0.0.1', ${service.port});`;
      const unreachable = /^ENETUNREACH$/;
      expectAnswers('inside', await ground.inside(code), {
        metadata: unreachable,
        'other machine': unreachable,
        gateway: unreachable,
        resolver: unreachable,
        name: /^none$/,
        control: NO_WAY,
      });
      const control = await ground.outside(
        `${CONNECT} tcp('control', '127.0.0.1', ${service.port}); udp('resolver', '127.0.0.1', ${service.port});`,
      );
      expectAnswers('outside', control, { control: OK, resolver: OK });
    },
  },
  attempt({
    name: 'sockets that are not meant for programs: raw, packet, vsock, crypto, netlink’s other families',
    control: 'root',
    code: Object.entries(FAMILIES)
      .map(
        ([label, [family, type, protocol]]) =>
          `apart('${label}', sub { answer('socket', ${family}, ${type}, ${protocol}) });`,
      )
      .concat(`apart('packet with high bits', sub { answer('socket', (1 << 32) | 17, 3, 768) });
        apart('pair', sub { answer('socketpair', 38, 5, 0, "\\0" x 8) });`)
      .join('\n'),
    inside: Object.fromEntries(
      [...Object.keys(FAMILIES), 'packet with high bits', 'pair'].map((label) => [
        label,
        /^(EPERM|EAFNOSUPPORT|EPROTONOSUPPORT)$/,
      ]),
    ),
    outside: {
      ...Object.fromEntries(
        Object.keys(FAMILIES).map((label) => [label, /^(ok|EAFNOSUPPORT|EPROTONOSUPPORT|ESOCKTNOSUPPORT)$/]),
      ),
      packet: OK,
      'raw icmp': OK,
      'packet with high bits': OK,
      pair: /^(EOPNOTSUPP|EAFNOSUPPORT)$/,
    },
  }),
  attempt({
    name: 'interfaces: one, loopback, and no way to change or add any',
    // The control has a network of its own: it does change it.
    before: `answer('unshare', $> ? 0x50000000 : 0x40000000) eq 'ok' or die 'no namespace';`,
    // The flags of lo by the old way; by netlink an address for it (RTM_NEWADDR).
    code: `open my $f, '<', '/proc/net/dev'; my @names = map { /^\\s*(\\S+):/ ? $1 : () } <$f>; report('interfaces', join ' ', sort @names);
      use Socket; socket(my $u, 2, 2, 0); my $request = pack 'a16 s x22', 'lo', 0x49; report('flags', ioctl($u, 0x8914, $request) ? 'ok' : errno());
      socket(my $n, 16, 3, 0); my $body = pack('CCCCi SSa4', 2, 32, 0, 0, 1, 8, 2, "\\x0a\\x09\\x08\\x07"); send $n, pack('LSSLL', 16 + length $body, 20, 0x605, 1, 0) . $body, 0;
      recv $n, my $answer, 4096, 0; $! = -unpack('x16 i', $answer); report('address', $! ? errno() : 'ok');`,
    inside: { interfaces: /^lo$/, flags: /^EPERM$/, address: /^EPERM$/ },
    outside: { interfaces: /\blo\b/, flags: OK, address: OK },
  }),
  {
    name: 'a port it listens on is not one of the host',
    async run({ open }) {
      const sandbox = await open();
      const server = sandbox.exec([
        'perl',
        '-e',
        `use IO::Socket::INET; $| = 1; my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '0.0.0.0') or die $@; print $s->sockport, "\\n"; sleep 60`,
      ]);
      const { line, rest } = await firstLine(server);
      for (const host of ['127.0.0.1', ownAddress()]) {
        const socket = connect(Number(line), host);
        const answer = await new Promise((resolve) => {
          socket
            .once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
            .once('connect', () => resolve('connected'));
        });
        socket.destroy();
        assert.equal(answer, 'ECONNREFUSED', host);
      }
      // It is there: the driver's own way leads to it.
      (await sandbox.dial(Number(line))).destroy();
      await rest.return?.();
    },
  },
];
