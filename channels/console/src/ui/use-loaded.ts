// Loads something for a view and keeps it fresh: again when the connection comes back, or when asked.
import { useEffect, useRef, useState } from 'preact/hooks';
import { type ApiError, asApiError } from '../api.ts';
import type { Store } from '../store.ts';

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  reload: () => void;
  set: (data: T) => void;
}

/** `key` changes what is loaded; the old answer of an earlier key is dropped. */
export function useLoaded<T>(load: () => Promise<T>, store: Store, key: unknown = null): Loaded<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const turn = useRef(0);

  function reload(): void {
    const mine = ++turn.current;
    load().then(
      (next) => {
        if (mine !== turn.current) return;
        setData(next);
        setError(null);
      },
      (cause) => {
        if (mine === turn.current) setError(asApiError(cause));
      },
    );
  }

  const reached = store.reached.value;
  useEffect(() => {
    if (reached) reload();
    return () => {
      turn.current++;
    };
  }, [reached, key]);
  // While old data is there, a failed refresh is told by the connection banner and needs no second place.
  return { data, error: data === null ? error : null, reload, set: setData };
}
