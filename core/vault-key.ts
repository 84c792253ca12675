// The vault's key: found in the settings or in its file, made once, and what is sealed and opened with it.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { chmodSync, closeSync, fsyncSync, linkSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { StewardError } from './errors.ts';
import { readFileIfAny } from './files.ts';
import { namedFailure } from './sqlite.ts';

/** Of the layout below, and of how the keys are derived: the first byte of everything sealed. */
const VERSION = 1;
const KEY = 32;
const KEY_ID = 4;
const NONCE = 12;
const TAG = 16;
const HEAD = 1 + KEY_ID;

export interface VaultKey {
  /** AES-256-GCM under a fresh nonce: version, key id, nonce, ciphertext, tag. `bind` has to be the same to open it again. */
  seal(text: string, bind: readonly string[]): Buffer;
  /** Null when a byte of it, or what it is bound to, is another one, or the key is. */
  open(sealed: Uint8Array, bind: readonly string[]): string | null;
  /** Whether this is the key it was sealed with; it may still be damaged. */
  fits(sealed: Uint8Array): boolean;
  /** The same opaque text for the same name every time; nobody without the key can guess it. */
  placeholder(name: string): string;
}

export interface KeySource {
  /** Null when there is no key yet. Throws `bad_config` for what is no key, and where it cannot be read. */
  find(): VaultKey | null;
  /** Makes the key file; one that is there is never overwritten (`conflict`). Throws `disk_full` and `read_only`. */
  make(): VaultKey;
  /** Where the key is, as it stands in a sentence. */
  readonly place: string;
}

/** 32 bytes as 64 hexadecimal digits, or as base64 with or without its padding; null for anything else. */
export function parseKey(text: string): Buffer | null {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, 'base64');
  return null;
}

export function createVaultKey(key: Buffer): VaultKey {
  const derive = (use: string, length: number) =>
    Buffer.from(hkdfSync('sha256', key, '', `steward vault ${use}`, length));
  const sealing = derive('seal', KEY);
  const naming = derive('placeholder', KEY);
  const head = Buffer.concat([Buffer.of(VERSION), derive('key id', KEY_ID)]);
  const bound = (bind: readonly string[]) => Buffer.concat([head, Buffer.from(JSON.stringify(bind))]);
  const fits = (sealed: Uint8Array) => head.equals(sealed.subarray(0, HEAD));
  return {
    fits,
    seal(text, bind) {
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv('aes-256-gcm', sealing, nonce).setAAD(bound(bind));
      return Buffer.concat([head, nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed, bind) {
      if (!fits(sealed) || sealed.length < HEAD + NONCE + TAG) return null;
      const nonce = sealed.subarray(HEAD, HEAD + NONCE);
      const decipher = createDecipheriv('aes-256-gcm', sealing, nonce, { authTagLength: TAG })
        .setAAD(bound(bind))
        .setAuthTag(sealed.subarray(-TAG));
      try {
        return Buffer.concat([decipher.update(sealed.subarray(HEAD + NONCE, -TAG)), decipher.final()]).toString('utf8');
      } catch {
        return null;
      }
    },
    placeholder: (name) => `stw_${createHmac('sha256', naming).update(name).digest('hex').slice(0, 40)}`,
  };
}

/** `configured` is the value of STEWARD_VAULT_KEY: with it there is no file. */
export function keySource(home: string, configured: string | null): KeySource {
  const file = join(home, 'vault.key');
  const place = configured === null ? file : 'STEWARD_VAULT_KEY';
  const read = (): string | null => {
    if (configured !== null) return configured;
    try {
      const text = readFileIfAny(file);
      if (text !== null && (statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600);
      return text;
    } catch (cause) {
      throw new StewardError('bad_config', `${file} cannot be read: ${(cause as Error).message}.`, {
        op: 'read the key of the vault',
        hint: 'It must belong to the user Steward runs as.',
        cause,
      });
    }
  };
  return {
    place,
    find() {
      const text = read();
      if (text === null) return null;
      const key = parseKey(text.trim());
      if (key) return createVaultKey(key);
      throw new StewardError('bad_config', `${place} holds no key: it must be 32 bytes, as hex or base64.`, {
        op: 'read the key of the vault',
        hint: 'Put the right one back. If it is lost, delete that file and run steward vault reset.',
      });
    },
    make() {
      const key = randomBytes(KEY);
      try {
        writeNew(file, `${key.toString('hex')}\n`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST')
          throw new StewardError('conflict', `${file} is there already and is not overwritten.`, {
            op: 'make the key of the vault',
            hint: 'Start Steward again to use it, or move it away.',
            cause: error,
          });
        throw namedFailure(error, 'make the key of the vault');
      }
      return createVaultKey(key);
    },
  };
}

/** A file for its owner alone that is there in full or not at all, never in place of another, durable when this returns. */
function writeNew(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const sync = (target: string, flags: string, content = '') => {
    const fd = openSync(target, flags, 0o600);
    try {
      if (content) writeSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  };
  // What an earlier life left half-made was never a key.
  rmSync(temporary, { force: true });
  try {
    sync(temporary, 'wx', text);
    // Unlike a rename, a link does not replace what is there.
    linkSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  sync(join(path, '..'), 'r');
}
