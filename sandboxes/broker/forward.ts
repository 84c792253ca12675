// Carries one HTTP request to its host and the answer back, both streamed, within the caps of the sandbox.
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { reached, type Ticket } from './account.ts';
import { answer, causeOf } from './answers.ts';
import { type Changes, changesTo } from './body.ts';
import { maskText } from './credentials.ts';
import { endToEnd, mapHeaders, sizeOf } from './headers.ts';
import { hostHeader, type Target } from './target.ts';
import { refusalOf, type Way } from './way.ts';
import type { Timeouts } from './wire.ts';

export interface Plan {
  target: Target;
  way: Way;
  /** The program's, dressed; not yet without those of its own connection. */
  headers: readonly string[];
  changes: Changes;
  /** Location and Content-Location as the sandbox has to see them. */
  place(location: string): string;
  /** What is said when a cap is reached on the way. */
  cap: string;
  /** What is said of an address that is private. */
  privately(why: string): string;
  /** Noted for the audit. */
  why: string;
  timeouts: Timeouts;
}

/** May be sent twice without harm, and need no length when they have no body. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** Their own connection's headers replaced by ours; the encodings we can read when the answer has to be changed. */
export function outgoing(plan: Plan, request: IncomingMessage): string[] {
  const { target, changes } = plan;
  const edits = changes.pairs !== undefined || changes.edit !== undefined;
  const accept = changes.secrets.length > 0 ? 'identity' : edits ? 'gzip' : null;
  const headers = mapHeaders(endToEnd(plan.headers, ['expect']), (name, value) => {
    if (name === 'host') return null;
    // A part of a page cannot be changed so that the parts fit.
    if (edits && (name === 'range' || name === 'if-range')) return null;
    return name === 'accept-encoding' && accept !== null ? null : value;
  });
  const framing =
    request.headers['transfer-encoding'] !== undefined
      ? ['Transfer-Encoding', 'chunked']
      : request.headers['content-length'] === undefined && !SAFE.has(request.method ?? 'GET')
        ? ['Content-Length', '0']
        : [];
  return ['Host', hostHeader(target), ...headers, ...(accept === null ? [] : ['Accept-Encoding', accept]), ...framing];
}

/** The head of an answer for the sandbox: no secret in it, links moved, nothing of the upstream connection's own. */
export function incoming(plan: Plan, headers: readonly string[]): string[] {
  return mapHeaders(endToEnd(headers), (name, value) => {
    if (name === 'alt-svc') return null;
    const clean = maskText(value, plan.changes.secrets);
    return name === 'location' || name === 'content-location' ? plan.place(clean) : clean;
  });
}

export function forward(request: IncomingMessage, response: ServerResponse, plan: Plan, ticket: Ticket): void {
  const { target, way } = plan;
  const method = request.method ?? 'GET';
  const headers = outgoing(plan, request);
  const body = hasBody(request);
  let upstream: ClientRequest;

  const stop = (verdict: 'failed' | 'denied', status: number, why: string) => {
    ticket.settle(verdict, why, response.headersSent ? response.statusCode : status);
    upstream.destroy();
    answer(response, status, why);
    // What the program still sends is read and dropped, so that it gets to read the answer.
    request.unpipe();
    request.resume();
  };
  const failed = (error: unknown) => {
    if (ticket.settled) return;
    const refusal = refusalOf(error);
    if (refusal !== null) stop('denied', 403, plan.privately(refusal));
    else stop('failed', 502, reached(target.host, target.port, causeOf(error)));
  };
  const overdrawn = () => stop('failed', 403, plan.cap);

  const carry = (answered: IncomingMessage) => {
    if (!ticket.in(sizeOf(answered.rawHeaders))) return overdrawn();
    const status = answered.statusCode ?? 502;
    const empty = method === 'HEAD' || status === 204 || status === 304;
    let { stages, headers: head } = changesTo(answered, plan.changes);
    if (empty) {
      for (const stage of stages) stage.destroy();
      stages = [];
    }
    answered.on('data', (chunk: Buffer) => {
      if (!ticket.in(chunk.length) && !ticket.settled) overdrawn();
    });
    response.sendDate = false;
    response.writeHead(status, answered.statusMessage, incoming(plan, head));
    // A stream of events shows its head before its first event.
    if (!empty && answered.headers['content-length'] === undefined) response.flushHeaders();
    const broke = () => {
      ticket.settle('failed', reached(target.host, target.port, 'the answer broke off'), status);
      response.destroy();
      upstream.destroy();
    };
    // By hand and not by `pipeline`, which costs a tenth of a millisecond for each request.
    let last: Readable = answered.on('error', broke);
    for (const stage of stages) last = last.pipe(stage).on('error', broke);
    last.once('end', () => ticket.settle('allowed', plan.why, status));
    last.pipe(response);
  };

  const send = (again: boolean) => {
    upstream = way.request(target, { method, headers, timeout: plan.timeouts.idleMs });
    upstream.once('timeout', () => {
      if (!ticket.settled) stop('failed', 504, reached(target.host, target.port, 'it did not answer in time'));
    });
    upstream.once('response', carry);
    upstream.on('error', (error: NodeJS.ErrnoException) => {
      // A kept connection that its server closed in the same moment: nothing was done with the request.
      const stale = upstream.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
      if (stale && again && !body && SAFE.has(method) && !response.headersSent && !ticket.settled) send(false);
      else failed(error);
    });
    if (!body) upstream.end();
  };

  if (!ticket.out(method.length + target.path.length + sizeOf(headers))) {
    ticket.settle('failed', plan.cap, 403);
    answer(response, 403, plan.cap);
    return;
  }
  send(true);
  if (body) {
    request.on('data', (chunk: Buffer) => {
      if (!ticket.out(chunk.length) && !ticket.settled) overdrawn();
    });
    request.pipe(upstream!);
    // An answer may come before all of the body: the rest is read and dropped, so that the connection can go on.
    response.once('finish', () => {
      request.unpipe();
      request.resume();
    });
  }
  response.once('close', () => {
    if (response.writableFinished) return;
    upstream.destroy();
    ticket.settle(
      'allowed',
      `${plan.why}; the program did not wait for its end`,
      response.headersSent ? response.statusCode : null,
    );
  });
}
