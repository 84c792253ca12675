// The daemon's end of the starter: a small process that forks for it, because a fork takes longer the more memory the forking one has.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { StewardError } from '../../../core/errors.ts';
import type { Millis } from '../../../core/types.ts';
import { decodeStrings, encodeStrings, uint32 } from '../../runner/frames.ts';

/** A process named for ever: its pid and the time it started, in ticks. */
export interface ProcessName {
  pid: number;
  startTicks: string;
}

export interface Exit {
  code: number | null;
  /** Its number. */
  signal: number | null;
  /** The last it wrote to standard error, at most 16 KiB. */
  said: string;
}

/** `stream` is fd 6; each becomes a connected socket. */
export type StreamName = 'stream' | 'stdin' | 'stdout';
const KIND: Record<StreamName, string> = { stream: 's', stdin: 'i', stdout: 'o' };

export interface StartRequest {
  argv: readonly string[];
  /** The whole environment. */
  env: Record<string, string>;
  /** uid and gid on the host; null: this process's. */
  uid: number | null;
  streams: readonly StreamName[];
  /** A file for fd 5. */
  file: string | null;
  /** The program tells on fd 3 which process it made, as bwrap does. */
  info: boolean;
}

export interface Started {
  /** One of those asked for. Rejects when the program could not be started. */
  stream(name: StreamName): Promise<Socket>;
  /** Only with `info`; rejects when the program ended before. */
  processes: Promise<{ program: ProcessName; inside: ProcessName }>;
  /** Never rejects. */
  exited: Promise<Exit>;
  /** Whether this process has to stay for it. True at first. */
  hold(on: boolean): void;
}

export interface Starter {
  /** Throws `unavailable` when the starter cannot run. */
  start(request: StartRequest): Promise<Started>;
  /** Null while it does not run. */
  pid(): number | null;
  /** Ends the starter when it has nothing to do; the next start runs it again. */
  rest(): Promise<void>;
  /** Ends the starter and everything it started. */
  stop(): Promise<void>;
}

interface Pending {
  processes: PromiseWithResolvers<{ program: ProcessName; inside: ProcessName }>;
  exited: PromiseWithResolvers<Exit>;
  held: boolean;
}

interface Running {
  /** Called when its end was asked for. */
  expect(): void;
  sockets: Set<Socket>;
  child: ChildProcess;
  control: Socket;
  server: Server;
  ended: Promise<void>;
}

const HEADER = 17;
/** Without anything to do for so long, it goes. */
const IDLE_MS: Millis = 60_000;
const LOST: Exit = { code: null, signal: 9, said: 'The process that starts sandboxes has ended.' };

const missing = (said: string): StewardError =>
  new StewardError('unavailable', `It ended before it was ready: ${said}`, { op: 'start a program', retryable: true });

/**
 * `socketPath` is where started programs' streams come in: short, in a folder that only this process's user can connect through.
 * The starter is run by the first start, and again when it has died.
 */
export function createStarter(deps: {
  perl: string;
  socketPath: string;
  /** It was killed: what it was just making may be left. */
  lost?: () => void;
}): Starter {
  const pending = new Map<string, Pending>();
  /** By id and kind. Streams may come after the exit of what they belong to: they have been connected before its start. */
  const awaited = new Map<string, PromiseWithResolvers<Socket>>();
  let running: Promise<Running> | null = null;
  /** A start that came meanwhile waits for it, or it would be lost with the one that goes. */
  let stopping: Promise<void> | null = null;
  /** Starts that are not pending yet. */
  let coming = 0;
  let idle: NodeJS.Timeout | undefined;
  let pid: number | null = null;

  const settle = (id: string, exit: Exit) => {
    const one = pending.get(id);
    pending.delete(id);
    one?.processes.reject(missing(exit.said));
    one?.exited.resolve(exit);
  };
  const giveUp = (id: string, said: string) => {
    for (const [name, stream] of awaited) {
      if (!name.startsWith(id)) continue;
      awaited.delete(name);
      stream.reject(missing(said));
    }
  };

  /** The first bytes of a connection say which stream of which program it is. */
  const arrive = (sockets: Set<Socket>, socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let held = Buffer.alloc(0);
    const read = (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      if (held.length < HEADER) return;
      socket.off('data', read);
      socket.pause();
      if (held.length > HEADER) socket.unshift(held.subarray(HEADER));
      const name = held.toString('latin1', 0, HEADER);
      const stream = awaited.get(name);
      awaited.delete(name);
      if (stream) stream.resolve(socket);
      else socket.destroy();
    };
    socket.on('data', read);
  };

  const hold = (control: Socket) => {
    if ([...pending.values()].some(({ held }) => held)) control.ref();
    else control.unref();
  };

  const hear = (control: Socket) => {
    let heard = Buffer.alloc(0);
    control.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      while (heard.length >= 4 && heard.length >= 4 + heard.readUInt32BE(0)) {
        const end = 4 + heard.readUInt32BE(0);
        const [what, id, ...fields] = decodeStrings(heard.subarray(4, end));
        heard = heard.subarray(end);
        if (id === undefined) continue;
        if (what === 'exit' || what === 'failed') {
          const [code, signal, said = ''] = fields;
          settle(id, { code: code ? Number(code) : null, signal: signal ? Number(signal) : null, said });
          if (what === 'failed') giveUp(id, said);
        }
        if (what === 'started') {
          const [pid, ticks, inside, insideTicks] = fields;
          pending.get(id)?.processes.resolve({
            program: { pid: Number(pid), startTicks: ticks ?? '' },
            inside: { pid: Number(inside), startTicks: insideTicks ?? '' },
          });
        }
      }
      hold(control);
      clearTimeout(idle);
      if (pending.size === 0) idle = setTimeout(() => void rest(), IDLE_MS).unref();
    });
    control.on('error', () => {});
  };

  const run = async (): Promise<Running> => {
    rmSync(deps.socketPath, { force: true });
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => arrive(sockets, socket));
    server.listen(deps.socketPath);
    await once(server, 'listening');
    server.unref();
    const script = fileURLToPath(new URL('./starter.pl', import.meta.url));
    const child = spawn(deps.perl, [script, deps.socketPath], {
      cwd: '/',
      env: { PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    const control = (child.stdio as unknown[])[3] as Socket;
    hear(control);
    pid = child.pid ?? null;
    child.unref();
    control.unref();
    let told = false;
    const ended = new Promise<void>((resolve) => {
      const lost = () => {
        running = null;
        pid = null;
        if (!told) deps.lost?.();
        control.destroy();
        server.close();
        for (const socket of sockets) socket.destroy();
        for (const id of [...pending.keys()]) settle(id, LOST);
        giveUp('', LOST.said);
        resolve();
      };
      child.once('error', lost);
      child.once('exit', lost);
    });
    const expect = () => {
      told = true;
    };
    return { expect, sockets, child, control, server, ended };
  };

  const end = async (): Promise<void> => {
    clearTimeout(idle);
    const now = await running?.catch(() => null);
    if (!now) return;
    now.expect();
    now.child.ref();
    now.control.destroy();
    await now.ended;
  };
  const stop = (): Promise<void> => {
    stopping ??= end().finally(() => {
      stopping = null;
    });
    return stopping;
  };
  const rest = async (): Promise<void> => {
    if (pending.size === 0 && coming === 0) await stop();
  };

  /** The one that runs, or a new one; from here on it is not told to go. */
  const ready = async (): Promise<Socket> => {
    clearTimeout(idle);
    while (stopping) await stopping;
    running ??= run();
    const { control } = await running.catch((cause: unknown) => {
      running = null;
      throw new StewardError('unavailable', 'The process that starts sandboxes cannot run.', {
        op: 'start a sandbox',
        cause,
      });
    });
    return control;
  };

  return {
    async start(request) {
      coming += 1;
      const control = await ready().finally(() => {
        coming -= 1;
      });
      const id = randomBytes(8).toString('hex');
      const one: Pending = {
        processes: Promise.withResolvers(),
        exited: Promise.withResolvers(),
        held: true,
      };
      // Told to whoever asks; nobody has to.
      one.processes.promise.catch(() => {});
      pending.set(id, one);
      const streams = new Map<StreamName, Promise<Socket>>();
      for (const name of request.streams) {
        const stream = Promise.withResolvers<Socket>();
        stream.promise.catch(() => {});
        awaited.set(id + KIND[name], stream);
        streams.set(name, stream.promise);
      }
      const variables = Object.entries(request.env).map(([name, value]) => `${name}=${value}`);
      const payload = encodeStrings([
        ...[id, request.uid === null ? '' : String(request.uid), request.file ?? ''],
        ...[request.streams.map((name) => KIND[name]).join(''), request.info ? '1' : ''],
        ...[String(variables.length), ...variables, ...request.argv],
      ]);
      control.ref();
      control.write(Buffer.concat([uint32(payload.length), payload]));
      return {
        stream: (name) => streams.get(name)!,
        processes: one.processes.promise,
        exited: one.exited.promise,
        hold(on) {
          one.held = on;
          hold(control);
        },
      };
    },
    pid: () => pid,
    rest,
    stop,
  };
}
