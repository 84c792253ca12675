// A line of setup or verify in the sandbox: bounded in time and output, its end reported as it was.
import type { CommandReport } from '../../core/tasks.ts';
import type { Millis } from '../../core/types.ts';
import type { ExecOptions, Sandbox } from '../driver.ts';

/** Of a report's output so much is kept: the end, where programs say what went wrong. */
const KEPT = 16 * 1024;
const OUTPUT_BYTES = 16 * 1024 * 1024;

export interface Ran {
  /** Null when a signal ended it. */
  code: number | null;
  limited: 'output' | 'time' | null;
  stdout: Buffer;
  stderr: Buffer;
}

/** Runs a program to its end and keeps what it said, at most `keepBytes` of each stream (the end). Rejects when the sandbox is gone. */
export async function run(
  sandbox: Sandbox,
  argv: readonly string[],
  options: ExecOptions & { keepBytes?: number } = {},
): Promise<Ran> {
  const { keepBytes = OUTPUT_BYTES, ...exec } = options;
  const running = sandbox.exec(argv, { outputBytes: OUTPUT_BYTES, ...exec });
  const streams = { stdout: tail(keepBytes), stderr: tail(keepBytes) };
  let end: Pick<Ran, 'code' | 'limited'> = { code: null, limited: null };
  for await (const event of running) {
    if (event.type === 'stdout' || event.type === 'stderr') streams[event.type].add(event.data);
    else if (event.type === 'exit') end = { code: event.code, limited: event.limited };
  }
  await running.result;
  return { ...end, stdout: streams.stdout.bytes(), stderr: streams.stderr.bytes() };
}

/** Both streams of `sh` come as one, in order: the line decides what is joined. */
export async function runLine(
  sandbox: Sandbox,
  line: string,
  options: { timeoutMs: Millis; signal: AbortSignal; redact(text: string): string },
): Promise<CommandReport> {
  const began = performance.now();
  const { timeoutMs, signal } = options;
  const ended = await run(sandbox, ['bash', '-c', `exec 2>&1\n${line}`], {
    ...{ timeoutMs, signal, keepBytes: KEPT },
    // Programs that watch for changes, or ask, end by themselves where this is set.
    env: { CI: '1' },
  });
  return {
    command: line,
    code: ended.code,
    limited: ended.limited,
    tookMs: Math.round(performance.now() - began),
    output: options.redact(Buffer.concat([ended.stdout, ended.stderr]).toString('utf8').toWellFormed()),
  };
}

function tail(limit: number) {
  const pieces: Buffer[] = [];
  let size = 0;
  return {
    add(data: Uint8Array) {
      pieces.push(Buffer.from(data));
      size += data.byteLength;
      while (size - pieces[0]!.length >= limit) size -= pieces.shift()!.length;
    },
    bytes: () => Buffer.concat(pieces).subarray(-limit),
  };
}

export const passed = (report: CommandReport): boolean => report.code === 0 && report.limited === null;

/** How it ended, for people: `npm test: exit code 1`. */
export function endOf({ command, code, limited, tookMs }: CommandReport): string {
  const line = command.split('\n', 1)[0]!.slice(0, 120);
  const seconds = Math.round(tookMs / 100) / 10;
  if (limited === 'time') return `\`${line}\` did not end within ${seconds} s and was killed`;
  if (limited === 'output') return `\`${line}\` wrote too much and was killed`;
  if (code === 0) return `\`${line}\` passed (${seconds} s)`;
  return code === null ? `\`${line}\` was killed` : `\`${line}\` ended with code ${code} (${seconds} s)`;
}
