// The queue behind getUpdates: long polls that wait, confirmation by offset, one poller at a time.

export type Update = { update_id: number } & Record<string, unknown>;

export interface UpdateQueue {
  push(update: Update): void;
  /** Not confirmed yet. */
  size(): number;
  /**
   * Confirms what lies below the offset, then answers with the rest: at once when there is any, else with the first that
   * comes within the time. A newer poll ends it with `conflict`.
   */
  poll(options: { offset: number | null; limit: number; timeoutS: number }): Promise<Update[] | 'conflict'>;
  /** Ends the waiting poll, whose client is gone. */
  abandon(): void;
}

export function createUpdateQueue(): UpdateQueue {
  const updates: Update[] = [];
  let waiting: ((why: 'updates' | 'conflict') => void) | null = null;
  return {
    push(update) {
      updates.push(update);
      waiting?.('updates');
    },
    size: () => updates.length,
    poll({ offset, limit, timeoutS }) {
      waiting?.('conflict');
      while (offset !== null && updates.length > 0 && updates[0]!.update_id < offset) updates.shift();
      if (updates.length > 0 || timeoutS <= 0) return Promise.resolve(updates.slice(0, limit));
      return new Promise((resolve) => {
        const end = (why: 'updates' | 'conflict') => {
          clearTimeout(timer);
          waiting = null;
          resolve(why === 'conflict' ? why : updates.slice(0, limit));
        };
        const timer = setTimeout(end, timeoutS * 1_000, 'updates');
        waiting = end;
      });
    },
    abandon: () => waiting?.('updates'),
  };
}
