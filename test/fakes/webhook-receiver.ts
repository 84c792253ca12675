// A receiver of webhooks on loopback, strict as Standard Webhooks asks: checks the signature, the time and the id, and can misbehave.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the next request meets. `took`: whether the receiver keeps what it was sent. */
export type Fault =
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  /** Takes it, and breaks off without an answer. */
  | { kind: 'dropAfter' }
  /** Takes it, and never answers. */
  | { kind: 'hang' };

export interface Received {
  id: string;
  at: number;
  timestamp: number;
  signature: string;
  body: { type: string; timestamp: string; data: Record<string, unknown> };
  raw: string;
}

export interface Receiver {
  url: string;
  /** Set before anything arrives: what was shown when the webhook was made. */
  secret: string;
  /** Every request that was right, also those repeated and those answered with a fault. */
  requests: Received[];
  /** What a receiver that drops repeats by id has in the end. */
  kept(): Received[];
  /** What was wrong with requests, in words; empty when all is well. */
  complaints: string[];
  next(fault: Fault, times?: number): void;
  close(): Promise<void>;
}

const TOLERANCE_S = 5 * 60;

export async function startReceiver(options: { host?: string } = {}): Promise<Receiver> {
  const faults: Fault[] = [];
  const kept = new Map<string, Received>();

  const complain = (response: ServerResponse, why: string) => {
    receiver.complaints.push(why);
    response.writeHead(400).end(why);
  };
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const raw = Buffer.concat(chunks).toString();
    const header = (name: string) => String(request.headers[name] ?? '');
    const [id, timestamp, signature] = [header('webhook-id'), header('webhook-timestamp'), header('webhook-signature')];
    if (request.method !== 'POST') return complain(response, `method ${request.method}`);
    if (header('content-type') !== 'application/json') return complain(response, 'content type');
    if (!/^[\w-]{1,100}$/.test(id)) return complain(response, `webhook-id ${id}`);
    if (!/^\d{10}$/.test(timestamp)) return complain(response, `webhook-timestamp ${timestamp}`);
    if (Math.abs(Date.now() / 1_000 - Number(timestamp)) > TOLERANCE_S) return complain(response, 'too old');
    const key = Buffer.from(receiver.secret.replace(/^whsec_/, ''), 'base64');
    const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${raw}`).digest('base64');
    const right = signature.split(' ').some((part) => {
      const [version, value = ''] = part.split(',');
      const [a, b] = [Buffer.from(value), Buffer.from(expected)];
      return version === 'v1' && a.length === b.length && timingSafeEqual(a, b);
    });
    if (!right) return complain(response, `signature ${signature}`);
    const before = kept.get(id);
    if (before && before.raw !== raw) return complain(response, `${id} came with another body`);
    const received: Received = {
      id,
      at: Date.now(),
      timestamp: Number(timestamp),
      signature,
      body: JSON.parse(raw),
      raw,
    };
    receiver.requests.push(received);
    const fault = faults.shift();
    if (fault?.kind === 'status') {
      if (fault.status >= 200 && fault.status < 300) kept.set(id, before ?? received);
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    kept.set(id, before ?? received);
    if (fault?.kind === 'dropAfter') request.socket.destroy();
    else if (fault?.kind !== 'hang') response.writeHead(204).end();
  };
  const server = createServer((request, response) => {
    handle(request, response).catch((error) => receiver.complaints.push(String(error)));
  });
  server.listen(0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`,
    secret: '',
    requests: [],
    complaints: [],
    kept: () => [...kept.values()],
    next(fault, times = 1) {
      for (let i = 0; i < times; i++) faults.push(fault);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
