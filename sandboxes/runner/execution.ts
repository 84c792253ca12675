// One running command as its caller sees it: events with back-pressure, input, limits, and how it ended.
import { StewardError } from '../../core/errors.ts';
import type { ExecEvent, ExecOptions, ExecResult, Execution } from '../driver.ts';
import { createInlet, createOutlet, type Send } from './flow.ts';
import { uint32 } from './frames.ts';
import { FRAME, WINDOW } from './protocol.ts';

/** What is kept of output when the caller names no number, in bytes. */
export const OUTPUT_BYTES = 64 * 1024 * 1024;
/** From TERM to KILL, in milliseconds. */
export const GRACE_MS = 2_000;

// Numbers of Linux, whatever the host is.
const SIGNALS =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );

export interface ExecutionEnd {
  execution: Execution;
  /** Throws when the frame breaks the rules of the wire. True after the last one. */
  receive(type: number, payload: Buffer): boolean;
  lost(error: StewardError): void;
}

/**
 * Iterating and waiting for `result` are told apart without a dead-lock: output waits for an iteration, up to the window; once it
 * is half full, nobody has begun to iterate and somebody has asked for `result`, it is thrown away from then on, so that the
 * command can finish. An iteration that begins before `result` is read (or in the same tick) misses nothing.
 */
export function createExecution(send: Send, options: ExecOptions): ExecutionEnd {
  const queue: ExecEvent[] = [];
  const readers: ((step: IteratorResult<ExecEvent, undefined>) => void)[] = [];
  const outlet = createOutlet(send);
  const inlet = createInlet((credit) => send(FRAME.CREDIT, uint32(credit)));
  const outcome = Promise.withResolvers<ExecResult>();
  // Nobody has to look: a lost sandbox is no unhandled rejection.
  outcome.promise.catch(() => {});
  const most = options.outputBytes ?? OUTPUT_BYTES;
  let waiting = 0;
  let seen = 0;
  let iterated = false;
  let asked = false;
  let discarding = false;
  let limited: ExecResult['limited'] = null;
  let over = false;
  let deadline: NodeJS.Timeout | undefined;
  let killer: NodeJS.Timeout | undefined;

  const emit = (event: ExecEvent) => {
    const reader = readers.shift();
    if (!reader) return void queue.push(event);
    handOver(event);
    reader({ done: false, value: event });
  };
  const handOver = (event: ExecEvent) => {
    if (event.type === 'stdout' || event.type === 'stderr') {
      waiting -= event.data.length;
      inlet.taken(event.data.length);
    }
  };
  const discard = () => {
    discarding = true;
    for (const event of queue) handOver(event);
    const rest = queue.filter((event) => event.type !== 'stdout' && event.type !== 'stderr');
    queue.splice(0, queue.length, ...rest);
  };
  const discardUnread = () => {
    if (asked && !iterated && !discarding && waiting > WINDOW / 2) discard();
  };
  const stop = () => {
    if (over || killer) return;
    send(FRAME.SIGNAL, Buffer.from('TERM'));
    // Also when the command itself is gone by then: what it started in its group may not be.
    killer = setTimeout(() => send(FRAME.SIGNAL, Buffer.from('KILL')), GRACE_MS);
  };
  const finish = (event: ExecResult) => {
    over = true;
    clearTimeout(deadline);
    options.signal?.removeEventListener('abort', stop);
    emit({ type: 'exit', ...event });
    for (const reader of readers.splice(0)) reader({ done: true, value: undefined });
  };
  const exit = (code: number | null, signal: string | null): true => {
    outlet.close(null);
    finish({ code, signal, limited });
    outcome.resolve({ code, signal, limited });
    return true;
  };
  const output = (type: 'stdout' | 'stderr', data: Buffer) => {
    if (data.length === 0) return;
    inlet.received(data.length);
    const fits = limited === 'output' ? 0 : Math.min(data.length, most - seen);
    seen += data.length;
    if (discarding || fits < data.length) inlet.taken(discarding ? data.length : data.length - fits);
    if (!discarding && fits > 0) {
      waiting += fits;
      emit({ type, data: data.subarray(0, fits) });
      discardUnread();
    }
    if (fits < data.length && limited !== 'output' && seen > most) {
      limited = 'output';
      emit({ type: 'limit', what: 'output' });
      send(FRAME.SIGNAL, Buffer.from('KILL'));
    }
  };

  if (options.timeoutMs !== undefined) {
    deadline = setTimeout(() => {
      limited ??= 'time';
      emit({ type: 'limit', what: 'time' });
      stop();
    }, options.timeoutMs);
  }
  options.signal?.addEventListener('abort', stop, { once: true });
  // One that was aborted before tells nobody any more; by the next tick the request to start is on its way.
  if (options.signal?.aborted) queueMicrotask(stop);

  const execution: Execution = {
    async write(data) {
      if (options.stdin !== 'open') {
        throw new StewardError('invalid', 'This command was started without an input.', {
          op: 'write to a command',
          hint: "Start it with stdin: 'open'.",
        });
      }
      await outlet.write(typeof data === 'string' ? Buffer.from(data) : data);
    },
    end: () => outlet.end(),
    signal(name) {
      if (!over) send(FRAME.SIGNAL, Buffer.from(name));
    },
    get result() {
      asked = true;
      discardUnread();
      return outcome.promise;
    },
    [Symbol.asyncIterator]() {
      if (iterated) {
        throw new StewardError('invalid', 'The output of a command can be read once.', { op: 'read from a command' });
      }
      iterated = true;
      let done = false;
      return {
        next() {
          const event = queue.shift();
          if (event) {
            handOver(event);
            return Promise.resolve({ done: false, value: event });
          }
          if (over || done) return Promise.resolve({ done: true, value: undefined });
          return new Promise((resolve) => readers.push(resolve));
        },
        return() {
          done = true;
          if (!over) send(FRAME.SIGNAL, Buffer.from('KILL'));
          discard();
          queue.length = 0;
          for (const reader of readers.splice(0)) reader({ done: true, value: undefined });
          return Promise.resolve({ done: true, value: undefined });
        },
      };
    },
  };

  return {
    execution,
    receive(type, payload) {
      switch (type) {
        case FRAME.STDOUT:
        case FRAME.STDERR:
          output(type === FRAME.STDOUT ? 'stdout' : 'stderr', payload);
          return false;
        case FRAME.CREDIT:
          outlet.grant(payload.readUInt32BE(0));
          return false;
        case FRAME.EXIT: {
          const number = payload.readUInt8(1);
          return payload.readUInt8(0) === 0 ? exit(number, null) : exit(null, SIGNALS[number - 1] ?? String(number));
        }
        case FRAME.FAILED:
          // As a shell does it: a sentence and a code, so that who reads the output learns why.
          if (!discarding) emit({ type: 'stderr', data: Buffer.concat([payload.subarray(1), Buffer.from('\n')]) });
          return exit(payload.readUInt8(0), null);
        default:
          throw new StewardError('invalid', `The runner sent a frame of type ${type} for a command.`, {
            op: 'read from the sandbox',
          });
      }
    },
    lost(error) {
      if (over) return;
      clearTimeout(killer);
      outlet.close(error);
      finish({ code: null, signal: null, limited });
      outcome.reject(error);
    },
  };
}
