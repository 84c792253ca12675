// The system call filter, run by a small interpreter of classic BPF for both architectures.
import { describe, expect, it } from 'vitest';
import { ACTION, type Instruction, seccompBytes, seccompProgram } from '../../../../sandboxes/drivers/bwrap/seccomp.ts';
import {
  type Arch,
  AUDIT_ARCH,
  JUDGED,
  LAST_KNOWN,
  REFUSED,
  X32_BIT,
} from '../../../../sandboxes/drivers/bwrap/seccomp-tables.ts';

interface Call {
  number: number;
  arch: number;
  args?: (number | bigint)[];
}

/** What the kernel does with such a program: linux/net/core/filter.c, the operations seccomp allows. */
function run(program: readonly Instruction[], { number, arch, args = [] }: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(arch >>> 0, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), 16 + 8 * index);
  let accumulator = 0;
  for (let at = 0; at < program.length; at++) {
    const { code, jt, jf, k } = program[at]!;
    const jump = (taken: boolean) => {
      at += taken ? jt : jf;
    };
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x06) return k;
    else if (code === 0x15) jump(accumulator === k >>> 0);
    else if (code === 0x25) jump(accumulator > k >>> 0);
    else if (code === 0x35) jump(accumulator >= k >>> 0);
    else if (code === 0x45) jump((accumulator & k) >>> 0 !== 0);
    else throw new Error(`opcode ${code}`);
  }
  throw new Error('the program ran past its end');
}

const EPERM = ACTION.errno('EPERM');
const both: Arch[] = ['x64', 'arm64'];

describe.each(both)('the filter for %s', (arch) => {
  const strict = seccompProgram(arch, 'strict');
  const dev = seccompProgram(arch, 'dev');
  const ask = (number: number, args: (number | bigint)[] = [], program = strict) =>
    run(program, { number, arch: AUDIT_ARCH[arch], args });
  const judged = (name: keyof typeof JUDGED, ...args: (number | bigint)[]) => ask(JUDGED[name][arch], args);

  it('fits what the kernel takes, and every jump lands in it', () => {
    expect(strict.length).toBeLessThan(4096);
    strict.forEach(({ code, jt, jf }, at) => {
      if ((code & 7) === 5) expect(at + 1 + Math.max(jt, jf)).toBeLessThan(strict.length);
      else expect([jt, jf]).toEqual([0, 0]);
    });
    expect(seccompBytes(strict)).toHaveLength(strict.length * 8);
  });

  it('allows what every program needs', () => {
    const needed = {
      x64: [0, 1, 9, 39, 59, 61, 231, 257, 262, 302, 334],
      arm64: [63, 64, 222, 172, 221, 260, 94, 56, 79],
    };
    for (const number of needed[arch]) expect(ask(number), `call ${number}`).toBe(ACTION.ALLOW);
  });

  it.each(REFUSED.filter((call) => call[arch] !== null))('refuses $name', (call) => {
    expect(ask(call[arch]!)).toBe(ACTION.errno(call.answer));
    expect(ask(call[arch]!, [], dev)).toBe(call.dev ? ACTION.ALLOW : ACTION.errno(call.answer));
  });

  it('refuses calls that were invented later', () => {
    expect(ask(LAST_KNOWN)).toBe(ACTION.ALLOW);
    expect(ask(LAST_KNOWN + 1)).toBe(ACTION.errno('ENOSYS'));
    expect(ask(0xffffffff)).not.toBe(ACTION.ALLOW);
  });

  it('kills programs that call by the numbers of another architecture', () => {
    for (const other of [0x40000003, 0x40000028, AUDIT_ARCH[arch === 'x64' ? 'arm64' : 'x64'], 0])
      expect(run(strict, { number: 39, arch: other })).toBe(ACTION.KILL);
  });

  it('lets processes and threads be made, and no namespace', () => {
    const thread = 0x3d0f00;
    expect(judged('clone', thread)).toBe(ACTION.ALLOW);
    expect(judged('clone', 17)).toBe(ACTION.ALLOW);
    for (const flag of [0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000])
      expect(judged('clone', 17 | flag), flag.toString(16)).toBe(EPERM);
  });

  it('refuses typing into the terminal, also with bits set above the 32 the kernel reads', () => {
    expect(judged('ioctl', 0, 0x5401)).toBe(ACTION.ALLOW);
    expect(judged('ioctl', 0, 0x5412)).toBe(EPERM);
    expect(judged('ioctl', 0, 0x1_0000_5412n)).toBe(EPERM);
    expect(judged('ioctl', 0, 0x541c)).toBe(EPERM);
  });

  it('gives sockets of four families, and of netlink only the one that tells about interfaces', () => {
    for (const name of ['socket', 'socketpair'] as const) {
      for (const family of [1, 2, 10]) expect(judged(name, family, 1, 0)).toBe(ACTION.ALLOW);
      expect(judged(name, 16, 3, 0)).toBe(ACTION.ALLOW);
      for (const protocol of [4, 6, 9, 12, 16])
        expect(judged(name, 16, 3, protocol)).toBe(ACTION.errno('EPROTONOSUPPORT'));
      for (const family of [15, 17, 29, 31, 38, 40, 44, 45])
        expect(judged(name, family, 1, 0), `family ${family}`).toBe(ACTION.errno('EAFNOSUPPORT'));
    }
  });

  it('leaves the personality as it is; a debugger may switch off random addresses', () => {
    expect(judged('personality', 0xffffffff)).toBe(ACTION.ALLOW);
    expect(judged('personality', 0)).toBe(ACTION.ALLOW);
    expect(judged('personality', 0x0400000)).toBe(EPERM);
    expect(judged('personality', 0x0040000)).toBe(EPERM);
    expect(ask(JUDGED.personality[arch], [0x0040000], dev)).toBe(ACTION.ALLOW);
  });
});

it('kills the second set of numbers that x86-64 has', () => {
  const program = seccompProgram('x64', 'strict');
  expect(run(program, { number: X32_BIT | 39, arch: AUDIT_ARCH.x64 })).toBe(ACTION.KILL);
});

it('has every number once', () => {
  for (const arch of both) {
    const numbers = [...REFUSED.map((call) => call[arch]), ...Object.values(JUDGED).map((call) => call[arch])];
    const known = numbers.filter((number) => number !== null);
    expect(new Set(known).size).toBe(known.length);
  }
});
