// A small world outside: counts what tools did to it, so that a repeated, a lost or a looked-up effect shows.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface EffectCounts {
  /** Times the world was really changed. */
  applied: number;
  /** Requests to change it, also those a key kept from doing so. */
  seen: number;
  /** Questions whether it happened. */
  looked: number;
}

export interface Effects {
  url: string;
  of(label: string): EffectCounts;
  /** From now on an answer takes this long; the change itself happens at once. */
  delay(ms: number): void;
  close(): Promise<void>;
}

export async function startEffects(): Promise<Effects> {
  let answerAfterMs = 0;
  const counts = new Map<string, EffectCounts>();
  const keys = new Set<string>();
  const of = (label: string) => counts.get(label) ?? { applied: 0, seen: 0, looked: 0 };
  const server = createServer((request, response) => {
    const query = new URL(request.url ?? '/', 'http://effects').searchParams;
    const label = query.get('label') ?? '';
    const key = query.get('key');
    const count = { ...of(label) };
    counts.set(label, count);
    if (request.method === 'GET') {
      count.looked += 1;
      response.end(JSON.stringify({ happened: count.applied > 0 }));
      return;
    }
    count.seen += 1;
    if (key === null || !keys.has(key)) count.applied += 1;
    if (key !== null) keys.add(key);
    if (answerAfterMs === 0) response.end('{}');
    else setTimeout(() => response.end('{}'), answerAfterMs).unref();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    of,
    delay(ms) {
      answerAfterMs = ms;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
