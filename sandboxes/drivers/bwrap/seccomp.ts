// The system call filter of a sandbox as a classic BPF program, made from the tables for one architecture. Pure.
import {
  ADDR_NO_RANDOMIZE,
  AF_NETLINK,
  type Arch,
  AUDIT_ARCH,
  CLONE_NEW,
  ERRNO,
  type Errno,
  FAMILIES,
  IOCTLS_REFUSED,
  JUDGED,
  LAST_KNOWN,
  NETLINK_ROUTE,
  PERSONALITIES,
  REFUSED,
  X32_BIT,
} from './seccomp-tables.ts';

export interface Instruction {
  code: number;
  jt: number;
  jf: number;
  k: number;
}

/** linux/bpf_common.h, the seven opcodes used. */
export const OP = { LOAD: 0x20, EQUAL: 0x15, GREATER: 0x25, AT_LEAST: 0x35, ANY_BIT: 0x45, RETURN: 0x06 } as const;

export const ACTION = {
  ALLOW: 0x7fff0000,
  KILL: 0x80000000,
  errno: (name: Errno): number => 0x00050000 | ERRNO[name],
} as const;

/** Offsets in struct seccomp_data. Arguments are 64 bits wide; what is judged here are ints, so that only the low half counts. */
const NUMBER = 0;
const ARCH = 4;
const argument = (index: number): number => 16 + 8 * index;

const load = (k: number): Instruction => ({ code: OP.LOAD, jt: 0, jf: 0, k });
const done = (k: number): Instruction => ({ code: OP.RETURN, jt: 0, jf: 0, k });
const when = (code: number, k: number, then: Instruction[]): Instruction[] => [
  { code, jt: 0, jf: then.length, k },
  ...then,
];
const unless = (code: number, k: number, then: Instruction[]): Instruction[] => [
  { code, jt: then.length, jf: 0, k },
  ...then,
];

const allow = done(ACTION.ALLOW);
const answer = (name: Errno): Instruction => done(ACTION.errno(name));

/** Calls judged by their arguments. Each block ends in a return, so that what follows still has the number loaded. */
function judged(arch: Arch, profile: 'strict' | 'dev'): Instruction[] {
  const personalities = profile === 'dev' ? [...PERSONALITIES, ADDR_NO_RANDOMIZE] : PERSONALITIES;
  const families = FAMILIES.filter((family) => family !== AF_NETLINK);
  const socket = [
    load(argument(0)),
    ...families.flatMap((family) => when(OP.EQUAL, family, [allow])),
    ...unless(OP.EQUAL, AF_NETLINK, [answer('EAFNOSUPPORT')]),
    load(argument(2)),
    ...when(OP.EQUAL, NETLINK_ROUTE, [allow]),
    answer('EPROTONOSUPPORT'),
  ];
  return [
    ...when(OP.EQUAL, JUDGED.clone[arch], [
      load(argument(0)),
      ...when(OP.ANY_BIT, CLONE_NEW, [answer('EPERM')]),
      allow,
    ]),
    ...when(OP.EQUAL, JUDGED.ioctl[arch], [
      load(argument(1)),
      ...IOCTLS_REFUSED.flatMap((request) => when(OP.EQUAL, request, [answer('EPERM')])),
      allow,
    ]),
    ...when(OP.EQUAL, JUDGED.socket[arch], socket),
    ...when(OP.EQUAL, JUDGED.socketpair[arch], socket),
    ...when(OP.EQUAL, JUDGED.personality[arch], [
      load(argument(0)),
      ...personalities.flatMap((persona) => when(OP.EQUAL, persona, [allow])),
      answer('EPERM'),
    ]),
  ];
}

export function seccompProgram(arch: Arch, profile: 'strict' | 'dev'): Instruction[] {
  const refused = REFUSED.filter((call) => call[arch] !== null && !(profile === 'dev' && call.dev));
  return [
    // Another architecture's numbers (32-bit programs) would mean other calls.
    load(ARCH),
    ...unless(OP.EQUAL, AUDIT_ARCH[arch], [done(ACTION.KILL)]),
    load(NUMBER),
    ...(arch === 'x64' ? when(OP.AT_LEAST, X32_BIT, [done(ACTION.KILL)]) : []),
    ...when(OP.GREATER, LAST_KNOWN, [answer('ENOSYS')]),
    ...judged(arch, profile),
    ...refused.flatMap((call) => when(OP.EQUAL, call[arch]!, [answer(call.answer)])),
    allow,
  ];
}

/** As the kernel reads it: struct sock_filter, little-endian on both architectures. */
export function seccompBytes(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach((step, index) => {
    if (step.jt > 255 || step.jf > 255) throw new RangeError(`a jump of instruction ${index} is too long`);
    bytes.writeUInt16LE(step.code, index * 8);
    bytes.writeUInt8(step.jt, index * 8 + 2);
    bytes.writeUInt8(step.jf, index * 8 + 3);
    bytes.writeUInt32LE(step.k, index * 8 + 4);
  });
  return bytes;
}
