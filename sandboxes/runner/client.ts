// The host's end of the runner's wire: starts commands, dials ports and asks for processes over one stream.
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { StewardError } from '../../core/errors.ts';
import type { Millis } from '../../core/types.ts';
import { type ExecOptions, type Execution, PLACES, type ProcessEntry } from '../driver.ts';
import { createConnection } from './connection.ts';
import { createExecution } from './execution.ts';
import { createFrameReader, decodeStrings, encodeFrame, encodeStrings, type Frame } from './frames.ts';
import { FRAME, MAX_FRAME, VERSION } from './protocol.ts';

/** Path on the host of the program that a driver shows to the sandbox and starts there with Perl. */
export function runnerScript(): string {
  return fileURLToPath(new URL('./runner.pl', import.meta.url));
}

export interface RunnerStart {
  /** Descriptors of the host's stream inside; one duplex on 6 when left out. */
  fds?: { in: number; out: number };
  /** Forwards 127.0.0.1:port (0: any free one, see `relayPort`) to a unix socket. */
  relay?: { port: number; socket: string };
  /** It is alone in a pid namespace: at the end everything in there is killed. Otherwise: what it started. */
  ownNamespace?: boolean;
}

/** What follows the script's name on the command line. */
export function runnerArguments(start: RunnerStart = {}): string[] {
  return [
    ...(start.fds ? [String(start.fds.in), String(start.fds.out)] : []),
    ...(start.relay ? [`--relay=${start.relay.port}:${start.relay.socket}`] : []),
    ...(start.ownNamespace ? ['--own-namespace'] : []),
  ];
}

export interface Runner {
  /** `env` is the driver's; `options.env` is added to it. What cannot be started ends with 126 or 127. Throws `sandbox_lost`. */
  exec(argv: readonly string[], options: ExecOptions | undefined, env: Record<string, string>): Execution;
  /** Rejects with `unavailable` when nothing listens there. */
  dial(port: number): Promise<Duplex>;
  processes(): Promise<ProcessEntry[]>;
  ping(withinMs: Millis): Promise<boolean>;
  lastOutputAt(): Millis | null;
  /** Where inside the way to the broker is; 0: there is none. */
  readonly relayPort: number;
  /** Resolves when the stream has ended, by whatever cause. */
  readonly ended: Promise<void>;
  close(): void;
}

export interface RunnerDeps {
  now(): Millis;
  /** How long the runner may take to say that it is there. Default 15 s. */
  readyWithinMs?: Millis;
}

interface Handler {
  receive(type: number, payload: Buffer): boolean;
  lost(error: StewardError): void;
}

const ANSWER_MS = 10_000;

/** Resolves when the runner is ready. Rejects with `sandbox_lost` when the stream ends before, or it takes too long. */
export async function connectRunner(stream: Duplex, deps: RunnerDeps): Promise<Runner> {
  const handlers = new Map<number, Handler>();
  const ready = Promise.withResolvers<number>();
  const ended = Promise.withResolvers<void>();
  let isReady = false;
  let failure: StewardError | null = null;
  let lastId = 0;
  let lastOutputAt: Millis | null = null;
  let bootedAt: Millis | null = null;

  const lose = (why: string, cause?: unknown) => {
    if (failure) return;
    const error = new StewardError('sandbox_lost', `The sandbox is gone: ${why}.`, {
      op: 'talk to the sandbox',
      retryable: true,
      cause,
    });
    failure = error;
    stream.destroy();
    const open = [...handlers.values()];
    handlers.clear();
    for (const handler of open) handler.lost(error);
    ready.reject(error);
    ended.resolve();
  };
  const send = (type: number, id: number, payload?: Uint8Array) => {
    if (!failure) stream.write(encodeFrame(type, id, payload));
  };
  const take = ({ type, id, payload }: Frame) => {
    if (failure) return;
    if (!isReady) {
      if (type !== FRAME.READY || payload.readUInt8(0) !== VERSION) {
        throw new StewardError('invalid', 'The runner speaks another version.', { op: 'start a sandbox' });
      }
      isReady = true;
      return ready.resolve(payload.readUInt16BE(1));
    }
    // Frames of what has ended may still be on their way.
    const handler = handlers.get(id);
    if (handler?.receive(type, payload)) handlers.delete(id);
  };
  const read = createFrameReader(take);
  stream.on('data', (chunk: Buffer) => {
    try {
      read(chunk);
    } catch (error) {
      // The other end is not to be trusted: whatever it sent, this sandbox is over and nothing else is hurt.
      lose('its runner broke the rules of the wire', error);
    }
  });
  stream.on('error', (error) => lose('the connection to its runner broke', error));
  stream.on('end', () => lose('its runner has ended'));
  stream.on('close', () => lose('its runner has ended'));

  const alive = () => {
    if (failure) throw failure;
  };
  /** One request, one answer; null when it takes too long. */
  const ask = (type: number, withinMs: Millis): Promise<Buffer | null> =>
    new Promise((resolve, reject) => {
      if (failure) return reject(failure);
      const id = ++lastId;
      const done = (answer: Buffer | null) => {
        clearTimeout(timer);
        handlers.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(() => done(null), withinMs);
      handlers.set(id, {
        receive(_type, payload) {
          done(payload);
          return true;
        },
        lost(error) {
          clearTimeout(timer);
          reject(error);
        },
      });
      send(type, id);
    });

  const timer = setTimeout(() => lose('its runner did not start in time'), deps.readyWithinMs ?? 15_000);
  const relayPort = await ready.promise.finally(() => clearTimeout(timer));

  return {
    relayPort,
    ended: ended.promise,
    lastOutputAt: () => lastOutputAt,
    exec(argv, options = {}, env) {
      alive();
      const variables = Object.entries({ ...env, ...options.env }).map(([name, value]) => `${name}=${value}`);
      const cwd = options.cwd ?? PLACES.workspace;
      const request = encodeStrings([cwd, options.stdin ?? 'empty', String(argv.length), ...argv, ...variables]);
      const id = ++lastId;
      const end = createExecution((type, payload) => send(type, id, payload), options);
      // What cannot be sent fails as what cannot be started does: the caller has one way to look at.
      const wrong =
        argv.length === 0
          ? 'it has no name'
          : [cwd, ...argv, ...variables].some((text) => text.includes('\0'))
            ? 'there is a NUL byte in it'
            : request.length > MAX_FRAME
              ? 'its arguments and variables are longer than 1 MiB'
              : null;
      if (wrong) {
        const sentence = `could not start ${argv[0]?.slice(0, 100) ?? 'a command'}: ${wrong}`;
        end.receive(FRAME.FAILED, Buffer.concat([Buffer.from([126]), Buffer.from(sentence)]));
        return end.execution;
      }
      if (options.signal?.aborted) {
        end.receive(FRAME.EXIT, Buffer.from([1, 9]));
        return end.execution;
      }
      handlers.set(id, {
        receive(type, payload) {
          if (type === FRAME.STDOUT || type === FRAME.STDERR) lastOutputAt = deps.now();
          return end.receive(type, payload);
        },
        lost: end.lost,
      });
      send(FRAME.EXEC, id, request);
      return end.execution;
    },
    async dial(port) {
      alive();
      if (!Number.isInteger(port) || port < 1 || port > 65_535) {
        throw new StewardError('invalid', `${port} is no port.`, { op: 'connect to a port in the sandbox' });
      }
      const id = ++lastId;
      const end = createConnection(port, (type, payload) => send(type, id, payload));
      handlers.set(id, end);
      const number = Buffer.alloc(2);
      number.writeUInt16BE(port);
      send(FRAME.DIAL, id, number);
      return end.opened;
    },
    async processes() {
      const answer = await ask(FRAME.PROCS, ANSWER_MS);
      if (!answer) {
        throw new StewardError('unavailable', 'The sandbox does not answer.', {
          op: 'list its processes',
          retryable: true,
        });
      }
      const strings = decodeStrings(answer);
      // Ticks of 10 ms. The moment of the boot is taken once, so that a process keeps its start from one call to the next.
      bootedAt ??= deps.now() - Number(strings[0]) * 10;
      return processEntries(strings.slice(1), bootedAt);
    },
    async ping(withinMs) {
      return (await ask(FRAME.PING, withinMs).catch(() => null)) !== null;
    },
    close: () => lose('it was closed'),
  };
}

function processEntries(strings: string[], bootedAt: Millis): ProcessEntry[] {
  const entries: ProcessEntry[] = [];
  for (let at = 0; at < strings.length; ) {
    const [pid, parent, start, ports, count] = strings.slice(at, at + 5);
    const end = at + 5 + Number(count);
    if (!(end <= strings.length)) break;
    entries.push({
      pid: Number(pid),
      parent: Number(parent),
      argv: strings.slice(at + 5, end),
      startedAt: bootedAt + Number(start) * 10,
      ports: (ports ?? '').split(',').filter(Boolean).map(Number),
    });
    at = end;
  }
  return entries;
}
