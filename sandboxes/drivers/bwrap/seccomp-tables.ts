// What the system call filter refuses, as tables: numbers per architecture and the answer each refused call gets.

export type Arch = 'x64' | 'arm64';

/** AUDIT_ARCH_* of linux/audit.h: what the kernel puts in seccomp_data.arch for native calls. */
export const AUDIT_ARCH: Record<Arch, number> = { x64: 0xc000003e, arm64: 0xc00000b7 };

export const ERRNO = { EPERM: 1, ENOSYS: 38, EPROTONOSUPPORT: 93, EOPNOTSUPP: 95, EAFNOSUPPORT: 97 } as const;
export type Errno = keyof typeof ERRNO;

/** Where one of them is null, the architecture has no such call. */
export interface Refused {
  name: string;
  x64: number | null;
  arm64: number | null;
  answer: Errno;
  /** Debuggers need it: allowed in profile `dev`. */
  dev?: true;
}

const refuse = (name: string, x64: number | null, arm64: number | null, answer: Errno = 'EPERM'): Refused => ({
  name,
  x64,
  arm64,
  answer,
});

/** Refused whatever the arguments. ENOSYS where programs look for a call and fall back to an older one. */
export const REFUSED: readonly Refused[] = [
  // Mounts and file systems, the old interface and the new one.
  refuse('mount', 165, 40),
  refuse('umount2', 166, 39),
  refuse('pivot_root', 155, 41),
  refuse('chroot', 161, 51),
  refuse('open_tree', 428, 428),
  refuse('move_mount', 429, 429),
  refuse('fsopen', 430, 430),
  refuse('fsconfig', 431, 431),
  refuse('fsmount', 432, 432),
  refuse('fspick', 433, 433),
  refuse('mount_setattr', 442, 442),
  refuse('quotactl', 179, 60),
  refuse('quotactl_fd', 443, 443),
  refuse('swapon', 167, 224),
  refuse('swapoff', 168, 225),
  // A file handle opens a file past every mount.
  refuse('open_by_handle_at', 304, 265),
  refuse('name_to_handle_at', 303, 264, 'EOPNOTSUPP'),
  // Namespaces; `clone` is judged by its flags, clone3 hides them behind a pointer.
  refuse('unshare', 272, 97),
  refuse('setns', 308, 268),
  refuse('clone3', 435, 435, 'ENOSYS'),
  // The kernel itself.
  refuse('init_module', 175, 105),
  refuse('finit_module', 313, 273),
  refuse('delete_module', 176, 106),
  refuse('create_module', 174, null),
  refuse('query_module', 178, null),
  refuse('get_kernel_syms', 177, null),
  refuse('kexec_load', 246, 104),
  refuse('kexec_file_load', 320, 294),
  refuse('reboot', 169, 142),
  refuse('acct', 163, 89),
  refuse('syslog', 103, 116),
  refuse('sethostname', 170, 161),
  refuse('setdomainname', 171, 162),
  refuse('settimeofday', 164, 170),
  refuse('clock_settime', 227, 112),
  refuse('clock_adjtime', 305, 266),
  refuse('vhangup', 153, 58),
  refuse('iopl', 172, null),
  refuse('ioperm', 173, null),
  refuse('modify_ldt', 154, null),
  refuse('uselib', 134, null),
  refuse('ustat', 136, null),
  refuse('sysfs', 139, null),
  refuse('_sysctl', 156, null),
  refuse('nfsservctl', 180, 42),
  refuse('lookup_dcookie', 212, 18),
  // Large surfaces with a history of holes.
  refuse('bpf', 321, 280),
  refuse('perf_event_open', 298, 241),
  refuse('userfaultfd', 323, 282),
  refuse('io_uring_setup', 425, 425, 'ENOSYS'),
  refuse('io_uring_enter', 426, 426, 'ENOSYS'),
  refuse('io_uring_register', 427, 427, 'ENOSYS'),
  // Memory that no account of the process shows.
  refuse('memfd_secret', 447, 447, 'ENOSYS'),
  // Keyrings are not divided by namespaces.
  refuse('add_key', 248, 217),
  refuse('request_key', 249, 218),
  refuse('keyctl', 250, 219),
  // Other processes' memory and files.
  { ...refuse('ptrace', 101, 117), dev: true },
  { ...refuse('process_vm_readv', 310, 270), dev: true },
  { ...refuse('process_vm_writev', 311, 271), dev: true },
  { ...refuse('kcmp', 312, 272), dev: true },
  { ...refuse('pidfd_getfd', 438, 438), dev: true },
];

/** Calls whose arguments decide. */
export const JUDGED: Record<'clone' | 'ioctl' | 'socket' | 'socketpair' | 'personality', Record<Arch, number>> = {
  clone: { x64: 56, arm64: 220 },
  ioctl: { x64: 16, arm64: 29 },
  socket: { x64: 41, arm64: 198 },
  socketpair: { x64: 53, arm64: 199 },
  personality: { x64: 135, arm64: 92 },
};

/** The last call this table was written for (removexattrat, Linux 6.13): later ones get ENOSYS, as on an older kernel. */
export const LAST_KNOWN = 466;

/** Bit 30 of a call's number marks the x32 ABI: a second set of numbers for the same calls. */
export const X32_BIT = 0x40000000;

/** NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
export const CLONE_NEW = 0x7e020000;

/** TIOCSTI types into the terminal, TIOCLINUX drives the console. */
export const IOCTLS_REFUSED = [0x5412, 0x541c] as const;

/** UNSPEC, UNIX, INET, INET6, NETLINK. Without netlink `os.networkInterfaces()` throws, and with it every dev server. */
export const FAMILIES = [0, 1, 2, 10, 16] as const;
export const AF_NETLINK = 16;
export const NETLINK_ROUTE = 0;

/** PER_LINUX, PER_LINUX32, the question alone; `dev` adds ADDR_NO_RANDOMIZE, which gdb sets. */
export const PERSONALITIES = [0, 0x0008, 0xffffffff] as const;
export const ADDR_NO_RANDOMIZE = 0x0040000;
