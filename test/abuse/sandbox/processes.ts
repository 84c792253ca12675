// Attempts on other processes: tracing, memory, signals, terminals, and everything /proc tells about those with secrets.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { out, run } from '../../contract/sandbox/stage.ts';
import { processSeen } from '../../helpers/leftovers.ts';
import { type AbuseCase, attempt, CANARY, expectAnswers } from './ground.ts';

const EPERM = /^EPERM$/;
const OK = /^ok$/;

/** Every readable thing of every process, searched for the canary. */
const SEARCH = `my ($seen, $hits) = (0, '');
  for my $dir (glob '/proc/[0-9]*') { next if $dir eq "/proc/$$"; $seen++;
    for my $name (qw(environ cmdline maps comm)) { open my $f, '<', "$dir/$name" or next; local $/; my $text = <$f>; $hits .= " $dir/$name" if index($text, 'KEEP' . 'CANARY') >= 0 }
    for my $fd (glob "$dir/fd/*") { my $to = readlink $fd; $hits .= " $fd" if index($to, 'KEEP' . 'CANARY') >= 0;
      next unless -f $fd; open my $f, '<', $fd or next; sysread $f, my $text, 65536; $hits .= " $fd" if index($text, 'KEEP' . 'CANARY') >= 0 } }
  report('seen', $seen); report('hits', $hits || 'none');`.replaceAll(
  /KEEP' \. 'CANARY/g,
  `${CANARY.slice(0, 6)}' . '${CANARY.slice(6)}`,
);

export const processes: AbuseCase[] = [
  attempt({
    name: 'tracing: attach, seize, being traced, memory and files of another process',
    code: `my $child = fork; if (!$child) { sleep 60; exit }
      call('attach', 'ptrace', 16, $child, 0, 0); call('seize', 'ptrace', 0x4206, $child, 0, 0);
      apart('traceme', sub { answer('ptrace', 0, 0, 0, 0) });
      my $buffer = 'x' x 64; my $local = pack 'PQ', $buffer, 8; my $remote = pack 'PQ', $buffer, 8;
      call('process_vm', 'process_vm_readv', $child, $local, 1, $remote, 1, 0);
      my $fd = syscall($number{pidfd_open}, $child, 0); call('getfd', 'pidfd_getfd', $fd, 0, 0);
      kill 'KILL', $child; waitpid $child, 0;`,
    inside: { attach: EPERM, seize: EPERM, traceme: EPERM, process_vm: EPERM, getfd: EPERM },
    outside: { attach: OK, seize: /^(ok|EPERM)$/, traceme: OK, process_vm: OK, getfd: OK },
  }),
  {
    name: 'the first process of the sandbox, which holds the way to the host: its memory, files and environment',
    async run({ inside, outside }) {
      const code = (pid: string) => `my $pid = ${pid};
        report('read memory', try_open('<', "/proc/$pid/mem")); report('write memory', try_open('+<', "/proc/$pid/mem"));
        report('environ', try_open('<', "/proc/$pid/environ")); report('maps', try_open('<', "/proc/$pid/maps"));
        my @fds = glob "/proc/$pid/fd/*"; report('fds', opendir(my $d, "/proc/$pid/fd") ? 'ok' : errno());
        report('root', try_open('<', "/proc/$pid/root/usr")); report('cwd', defined readlink("/proc/$pid/cwd") ? 'ok' : errno());`;
      const refused = /^(EACCES|EPERM)$/;
      const labels = ['read memory', 'write memory', 'environ', 'maps', 'fds', 'root', 'cwd'];
      expectAnswers(
        'outside',
        await outside(code('fork || do { sleep 2; exit }')),
        Object.fromEntries(labels.map((label) => [label, OK])),
      );
      expectAnswers('inside', await inside(code('1')), Object.fromEntries(labels.map((label) => [label, refused])));
    },
  },
  {
    name: 'processes of the host: not seen, not signalled, not waited for',
    async run({ inside, outside, open }) {
      const victim = spawn('sleep', ['300'], { stdio: 'ignore' });
      await once(victim, 'spawn');
      const { pid } = victim;
      try {
        const code = `my $pid = ${pid}; $! = 0; report('signal', kill(0, $pid) ? 'ok' : errno());
          report('proc', -d "/proc/$pid" ? 'ok' : errno());
          $! = 0; my $fd = syscall($number{pidfd_open}, $pid, 0); report('pidfd', $fd < 0 ? errno() : 'ok');
          $! = 0; my $p = getpriority(0, $pid); report('priority', $! ? errno() : 'ok');`;
        expectAnswers('outside', await outside(code), { signal: OK, proc: OK, pidfd: OK, priority: OK });
        const none = /^ESRCH$/;
        expectAnswers('inside', await inside(code), { signal: none, proc: /^ENOENT$/, pidfd: none, priority: none });
        const sandbox = await open();
        await run(sandbox, [
          'perl',
          '-e',
          'kill "TERM", -1; kill "KILL", -1; kill "KILL", $_ for 2 .. 4_000_000 / 100',
        ]);
        assert.equal(processSeen(pid!)?.state, 'S');
        assert.equal(await sandbox.ping(5_000), true);
      } finally {
        victim.kill('SIGKILL');
      }
    },
  },
  {
    name: 'the canary of the daemon: environments, arguments, open files of every process',
    async run({ inside, outside }) {
      const seen = await outside(SEARCH);
      assert.match(seen.get('hits') ?? '', /environ/, 'the daemon has it in its environment');
      assert.match(seen.get('hits') ?? '', /cmdline/, 'the daemon has it in its arguments');
      assert.match(seen.get('hits') ?? '', /fd/, 'the daemon has it in an open file');
      const got = await inside(SEARCH);
      assert.equal(got.get('hits'), 'none');
      assert.match(got.get('seen') ?? '', /^\d+$/);
      assert.ok(Number(got.get('seen')) < 10, `${got.get('seen')} processes are seen`);
    },
  },
  {
    name: 'a command starts with three files open and nothing that leads to the host',
    async run({ open, inside }) {
      const sandbox = await open();
      const got = await inside(
        `opendir my $d, '/proc/self/fd'; my @fds = map { "$_=" . (readlink("/proc/self/fd/$_") =~ s/\\d{3,}/N/r) } grep { /^\\d/ && $_ != fileno $d } sort { $a <=> $b } readdir $d; report('open', join ' ', @fds)`,
        sandbox,
      );
      assert.match(got.get('open') ?? '', /^0=\/dev\/null 1=pipe:\[N\] 2=pipe:\[N\]$/);
      const grand = await out(sandbox, 'ls /proc/self/fd | wc -l');
      assert.equal(grand, '4\n');
    },
  },
  attempt({
    name: 'writing into the kernel through /proc',
    control: 'root',
    // Opened only, and nothing written.
    code: `for my $path (qw(sys/kernel/core_pattern sys/kernel/hostname sys/vm/drop_caches sys/kernel/modprobe sys/fs/file-max sysrq-trigger)) { report($path, try_open('>>', "/proc/$path")) }
      report('kcore', try_open('<', '/proc/kcore')); report('kmsg', try_open('<', '/proc/kmsg'));`,
    inside: Object.fromEntries(
      [
        'sys/kernel/core_pattern',
        'sys/kernel/hostname',
        'sys/vm/drop_caches',
        'sys/kernel/modprobe',
        'sys/fs/file-max',
        'sysrq-trigger',
        'kcore',
        'kmsg',
      ].map((label) => [label, /^(EACCES|EROFS|EPERM|ENOENT)$/]),
    ),
    outside: {
      'sys/kernel/core_pattern': OK,
      'sys/kernel/hostname': OK,
      'sys/vm/drop_caches': OK,
      'sys/kernel/modprobe': /^(ok|ENOENT)$/,
      'sys/fs/file-max': OK,
      'sysrq-trigger': /^(ok|ENOENT)$/,
      kcore: /^(ok|ENOENT|EPERM)$/,
      kmsg: /^(ok|EPERM|EBUSY)$/,
    },
  }),
  attempt({
    name: 'the map of users, which says who it is outside',
    before: 'syscall($number{unshare}, 0x10000000);',
    code: `for my $name (qw(setgroups uid_map)) { $! = 0; open my $f, '+<', "/proc/self/$name" or do { report($name, errno()); next };
      my $text = $name eq 'setgroups' ? 'deny' : "0 ${process.getuid?.() ?? 0} 1"; report($name, (syswrite $f, $text) ? 'ok' : errno()) }`,
    inside: { setgroups: /^(EACCES|EPERM|EROFS|ok)$/, uid_map: /^(EACCES|EPERM|EROFS)$/ },
    outside: { setgroups: OK, uid_map: OK },
  }),
  attempt({
    name: 'typing into a terminal: TIOCSTI, also with bits the kernel drops, and TIOCLINUX',
    control: 'root',
    code: `apart('all', sub { $SIG{HUP} = 'IGNORE'; require POSIX; POSIX::setsid(); open my $m, '+<', '/dev/ptmx' or return 'ptmx ' . errno(); my $n = pack 'i', 0; ioctl $m, 0x40045431, $n; ioctl $m, 0x80045430, $n;
        open my $s, '+<', '/dev/pts/' . unpack('i', $n) or return 'pts ' . errno(); ioctl $s, 0x540e, 0;
        join ' ', map { answer('ioctl', fileno($s) + 0, $_, 'x') } 0x5412, 0x100005412, 0x541c });`,
    inside: { all: /^EPERM EPERM EPERM$/ },
    outside: { all: /^ok ok (ENOTTY|EINVAL)$/ },
  }),
  attempt({
    name: 'a terminal of the daemon: there is none to have',
    code: `report('tty', try_open('+<', '/dev/tty')); report('console', try_open('+<', '/dev/console'));`,
    inside: { tty: /^ENXIO$/, console: /^(ENOENT|EACCES|ENXIO|EIO|EPERM)$/ },
    outside: { tty: /^(ENXIO|ok)$/, console: /./ },
  }),
  attempt({
    name: 'core files: a crash leaves none, and the limit cannot be raised',
    before: `system 'true'; `,
    code: `my $s = system 'sh', '-c', 'ulimit -c unlimited 2>/dev/null && echo "limit: ok" || echo "limit: refused"'; 
      my $c = system 'sh', '-c', 'ulimit -c unlimited 2>/dev/null; kill -SEGV $$'; report('dumped', $c & 128 ? 'ok' : 'no'); report('files', join ' ', 'none', glob 'core*'); unlink glob 'core*';`,
    inside: { limit: /^refused$/, dumped: /^no$/, files: /^none$/ },
    outside: { limit: /^(ok|refused)$/, dumped: /^(ok|no)$/, files: /^none/ },
  }),
  {
    name: 'crashing a program with a canary in its memory leaves the canary nowhere',
    async run({ open }) {
      const sandbox = await open();
      await run(sandbox, [
        'perl',
        '-e',
        `my $secret = '${CANARY.slice(0, 6)}' . '${CANARY.slice(6)}'; dump; kill 'ABRT', $$`,
      ]);
      assert.equal((await run(sandbox, ['sh', '-c', 'ls -A | wc -l'])).stdout, '0\n');
    },
  },
];
