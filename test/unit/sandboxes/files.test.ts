// Files of a sandbox through programs inside it: whole or not at all, any name, nothing that blocks, the right error.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS, type Files, PLACES, type Sandbox, type SandboxDriver } from '../../../sandboxes/driver.ts';
import { createNone } from '../../../sandboxes/drivers/none.ts';
import { packTar, unpackTo } from '../../../sandboxes/tar.ts';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'files-')));
let driver: SandboxDriver;
let sandbox: Sandbox;
let files: Files;
/** Where the workspace is on this host. */
const inside = (...names: string[]) => join(root, 'live', sandbox.id, 'workspace', ...names);
const text = async (path: string) => Buffer.from(await files.read(path)).toString();
const names = async (path: string, depth?: number) =>
  (await files.list(path, { ...(depth ? { depth } : {}) })).map((entry) => entry.path);

beforeAll(async () => {
  driver = createNone({ root, now: Date.now });
  sandbox = await driver.create({
    id: 'sbx_files',
    labels: {},
    workspace: { type: 'empty' },
    env: {},
    mounts: [],
    limits: DEFAULT_LIMITS,
    profile: 'strict',
    listen: null,
  });
  files = sandbox.files;
});
afterAll(async () => {
  await driver.stop();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  execFileSync('chmod', ['-R', 'u+rwX', '--', inside()]);
  for (const name of readdirSync(inside())) rmSync(inside(name), { recursive: true });
});

const STRANGE = [
  '-rf',
  '--',
  'a b',
  '$HOME',
  "it's",
  '"quoted"',
  'line\nbreak',
  '*',
  'ümläut 漢字 🧵',
  '..dots',
  ' ',
  '`id`',
  '\\',
  '%s',
];

describe('write and read', () => {
  it('keep any name and any byte', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    for (const name of STRANGE) {
      await files.write(name, bytes);
      await files.write(`in/${name}/${name}`, name);
      expect(Buffer.from(await files.read(name)).equals(bytes), name).toBe(true);
      expect(await text(`in/${name}/${name}`)).toBe(name);
    }
    expect((await names('.')).sort()).toEqual([...STRANGE, 'in'].sort());
    expect(readdirSync(inside()).sort()).toEqual([...STRANGE, 'in'].sort());
    for (const name of STRANGE) await files.remove(name);
    expect(await names('.')).toEqual(['in']);
    await files.write('empty', '');
    expect(await text('empty')).toBe('');
  });

  it('paths are the workspace’s, the contract’s or absolute ones', async () => {
    await files.write(`${PLACES.workspace}/deep/er/a`, 'x');
    expect(await text('deep/er/a')).toBe('x');
    expect(await text(`${PLACES.workspace}/./deep//er/a`)).toBe('x');
    await files.write(`${PLACES.home}/note`, 'h');
    expect(await text('../home/note')).toBe('h');
    expect(await text(inside('deep/er/a'))).toBe('x');
  });

  it('a range is what lies there, and more than the limit is refused', async () => {
    await files.write('a', '0123456789');
    const part = async (offset: number, limit?: number) =>
      Buffer.from(await files.read('a', { offset, ...(limit === undefined ? {} : { limit }) })).toString();
    expect(await part(4)).toBe('456789');
    expect(await part(4, 6)).toBe('456789');
    expect(await part(10)).toBe('');
    expect(await part(99)).toBe('');
    await expect(files.read('a', { limit: 9 })).rejects.toMatchObject({
      code: 'too_large',
      message: 'a is larger than 9 bytes.',
    });
    // Says that it is empty, and is not.
    expect(await text('/proc/self/status')).toMatch(/^Name:\tperl/);
    await expect(files.read('/proc/self/status', { limit: 10 })).rejects.toMatchObject({ code: 'too_large' });
  });

  it('20 MB go and come', async () => {
    const bytes = Buffer.alloc(20_000_000, 'abcdefg');
    await files.write('big', bytes);
    expect(Buffer.from(await files.read('big')).equals(bytes)).toBe(true);
  });

  it('what is no regular file is refused at once', async () => {
    execFileSync('mkfifo', [inside('fifo')]);
    mkdirSync(inside('folder'));
    symlinkSync('fifo', inside('to-fifo'));
    symlinkSync('loop', inside('loop'));
    for (const path of ['fifo', 'to-fifo', 'folder', '/dev/zero', '/dev/tty', '.']) {
      await expect(files.read(path), path).rejects.toMatchObject({ code: 'invalid' });
      await expect(files.write(path, 'x'), path).rejects.toMatchObject({ code: 'invalid' });
    }
    for (const path of ['loop', '', 'a\0b', 'folder/'])
      await expect(files.write(path, 'x'), path).rejects.toMatchObject({ code: 'invalid' });
    expect(statSync(inside('fifo')).isFIFO()).toBe(true);
  });

  it('what is not there is not_found; what may not be is forbidden', async () => {
    await files.write('a', 'x');
    for (const path of ['none', 'none/none', 'a/b']) {
      await expect(files.read(path)).rejects.toMatchObject({ code: 'not_found' });
      await expect(files.list(path)).rejects.toMatchObject({ code: 'not_found' });
      await expect(files.remove(path)).rejects.toMatchObject({ code: 'not_found' });
    }
    await expect(files.write('/proc/nothing', 'x')).rejects.toMatchObject({
      code: expect.stringMatching(/forbidden|not_found/),
    });
    if (process.getuid?.() === 0) return;
    chmodSync(inside('a'), 0);
    await expect(files.read('a')).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('a write is whole or not at all, and keeps the mode and the link', async () => {
    await files.write('tool', 'one', { mode: 0o755 });
    symlinkSync('tool', inside('link'));
    await files.write('link', 'two');
    expect(readlinkSync(inside('link'))).toBe('tool');
    expect(readFileSync(inside('tool'), 'utf8')).toBe('two');
    expect(statSync(inside('tool')).mode & 0o777).toBe(0o755);
    await files.write('tool', 'three', { mode: 0o600 });
    expect(statSync(inside('tool')).mode & 0o777).toBe(0o600);
    // A file on the way is none to make folders in.
    await expect(files.write('tool/below', 'x')).rejects.toMatchObject({ code: 'invalid' });
    // Readers see the old text or the new, never a part, and nothing else is left.
    const seen = new Set<string>();
    let writing = true;
    const looking = (async () => {
      while (writing) {
        const found = readFileSync(inside('tool'), 'utf8');
        seen.add(found.slice(0, 1) + found.length);
        await new Promise(setImmediate);
      }
    })();
    const long = 'y'.repeat(3_000_000);
    for (let i = 0; i < 5; i++) await files.write('tool', i % 2 ? 'x' : long);
    writing = false;
    await looking;
    for (const one of seen) expect(['t5', 'y3000000', 'x1']).toContain(one);
    expect(readdirSync(inside()).sort()).toEqual(['link', 'tool']);
  });

  it('a full disk is said, and leaves nothing', async () => {
    await expect(files.write('/dev/full/x', 'x')).rejects.toMatchObject({ code: 'invalid' });
    const full = sandbox.exec(
      [
        'sh',
        '-c',
        'ulimit -f 100; trap "" XFSZ; exec perl -e "$1" write big 300000 ""',
        'sh',
        readFileSync(new URL('../../../sandboxes/files.pl', import.meta.url), 'utf8'),
      ],
      { stdin: 'open' },
    );
    await full.write(Buffer.alloc(300_000));
    full.end();
    let complaint = '';
    for await (const event of full) if (event.type === 'stderr') complaint += Buffer.from(event.data);
    expect(complaint).toMatch(/cannot write big/);
    expect(readdirSync(inside())).toEqual([]);
  });
});

describe('list and remove', () => {
  it('a tree to its depth and its limit, nearest first, links as links', async () => {
    mkdirSync(inside('d/e/f'), { recursive: true });
    writeFileSync(inside('d/e/x'), '12345');
    symlinkSync('/etc', inside('d/link'));
    execFileSync('mkfifo', [inside('d/pipe')]);
    expect(await names('.')).toEqual(['d']);
    expect(await names('.', 2)).toEqual(['d', 'd/e', 'd/link', 'd/pipe']);
    expect(await names('.', 9)).toEqual(['d', 'd/e', 'd/link', 'd/pipe', 'd/e/f', 'd/e/x']);
    const byName = Object.fromEntries((await files.list('d', { depth: 3 })).map((entry) => [entry.path, entry]));
    expect(byName['e/x']).toMatchObject({ type: 'file', size: 5 });
    expect(Math.abs(byName['e/x']!.modifiedAt - Date.now())).toBeLessThan(60_000);
    expect([byName.e!.type, byName.link!.type, byName.pipe!.type]).toEqual(['folder', 'link', 'other']);
    expect(await files.list('.', { depth: 9, limit: 3 })).toHaveLength(3);
    await expect(files.list('d/e/x')).rejects.toMatchObject({ code: 'invalid' });
  });

  it('1,500 names', async () => {
    mkdirSync(inside('many'));
    for (let i = 0; i < 1_500; i++) writeFileSync(inside('many', `${i}`), '');
    expect(new Set(await names('many')).size).toBe(1_500);
  });

  it('a remove takes the link and not what it points to, and what may not be entered', async () => {
    mkdirSync(inside('closed/deep'), { recursive: true });
    writeFileSync(inside('closed/deep/x'), '');
    mkdirSync(inside('kept'));
    writeFileSync(inside('kept/x'), 'x');
    symlinkSync(inside('kept'), inside('closed/deep/link'));
    symlinkSync('kept', inside('link'));
    chmodSync(inside('closed/deep'), 0);
    await files.remove('closed');
    await files.remove('link');
    expect(readdirSync(inside())).toEqual(['kept']);
    expect(existsSync(inside('kept/x'))).toBe(true);
    for (const path of ['/', '.', '..', 'kept/..', './', '//'])
      await expect(files.remove(path), path).rejects.toMatchObject({ code: 'invalid' });
    expect(existsSync(inside('kept/x'))).toBe(true);
  });
});

describe('upload and download', () => {
  it('a tree goes in beside what is there, and comes out the same', async () => {
    await files.write('into/d/old', 'old');
    await files.write('into/d/both', 'old');
    const entries = [
      { name: 'd' },
      { name: 'd/both', data: 'new' },
      { name: 'd/tool', data: 'x', mode: 0o755 },
      { name: 'shut', mode: 0o555 },
      { name: 'shut/x', data: 'y' },
      { name: 'link', link: 'd/both' },
      ...STRANGE.filter((name) => name !== '--').map((name) => ({ name: `s/${name}`, data: name })),
    ];
    expect(await files.upload('into', packTar(entries))).toMatchObject({ files: 4 + STRANGE.length - 1 });
    expect(await text('into/d/both')).toBe('new');
    expect(await text('into/d/old')).toBe('old');
    expect(statSync(inside('into/d/tool')).mode & 0o777).toBe(0o755);
    expect((await names('into')).sort()).toEqual(['d', 'link', 's', 'shut']);
    const out = join(root, 'out');
    await unpackTo(out, files.download('into'));
    expect(execFileSync('diff', ['-r', '--no-dereference', out, inside('into')]).toString()).toBe('');
    rmSync(out, { recursive: true });
    await unpackTo(out, files.download('into/s/-rf'));
    expect(readdirSync(out)).toEqual(['-rf']);
    rmSync(out, { recursive: true });
  });

  it('a refused one leaves nothing, not even the folder it was for', async () => {
    await files.write('there/x', 'x');
    const bad = () =>
      packTar([
        { name: 'a', data: 'x'.repeat(300_000) },
        { name: 'b', data: 'y' },
        { name: '../out', data: 'z' },
      ]);
    await expect(files.upload('there', bad())).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(/leads out/),
    });
    await expect(files.upload('new/deep', bad())).rejects.toMatchObject({ code: 'invalid' });
    const half = Readable.from(
      (async function* () {
        yield Buffer.concat(await packTar([{ name: 'a', data: 'x'.repeat(2_000) }]).toArray()).subarray(0, 1_200);
        throw new Error('the line is cut');
      })(),
    );
    await expect(files.upload('there', half)).rejects.toMatchObject({ code: 'unavailable' });
    expect(readdirSync(inside())).toEqual(['there']);
    expect(readdirSync(inside('there'))).toEqual(['x']);
  });

  it('one that clashes with what is there changes nothing', async () => {
    await files.write('into/d', 'a file');
    await files.write('into/f/x', 'in a folder');
    const clash = [
      [
        { name: 'a', data: 'new' },
        { name: 'd/x', data: 'x' },
      ],
      [
        { name: 'a', data: 'new' },
        { name: 'f', data: 'x' },
      ],
    ];
    for (const entries of clash)
      await expect(files.upload('into', packTar(entries))).rejects.toMatchObject({ code: 'conflict' });
    expect((await names('into', 3)).sort()).toEqual(['d', 'f', 'f/x']);
    await expect(files.upload('into/d', packTar([]))).rejects.toMatchObject({ code: 'invalid' });
  });

  it('what the guard does not let out is an error of the stream, and so is what is not there', async () => {
    await files.write('d/x', 'x');
    symlinkSync('/etc/passwd', inside('d/out'));
    const all = (readable: Readable) => readable.toArray();
    await expect(all(files.download('d'))).rejects.toMatchObject({ code: 'invalid' });
    await expect(all(files.download('none'))).rejects.toMatchObject({
      code: 'not_found',
      message: 'cannot read none: No such file or directory.',
    });
    rmSync(inside('d/out'));
    expect(Buffer.concat(await all(files.download('d'))).length).toBe(512 + 512 + 1024);
    // Ended early, the program inside ends too.
    await files.write('d/big', Buffer.alloc(10_000_000));
    for await (const _ of files.download('d')) break;
    const busy = async () => (await sandbox.processes()).length;
    for (let i = 0; i < 100 && (await busy()) > 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await busy()).toBe(0);
  });

  it('400 files at once', async () => {
    const entries = Array.from({ length: 400 }, (_, i) => ({ name: `d${i % 20}/f${i}`, data: `${i}` }));
    expect(await files.upload('many', packTar(entries))).toMatchObject({ files: 400 });
    expect(await names('many', 2)).toHaveLength(420);
  });
});
