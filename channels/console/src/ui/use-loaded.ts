// Loads something for a view and keeps it fresh: again when the connection comes back, or when asked.
import { useEffect, useRef, useState } from 'preact/hooks';
import { type ApiError, asApiError } from '../api.ts';
import type { Store } from '../store.ts';

export interface Loaded<T> {
  data: T | null;
  /** `data` is what an earlier key was answered with: to be read, not to be acted on. */
  stale: boolean;
  error: ApiError | null;
  reload: () => void;
  set: (data: T) => void;
}

/** `key` changes what is loaded; the old answer of an earlier key is dropped. */
export function useLoaded<T>(load: () => Promise<T>, store: Store, key: unknown = null): Loaded<T> {
  const [answer, setAnswer] = useState<{ key: unknown; data: T } | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const turn = useRef(0);

  function reload(): void {
    const mine = ++turn.current;
    load().then(
      (next) => {
        if (mine !== turn.current) return;
        setAnswer({ key, data: next });
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
  return {
    data: answer?.data ?? null,
    stale: answer !== null && answer.key !== key,
    error: answer === null ? error : null,
    reload,
    set: (data) => setAnswer({ key, data }),
  };
}
