// What a command has to do with the person in front of it: where it writes, whether they can answer, how a table looks.
import { styleText } from 'node:util';

export interface Terminal {
  env: Readonly<Record<string, string | undefined>>;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: NodeJS.WritableStream & { isTTY?: boolean };
  stderr: NodeJS.WritableStream & { isTTY?: boolean };
  fetch: typeof fetch;
  now(): number;
}

export function createTerminal(source: NodeJS.Process): Terminal {
  const { env, stdin, stdout, stderr } = source;
  return { env, stdin, stdout, stderr, fetch: globalThis.fetch, now: () => Date.now() };
}

export function say(terminal: Terminal, text: string): void {
  terminal.stdout.write(`${text}\n`);
}

/** Asides go to stderr, so that stdout carries the answer and nothing else. */
export function note(terminal: Terminal, text: string): void {
  terminal.stderr.write(`${styleText('dim', text, { stream: terminal.stderr })}\n`);
}

export function sayJson(terminal: Terminal, value: unknown): void {
  say(terminal, JSON.stringify(value, null, 2));
}

/** Text from elsewhere may carry escape sequences that rewrite the screen: show them instead of obeying them. */
export function harmless(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function oneLine(text: string, width: number): string {
  const flat = harmless(text.replace(/\s+/g, ' ').trim());
  return [...flat].length > width ? `${[...flat].slice(0, width - 1).join('')}…` : flat;
}

/** Columns as wide as their widest cell; the last one is left ragged. */
export function table(header: string[], rows: string[][]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => [...(row[column] ?? '')].length)));
  return all
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]!))).join('  '),
    )
    .map((line) => line.trimEnd())
    .join('\n');
}

/** "3 min ago"; the empty answer for never is a dash. */
export function ago(time: string | number | null | undefined, now: number): string {
  if (time === null || time === undefined) return '–';
  const seconds = Math.max(0, Math.round((now - new Date(time).getTime()) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}

/** US dollars, with cents that matter; unknown is said, never shown as zero. */
export function dollars(amount: number | null | undefined): string {
  if (amount === null || amount === undefined) return 'unknown';
  return `$${amount.toFixed(amount !== 0 && Math.abs(amount) < 1 ? 4 : 2)}`;
}
