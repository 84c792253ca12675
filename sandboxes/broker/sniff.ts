// Waits for the first bytes of a connection without taking them away from who reads it next.
import type { Duplex } from 'node:stream';
import type { Millis } from '../../core/types.ts';

/**
 * Calls `decide` with all bytes so far until it answers something else than null; the bytes are put back. Resolves with null
 * when the connection ends, or says too little in time: then it is closed.
 */
export function sniff<T>(socket: Duplex, withinMs: Millis, decide: (bytes: Buffer) => T | null): Promise<T | null> {
  return new Promise((resolve) => {
    let seen: Buffer = Buffer.alloc(0);
    const finish = (result: T | null) => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('error', onEnd);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      socket.pause();
      if (result === null) socket.destroy();
      else socket.unshift(seen);
      resolve(result);
    };
    const onEnd = () => finish(null);
    const onData = (chunk: Buffer) => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const result = decide(seen);
      if (result !== null) finish(result);
    };
    const timer = setTimeout(onEnd, withinMs);
    socket.on('data', onData);
    socket.on('error', onEnd);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
    socket.resume();
  });
}
