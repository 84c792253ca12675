// Faults on demand: what the next calls of a kind meet instead of an answer, and a record of who called what.
import { PassThrough } from 'node:stream';
import { StewardError } from '../../../core/errors.ts';
import type { Id, Millis } from '../../../core/types.ts';
import type { Execution, Sandbox } from '../../../sandboxes/driver.ts';

export type Call =
  | 'probe'
  | 'create'
  | 'restore'
  | 'exec'
  | 'read'
  | 'write'
  | 'list'
  | 'remove'
  | 'upload'
  | 'download'
  | 'processes'
  | 'stats'
  | 'snapshot'
  | 'fork'
  | 'dial'
  | 'ping'
  | 'kill';

export type Trouble =
  | { type: 'error'; error: Error }
  | { type: 'slow'; ms: Millis }
  /** No answer for as long as the sandbox lives. */
  | { type: 'hang' }
  /** The call begins, and after this time the sandbox dies. */
  | { type: 'lost'; afterMs: Millis };

export const diskFull = (): StewardError =>
  new StewardError('disk_full', 'The disk is full.', { op: 'write', retryable: true, hint: 'Make room.' });

export interface CallSeen {
  call: Call;
  /** null for the driver itself. */
  id: Id | null;
  argv?: readonly string[];
}

export interface Troubles {
  /** The next `times` calls of this kind, in any sandbox, meet it. */
  trouble(call: Call, trouble: Trouble, times?: number): void;
  /** No more troubles. */
  calm(): void;
  /** Every call so far, troubled or not. */
  readonly calls: readonly CallSeen[];
}

export interface Met extends Troubles {
  /** Notes the call; the trouble it is to meet, or null. */
  next(call: Call, id: Id | null, argv?: readonly string[]): Trouble | null;
  /** The same, met: throws, waits, never returns, or lets the sandbox die later. */
  meet(call: Call, id: Id, ended?: Promise<string>): Promise<void>;
  /** It is gone as if it had died by itself, whatever ran in it. */
  lose(id: Id): void;
}

const gone = (id: Id) =>
  new StewardError('sandbox_lost', `The sandbox ${id} is gone.`, { op: 'use a sandbox', retryable: true });

export function createTroubles(lose: (id: Id) => void): Met {
  const waiting: { call: Call; trouble: Trouble }[] = [];
  const calls: CallSeen[] = [];
  const next: Met['next'] = (call, id, argv) => {
    calls.push({ call, id, ...(argv && { argv }) });
    const at = waiting.findIndex((one) => one.call === call);
    return at < 0 ? null : waiting.splice(at, 1)[0]!.trouble;
  };
  return {
    calls,
    next,
    lose,
    trouble(call, trouble, times = 1) {
      for (let i = 0; i < times; i++) waiting.push({ call, trouble });
    },
    calm: () => void waiting.splice(0),
    async meet(call, id, ended) {
      const trouble = next(call, id);
      if (trouble?.type === 'error') throw trouble.error;
      if (trouble?.type === 'slow') await new Promise((resolve) => setTimeout(resolve, trouble.ms));
      if (trouble?.type === 'lost') setTimeout(() => lose(id), trouble.afterMs);
      if (trouble?.type === 'hang') {
        await (ended ?? new Promise(() => {}));
        throw gone(id);
      }
    },
  };
}

/** The sandbox with the troubles in front of it. */
export function troubled(sandbox: Sandbox, met: Met): Sandbox {
  const { id, files, ended } = sandbox;
  const before = (call: Call) => met.meet(call, id, ended);
  const exec: Sandbox['exec'] = (argv, options) => {
    const trouble = met.next('exec', id, argv);
    if (trouble?.type === 'error') throw trouble.error;
    if (trouble?.type === 'hang') return sandbox.exec(['sleep', '1000000'], options);
    if (trouble?.type === 'slow')
      return sandbox.exec(['sh', '-c', `sleep ${trouble.ms / 1000}; exec "$@"`, 'sh', ...argv], options);
    const execution: Execution = sandbox.exec(argv, options);
    if (trouble?.type === 'lost') setTimeout(() => met.lose(id), trouble.afterMs);
    return execution;
  };
  return {
    id,
    info: sandbox.info,
    ended,
    exec,
    pause: sandbox.pause,
    resume: sandbox.resume,
    files: {
      read: (...all) => before('read').then(() => files.read(...all)),
      write: (...all) => before('write').then(() => files.write(...all)),
      list: (...all) => before('list').then(() => files.list(...all)),
      remove: (...all) => before('remove').then(() => files.remove(...all)),
      upload: (...all) => before('upload').then(() => files.upload(...all)),
      download(path) {
        const trouble = met.next('download', id);
        if (trouble === null || trouble.type === 'slow' || trouble.type === 'lost') return files.download(path);
        const stream = new PassThrough();
        if (trouble.type === 'error') stream.destroy(trouble.error);
        else void ended.then(() => stream.destroy(gone(id)));
        return stream;
      },
    },
    processes: () => before('processes').then(() => sandbox.processes()),
    stats: (options) => before('stats').then(() => sandbox.stats(options)),
    snapshot: (options) => before('snapshot').then(() => sandbox.snapshot(options)),
    fork: (spec) => before('fork').then(() => sandbox.fork(spec)),
    dial: (port) => before('dial').then(() => sandbox.dial(port)),
    async ping(withinMs) {
      const trouble = met.next('ping', id);
      if (trouble && trouble.type !== 'slow') {
        await new Promise((resolve) => setTimeout(resolve, trouble.type === 'hang' ? withinMs : 0));
        return false;
      }
      return sandbox.ping(withinMs);
    },
    async kill(reason) {
      const trouble = met.next('kill', id);
      if (trouble?.type === 'error') throw trouble.error;
      if (trouble?.type === 'slow') await new Promise((resolve) => setTimeout(resolve, trouble.ms));
      await sandbox.kill(reason);
    },
  };
}
