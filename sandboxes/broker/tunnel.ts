// An opaque tunnel to an allowed host: what is inside is not seen, but for the name its TLS asks for. It has to be that
// host's: on a server of many hosts another name would be another host.
import type { Socket } from 'node:net';
import { reached, type Ticket } from './account.ts';
import { answerRaw, causeOf } from './answers.ts';
import { readHello } from './client-hello.ts';
import { sniff } from './sniff.ts';
import { splice } from './splice.ts';
import { refusalOf, type Way } from './way.ts';
import type { Timeouts } from './wire.ts';

export interface TunnelPlan {
  host: string;
  port: number;
  way: Way;
  why: string;
  cap: string;
  privately(why: string): string;
  timeouts: Timeouts;
}

/** The answer to a CONNECT that may go on. */
export const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

/** The name a hello asks for, null when there is none to see. */
const nameIn = (bytes: Buffer): { name: string | null } | null => {
  const hello = readHello(bytes);
  if (hello.kind === 'more') return null;
  return { name: hello.kind === 'tls' ? hello.name : null };
};

export function tunnel(inside: Socket, head: Buffer, plan: TunnelPlan, ticket: Ticket): void {
  const { host, port, way } = plan;
  const outside = way.connect(host, port);
  const early = (error: Error) => {
    const refused = refusalOf(error);
    const status = refused === null ? 502 : 403;
    const why = refused === null ? reached(host, port, causeOf(error)) : plan.privately(refused);
    ticket.settle(refused === null ? 'failed' : 'denied', why, status);
    answerRaw(inside, status, why);
  };
  const left = () => {
    outside.destroy();
    ticket.settle('allowed', `${plan.why}; the program did not wait for the connection`, null);
  };
  const gate = async (): Promise<boolean> => {
    const hello = await sniff(inside, plan.timeouts.idleMs, nameIn);
    if (hello === null) return false;
    if (hello.name === null || hello.name === host) return true;
    ticket.settle('denied', `Inside a tunnel to ${host} a program asked for ${hello.name}.`, null);
    return false;
  };
  inside.once('close', left);
  outside.once('error', early);
  outside.once('connect', () => {
    outside.off('error', early);
    inside.off('close', left);
    inside.write(ESTABLISHED);
    if (head.length > 0) inside.unshift(head);
    void splice(inside, outside, ticket, plan.timeouts, gate).then((ended) => {
      if (ended === 'cap') ticket.settle('failed', plan.cap, 200);
      else ticket.settle('allowed', ended === 'idle' ? `${plan.why}; closed after a long silence` : plan.why, 200);
    });
  });
}
