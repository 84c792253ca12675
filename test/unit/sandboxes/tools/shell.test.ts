// The persistent shell over a real runner: state between commands, ends of every kind, output that is bounded.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Sandbox } from '../../../../sandboxes/driver.ts';
import { connectRunner, type Runner, runnerArguments, runnerScript } from '../../../../sandboxes/runner/client.ts';
import { createRing, OUTPUT_LIMIT, openShell, type Shell } from '../../../../sandboxes/tools/shell.ts';

let folder: string;
let runner: Runner;
let shell: Shell;
const never = new AbortController().signal;
const run = (command: string, timeoutMs = 8_000) => shell.run(command, { timeoutMs, signal: never });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'steward-shell-'));
  const child = spawn('perl', [runnerScript(), ...runnerArguments()], {
    stdio: ['ignore', 'inherit', 'inherit', 'ignore', 'ignore', 'ignore', 'pipe'],
    env: {},
  });
  runner = await connectRunner((child.stdio as unknown[])[6] as Duplex, { now: Date.now });
  const exec: Sandbox['exec'] = (argv, options) =>
    runner.exec(argv, { cwd: folder, ...options }, { PATH: '/usr/bin:/bin', HOME: folder });
  shell = openShell({ exec } as Sandbox);
});
afterEach(() => {
  runner.close();
  rmSync(folder, { recursive: true, force: true });
});

test('keeps folder, variables and background jobs from command to command', async () => {
  expect(await run('mkdir deep && cd deep && X=7; sleep 30 & echo started')).toMatchObject({
    output: 'started\n',
    end: { kind: 'done', code: 0 },
  });
  expect((await run('pwd; echo $X; kill -0 %1 && echo alive')).output).toBe(`${folder}/deep\n7\nalive\n`);
});

test('tells both streams in order, and the exit code', async () => {
  expect(await run('echo out; echo err >&2; echo out again; false')).toEqual({
    output: 'out\nerr\nout again\n',
    dropped: 0,
    end: { kind: 'done', code: 1 },
  });
  expect(await run('printf "no newline at the end"')).toMatchObject({ output: 'no newline at the end' });
  expect(await run('true')).toMatchObject({ output: '', end: { kind: 'done', code: 0 } });
});

test.each([
  ['an open quote', "echo 'never closed"],
  ['an open brace', 'if true; then echo x'],
  ['a wrong word', 'done)'],
])('%s is an error of the command, not of the shell', async (_, command) => {
  const { end, output } = await run(command);
  expect(end).toMatchObject({ kind: 'done' });
  expect(end).not.toMatchObject({ code: 0 });
  expect(output).toMatch(/syntax error|unexpected/);
  expect((await run('echo still here')).output).toBe('still here\n');
});

test('quotes, here documents and unicode reach the command as they are', async () => {
  expect((await run("cat <<'X'\n$HOME \"a\" 'b' \\ 你好\nX")).output).toBe('$HOME "a" \'b\' \\ 你好\n');
});

test('a command that waits for input gets the end of it', async () => {
  expect(await run('cat; read x; echo "got [$x]"')).toMatchObject({ output: 'got []\n' });
});

test('exit ends the shell and says with what', async () => {
  expect(await run('echo bye; exit 3')).toEqual({ output: 'bye\n', dropped: 0, end: { kind: 'exited', code: 3 } });
  expect(shell.alive()).toBe(false);
});

test('what does not end is killed at its time', async () => {
  const began = performance.now();
  expect(await run('echo begun; sleep 60', 300)).toMatchObject({ output: 'begun\n', end: { kind: 'timeout' } });
  expect(performance.now() - began).toBeLessThan(5_000);
  expect(shell.alive()).toBe(false);
});

test('a stop ends the wait at once', async () => {
  const stop = new AbortController();
  const running = shell.run('sleep 60', { timeoutMs: 60_000, signal: stop.signal });
  stop.abort();
  expect((await running).end).toEqual({ kind: 'stopped' });
});

test('of much output the end is kept, and how much went before is told', async () => {
  const { output, dropped, end } = await run('seq 1 200000');
  expect(end).toEqual({ kind: 'done', code: 0 });
  expect(Buffer.byteLength(output)).toBeLessThanOrEqual(OUTPUT_LIMIT);
  expect(output.endsWith('199999\n200000\n')).toBe(true);
  expect(dropped + Buffer.byteLength(output)).toBe(1_288_895);
});

test('a background server that logs a lot between commands does not block', async () => {
  await run(`(yes | head -c 2000000; echo through > ${folder}/done) &`);
  await expect
    .poll(async () => (await run(`cat ${folder}/done 2>/dev/null`)).output, { timeout: 8_000 })
    .toContain('through');
});

test('a lost sandbox ends the wait', async () => {
  const running = run('sleep 60');
  runner.close();
  expect((await running).end).toEqual({ kind: 'lost' });
});

test('a ring keeps whole characters', () => {
  const ring = createRing(5);
  ring.push(Buffer.from('ab€€'));
  expect(ring.take()).toEqual({ text: '€', dropped: 3 });
  ring.push(Buffer.from('xyz'));
  expect(ring.take(2)).toEqual({ text: 'xy', dropped: 0 });
  expect(ring.take()).toEqual({ text: 'z', dropped: 0 });
});
