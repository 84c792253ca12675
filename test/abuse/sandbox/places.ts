// Attempts on files: what lies on the host, ways out by links, devices, and what belongs to other sandboxes.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { out, run, sh } from '../../contract/sandbox/stage.ts';
import { type AbuseCase, attempt, CANARY, expectAnswers } from './ground.ts';

const OK = /^ok$/;
const ABSENT = /^(ENOENT|EACCES|ENOTDIR|EPERM|ELOOP)$/;

/** Reads a path; `canary` when it holds one. */
const LOOK = `sub look { my ($label, $path) = @_; $! = 0; my @s = stat $path; my $e = errno(); return report($label, $e) unless @s;
    if (-d _) { opendir my $d, $path or return report($label, errno()); my @n = readdir $d; return report($label, 'ok') }
    open my $f, '<', $path or return report($label, errno()); sysread $f, my $t, 65536; report($label, index($t, '${CANARY.slice(0, 6)}' . '${CANARY.slice(6)}') >= 0 ? 'canary' : 'ok') }
`;

export const places: AbuseCase[] = [
  {
    name: 'the daemon’s folder, homes, passwords, sockets: not there, by no way round',
    async run({ home, root, inside, outside, isRoot }) {
      const open = join(dirname(home), 'open');
      const direct = [open, join(home, 'token'), join(home, 'steward.db'), join(root, 'live')];
      const around = [
        `/proc/1/root${open}`,
        `/proc/self/root${open}`,
        `/workspace/../../../..${open}`,
        `/proc/self/cwd/../../..${open}`,
        `/proc/1/cwd/../..${open}`,
        `/dev/fd/../..${open}`,
        `/run/steward/../../..${open}`,
      ];
      const theirs = [
        homedir(),
        '/root',
        '/home/ada',
        '/etc/shadow',
        '/etc/ssh',
        '/etc/sudoers',
        '/var/lib',
        '/var/log',
        '/var/run/docker.sock',
        '/run/docker.sock',
        '/run/user',
        '/run/dbus',
        '/boot',
        '/srv',
        '/mnt',
        '/sys/kernel',
        '/sys/fs/cgroup',
        process.env.SSH_AUTH_SOCK ?? '/tmp/ssh-agent',
      ].filter((path) => path !== '/');
      const all = [...direct, ...around, ...theirs];
      const code = `${LOOK} ${all.map((path, i) => `look(${i}, '${path}');`).join(' ')}`;
      const controls = new Map([...(await outside(code))].filter(([label]) => Number(label) < direct.length));
      expectAnswers('outside', controls, { 0: /^canary$/, 1: /^canary$/, 2: /^canary$/, 3: OK });
      const got = await inside(code);
      for (const [i, path] of all.entries()) assert.match(got.get(String(i)) ?? 'no answer', ABSENT, path);
      assert.equal(isRoot, process.getuid?.() === 0);
    },
  },
  {
    name: 'the whole tree as it is seen inside holds no canary',
    async run({ open, inside, home }) {
      const sandbox = await open();
      await sandbox.files.write('mine', `control-${CANARY}`);
      const search = `my ($files, $hits) = (0, ''); my @open = map { "/$_" } grep { !/^(\\.\\.?|usr|proc|lib.*|s?bin|opt)$/ } do { opendir my $d, '/'; readdir $d };
        while (defined(my $p = shift @open)) { next if -l $p; if (-d _) { opendir my $d, $p or next; push @open, map { "$p/$_" } grep { !/^\\.\\.?$/ } readdir $d }
          elsif (-f _) { $files++; open my $f, '<', $p or next; local $/; my $t = <$f>; $hits .= " $p" if index($t, '${CANARY.slice(0, 6)}' . '${CANARY.slice(6)}') >= 0 } }
        report('hits', $hits); report('files', $files); open my $m, '<', '/proc/self/mountinfo'; local $/; my $t = <$m>; report('mounts', index($t, '${join(home, 'token')}') < 0 ? 'ok' : 'shown')`;
      const got = await inside(search, sandbox);
      assert.equal(got.get('hits'), ' /workspace/mine');
      assert.ok(Number(got.get('files')) > 5);
      assert.equal(got.get('mounts'), 'ok');
    },
  },
  attempt({
    name: 'hard links across the walls, and to what is shown read-only',
    code: `$! = 0; report('usr', link('/usr/bin/perl', './hard') ? 'ok' : errno()); $! = 0; report('etc', link('/etc/passwd', './hard2') ? 'ok' : errno());
      $! = 0; report('proc', link('/proc/self/exe', './hard3') ? 'ok' : errno()); open my $f, '>', './mine'; close $f; $! = 0; report('own', link('./mine', './again') ? 'ok' : errno()); unlink './mine', './again', './hard', './hard2';`,
    inside: { usr: /^(EXDEV|EPERM|EROFS)$/, etc: /^(EXDEV|EPERM|EROFS)$/, proc: /^(EXDEV|EPERM)$/, own: OK },
    outside: { usr: /^(ok|EXDEV|EPERM)$/, etc: /^(ok|EXDEV|EPERM)$/, proc: /^EXDEV$/, own: OK },
  }),
  {
    name: 'what the daemon reads and writes for it does not follow a link that changes under its hands',
    async run({ open, home, atEnd }) {
      const outside = join(dirname(home), 'victims');
      mkdirSync(outside, { recursive: true });
      chmodSync(outside, 0o777);
      writeFileSync(join(outside, 'file'), CANARY);
      chmodSync(join(outside, 'file'), 0o666);
      const sandbox = await open();
      atEnd(() => sandbox.kill('the case is over'));
      await out(sandbox, `mkdir real; printf mine > real/file; ln -s ${outside} trap`);
      // A folder and a link to the host's change places as fast as they can.
      const swap = sandbox.exec([
        'perl',
        '-e',
        'while (1) { rename "real", "aside"; rename "trap", "real"; rename "real", "trap"; rename "aside", "real" }',
      ]);
      const seen = new Set<string>();
      for (let i = 0; i < 25; i++) {
        const look = (work: Promise<unknown>) =>
          work.then(
            (value) => seen.add(value instanceof Uint8Array ? Buffer.from(value).toString() : 'done'),
            (error: { code: string }) => seen.add(error.code),
          );
        await Promise.all([
          look(sandbox.files.read('real/file')),
          look(sandbox.files.write('real/planted', 'x')),
          look(sandbox.files.list('real')),
          look(sandbox.files.remove('real/other')),
        ]);
      }
      swap.signal('KILL');
      await swap.result;
      assert.ok(![...seen].some((one) => one.includes(CANARY)), 'the canary was read');
      assert.deepEqual(readdirSync(outside), ['file']);
      assert.equal(readFileSync(join(outside, 'file'), 'utf8'), CANARY);
    },
  },
  attempt({
    name: 'device nodes, made or found',
    control: 'root',
    code: `call('char', 'mknodat', -100, './char', 0020666, 0x103); call('block', 'mknodat', -100, './block', 0060666, 0x700); unlink './char', './block';
      opendir my $d, '/dev'; my %fine = map { $_ => 1 } qw(. .. null zero full random urandom tty ptmx pts shm mqueue fd stdin stdout stderr core console); report('dev', join ' ', 'more', grep { !$fine{$_} } sort readdir $d);
      report($_, try_open('<', "/dev/$_")) for qw(mem kvm fuse vsock kmsg vda);`,
    inside: {
      char: /^EPERM$/,
      block: /^EPERM$/,
      dev: /^more$/,
      ...Object.fromEntries(['mem', 'kvm', 'fuse', 'vsock', 'kmsg', 'vda'].map((name) => [name, /^ENOENT$/])),
    },
    outside: {
      char: OK,
      block: OK,
      dev: /^more/,
      ...Object.fromEntries(['mem', 'kvm', 'fuse', 'vsock', 'kmsg', 'vda'].map((name) => [name, /./])),
    },
  }),
  {
    name: 'a setuid program of root’s gives nothing',
    needs: ({ isRoot }) => (isRoot ? null : 'only root can make one'),
    async run({ open, root, home }) {
      const sandbox = await open();
      const place = (path: string) => {
        copyFileSync('/usr/bin/id', path);
        chownSync(path, 0, 0);
        chmodSync(path, 0o4755);
        return path;
      };
      const there = place(join(dirname(home), 'suid'));
      const control = spawnSync(there, ['-u'], { uid: 65_534, gid: 65_534, encoding: 'utf8' });
      assert.match(control.stdout, /^(0|65534)\n$/);
      place(join(root, 'live', sandbox.id, 'workspace', 'suid'));
      assert.match(await out(sandbox, 'ls -l suid'), /^-rwsr-xr-x/);
      assert.equal(await out(sandbox, './suid -u; ./suid -g'), '1000\n1000\n');
      const found = await out(sandbox, 'find /usr/bin -perm -4000 | wc -l');
      // What is found there gets as little: the kernel was told so before the first instruction.
      assert.ok(Number(found) >= 0);
      assert.match(await out(sandbox, 'grep NoNewPrivs /proc/self/status'), /1$/m);
    },
  },
  {
    name: 'programs of the system, the runner and the broker’s place cannot be replaced',
    async run({ open, stage, atEnd }) {
      const sandbox = await open({
        listen: async (path) => {
          const server = createServer((socket) => socket.destroy());
          await new Promise<void>((resolve) => server.listen(path, resolve));
          atEnd(() => void server.close());
        },
      });
      for (const change of [
        'exec 3<>/usr/bin/perl',
        'exec 3>>/etc/passwd',
        'echo x > /run/steward/runner.pl',
        'rm -f /run/steward/runner.pl',
        'mv /run/steward/broker.sock /run/steward/other',
        'rm -f /run/steward/broker.sock',
        'ln -s /tmp /run/steward/link',
        'mkdir /usr/local/bin/x',
        'chmod 777 /usr/bin',
        'mv /workspace /other',
        'rmdir /home/agent',
      ])
        assert.notEqual((await sh(sandbox, `${change} 2>/dev/null`)).code, 0, change);
      assert.equal(await sandbox.ping(3_000), true);
      assert.equal(await out(sandbox, 'test -S /run/steward/broker.sock && echo there'), 'there\n');
      assert.ok(stage.report.ok);
    },
  },
  {
    name: 'another sandbox: no file, socket, process, shared memory or message of it',
    async run({ open, inside, root, isRoot, home }) {
      const [first, second] = [await open(), await open()];
      await out(
        first,
        `echo ${CANARY} > secret; chmod 777 . secret; echo ${CANARY} > /tmp/secret; echo ${CANARY} > /dev/shm/secret; chmod 666 /tmp/secret /dev/shm/secret`,
      );
      const shared = await inside(
        `call('shm', 'shmget', 0x5713, 4096, 0x3b6); socket(my $s, 1, 1, 0); report('abstract', bind($s, pack('S a*', 1, "\\0of-the-first")) && listen($s, 5) ? 'ok' : errno()); if (!fork) { sleep 20; exit }`,
        first,
      );
      expectAnswers('first', shared, { shm: OK, abstract: OK });
      const path = join(root, 'live', first.id, 'workspace', 'secret');
      const got = await inside(
        `${LOOK} look('path', '${path}'); look('tmp', '/tmp/secret'); look('shm file', '/dev/shm/secret'); call('shm', 'shmget', 0x5713, 4096, 0);
         socket(my $s, 1, 1, 0); $! = 0; report('abstract', connect($s, pack('S a*', 1, "\\0of-the-first")) ? 'ok' : errno()); my @p = grep { !/\\/(1|$$)$/ } glob '/proc/[0-9]*'; report('processes', scalar @p);`,
        second,
      );
      expectAnswers('second', got, {
        path: ABSENT,
        tmp: /^ENOENT$/,
        'shm file': /^ENOENT$/,
        shm: /^ENOENT$/,
        abstract: /^ECONNREFUSED$/,
        processes: /^0$/,
      });
      if (!isRoot) return;
      // Even past its walls one sandbox's user is nobody to the other's files.
      const uids = [first, second].map(({ id }) => statSync(join(root, 'live', id, 'workspace')).uid);
      assert.notEqual(uids[0], uids[1]);
      const reads = (uid: number) =>
        spawnSync('cat', [path], { uid, gid: uid, encoding: 'utf8' }).stdout.includes(CANARY);
      assert.equal(reads(uids[1]!), false);
      assert.equal(reads(65_534), false);
      assert.ok(execFileSync('cat', [path], { encoding: 'utf8' }).includes(CANARY), 'it is really there');
      assert.equal(spawnSync('cat', [join(home, 'token')], { uid: uids[1]!, gid: uids[1]! }).status, 1);
    },
  },
  {
    name: 'what it says and where it fails tells nothing of the host',
    async run({ open, home, root }) {
      const sandbox = await open();
      const said: string[] = [];
      const keep = async (work: Promise<unknown>) =>
        said.push(String(await work.catch((error: Error) => error.message)));
      await keep(sandbox.files.read('missing'));
      await keep(sandbox.files.read('/etc/shadow'));
      await keep(sandbox.files.write('/usr/x', 'x'));
      await keep(sandbox.files.list('/root'));
      await keep(sandbox.dial(9));
      const ran = await run(sandbox, ['no-such-program']);
      const env = await run(sandbox, [
        'sh',
        '-c',
        'env; hostname; id; cat /etc/hostname /etc/hosts /etc/passwd 2>/dev/null',
      ]);
      said.push(ran.stderr, env.stdout);
      const all = said.join('\n');
      assert.ok(!all.includes(CANARY) && !all.includes(home) && !all.includes(root), all);
      const host = readFileSync('/proc/sys/kernel/hostname', 'utf8').trim();
      assert.ok(host.length < 3 || host === 'localhost' || !all.includes(host), all);
    },
  },
];
