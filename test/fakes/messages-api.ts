// A strict fake of Anthropic's Messages API on loopback: it refuses what the real one refuses, and fails on demand.
// In a test: `startMessagesApi()`. As a process: `node test/fakes/messages-api.ts --port N`, driven over /__fake/*.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  checkSignature,
  freshId,
  type Handler,
  lastUserText,
  type Scripted,
  toEvents,
  toMessage,
} from './messages-api/answer.ts';
import type { MessagesRequest } from './messages-api/blocks.ts';
import { createPromptCache } from './messages-api/cache.ts';
import { createFaults, ERROR_TYPES, type Fault, type Faults, gone, streamEvents } from './messages-api/faults.ts';
import { complaintAbout, MAX_BODY_BYTES, parseBody, VERSIONS } from './messages-api/rules.ts';

export { type Handler, lastUserText, type Scripted, type ScriptedBlock, toolResults } from './messages-api/answer.ts';
export type { MessagesRequest } from './messages-api/blocks.ts';
export type { Fault, Faults } from './messages-api/faults.ts';

export interface RecordedRequest {
  path: string;
  /** When its head had arrived, on the clock of `performance.now()` of the fake's process. */
  receivedAt: number;
  headers: IncomingHttpHeaders;
  /** As it came over the wire. */
  raw: string;
  /** Parsed, also when it was refused; null when it was not JSON or not read. */
  body: unknown;
  /** 0 when the connection was closed, or left open, without a status. */
  status: number;
  fault: Fault['kind'] | null;
  /** Why it was refused, in the words of the answer. */
  refused: string | null;
  /** `closed`: by the client before the answer was complete, or by a fault. */
  ended: 'open' | 'complete' | 'closed';
  /** The client's port: requests that share it shared a connection. */
  connection: number;
}

export interface MessagesApiOptions {
  port?: number;
  /** The only key or token accepted; any that is not empty when left out. */
  key?: string;
  /** The only models known; any when left out. */
  models?: string[];
  handler?: Handler;
  /** Prompts above are refused as too long. Default 1,000,000. */
  contextTokens?: number;
  /** Prefixes below are not cached. Default 1,024. */
  minCacheTokens?: number;
  /** How many requests are remembered. Default 10,000. */
  keep?: number;
}

export interface MessagesApi {
  url: string;
  requests: RecordedRequest[];
  script(handler: Handler): void;
  faults: Faults;
  close(): Promise<void>;
}

class Refused extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;
  constructor(status: number, message?: string, headers: Record<string, string> = {}) {
    super(message ?? ERROR_TYPES[status]?.[1] ?? 'Error');
    this.status = status;
    this.headers = headers;
  }
}

export async function startMessagesApi(options: MessagesApiOptions = {}): Promise<MessagesApi> {
  const requests: RecordedRequest[] = [];
  const cache = createPromptCache(options.minCacheTokens ?? 1_024);
  let handler = options.handler ?? ((request) => `You said: ${lastUserText(request)}`);
  const faults = createFaults();

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end(`The fake failed: ${error instanceof Error ? error.stack : String(error)}`);
    });
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://fake').pathname;
    if (path.startsWith('/__fake/')) return control(path, request, response);
    const fault: Fault = request.method === 'POST' && path === '/v1/messages' ? faults.take() : { kind: 'none' };
    const record: RecordedRequest = {
      path,
      receivedAt: performance.now(),
      headers: request.headers,
      raw: '',
      body: null,
      status: 0,
      fault: fault.kind === 'none' ? null : fault.kind,
      refused: null,
      ended: 'open',
      connection: request.socket.remotePort ?? 0,
    };
    response.once('close', () => {
      record.ended = response.writableFinished ? 'complete' : 'closed';
    });
    requests.push(record);
    if (requests.length > (options.keep ?? 10_000)) requests.shift();
    if (fault.kind === 'drop') return void request.socket.destroy();
    try {
      const body = await accept(request, path, record);
      if (fault.kind === 'status') throw asRefusal(fault);
      if (path === '/v1/messages/count_tokens') {
        return send(response, record, 200, { input_tokens: cache.count(body) });
      }
      await answer(body, response, record, fault);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      record.refused = error.message;
      const type = ERROR_TYPES[error.status]?.[0] ?? 'api_error';
      const id = freshId('req');
      const shape = { type: 'error', error: { type, message: error.message }, request_id: id };
      send(response, record, error.status, shape, { ...error.headers, 'request-id': id });
    }
  }

  /** The body of a request that the real API would have accepted. */
  async function accept(request: IncomingMessage, path: string, record: RecordedRequest): Promise<MessagesRequest> {
    record.raw = await readBody(request);
    if (request.method !== 'POST' || !['/v1/messages', '/v1/messages/count_tokens'].includes(path))
      throw new Refused(404);
    checkKey(request.headers, options.key);
    const version = request.headers['anthropic-version'];
    if (typeof version !== 'string') throw new Refused(400, 'anthropic-version: header is required');
    if (!VERSIONS.includes(version)) throw new Refused(400, `anthropic-version: "${version}" is not a valid version`);
    const parsed = parseBody(record.raw);
    if ('complaint' in parsed) throw new Refused(400, parsed.complaint);
    record.body = parsed.body;
    const complaint = complaintAbout(record.body, {
      version,
      betas: String(request.headers['anthropic-beta'] ?? ''),
      counting: path.endsWith('/count_tokens'),
      checkSignature,
    });
    if (complaint) throw new Refused(400, complaint);
    const body = record.body as MessagesRequest;
    if (options.models && !options.models.includes(body.model)) throw new Refused(404, `model: ${body.model}`);
    const limit = options.contextTokens ?? 1_000_000;
    const tokens = cache.count(body);
    if (tokens > limit) throw new Refused(400, `prompt is too long: ${tokens} tokens > ${limit} maximum`);
    return body;
  }

  async function answer(body: MessagesRequest, response: ServerResponse, record: RecordedRequest, fault: Fault) {
    if (fault.kind === 'hang_before_headers') return gone(response);
    const said = handler(body);
    const script: Scripted = typeof said === 'string' ? { content: [{ type: 'text', text: said }] } : { ...said };
    if (fault.kind === 'endless') script.endless = fault.text ?? 'and so on ';
    const message = toMessage(script, body.model, cache.book(body));
    if (!body.stream) {
      if (fault.kind === 'slow') await delay(fault.msPerChunk);
      if (fault.kind.startsWith('hang')) return gone(response);
      if (!['none', 'slow', 'late_end'].includes(fault.kind)) return void response.destroy();
      return send(response, record, 200, message);
    }
    record.status = 200;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'request-id': freshId('req'),
    });
    response.flushHeaders();
    await streamEvents(toEvents(script, message), response, fault);
  }

  async function control(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    if (request.method === 'GET' && path === '/__fake/requests') return reply(200, { data: requests });
    if (request.method === 'POST' && path === '/__fake/faults') {
      const order = JSON.parse(await readBody(request)) as { next?: Fault[]; sticky?: Fault | null; clear?: boolean };
      if (order.clear) faults.clear();
      if (order.next) faults.next(...order.next);
      if (order.sticky !== undefined) faults.stick(order.sticky);
      return reply(200, faults.pending());
    }
    return reply(404, {
      error: 'POST /__fake/faults {next?: [fault], sticky?: fault|null, clear?: true}, GET /__fake/requests',
    });
  }

  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    script: (next) => {
      handler = next;
    },
    faults,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Read to its end, so that the client gets to see the answer.
    if (size <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (size > MAX_BODY_BYTES) throw new Refused(413);
  return Buffer.concat(chunks).toString('utf8');
}

function checkKey(headers: IncomingHttpHeaders, key: string | undefined): void {
  const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
  const given = headers['x-api-key'] ?? bearer;
  if (!given) throw new Refused(401, 'x-api-key header is required');
  if (key !== undefined && given !== key) {
    throw new Refused(401, headers['x-api-key'] ? 'invalid x-api-key' : 'Invalid bearer token');
  }
}

function asRefusal(fault: Extract<Fault, { kind: 'status' }>): Refused {
  const headers: Record<string, string> = {};
  if (fault.retryAfter !== undefined) headers['retry-after'] = String(fault.retryAfter);
  return new Refused(fault.status, fault.message, headers);
}

function send(
  response: ServerResponse,
  record: RecordedRequest,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  record.status = status;
  response.writeHead(status, { 'request-id': freshId('req'), ...headers, 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '0' }, key: { type: 'string' } } });
  const api = await startMessagesApi({ port: Number(values.port), ...(values.key ? { key: values.key } : {}) });
  console.log(JSON.stringify({ url: api.url }));
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void api.close());
}
