// The guard of archives: what passes comes out as it went in, what does not takes the whole archive with it.
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { checkedTar, packTar, type TarLimits, unpackTo } from '../../../sandboxes/tar.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tar-'));
  folders.push(path);
  return path;
}

interface Raw {
  name: string;
  /** The character of the header: 0 file, 1 hard link, 2 symbolic link, 3 and 4 devices, 5 folder, 6 FIFO … */
  type?: string;
  data?: string | Buffer;
  link?: string;
  mode?: number;
  size?: number;
  pax?: Record<string, string>;
}

/** One entry byte by byte, so that it can be what no honest writer makes. */
function raw({ name, type = '0', data = '', link = '', mode = 0o644, size, pax }: Raw): Buffer {
  const body = Buffer.from(data);
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  header.write('0000000\0'.repeat(2), 108);
  header.write(`${(size ?? body.length).toString(8).padStart(11, '0')} `, 124);
  header.write('14000000000 ', 136);
  header.write(type, 156);
  header.write(link, 157, 100);
  header.write('ustar\u000000', 257);
  header.write('        ', 148);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  const entry = Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
  if (!pax) return entry;
  const records = Object.entries(pax).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    const length = rest + String(rest + String(rest).length).length;
    return `${length} ${key}=${value}\n`;
  });
  return Buffer.concat([raw({ name: 'pax', type: 'x', data: records.join('') }), entry]);
}
const archive = (...entries: Raw[]) => Buffer.concat([...entries.map(raw), Buffer.alloc(1024)]);
const stream = (bytes: Buffer) => Readable.from([bytes]);

async function through(bytes: Buffer, limits?: Partial<TarLimits>): Promise<Buffer> {
  const { archive: checked, totals } = checkedTar(stream(bytes), limits);
  const all = Buffer.concat(await checked.toArray());
  await totals;
  return all;
}

/** Refused by the guard as a stream, and by the host's unpacking with nothing left behind. */
async function refused(bytes: Buffer, code: string, why: RegExp, limits?: Partial<TarLimits>): Promise<void> {
  const expected = { code, message: expect.stringMatching(why) };
  await expect(through(bytes, limits)).rejects.toMatchObject(expected);
  const into = folder();
  await expect(unpackTo(into, stream(bytes), limits)).rejects.toMatchObject(expected);
  expect(readdirSync(into)).toEqual([]);
}

describe('what is fine', () => {
  it('comes out as it went in: files, folders, links, modes, long and strange names', async () => {
    const into = folder();
    const long = `${'deep/'.repeat(30)}${'n'.repeat(200)}`;
    const bytes = archive(
      { name: './' },
      { name: './a', data: 'one', mode: 0o755 },
      { name: 'd/', type: '5', mode: 0o555 },
      { name: 'd/b\nc', data: Buffer.from([0, 255, 10, 13]) },
      { name: 'link', type: '2', link: 'd/b\nc' },
      { name: 'd/up', type: '2', link: '../a' },
      { name: 'd/dangling', type: '2', link: 'nowhere' },
      { name: '-rf', data: 'dash' },
      { name: 'x', data: 'L', pax: { path: long } },
      { name: 'x', data: 'ü', pax: { path: 'ümläut/漢字 🧵' } },
      { name: 'again', data: 'first' },
      { name: 'again', data: 'second' },
    ).subarray(512);
    for (const [at, source] of [bytes, gzipSync(bytes), await through(bytes)].entries()) {
      const place = join(into, String(at));
      expect(await unpackTo(place, stream(source))).toEqual({ files: 10, bytes: 3 + 4 + 4 + 1 + 2 + 5 + 6 });
      expect(readFileSync(join(place, 'a'), 'utf8')).toBe('one');
      expect(statSync(join(place, 'a')).mode & 0o777).toBe(0o755);
      expect([...readFileSync(join(place, 'd/b\nc'))]).toEqual([0, 255, 10, 13]);
      expect(readlinkSync(join(place, 'link'))).toBe('d/b\nc');
      expect(readlinkSync(join(place, 'd/up'))).toBe('../a');
      expect(lstatSync(join(place, 'd/dangling')).isSymbolicLink()).toBe(true);
      expect(readFileSync(join(place, '-rf'), 'utf8')).toBe('dash');
      expect(readFileSync(join(place, long), 'utf8')).toBe('L');
      expect(readFileSync(join(place, 'ümläut/漢字 🧵'), 'utf8')).toBe('ü');
      expect(readFileSync(join(place, 'again'), 'utf8')).toBe('second');
    }
  });

  it('loses what has no place: setuid, owners, extended attributes', async () => {
    const bytes = await through(
      archive({ name: 's', data: 'x', mode: 0o6755, pax: { 'SCHILY.xattr.security.capability': 'all' } }),
    );
    expect(bytes.length).toBe(512 + 512 + 1024);
    expect(bytes.toString('latin1', 100, 108)).toBe('000755 \0');
    const into = folder();
    await unpackTo(into, stream(archive({ name: 's', data: 'x', mode: 0o6755 })));
    expect(statSync(join(into, 's')).mode & 0o7777).toBe(0o755);
  });

  it('an empty archive is one', async () => {
    expect(await unpackTo(folder(), packTar([]))).toEqual({ files: 0, bytes: 0 });
  });

  it('goes through as fast as it is taken, not piled up', async () => {
    let made = 0;
    const piece = Buffer.alloc(1_000_000);
    const source = Readable.from(
      (function* () {
        yield raw({ name: 'big', size: 300_000_000 }).subarray(0, 512);
        for (; made < 300; made++) yield piece;
        yield Buffer.alloc(2048 + ((512 - (300_000_000 % 512)) % 512));
      })(),
    );
    const { archive: checked } = checkedTar(source);
    for await (const _ of checked) break;
    expect(made).toBeLessThan(10);
  });
});

describe('what is not fine', () => {
  const cases: [string, Raw[], RegExp][] = [
    ['a name that leads out', [{ name: '../x', data: 'x' }], /leads out/],
    ['a name that leads out in its middle', [{ name: 'a/../../x', data: 'x' }], /leads out/],
    ['a name that leads out by its long form', [{ name: 'fine', data: 'x', pax: { path: '../x' } }], /leads out/],
    ['an absolute name', [{ name: '/etc/x', data: 'x' }], /absolute/],
    ['a NUL byte', [{ name: 'fine', data: 'x', pax: { path: 'a\0b' } }], /NUL/],
    ['a name that is not UTF-8', [{ name: 'fine', data: 'x', pax: { path: 'a\ufffd' } }], /UTF-8/],
    [
      'a name longer than a file system takes',
      [{ name: 'fine', data: 'x', pax: { path: 'n'.repeat(256) } }],
      /too long/,
    ],
    ['no name', [{ name: './.', data: 'x' }], /no name/],
    [
      'a hard link',
      [
        { name: 'a', data: 'x' },
        { name: 'h', type: '1', link: 'a' },
      ],
      /hard link/,
    ],
    ['a hard link out', [{ name: 'h', type: '1', link: '/etc/passwd' }], /hard link/],
    ['a link to an absolute place', [{ name: 'l', type: '2', link: '/etc/passwd' }], /link out/],
    ['a link that leads out', [{ name: 'd/l', type: '2', link: '../../x' }], /link out/],
    [
      'a link that leads out by its long form',
      [{ name: 'l', type: '2', link: 'a', pax: { linkpath: '../x' } }],
      /link out/,
    ],
    [
      'a link that leads out through another',
      [
        { name: 'a/b/c/top', type: '2', link: '../../..' },
        { name: 'a/b/c/out', type: '2', link: 'top/..' },
      ],
      /link out/,
    ],
    ['a link to nothing', [{ name: 'l', type: '2', link: '' }], /link out/],
    [
      'a file behind a link',
      [
        { name: 'd', type: '2', link: 'e' },
        { name: 'd/x', data: 'x' },
      ],
      /behind a link/,
    ],
    [
      'a folder behind a link',
      [
        { name: 'd', type: '2', link: 'e' },
        { name: 'd/x/', type: '5' },
      ],
      /behind a link/,
    ],
    [
      'a link in place of a folder',
      [
        { name: 'd/x', data: 'x' },
        { name: 'd', type: '2', link: 'e' },
      ],
      /folder elsewhere/,
    ],
    [
      'a link in place of a named folder',
      [
        { name: 'd/', type: '5' },
        { name: 'd', type: '2', link: 'e' },
      ],
      /twice/,
    ],
    [
      'a file in place of a link',
      [
        { name: 'l', type: '2', link: 'e' },
        { name: 'l', data: 'x' },
      ],
      /twice/,
    ],
    ['a character device', [{ name: 'c', type: '3' }], /neither/],
    ['a block device', [{ name: 'b', type: '4' }], /neither/],
    ['a FIFO', [{ name: 'f', type: '6' }], /neither/],
    ['a kind nobody knows', [{ name: 's', type: 'S', data: 'x' }], /neither/],
    ['a sparse file', [{ name: 's', data: 'x', pax: { 'GNU.sparse.major': '1' } }], /sparse/],
  ];
  it.each(cases)('%s', async (_, entries, why) => {
    const bytes = archive({ name: 'before', data: 'x' }, ...entries, { name: 'after', data: 'x' });
    await refused(bytes, 'invalid', why);
    await refused(gzipSync(bytes), 'invalid', why);
  });

  it('what is no tar, or is cut off anywhere', async () => {
    const whole = archive({ name: 'a', data: 'x'.repeat(700) }, { name: 'b', data: 'y' });
    for (const bytes of [
      Buffer.from('no tar'),
      Buffer.alloc(2000, 'x'),
      Buffer.alloc(0),
      gzipSync(Buffer.from('no tar')),
    ])
      await refused(bytes, 'invalid', /damaged|its end/);
    for (let at = 1; at < whole.length - 1023; at += 97)
      await refused(whole.subarray(0, at), 'invalid', /damaged|its end/);
    await refused(gzipSync(whole).subarray(0, -10), 'invalid', /damaged/);
    const broken = gzipSync(whole);
    broken[40]! ^= 0xff;
    await refused(broken, 'invalid', /damaged/);
  });

  it('too many, too big, too big together', async () => {
    const three = archive({ name: 'a', data: 'x'.repeat(600) }, { name: 'b', data: 'x'.repeat(600) }, { name: 'c' });
    await refused(three, 'too_large', /more than 2 entries/, { entries: 2 });
    await refused(three, 'too_large', /larger than 500 bytes/, { fileBytes: 500 });
    await refused(three, 'too_large', /unpacked it is larger than 1000 bytes/, { bytes: 1000 });
    // What is remembered of an archive has a bound too.
    const deep = Array.from({ length: 60 }, (_, i) => ({
      name: 'x',
      data: '',
      pax: { path: `${i}${'/a'.repeat(1_000)}` },
    }));
    await expect(through(archive(...deep))).rejects.toMatchObject({ message: expect.stringMatching(/50000 folders/) });
    const wide = Array.from({ length: 4_500 }, (_, i) => ({
      name: 'x',
      pax: { path: `${'n'.repeat(250)}/`.repeat(15) + i },
    }));
    await expect(through(archive(...wide))).rejects.toMatchObject({
      message: expect.stringMatching(/too long together/),
    });
    await refused(archive({ name: 'a', size: 8 ** 11 - 1 }), 'too_large', /larger than/);
    await refused(archive({ name: 'a', data: 'x', pax: { size: '-5' } }), 'invalid', /damaged/);
  });

  it('a bomb is refused before it is unpacked to its end', async () => {
    let made = 0;
    const piece = Buffer.alloc(1024 * 1024);
    const bomb = Readable.from(
      (function* () {
        yield raw({ name: 'zeros', size: 1000 * 1024 * 1024 }).subarray(0, 512);
        for (; made < 1000; made++) yield piece;
      })(),
    ).pipe(createGzip({ level: 1 }));
    const into = folder();
    await expect(unpackTo(into, bomb, { ratio: 100 })).rejects.toMatchObject({ code: 'too_large' });
    expect(made).toBeLessThan(200);
    expect(readdirSync(into)).toEqual([]);
  });

  it('a source that breaks says why', async () => {
    const source = Readable.from(
      (async function* () {
        yield raw({ name: 'a', size: 2000 }).subarray(0, 512);
        throw new Error('the line is cut');
      })(),
    );
    await expect(unpackTo(folder(), source)).rejects.toMatchObject({
      code: 'unavailable',
      cause: expect.objectContaining({ message: 'the line is cut' }),
    });
  });

  it('bytes of any kind are an archive or refused, and never write outside', async () => {
    const whole = archive(
      { name: 'a/b', data: 'x' },
      { name: 'l', type: '2', link: 'a/b' },
      { name: 'c', data: 'y'.repeat(600) },
    );
    const flips = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(flips, async (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, by] of changes) bytes[at]! ^= by;
        const parent = folder();
        const outcome = await unpackTo(join(parent, 'in'), stream(bytes)).catch((error) => error.code);
        expect(typeof outcome === 'object' || outcome === 'invalid' || outcome === 'too_large').toBe(true);
        expect(readdirSync(parent)).toEqual(['in']);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a folder of the host', () => {
  it('that is not empty is not unpacked into, and stays as it is', async () => {
    const into = folder();
    symlinkSync('/tmp', join(into, 'd'));
    await expect(unpackTo(into, stream(archive({ name: 'd/x', data: 'x' })))).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(readdirSync(into)).toEqual(['d']);
    expect(existsSync('/tmp/x')).toBe(false);
  });

  it('gets what packTar made', async () => {
    const into = folder();
    const entries = [{ name: 'd' }, { name: 'd/f', data: 'hello', mode: 0o600 }, { name: 'l', link: 'd/f' }];
    expect(await unpackTo(into, packTar(entries))).toEqual({ files: 2, bytes: 5 });
    expect(readFileSync(join(into, 'l'), 'utf8')).toBe('hello');
    writeFileSync(join(into, 'd/f'), 'mine');
    expect(readFileSync(join(into, 'l'), 'utf8')).toBe('mine');
  });
});
