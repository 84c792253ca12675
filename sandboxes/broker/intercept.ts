// The server's side of TLS inside a tunnel, for hosts whose requests have to be seen: a credential or a limited rule.
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Millis } from '../../core/types.ts';
import { startsTls } from './client-hello.ts';
import { sniff } from './sniff.ts';

export type Opened =
  | { kind: 'open'; socket: Socket; scheme: 'http' | 'https' }
  /** The program ended it during the handshake; most often it does not trust our certificate. */
  | { kind: 'refused'; why: string }
  | { kind: 'gone' };

/** Plain HTTP inside a tunnel (WebSocket libraries do that) is seen like any other. The result is paused. */
export async function open(socket: Socket, context: () => SecureContext, withinMs: Millis): Promise<Opened> {
  const first = await sniff(socket, withinMs, (bytes) => (startsTls(bytes[0]) ? 'https' : 'http'));
  if (first === null) return { kind: 'gone' };
  if (first === 'http') return { kind: 'open', socket, scheme: 'http' };
  const secure = new TLSSocket(socket, { isServer: true, secureContext: context(), ALPNProtocols: ['http/1.1'] });
  return new Promise((resolve) => {
    const timer = setTimeout(() => secure.destroy(new Error('it took too long')), withinMs);
    const end = (opened: Opened) => {
      clearTimeout(timer);
      secure.off('close', gone);
      resolve(opened);
    };
    const gone = () => end({ kind: 'gone' });
    secure.once('close', gone);
    secure.once('secure', () => end({ kind: 'open', socket: secure, scheme: 'https' }));
    secure.on('error', (error: NodeJS.ErrnoException) => {
      const alert = /alert ([\w ]+)/.exec(error.message)?.[1];
      end({ kind: 'refused', why: alert ?? error.code ?? 'the handshake failed' });
      secure.destroy();
    });
  });
}
