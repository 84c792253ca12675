// One life of the broker's process: started, spoken to, listened to, and its end, whoever caused it.
import { fork } from 'node:child_process';
import type { Id } from '../../core/types.ts';
import { invalid } from './faults.ts';
import type { AuditEntry, FromBroker, KeyPair, ToBroker } from './wire.ts';

type Numbered = Extract<ToBroker, { n: number }>;
type WithoutNumber<T> = T extends unknown ? Omit<T, 'n'> : never;
/** What is answered. */
export type Request = WithoutNumber<Numbered>;

export interface LifeEvents {
  /** It is configured and has an authority. */
  ready(authority: KeyPair): void;
  ended(entry: AuditEntry): void;
  open(sandbox: Id, count: number): void;
  /** It wrote something, which it does only before it breaks. */
  said(text: string): void;
  /** Once. The requests that were at work are in `lost`. */
  gone(how: string, lost: AuditEntry[]): void;
}

export interface Life {
  readonly pid: number | null;
  /** Without an answer. */
  post(message: ToBroker): void;
  /** Resolves with true when it is done, with false when the life ends first. Throws what the broker says (`invalid`). */
  ask(message: Request): Promise<boolean>;
  kill(): void;
  /** Closes the channel, at which it ends by itself. */
  dismiss(): void;
  readonly ended: Promise<void>;
}

export function startLife(entry: string, env: Record<string, string>, events: LifeEvents): Life {
  const child = fork(entry, [], {
    env,
    // It mostly waits: a young generation of 2 MB instead of 16.
    execArgv: ['--max-semi-space-size=2'],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const ended = Promise.withResolvers<void>();
  const waiting = new Map<number, PromiseWithResolvers<boolean>>();
  const requests = new Map<number, AuditEntry>();
  let last = 0;
  let over = false;

  const post = (message: ToBroker) => {
    // A failure to send is the end of the process, which is told by `exit`.
    if (child.connected) child.send(message, () => {});
  };
  const end = (how: string) => {
    if (over) return;
    over = true;
    for (const waiter of waiting.values()) waiter.resolve(false);
    ended.resolve();
    events.gone(how, [...requests.values()]);
  };

  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (text: string) => events.said(text.trimEnd()));
  child.on('message', (raw) => {
    const message = raw as FromBroker;
    if (message.type === 'ready') return events.ready(message.authority);
    if (message.type === 'done') {
      const waiter = waiting.get(message.n);
      waiting.delete(message.n);
      if (message.error === null) waiter?.resolve(true);
      else waiter?.reject(invalid(`The egress broker could not do it: ${message.error}`));
      return;
    }
    for (const { n, entry: begun } of message.began) requests.set(n, begun);
    for (const [sandbox, count] of Object.entries(message.open)) events.open(sandbox, count);
    for (const { n, entry: finished } of message.ended) {
      requests.delete(n);
      events.ended(finished);
    }
  });
  child.once('error', (error) => {
    if (child.pid === undefined) end(error.message);
  });
  child.once('exit', (code, signal) => end(signal ?? `code ${code}`));

  return {
    pid: child.pid ?? null,
    post,
    ask(message) {
      const waiter = Promise.withResolvers<boolean>();
      if (over) return Promise.resolve(false);
      const n = ++last;
      waiting.set(n, waiter);
      post({ ...message, n } as Numbered);
      return waiter.promise;
    },
    kill: () => void child.kill('SIGKILL'),
    dismiss: () => {
      if (child.connected) child.disconnect();
    },
    ended: ended.promise,
  };
}
