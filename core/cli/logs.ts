// `steward logs`: the newest lines of the process's log, for a person or as they are, and those to come.
import { closeSync, existsSync, fstatSync, openSync, readSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { harmless, say, type Terminal } from './terminal.ts';

export function logFile(home: string): string {
  return join(home, 'logs', 'steward.log');
}

export interface LogsOptions {
  lines: number;
  follow?: boolean;
  /** The lines as they stand in the file. */
  json?: boolean;
}

/** With `follow` it resolves when the signal aborts. */
export async function showLogs(
  home: string,
  terminal: Terminal,
  options: LogsOptions,
  signal: AbortSignal,
): Promise<void> {
  const file = logFile(home);
  if (!existsSync(file)) {
    say(terminal, 'There is no log yet: it begins with npm start. (steward run logs to its terminal.)');
    return;
  }
  const show = (line: string) => say(terminal, options.json ? line : forPerson(line));
  const { text, start } = readFrom(file, tailStart(file));
  const complete = text.slice(0, text.lastIndexOf('\n') + 1);
  const lines = complete.split('\n').slice(0, -1);
  for (const line of lines.slice(Math.max(0, lines.length - options.lines))) show(line);
  if (options.follow) await follow(file, start + Buffer.byteLength(complete), show, signal);
}

/** What stands at and after `offset` bytes, and where that really began. */
export function readFrom(file: string, offset: number): { text: string; start: number } {
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    // A file that became shorter was begun anew.
    const start = offset > size ? 0 : offset;
    const bytes = Buffer.alloc(size - start);
    const read = readSync(fd, bytes, 0, bytes.length, start);
    return { text: bytes.subarray(0, read).toString('utf8'), start };
  } finally {
    closeSync(fd);
  }
}

/** The last lines lie in the last two megabytes, or are too long to be read by anyone. */
function tailStart(file: string): number {
  const fd = openSync(file, 'r');
  try {
    return Math.max(0, fstatSync(fd).size - 2 * 1024 * 1024);
  } finally {
    closeSync(fd);
  }
}

function follow(file: string, from: number, show: (line: string) => void, signal: AbortSignal): Promise<void> {
  let offset = from;
  const catchUp = () => {
    if (!existsSync(file)) return;
    const { text, start } = readFrom(file, offset);
    const complete = text.slice(0, text.lastIndexOf('\n') + 1);
    offset = start + Buffer.byteLength(complete);
    for (const line of complete.split('\n').slice(0, -1)) show(line);
  };
  return new Promise((resolve) => {
    // The folder is watched, not the file: a log that is moved away and begun anew goes on.
    const watcher = watch(dirname(file), (_, name) => {
      if (name === basename(file)) catchUp();
    });
    catchUp();
    signal.addEventListener(
      'abort',
      () => {
        watcher.close();
        resolve();
      },
      { once: true },
    );
  });
}

const levels: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };

/** "12:00:01 warn  message key=value"; a line that is no JSON is shown as it is. */
export function forPerson(line: string): string {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return harmless(line);
  }
  if (typeof entry !== 'object' || entry === null) return harmless(line);
  const { level, time, msg, ...facts } = entry as Record<string, unknown>;
  const when = typeof time === 'number' ? new Date(time).toTimeString().slice(0, 8) : '';
  const rest = Object.entries(facts).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const name = levels[Number(level)] ?? String(level ?? '');
  return harmless([when, name.padEnd(5), String(msg ?? ''), ...rest].filter((part) => part !== '').join(' '));
}
