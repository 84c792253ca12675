// The way out of one sandbox: its socket, the server on it, and the tunnels that are opened to see what is inside.
import { lstatSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Id, Millis } from '../../core/types.ts';
import { capSentence, createAccount, type Report } from './account.ts';
import { createAdmission, type Origin } from './admission.ts';
import { answer, answerRaw } from './answers.ts';
import type { Authority } from './authority.ts';
import { startsTls } from './client-hello.ts';
import { forward } from './forward.ts';
import { open } from './intercept.ts';
import type { EgressPolicy, Used } from './policy.ts';
import type { Routes } from './routes.ts';
import { sniff } from './sniff.ts';
import { parseAuthority } from './target.ts';
import { ESTABLISHED, tunnel } from './tunnel.ts';
import { upgrade } from './upgrade.ts';
import { createWay, type Resolve } from './way.ts';
import type { BrokerOptions, Injected } from './wire.ts';

/** What all sandboxes share; it changes while they live. */
export interface Shared {
  options: BrokerOptions;
  authority: Authority;
  credentials: readonly Injected[];
  routes: Routes;
  resolve: Resolve;
  report: Report;
  now(): Millis;
}

export interface Gateway {
  setPolicy(policy: EgressPolicy): void;
  attribute(callId: Id | null): void;
  /** After the upstreams changed. */
  refresh(): void;
  /** Ends everything that is open and removes the socket. */
  close(): Promise<void>;
}

const LARGEST_HEAD = 65_536;
const KEEP_ALIVE_MS: Millis = 120_000;

function removeStale(socketPath: string): void {
  try {
    if (lstatSync(socketPath).isSocket()) unlinkSync(socketPath);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Resolves when it listens. Rejects as Node reports it (no such folder, not allowed). */
export async function openGateway(
  shared: Shared,
  input: { sandbox: Id; socketPath: string; policy: EgressPolicy; used: Used; callId: Id | null },
): Promise<Gateway> {
  const { options, now, report } = shared;
  const { headersMs, idleMs } = options.timeouts;
  let { policy } = input;
  const namedWay = () => createWay([...options.reach, ...shared.routes.named], shared.resolve);
  const outside = createWay(options.reach, shared.resolve);
  let named = namedWay();
  const account = createAccount({ ...input, now, report, policy: () => policy });
  const admission = createAdmission({
    shared,
    account,
    policy: () => policy,
    ways: () => ({ outside, named }),
  });
  /** Every connection, also those the HTTP server has handed over. */
  const sockets = new Set<Socket>();
  const origins = new WeakMap<object, Origin>();
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    // Written to after the program had gone.
    response.on('error', () => {});
    const wanted = admission.wanted(request, origins.get(request.socket) ?? null);
    const admitted = 'status' in wanted ? wanted : admission.admit(request, wanted);
    if ('status' in admitted) return answer(response, admitted.status, admitted.why);
    if (request.headers.expect !== undefined) response.writeContinue();
    forward(request, response, admitted.plan, admitted.ticket);
  };

  const onUpgrade = (request: IncomingMessage, inside: Socket, head: Buffer) => {
    const wanted = admission.wanted(request, origins.get(request.socket) ?? null);
    const admitted = 'status' in wanted ? wanted : admission.admit(request, wanted);
    if ('status' in admitted) return answerRaw(inside, admitted.status, admitted.why);
    upgrade(request, inside, head, admitted.plan, admitted.ticket);
  };

  const onConnect = (request: IncomingMessage, inside: Socket, head: Buffer) => {
    // A tunnel inside of an opened tunnel would be one that nobody judged.
    const asked = origins.has(request.socket) ? null : parseAuthority(request.url ?? '');
    if (!asked) return answerRaw(inside, 400, 'CONNECT takes host:port.');
    const { host, port } = asked;
    const admitted = admission.admitTunnel(host, port);
    if ('status' in admitted) return answerRaw(inside, admitted.status, admitted.why);
    if (admitted.look) return void look(inside, head, host, port);
    const { way, why } = admitted;
    const privately = (reason: string) => admission.privately(host, port, reason);
    const ticket = account.begin({ method: 'CONNECT', host, port, path: null }, why);
    tunnel(
      inside,
      head,
      { host, port, way, why, cap: capSentence(policy), privately, timeouts: options.timeouts },
      ticket,
    );
  };

  /** Opens a tunnel: from here on its requests are served like all others. */
  const look = async (inside: Socket, head: Buffer, host: string, port: number) => {
    inside.write(ESTABLISHED);
    if (head.length > 0) inside.unshift(head);
    const opened = await open(inside, () => shared.authority.contextFor(host), headersMs);
    if (opened.kind === 'gone') return;
    if (opened.kind === 'refused') {
      const why = `A program did not accept the certificate with which Steward looks into requests to ${host} (${opened.why}).`;
      return account.begin({ method: 'CONNECT', host, port, path: null }, why).settle('failed', why, null);
    }
    track(opened.socket);
    origins.set(opened.socket, { scheme: opened.scheme, host, port });
    serve(opened.socket);
  };

  const server = createServer({
    maxHeaderSize: LARGEST_HEAD,
    headersTimeout: headersMs,
    // An upload may take its time, as long as it moves.
    requestTimeout: 0,
    keepAliveTimeout: Math.min(idleMs, KEEP_ALIVE_MS),
    connectionsCheckingInterval: Math.min(headersMs / 4, 5_000),
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
  });
  server.maxConnections = options.connections;
  // Upstream and splice report their silence first, in words.
  server.timeout = idleMs + 1_000;
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.on('upgrade', (request: IncomingMessage, socket, head: Buffer) => onUpgrade(request, socket as Socket, head));
  server.on('connect', (request: IncomingMessage, socket, head: Buffer) => onConnect(request, socket as Socket, head));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    answerRaw(socket, late ? 408 : 400, late ? 'The request did not arrive in time.' : 'This is not HTTP.');
  });
  const [listener] = server.listeners('connection') as ((socket: Socket) => void)[];
  const serve = (socket: Socket) => {
    listener!.call(server, socket);
    socket.resume();
  };
  server.removeAllListeners('connection').on('connection', async (socket: Socket) => {
    track(socket);
    const kind = await sniff(socket, headersMs, (bytes) => (startsTls(bytes[0]) ? 'tls' : 'http'));
    if (kind === null) return;
    if (kind === 'http') return serve(socket);
    // Some versions of npm make `https://` and our address out of `https://registry.npmjs.org/`: they get their TLS.
    const opened = await open(socket, () => shared.authority.contextFor('127.0.0.1'), headersMs);
    if (opened.kind !== 'open') return;
    track(opened.socket);
    serve(opened.socket);
  });

  removeStale(input.socketPath);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path: input.socketPath, readableAll: true, writableAll: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });

  return {
    setPolicy(next) {
      policy = next;
    },
    attribute: (callId) => account.attribute(callId),
    refresh() {
      named.close();
      named = namedWay();
    },
    async close() {
      account.end();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      outside.close();
      named.close();
      await closed;
    },
  };
}
