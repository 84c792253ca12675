// What a sandbox is shown and what it is not: read-only folders, the broker's socket and nothing else, ptrace by profile.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { BROKER_PORT, PLACES } from '../../../sandboxes/driver.ts';
import { isolated, out, perl, type SandboxCase, type Stage, sh } from './stage.ts';

/** Says on every connection which one it is, and what it heard. */
async function listener(path: string, name: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (data) => socket.end(`${name} heard ${data}`));
  }).listen(path);
  await once(server, 'listening');
  chmodSync(path, 0o666);
  return server;
}
const ASK = (target: string) =>
  `use IO::Socket::UNIX; use IO::Socket::INET; my $s = ${target} or die "no: $!"; print $s "hello"; $s->flush; shutdown $s, 1; local $/; print scalar <$s>`;
const BY_SOCKET = ASK(`IO::Socket::UNIX->new(Peer => '${PLACES.brokerSocket}')`);
const BY_PORT = ASK(`IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => ${BROKER_PORT})`);

const withBroker = (stage: Stage) =>
  isolated(stage) ?? (stage.report.egressLocked ? null : 'the network is the host’s');

export const walls: SandboxCase[] = [
  {
    name: 'the way out is the socket the driver named before anything ran, and the port that leads to it',
    needs: withBroker,
    async run({ open, atEnd }) {
      const paths: string[] = [];
      const sandbox = await open({
        listen: async (path) => {
          paths.push(path);
          const server = await listener(path, 'the broker');
          atEnd(() => void server.close());
        },
      });
      assert.equal(paths.length, 1);
      assert.ok(Buffer.byteLength(paths[0]!) < 108, `${paths[0]} is too long for a socket`);
      assert.equal((await perl(sandbox, BY_SOCKET)).stdout, 'the broker heard hello');
      assert.equal((await perl(sandbox, BY_PORT)).stdout, 'the broker heard hello');
    },
  },
  {
    name: 'each sandbox has a socket of its own: the socket is who it is',
    needs: withBroker,
    async run({ open, atEnd }) {
      const make = (name: string) =>
        open({
          listen: async (path) => {
            const server = await listener(path, name);
            atEnd(() => void server.close());
          },
        });
      const [first, second] = await Promise.all([make('first'), make('second')]);
      assert.equal((await perl(first, BY_PORT)).stdout, 'first heard hello');
      assert.equal((await perl(second, BY_PORT)).stdout, 'second heard hello');
      assert.equal((await perl(second, BY_SOCKET)).stdout, 'second heard hello');
    },
  },
  {
    name: 'without a listener there is no socket and nothing on the port',
    needs: withBroker,
    async run({ open }) {
      const sandbox = await open({ listen: null });
      assert.equal((await sh(sandbox, `test -e ${PLACES.brokerSocket}`)).code, 1);
      assert.notEqual((await perl(sandbox, BY_SOCKET)).code, 0);
      assert.notEqual((await perl(sandbox, BY_PORT)).code, 0);
    },
  },
  {
    name: 'a broker that went away is a closed door, one that came back an open one',
    needs: withBroker,
    async run({ open, atEnd }) {
      let where = '';
      let server: Server | null = null;
      const sandbox = await open({
        listen: async (path) => {
          where = path;
          server = await listener(path, 'the first');
        },
      });
      assert.equal((await perl(sandbox, BY_PORT)).stdout, 'the first heard hello');
      await new Promise((resolve) => server!.close(resolve));
      assert.equal((await perl(sandbox, BY_PORT)).stdout, '');
      assert.notEqual((await perl(sandbox, BY_SOCKET)).code, 0);
      const again = await listener(where, 'the second');
      atEnd(() => void again.close());
      assert.equal((await perl(sandbox, BY_SOCKET)).stdout, 'the second heard hello');
      assert.equal((await perl(sandbox, BY_PORT)).stdout, 'the second heard hello');
    },
  },
  {
    name: 'a folder of the host that is shown can be read and not changed, from anywhere',
    needs: isolated,
    async run({ open, folder }) {
      const shown = folder();
      mkdirSync(join(shown, 'sub'));
      writeFileSync(join(shown, 'sub/file'), 'of the host');
      writeFileSync(join(shown, 'open'), 'to all', { mode: 0o666 });
      chmodSync(join(shown, 'open'), 0o666);
      chmodSync(join(shown, 'sub'), 0o777);
      symlinkSync('/etc/hostname', join(shown, 'link'));
      const sandbox = await open({ mounts: [{ from: shown, to: '/mnt/shown' }] });
      assert.equal(await out(sandbox, 'cat /mnt/shown/sub/file /mnt/shown/open'), 'of the hostto all');
      for (const change of [
        'echo x > /mnt/shown/open',
        'echo x > /mnt/shown/sub/new',
        'rm /mnt/shown/sub/file',
        'chmod 777 /mnt/shown/open',
        'touch /mnt/shown/open',
        'ln /mnt/shown/open hard',
        'mv /mnt/shown/sub /mnt/shown/other',
      ])
        assert.notEqual((await sh(sandbox, change)).code, 0, change);
      assert.deepEqual(readdirSync(shown).sort(), ['link', 'open', 'sub']);
      assert.deepEqual(readdirSync(join(shown, 'sub')), ['file']);
      assert.equal(readFileSync(join(shown, 'open'), 'utf8'), 'to all');
    },
  },
  {
    name: 'a place of the sandbox’s own cannot be shown over',
    needs: isolated,
    async run({ driver, spec, folder }) {
      const from = folder();
      for (const to of [
        '/workspace',
        '/workspace/sub',
        '/usr/bin',
        '/etc',
        '/proc',
        '/run/steward',
        '/',
        'relative',
        '/mnt/../usr',
        PLACES.home,
      ]) {
        const made = await driver.create(spec({ mounts: [{ from, to }] })).then(
          (sandbox) => sandbox.kill('it should not be').then(() => 'made'),
          (error: { code?: string }) => error.code,
        );
        assert.equal(made, 'invalid', to);
      }
    },
  },
  {
    name: 'the system is read-only; workspace, home and /tmp are not',
    needs: isolated,
    async run({ open }) {
      const sandbox = await open();
      for (const path of ['/', '/usr', '/usr/bin', '/etc', '/run', '/run/steward', '/var', '/opt', '/proc', '/dev'])
        assert.notEqual((await sh(sandbox, `test -d ${path} || exit 1; touch ${path}/planted`)).code, 0, path);
      await out(sandbox, 'for d in . "$HOME" /tmp; do echo x > "$d/planted" && rm "$d/planted" || exit 1; done');
    },
  },
  {
    name: 'strict refuses ptrace, dev allows it and nothing else',
    needs: isolated,
    async run({ open }) {
      const number = process.arch === 'arm64' ? 117 : 101;
      const unshare = process.arch === 'arm64' ? 97 : 272;
      // PTRACE_TRACEME; then a new user namespace.
      const script = `print syscall(${number}, 0, 0, 0, 0) == 0 ? 'traced ' : 'refused '; print syscall(${unshare}, 0x10000000) == 0 ? 'unshared' : 'refused'; kill 'KILL', $$`;
      const strict = await perl(await open({ profile: 'strict' }), `$|=1; ${script}`);
      assert.equal(strict.stdout, 'refused refused');
      const dev = await perl(await open({ profile: 'dev' }), `$|=1; ${script}`);
      assert.equal(dev.stdout, 'traced refused');
    },
  },
  {
    name: 'inside it is nobody in particular: no root, no privileges, none to be had',
    needs: isolated,
    async run({ open }) {
      const sandbox = await open();
      assert.notEqual(await out(sandbox, 'id -u'), '0\n');
      const status = await out(sandbox, 'cat /proc/self/status');
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.match(status, new RegExp(`^${set}:\\s0+$`, 'm'), set);
      assert.match(status, /^NoNewPrivs:\s1$/m);
      assert.match(status, /^Seccomp:\s2$/m);
    },
  },
];
