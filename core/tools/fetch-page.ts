// A bounded GET: guarded at connect time, redirects followed by hand, size and time limited, nothing of ours sent along.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { StewardError } from '../errors.ts';
import type { Millis } from '../types.ts';
import type { Guard } from './guard.ts';

export interface Page {
  url: string;
  status: number;
  mediaType: string;
  body: Buffer;
  /** True when the body was longer than the limit. */
  cut: boolean;
}

export interface FetchLimits {
  bytes: number;
  ms: Millis;
  redirects: number;
}

const DECODERS: Record<string, () => NodeJS.ReadWriteStream & Readable> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  deflate: () => createInflate(),
  br: () => createBrotliDecompress(),
};

function get(url: URL, guard: Guard, signal: AbortSignal): Promise<IncomingMessage> {
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (secure ? 443 : 80);
  return new Promise((resolve, reject) => {
    const send = secure ? httpsRequest : httpRequest;
    const request = send(url, {
      agent: false,
      signal,
      lookup: guard.lookupFor(host, port),
      headers: {
        accept: 'text/html,text/plain,application/json,*/*;q=0.5',
        'accept-encoding': 'gzip, deflate, br',
        'user-agent': 'Steward',
      },
    });
    request.once('response', resolve);
    request.once('error', reject);
    request.end();
  });
}

async function readBody(response: IncomingMessage, limit: number): Promise<{ body: Buffer; cut: boolean }> {
  const decode = DECODERS[String(response.headers['content-encoding'] ?? '').toLowerCase()];
  // The limit holds for what comes out: a small bomb is cut like a large page.
  const stream: Readable = decode ? response.pipe(decode()) : response;
  const chunks: Buffer[] = [];
  let size = 0;
  response.on('error', (error) => stream.destroy(error));
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) return { body: Buffer.concat(chunks).subarray(0, limit), cut: true };
    }
    return { body: Buffer.concat(chunks), cut: false };
  } finally {
    response.destroy();
  }
}

/** Throws `forbidden` (guard), `unavailable` (network, time), `invalid` (too many redirects, no URL). */
export async function fetchPage(
  address: string,
  guard: Guard,
  limits: FetchLimits,
  signal: AbortSignal,
): Promise<Page> {
  const op = `fetch ${address}`;
  if (!URL.canParse(address)) throw new StewardError('invalid', `${address} is not a URL.`, { op });
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(limits.ms)]);
  let url = new URL(address);
  try {
    for (let hops = 0; hops <= limits.redirects; hops++) {
      guard.check(url);
      const response = await get(url, guard, bounded);
      const status = response.statusCode ?? 0;
      const next = status >= 300 && status < 400 ? response.headers.location : undefined;
      if (next === undefined) {
        const mediaType = String(response.headers['content-type'] ?? '')
          .split(';', 1)[0]!
          .trim()
          .toLowerCase();
        return { url: url.href, status, mediaType, ...(await readBody(response, limits.bytes)) };
      }
      response.destroy();
      const target = new URL(next, url);
      // Another host was not what was asked for or approved: the caller decides again.
      if (target.hostname !== url.hostname)
        return {
          url: url.href,
          status,
          mediaType: 'text/plain',
          body: Buffer.from(`Redirects to another host: ${target.href}\nFetch that address if it is wanted.`),
          cut: false,
        };
      url = target;
    }
  } catch (error) {
    if (error instanceof StewardError) throw error;
    const why =
      bounded.aborted && !signal.aborted ? `it took more than ${limits.ms / 1_000} seconds` : (error as Error).message;
    throw new StewardError('unavailable', `${url.href} could not be fetched: ${why}`, {
      op,
      retryable: true,
      cause: error,
    });
  }
  throw new StewardError('invalid', `${address} redirects more than ${limits.redirects} times.`, { op });
}
