// A broker in its real process for tests, and sandboxes as programs see them: a port on loopback that leads to the socket.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { type Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Log } from '../../../../core/log.ts';
import { environment } from '../../../../sandboxes/broker/environment.ts';
import type { EgressPolicy } from '../../../../sandboxes/broker/policy.ts';
import {
  type AuditEntry,
  type Broker,
  type BrokerDeps,
  createBroker,
} from '../../../../sandboxes/broker/supervisor.ts';

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Way {
  id: string;
  socketPath: string;
  /** `http://127.0.0.1:<port>`, as the runner's relay gives it. */
  origin: string;
  port: number;
  /** The environment of programs in this sandbox, with the real places of certificates. */
  env: Record<string, string>;
  /** Over the socket itself: `path` is what stands in the request line. */
  send(
    method: string,
    path: string,
    options?: { headers?: Record<string, string | string[]>; body?: string | Buffer; agent?: Agent },
  ): Promise<Reply>;
  /** The bare socket. */
  dial(): Socket;
  close(): Promise<void>;
}

export interface Rig {
  folder: string;
  broker: Broker;
  audit: AuditEntry[];
  logged: string[];
  /** The first entry for which `fits` is true, already there or still to come. */
  entry(fits: (entry: AuditEntry) => boolean): Promise<AuditEntry>;
  way(policy?: Partial<EgressPolicy>): Promise<Way>;
  stop(): Promise<void>;
}

export const OFFLINE: EgressPolicy = {
  allow: [],
  unrestricted: false,
  credentials: true,
  push: ['git.test'],
  requests: null,
  bytes: null,
};

/** A folder whose path leaves room for the name of a socket. */
const makeFolder = () => mkdtempSync(join(tmpdir(), 'brk-'));

export async function startRig(deps: Partial<Omit<BrokerDeps, 'onAudit'>> = {}): Promise<Rig> {
  const folder = makeFolder();
  const audit: AuditEntry[] = [];
  const logged: string[] = [];
  const waiting = new Set<() => void>();
  const write = (facts: object, message: string) => void logged.push(`${message} ${JSON.stringify(facts)}`);
  const log: Log = { debug: write, info: write, warn: write, error: write };
  const caDir = join(folder, 'ca');
  const broker = createBroker({
    now: Date.now,
    log,
    caDir,
    machine: { env: { PATH: process.env.PATH }, home: folder, read: () => null },
    ...deps,
    onAudit(entry) {
      audit.push(entry);
      for (const look of [...waiting]) look();
    },
  });
  await broker.start();
  const ways: Way[] = [];
  let last = 0;
  return {
    folder,
    broker,
    audit,
    logged,
    entry(fits) {
      return new Promise((resolve) => {
        const look = () => {
          const found = audit.find(fits);
          if (!found) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      });
    },
    async way(changes = {}) {
      const policy = { ...OFFLINE, ...changes };
      const id = `sbx_${++last}`;
      mkdirSync(join(folder, id));
      const socketPath = join(folder, id, 'broker.sock');
      await broker.open(id, socketPath, policy);
      const { relay, port } = await startRelay(socketPath);
      const origin = `http://127.0.0.1:${port}`;
      const way: Way = {
        id,
        socketPath,
        origin,
        port,
        env: environment(policy, caDir, port),
        send: (method, path, options = {}) => send(socketPath, origin, method, path, options),
        dial: () => connect(socketPath),
        async close() {
          relay.close();
          relay.closeAll();
          await broker.close(id);
        },
      };
      ways.push(way);
      return way;
    },
    async stop() {
      for (const way of ways) await way.close();
      await broker.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type Relay = Server & { closeAll(): void };

async function startRelay(socketPath: string): Promise<{ relay: Relay; port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (inside) => {
    const outside = connect({ path: socketPath, allowHalfOpen: true });
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.once('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay = Object.assign(server, {
    closeAll: () => {
      for (const socket of sockets) socket.destroy();
    },
  });
  return { relay, port: (server.address() as AddressInfo).port };
}

function send(
  socketPath: string,
  origin: string,
  method: string,
  path: string,
  options: { headers?: Record<string, string | string[]>; body?: string | Buffer; agent?: Agent },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const host = URL.canParse(path) ? new URL(path).host : new URL(origin).host;
    const request = httpRequest({
      socketPath,
      method,
      path,
      agent: options.agent ?? false,
      headers: { host, ...options.headers },
    });
    request.once('error', reject);
    request.once('response', async (response) => {
      try {
        const chunks: Buffer[] = [];
        for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        });
      } catch (error) {
        reject(error as Error);
      }
    });
    request.end(options.body);
  });
}

/** What becomes true in its time; the machine may be busy with other tests. */
export const soon = <T>(look: () => T) => expect.poll(look, { timeout: 20_000, interval: 5 });

/** For tests with real programs: a busy machine makes them slow, not wrong. */
export const PATIENCE_MS = 60_000;

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A real program with an environment of its own and nothing of the test's. */
export function run(
  argv: readonly string[],
  options: { env?: Record<string, string>; cwd?: string; timeoutMs?: number } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), {
      cwd: options.cwd,
      env: { PATH: process.env.PATH, LANG: 'C.UTF-8', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 50_000,
      killSignal: 'SIGKILL',
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
