// Starts bwrap so that limits can be put around it before anything untrusted runs: its first program waits for a byte.
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { StewardError } from '../../../core/errors.ts';
import type { Millis } from '../../../core/types.ts';
import { diagnose, type Switches } from './diagnosis.ts';
import type { Exit, ProcessName, Starter, StreamName } from './starter.ts';

export interface Launched {
  /** bwrap itself; it ends when the first process inside has ended and been reaped. */
  bwrap: ProcessName;
  /** The first process inside, as this host numbers it. When it dies the kernel kills all that is inside. */
  inside: ProcessName;
  /** The runner's stream. Paused: whoever listens has to resume it. */
  stream: Socket;
  stdin: Socket | null;
  stdout: Socket | null;
  /** bwrap has ended and with it everything inside. */
  exited: Promise<Exit>;
  /** Everything inside is in place, and its first program waits. Rejects when bwrap gave up before, or takes too long. */
  waiting: Promise<void>;
  /** Lets the first program run. Before, nothing that was asked for has. */
  go(): void;
  /** Whether this process has to stay for it. True at first. */
  hold(on: boolean): void;
}

const START_MS: Millis = 20_000;

function readSwitches(): Switches {
  const read = (path: string): string | null => {
    try {
      return readFileSync(path, 'utf8').trim();
    } catch {
      return null;
    }
  };
  return {
    usernsClone: read('/proc/sys/kernel/unprivileged_userns_clone'),
    apparmorRestrict: read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns'),
    maxUserNamespaces: read('/proc/sys/user/max_user_namespaces'),
  };
}

/** A start that failed, as a person is told. */
export function startFailure(said: string, cause?: unknown): StewardError {
  const { text, fix } = diagnose(said, readSwitches());
  return new StewardError('unavailable', text, { op: 'start a sandbox', hint: fix, cause });
}

/** The time a process started, in ticks; null when there is none with that pid. */
export function startTicksOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** SIGKILL, but only to the process that was meant: the number may have been given to another since. */
export function killExactly({ pid, startTicks }: ProcessName): boolean {
  if (startTicksOf(pid) !== startTicks) return false;
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

export interface LaunchRequest {
  bwrap: string;
  argv: readonly string[];
  /** A program that ends by becoming bwrap (systemd-run --scope), and what it needs in its environment. */
  prefix: readonly string[];
  prefixEnv: Record<string, string>;
  /** The file with the system call filter. */
  filter: string;
  /** The uid and gid on the host; null: this process's. */
  uid: number | null;
  /** Standard input and output: for an isolated program; a runner needs none. */
  pipes: boolean;
  /** How long until its first program waits. Default 20 s. */
  withinMs?: Millis;
}

/**
 * Resolves as soon as the process exists; bwrap works on meanwhile, and its first program waits for `go`. Rejects with
 * `unavailable` and the fix when bwrap gives up before; nothing is left then.
 */
export async function launch(starter: Starter, request: LaunchRequest): Promise<Launched> {
  const streams: StreamName[] = request.pipes ? ['stream', 'stdin', 'stdout'] : ['stream'];
  const started = await starter.start({
    argv: [...request.prefix, request.bwrap, ...request.argv],
    env: request.prefixEnv,
    uid: request.uid,
    streams,
    file: request.filter,
    info: true,
  });
  const { exited } = started;
  try {
    // Killed in the moment of a start, one half of bwrap waits for the other for ever: nobody else has to.
    let reached = 'no process was made';
    const late = after(request.withinMs ?? START_MS, null, { ref: false }).then(() => {
      throw startFailure(`bwrap did not start in time: ${reached}`);
    });
    late.catch(() => {});
    const inTime = <T>(step: Promise<T>): Promise<T> => Promise.race([step, late]);
    const { program: bwrap, inside } = await inTime(started.processes);
    reached = 'its streams did not come';
    const stream = await inTime(started.stream('stream'));
    const stdin = request.pipes ? await inTime(started.stream('stdin')) : null;
    const stdout = request.pipes ? await inTime(started.stream('stdout')) : null;
    reached = 'its first program did not answer';
    const waiting = inTime(firstByte(stream));
    waiting.catch(() => {});
    return {
      waiting,
      ...{ bwrap, inside, stream, stdin, stdout, exited },
      go: () => void stream.write('\n'),
      hold(on) {
        started.hold(on);
        if (on) stream.ref();
        else stream.unref();
      },
    };
  } catch (error) {
    for (const name of streams)
      started.stream(name).then(
        (stream) => stream.destroy(),
        () => {},
      );
    started.processes.then(
      ({ inside }) => killExactly(inside),
      () => {},
    );
    const exit = await Promise.race([exited, after(5_000, null, { ref: false })]);
    // What bwrap said explains more than that it ended.
    throw exit && exit.said !== '' ? startFailure(exit.said, error) : error;
  }
}

/** Takes the byte with which the first program says that it waits; what follows is for who reads next. */
function firstByte(stream: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(startFailure(''));
    // What has been told already is not told again.
    if (stream.destroyed || stream.readableEnded) return ended();
    // A program that gave up at once: its end has been told before anybody asked.
    if (stream.readableEnded || stream.destroyed) return ended();
    // `close` only comes when this end has been closed, too.
    stream.once('end', ended).once('close', ended);
    stream.once('data', (chunk: Buffer) => {
      stream.pause();
      if (chunk.length > 1) stream.unshift(chunk.subarray(1));
      stream.off('end', ended).off('close', ended);
      resolve();
    });
    stream.resume();
  });
}
