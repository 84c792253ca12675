// What was forgotten, known again by keyed hashes alone. The only writer of `memory_tombstones`.
import { createHmac, randomBytes } from 'node:crypto';
import type { Db } from '../core/db.ts';
import type { Millis } from '../core/types.ts';
import { normalText } from './normalise.ts';
import type { Meta, Restore } from './types.ts';

const KEYS = 'tombstone_keys';

export interface Tombstones extends Pick<Restore, 'tombstones'> {
  /** The text, or a sentence of it, was forgotten. */
  isForgotten(text: string): boolean;
  /** The owner said it anew: it may be remembered again. */
  sayAgain(text: string): void;
  add(texts: readonly string[]): void;
  /** For an export: without them the hashes mean nothing. The first is the one in use. */
  keys(): readonly string[];
}

export function createTombstones(db: Db, deps: { meta: Meta; now(): Millis }): Tombstones {
  const insert = db.prepare<[string, Millis]>(
    'INSERT INTO memory_tombstones (hash, at) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING',
  );
  const remove = db.prepare<[string]>('DELETE FROM memory_tombstones WHERE hash = ?');
  const one = db.prepare<[string], object>('SELECT 1 FROM memory_tombstones WHERE hash = ?');
  const any = db.prepare<[], object>('SELECT 1 FROM memory_tombstones LIMIT 1');
  const keys = (): string[] => JSON.parse(deps.meta.get(KEYS) ?? '[]') as string[];
  const ownKeys = (): string[] => {
    const known = keys();
    if (known.length > 0) return known;
    const made = [randomBytes(32).toString('hex')];
    deps.meta.set(KEYS, JSON.stringify(made));
    return made;
  };
  const hash = (key: string, normal: string): string => createHmac('sha256', key).update(normal).digest('hex');
  /** The whole, and its sentences and lines. */
  const partsOf = (text: string): Set<string> =>
    new Set(
      [text, ...text.split(/[\n\r]+|(?<=[.!?…])\s+|(?<=[。！？])/u)].map(normalText).filter((part) => part !== ''),
    );
  return {
    isForgotten(text) {
      if (!any.get()) return false;
      const parts = partsOf(text);
      return keys().some((key) => [...parts].some((part) => one.get(hash(key, part)) !== undefined));
    },
    sayAgain(text) {
      if (!any.get()) return;
      for (const key of keys()) for (const part of partsOf(text)) remove.run(hash(key, part));
    },
    add(texts) {
      const [key] = ownKeys();
      for (const text of texts) {
        const normal = normalText(text);
        if (normal !== '') insert.run(hash(key!, normal), deps.now());
      }
    },
    keys,
    tombstones(others, rows) {
      const mine = any.get() ? keys() : [];
      deps.meta.set(KEYS, JSON.stringify([...new Set([...mine, ...others])]));
      return rows.filter(({ hash: row, at }) => insert.run(row, at).changes === 1).length;
    },
  };
}
