// Archives in and out: one that would write elsewhere, plant a link or fill the disk is refused as a whole.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createGzip, gzipSync } from 'node:zlib';
import { PLACES } from '../../../sandboxes/driver.ts';
import { refusal } from './files.ts';
import { out, type SandboxCase, sh, within } from './stage.ts';

export interface TarEntry {
  name: string;
  type?: 'file' | 'folder' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo' | 'global' | 'unknown';
  data?: string | Uint8Array;
  link?: string;
  mode?: number;
  /** What the header says, when that is not the truth. */
  size?: number;
  prefix?: string;
}

const TYPES = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  folder: '5',
  fifo: '6',
  global: 'g',
  unknown: 'Z',
};

/** Written here, byte by byte, because no library writes the ones that matter. */
export function tar(entries: readonly TarEntry[], options: { end?: boolean } = {}): Buffer {
  const parts: Buffer[] = [];
  for (const { name, type = 'file', data = '', link = '', mode = 0o644, size, prefix = '' } of entries) {
    const body = Buffer.from(data);
    const header = Buffer.alloc(512);
    header.write(name, 0, 100, 'utf8');
    header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
    header.write('0001750\0', 108);
    header.write('0001750\0', 116);
    header.write(`${(size ?? body.length).toString(8).padStart(11, '0')}\0`, 124);
    header.write('14000000000\0', 136);
    header.write('        ', 148);
    header.write(TYPES[type], 156);
    header.write(link, 157, 100, 'utf8');
    header.write('ustar\0', 257);
    header.write('00', 263);
    header.write(prefix, 345, 155, 'utf8');
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    parts.push(header, body, Buffer.alloc((512 - (body.length % 512)) % 512));
  }
  if (options.end !== false) parts.push(Buffer.alloc(1024));
  return Buffer.concat(parts);
}

const octal = (bytes: Buffer) => Number.parseInt(bytes.toString('latin1').replace(/\0.*$/s, '').trim() || '0', 8);

/** Names with types and contents of a plain tar; long names (pax, GNU) as far as downloads need them. */
export function untar(bytes: Buffer): Map<string, { type: string; data: Buffer; link: string; mode: number }> {
  const found = new Map<string, { type: string; data: Buffer; link: string; mode: number }>();
  let longName = '';
  for (let at = 0; at + 512 <= bytes.length; ) {
    const header = bytes.subarray(at, at + 512);
    if (header.every((byte) => byte === 0)) break;
    const cut = (from: number, to: number) => header.toString('utf8', from, to).replace(/\0.*$/s, '');
    const size = octal(header.subarray(124, 136));
    const data = bytes.subarray(at + 512, at + 512 + size);
    const type = String.fromCharCode(header[156] ?? 0);
    at += 512 + Math.ceil(size / 512) * 512;
    if (type === 'x') longName = /\d+ path=([^\n]*)\n/.exec(data.toString('utf8'))?.[1] ?? longName;
    else if (type === 'L') longName = data.toString('utf8').replace(/\0.*$/s, '');
    else if (type !== 'g') {
      const prefix = cut(345, 500);
      const name = longName || (prefix ? `${prefix}/${cut(0, 100)}` : cut(0, 100));
      found.set(name.replace(/^\.\//, '').replace(/\/$/, ''), {
        type,
        data,
        link: cut(157, 257),
        mode: octal(header.subarray(100, 108)),
      });
      longName = '';
    }
  }
  return found;
}

const at = (path: string) => `${PLACES.workspace}/${path}`;
const stream = (bytes: Uint8Array) => Readable.from([bytes]);

/** Each begins with an honest entry, which must not be there afterwards either. */
const evil: Record<string, TarEntry[]> = {
  'a name that climbs': [{ name: '../planted', data: 'x' }],
  'a name that climbs from within': [{ name: 'a/../../planted', data: 'x' }],
  'a name that only ends in ..': [{ name: 'a/..', type: 'folder' }],
  'a folder that climbs': [{ name: '../planted/', type: 'folder' }],
  'an absolute name': [{ name: '/tmp/planted', data: 'x' }],
  'an absolute name in the prefix': [{ name: 'planted', prefix: '/tmp', data: 'x' }],
  'a climbing prefix': [{ name: 'planted', prefix: '..', data: 'x' }],
  'a symbolic link': [{ name: 'door', type: 'symlink', link: '/etc' }],
  'a symbolic link and a file through it': [
    { name: 'door', type: 'symlink', link: '..' },
    { name: 'door/planted', data: 'x' },
  ],
  'a hard link': [{ name: 'door', type: 'hardlink', link: 'honest' }],
  'a hard link out of it': [{ name: 'door', type: 'hardlink', link: '/etc/passwd' }],
  'a character device': [{ name: 'dev', type: 'char' }],
  'a block device': [{ name: 'dev', type: 'block' }],
  'a pipe': [{ name: 'pipe', type: 'fifo' }],
};

export const tars: SandboxCase[] = [
  {
    name: 'a tar is unpacked into a folder, plain or gzipped, with contents and modes',
    async run({ open }) {
      const sandbox = await open();
      const archive = tar([
        { name: 'project/', type: 'folder', mode: 0o755 },
        { name: 'project/run.sh', data: '#!/bin/sh\necho ran\n', mode: 0o755 },
        { name: './project/..notes.txt', data: 'honest' },
        { name: `deep/${'d'.repeat(60)}/f`, prefix: 'x'.repeat(40), data: 'long' },
        { name: 'empty', data: '' },
        { name: 'big', data: 'b'.repeat(300_000) },
      ]);
      const plain = await sandbox.files.upload(at('plain'), stream(archive));
      const zipped = await sandbox.files.upload(at('zipped'), stream(gzipSync(archive)));
      for (const sum of [plain, zipped]) assert.deepEqual(sum, { files: 5, bytes: 19 + 6 + 4 + 300_000 });
      assert.equal(await out(sandbox, 'diff -r plain zipped && ./plain/project/run.sh'), 'ran\n');
      assert.equal(
        await out(sandbox, 'cat plain/project/..notes.txt plain/x*/deep/d*/f; wc -c < plain/big'),
        'honestlong300000\n',
      );
    },
  },
  {
    name: 'what was there before stays',
    async run({ open }) {
      const sandbox = await open();
      await sandbox.files.write(at('into/mine'), 'mine');
      await sandbox.files.write(at('into/both'), 'old');
      await sandbox.files.upload(at('into'), stream(tar([{ name: 'both', data: 'new' }])));
      assert.equal(await out(sandbox, 'cat into/mine into/both'), 'minenew');
    },
  },
  ...Object.entries(evil).map(
    ([what, entries]): SandboxCase => ({
      name: `refused as a whole: ${what}`,
      async run({ open }) {
        const sandbox = await open();
        await out(sandbox, 'mkdir -p up/into');
        const archive = tar([{ name: 'honest', data: 'x' }, ...entries, { name: 'after', data: 'x' }]);
        for (const bytes of [archive, gzipSync(archive)])
          assert.equal(await refusal(sandbox.files.upload(at('up/into'), stream(bytes))), 'invalid');
        assert.equal(await out(sandbox, 'find up; ls -A; ls /tmp/planted 2>/dev/null || true'), 'up\nup/into\nup\n');
      },
    }),
  ),
  {
    name: 'refused as a whole: what is no tar, or ends in the middle',
    async run({ open }) {
      const sandbox = await open();
      await out(sandbox, 'mkdir into');
      const whole = tar([
        { name: 'a', data: 'x'.repeat(2000) },
        { name: 'b', data: 'y'.repeat(5000) },
      ]);
      const torn = [
        Buffer.from('this is not a tar at all, not by far, it is a sentence. '.repeat(40)),
        whole.subarray(0, 4000),
        gzipSync(whole).subarray(0, 40),
        tar([{ name: 'a', data: 'short', size: 900_000 }]),
      ];
      for (const bytes of torn)
        assert.match(await refusal(sandbox.files.upload(at('into'), stream(bytes))), /^(invalid|too_large)$/);
      assert.equal(await out(sandbox, 'ls -A into'), '');
    },
  },
  {
    name: 'refused as a whole: more files than anybody means, and more bytes than it looks like',
    alone: true,
    async run({ open }) {
      const sandbox = await open();
      await out(sandbox, 'mkdir into');
      function* crowd() {
        for (let i = 0; i < 200; i++)
          yield tar(
            Array.from({ length: 1_000 }, (_, j) => ({ name: `f${i}-${j}` })),
            { end: false },
          );
      }
      const crowded = Readable.from(crowd()).pipe(createGzip({ level: 1 }));
      assert.equal(await refusal(sandbox.files.upload(at('into'), crowded), 20_000), 'too_large');
      // 64 GiB by the header, and as many zeros as anybody wants to unpack.
      const head = tar([{ name: 'bomb', size: 0o777777777777 }], { end: false });
      const zeros = Buffer.alloc(1024 * 1024);
      function* bomb() {
        yield head;
        for (let i = 0; i < 65_536; i++) yield zeros;
      }
      const bombed = Readable.from(bomb()).pipe(createGzip({ level: 1 }));
      assert.equal(await refusal(sandbox.files.upload(at('into'), bombed), 20_000), 'too_large');
      bombed.destroy();
      assert.equal(await out(sandbox, 'ls -A into | wc -l'), '0\n');
      assert.ok(Number(await out(sandbox, 'du -sk . | cut -f1')) < 1_000);
    },
  },
  {
    name: 'a stream that breaks in the middle leaves nothing',
    async run({ open }) {
      const sandbox = await open();
      await out(sandbox, 'mkdir into');
      async function* broken() {
        yield tar([{ name: 'a', data: 'x'.repeat(1000) }], { end: false });
        throw new Error('the wire broke');
      }
      assert.notEqual(await refusal(sandbox.files.upload(at('into'), Readable.from(broken()))), 'nothing: it was done');
      assert.equal(await out(sandbox, 'ls -A into'), '');
    },
  },
  {
    name: 'a download is a tar of a folder or a file, and goes back in',
    async run({ open }) {
      const sandbox = await open();
      await out(
        sandbox,
        'mkdir -p d/sub; printf one > d/one; printf two > d/sub/two; chmod 755 d/one; head -c 200000 /dev/zero > d/zeros',
      );
      const folder = untar(await buffer(sandbox.files.download(at('d'))));
      const data = (name: string) => {
        const key = [...folder.keys()].find((one) => one === name || one.endsWith(`/${name}`));
        return folder.get(key ?? '')?.data.toString();
      };
      assert.equal(data('one'), 'one');
      assert.equal(data('sub/two'), 'two');
      assert.equal(data('zeros')?.length, 200_000);
      const single = untar(await buffer(sandbox.files.download(at('d/one'))));
      assert.deepEqual(
        [...single.values()].filter(({ type }) => type === '0').map(({ data }) => data.toString()),
        ['one'],
      );
      await sandbox.files.upload(at('back'), Readable.from([await buffer(sandbox.files.download(at('d')))]));
      assert.equal(
        await out(sandbox, 'cmp "$(find back -name zeros)" d/zeros && find back -name one -exec cat {} +'),
        'one',
      );
    },
  },
  {
    name: 'a download never leads out of the folder: no link, no device, nothing of the host’s',
    async run({ open, folder }) {
      const outside = folder();
      writeFileSync(`${outside}/secret`, 'canary-of-the-host');
      const sandbox = await open();
      await out(
        sandbox,
        `mkdir d; printf fine > d/fine; ln -s ${outside}/secret d/key; ln -s ${outside} d/door; mkfifo d/pipe`,
      );
      const bytes = await within(
        5_000,
        buffer(sandbox.files.download(at('d'))).catch((error: { code?: string }) => error.code),
      );
      assert.notEqual(bytes, 'pending');
      // Either it is refused, or what comes can be unpacked anywhere.
      if (typeof bytes === 'string') assert.equal(bytes, 'invalid');
      else {
        assert.ok(Buffer.isBuffer(bytes) && !bytes.includes('canary-of-the-host'));
        for (const [name, { type }] of untar(bytes)) assert.match(type, /^[05]$/, name);
      }
    },
  },
  {
    name: 'a download of what is not there fails, and one nobody finishes costs nothing',
    async run({ open }) {
      const sandbox = await open();
      assert.equal(await refusal(buffer(sandbox.files.download(at('missing')))), 'not_found');
      await out(sandbox, 'mkdir d; head -c 20000000 /dev/zero > d/zeros');
      const stream = sandbox.files.download(at('d'));
      await new Promise((resolve) => stream.once('readable', resolve));
      stream.destroy();
      assert.equal((await sh(sandbox, 'echo here')).stdout, 'here\n');
    },
  },
];
