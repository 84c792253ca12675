// What can go wrong with a request to the fake, and the stream it goes wrong in.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamEvent } from './answer.ts';

/** What goes wrong with one request to POST /v1/messages. A chunk is one event of the stream. */
export type Fault =
  | { kind: 'none' }
  | { kind: 'status'; status: number; retryAfter?: string | number; message?: string }
  /** The connection is closed before the request is read. */
  | { kind: 'drop' }
  /** 200 and the headers, then the connection is closed. */
  | { kind: 'drop_after_headers' }
  /** The connection is closed in the middle of the chunk after this many. */
  | { kind: 'cut'; afterChunks: number }
  /** An error event in the stream after this many chunks. */
  | { kind: 'error_event'; type: string; afterChunks: number }
  /** Nothing at all is answered, not even headers. */
  | { kind: 'hang_before_headers' }
  /** 200 and the headers, then silence; with `pingMs` a ping now and then. */
  | { kind: 'hang_before_first_event'; pingMs?: number }
  | { kind: 'hang_mid_stream'; afterChunks: number; pingMs?: number }
  | { kind: 'slow'; msPerChunk: number }
  /** Stands still after this many chunks until the test says go: for what has to be seen in mid-answer. */
  | { kind: 'hold'; afterChunks: number; until: Promise<unknown> }
  /** A whole answer, but its connection is closed only after this time; never when `ms` is left out. */
  | { kind: 'late_end'; ms?: number }
  /** Text without end; at full speed when `msPerChunk` is left out. */
  | { kind: 'endless'; text?: string; msPerChunk?: number };

export interface Faults {
  /** One fault for each of the next requests, in order. `none` lets one through. */
  next(...faults: Fault[]): void;
  /** Every request from now on that has none of its own; null ends it. */
  stick(fault: Fault | null): void;
  clear(): void;
}

export interface FaultQueue extends Faults {
  /** The fault of the next request. */
  take(): Fault;
  pending(): { next: Fault[]; sticky: Fault | null };
}

export function createFaults(): FaultQueue {
  let queue: Fault[] = [];
  let sticky: Fault | null = null;
  return {
    next: (...more) => void queue.push(...more),
    stick(fault) {
      sticky = fault;
    },
    clear() {
      queue = [];
      sticky = null;
    },
    take: () => queue.shift() ?? sticky ?? { kind: 'none' },
    pending: () => ({ next: queue, sticky }),
  };
}

/** The error type and the usual text of a status. */
export const ERROR_TYPES: Record<number, [type: string, message: string]> = {
  400: ['invalid_request_error', 'Your request was malformed.'],
  401: ['authentication_error', 'invalid x-api-key'],
  402: ['billing_error', 'Your account is not in good standing. Please check your payment details.'],
  403: ['permission_error', 'Your API key does not have permission to use the specified resource.'],
  404: ['not_found_error', 'Not found'],
  413: ['request_too_large', 'Request exceeds the maximum size'],
  429: [
    'rate_limit_error',
    'This request would exceed the rate limit for your organization of 50 requests per minute.',
  ],
  500: ['api_error', 'Internal server error'],
  503: ['api_error', 'Service temporarily unavailable'],
  504: ['timeout_error', 'Request timed out'],
  529: ['overloaded_error', 'Overloaded'],
};

export async function streamEvents(
  events: Iterable<StreamEvent>,
  response: ServerResponse,
  fault: Fault,
): Promise<void> {
  let sent = 0;
  for (const event of events) {
    if (response.destroyed) return;
    const bytes = `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
    switch (fault.kind) {
      case 'drop_after_headers':
        return close(response, '');
      case 'cut':
        if (sent >= fault.afterChunks) return close(response, bytes.slice(0, bytes.length / 2));
        break;
      case 'error_event':
        if (sent < fault.afterChunks) break;
        response.end(errorEvent(fault.type));
        return;
      case 'hang_before_first_event':
        return hang(response, fault.pingMs);
      case 'hang_mid_stream':
        if (sent >= fault.afterChunks) return hang(response, fault.pingMs);
        break;
      case 'hold':
        if (sent === fault.afterChunks) await Promise.race([fault.until, gone(response)]);
        break;
      case 'slow':
      case 'endless':
        if (fault.msPerChunk !== undefined) await delay(fault.msPerChunk);
        break;
    }
    sent += 1;
    if (!response.write(bytes)) await drained(response);
    // Lets go of the event loop now and then: an endless stream shares it with the test that reads it.
    else if (sent % 64 === 0) await new Promise(setImmediate);
  }
  if (fault.kind === 'late_end') await (fault.ms === undefined ? gone(response) : delay(fault.ms));
  response.end();
}

function errorEvent(type: string): string {
  const [, message] = Object.values(ERROR_TYPES).find(([known]) => known === type) ?? [type, type];
  return `event: error\ndata: ${JSON.stringify({ type: 'error', error: { type, message } })}\n\n`;
}

/** What was written reaches the client first; then the connection breaks without an end. */
async function close(response: ServerResponse, last: string): Promise<void> {
  if (last) await new Promise((resolve) => response.write(last, resolve));
  await new Promise(setImmediate);
  response.destroy();
}

async function hang(response: ServerResponse, pingMs: number | undefined): Promise<void> {
  const ping = pingMs && setInterval(() => response.write('event: ping\ndata: {"type": "ping"}\n\n'), pingMs);
  await gone(response);
  if (ping) clearInterval(ping);
}

/** Resolves when the client, or the end of the fake, closed the connection. */
export async function gone(response: ServerResponse): Promise<void> {
  if (!response.destroyed) await once(response, 'close');
}

async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]).finally(() =>
    over.abort(),
  );
}
