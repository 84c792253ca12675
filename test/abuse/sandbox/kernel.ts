// Attempts on the kernel: mounts, namespaces, modules, clocks, and the interfaces with a history of holes.
import { type AbuseCase, attempt, expectAnswers } from './ground.ts';

const EPERM = /^EPERM$/;
const OK = /^ok$/;

/** Mounts of its own for the control, none of them shared; without them it does not run. */
const OWN_MOUNTS = `answer('unshare', $> ? 0x10020000 : 0x20000) eq 'ok' && answer('mount', 'none', '/', 0, 0x44000, 0) eq 'ok' or die 'no namespace'; `;

const NAMESPACES = {
  user: 0x10000000,
  mount: 0x20000,
  pid: 0x20000000,
  network: 0x40000000,
  ipc: 0x08000000,
  uts: 0x04000000,
  cgroup: 0x02000000,
};
/** With a user namespace beside it, which is how an ordinary user gets the others. */
const flags = Object.entries(NAMESPACES).map(([name, flag]) => [name, flag | NAMESPACES.user] as const);
const each = (labels: readonly string[], answer: RegExp) => Object.fromEntries(labels.map((label) => [label, answer]));

/** A 32-bit program, assembled here: unshare(CLONE_NEWUSER) by the old way into the kernel, exit with its errno. */
export function i386Program(): Buffer {
  const code = Buffer.from([
    ...[0xb8, 0x36, 0x01, 0x00, 0x00], // mov eax, 310 (unshare)
    ...[0xbb, 0x00, 0x00, 0x00, 0x10], // mov ebx, CLONE_NEWUSER
    ...[0xcd, 0x80, 0xf7, 0xd8, 0x89, 0xc3], // int 0x80; neg eax; mov ebx, eax
    ...[0xb8, 0x01, 0x00, 0x00, 0x00, 0xcd, 0x80], // mov eax, 1 (exit); int 0x80
  ]);
  const [at, base] = [0x54, 0x08048000];
  const head = Buffer.alloc(at);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]).copy(head);
  // ELF32, executable, i386; one segment with everything.
  head.writeUInt16LE(2, 16);
  head.writeUInt16LE(3, 18);
  for (const [offset, value] of [
    [20, 1],
    [24, base + at],
    [28, 0x34],
  ] as const)
    head.writeUInt32LE(value, offset);
  for (const [offset, value] of [
    [40, 0x34],
    [42, 0x20],
    [44, 1],
  ] as const)
    head.writeUInt16LE(value, offset);
  const size = at + code.length;
  for (const [i, value] of [1, 0, base, base, size, size, 5, 0x1000].entries()) head.writeUInt32LE(value, 0x34 + i * 4);
  return Buffer.concat([head, code]);
}

export const kernel: AbuseCase[] = [
  attempt({
    name: 'mounting: by the old calls and the new ones, over a writable and a read-only place',
    before: OWN_MOUNTS,
    code: `call('tmpfs', 'mount', 'none', '/tmp', 'tmpfs', 0, 0);
      call('bind', 'mount', '/usr', '/tmp', 0, 4096, 0);
      call('unmount', 'umount2', '/tmp', 2);
      call('remount', 'mount', 'none', '/', 0, 0x1020, 0);
      call('again', 'mount', 'none', '/tmp', 'tmpfs', 0, 'size=1m');
      call('open_tree', 'open_tree', -100, '/usr', 1);
      apart('fsopen', sub { answer('fsopen', 'tmpfs', 0) });`,
    inside: each(['tmpfs', 'bind', 'unmount', 'remount', 'again', 'open_tree', 'fsopen'], EPERM),
    // What a user namespace was given read-only it cannot make writable.
    outside: { ...each(['tmpfs', 'bind', 'unmount', 'again', 'open_tree', 'fsopen'], OK), remount: /^(ok|EPERM)$/ },
  }),
  attempt({
    name: 'new namespaces: unshare, clone and clone3, each kind',
    code: flags
      .map(
        ([name, flag]) =>
          `apart('unshare ${name}', sub { answer('unshare', ${flag}) });
           apart('clone ${name}', sub { my $pid = syscall($number{clone}, ${flag} | 17, 0, 0, 0, 0); my $error = errno();
             return $error if $pid == -1; exec 'true' unless $pid; waitpid $pid, 0; 'ok' });`,
      )
      .concat(
        `apart('clone3', sub { my $args = pack 'Q11', 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0; my $pid = syscall($number{clone3}, $args, 88);
           my $error = errno(); return $error if $pid == -1; exec 'true' unless $pid; waitpid $pid, 0; 'ok' });
         apart('clone with high bits', sub { my $pid = syscall($number{clone}, (1 << 33) | 0x10000000 | 17, 0, 0, 0, 0); my $error = errno();
           return $error if $pid == -1; exec 'true' unless $pid; waitpid $pid, 0; 'ok' });`,
      )
      .join('\n'),
    inside: {
      ...each(
        flags.map(([name]) => `unshare ${name}`),
        EPERM,
      ),
      ...each(
        flags.map(([name]) => `clone ${name}`),
        EPERM,
      ),
      clone3: /^ENOSYS$/,
      'clone with high bits': /^(EPERM|EINVAL)$/,
    },
    outside: {
      ...each(
        flags.map(([name]) => `unshare ${name}`),
        OK,
      ),
      ...each(
        flags.map(([name]) => `clone ${name}`),
        OK,
      ),
      clone3: OK,
      'clone with high bits': /^(ok|EINVAL)$/,
    },
  }),
  attempt({
    name: 'joining namespaces: its own, those of the first process, by pidfd',
    control: 'root',
    code: `for my $kind (qw(mnt net uts)) { apart("self $kind", sub { open my $ns, '<', "/proc/self/ns/$kind" or return errno(); answer('setns', fileno($ns) + 0, 0) }) }
      apart('pidfd', sub { my $fd = syscall($number{pidfd_open}, getppid() + 0, 0); return errno() if $fd < 0; answer('setns', $fd, 0x04000000) });`,
    inside: { 'self mnt': EPERM, 'self net': EPERM, 'self uts': EPERM, pidfd: /^(EPERM|ESRCH|EINVAL)$/ },
    outside: { 'self mnt': OK, 'self net': OK, 'self uts': OK, pidfd: OK },
  }),
  attempt({
    name: 'a sandbox in the sandbox: bwrap and unshare as programs',
    code: `for (['bwrap', qw(bwrap --unshare-all --ro-bind / / true)], ['unshare', qw(unshare --user --map-root-user true)]) {
      my ($label, @argv) = @$_; open STDERR, '>', '/dev/null'; report($label, system(@argv) == 0 ? 'ok' : 'refused') }`,
    inside: { bwrap: /^refused$/, unshare: /^refused$/ },
    outside: { bwrap: OK, unshare: OK },
  }),
  attempt({
    name: 'another root: chroot and pivot_root',
    control: 'root',
    before: OWN_MOUNTS,
    code: `apart('chroot', sub { answer('chroot', '/tmp') }); apart('pivot_root', sub { answer('pivot_root', '.', '.') });`,
    inside: { chroot: EPERM, pivot_root: EPERM },
    outside: { chroot: OK, pivot_root: /^(EINVAL|EBUSY)$/ },
  }),
  attempt({
    name: 'modules, kexec, reboot, swap and accounting',
    control: 'root',
    // Each is asked for something that does not exist: a root gets as far as being told so.
    code: `call('init_module', 'init_module', "\\0" x 64, 64, ''); call('delete_module', 'delete_module', 'no_such_module', 2048);
      call('kexec_load', 'kexec_load', 0, 0, 0, 0xfff0); call('reboot', 'reboot', 1, 2, 3, 0);
      call('swapon', 'swapon', '/no/such/file', 0); call('acct', 'acct', '/no/such/folder/file'); call('syslog', 'syslog', 10, 0, 0);`,
    inside: each(['init_module', 'delete_module', 'kexec_load', 'reboot', 'swapon', 'acct', 'syslog'], EPERM),
    outside: {
      init_module: /^(ENOEXEC|EINVAL|ENOSYS)$/,
      delete_module: /^(ENOENT|ENOSYS)$/,
      kexec_load: /^(EINVAL|ENOSYS)$/,
      reboot: /^EINVAL$/,
      swapon: /^ENOENT$/,
      acct: /^(ENOENT|ENOSYS)$/,
      syslog: OK,
    },
  }),
  attempt({
    name: 'the clock and the name of the machine',
    control: 'root',
    // No time given: a root may, and nothing is set. The name is set to what it is.
    code: `call('settimeofday', 'settimeofday', 0, 0); call('clock_settime', 'clock_settime', 0, pack('q2', 0, 2_000_000_000));
      open my $f, '<', '/proc/sys/kernel/hostname'; my $name = <$f>; chomp $name; call('sethostname', 'sethostname', $name, length $name);`,
    inside: each(['settimeofday', 'clock_settime', 'sethostname'], EPERM),
    outside: { settimeofday: OK, clock_settime: /^EINVAL$/, sethostname: OK },
  }),
  attempt({
    name: 'bpf, perf, userfaultfd, io_uring, fanotify, port access',
    control: 'root',
    code: `apart('bpf', sub { answer('bpf', 0, pack('I12', 2, 4, 4, 1, (0) x 8), 48) });
      apart('perf', sub { answer('perf_event_open', pack('I2', 1, 112) . "\\0" x 104, 0, -1, -1, 0) });
      apart('userfaultfd', sub { answer('userfaultfd', 2048) });
      apart('io_uring', sub { answer('io_uring_setup', 1, "\\0" x 120) });
      apart('fanotify', sub { answer('fanotify_init', 0, 0) });
      apart('ioperm', sub { answer('ioperm', 0x80, 1, 1) });`,
    inside: {
      bpf: EPERM,
      perf: EPERM,
      userfaultfd: EPERM,
      io_uring: /^ENOSYS$/,
      fanotify: EPERM,
      ioperm: /^(EPERM|ENOSYS)$/,
    },
    outside: {
      bpf: OK,
      perf: OK,
      userfaultfd: OK,
      io_uring: /^(ok|EPERM)$/,
      fanotify: OK,
      ioperm: /^(ok|EPERM|ENOSYS)$/,
    },
  }),
  attempt({
    name: 'keyrings, which namespaces do not divide',
    code: `apart('add', sub { answer('add_key', 'user', 'abuse', 'x', 1, -1) }); apart('keyctl', sub { answer('keyctl', 0, -3, 0) });`,
    inside: { add: EPERM, keyctl: EPERM },
    outside: { add: OK, keyctl: OK },
  }),
  attempt({
    name: 'file handles, which open a file past every mount',
    control: 'root',
    code: `my $handle = pack('Ii', 128, 0) . "\\0" x 128; my ($mount, $path) = (pack('i', 0), '/usr');
      report('name', syscall($number{name_to_handle_at}, -100, $path, $handle, $mount, 0) == 0 ? 'ok' : errno());
      open my $root, '<', '/usr'; report('open', syscall($number{open_by_handle_at}, fileno($root) + 0, $handle, 0) >= 0 ? 'ok' : errno());`,
    inside: { name: /^EOPNOTSUPP$/, open: EPERM },
    outside: { name: OK, open: OK },
  }),
  attempt({
    name: 'more rights than it has: capabilities, user ids, real-time, priorities, the OOM killer',
    control: 'root',
    code: `apart('capset', sub { answer('capset', pack('Ii', 0x20080522, 0), pack('I6', (0xffffffff, 0xffffffff, 0) x 2) & pack('I6', (0x00200001, 0x00200001, 0) , (0, 0, 0))) });
      apart('setuid', sub { $! = 0; $< = 0; $> = 0; my $error = errno(); $< == 0 && $> == 0 ? 'ok' : $error });
      apart('setgroups', sub { $! = 0; $) = '0 0 27'; $! ? errno() : 'ok' });
      apart('realtime', sub { answer('sched_setscheduler', 0, 1, pack('i', 1)) });
      apart('priority', sub { $! = 0; setpriority(0, 0, -10) ? 'ok' : errno() });
      apart('oom', sub { open my $f, '>', '/proc/self/oom_score_adj' or return errno(); (syswrite $f, '-1000') ? 'ok' : errno() });`,
    inside: {
      capset: EPERM,
      setuid: /^(EPERM|EINVAL)$/,
      setgroups: /^(EPERM|EINVAL)$/,
      realtime: EPERM,
      priority: /^(EACCES|EPERM)$/,
      oom: /^(EACCES|EPERM)$/,
    },
    outside: { capset: OK, setuid: OK, setgroups: OK, realtime: /^(ok|EPERM)$/, priority: OK, oom: /^(ok|EACCES)$/ },
  }),
  attempt({
    name: 'weaker memory: personalities that take randomisation and write protection away',
    code: `apart('no randomisation', sub { answer('personality', 0x0040000) }); apart('all executable', sub { answer('personality', 0x0400000) });`,
    inside: { 'no randomisation': EPERM, 'all executable': EPERM },
    outside: { 'no randomisation': OK, 'all executable': OK },
  }),
  attempt({
    name: 'the second set of system call numbers of x86-64',
    needs: () => (process.arch === 'x64' ? null : 'this processor has one set only'),
    // getpid, then unshare: a kernel without x32 says ENOSYS to both.
    code: `apart('getpid', sub { $! = 0; syscall(0x40000000 | 39) > 0 ? 'ok' : errno() }); apart('unshare', sub { $! = 0; syscall(0x40000000 | 272, 0x10000000) == 0 ? 'ok' : errno() });`,
    inside: { getpid: /^killed by 31$/, unshare: /^killed by 31$/ },
    outside: { getpid: /^(ok|ENOSYS)$/, unshare: /^(ok|ENOSYS)$/ },
  }),
  {
    name: 'a 32-bit program, whose system calls have other numbers',
    needs: () => (process.arch === 'x64' ? null : 'this processor runs no such programs'),
    async run({ open, inside, outside }) {
      const code = `open my $f, '>', './prog' or die; binmode $f; print $f pack('H*', '${i386Program().toString('hex')}'); close $f; chmod 0755, './prog';
        my $s = system './prog'; report('int80', $s == -1 ? errno() : $s & 127 ? 'killed by ' . ($s & 127) : 'exit ' . ($s >> 8)); unlink './prog'`;
      // ENOEXEC: this kernel has no 32-bit calls at all, and so no such way in.
      expectAnswers('outside', await outside(code), { int80: /^(exit 0|ENOEXEC|killed by 11)$/ });
      expectAnswers('inside', await inside(code, await open()), { int80: /^(killed by 31|ENOEXEC|killed by 11)$/ });
    },
  },
];
