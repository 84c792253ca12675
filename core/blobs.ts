// Content-addressed bytes: large event payloads and files, stored once by their SHA-256.
import { createHash } from 'node:crypto';
import type { Db } from './db.ts';
import type { Millis } from './types.ts';

export interface Blobs {
  /** Stores the bytes (once) and returns their hash. Call inside the transaction that refers to them. */
  put(data: Uint8Array): string;
  get(hash: string): Uint8Array | null;
  remove(hash: string): void;
}

export function createBlobs(db: Db, now: () => Millis): Blobs {
  const insert = db.prepare<[string, number, Uint8Array, Millis]>(
    'INSERT INTO blobs (hash, size, data, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING',
  );
  const select = db.prepare<[string], { data: Uint8Array }>('SELECT data FROM blobs WHERE hash = ?');
  const remove = db.prepare<[string]>('DELETE FROM blobs WHERE hash = ?');
  return {
    put(data) {
      const hash = createHash('sha256').update(data).digest('hex');
      insert.run(hash, data.byteLength, data, now());
      return hash;
    },
    get: (hash) => select.get(hash)?.data ?? null,
    remove: (hash) => void remove.run(hash),
  };
}
