// The persistent shell of a session: one bash that lives from call to call, its output kept in a ring, its commands told apart by a nonce.
import { randomUUID } from 'node:crypto';
import type { Millis } from '../../core/types.ts';
import type { Execution, Sandbox } from '../driver.ts';

/** As in the Managed Agents toolset: the last 100 KiB of output are kept. */
export const OUTPUT_LIMIT = 100 * 1024;

/** What the shell itself is in a list of processes. */
export const SHELL: readonly string[] = ['/bin/bash', '--noprofile', '--norc'];

export interface CommandResult {
  output: string;
  /** Bytes that were dropped at the front of `output`. */
  dropped: number;
  /** `exited`: the command ended the shell itself; its variables and folder are gone. */
  end: { kind: 'done' | 'exited'; code: number | null } | { kind: 'timeout' } | { kind: 'stopped' } | { kind: 'lost' };
}

export interface Shell {
  run(command: string, options: { timeoutMs: Millis; signal: AbortSignal }): Promise<CommandResult>;
  alive(): boolean;
  /** Kills the shell and the jobs of its process group; what called setsid lives on. */
  close(): void;
}

/** Bytes of a stream of which only the newest are kept. Reads as text; a character cut at the front is dropped. */
export function createRing(limit: number) {
  let chunks: Buffer[] = [];
  let size = 0;
  let dropped = 0;
  return {
    push(data: Uint8Array) {
      chunks.push(Buffer.from(data));
      size += data.length;
      while (size - (chunks[0]?.length ?? 0) >= limit) {
        const first = chunks.shift()!;
        size -= first.length;
        dropped += first.length;
      }
    },
    /** Everything kept, in one piece; later pushes add to it. */
    bytes(): Buffer {
      const all = Buffer.concat(chunks);
      chunks = [all];
      return all;
    },
    size: () => size,
    /** Takes the oldest bytes out; of them at most `keep` are given. */
    take(upTo?: number, keep = limit): { text: string; dropped: number } {
      const all = this.bytes();
      const part = all.subarray(0, upTo ?? all.length);
      const rest = all.subarray(part.length);
      const cut = Math.max(0, part.length - keep);
      const result = { text: readable(part.subarray(cut)), dropped: dropped + cut };
      chunks = rest.length > 0 ? [rest] : [];
      size = rest.length;
      dropped = 0;
      return result;
    },
  };
}

function readable(bytes: Buffer): string {
  let from = 0;
  while (from < Math.min(3, bytes.length) && (bytes[from]! & 0xc0) === 0x80) from++;
  return bytes.toString('utf8', from);
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

export function openShell(sandbox: Sandbox): Shell {
  const execution: Execution = sandbox.exec(SHELL, {
    stdin: 'open',
    env: {
      PS1: '',
      PS2: '',
      PAGER: 'cat',
      GIT_PAGER: 'cat',
      GIT_TERMINAL_PROMPT: '0',
      DEBIAN_FRONTEND: 'noninteractive',
    },
    outputBytes: Number.MAX_SAFE_INTEGER,
  });
  // A little more than is shown, so that the mark of the end is found when a command fills the ring.
  const ring = createRing(OUTPUT_LIMIT + 4_096);
  const state: { ended: CommandResult['end'] | null; look(): void } = { ended: null, look: () => {} };

  // Read without a pause, also between commands: a background server must not block on a full pipe.
  void (async () => {
    try {
      for await (const event of execution) {
        if (event.type === 'stdout' || event.type === 'stderr') ring.push(event.data);
        else if (event.type === 'exit')
          state.ended =
            event.code === null && event.signal === null ? { kind: 'lost' } : { kind: 'exited', code: event.code };
        state.look();
      }
      await execution.result;
    } catch {
      state.ended = { kind: 'lost' };
    } finally {
      state.ended ??= { kind: 'lost' };
      state.look();
    }
  })();
  execution.result.catch(() => {});

  const close = () => {
    state.ended ??= { kind: 'stopped' };
    execution.signal('KILL');
  };

  return {
    alive: () => state.ended === null,
    close,
    async run(command, { timeoutMs, signal }) {
      if (state.ended) return { output: '', dropped: 0, end: state.ended };
      const nonce = randomUUID();
      // `eval` keeps a syntax error inside the command, and an empty stdin keeps it from waiting for a person. The nonce is
      // put together by the shell, so that it does not stand in what the shell was given to read.
      const script = `eval ${quoted(command)} </dev/null 2>&1\nprintf '\\n%s-%s:%d\\n' '${nonce.slice(0, 18)}' '${nonce.slice(19)}' "$?"\n`;
      const mark = Buffer.from(`\n${nonce.slice(0, 18)}-${nonce.slice(19)}:`);
      await execution.write(script).catch(() => {});

      let seen = 0;
      const found = (): { at: number; code: number } | null => {
        const bytes = ring.bytes();
        const at = bytes.indexOf(mark, Math.max(0, Math.min(seen, bytes.length) - mark.length));
        seen = bytes.length;
        if (at < 0) return null;
        const line = bytes.toString('latin1', at + mark.length);
        const code = /^(\d+)\n/.exec(line);
        if (!code) {
          seen = at;
          return null;
        }
        return { at, code: Number(code[1]) };
      };
      const outcome = await new Promise<{ at: number; code: number } | CommandResult['end']>((resolve) => {
        const timer = setTimeout(() => settle({ kind: 'timeout' }), timeoutMs);
        const stop = () => settle({ kind: 'stopped' });
        const settle = (result: { at: number; code: number } | CommandResult['end']) => {
          clearTimeout(timer);
          signal.removeEventListener('abort', stop);
          state.look = () => {};
          resolve(result);
        };
        const look = () => {
          const end = found();
          if (end) settle(end);
          else if (state.ended) settle(state.ended);
        };
        state.look = look;
        signal.addEventListener('abort', stop);
        if (signal.aborted) stop();
        else look();
      });
      if ('at' in outcome) {
        const { text, dropped } = ring.take(outcome.at, OUTPUT_LIMIT);
        // The mark itself.
        ring.take(mark.length + String(outcome.code).length + 1);
        return { output: text, dropped, end: { kind: 'done', code: outcome.code } };
      }
      if (outcome.kind === 'timeout' || outcome.kind === 'stopped') close();
      const { text, dropped } = ring.take(undefined, OUTPUT_LIMIT);
      return { output: text, dropped, end: outcome };
    },
  };
}
