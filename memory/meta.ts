// Numbers and words of the room itself: how far the index is, the key of the tombstones. The only writer of `memory_meta`.
import type { Db } from '../core/db.ts';
import type { Meta } from './types.ts';

export function createMeta(db: Db): Meta {
  const select = db.prepare<[string], { value: string }>('SELECT value FROM memory_meta WHERE name = ?');
  const upsert = db.prepare<[string, string]>(
    'INSERT INTO memory_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  return {
    get: (name) => select.get(name)?.value ?? null,
    set: (name, value) => void upsert.run(name, value),
  };
}
