// A WebSocket through the broker: the handshake is judged and dressed like a request, then both ways are open.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { reached, type Ticket } from './account.ts';
import { answerRaw, causeOf } from './answers.ts';
import { changesTo } from './body.ts';
import { incoming, outgoing, type Plan } from './forward.ts';
import { sizeOf } from './headers.ts';
import { splice } from './splice.ts';
import { refusalOf } from './way.ts';

const lines = (headers: readonly string[]): string => {
  let text = '';
  for (let at = 0; at + 1 < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
  return text;
};

export function upgrade(request: IncomingMessage, inside: Socket, head: Buffer, plan: Plan, ticket: Ticket): void {
  const { target, way } = plan;
  const refuse = (verdict: 'denied' | 'failed', status: number, why: string) => {
    if (ticket.settled) return;
    ticket.settle(verdict, why, status);
    answerRaw(inside, status, why);
  };
  const headers = [...outgoing(plan, request), 'Connection', 'Upgrade', 'Upgrade', 'websocket'];
  if (!ticket.out(target.path.length + sizeOf(headers))) {
    refuse('failed', 403, plan.cap);
    return;
  }
  const upstream = way.request(target, { method: 'GET', headers, timeout: plan.timeouts.idleMs });
  upstream.on('error', (error) => {
    const refused = refusalOf(error);
    if (refused !== null) refuse('denied', 403, plan.privately(refused));
    else refuse('failed', 502, reached(target.host, target.port, causeOf(error)));
  });
  upstream.once('timeout', () => {
    upstream.destroy();
    refuse('failed', 504, reached(target.host, target.port, 'it did not answer in time'));
  });
  const left = () => {
    upstream.destroy();
    ticket.settle('allowed', `${plan.why}; the program did not wait for its end`, null);
  };
  inside.once('close', left);
  upstream.once('upgrade', (response, outside: Socket, first) => {
    inside.off('close', left);
    outside.setTimeout(0);
    outside.on('error', () => outside.destroy());
    ticket.in(sizeOf(response.rawHeaders));
    const answered = [...incoming(plan, response.rawHeaders), 'Connection', 'Upgrade', 'Upgrade', 'websocket'];
    inside.write(`HTTP/1.1 101 Switching Protocols\r\n${lines(answered)}\r\n`);
    if (first.length > 0) outside.unshift(first);
    if (head.length > 0) inside.unshift(head);
    void splice(inside, outside, ticket, plan.timeouts).then((ended) => {
      if (ended === 'cap') ticket.settle('failed', plan.cap, 101);
      else ticket.settle('allowed', plan.why, 101);
    });
  });
  // The host did not want to: its answer, and the end of this connection.
  upstream.once('response', (response) => {
    const status = response.statusCode ?? 502;
    ticket.in(sizeOf(response.rawHeaders));
    const { stages, headers: head } = changesTo(response, plan.changes);
    inside.write(
      `HTTP/1.1 ${status} ${response.statusMessage ?? ''}\r\n${lines(incoming(plan, head))}Connection: close\r\n\r\n`,
    );
    response.on('data', (chunk: Buffer) => {
      if (!ticket.in(chunk.length)) inside.destroy();
    });
    let last: Readable = response.on('error', () => inside.destroy());
    for (const stage of stages) last = last.pipe(stage).on('error', () => inside.destroy());
    last.once('end', () => {
      inside.off('close', left);
      ticket.settle('allowed', plan.why, status);
    });
    last.pipe(inside);
  });
  upstream.end();
}
