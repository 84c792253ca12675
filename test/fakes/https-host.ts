// A host of the outside world on loopback: HTTPS with an authority of its own (or plain HTTP), an echo by default,
// and git over smart HTTP with a password for bare repositories.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { type Authority, createAuthority } from '../../sandboxes/broker/authority.ts';

export interface Seen {
  method: string;
  url: string;
  /** Names in lower case. */
  headers: IncomingMessage['headers'];
  body: string;
}

export interface HttpsHost {
  port: number;
  /** PEM of its authority: what a client has to trust. Empty over plain HTTP. */
  ca: string;
  /** Every request whose body has arrived, in order. */
  seen: Seen[];
  /** Connections that are open now. */
  open(): number;
  close(): Promise<void>;
}

export interface GitHost {
  /** A folder of bare repositories; `x.git` in it is served as `/x.git`. */
  root: string;
  /** The only value of `Authorization` that is let in; null: everybody. */
  authorization: string | null;
}

export interface HttpsHostOptions {
  /** The names and addresses its certificate is for; 127.0.0.1 and localhost when left out. */
  names?: readonly string[];
  /** To share one authority between several hosts. */
  authority?: Authority;
  plain?: boolean;
  /** Answers a request whose body was read; an echo as JSON when left out, or when it returns false. */
  handler?: (
    seen: Seen,
    response: ServerResponse,
    request: IncomingMessage,
  ) => undefined | boolean | Promise<undefined | boolean>;
  /** A status with which a request is answered before its body was read, or null. */
  refuse?: (request: IncomingMessage) => number | null;
  upgrade?: (request: IncomingMessage, socket: Socket, head: Buffer) => void;
  git?: GitHost;
}

export const makeAuthority = (): Authority => createAuthority(null, Date.now);

/** Whether this is git's, for a repository that is there. */
function isGit({ root }: GitHost, url: string): boolean {
  const [, path] = /^(\/.+?)\/(?:info\/refs\?service=git-|git-(?:upload|receive)-pack$)/.exec(url) ?? [];
  return path !== undefined && existsSync(join(root, path));
}

/** `git http-backend` is a CGI program: the request in its environment and stdin, head and body of the answer on stdout. */
function serveGit(git: GitHost, request: IncomingMessage, response: ServerResponse): void {
  if (git.authorization !== null && request.headers.authorization !== git.authorization) {
    request.resume();
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"', 'content-type': 'text/plain' });
    response.end('Who are you?\n');
    return;
  }
  const [path, query = ''] = (request.url ?? '').split('?');
  const child = spawn('git', ['-c', 'http.receivepack=true', 'http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env.PATH,
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_SYSTEM: '/dev/null',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      GIT_PROJECT_ROOT: git.root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: path,
      QUERY_STRING: query,
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      ...(request.headers['git-protocol'] === undefined
        ? {}
        : { GIT_PROTOCOL: String(request.headers['git-protocol']) }),
      ...(request.headers['content-length'] === undefined ? {} : { CONTENT_LENGTH: request.headers['content-length'] }),
      REMOTE_USER: 'somebody',
      REMOTE_ADDR: '127.0.0.1',
    },
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => {});
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    child.stdout.off('data', onData);
    child.stdout.pause();
    let status = 200;
    for (const line of head.subarray(0, end).toString('latin1').split('\r\n')) {
      const [name = '', value = ''] = line.split(/:\s*/, 2);
      if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.writeHead(status);
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', onData);
  child.once('close', () => {
    if (!response.writableEnded) response.end();
  });
  response.once('close', () => {
    if (child.exitCode === null) child.kill('SIGKILL');
  });
}

export async function startHttpsHost(options: HttpsHostOptions = {}): Promise<HttpsHost> {
  const authority = options.authority ?? makeAuthority();
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  const onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request;
    if (options.git && isGit(options.git, url)) {
      seen.push({ method, url, headers, body: '' });
      return serveGit(options.git, request, response);
    }
    const refused = options.refuse?.(request) ?? null;
    if (refused !== null) {
      response.writeHead(refused).end();
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const one = { method, url, headers, body: Buffer.concat(chunks).toString('latin1') };
    seen.push(one);
    if (options.handler && (await options.handler(one, response, request)) !== false) return;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(one));
  };
  const listener = (request: IncomingMessage, response: ServerResponse) =>
    void onRequest(request, response).catch(() => response.destroy());
  const server: Server = options.plain
    ? createHttp(listener)
    : createHttps({ ...authority.issue(options.names ?? ['127.0.0.1', 'localhost']) }, listener);
  server.on(options.plain ? 'connection' : 'secureConnection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  if (options.upgrade) server.on('upgrade', options.upgrade);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    ca: options.plain ? '' : authority.pair.cert,
    seen,
    open: () => sockets.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
        server.closeAllConnections();
      }),
  };
}
