// Files: exact bytes under any name, whole or not at all, and only what is really a file.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PLACES } from '../../../sandboxes/driver.ts';
import { isolated, out, type SandboxCase, sh, until, within } from './stage.ts';

const at = (path: string) => `${PLACES.workspace}/${path}`;
const text = (data: Uint8Array) => Buffer.from(data).toString('utf8');

/** The code a call is refused with; fails when it is not refused, or only after a long time. */
export async function refusal(work: Promise<unknown>, withinMs = 8_000): Promise<string> {
  const answer = await within(
    withinMs,
    work.then(
      () => 'nothing: it was done',
      (error: { code?: string; message?: string }) => error.code ?? `an error without a code: ${error.message}`,
    ),
  );
  return answer;
}

export const files: SandboxCase[] = [
  {
    name: 'what was written is read back, byte for byte',
    async run({ open }) {
      const { files } = await open();
      for (const data of [new Uint8Array(0), randomBytes(1), randomBytes(70_000), randomBytes(5_000_000)]) {
        await files.write(at('data.bin'), data);
        assert.ok(Buffer.from(data).equals(await files.read(at('data.bin'))), `${data.length} bytes`);
      }
      await files.write(at('text'), 'ü 漢 🧵\r\n');
      assert.equal(text(await files.read(at('text'))), 'ü 漢 🧵\r\n');
    },
  },
  {
    name: 'a name may hold anything a file name can',
    async run({ open }) {
      const sandbox = await open();
      const names = [
        'with space',
        '-rf',
        "it's",
        '"',
        '$HOME',
        '*',
        'ü 漢',
        'line\nbreak',
        '..notes.txt',
        '`id`',
        '\\',
      ];
      for (const name of names) await sandbox.files.write(at(`names/${name}`), name);
      for (const name of names) assert.equal(text(await sandbox.files.read(at(`names/${name}`))), name);
      const listed = (await sandbox.files.list(at('names'))).map(({ path }) => path);
      assert.deepEqual(listed.sort(), [...names].sort());
      for (const name of names) await sandbox.files.remove(at(`names/${name}`));
      assert.deepEqual(await sandbox.files.list(at('names')), []);
    },
  },
  {
    name: 'a relative path is one of the workspace',
    async run({ open }) {
      const sandbox = await open();
      await sandbox.files.write('a/b.txt', 'relative');
      assert.equal(await out(sandbox, 'cat a/b.txt'), 'relative');
      assert.equal(text(await sandbox.files.read('a/b.txt')), 'relative');
      assert.deepEqual(
        (await sandbox.files.list('a')).map(({ path }) => path),
        ['b.txt'],
      );
      await sandbox.files.remove('a');
      assert.equal((await sh(sandbox, 'test -e a')).code, 1);
    },
  },
  {
    name: 'files of the home are files too',
    async run({ open }) {
      const sandbox = await open();
      await sandbox.files.write(`${PLACES.home}/.config/tool`, 'on');
      assert.equal(await out(sandbox, 'cat "$HOME/.config/tool"'), 'on');
    },
  },
  {
    name: 'write makes the folders on the way, sets the mode, and replaces what was there',
    async run({ open }) {
      const sandbox = await open();
      await sandbox.files.write(at('bin/deep/tool'), '#!/bin/sh\necho works\n', { mode: 0o755 });
      assert.equal(await out(sandbox, './bin/deep/tool'), 'works\n');
      assert.equal(await out(sandbox, 'stat -c %a bin/deep/tool'), '755\n');
      await sandbox.files.write(at('bin/deep/tool'), 'short');
      assert.equal(await out(sandbox, 'cat bin/deep/tool'), 'short');
    },
  },
  {
    name: 'whole or not at all: a reader never sees a half-written file, and nothing is left of the way',
    async run({ open }) {
      const sandbox = await open();
      const size = 400_000;
      await sandbox.files.write(at('state'), 'a'.repeat(size));
      const script = `until (-e 'stop') { open my $f, '<', 'state' or die 'missing'; local $/; my $t = <$f>;
        length($t) == ${size} && ($t =~ /^a*$/ || $t =~ /^b*$/) or die 'half: ' . length $t } print 'whole'`;
      const reader = sh(sandbox, `exec perl -e '${script.replaceAll("'", `'"'"'`)}'`);
      for (let i = 0; i < 12; i++) await sandbox.files.write(at('state'), (i % 2 ? 'a' : 'b').repeat(size));
      await sandbox.files.write(at('stop'), '');
      const { stdout, stderr } = await reader;
      assert.equal(stdout, 'whole', stderr);
      assert.deepEqual((await out(sandbox, 'ls -A')).split('\n').filter(Boolean).sort(), ['state', 'stop']);
    },
  },
  {
    name: 'a write that cannot be done changes nothing',
    async run({ open }) {
      const sandbox = await open();
      await sandbox.files.write(at('folder/inside'), 'kept');
      assert.match(await refusal(sandbox.files.write(at('folder'), 'x')), /^(invalid|conflict)$/);
      assert.match(
        await refusal(sandbox.files.write(at('folder/inside/under'), 'x')),
        /^(invalid|conflict|not_found)$/,
      );
      assert.equal(await out(sandbox, 'cat folder/inside; ls -A; ls -A folder'), 'keptfolder\ninside\n');
    },
  },
  {
    name: 'a part is read by offset and limit, and more than the limit is refused',
    async run({ open }) {
      const { files } = await open();
      await files.write(at('ten'), '0123456789');
      assert.equal(text(await files.read(at('ten'), { offset: 7 })), '789');
      assert.equal(text(await files.read(at('ten'), { limit: 10 })), '0123456789');
      assert.equal(text(await files.read(at('ten'), { offset: 6, limit: 4 })), '6789');
      assert.equal(text(await files.read(at('ten'), { offset: 10 })), '');
      assert.equal(await refusal(files.read(at('ten'), { limit: 9 })), 'too_large');
      assert.equal(await refusal(files.read(at('ten'), { offset: 2, limit: 7 })), 'too_large');
    },
  },
  {
    name: 'only regular files are read: not_found and invalid say what else it was, and a pipe does not hang',
    async run({ open }) {
      const sandbox = await open();
      await out(sandbox, 'mkdir folder; mkfifo pipe; ln -s nowhere dangling; ln -s /dev/zero zero');
      assert.equal(await refusal(sandbox.files.read(at('missing'))), 'not_found');
      assert.equal(await refusal(sandbox.files.read(at('dangling'))), 'not_found');
      assert.equal(await refusal(sandbox.files.read(at('folder'))), 'invalid');
      assert.equal(await refusal(sandbox.files.read(at('pipe'))), 'invalid');
      assert.equal(await refusal(sandbox.files.read(at('zero'))), 'invalid');
      assert.equal(await refusal(sandbox.files.read('/dev/null')), 'invalid');
      assert.equal(await refusal(sandbox.files.read(at('missing/deeper'))), 'not_found');
    },
  },
  {
    name: 'a path with a NUL byte is refused',
    async run({ open }) {
      const sandbox = await open();
      await sandbox.files.write(at('real'), 'x');
      assert.equal(await refusal(sandbox.files.read(at('real\0.txt'))), 'invalid');
      assert.equal(await refusal(sandbox.files.write(at('made\0.txt'), 'x')), 'invalid');
      assert.equal((await sh(sandbox, 'test -e made')).code, 1);
    },
  },
  {
    name: 'list tells types, sizes and times, to a depth, and no more than a limit',
    async run({ open }) {
      const sandbox = await open();
      const before = Date.now();
      await out(
        sandbox,
        'mkdir -p d/sub/deep; printf 12345 > d/five; ln -s five d/link; mkfifo d/pipe; touch d/sub/deep/x',
      );
      const flat = await sandbox.files.list(at('d'));
      const seen = flat.map(({ path, type }) => `${path} ${type}`).sort();
      assert.deepEqual(seen, ['five file', 'link link', 'pipe other', 'sub folder']);
      const five = flat.find(({ path }) => path === 'five')!;
      assert.equal(five.size, 5);
      assert.ok(Math.abs(five.modifiedAt - before) < 60_000, `modified at ${five.modifiedAt}, now ${before}`);
      const two = (await sandbox.files.list(at('d'), { depth: 2 })).map(({ path }) => path).sort();
      assert.deepEqual(two, ['five', 'link', 'pipe', 'sub', 'sub/deep']);
      assert.ok((await sandbox.files.list(at('d'), { depth: 9 })).some(({ path }) => path === 'sub/deep/x'));
      await out(sandbox, 'mkdir many; cd many; seq 300 | xargs touch');
      assert.equal((await sandbox.files.list(at('many'))).length, 300);
      assert.equal((await sandbox.files.list(at('many'), { limit: 25 })).length, 25);
      assert.equal(await refusal(sandbox.files.list(at('missing'))), 'not_found');
    },
  },
  {
    name: 'list does not walk through a link, and a circle of them does not hold it',
    async run({ open }) {
      const sandbox = await open();
      await out(sandbox, 'mkdir -p c other; touch other/hidden; ln -s . c/self; ln -s ../other c/out');
      const paths = (await sandbox.files.list(at('c'), { depth: 12 })).map(({ path }) => path).sort();
      assert.deepEqual(paths, ['out', 'self']);
    },
  },
  {
    name: 'remove takes a file, a folder with all in it, or a link and not what it points to',
    async run({ open }) {
      const sandbox = await open();
      await out(
        sandbox,
        'mkdir -p gone/deep kept; touch gone/deep/x kept/x single; ln -s kept link; chmod 500 gone/deep',
      );
      for (const path of ['gone', 'single', 'link']) await sandbox.files.remove(at(path));
      assert.equal(await out(sandbox, 'ls -A; ls -A kept'), 'kept\nx\n');
    },
  },
  {
    name: 'a link in the workspace does not lead the host astray',
    needs: isolated,
    async run({ open, folder }) {
      const sandbox = await open();
      const outside = folder();
      writeFileSync(join(outside, 'secret'), 'of the host');
      symlinkSync('secret', join(outside, 'inner'));
      await out(sandbox, `ln -s ${outside} door; ln -s ${outside}/secret key; ln -s / root`);
      for (const path of ['door/secret', 'key', `root${outside}/secret`, `../..${outside}/secret`])
        assert.equal(await refusal(sandbox.files.read(at(path))), 'not_found', path);
      assert.equal(await refusal(sandbox.files.read(`${outside}/secret`)), 'not_found');
      // Whether the write is refused or lands inside, it must not land on the host.
      for (const path of ['door/planted', 'key', `root${outside}/planted`, `../..${outside}/planted`])
        await refusal(sandbox.files.write(at(path), 'planted'));
      await refusal(sandbox.files.remove(at('door/secret')));
      assert.deepEqual(readdirSync(outside).sort(), ['inner', 'secret']);
      assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'of the host');
    },
  },
  {
    name: 'many calls at once are each their own',
    async run({ open }) {
      const { files } = await open();
      await Promise.all(Array.from({ length: 30 }, (_, i) => files.write(at(`many/${i}`), `number ${i}`)));
      const read = await Promise.all(Array.from({ length: 30 }, (_, i) => files.read(at(`many/${i}`))));
      assert.deepEqual(
        read.map(text),
        Array.from({ length: 30 }, (_, i) => `number ${i}`),
      );
      await until('all are listed', async () => (await files.list(at('many'))).length === 30);
    },
  },
];
