// Durable positions in other systems' streams, such as the next Telegram update to ask for.
import type { Db } from './db.ts';

export interface Cursors {
  get(name: string): number | null;
  set(name: string, value: number): void;
}

export function createCursors(db: Db): Cursors {
  const select = db.prepare<[string], { value: number }>('SELECT value FROM cursors WHERE name = ?');
  const upsert = db.prepare<[string, number]>(
    'INSERT INTO cursors (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  return {
    get: (name) => select.get(name)?.value ?? null,
    set: (name, value) => void upsert.run(name, value),
  };
}
