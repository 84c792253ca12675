// What an entry of an archive may be: the rules, and what is left of an entry that keeps them. Pure but for the memory of one archive.
import { posix } from 'node:path';
import { StewardError } from '../core/errors.ts';

export interface TarLimits {
  entries: number;
  /** All files together, unpacked. */
  bytes: number;
  /** One file. */
  fileBytes: number;
  /** How much larger than the compressed archive it may become, once it is past 64 MiB. */
  ratio: number;
}

export const TAR_LIMITS: Readonly<TarLimits> = {
  entries: 50_000,
  bytes: 2 * 1024 ** 3,
  fileBytes: 1024 ** 3,
  ratio: 250,
};

export interface Totals {
  files: number;
  bytes: number;
}

type Kind = 'file' | 'directory' | 'symlink';

/** An entry as it may be unpacked. */
export interface Entry {
  name: string;
  type: Kind;
  mode: number;
  size: number;
  mtime: Date;
  linkname?: string;
}

/** What the reader of archives says of an entry. */
interface Header {
  name: string;
  type: string | null;
  linkname: string | null;
  size: number;
  mode: number;
  mtime: Date;
  pax?: unknown;
}

/** Longest path and longest name of Linux, in bytes. */
const PATH_BYTES = 4_095;
const NAME_BYTES = 255;
/** All names of an archive together, because they are remembered to its end. */
const NAMES_BYTES = 16 * 1024 ** 2;

export const refuse = (why: string, code: 'invalid' | 'too_large' = 'invalid', cause?: unknown) =>
  new StewardError(code, `The archive is refused: ${why}.`, {
    op: 'unpack an archive',
    hint: 'Nothing of it was unpacked.',
    cause,
  });

/** For one archive, entry by entry in its order. */
export function createCheck(limits: TarLimits) {
  const kinds = new Map<string, Kind>();
  const parents = new Set<string>();
  let bytes = 0;
  let files = 0;
  let seen = 0;
  let names = 0;
  return {
    totals: (): Totals => ({ files, bytes }),
    /** null: an entry that is nothing to unpack (the folder itself). Throws on anything that is not fine. */
    entry(header: Header): Entry | null {
      const shown = JSON.stringify(header.name.slice(0, 200));
      if (++seen > limits.entries) throw refuse(`it has more than ${limits.entries} entries`, 'too_large');
      const name = plainName(header.name, shown);
      const type = kindOf(header, shown);
      if (name === '') {
        if (type === 'directory') return null;
        throw refuse(`${shown} is no name`);
      }
      const size = type === 'file' ? (header.size ?? 0) : 0;
      if (size > limits.fileBytes) throw refuse(`${shown} is larger than ${limits.fileBytes} bytes`, 'too_large');
      bytes += size;
      if (bytes > limits.bytes) throw refuse(`unpacked it is larger than ${limits.bytes} bytes`, 'too_large');

      names += name.length;
      if (names > NAMES_BYTES) throw refuse('its names are too long together', 'too_large');

      const there = kinds.get(name);
      // As tar has it: the later one counts. But nothing becomes something else on the way.
      if (there && (there !== type || type === 'symlink')) throw refuse(`${shown} is in it twice`);
      if (type !== 'directory' && parents.has(name)) throw refuse(`${shown} is a folder elsewhere in it`);
      for (let at = name.lastIndexOf('/'); at > 0; at = name.lastIndexOf('/', at - 1)) {
        const parent = name.slice(0, at);
        const kind = kinds.get(parent);
        if (kind && kind !== 'directory') throw refuse(`${shown} lies behind a link or a file`);
        if (parents.has(parent)) break;
        parents.add(parent);
        if (parents.size > limits.entries) throw refuse(`it has more than ${limits.entries} folders`, 'too_large');
      }
      kinds.set(name, type);
      if (type !== 'directory') files++;
      const seconds = (header.mtime?.getTime() ?? 0) / 1000;
      return {
        name,
        type,
        size,
        // The owner has to be able to move and remove what was unpacked.
        mode: ((header.mode ?? 0o644) & 0o777) | (type === 'directory' ? 0o700 : 0o600),
        // More than 31 bits have no place in a plain header.
        mtime: new Date(Math.min(Math.max(Math.trunc(seconds) || 0, 0), 2 ** 31 - 1) * 1000),
        ...(type === 'symlink' ? { linkname: innerTarget(name, header.linkname ?? '', shown) } : {}),
      };
    },
  };
}

function kindOf(header: Header, shown: string): Kind {
  if (Object.keys(header.pax ?? {}).some((key) => key.startsWith('GNU.sparse')))
    throw refuse(`${shown} is a sparse file`);
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      return 'file';
    case 'directory':
    case 'symlink':
      return header.type;
    case 'link':
      throw refuse(`${shown} is a hard link`);
    default:
      throw refuse(`${shown} is neither a file, a folder nor a symbolic link`);
  }
}

/** Relative, without `.` and empty parts. Throws on what leads elsewhere or cannot be a name. */
function plainName(name: string, shown: string): string {
  if (name.includes('\0')) throw refuse(`${shown} has a NUL byte in it`);
  if (name.includes('\ufffd')) throw refuse(`${shown} is not UTF-8`);
  if (name.startsWith('/')) throw refuse(`${shown} is an absolute name`);
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refuse(`${shown} leads out of the folder`);
  const plain = parts.join('/');
  if (Buffer.byteLength(plain) > PATH_BYTES || parts.some((part) => Buffer.byteLength(part) > NAME_BYTES)) {
    throw refuse(`${shown} is too long`);
  }
  return plain;
}

/**
 * A target that stays inside, whatever other links do: `..` only at its front, where the folders above are known to be no
 * links; each further link on the way was held to the same.
 */
function innerTarget(name: string, target: string, shown: string): string {
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const up = parts.lastIndexOf('..');
  const inside = posix.normalize(posix.join(posix.dirname(name), target));
  if (
    target === '' ||
    target.includes('\0') ||
    Buffer.byteLength(target) > PATH_BYTES ||
    target.startsWith('/') ||
    parts.slice(0, up + 1).some((part) => part !== '..') ||
    inside === '..' ||
    inside.startsWith('../')
  ) {
    throw refuse(`${shown} is a link out of the folder`);
  }
  return target;
}
