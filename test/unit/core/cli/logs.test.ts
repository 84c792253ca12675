// `steward logs`: the last lines for a person or as they are, and those to come, also when the file begins anew.
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lastWords } from '../../../../core/cli/lifecycle.ts';
import { forPerson, logFile, showLogs } from '../../../../core/cli/logs.ts';
import type { Terminal } from '../../../../core/cli/terminal.ts';

let home: string;
let lines: string[];
let terminal: Terminal;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'steward-logs-'));
  mkdirSync(join(home, 'logs'));
  lines = [];
  const stdout = new PassThrough();
  stdout.on('data', (chunk: Buffer) => lines.push(...chunk.toString().split('\n').slice(0, -1)));
  terminal = { env: {}, stdin: new PassThrough(), stdout, stderr: new PassThrough(), fetch, now: Date.now };
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const never = new AbortController().signal;
const entry = (msg: string) => `${JSON.stringify({ level: 40, time: 0, msg, n: 1 })}\n`;

it('shows the newest, whole lines only', async () => {
  writeFileSync(logFile(home), ['a', 'b', 'c', 'not yet'].join('\n'));
  await showLogs(home, terminal, { lines: 2 }, never);
  expect(lines).toEqual(['b', 'c']);
});

it('says when there is none', async () => {
  await showLogs(home, terminal, { lines: 2 }, never);
  expect(lines.join()).toContain('There is no log yet');
});

it('follows, across a log that is set aside', async () => {
  writeFileSync(logFile(home), 'old\nhalf');
  const stop = new AbortController();
  const done = showLogs(home, terminal, { lines: 1, follow: true, json: true }, stop.signal);
  const until = async (text: string) => {
    while (!lines.includes(text)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  appendFileSync(logFile(home), ' and half\nnew\n');
  await until('new');
  renameSync(logFile(home), `${logFile(home)}.1`);
  writeFileSync(logFile(home), 'x\n');
  await until('x');
  stop.abort();
  await done;
  expect(lines).toEqual(['old', 'half and half', 'new', 'x']);
});

it('turns entries into sentences and leaves other lines alone', () => {
  expect(forPerson(entry('disk is slow').trim())).toMatch(/^\d\d:00:00 warn {2}disk is slow n=1$/);
  expect(forPerson('Error: \u001b[31mbad')).toBe('Error: \\u001b[31mbad');
  expect(forPerson('7')).toBe('7');
});

it('finds what a process said before it went', () => {
  expect(lastWords(`${entry('starting')}The port is taken.\nChoose another.\n`)).toBe(
    'The port is taken.\nChoose another.',
  );
  expect(lastWords(entry('starting'))).toMatch(/warn {2}starting/);
  expect(lastWords('')).toBe('');
});
