// Runs a vendor's program in a sandbox: its output as events, further messages on its input, and an end of all it started.
import { StringDecoder } from 'node:string_decoder';
import type { Clock } from '../../core/clock.ts';
import { StewardError } from '../../core/errors.ts';
import type { Millis } from '../../core/types.ts';
import type { Execution, ProcessEntry, Sandbox } from '../driver.ts';
import type { Adapter, HarnessEvent, ProgramAdapter, Work } from './adapter.ts';
import { withTranscript } from './handover.ts';

/** Not a byte for so long: it hangs, whatever it waits for. */
const SILENCE_MS: Millis = 45 * 60_000;
/** From its answer to its exit. */
const LEAVE_MS: Millis = 10_000;
/** From the request to stop to the kill. */
const GRACE_MS: Millis = 3_000;
/** Of a long task; each result in it is cut by whoever writes it down. */
const OUTPUT_BYTES = 2 * 1024 ** 3;
/** A line that is longer is no event. */
const LONGEST_LINE = 16 * 1024 * 1024;
const STDERR_KEPT = 4_096;

/** Lines of a stream, also when a character is cut by a chunk. */
export function createLines() {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let skipping = false;
  return (data: Uint8Array): string[] => {
    const parts = (rest + decoder.write(Buffer.from(data))).split('\n');
    rest = parts.pop() ?? '';
    if (skipping && parts.length > 0) {
      parts.shift();
      skipping = false;
    }
    if (rest.length > LONGEST_LINE) {
      rest = '';
      skipping = true;
    }
    return parts;
  };
}

/** Pure. The process with that program and everything that came from it. */
export function familyOf(processes: readonly ProcessEntry[], bin: string): number[] {
  const family = new Set(processes.filter(({ argv }) => argv[0] === bin).map(({ pid }) => pid));
  for (let before = -1; before !== family.size; ) {
    before = family.size;
    for (const { pid, parent } of processes) if (family.has(parent)) family.add(pid);
  }
  return [...family];
}

/** Shells it started have process groups of their own, so a signal to its group does not reach them. */
async function endFamily(sandbox: Sandbox, execution: Execution, bin: string, clock: Clock): Promise<void> {
  const family = familyOf(await sandbox.processes().catch(() => []), bin);
  execution.signal('TERM');
  const gone = execution.result.then(
    () => true,
    () => true,
  );
  const done = new AbortController();
  await Promise.race([gone, clock.sleep(GRACE_MS, done.signal)]);
  done.abort();
  execution.signal('KILL');
  if (family.length > 0) await sandbox.exec(['kill', '-KILL', ...family.map(String)]).result.catch(() => {});
}

export function programAdapter(adapter: ProgramAdapter, deps: { clock: Clock; bin(): string }): Adapter {
  const { clock } = deps;

  /** One start of the program. Returns whether it does not know the conversation it was to go on with. */
  async function* once(work: Work, text: string, resume: string | null): AsyncGenerator<HarnessEvent, boolean> {
    const { sandbox, signal } = work;
    const bin = deps.bin();
    const { argv, env, stdin, files } = adapter.command({ bin, text, resume, model: work.model });
    for (const [path, content] of Object.entries(files)) await sandbox.files.write(path, content);
    const execution = sandbox.exec(argv, { env, stdin: 'open', outputBytes: OUTPUT_BYTES });
    let stopping: Promise<void> | null = null;
    const stop = () => {
      stopping ??= endFamily(sandbox, execution, bin, clock);
    };
    const timers = new AbortController();
    let quiet = new AbortController();
    const watch = (ms: Millis) => {
      quiet.abort();
      const mine = new AbortController();
      quiet = mine;
      void clock.sleep(ms, AbortSignal.any([mine.signal, timers.signal])).then(() => {
        if (!mine.signal.aborted && !timers.signal.aborted) stop();
      });
    };
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const { steer } = adapter;
    const deaf = steer ? work.onMessage((said) => execution.write(steer(said))) : () => {};
    let ended = false;
    let heard = '';
    let said = '';
    try {
      // One that is gone already says why on its other streams.
      await execution.write(stdin).catch(() => {});
      if (!steer) execution.end();
      watch(SILENCE_MS);
      const lines = createLines();
      for await (const event of execution) {
        if (event.type === 'stderr') said = (said + Buffer.from(event.data).toString('utf8')).slice(-STDERR_KEPT);
        if (event.type !== 'stdout') continue;
        if (!ended) watch(SILENCE_MS);
        for (const line of lines(event.data)) {
          for (const one of adapter.parse(line)) {
            if (one.type === 'end') {
              // What came meanwhile is still answered: its input is closed, and it leaves when nothing is left to read.
              if (!ended) {
                deaf();
                execution.end();
                watch(LEAVE_MS);
              }
              ended = true;
              if (!one.ok) heard = one.text ?? '';
              if (resume !== null && !one.ok && adapter.forgot(`${heard}\n${said}`)) continue;
            }
            yield one;
          }
          if (line.trim() !== '' && !line.startsWith('{')) said = `${said}${line}\n`.slice(-STDERR_KEPT);
        }
      }
      const { code, signal: killedBy } = await execution.result;
      if (signal.aborted) return false;
      if (resume !== null && code !== 0 && adapter.forgot(`${heard}\n${said}`)) return true;
      if (ended) return false;
      if (adapter.endsByExit && code === 0) yield { type: 'end', ok: true, text: null, total: null };
      else if (killedBy === null)
        yield {
          type: 'end',
          ok: false,
          text: `${adapter.name} ended with code ${code}${said.trim() === '' ? ' and said nothing' : `: ${said.trim().slice(-1_000)}`}`,
          total: null,
        };
      return false;
    } finally {
      timers.abort();
      deaf();
      signal.removeEventListener('abort', stop);
      if (stopping) await stopping;
    }
  }

  return {
    name: adapter.name,
    capabilities: adapter.capabilities,
    program: adapter.program,
    door: adapter.door,
    async *run(work) {
      if (work.resume !== null) {
        const forgotten = yield* once(work, work.prompt, work.resume);
        if (!forgotten) return;
      }
      yield* once(work, withTranscript(work.transcript, work.prompt), null);
    },
  };
}

/** A line as an object, or null. */
export function objectOf(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}

export const needsProgram = (name: string): StewardError =>
  new StewardError('unavailable', `The program of the harness ${name} is not installed.`, {
    op: 'start a harness',
    hint: `Install it with: steward doctor --install ${name}`,
  });
