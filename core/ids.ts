// Prefixed ids that sort by time: 48 bits of milliseconds, 16 of a counter, 64 of chance, in Crockford base 32 (as ULID).
import { randomBytes } from 'node:crypto';
import type { Id, Millis } from './types.ts';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

export type IdPrefix =
  | 'sesn'
  | 'sevt'
  | 'run'
  | 'outb'
  | 'agent'
  | 'env'
  | 'boot'
  | 'req'
  | 'sbx'
  | 'ckpt'
  | 'vlt'
  | 'vcrd'
  | 'mem'
  | 'mchg'
  | 'mqst'
  | 'mjob'
  | 'memstore'
  | 'memver'
  | 'hook'
  | 'whk'
  | 'sched'
  | 'srun'
  | 'task';

function base32(value: bigint, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) {
    text = ALPHABET[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return text;
}

/** Two ids made in one process never sort against their order of making, even within a millisecond. */
export function createIds(now: () => Millis): (prefix: IdPrefix) => Id {
  let last = 0;
  let counter = 0;
  return (prefix) => {
    const at = Math.max(now(), last);
    counter = at === last ? counter + 1 : 0;
    last = at;
    const head = base32((BigInt(at) << 16n) | BigInt(counter & 0xffff), 13);
    const tail = base32(BigInt(`0x${randomBytes(8).toString('hex')}`), 13);
    return `${prefix}_${head}${tail}`;
  };
}
