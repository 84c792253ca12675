// Shows a port of a sandbox to the owner's browser: one loopback listener, one unguessable host name for each port that is shown.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Sandbox } from './driver.ts';

export interface Exposure {
  url: string;
}

export interface Exposer {
  /** The same port of the same sandbox gets the same link. */
  expose(sandbox: Sandbox, port: number): Promise<Exposure>;
  stop(): Promise<void>;
}

/** What the sandbox never sees: the console's cookie, which browsers send to every port of a host, and credentials. */
const STRIPPED = ['cookie', 'authorization', 'x-api-key', 'proxy-authorization'];

/**
 * The name under `.localhost` is what keeps others out: browsers resolve it to this machine, a page from elsewhere cannot
 * guess it, and it has an origin of its own, so that what runs in a sandbox shares nothing with the console.
 */
export function createExposer(): Exposer {
  const shown = new Map<string, { sandbox: Sandbox; port: number }>();
  let server: Server | null = null;
  let starting: Promise<number> | null = null;

  const target = (headers: IncomingMessage['headers']) =>
    shown.get((headers.host ?? '').replace(/\.localhost(:\d+)?$/, ''));

  const forward = (
    incoming: IncomingMessage,
    to: { sandbox: Sandbox; port: number },
    answered: (response: IncomingMessage) => void,
    upgraded: (response: IncomingMessage, socket: Duplex, head: Buffer) => void,
    failed: () => void,
  ) => {
    const headers = { ...incoming.headers, host: `localhost:${to.port}` };
    for (const name of STRIPPED) delete headers[name as keyof typeof headers];
    to.sandbox.dial(to.port).then((socket) => {
      const outgoing = request({
        method: incoming.method,
        path: incoming.url,
        headers,
        // One connection per request; the sandbox may be gone at any time.
        createConnection: () => socket as never,
      });
      outgoing.on('response', answered);
      outgoing.on('upgrade', upgraded);
      outgoing.on('error', failed);
      incoming.pipe(outgoing);
    }, failed);
  };

  const onRequest = (incoming: IncomingMessage, response: ServerResponse) => {
    const to = target(incoming.headers);
    const say = (status: number, text: string) => {
      if (response.headersSent) return void response.destroy();
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
    };
    if (!to) return say(404, 'Nothing is shown under this name. Ask the console for a new link.');
    forward(
      incoming,
      to,
      (answer) => {
        const headers = { ...answer.headers };
        delete headers['transfer-encoding'];
        response.writeHead(answer.statusCode ?? 502, headers);
        answer.pipe(response);
        // Where only the end of the connection ends a body, a hard end is one too.
        const delimited = 'content-length' in answer.headers || 'transfer-encoding' in answer.headers;
        answer.on('error', () => (delimited ? response.destroy() : response.end()));
      },
      (_, socket) => socket.destroy(),
      () => say(502, `Nothing answers on port ${to.port} of this sandbox.`),
    );
  };

  const onUpgrade = (incoming: IncomingMessage, client: Duplex) => {
    const to = target(incoming.headers);
    if (!to) return void client.destroy();
    client.on('error', () => client.destroy());
    forward(
      incoming,
      to,
      (answer) => {
        client.end(`HTTP/1.1 ${answer.statusCode ?? 502} ${answer.statusMessage ?? ''}\r\n\r\n`);
      },
      (answer, socket, head) => {
        const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${String(value)}`);
        client.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
        if (head.length > 0) client.write(head);
        socket.on('error', () => client.destroy());
        socket.pipe(client).pipe(socket);
      },
      () => client.destroy(),
    );
  };

  const listen = (): Promise<number> => {
    starting ??= (async () => {
      server = createServer(onRequest).on('upgrade', onUpgrade);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    })();
    return starting;
  };

  return {
    async expose(sandbox, port) {
      const own = await listen();
      const known = [...shown].find(([, entry]) => entry.sandbox.id === sandbox.id && entry.port === port);
      const name = known?.[0] ?? `p-${randomBytes(12).toString('hex')}`;
      if (!known) void sandbox.ended.then(() => shown.delete(name));
      shown.set(name, { sandbox, port });
      return { url: `http://${name}.localhost:${own}/` };
    },
    async stop() {
      shown.clear();
      if (!server) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      server = null;
      starting = null;
    },
  };
}
