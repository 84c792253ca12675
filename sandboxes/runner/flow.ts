// The two ends of one stream of the wire: what may be sent, and what was taken. Nothing piles up past WINDOW on either side.
import { StewardError } from '../../core/errors.ts';
import { FRAME, WINDOW } from './protocol.ts';

/** Sends one frame of this stream. */
export type Send = (type: number, payload?: Uint8Array) => void;

const PIECE = 64 * 1024;

export interface Outlet {
  /** Resolves when every byte was handed to the wire. Rejects when the stream ended with an error. */
  write(data: Uint8Array): Promise<void>;
  /** After what was written before it. */
  end(): void;
  grant(bytes: number): void;
  /** What waits is settled: with the error, or as if it had been taken. */
  close(error: Error | null): void;
}

export function createOutlet(send: Send): Outlet {
  const queue: { data: Uint8Array; resolve(): void; reject(error: Error): void }[] = [];
  let credit = WINDOW;
  let ending = false;
  let ended = false;
  let closed: { error: Error | null } | null = null;
  const pump = () => {
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      const size = Math.min(first.data.length, credit, PIECE);
      if (size === 0 && first.data.length > 0) return;
      if (size > 0) send(FRAME.INPUT, first.data.subarray(0, size));
      credit -= size;
      first.data = first.data.subarray(size);
      if (first.data.length > 0) continue;
      queue.shift();
      first.resolve();
    }
    if (ending && !ended) {
      ended = true;
      send(FRAME.END);
    }
  };
  return {
    write: (data) =>
      new Promise((resolve, reject) => {
        if (closed?.error) return reject(closed.error);
        if (closed) return resolve();
        if (ending) return reject(new StewardError('invalid', 'The input is closed.', { op: 'write to a command' }));
        queue.push({ data, resolve, reject });
        pump();
      }),
    end() {
      if (closed || ending) return;
      ending = true;
      pump();
    },
    grant(bytes) {
      // Never above the window, whatever the other side says.
      credit = Math.min(WINDOW, credit + bytes);
      if (!closed) pump();
    },
    close(error) {
      if (closed) return;
      closed = { error };
      for (const { resolve, reject } of queue.splice(0)) error ? reject(error) : resolve();
    },
  };
}

export interface Inlet {
  /** Throws when more came than was allowed. */
  received(bytes: number): void;
  /** The consumer has them: credit goes back. */
  taken(bytes: number): void;
}

export function createInlet(send: (credit: number) => void): Inlet {
  let open = WINDOW;
  let owed = 0;
  return {
    received(bytes) {
      open -= bytes;
      if (open < 0) {
        throw new StewardError('invalid', 'The runner sent more than it was allowed to.', {
          op: 'read from the sandbox',
        });
      }
    },
    taken(bytes) {
      owed += bytes;
      if (owed < WINDOW / 4) return;
      open += owed;
      send(owed);
      owed = 0;
    },
  };
}
