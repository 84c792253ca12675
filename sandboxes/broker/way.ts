// Connections to the outside: kept open for the next request, and only ever to an address that was checked.
import type { LookupAddress, LookupOptions, lookup } from 'node:dns';
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect, isIP, type Socket } from 'node:net';
import { createGuard } from '../../core/tools/guard.ts';
import type { Millis } from '../../core/types.ts';
import { plainHost } from './policy.ts';
import type { Target } from './target.ts';

/** Why a connection was not made, when it is not the network's fault: the address is private or reserved. */
export const refusalOf = (error: unknown): string | null =>
  error instanceof Error && 'code' in error && error.code === 'forbidden' ? error.message : null;

export interface Way {
  /** Sends a request; connects to the checked address, or uses a connection that was made so. */
  request(target: Target, options: Pick<RequestOptions, 'method' | 'headers' | 'timeout'>): ClientRequest;
  connect(host: string, port: number): Socket;
  /** Why this host may not be connected to, when it is an address; names are checked as they are resolved. */
  refusal(host: string, port: number): string | null;
  close(): void;
}

export type Resolve = typeof lookup;

/** A resolver with answers of its own for some names, for homes and tests; the usual one for the rest. */
export function resolverWith(names: Record<string, readonly (readonly string[])[]>, usual: Resolve): Resolve {
  const asked = new Map<string, number>();
  const resolve = (
    name: string,
    options: LookupOptions,
    callback: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
  ) => {
    const answers = Object.hasOwn(names, name) ? names[name]! : null;
    if (!answers) return usual(name, { ...options, all: true }, callback);
    const turn = asked.get(name) ?? 0;
    asked.set(name, turn + 1);
    const found = answers[Math.min(turn, answers.length - 1)] ?? [];
    process.nextTick(
      callback,
      null,
      found.map((address) => ({ address, family: isIP(address) })),
    );
  };
  return resolve as unknown as Resolve;
}

/** Unused connections are closed before most servers would close them under a request. */
const KEEP_MS: Millis = 15_000;
const CONNECT_MS: Millis = 30_000;
const LARGEST_HEAD = 65_536;

/** The system would try for minutes. */
function hurry(socket: Socket): Socket {
  if (!socket.connecting) return socket;
  const late = () => socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
  const timer = setTimeout(late, CONNECT_MS);
  const stop = () => clearTimeout(timer);
  return socket.once('connect', stop).once('close', stop);
}

/** `reach` names what may be private. One way for each sandbox: no connection is shared between two of them. */
export function createWay(reach: readonly string[], resolve: Resolve): Way {
  const guard = createGuard(reach, resolve);
  const options = { keepAlive: true, maxFreeSockets: 32, scheduling: 'lifo' as const, timeout: KEEP_MS };
  const agents = { http: new HttpAgent(options), https: new HttpsAgent(options) };
  return {
    request({ scheme, host, port, path }, more) {
      const send = scheme === 'https' ? httpsRequest : httpRequest;
      const request = send({
        ...more,
        agent: agents[scheme],
        host,
        port,
        path,
        ...(scheme === 'https' ? { servername: isIP(host) ? '' : host } : {}),
        maxHeaderSize: LARGEST_HEAD,
        lookup: guard.lookupFor(host, port),
      } as RequestOptions);
      return request.once('socket', hurry);
    },
    connect: (host, port) => hurry(connect({ host, port, lookup: guard.lookupFor(host, port), noDelay: true })),
    refusal: (host, port) => (isIP(host) ? guard.refusal(plainHost(host), port) : null),
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}
