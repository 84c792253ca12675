// Probes are Perl, which is on every Linux: system calls by number, one line of answer per attempt ("label: ok" or an errno).

type Arch = 'x64' | 'arm64';

/** From the kernel's tables; null where the architecture has no such call. */
const CALLS: Record<string, Record<Arch, number | null>> = {
  acct: { x64: 163, arm64: 89 },
  add_key: { x64: 248, arm64: 217 },
  bpf: { x64: 321, arm64: 280 },
  capset: { x64: 126, arm64: 91 },
  chroot: { x64: 161, arm64: 51 },
  clock_settime: { x64: 227, arm64: 112 },
  clone: { x64: 56, arm64: 220 },
  clone3: { x64: 435, arm64: 435 },
  delete_module: { x64: 176, arm64: 106 },
  fanotify_init: { x64: 300, arm64: 262 },
  fsopen: { x64: 430, arm64: 430 },
  init_module: { x64: 175, arm64: 105 },
  io_uring_setup: { x64: 425, arm64: 425 },
  ioctl: { x64: 16, arm64: 29 },
  ioperm: { x64: 173, arm64: null },
  kexec_load: { x64: 246, arm64: 104 },
  keyctl: { x64: 250, arm64: 219 },
  mknodat: { x64: 259, arm64: 33 },
  mount: { x64: 165, arm64: 40 },
  name_to_handle_at: { x64: 303, arm64: 264 },
  open_by_handle_at: { x64: 304, arm64: 265 },
  open_tree: { x64: 428, arm64: 428 },
  perf_event_open: { x64: 298, arm64: 241 },
  personality: { x64: 135, arm64: 92 },
  pidfd_getfd: { x64: 438, arm64: 438 },
  pidfd_open: { x64: 434, arm64: 434 },
  pivot_root: { x64: 155, arm64: 41 },
  process_vm_readv: { x64: 310, arm64: 270 },
  ptrace: { x64: 101, arm64: 117 },
  reboot: { x64: 169, arm64: 142 },
  sched_setscheduler: { x64: 144, arm64: 119 },
  sethostname: { x64: 170, arm64: 161 },
  setns: { x64: 308, arm64: 268 },
  settimeofday: { x64: 164, arm64: 170 },
  shmget: { x64: 29, arm64: 194 },
  socket: { x64: 41, arm64: 198 },
  socketpair: { x64: 53, arm64: 199 },
  swapon: { x64: 167, arm64: 224 },
  syslog: { x64: 103, arm64: 116 },
  umount2: { x64: 166, arm64: 39 },
  unshare: { x64: 272, arm64: 97 },
  userfaultfd: { x64: 323, arm64: 282 },
};

const ERRNOS =
  '1 EPERM 2 ENOENT 3 ESRCH 5 EIO 6 ENXIO 8 ENOEXEC 9 EBADF 11 EAGAIN 12 ENOMEM 13 EACCES 14 EFAULT 16 EBUSY 17 EEXIST 18 EXDEV 19 ENODEV 20 ENOTDIR 22 EINVAL 25 ENOTTY 28 ENOSPC 30 EROFS 38 ENOSYS 40 ELOOP 93 EPROTONOSUPPORT 94 ESOCKTNOSUPPORT 95 EOPNOTSUPP 97 EAFNOSUPPORT 99 EADDRNOTAVAIL 101 ENETUNREACH 110 ETIMEDOUT 111 ECONNREFUSED 113 EHOSTUNREACH 115 EINPROGRESS';

/** What every probe can use: `call`, `apart`, `report`, `errno`. */
export function prelude(arch: Arch): string {
  const numbers = Object.entries(CALLS).flatMap(([name, of]) => (of[arch] === null ? [] : [`${name} => ${of[arch]}`]));
  return `use strict; no warnings; $| = 1;
my %number = (${numbers.join(', ')});
my %errno = split / /, '${ERRNOS}';
my $x64 = ${arch === 'x64' ? 1 : 0};
sub errno { my $n = $! + 0; $errno{$n} || "errno $n" }
my %said;
sub report { my ($label, $answer) = @_; $said{$label} = 1; syswrite STDOUT, "$label: $answer\\n" }
# The system call; a number it gives back is said only when it is asked for.
sub answer { my ($name, @arguments) = @_; $! = 0;
  return 'ENOSYS' unless defined $number{$name};
  my $got = syscall($number{$name}, @arguments); return $got == -1 ? errno() : 'ok' }
sub call { my ($label, @all) = @_; report($label, answer(@all)) }
# In a process of its own, so that what works does no harm to the next attempt, and what kills is seen.
sub apart { my ($label, $do) = @_; pipe my $r, my $w; my $pid = fork;
  if (!$pid) { close $r; my $answer = $do->(); syswrite $w, $answer; exit 0 }
  close $w; my $answer = ''; 1 while sysread $r, $answer, 4096, length $answer; waitpid $pid, 0;
  report($label, length $answer ? $answer : 'killed by ' . ($? & 127)) }
sub try_open { my ($mode, $path) = @_; my $file; return 'ok' if open($file, $mode, $path); return errno() }
`;
}

/** Answers by label. A line that is none is kept under ''. */
export function answers(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n').filter(Boolean)) {
    const [, label = '', answer = line] = /^([^:]+): (.*)$/.exec(line) ?? [];
    found.set(label, answer);
  }
  return found;
}
