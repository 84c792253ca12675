// A list that comes in pages: the first is kept fresh, later ones are fetched when asked for and dropped when the list is another.
import { useState } from 'preact/hooks';
import { type ApiError, asApiError } from '../api.ts';
import type { Store } from '../store.ts';
import { useLoaded } from './use-loaded.ts';

export interface Page<T> {
  data: T[];
  next_page: string | null;
}

export interface Pages<T> {
  /** All pages so far; null until the first is there. */
  list: readonly T[] | null;
  /** As `Loaded.stale`. */
  stale: boolean;
  error: ApiError | null;
  /** Null when there is no further page. */
  more: (() => Promise<void>) | null;
  busy: boolean;
  reload: () => void;
}

/** `key` changes what is listed: it is read anew, from its beginning. */
export function usePages<T>(load: (page: string | null) => Promise<Page<T>>, store: Store, key: unknown): Pages<T> {
  const first = useLoaded(() => load(null), store, key);
  const [later, setLater] = useState<{ of: unknown; list: T[]; next: string | null } | null>(null);
  const [busy, setBusy] = useState(false);
  const mine = later?.of === key ? later : null;
  const next = mine ? mine.next : (first.data?.next_page ?? null);

  async function more(page: string): Promise<void> {
    setBusy(true);
    try {
      const { data, next_page } = await load(page);
      setLater({ of: key, list: [...(mine?.list ?? []), ...data], next: next_page });
    } catch (error) {
      store.toast('bad', asApiError(error).message);
    }
    setBusy(false);
  }

  return {
    list: first.data && [...first.data.data, ...(mine?.list ?? [])],
    stale: first.stale,
    error: first.error,
    more: next === null ? null : () => more(next),
    busy,
    reload: first.reload,
  };
}
