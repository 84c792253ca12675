// Secrets that are Steward's own and no credential of a sandbox (webhooks): sealed with the vault's key, known to the redactor.
import { randomBytes } from 'node:crypto';
import type { KeySource, VaultKey } from './vault-key.ts';

/** As in Standard Webhooks: `whsec_` and the base64 of the key. */
export const SECRET_PREFIX = 'whsec_';
const SECRET_BYTES = 32;

export interface Box {
  /** `bind`: where it belongs; elsewhere it does not open. Makes the vault's key when there is none yet. */
  seal(secret: string, bind: readonly string[]): Buffer;
  /** Null when it was tampered with, or the key is another one: then it has to be made anew. */
  open(sealed: Uint8Array, bind: readonly string[]): string | null;
  /** Everything sealed or opened in this life, for redaction; also what was replaced. */
  words(): readonly string[];
}

/** A key source that several use: a key made for one is the key of all. */
export function sharedKey(source: KeySource): KeySource {
  let key: VaultKey | null = null;
  return {
    place: source.place,
    find: () => (key ??= source.find()),
    make: () => (key ??= source.make()),
  };
}

export const newSecret = (): string => `${SECRET_PREFIX}${randomBytes(SECRET_BYTES).toString('base64')}`;

export function createBox(source: KeySource): Box {
  const known = new Set<string>();
  const note = (secret: string) => {
    known.add(secret);
    // The key itself, as a program would hold it that took the prefix off.
    known.add(secret.replace(SECRET_PREFIX, ''));
    return secret;
  };
  return {
    seal: (secret, bind) => (source.find() ?? source.make()).seal(note(secret), ['box', ...bind]),
    open(sealed, bind) {
      const secret = source.find()?.open(sealed, ['box', ...bind]) ?? null;
      return secret === null ? null : note(secret);
    },
    words: () => [...known].sort((a, b) => b.length - a.length),
  };
}
