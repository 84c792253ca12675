// The broker's own certificate authority, made anew at each boot of the daemon, and one leaf certificate per host.
// The only importer of node-forge: it writes the DER; keys and signatures (P-256, native) are Node's.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import forge from 'node-forge';
import type { Millis } from '../../core/types.ts';
import type { KeyPair } from './wire.ts';

const { asn1 } = forge;
type Node = forge.asn1.Asn1;
const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class;
const { Type } = asn1;

const OID = {
  commonName: '2.5.4.3',
  ecdsaSha256: '1.2.840.10045.4.3.2',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  altName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

const HOUR: Millis = 3_600_000;
const DAY = 24 * HOUR;
const CA_LIFE = 5 * 365 * DAY;
const LEAF_LIFE = 30 * DAY;
/** A wildcard credential makes a host of each name a program thinks of. */
const MOST_LEAVES = 256;

export interface Authority {
  /** To hand to the next broker, so that sandboxes go on trusting it. */
  pair: KeyPair;
  /** For the server side of TLS as this host (a name or an address). */
  contextFor(host: string): SecureContext;
  /** A certificate with its chain, and its key; what `contextFor` uses. */
  issue(hosts: readonly string[]): KeyPair;
}

const make = (type: forge.asn1.Type, value: string | Node[]): Node =>
  asn1.create(UNIVERSAL, type, typeof value !== 'string', value);
const sequence = (...children: Node[]): Node => make(Type.SEQUENCE, children);
const oid = (dotted: string): Node => make(Type.OID, asn1.oidToDer(dotted).getBytes());
const integer = (bytes: Buffer): Node => make(Type.INTEGER, bytes.toString('latin1'));
const bits = (bytes: Buffer): Node => make(Type.BITSTRING, `\0${bytes.toString('latin1')}`);
const context = (tag: number, value: string | Node[]): Node =>
  asn1.create(CONTEXT_SPECIFIC, tag as forge.asn1.Type, typeof value !== 'string', value);
const der = (node: Node): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
// Dates before 2050 are UTCTime (RFC 5280 §4.1.2.5).
const time = (at: Millis): Node => make(Type.UTCTIME, asn1.dateToUtcTime(new Date(at)) as unknown as string);
const nameOf = (common: string): Node =>
  sequence(make(Type.SET, [sequence(oid(OID.commonName), make(Type.UTF8, Buffer.from(common).toString('latin1')))]));
const extension = (id: string, critical: boolean, value: Node): Node =>
  sequence(
    oid(id),
    ...(critical ? [make(Type.BOOLEAN, '\xff')] : []),
    make(Type.OCTETSTRING, der(value).toString('latin1')),
  );
const pem = (bytes: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // The parsed form is compressed in one way only: eight groups with at most one gap.
  const [head = '', tail] = new SocketAddress({ address, family: 'ipv6' }).address.split('::');
  const groups = (text: string | undefined) => (text ? text.split(':') : []);
  const [before, after] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return Buffer.from([...before, ...zeros, ...after].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
/** The point alone is what is hashed (RFC 5280 §4.2.1.2): the last 65 bytes of a P-256 key. */
const keyId = (spki: Buffer): string => createHash('sha1').update(spki.subarray(-65)).digest().toString('latin1');

interface Draft {
  subject: string;
  issuer: string;
  from: Millis;
  to: Millis;
  spki: Buffer;
  extensions: Node[];
}

function certify(draft: Draft, signer: KeyObject): string {
  const algorithm = () => sequence(oid(OID.ecdsaSha256));
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const body = sequence(
    context(0, [integer(Buffer.from([2]))]),
    integer(serial),
    algorithm(),
    nameOf(draft.issuer),
    sequence(time(draft.from), time(draft.to)),
    nameOf(draft.subject),
    asn1.fromDer(draft.spki.toString('latin1')),
    context(3, [sequence(...draft.extensions)]),
  );
  return pem(der(sequence(body, algorithm(), bits(sign('sha256', der(body), signer)))));
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const usage = (byte: number, unused: number): Node => make(Type.BITSTRING, String.fromCharCode(unused, byte));

function newAuthority(now: Millis): KeyPair {
  const { publicKey, privateKey } = newKeys();
  const spki = spkiOf(publicKey);
  // The name is unique: a client that saw an earlier authority must not take this one for it.
  const name = `Steward sandboxes ${randomBytes(6).toString('hex')}`;
  const cert = certify(
    {
      subject: name,
      issuer: name,
      from: now - HOUR,
      to: now + CA_LIFE,
      spki,
      extensions: [
        extension(OID.basicConstraints, true, sequence(make(Type.BOOLEAN, '\xff'), integer(Buffer.from([0])))),
        // keyCertSign, cRLSign.
        extension(OID.keyUsage, true, usage(0x06, 1)),
        extension(OID.subjectKeyId, false, make(Type.OCTETSTRING, keyId(spki))),
      ],
    },
    privateKey,
  );
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
}

/** The common name of our own certificate: the only attribute of its subject. */
function commonNameOf(cert: string): string {
  const body = cert.replace(/-----[^-]+-----|\s/g, '');
  const root = asn1.fromDer(Buffer.from(body, 'base64').toString('latin1')).value as Node[];
  const subject = (root[0]!.value as Node[])[5]!;
  const attribute = ((subject.value as Node[])[0]!.value as Node[])[0]!;
  return (attribute.value as Node[])[1]!.value as string;
}

/** `pair` is that of an earlier broker of the same boot; null makes a new authority. */
export function createAuthority(pair: KeyPair | null, now: () => Millis): Authority {
  const own = pair ?? newAuthority(now());
  const signer = createPrivateKey(own.key);
  const issuer = commonNameOf(own.cert);
  const issuerId = keyId(spkiOf(createPublicKey(signer)));
  const leaf = newKeys();
  const spki = spkiOf(leaf.publicKey);
  const leafKey = leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const contexts = new Map<string, { made: SecureContext; until: Millis }>();

  const issue = (hosts: readonly string[]): KeyPair => {
    const cert = certify(
      {
        // A name longer than 64 characters is not allowed here, and nobody reads it beside the alternative names.
        subject: (hosts[0] ?? '').slice(0, 64),
        issuer,
        from: now() - HOUR,
        to: now() + LEAF_LIFE,
        spki,
        extensions: [
          extension(OID.basicConstraints, true, sequence()),
          // digitalSignature.
          extension(OID.keyUsage, true, usage(0x80, 7)),
          extension(OID.extKeyUsage, false, sequence(oid(OID.serverAuth))),
          extension(
            OID.altName,
            false,
            sequence(
              ...hosts.map((host) =>
                isIP(host) ? context(7, addressBytes(host).toString('latin1')) : context(2, host),
              ),
            ),
          ),
          extension(OID.subjectKeyId, false, make(Type.OCTETSTRING, keyId(spki))),
          extension(OID.authorityKeyId, false, sequence(context(0, issuerId))),
        ],
      },
      signer,
    );
    return { cert: cert + own.cert, key: leafKey };
  };

  return {
    pair: own,
    issue,
    contextFor(host) {
      const known = contexts.get(host);
      if (known && known.until > now()) return known.made;
      const made = createSecureContext(issue([host]));
      contexts.delete(host);
      contexts.set(host, { made, until: now() + LEAF_LIFE / 2 });
      if (contexts.size > MOST_LEAVES) contexts.delete(contexts.keys().next().value!);
      return made;
    },
  };
}
