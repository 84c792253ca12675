// What the tools of memory work with. Types only.
import type { Db } from '../../core/db.ts';
import type { Events } from '../../core/events.ts';
import type { Millis } from '../../core/types.ts';
import type { ChangeStore } from '../changes.ts';
import type { ItemStore } from '../items.ts';
import type { Save } from '../save.ts';
import type { Search } from '../search/search.ts';

export interface MemoryToolsDeps {
  db: Db;
  events: Pick<Events, 'get' | 'list' | 'isTainted'>;
  items: ItemStore;
  changes: ChangeStore;
  save: Save;
  search: Search['search'];
  now(): Millis;
  timeZone: string;
}

/** Said in place of everything else. */
export const INCOGNITO =
  'This conversation is incognito: nothing is kept of it, and memory is neither read nor written here.';
