// Reads the name out of the first bytes of a TLS connection, so that a tunnel to one host is not used to talk to another. Pure.

export type Hello =
  /** The hello is not complete. */
  | { kind: 'more' }
  /** Not TLS. */
  | { kind: 'other' }
  /** `name` is null when the client names none. */
  | { kind: 'tls'; name: string | null };

const HANDSHAKE = 0x16;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
/** A hello is a few hundred bytes; past this it is none. */
const MOST = 65_536;

export const startsTls = (first: number | undefined): boolean => first === HANDSHAKE;

/** The handshake messages without the record layer around them (RFC 8446 §5.1); null when a record is of another kind. */
function unwrap(bytes: Buffer): { body: Buffer; whole: boolean } | null {
  const parts: Buffer[] = [];
  let at = 0;
  while (at + 5 <= bytes.length) {
    if (bytes[at] !== HANDSHAKE || bytes[at + 1] !== 3) return null;
    const length = bytes.readUInt16BE(at + 3);
    parts.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
    const body = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    if (body.length >= 4 && body.length >= 4 + body.readUIntBE(1, 3)) return { body, whole: true };
  }
  return { body: Buffer.concat(parts), whole: false };
}

export function readHello(bytes: Buffer): Hello {
  if (bytes.length === 0) return { kind: 'more' };
  if (!startsTls(bytes[0])) return { kind: 'other' };
  const record = unwrap(bytes);
  if (!record) return { kind: 'other' };
  if (!record.whole) return bytes.length > MOST ? { kind: 'other' } : { kind: 'more' };
  try {
    return { kind: 'tls', name: serverName(record.body) };
  } catch {
    // Lengths that lead past the end.
    return { kind: 'other' };
  }
}

/** RFC 6066 §3, RFC 8446 §4.1.2. Throws RangeError on lengths that lie. */
function serverName(body: Buffer): string | null {
  if (body[0] !== CLIENT_HELLO) throw new RangeError('not a hello');
  let at = 4 + 2 + 32;
  at += 1 + body.readUInt8(at);
  at += 2 + body.readUInt16BE(at);
  at += 1 + body.readUInt8(at);
  if (at >= body.length) return null;
  const end = at + 2 + body.readUInt16BE(at);
  at += 2;
  while (at + 4 <= end) {
    const type = body.readUInt16BE(at);
    const length = body.readUInt16BE(at + 2);
    at += 4;
    if (type === SERVER_NAME) {
      const size = body.readUInt16BE(at + 3);
      const name = body.subarray(at + 5, at + 5 + size);
      if (name.length !== size) throw new RangeError('cut');
      return name.toString('latin1').toLowerCase().replace(/\.$/, '');
    }
    at += length;
  }
  return null;
}
