// Files are sent from one folder only, whatever the path says.
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { StewardError } from '../../../../core/errors.ts';
import { createSendFile, createSendMessage, parsePlace, readInside } from '../../../../core/tools/send.ts';
import type { Tool } from '../../../../core/tools/tool.ts';
import type { JsonObject } from '../../../../core/types.ts';
import { makeFolder, openTestRecord } from '../../../helpers/record.ts';

function folder() {
  const home = makeFolder();
  const files = join(home, 'files');
  mkdirSync(join(files, 'deep'), { recursive: true });
  mkdirSync(join(home, 'files-of-another'));
  writeFileSync(join(home, 'token'), 'secret');
  writeFileSync(join(home, 'files-of-another', 'token'), 'secret');
  writeFileSync(join(files, 'a.txt'), 'a');
  writeFileSync(join(files, 'deep', '..notes.txt'), 'notes');
  writeFileSync(join(files, 'Grüße 👋.txt'), 'hi');
  return { home, files };
}

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as StewardError).code ?? String(error);
  }
  return 'nothing was thrown';
};

describe('a file is read only from inside the folder', () => {
  it.each([
    ['a.txt', 'a'],
    ['./a.txt', 'a'],
    ['deep/../a.txt', 'a'],
    ['/a.txt', 'a'],
    ['deep/..notes.txt', 'notes'],
    ['Grüße 👋.txt', 'hi'],
  ])('%s', (path, text) => {
    expect(readInside(folder().files, path).toString()).toBe(text);
  });

  it.each([
    '../token',
    '/../token',
    'deep/../../token',
    '../files-of-another/token',
    '..',
    '.',
    '',
    'missing.txt',
    'a.txt/x',
    'a.txt\u0000.png',
    '../../../../../../etc/passwd',
    '/etc/passwd',
    '....//token',
    '..\\token',
    'deep',
    `${'x/'.repeat(2_000)}y`,
  ])('not %j', (path) => {
    expect(codeOf(() => readInside(folder().files, path))).toBe('invalid');
  });

  it('not through links of any kind, and not what is no file', () => {
    const { home, files } = folder();
    symlinkSync(join(home, 'token'), join(files, 'link'));
    symlinkSync('../token', join(files, 'relative'));
    symlinkSync(home, join(files, 'door'));
    symlinkSync(join(home, 'nothing'), join(files, 'dangling'));
    linkSync(join(home, 'token'), join(files, 'hard'));
    execFileSync('mkfifo', [join(files, 'pipe')]);
    for (const path of ['link', 'relative', 'door/token', 'dangling', 'hard', 'pipe'])
      expect(
        codeOf(() => readInside(files, path)),
        path,
      ).toBe('invalid');
    symlinkSync('a.txt', join(files, 'inside'));
    expect(readInside(files, 'inside').toString()).toBe('a');
  });

  it('not when it is too large', () => {
    const { files } = folder();
    writeFileSync(join(files, 'big'), '');
    truncateSync(join(files, 'big'), 50 * 1024 * 1024 + 1);
    expect(codeOf(() => readInside(files, 'big'))).toBe('invalid');
  });
});

it.each([
  ['telegram:12345', { channel: 'telegram', chat: '12345' }],
  ['telegram:-100123#7', { channel: 'telegram', chat: '-100123', thread: '7' }],
  ['lark:oc_abc', { channel: 'lark', chat: 'oc_abc' }],
])('the place %s', (text, address) => {
  expect(parsePlace(text)).toEqual(address);
});

function tools() {
  const record = openTestRecord();
  const { files } = folder();
  const session = record.sessions.need(record.newSession());
  const deps = { ...record, filesDir: files, channels: () => ['telegram', 'web'] };
  const replyTo = [{ channel: 'telegram', chat: '1' }];
  record.people.seen({ channel: 'telegram', chat: '1' }, 'owner', 'Olivia');
  record.people.seen({ channel: 'telegram', chat: '2' }, 'guest', 'Gus');
  const run = async (tool: Tool, args: JsonObject, more: object = {}) => {
    const context = { callId: 'sevt_call', session, replyTo, signal: new AbortController().signal, ...more };
    const parsed = tool.parse(args);
    if (!parsed.ok) return parsed.why;
    const result = await tool.run(parsed.args, context);
    const [block] = result.content;
    return `${result.isError ? 'error: ' : ''}${block?.type === 'text' ? block.text : ''}`;
  };
  const rows = () => record.db.prepare<[], { chat: string; body: string }>('SELECT chat, body FROM outbox').all();
  return { record, message: createSendMessage(deps), file: createSendFile(deps), run, rows };
}

describe('send_message', () => {
  it('queues once, however often the call is repeated after a crash', async () => {
    const { message, run, rows } = tools();
    for (let n = 0; n < 3; n++) expect(await run(message, { to: 'telegram:2', text: 'hi' })).toMatch(/^Queued/);
    expect(rows()).toEqual([{ chat: '2', body: '{"kind":"text","markdown":"hi"}' }]);
    expect(message.effect).toBe('keyed');
  });

  it.each([
    ['a place nobody wrote from', { to: 'telegram:999', text: 'x' }, /^error: telegram:999 is not a known place/],
    ['a topic nobody wrote in', { to: 'telegram:2#5', text: 'x' }, /^error: /],
    ['the start of a known place', { to: 'telegram:', text: 'x' }, /must look like/],
    ['the console', { to: 'web:sesn_1', text: 'x' }, /^error: The console shows/],
    ['no text', { to: 'telegram:2', text: '' }, /text/],
    ['an unknown argument', { to: 'telegram:2', text: 'x', silent: true }, /silent/],
  ])('refuses %s', async (_, args, words) => {
    const { message, run, rows } = tools();
    expect(await run(message, args)).toMatch(words);
    expect(rows()).toEqual([]);
  });
});

describe('send_file', () => {
  it('sends to where the question came from, or to a known place, once', async () => {
    const { record, file, run, rows } = tools();
    for (let n = 0; n < 2; n++) await run(file, { path: 'a.txt', caption: 'look' });
    expect(rows().map((row) => [row.chat, JSON.parse(row.body)])).toEqual([
      ['1', expect.objectContaining({ kind: 'file', name: 'a.txt', caption: 'look' })],
    ]);
    const { blob } = JSON.parse(rows()[0]!.body);
    expect(Buffer.from(record.blobs.get(blob)!).toString()).toBe('a');
    expect(file.action({ path: 'a.txt' })).toEqual({ type: 'send', to: 'here', what: 'file' });
    expect(file.action({ path: 'a.txt', to: 'telegram:2' })).toMatchObject({ to: { channel: 'telegram', chat: '2' } });
  });

  it('says what to do when the question came from the console', async () => {
    const { file, run, rows } = tools();
    expect(await run(file, { path: 'a.txt' }, { replyTo: [{ channel: 'web', chat: 's' }] })).toMatch(
      /^error: .*console/,
    );
    expect(rows()).toEqual([]);
  });

  it('never leaves the folder', async () => {
    const { file, run, rows } = tools();
    await expect(run(file, { path: '../token' })).rejects.toThrow('outside');
    expect(rows()).toEqual([]);
  });
});
